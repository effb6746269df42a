// Sums in parts that a shape alone fixes, added in order.
#include "kernel.h"

// Rows part * perPart and on of x [rows, columns], summed by column to parts [gridDim.y, columns]. A block of 8 x 32 threads
// takes 128 columns: 4 a thread.
template <class T> DEVICE void sum_rows_part(float *parts, const T *x, int rows, int columns, int perPart) {
    SHARED(float, sums);  // [8][128]
    int lane = threadIdx.x & 31, line = threadIdx.x >> 5, column = blockIdx.x * 128 + lane * 4;
    int begin = blockIdx.y * perPart, end = begin + perPart < rows ? begin + perPart : rows;
    float sum[4] = {};
    for (int row = begin + line; row < end; row += 8) {
        const T *from = x + (u64)row * columns + column;
        UNROLL for (int i = 0; i < 4; i++)
            if (column + i < columns) sum[i] += read(from + i);
    }
    for (int i = 0; i < 4; i++) sums[line * 128 + lane * 4 + i] = sum[i];
    sync_block();
    if (threadIdx.x < 128) {
        int own = blockIdx.x * 128 + threadIdx.x;
        float total = 0;
        for (int l = 0; l < 8; l++) total += sums[l * 128 + threadIdx.x];
        if (own < columns) parts[(u64)blockIdx.y * columns + own] = total;
    }
}
KERNEL(256, sum_rows_part_f32, float *parts, const float *x, int rows, int columns, int perPart) {
    sum_rows_part(parts, x, rows, columns, perPart);
}
KERNEL(256, sum_rows_part_bf16, float *parts, const bf16 *x, int rows, int columns, int perPart) {
    sum_rows_part(parts, x, rows, columns, perPart);
}

// y[c] = factor times the sum over parts [count, columns]. A block of 8 x 32 threads takes 32 columns.
template <class T> DEVICE void sum_parts(T *y, const float *parts, int count, int columns, float factor) {
    SHARED(float, sums);  // [8][32]
    int lane = threadIdx.x & 31, line = threadIdx.x >> 5, column = blockIdx.x * 32 + lane;
    float sum = 0;
    if (column < columns)
        UNROLL_BY(4) for (int p = line; p < count; p += 8) sum += parts[(u64)p * columns + column];
    sums[threadIdx.x] = sum;
    sync_block();
    if (line || column >= columns) return;
    for (int l = 1; l < 8; l++) sum += sums[l * 32 + lane];
    write(y + column, factor * sum);
}
KERNEL(256, sum_parts_f32, float *y, const float *parts, int count, int columns, float factor) {
    sum_parts(y, parts, count, columns, factor);
}
KERNEL(256, sum_parts_bf16, bf16 *y, const float *parts, int count, int columns, float factor) {
    sum_parts(y, parts, count, columns, factor);
}

// Of many tensors: a block a chunk of 16,384 values, a double each.
struct Summand { const float *values; u64 count, firstChunk; };
KERNEL(256, sum_squares_chunks, double *chunks, const Summand *table, int tensors) {
    SHARED(double, scratch);  // [8]
    int low = 0, high = tensors - 1;
    while (low < high) {
        int middle = (low + high + 1) / 2;
        if (table[middle].firstChunk <= blockIdx.x) low = middle;
        else high = middle - 1;
    }
    u64 begin = (blockIdx.x - table[low].firstChunk) * 16384;
    u64 end = begin + 16384 < table[low].count ? begin + 16384 : table[low].count;
    const float *x = table[low].values;
    double sum = 0;
    for (u64 i = begin + threadIdx.x; i < end; i += 256) sum += (double)x[i] * x[i];
    sum = sum_block<8>(sum, scratch);
    if (threadIdx.x == 0) chunks[blockIdx.x] = sum;
}
// sums[t] of chunks of tensor t; a warp each.
KERNEL(32, sum_squares, double *sums, const double *chunks, const Summand *table, int tensors, u64 allChunks) {
    u64 begin = table[blockIdx.x].firstChunk, end = blockIdx.x + 1 < tensors ? table[blockIdx.x + 1].firstChunk : allChunks;
    double sum = 0;
    for (u64 i = begin + threadIdx.x; i < end; i += 32) sum += chunks[i];
    sum = sum_warp(sum);
    if (threadIdx.x == 0) sums[blockIdx.x] = sum;
}

// y [sequences, columns]: means of rows offsets[s]..<offsets[s + 1].
template <class T> DEVICE void segment_mean(T *y, const T *x, const int *offsets, int columns) {
    int begin = offsets[blockIdx.x], end = offsets[blockIdx.x + 1];
    for (int c = threadIdx.x; c < columns; c += 128) {
        float sum = 0;
        for (int row = begin; row < end; row++) sum += read(x + (u64)row * columns + c);
        write(y + (u64)blockIdx.x * columns + c, sum / (end - begin));
    }
}
template <class T> DEVICE void segment_mean_gradient(T *dx, const T *dy, const int *offsets, int columns) {
    int begin = offsets[blockIdx.x], end = offsets[blockIdx.x + 1];
    for (int c = threadIdx.x; c < columns; c += 128) {
        float share = read(dy + (u64)blockIdx.x * columns + c) / (end - begin);
        for (int row = begin; row < end; row++) write(dx + (u64)row * columns + c, share);
    }
}
KERNEL(128, segment_mean_f32, float *y, const float *x, const int *offsets, int columns) {
    segment_mean(y, x, offsets, columns);
}
KERNEL(128, segment_mean_bf16, bf16 *y, const bf16 *x, const int *offsets, int columns) {
    segment_mean(y, x, offsets, columns);
}
KERNEL(128, segment_mean_gradient_f32, float *dx, const float *dy, const int *offsets, int columns) {
    segment_mean_gradient(dx, dy, offsets, columns);
}
KERNEL(128, segment_mean_gradient_bf16, bf16 *dx, const bf16 *dy, const int *offsets, int columns) {
    segment_mean_gradient(dx, dy, offsets, columns);
}
