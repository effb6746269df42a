#include "simd.h"

CLONES void ck_unfold(ck_int outputs, ck_int taps, ck_int channels, const int32_t *table, const float *x, float *y) {
    for (ck_int o = 0; o < outputs; o++)
        for (ck_int t = 0; t < taps; t++) {
            const int32_t pixel = table[o * taps + t];
            float *out = y + o * channels * taps + t;
            const float *row = x + pixel * channels;
            if (pixel < 0)
                for (ck_int c = 0; c < channels; c++) out[c * taps] = 0;
            else
                for (ck_int c = 0; c < channels; c++) out[c * taps] = row[c];
        }
}

CLONES void ck_unfold_gradient(ck_int outputs, ck_int taps, ck_int channels, const int32_t *table, const float *dy,
                               float *dx) {
    for (ck_int o = 0; o < outputs; o++)
        for (ck_int t = 0; t < taps; t++) {
            const int32_t pixel = table[o * taps + t];
            if (pixel < 0) continue;
            const float *d = dy + o * channels * taps + t;
            float *row = dx + pixel * channels;
            for (ck_int c = 0; c < channels; c++) row[c] += d[c * taps];
        }
}

CLONES void ck_depthwise(ck_int outputs, ck_int taps, ck_int channels, const int32_t *table, const float *x,
                         const float *weight, const float *bias, float *y) {
    for (ck_int o = 0; o < outputs; o++) {
        float *restrict out = y + o * channels;
        memcpy(out, bias, (size_t)channels * sizeof(float));
        for (ck_int t = 0; t < taps; t++) {
            const int32_t pixel = table[o * taps + t];
            if (pixel < 0) continue;
            const float *row = x + pixel * channels, *w = weight + t * channels;
            for (ck_int c = 0; c < channels; c++) out[c] += row[c] * w[c];
        }
    }
}

CLONES void ck_depthwise_gradient(ck_int outputs, ck_int taps, ck_int channels, const int32_t *table, const float *x,
                                  const float *weight, const float *dy, float *dx, float *dweight) {
    for (ck_int o = 0; o < outputs; o++) {
        const float *d = dy + o * channels;
        for (ck_int t = 0; t < taps; t++) {
            const int32_t pixel = table[o * taps + t];
            if (pixel < 0) continue;
            const float *row = x + pixel * channels, *w = weight + t * channels;
            float *restrict out = dx + pixel * channels, *restrict dw = dweight + t * channels;
            for (ck_int c = 0; c < channels; c++) {
                out[c] += d[c] * w[c];
                dw[c] += d[c] * row[c];
            }
        }
    }
}

enum { MOST_COLUMNS = 64 };

CLONES void ck_column_moments(ck_int rows, ck_int ld, ck_int columns, const float *x, float *mean, float *variance) {
    double sum[MOST_COLUMNS] = {0}, squares[MOST_COLUMNS] = {0};
    for (ck_int r = 0; r < rows; r++)
        for (ck_int c = 0; c < columns; c++) sum[c] += (double)x[r * ld + c];
    for (ck_int c = 0; c < columns; c++) sum[c] /= (double)rows;
    for (ck_int r = 0; r < rows; r++)
        for (ck_int c = 0; c < columns; c++) {
            double distance = (double)x[r * ld + c] - sum[c];
            squares[c] += distance * distance;
        }
    for (ck_int c = 0; c < columns; c++) {
        mean[c] = (float)sum[c];
        variance[c] = (float)(squares[c] / (double)rows);
    }
}

CLONES void ck_batch_norm(ck_int rows, ck_int ld, ck_int columns, const float *x, const float *weight, const float *bias,
                          float epsilon, const float *mean, const float *variance, float *y) {
    float scale[MOST_COLUMNS];
    for (ck_int c = 0; c < columns; c++) scale[c] = weight[c] / sqrtf(variance[c] + epsilon);
    for (ck_int r = 0; r < rows; r++)
        for (ck_int c = 0; c < columns; c++) y[r * ld + c] = (x[r * ld + c] - mean[c]) * scale[c] + bias[c];
}

// With h = (x - mean) q, q = 1 / sqrt(variance + epsilon): dweight = sum dy h, dbias = sum dy, and
// dx = w q dy, less w q (mean(dy) + h mean(dy h)) where the statistics are the batch's own.
CLONES void ck_batch_norm_gradient(ck_int rows, ck_int ld, ck_int columns, const float *x, const float *weight,
                                   float epsilon, const float *mean, const float *variance, int is_of_batch,
                                   const float *dy, float *dx, float *dweight, float *dbias) {
    double sum[MOST_COLUMNS] = {0}, along[MOST_COLUMNS] = {0};
    float q[MOST_COLUMNS], level[MOST_COLUMNS], slope[MOST_COLUMNS];
    for (ck_int c = 0; c < columns; c++) q[c] = 1.0f / sqrtf(variance[c] + epsilon);
    for (ck_int r = 0; r < rows; r++)
        for (ck_int c = 0; c < columns; c++) {
            float d = dy[r * ld + c];
            sum[c] += (double)d;
            along[c] += (double)(d * ((x[r * ld + c] - mean[c]) * q[c]));
        }
    for (ck_int c = 0; c < columns; c++) {
        dbias[c] = (float)sum[c];
        dweight[c] = (float)along[c];
        level[c] = is_of_batch ? (float)(sum[c] / (double)rows) : 0.0f;
        slope[c] = is_of_batch ? (float)(along[c] / (double)rows) : 0.0f;
    }
    for (ck_int r = 0; r < rows; r++)
        for (ck_int c = 0; c < columns; c++) {
            float h = (x[r * ld + c] - mean[c]) * q[c];
            dx[r * ld + c] = weight[c] * q[c] * (dy[r * ld + c] - level[c] - h * slope[c]);
        }
}
