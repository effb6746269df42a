// Prototypes of our own of what is opened at run time.
#pragma once
#include "CCUDA.h"

typedef int device;

extern struct ccuda_driver {
    int (*init)(unsigned flags);
    int (*version)(int *version);
    int (*device)(device *device, int index);
    int (*device_name)(char *name, int size, device device);
    int (*attribute)(int *value, int attribute, device device);
    int (*memory)(size_t *bytes, device device);
    int (*retain)(void **context, device device);
    int (*make_current)(void *context);
    int (*error_name)(int status, const char **name);
    int (*error_text)(int status, const char **text);
    int (*allocate)(ccuda_address *address, size_t bytes);
    int (*release)(ccuda_address address);
    int (*allocate_host)(void **address, size_t bytes);
    int (*release_host)(void *address);
    int (*copy_in)(ccuda_address to, const void *from, size_t bytes, ccuda_stream stream);
    int (*copy_out)(void *to, ccuda_address from, size_t bytes, ccuda_stream stream);
    int (*copy)(ccuda_address to, ccuda_address from, size_t bytes, ccuda_stream stream);
    int (*set)(ccuda_address address, unsigned char value, size_t bytes, ccuda_stream stream);
    int (*make_stream)(ccuda_stream *stream, unsigned flags);
    int (*wait_stream)(ccuda_stream stream);
    int (*wait_for)(ccuda_stream stream, ccuda_event event, unsigned flags);
    int (*make_event)(ccuda_event *event, unsigned flags);
    int (*record)(ccuda_event event, ccuda_stream stream);
    int (*wait_event)(ccuda_event event);
    int (*elapsed)(float *milliseconds, ccuda_event start, ccuda_event end);
    int (*load)(ccuda_module *module, const void *image);
    int (*find)(ccuda_function *function, ccuda_module module, const char *name);
    int (*set_attribute)(ccuda_function function, int attribute, int value);
    int (*launch)(ccuda_function function, unsigned x, unsigned y, unsigned z, unsigned threads, unsigned threads_y,
                  unsigned threads_z, unsigned shared, ccuda_stream stream, void **arguments, void **extra);
} ccuda_driver;

typedef struct { uint64_t words[8]; } algorithm;
typedef struct {
    algorithm algorithm;
    size_t workspace;
    int state;
    float waves;
    int reserved[4];
} choice;

extern struct ccuda_blas {
    int (*create)(void **handle);
    int (*make_product)(void **product, int compute, int scale);
    int (*set_product)(void *product, int attribute, const void *value, size_t bytes);
    int (*make_layout)(void **layout, int type, uint64_t rows, uint64_t columns, int64_t leading);
    int (*set_layout)(void *layout, int attribute, const void *value, size_t bytes);
    int (*make_preference)(void **preference);
    int (*set_preference)(void *preference, int attribute, const void *value, size_t bytes);
    int (*free_preference)(void *preference);
    int (*choose)(void *handle, void *product, void *a, void *b, void *c, void *d, void *preference, int wanted,
                  choice *choices, int *found);
    int (*run)(void *handle, void *product, const void *alpha, const void *a, void *layout_a, const void *b, void *layout_b,
               const void *beta, const void *c, void *layout_c, void *d, void *layout_d, const algorithm *algorithm,
               void *workspace, size_t bytes, ccuda_stream stream);
} ccuda_blas;

extern struct ccuda_nvrtc {
    int (*version)(int *major, int *minor);
    int (*create)(void **program, const char *source, const char *name, int headers, const char *const *header_texts,
                  const char *const *header_names);
    int (*compile)(void *program, int options, const char *const *texts);
    int (*destroy)(void **program);
    int (*log_size)(void *program, size_t *size);
    int (*log)(void *program, char *log);
    int (*cubin_size)(void *program, size_t *size);
    int (*cubin)(void *program, char *cubin);
} ccuda_nvrtc;
