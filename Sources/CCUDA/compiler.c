#include <stdio.h>
#include <stdlib.h>

#include "libraries.h"

int ccuda_compiler_version(int *major, int *minor) { return ccuda_nvrtc.version(major, minor); }

int ccuda_compile(const char *source, const char *name, const char *header, const char *architecture, void **cubin,
                  size_t *size, char **log) {
    char target[64];
    snprintf(target, sizeof target, "--gpu-architecture=%s", architecture);
    const char *options[] = {target, "--std=c++17", "--ptxas-options=-v"}, *header_name = "kernel.h";
    void *program;
    *cubin = 0, *log = 0;
    int status = ccuda_nvrtc.create(&program, source, name, 1, &header, &header_name);
    if (status) return status;
    status = ccuda_nvrtc.compile(program, 3, options);
    size_t length = 0;
    if (!ccuda_nvrtc.log_size(program, &length) && (*log = calloc(length + 1, 1))) ccuda_nvrtc.log(program, *log);
    if (!status) status = ccuda_nvrtc.cubin_size(program, size);
    if (!status && !(*cubin = malloc(*size))) status = 1;
    if (!status) status = ccuda_nvrtc.cubin(program, *cubin);
    ccuda_nvrtc.destroy(&program);
    return status;
}
