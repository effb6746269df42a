// Shared by the kernel files: run-time dispatch and the elementary functions, written so that loops over
// them vectorise.
#ifndef SIMD_H
#define SIMD_H

#include <math.h>
#include <stdint.h>
#include <string.h>

#include "CKernels.h"

#if defined(__x86_64__) && defined(__linux__)
#define CLONES __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define CLONES
#endif
#define INLINE static inline __attribute__((always_inline))

// Sums may be taken in lanes. Same machine, same order, same bits.
#define REASSOCIATE _Pragma("clang fp reassociate(on) contract(fast)")

// e^x to about 1 ulp; 0 below -87.3, and the largest argument kept finite is 88.3.
INLINE float fast_exp(float x) {
    x = x > 88.3f ? 88.3f : x;
    float low = x < -87.3f ? 0.0f : 1.0f;
    x = x < -87.3f ? -87.3f : x;
    float shifted = x * 1.44269504f + 12582912.0f;  // 1.5 * 2^23: rounds to an integer in the low bits
    float n = shifted - 12582912.0f;
    float r = x - n * 0.693359375f;
    r = r - n * -2.12194440e-4f;
    float p = 1.98412698e-4f;  // Taylor, 1/7!: the next term is below 6e-9 on |r| <= ln2 / 2
    p = p * r + 1.38888889e-3f;
    p = p * r + 8.33333333e-3f;
    p = p * r + 4.16666667e-2f;
    p = p * r + 1.66666667e-1f;
    p = p * r + 0.5f;
    p = p * r * r + r + 1.0f;
    int32_t bits;
    memcpy(&bits, &shifted, 4);
    bits = (int32_t)((uint32_t)(bits - 0x4B400000) << 23) + 0x3F800000;
    float power;
    memcpy(&power, &bits, 4);
    return p * power * low;
}

// e^(-x^2 / 2), by a power of two: relative error below 2e-7 + 6e-8 x^2, no less than 2^-125.
INLINE float fast_gauss(float x) {
    float power = x * x * -0.72134752f;
    power = power < -125.0f ? -125.0f : power;
    float shifted = power + 12582912.0f;
    float f = power - (shifted - 12582912.0f);
    float p = 1.535336189e-04f;  // (2^f - 1) / f on |f| <= 1/2, fitted for the least maximum
    p = p * f + 1.339887442e-03f;
    p = p * f + 9.618437358e-03f;
    p = p * f + 5.550332471e-02f;
    p = p * f + 2.402264791e-01f;
    p = p * f + 6.931472029e-01f;
    p = p * f + 1.0f;
    int32_t bits, n;
    memcpy(&bits, &p, 4);
    memcpy(&n, &shifted, 4);
    bits = (int32_t)((uint32_t)bits + ((uint32_t)n << 23));
    memcpy(&p, &bits, 4);
    return p;
}

// The normal distribution's share beyond |x|, given e = exp(-x^2 / 2); absolute error below 7e-8. It is e P(t),
// t = 1 / (1 + 0.28 |x|), the form of Abramowitz and Stegun 7.1.26 with one more term, fitted for the least maximum.
INLINE float normal_tail(float x, float e) {
    float t = 1.0f / (1.0f + 0.28f * fabsf(x));
    float p = -1.058081885e-01f;
    p = p * t + 3.898737953e-01f;
    p = p * t - 2.369931232e-01f;
    p = p * t + 2.689098795e-01f;
    p = p * t + 6.749686664e-02f;
    p = p * t + 1.165207610e-01f;
    return p * t * e;
}

INLINE float fast_sigmoid(float x) { return 1.0f / (1.0f + fast_exp(-x)); }

// log(1 + e^-t) for t >= 0, by 2 atanh(e / (2 + e)).
INLINE float log1p_exp_negative(float t) {
    float e = fast_exp(-t);
    float u = e / (2.0f + e);
    float s = u * u;
    float p = 1.0f / 15.0f;
    p = p * s + 1.0f / 13.0f;
    p = p * s + 1.0f / 11.0f;
    p = p * s + 1.0f / 9.0f;
    p = p * s + 1.0f / 7.0f;
    p = p * s + 1.0f / 5.0f;
    p = p * s + 1.0f / 3.0f;
    return 2.0f * u * (p * s + 1.0f);
}

// Activation values, and slopes that leave the value in y; the kinds are TensorCore's Activation raw values.
INLINE float relu(float x) { return x < 0.0f ? 0.0f : x; }
INLINE float quick_gelu(float x) { return x * fast_sigmoid(1.702f * x); }
INLINE float quick_gelu_slope(float x, float *y) {
    float gate = fast_sigmoid(1.702f * x);
    *y = x * gate;
    return gate + 1.702f * x * gate * (1.0f - gate);
}
// x Phi(x) = max(x, 0) - |x| tail; the tail is 0 where |x| is cut
INLINE float less_tail(float x, float tail) { return relu(x) - (fabsf(x) < 16.0f ? fabsf(x) : 16.0f) * tail; }
INLINE float erf_gelu(float x) { return less_tail(x, normal_tail(x, fast_gauss(x))); }
INLINE float erf_gelu_slope(float x, float *y) {
    float e = fast_gauss(x), tail = normal_tail(x, e);
    *y = less_tail(x, tail);
    return (x < 0.0f ? tail : 1.0f - tail) + x * 0.39894228f * e;
}
// tanh(u) = 2 sigmoid(2u) - 1, so x/2 (1 + tanh(u)) = x sigmoid(2u)
INLINE float tanh_gelu(float x) { return x * fast_sigmoid(1.59576912f * (x + 0.044715f * x * x * x)); }
INLINE float tanh_gelu_slope(float x, float *y) {
    float gate = fast_sigmoid(1.59576912f * (x + 0.044715f * x * x * x));
    *y = x * gate;
    return gate + x * gate * (1.0f - gate) * 1.59576912f * (1.0f + 0.134145f * x * x);
}
INLINE float relu_slope(float x, float *y) {
    *y = relu(x);
    return x > 0.0f ? 1.0f : 0.0f;
}
INLINE float tanh_slope(float x, float *y) {
    *y = tanhf(x);
    return 1.0f - *y * *y;
}

#endif
