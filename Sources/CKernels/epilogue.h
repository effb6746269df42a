// What follows a matrix product while its block of the result is in cache.
#ifndef EPILOGUE_H
#define EPILOGUE_H

#include "simd.h"

#define EACH_ELEMENT(expression)                                             \
    for (ck_int r = 0; r < rows; r++) {                                      \
        float *restrict y = c + r * ld;                                      \
        const float *restrict x = other + r * ld;                            \
        for (ck_int i = 0; i < columns; i++) y[i] = expression;              \
    }                                                                        \
    break

INLINE void finish_columns(ck_int rows, const ck_int columns, ck_int ld, ck_int first_row, ck_int first_column, float *c,
                           const ck_epilogue_inputs *inputs) {
    const ck_int at = first_row * ld + first_column;
    c += at;
    const float *other = c;
    if (inputs->bias) {
        const float *bias = inputs->bias + first_column;
        for (ck_int r = 0; r < rows; r++)
            for (ck_int i = 0; i < columns; i++) c[r * ld + i] += bias[i];
    }
    if (inputs->residual) {
        other = inputs->residual + at;
        for (ck_int r = 0; r < rows; r++)
            for (ck_int i = 0; i < columns; i++) c[r * ld + i] += other[r * ld + i];
    }
    if (inputs->preactivation)
        for (ck_int r = 0; r < rows; r++)
            memcpy(inputs->preactivation + at + r * ld, c + r * ld, (size_t)columns * sizeof(float));
    if (inputs->slope_at) {
        other = inputs->slope_at + at;
        switch (inputs->kind) {
            case 0: EACH_ELEMENT(y[i] * quick_gelu_slope(x[i]));
            case 1: EACH_ELEMENT(y[i] * erf_gelu_slope(x[i]));
            case 2: EACH_ELEMENT(y[i] * tanh_gelu_slope(x[i]));
            default: EACH_ELEMENT(y[i] * relu_slope(x[i]));
        }
        return;
    }
    switch (inputs->kind) {
        case 0: EACH_ELEMENT(quick_gelu(y[i]));
        case 1: EACH_ELEMENT(erf_gelu(y[i]));
        case 2: EACH_ELEMENT(tanh_gelu(y[i]));
        case 3: EACH_ELEMENT(relu(y[i]));
        default: break;
    }
}

// rows x columns of c, its corner at (first_row, first_column) of what the inputs' pointers point to
INLINE void finish_block(ck_int rows, ck_int columns, ck_int ld, ck_int first_row, ck_int first_column, float *c,
                         const ck_epilogue_inputs *inputs) {
    // A panel's width as a constant: the loops over it unroll.
    if (columns == 16)
        finish_columns(rows, 16, ld, first_row, first_column, c, inputs);
    else
        finish_columns(rows, columns, ld, first_row, first_column, c, inputs);
}

#endif
