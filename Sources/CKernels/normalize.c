#include "simd.h"

INLINE float row_sum(ck_int n, const float *x) {
    REASSOCIATE
    float sum = 0;
    for (ck_int i = 0; i < n; i++) sum += x[i];
    return sum;
}

INLINE float row_square_distance(ck_int n, const float *x, float centre) {
    REASSOCIATE
    float sum = 0;
    for (ck_int i = 0; i < n; i++) sum += (x[i] - centre) * (x[i] - centre);
    return sum;
}

INLINE float row_dot(ck_int n, const float *a, const float *b) {
    REASSOCIATE
    float sum = 0;
    for (ck_int i = 0; i < n; i++) sum += a[i] * b[i];
    return sum;
}

CLONES void ck_layer_norm(ck_int rows, ck_int n, const float *x, const float *weight, const float *bias, float epsilon,
                          float *y, float *mean, float *reciprocal) {
    for (ck_int r = 0; r < rows; r++) {
        const float *row = x + r * n;
        float *out = y + r * n;
        float centre = row_sum(n, row) / (float)n;
        float scale = 1.0f / sqrtf(row_square_distance(n, row, centre) / (float)n + epsilon);
        for (ck_int i = 0; i < n; i++) out[i] = (row[i] - centre) * scale * weight[i] + bias[i];
        mean[r] = centre;
        reciprocal[r] = scale;
    }
}

// With h = (x - mean) r and g = dy w: dx = r (g - mean(g) - h mean(g h)).
CLONES void ck_layer_norm_gradient(ck_int rows, ck_int n, const float *x, const float *weight, const float *mean,
                                   const float *reciprocal, const float *dy, float *dx, float *dweight, float *dbias) {
    memset(dweight, 0, (size_t)n * sizeof(float));
    memset(dbias, 0, (size_t)n * sizeof(float));
    for (ck_int r = 0; r < rows; r++) {
        const float *row = x + r * n, *d = dy + r * n;
        float centre = mean[r], scale = reciprocal[r];
        float sum_g = 0, sum_gh = 0;
        {
            REASSOCIATE
            for (ck_int i = 0; i < n; i++) {
                float h = (row[i] - centre) * scale, g = d[i] * weight[i];
                sum_g += g;
                sum_gh += g * h;
            }
        }
        sum_g /= (float)n;
        sum_gh /= (float)n;
        for (ck_int i = 0; i < n; i++) {
            float h = (row[i] - centre) * scale;
            dx[r * n + i] = scale * (d[i] * weight[i] - sum_g - h * sum_gh);
            dweight[i] += d[i] * h;
            dbias[i] += d[i];
        }
    }
}

CLONES void ck_normalize_rows(ck_int rows, ck_int n, const float *x, float *y, float *norms) {
    for (ck_int r = 0; r < rows; r++) {
        float norm = sqrtf(row_dot(n, x + r * n, x + r * n));
        norm = norm > 1e-12f ? norm : 1e-12f;
        norms[r] = norm;
        for (ck_int i = 0; i < n; i++) y[r * n + i] = x[r * n + i] / norm;
    }
}

CLONES void ck_normalize_rows_gradient(ck_int rows, ck_int n, const float *y, const float *norms, const float *dy,
                                       float *dx) {
    for (ck_int r = 0; r < rows; r++) {
        const float *u = y + r * n, *d = dy + r * n;
        float along = row_dot(n, u, d), scale = 1.0f / norms[r];
        for (ck_int i = 0; i < n; i++) dx[r * n + i] = (d[i] - along * u[i]) * scale;
    }
}
