// OpenBLAS, opened at run time: linked, it starts threads before main, and where the system refuses one it raises SIGINT.
#ifndef COPENBLAS_H
#define COPENBLAS_H

// 1 when the library is there, set to one thread a call.
int cb_open(void);
// c [m,n] = a b + beta c, row-major; cb_open must have given 1.
void cb_sgemm(int transposed_a, int transposed_b, int m, int n, int k, const float *a, int lda, const float *b, int ldb,
              float beta, float *c, int ldc);

#endif
