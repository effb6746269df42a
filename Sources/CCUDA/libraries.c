#include <dlfcn.h>
#include <stdio.h>

#include "libraries.h"

struct ccuda_driver ccuda_driver;
struct ccuda_blas ccuda_blas;
struct ccuda_nvrtc ccuda_nvrtc;

struct entry { const char *name; void *to; };

static int load(void *library, const struct entry *entries, char *why, int size) {
    for (; entries->name; entries++) {
        void *found = dlsym(library, entries->name);
        if (!found) {
            snprintf(why, size, "%s is missing in it", entries->name);
            return 2;
        }
        *(void **)entries->to = found;
    }
    return 0;
}

int ccuda_open(int library, const char *path, char *why, int size) {
    // NVRTC opens its builtins by name: whoever opens it opens those first, for all.
    void *opened = dlopen(path, RTLD_NOW | (library == 3 ? RTLD_GLOBAL : RTLD_LOCAL));
    if (!opened) {
        snprintf(why, size, "%s", dlerror());
        return 1;
    }
    static const struct entry driver[] = {
#define ENTRY(name, symbol) {symbol, &ccuda_driver.name}
        ENTRY(init, "cuInit"), ENTRY(version, "cuDriverGetVersion"), ENTRY(device, "cuDeviceGet"),
        ENTRY(device_name, "cuDeviceGetName"), ENTRY(attribute, "cuDeviceGetAttribute"),
        ENTRY(memory, "cuDeviceTotalMem_v2"), ENTRY(retain, "cuDevicePrimaryCtxRetain"),
        ENTRY(make_current, "cuCtxSetCurrent"), ENTRY(error_name, "cuGetErrorName"), ENTRY(error_text, "cuGetErrorString"),
        ENTRY(allocate, "cuMemAlloc_v2"), ENTRY(release, "cuMemFree_v2"), ENTRY(allocate_host, "cuMemAllocHost_v2"),
        ENTRY(release_host, "cuMemFreeHost"),
        ENTRY(copy_in, "cuMemcpyHtoDAsync_v2"), ENTRY(copy_out, "cuMemcpyDtoHAsync_v2"),
        ENTRY(copy, "cuMemcpyDtoDAsync_v2"), ENTRY(set, "cuMemsetD8Async"), ENTRY(make_stream, "cuStreamCreate"),
        ENTRY(wait_stream, "cuStreamSynchronize"), ENTRY(wait_for, "cuStreamWaitEvent"), ENTRY(make_event, "cuEventCreate"),
        ENTRY(record, "cuEventRecord"), ENTRY(wait_event, "cuEventSynchronize"),
        ENTRY(elapsed, "cuEventElapsedTime"), ENTRY(load, "cuModuleLoadData"), ENTRY(find, "cuModuleGetFunction"),
        ENTRY(set_attribute, "cuFuncSetAttribute"), ENTRY(launch, "cuLaunchKernel"),
#undef ENTRY
        {0, 0}};
    static const struct entry blas[] = {
#define ENTRY(name, symbol) {"cublasLt" symbol, &ccuda_blas.name}
        ENTRY(create, "Create"), ENTRY(make_product, "MatmulDescCreate"),
        ENTRY(set_product, "MatmulDescSetAttribute"), ENTRY(make_layout, "MatrixLayoutCreate"),
        ENTRY(set_layout, "MatrixLayoutSetAttribute"), ENTRY(make_preference, "MatmulPreferenceCreate"), ENTRY(set_preference, "MatmulPreferenceSetAttribute"),
        ENTRY(free_preference, "MatmulPreferenceDestroy"), ENTRY(choose, "MatmulAlgoGetHeuristic"), ENTRY(run, "Matmul"),
#undef ENTRY
        {0, 0}};
    static const struct entry nvrtc[] = {
#define ENTRY(name, symbol) {"nvrtc" symbol, &ccuda_nvrtc.name}
        ENTRY(version, "Version"), ENTRY(create, "CreateProgram"), ENTRY(compile, "CompileProgram"),
        ENTRY(destroy, "DestroyProgram"), ENTRY(log_size, "GetProgramLogSize"), ENTRY(log, "GetProgramLog"),
        ENTRY(cubin_size, "GetCUBINSize"), ENTRY(cubin, "GetCUBIN"),
#undef ENTRY
        {0, 0}};
    static const struct entry builtins[] = {{0, 0}};
    static const struct entry *const tables[] = {driver, blas, nvrtc, builtins};
    return load(opened, tables[library], why, size);
}
