// Unit rows, and batch normalisation of columns.
#include "kernel.h"

// y = x / max(|x|, 1e-12) by row; a warp a row.
template <class T> DEVICE void normalize_rows(T *y, float *norms, const T *x, int rows, int columns) {
    int row = blockIdx.x * 4 + (threadIdx.x >> 5), lane = threadIdx.x & 31;
    if (row >= rows) return;
    float squares = 0;
    for (int c = lane; c < columns; c += 32) squares += read(x + (u64)row * columns + c) * read(x + (u64)row * columns + c);
    float norm = fmaxf(sqrtf(sum_warp(squares)), 1e-12f);
    for (int c = lane; c < columns; c += 32) write(y + (u64)row * columns + c, read(x + (u64)row * columns + c) / norm);
    if (lane == 0) norms[row] = norm;
}
// dx = (dy - (y dy) y) / norm
template <class T>
DEVICE void normalize_rows_gradient(T *dx, const T *y, const float *norms, const T *dy, int rows, int columns) {
    int row = blockIdx.x * 4 + (threadIdx.x >> 5), lane = threadIdx.x & 31;
    if (row >= rows) return;
    const T *u = y + (u64)row * columns, *d = dy + (u64)row * columns;
    float along = 0;
    for (int c = lane; c < columns; c += 32) along += read(u + c) * read(d + c);
    along = sum_warp(along);
    for (int c = lane; c < columns; c += 32)
        write(dx + (u64)row * columns + c, (read(d + c) - along * read(u + c)) / norms[row]);
}

// Of rows part * perPart and on, by column: parts [gridDim.y][sums][columns] of what `f` adds to its sums. As sum_rows_part,
// a column a thread.
template <int sums, class F> DEVICE void column_parts(float *parts, int rows, int columns, int perPart, F f) {
    SHARED(float, shared);  // [8][sums][32]
    int lane = threadIdx.x & 31, line = threadIdx.x >> 5, column = blockIdx.x * 32 + lane;
    int begin = blockIdx.y * perPart, end = begin + perPart < rows ? begin + perPart : rows;
    float sum[sums] = {};
    if (column < columns)
        for (int row = begin + line; row < end; row += 8) f((u64)row * columns + column, column, sum);
    for (int s = 0; s < sums; s++) shared[(line * sums + s) * 32 + lane] = sum[s];
    sync_block();
    if (line < sums && column < columns) {
        float total = 0;
        for (int l = 0; l < 8; l++) total += shared[(l * sums + line) * 32 + lane];
        parts[((u64)blockIdx.y * sums + line) * columns + column] = total;
    }
}

template <class T>
DEVICE void variance_parts(float *parts, const T *x, const float *mean, int rows, int columns, int perPart) {
    column_parts<1>(parts, rows, columns, perPart, [=](u64 at, int column, float *sum) {
        float d = read(x + at) - mean[column];
        sum[0] += d * d;
    });
}
template <class T>
DEVICE void batch_norm(
    T *y, const T *x, const T *weight, const T *bias, const float *mean, const float *variance, float epsilon, u64 count,
    int columns) {
    u64 i = (u64)blockIdx.x * 256 + threadIdx.x;
    if (i >= count) return;
    int c = i % columns;
    write(y + i, (read(x + i) - mean[c]) / sqrtf(variance[c] + epsilon) * read(weight + c) + read(bias + c));
}
// Sums of dy h and of dy, with h = (x - mean) / sqrt(variance + epsilon).
template <class T>
DEVICE void batch_norm_parts(
    float *parts, const T *x, const T *dy, const float *mean, const float *variance, float epsilon, int rows, int columns,
    int perPart) {
    column_parts<2>(parts, rows, columns, perPart, [=](u64 at, int c, float *sum) {
        sum[0] += read(dy + at) * ((read(x + at) - mean[c]) / sqrtf(variance[c] + epsilon));
        sum[1] += read(dy + at);
    });
}
// share: 1 / rows where mean and variance are the batch's, else 0
template <class T>
DEVICE void batch_norm_gradient(
    T *dx, const T *x, const T *dy, const T *weight, const float *mean, const float *variance, const float *dWeight,
    const float *dBias, float epsilon, float share, u64 count, int columns) {
    u64 i = (u64)blockIdx.x * 256 + threadIdx.x;
    if (i >= count) return;
    int c = i % columns;
    float q = 1 / sqrtf(variance[c] + epsilon), h = (read(x + i) - mean[c]) * q;
    write(dx + i, read(weight + c) * q * (read(dy + i) - share * (dBias[c] + h * dWeight[c])));
}

#define NORMALIZE(suffix, T)                                                                                            \
    KERNEL(128, normalize_rows_##suffix, T *y, float *norms, const T *x, int rows, int columns) {                       \
        normalize_rows(y, norms, x, rows, columns);                                                                     \
    }                                                                                                                   \
    KERNEL(128, normalize_rows_gradient_##suffix, T *dx, const T *y, const float *norms, const T *dy, int rows,         \
           int columns) {                                                                                               \
        normalize_rows_gradient(dx, y, norms, dy, rows, columns);                                                       \
    }                                                                                                                   \
    KERNEL(256, variance_parts_##suffix, float *parts, const T *x, const float *mean, int rows, int columns,            \
           int perPart) {                                                                                               \
        variance_parts(parts, x, mean, rows, columns, perPart);                                                         \
    }                                                                                                                   \
    KERNEL(256, batch_norm_##suffix, T *y, const T *x, const T *weight, const T *bias, const float *mean,               \
           const float *variance, float epsilon, u64 count, int columns) {                                              \
        batch_norm(y, x, weight, bias, mean, variance, epsilon, count, columns);                                        \
    }                                                                                                                   \
    KERNEL(256, batch_norm_parts_##suffix, float *parts, const T *x, const T *dy, const float *mean,                    \
           const float *variance, float epsilon, int rows, int columns, int perPart) {                                  \
        batch_norm_parts(parts, x, dy, mean, variance, epsilon, rows, columns, perPart);                                \
    }                                                                                                                   \
    KERNEL(256, batch_norm_gradient_##suffix, T *dx, const T *x, const T *dy, const T *weight, const float *mean,       \
           const float *variance, const float *dWeight, const float *dBias, float epsilon, float share, u64 count,      \
           int columns) {                                                                                               \
        batch_norm_gradient(dx, x, dy, weight, mean, variance, dWeight, dBias, epsilon, share, count, columns);         \
    }
NORMALIZE(f32, float)
NORMALIZE(bf16, bf16)
