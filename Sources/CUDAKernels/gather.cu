// Rows by index.
#include "kernel.h"

// y[i] = x[indices[i]] (+ addend[i]); a block takes 8 rows, a warp each.
template <class T> DEVICE void gather(T *y, const T *x, const int *indices, const T *addend, int count, int columns) {
    int row = blockIdx.x * 8 + (threadIdx.x >> 5), lane = threadIdx.x & 31;
    if (row >= count) return;
    const T *from = x + (u64)indices[row] * columns, *more = addend ? addend + (u64)row * columns : nullptr;
    T *to = y + (u64)row * columns;
    if (columns % 8 == 0 && is_aligned(x) && is_aligned(y) && is_aligned(addend)) {
        for (int c = lane * 8; c < columns; c += 256) {
            float v[8], w[8] = {};
            read8(from + c, v);
            if (more) read8(more + c, w);
            UNROLL for (int i = 0; i < 8; i++) v[i] += w[i];
            write8(to + c, v);
        }
    } else {
        for (int c = lane; c < columns; c += 32) write(to + c, read(from + c) + (more ? read(more + c) : 0));
    }
}
KERNEL(256, gather_f32, float *y, const float *x, const int *indices, const float *addend, int count, int columns) {
    gather(y, x, indices, addend, count, columns);
}
KERNEL(256, gather_bf16, bf16 *y, const bf16 *x, const int *indices, const bf16 *addend, int count, int columns) {
    gather(y, x, indices, addend, count, columns);
}

// dx[t] = the sum of dy[order[k]], k in starts[t]..<starts[t + 1], in that order. A block takes a row t and 256 columns.
template <class T> DEVICE void scatter(T *dx, const T *dy, const int *order, const int *starts, int columns) {
    int begin = starts[blockIdx.x], end = starts[blockIdx.x + 1], column = blockIdx.y * 256 + threadIdx.x;
    if (column >= columns) return;
    float sum = 0;
    UNROLL_BY(4) for (int k = begin; k < end; k++) sum += read(dy + (u64)order[k] * columns + column);
    write(dx + (u64)blockIdx.x * columns + column, sum);
}
KERNEL(256, scatter_f32, float *dx, const float *dy, const int *order, const int *starts, int columns) {
    scatter(dx, dy, order, starts, columns);
}
KERNEL(256, scatter_bf16, bf16 *dx, const bf16 *dy, const int *order, const int *starts, int columns) {
    scatter(dx, dy, order, starts, columns);
}
