// Layer normalisation: a warp a row. Rows of up to 256 times `eights` values (a multiple of 8) stay in registers, eights a
// lane; with none, rows are read again.
#include "kernel.h"

template <int eights, class T>
DEVICE void layer_norm(
    T *y, float *mean, float *reciprocal, const T *x, const T *weight, const T *bias, float epsilon, int rows, int columns) {
    int row = blockIdx.x * 4 + (threadIdx.x >> 5), lane = threadIdx.x & 31;
    if (row >= rows) return;
    const T *from = x + (u64)row * columns;
    T *to = y + (u64)row * columns;
    float sum = 0, squares = 0, m, r;
    if constexpr (eights > 0) {
        float v[eights][8];
        UNROLL for (int k = 0; k < eights; k++) {
            int c = k * 256 + lane * 8;
            if (c >= columns) break;
            read8(from + c, v[k]);
            UNROLL for (int i = 0; i < 8; i++) sum += v[k][i];
        }
        m = sum_warp(sum) / columns;
        UNROLL for (int k = 0; k < eights; k++) {
            if (k * 256 + lane * 8 >= columns) break;
            UNROLL for (int i = 0; i < 8; i++) squares += (v[k][i] - m) * (v[k][i] - m);
        }
        r = 1 / sqrtf(sum_warp(squares) / columns + epsilon);
        UNROLL for (int k = 0; k < eights; k++) {
            int c = k * 256 + lane * 8;
            if (c >= columns) break;
            float w[8], b[8];
            read8(weight + c, w);
            read8(bias + c, b);
            UNROLL for (int i = 0; i < 8; i++) v[k][i] = (v[k][i] - m) * r * w[i] + b[i];
            write8(to + c, v[k]);
        }
    } else {
        for (int c = lane; c < columns; c += 32) sum += read(from + c);
        m = sum_warp(sum) / columns;
        for (int c = lane; c < columns; c += 32) squares += (read(from + c) - m) * (read(from + c) - m);
        r = 1 / sqrtf(sum_warp(squares) / columns + epsilon);
        for (int c = lane; c < columns; c += 32) write(to + c, (read(from + c) - m) * r * read(weight + c) + read(bias + c));
    }
    if (lane == 0) mean[row] = m, reciprocal[row] = r;
}

// dx (+ addend, where there is one), and of each block's rows the sums for weight and bias: parts [gridDim.x][2 columns]. With h = (x - mean) r and
// g = dy w: dx = r (g - mean(g) - h mean(g h)).
template <int eights, class T>
DEVICE void layer_norm_gradient(
    T *dx, float *parts, const T *x, const T *weight, const float *mean, const float *reciprocal, const T *dy,
    const T *addend, int rows, int columns) {
    SHARED(float, shared);  // [4][2 columns]
    int warp = threadIdx.x >> 5, lane = threadIdx.x & 31;
    float *own = shared + warp * 2 * columns;
    if constexpr (eights > 0) {
        float dw[eights][8] = {}, db[eights][8] = {};
        for (int row = blockIdx.x * 4 + warp; row < rows; row += gridDim.x * 4) {
            const T *a = x + (u64)row * columns, *d = dy + (u64)row * columns;
            float m = mean[row], r = reciprocal[row], sum = 0, along = 0, h[eights][8], g[eights][8];
            UNROLL for (int k = 0; k < eights; k++) {
                int c = k * 256 + lane * 8;
                if (c >= columns) break;
                float w[8];
                read8(a + c, h[k]);
                read8(d + c, g[k]);
                read8(weight + c, w);
                UNROLL for (int i = 0; i < 8; i++) {
                    h[k][i] = (h[k][i] - m) * r;
                    dw[k][i] += g[k][i] * h[k][i];
                    db[k][i] += g[k][i];
                    g[k][i] *= w[i];
                    sum += g[k][i];
                    along += g[k][i] * h[k][i];
                }
            }
            sum = sum_warp(sum) / columns;
            along = sum_warp(along) / columns;
            UNROLL for (int k = 0; k < eights; k++) {
                int c = k * 256 + lane * 8;
                if (c >= columns) break;
                float more[8] = {};
                if (addend) read8(addend + (u64)row * columns + c, more);
                UNROLL for (int i = 0; i < 8; i++) g[k][i] = r * (g[k][i] - sum - h[k][i] * along) + more[i];
                write8(dx + (u64)row * columns + c, g[k]);
            }
        }
        UNROLL for (int k = 0; k < eights; k++) {
            int c = k * 256 + lane * 8;
            if (c >= columns) break;
            write8(own + c, dw[k]);
            write8(own + columns + c, db[k]);
        }
    } else {
        for (int c = lane; c < columns; c += 32) own[c] = own[columns + c] = 0;
        for (int row = blockIdx.x * 4 + warp; row < rows; row += gridDim.x * 4) {
            const T *a = x + (u64)row * columns, *d = dy + (u64)row * columns;
            float m = mean[row], r = reciprocal[row], sum = 0, along = 0;
            for (int c = lane; c < columns; c += 32) {
                float h = (read(a + c) - m) * r, g = read(d + c);
                own[c] += g * h;
                own[columns + c] += g;
                sum += g * read(weight + c);
                along += g * read(weight + c) * h;
            }
            sum = sum_warp(sum) / columns;
            along = sum_warp(along) / columns;
            for (int c = lane; c < columns; c += 32) {
                float h = (read(a + c) - m) * r;
                float more = addend ? read(addend + (u64)row * columns + c) : 0;
                write(dx + (u64)row * columns + c, r * (read(d + c) * read(weight + c) - sum - h * along) + more);
            }
        }
    }
    sync_block();
    for (int c = threadIdx.x; c < 2 * columns; c += 128)
        parts[(u64)blockIdx.x * 2 * columns + c] =
            shared[c] + shared[2 * columns + c] + shared[4 * columns + c] + shared[6 * columns + c];
}

#define LAYER_NORM(eights, suffix, T)                                                                                    \
    KERNEL(128, layer_norm_##eights##_##suffix, T *y, float *mean, float *reciprocal, const T *x, const T *weight,       \
           const T *bias, float epsilon, int rows, int columns) {                                                        \
        layer_norm<eights>(y, mean, reciprocal, x, weight, bias, epsilon, rows, columns);                                \
    }                                                                                                                    \
    KERNEL(128, layer_norm_gradient_##eights##_##suffix, T *dx, float *parts, const T *x, const T *weight,               \
           const float *mean, const float *reciprocal, const T *dy, const T *addend, int rows, int columns) {            \
        layer_norm_gradient<eights>(dx, parts, x, weight, mean, reciprocal, dy, addend, rows, columns);                  \
    }
#define OF_WIDTH(eights) LAYER_NORM(eights, f32, float) LAYER_NORM(eights, bf16, bf16)
OF_WIDTH(0)
OF_WIDTH(1)
OF_WIDTH(2)
OF_WIDTH(3)
OF_WIDTH(4)
