// CUDA's driver, cuBLASLt and NVRTC, opened at run time: nothing of CUDA is needed to build or to start.
// Functions give 0 or the library's status.
#pragma once
#include <stddef.h>
#include <stdint.h>

// ---- Libraries

/// Opens one of the names (ending with a null) as the library: 0 driver, 1 cuBLASLt, 2 NVRTC. 0, or why not.
int ccuda_open(int library, const char *path, char *why, int size);

// ---- Driver

typedef struct {
    char name[128];
    /// Compute capability, multiprocessors, and what the driver's version is in CUDA's (13000).
    int major, minor, processors, driver;
    /// Bytes.
    size_t memory, most_shared;
} ccuda_facts;

/// Starts the driver, and makes device `index` and its primary context this program's.
int ccuda_start(int index, ccuda_facts *facts);
/// What a status of the driver means.
const char *ccuda_meaning(int status);

typedef uint64_t ccuda_address;
typedef void *ccuda_stream, *ccuda_event, *ccuda_module, *ccuda_function;

int ccuda_allocate(ccuda_address *address, size_t bytes);
int ccuda_free(ccuda_address address);
int ccuda_allocate_host(void **address, size_t bytes);
int ccuda_free_host(void *address);
int ccuda_copy_in(ccuda_address to, const void *from, size_t bytes, ccuda_stream stream);
int ccuda_copy_out(void *to, ccuda_address from, size_t bytes, ccuda_stream stream);
int ccuda_copy(ccuda_address to, ccuda_address from, size_t bytes, ccuda_stream stream);
int ccuda_clear(ccuda_address address, size_t bytes, ccuda_stream stream);
int ccuda_make_stream(ccuda_stream *stream);
int ccuda_wait_stream(ccuda_stream stream);
int ccuda_wait_for(ccuda_stream stream, ccuda_event event);
int ccuda_make_event(ccuda_event *event, int times);
int ccuda_record(ccuda_event event, ccuda_stream stream);
int ccuda_wait_event(ccuda_event event);
int ccuda_milliseconds(float *milliseconds, ccuda_event start, ccuda_event end);
int ccuda_load(ccuda_module *module, const void *cubin);
/// - shared: bytes of shared memory it may be started with
int ccuda_find(ccuda_function *function, ccuda_module module, const char *name, int shared);
int ccuda_launch(ccuda_function function, const unsigned grid[3], unsigned threads, unsigned shared, ccuda_stream stream,
                 void **arguments);

// ---- NVRTC

int ccuda_compiler_version(int *major, int *minor);
/// To a cubin of an architecture (sm_90a). Both texts are malloc'ed; the log may be there either way.
int ccuda_compile(const char *source, const char *name, const char *header, const char *architecture, void **cubin,
                  size_t *size, char **log);

// ---- cuBLASLt

typedef struct {
    /// Of the row-major product c [m,n] = a b; a and b may be read transposed.
    int m, n, k, transposed_a, transposed_b;
    /// 0 float32, 1 bfloat16: of a and b, of c.
    int operands, result;
    /// float32 operands may be rounded to TF32.
    int tf32;
    /// A bias [n] of c's element is added; `residual` too, of c's shape and element, or what stands in c.
    int bias, adds;
    /// Of which powers of two (up to 256) the addresses of a, b, c and the residual are multiples.
    int aligned_a, aligned_b, aligned_c, aligned_residual;
} ccuda_product;

typedef struct ccuda_plan ccuda_plan;

/// Asks for the algorithm of a product of these sizes, which does for others of its kind; 0 and a plan, kept for ever.
int ccuda_plan_product(const ccuda_product *product, size_t workspace, ccuda_plan **plan);
int ccuda_run_product(ccuda_plan *plan, const ccuda_product *product, ccuda_address a, ccuda_address b, ccuda_address bias, ccuda_address residual,
                      ccuda_address c, ccuda_address workspace, size_t bytes, ccuda_stream stream);

// ---- Kernel texts

/// The text of a file of Sources/CUDAKernels; null where there is none of this name.
const char *ccuda_text(const char *name);

// ---- What kernels take by value (the same structs stand in the kernels' files)

typedef struct {
    ccuda_address query, key, value;
    int query_stride, key_stride, value_stride;
    ccuda_address query_offsets, key_offsets;
    int heads, width;
    float scale;
    int causal, tiles;
} ccuda_attention_operands;

typedef struct {
    ccuda_address y, dy, log_sum_exp, along, d_query, d_key, d_value;
    int d_query_stride, d_key_stride, d_value_stride;
} ccuda_attention_gradients;

typedef struct { int channels, height, width, patch; } ccuda_patches;
typedef struct { int inputs, outputs, taps, columns; } ccuda_map;
typedef struct { ccuda_address values; uint64_t count, first_chunk; } ccuda_summand;
typedef struct {
    ccuda_address parameter, gradient, mean, square;
    uint64_t count, first_chunk, decays;
} ccuda_update;
typedef struct { float decay, beta1, rest1, beta2, rest2, rate, correction, epsilon; } ccuda_hyper;
typedef struct {
    ccuda_address row_sums, own_of_row, column_sums, own, log_scale, bias;
    float share;
    int columns, row_first, column_first, first;
} ccuda_slopes;
