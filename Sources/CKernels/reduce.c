#include "simd.h"

CLONES void ck_sum_rows(ck_int rows, ck_int columns, const float *x, float *y) {
    memset(y, 0, (size_t)columns * sizeof(float));
    for (ck_int r = 0; r < rows; r++)
        for (ck_int i = 0; i < columns; i++) y[i] += x[r * columns + i];
}

CLONES void ck_dots(ck_int rows, ck_int n, const float *x, const float *y, double *products) {
    REASSOCIATE
    for (ck_int r = 0; r < rows; r++) {
        double sum = 0;
        for (ck_int i = 0; i < n; i++) sum += (double)x[i] * (double)y[r * n + i];
        products[r] = sum;
    }
}

CLONES double ck_sum_of_squares(ck_int n, const float *x) {
    REASSOCIATE
    double sum = 0;
    for (ck_int i = 0; i < n; i++) sum += (double)x[i] * (double)x[i];
    return sum;
}
