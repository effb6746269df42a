#include "simd.h"

// Rounded after each product, as PyTorch's mul_ and addcmul_ are.
INLINE float decayed_square(float v, float beta2, float share2, float g) {
    _Pragma("clang fp contract(off)")
    v = v * beta2;
    return v + share2 * g * g;
}

// sqrtf may set errno, which keeps a loop from being vectorised.
INLINE float root(float x) { return __builtin_elementwise_sqrt(x); }

CLONES void ck_adamw(ck_int n, float *parameter, const float *gradient, float *mean, float *square,
                     float gradient_factor, float share1, float beta2, float share2, float decay, float step_size,
                     float correction2, float epsilon) {
    for (ck_int i = 0; i < n; i++) {
        float g = gradient[i] * gradient_factor;
        float m = mean[i] + (g - mean[i]) * share1;
        float v = decayed_square(square[i], beta2, share2, g);
        mean[i] = m;
        square[i] = v;
        parameter[i] = parameter[i] * decay - step_size * (m / (root(v) / correction2 + epsilon));
    }
}
