// What follows a matrix product, on a tile of it that has not left the nearest cache yet.
#ifndef EPILOGUE_H
#define EPILOGUE_H

#include "simd.h"

enum { ROWS = 6, PANEL = 16, TILE = ROWS * PANEL };

#define EACH(expression)                                       \
    for (ck_int i = 0; i < TILE; i++) tile[i] = expression;    \
    break
#define EACH_SLOPE(slope)                                                        \
    for (ck_int i = 0; i < TILE; i++) tile[i] *= slope(x[i], x + i);             \
    break

// c [rows, columns] = tile [6,16] after bias, residual and activation. The inputs' pointers stand at c's corner.
INLINE void finish_columns(ck_int rows, const ck_int columns, float *restrict tile, float *restrict c, ck_int ld,
                           const ck_epilogue_inputs *inputs) {
    if (inputs->bias)
        for (ck_int r = 0; r < rows; r++)
            for (ck_int i = 0; i < columns; i++) tile[r * PANEL + i] += inputs->bias[i];
    if (inputs->residual)
        for (ck_int r = 0; r < rows; r++)
            for (ck_int i = 0; i < columns; i++) tile[r * PANEL + i] += inputs->residual[r * ld + i];
    if (inputs->slope_at) {
        float x[TILE] = {0};
        for (ck_int r = 0; r < rows; r++)
            for (ck_int i = 0; i < columns; i++) x[r * PANEL + i] = inputs->slope_at[r * ld + i];
        switch (inputs->kind) {
            case CK_QUICK_GELU: EACH_SLOPE(quick_gelu_slope);
            case CK_GELU: EACH_SLOPE(erf_gelu_slope);
            case CK_GELU_TANH: EACH_SLOPE(tanh_gelu_slope);
            case CK_TANH: EACH_SLOPE(tanh_slope);
            default: EACH_SLOPE(relu_slope);
        }
        for (ck_int r = 0; r < rows; r++)
            for (ck_int i = 0; i < columns; i++) inputs->slope_at[r * ld + i] = x[r * PANEL + i];
    } else {
        if (inputs->preactivation)
            for (ck_int r = 0; r < rows; r++)
                for (ck_int i = 0; i < columns; i++) inputs->preactivation[r * ld + i] = tile[r * PANEL + i];
        switch (inputs->kind) {
            case CK_QUICK_GELU: EACH(quick_gelu(tile[i]));
            case CK_GELU: EACH(erf_gelu(tile[i]));
            case CK_GELU_TANH: EACH(tanh_gelu(tile[i]));
            case CK_RELU: EACH(relu(tile[i]));
            case CK_TANH: EACH(tanhf(tile[i]));
            default: break;
        }
    }
    for (ck_int r = 0; r < rows; r++)
        for (ck_int i = 0; i < columns; i++) c[r * ld + i] = tile[r * PANEL + i];
}
#undef EACH
#undef EACH_SLOPE

INLINE void finish_tile(ck_int rows, ck_int columns, float *tile, float *c, ck_int ld, const ck_epilogue_inputs *inputs) {
    // A whole width as a constant: the loops over it unroll.
    if (columns == PANEL)
        finish_columns(rows, PANEL, tile, c, ld, inputs);
    else
        finish_columns(rows, columns, tile, c, ld, inputs);
}

// The inputs of what lies `at` elements and `column` columns on.
INLINE ck_epilogue_inputs moved(const ck_epilogue_inputs *inputs, ck_int at, ck_int column) {
    ck_epilogue_inputs result = *inputs;
    if (result.bias) result.bias += column;
    if (result.residual) result.residual += at;
    if (result.preactivation) result.preactivation += at;
    if (result.slope_at) result.slope_at += at;
    return result;
}

#endif
