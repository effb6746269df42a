// Element by element: 8 values a thread.
#include "kernel.h"

// y[i] = f(a[i], b[i]); without b or a, theirs is 0.
template <class Y, class A, class F> DEVICE void each(Y *y, const A *a, const A *b, u64 count, F f) {
    u64 first = ((u64)blockIdx.x * 256 + threadIdx.x) * 8;
    if (first >= count) return;
    if (first + 8 <= count && is_aligned(y) && is_aligned(a) && is_aligned(b)) {
        float u[8] = {}, v[8] = {};
        if (a) read8(a + first, u);
        if (b) read8(b + first, v);
        UNROLL for (int i = 0; i < 8; i++) u[i] = f(u[i], v[i]);
        write8(y + first, u);
    } else {
        u64 end = first + 8 < count ? first + 8 : count;
        for (u64 i = first; i < end; i++) write(y + i, f(a ? read(a + i) : 0, b ? read(b + i) : 0));
    }
}

#define OF_ONE(name, expression)                                                                     \
    KERNEL(256, name##_f32, float *y, const float *x, float p, float q, u64 count) {                  \
        each(y, x, (const float *)nullptr, count, [=](float x, float) { return expression; });       \
    }                                                                                                \
    KERNEL(256, name##_bf16, bf16 *y, const bf16 *x, float p, float q, u64 count) {                   \
        each(y, x, (const bf16 *)nullptr, count, [=](float x, float) { return expression; });        \
    }
#define OF_TWO(name, expression)                                                                     \
    KERNEL(256, name##_f32, float *y, const float *a, const float *b, float p, u64 count) {           \
        each(y, a, b, count, [=](float a, float b) { return expression; });                          \
    }                                                                                                \
    KERNEL(256, name##_bf16, bf16 *y, const bf16 *a, const bf16 *b, float p, u64 count) {             \
        each(y, a, b, count, [=](float a, float b) { return expression; });                          \
    }

OF_ONE(fill, p)
OF_ONE(scale, p *x)
OF_ONE(clamp, x < p ? p : x > q ? q : x)  // NaN stays
OF_TWO(add, a + b)
OF_TWO(multiply, a *b)
OF_TWO(accumulate, a + p * b)  // y is a

KERNEL(32, fill_f64, double *y, double value, u64 count) {
    u64 i = (u64)blockIdx.x * 32 + threadIdx.x;
    if (i < count) y[i] = value;
}
KERNEL(256, scale_by_element_f32, float *y, const float *x, const float *factor, u64 count) {
    float p = *factor;
    each(y, x, (const float *)nullptr, count, [=](float x, float) { return p * x; });
}
KERNEL(256, scale_by_element_bf16, bf16 *y, const bf16 *x, const float *factor, u64 count) {
    float p = *factor;
    each(y, x, (const bf16 *)nullptr, count, [=](float x, float) { return p * x; });
}
KERNEL(256, convert_f32_bf16, bf16 *y, const float *x, u64 count) {
    each(y, x, (const float *)nullptr, count, [](float x, float) { return x; });
}
KERNEL(256, convert_bf16_f32, float *y, const bf16 *x, u64 count) {
    each(y, x, (const bf16 *)nullptr, count, [](float x, float) { return x; });
}

// An activation's value and slope; kinds as TensorCore's Activation.
struct Curve { float value, slope; };
template <int kind> DEVICE Curve curve(float x) {
    if (kind == 0) {  // x sigmoid(1.702 x)
        float gate = 1 / (1 + expf(-1.702f * x));
        return {x * gate, gate + 1.702f * x * gate * (1 - gate)};
    }
    if (kind == 1) {  // x Phi(x)
        float area = 0.5f * (1 + erff(x * 0.70710678118654752f));
        return {x * area, area + x * expf(-0.5f * x * x) * 0.39894228040143268f};
    }
    if (kind == 2) {
        const float c = 0.79788456080286536f;
        float t = tanhf(c * (x + 0.044715f * x * x * x));
        return {0.5f * x * (1 + t), 0.5f * (1 + t) + 0.5f * x * (1 - t * t) * c * (1 + 0.134145f * x * x)};
    }
    if (kind == 3) return {x > 0 ? x : x == x ? 0 : x, x > 0 ? 1.f : 0.f};
    float t = tanhf(x);
    return {t, 1 - t * t};
}

// dz[i] *= slope of z[i], which then becomes the activation's value: what a product's slope epilogue does.
template <int kind, class T> DEVICE void slope_in_place(T *dz, T *z, u64 count) {
    u64 first = ((u64)blockIdx.x * 256 + threadIdx.x) * 8;
    if (first >= count) return;
    if (first + 8 <= count && is_aligned(dz) && is_aligned(z)) {
        float d[8], x[8];
        read8(dz + first, d);
        read8(z + first, x);
        UNROLL for (int i = 0; i < 8; i++) {
            Curve c = curve<kind>(x[i]);
            d[i] *= c.slope;
            x[i] = c.value;
        }
        write8(dz + first, d);
        write8(z + first, x);
    } else {
        u64 end = first + 8 < count ? first + 8 : count;
        for (u64 i = first; i < end; i++) {
            Curve c = curve<kind>(read(z + i));
            write(dz + i, read(dz + i) * c.slope);
            write(z + i, c.value);
        }
    }
}

// The same, and of rows part * perPart and on the column sums of dz: parts [gridDim.y][columns]. A block of 8 x 32 threads
// takes 256 columns, 8 a thread.
template <int kind, class T>
DEVICE void slope_and_sums(T *dz, T *z, float *parts, int rows, int columns, int perPart) {
    SHARED(float, shared);  // [8][256]
    int lane = threadIdx.x & 31, line = threadIdx.x >> 5, column = blockIdx.x * 256 + lane * 8;
    int begin = blockIdx.y * perPart, end = begin + perPart < rows ? begin + perPart : rows;
    float sum[8] = {};
    if (column < columns)
        for (int row = begin + line; row < end; row += 8) {
            u64 at = (u64)row * columns + column;
            float d[8], x[8];
            read8(dz + at, d);
            read8(z + at, x);
            UNROLL for (int i = 0; i < 8; i++) {
                Curve c = curve<kind>(x[i]);
                d[i] *= c.slope;
                x[i] = c.value;
                sum[i] += d[i];
            }
            write8(dz + at, d);
            write8(z + at, x);
        }
    write8(shared + line * 256 + lane * 8, sum);
    sync_block();
    int own = blockIdx.x * 256 + threadIdx.x;
    if (own >= columns) return;
    float total = 0;
    for (int l = 0; l < 8; l++) total += shared[l * 256 + threadIdx.x];
    parts[(u64)blockIdx.y * columns + own] = total;
}

#define ACTIVATION(name, kind)                                                                                        \
    OF_ONE(name, curve<kind>(x).value)                                                                                \
    OF_TWO(name##_gradient, b *curve<kind>(a).slope)                                                                  \
    KERNEL(256, name##_slope_f32, float *dz, float *z, u64 count) { slope_in_place<kind>(dz, z, count); }              \
    KERNEL(256, name##_slope_bf16, bf16 *dz, bf16 *z, u64 count) { slope_in_place<kind>(dz, z, count); }               \
    KERNEL(256, name##_slope_sums_f32, float *dz, float *z, float *parts, int rows, int columns, int perPart) {        \
        slope_and_sums<kind>(dz, z, parts, rows, columns, perPart);                                                    \
    }                                                                                                                  \
    KERNEL(256, name##_slope_sums_bf16, bf16 *dz, bf16 *z, float *parts, int rows, int columns, int perPart) {         \
        slope_and_sums<kind>(dz, z, parts, rows, columns, perPart);                                                    \
    }
ACTIVATION(quick_gelu, 0)
ACTIVATION(gelu, 1)
ACTIVATION(gelu_tanh, 2)
ACTIVATION(relu, 3)
ACTIVATION(tanh, 4)
