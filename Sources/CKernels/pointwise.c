#include "epilogue.h"

CLONES void ck_add(ck_int n, const float *a, const float *b, float *y) {
    for (ck_int i = 0; i < n; i++) y[i] = a[i] + b[i];
}

CLONES void ck_accumulate(ck_int n, float factor, const float *x, float *y) {
    for (ck_int i = 0; i < n; i++) y[i] += factor * x[i];
}

CLONES void ck_scale(ck_int n, float factor, const float *x, float *y) {
    for (ck_int i = 0; i < n; i++) y[i] = factor * x[i];
}

CLONES void ck_multiply(ck_int n, const float *a, const float *b, float *y) {
    for (ck_int i = 0; i < n; i++) y[i] = a[i] * b[i];
}

#define EACH(expression) \
    for (ck_int i = 0; i < n; i++) y[i] = expression(x[i]); \
    break

CLONES void ck_activate(int kind, ck_int n, const float *x, float *y) {
    switch (kind) {
        case CK_QUICK_GELU: EACH(quick_gelu);
        case CK_GELU: EACH(erf_gelu);
        case CK_GELU_TANH: EACH(tanh_gelu);
        case CK_TANH: EACH(tanhf);
        default: EACH(relu);
    }
}

#define EACH_SLOPE(slope)              \
    for (ck_int i = 0; i < n; i++) {   \
        float value;                   \
        dx[i] = dy[i] * slope(x[i], &value); \
    }                                  \
    break

CLONES void ck_activate_gradient(int kind, ck_int n, const float *x, const float *dy, float *dx) {
    switch (kind) {
        case CK_QUICK_GELU: EACH_SLOPE(quick_gelu_slope);
        case CK_GELU: EACH_SLOPE(erf_gelu_slope);
        case CK_GELU_TANH: EACH_SLOPE(tanh_gelu_slope);
        case CK_TANH: EACH_SLOPE(tanh_slope);
        default: EACH_SLOPE(relu_slope);
    }
}

CLONES void ck_normalize_pixels(ck_int pixels, const uint8_t *x, const float *table, float *y) {
    for (ck_int i = 0; i < pixels; i++)
        for (int c = 0; c < 3; c++) y[c * pixels + i] = table[256 * c + x[3 * i + c]];
}

CLONES void ck_epilogue(ck_int rows, ck_int columns, ck_int ld, float *c, const ck_epilogue_inputs *inputs) {
    for (ck_int r = 0; r < rows; r += ROWS)
        for (ck_int j = 0; j < columns; j += PANEL) {
            const ck_int height = rows - r < ROWS ? rows - r : ROWS;
            const ck_int width = columns - j < PANEL ? columns - j : PANEL;
            float tile[TILE] = {0};
            for (ck_int i = 0; i < height; i++)
                memcpy(tile + i * PANEL, c + (r + i) * ld + j, (size_t)width * sizeof(float));
            ck_epilogue_inputs here = moved(inputs, r * ld + j, j);
            finish_tile(height, width, tile, c + r * ld + j, ld, &here);
        }
}
