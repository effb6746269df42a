#include "COpenBLAS.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdlib.h>

// cblas.h's values
enum { row_major = 101, not_transposed = 111, transposed = 112 };
typedef void sgemm(int order, int transpose_a, int transpose_b, int m, int n, int k, float alpha, const float *a, int lda,
                   const float *b, int ldb, float beta, float *c, int ldc);

static sgemm *product;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void open_library(void) {
    setenv("OPENBLAS_NUM_THREADS", "1", 1);
    void *library = dlopen("libopenblas.so.0", RTLD_NOW | RTLD_LOCAL);
    if (library) product = (sgemm *)dlsym(library, "cblas_sgemm");
}

int cb_open(void) {
    pthread_once(&once, open_library);
    return product != 0;
}

void cb_sgemm(int transposed_a, int transposed_b, int m, int n, int k, const float *a, int lda, const float *b, int ldb,
              float beta, float *c, int ldc) {
    product(row_major, transposed_a ? transposed : not_transposed, transposed_b ? transposed : not_transposed, m, n, k, 1, a,
            lda, b, ldb, beta, c, ldc);
}
