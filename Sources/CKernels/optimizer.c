#include "simd.h"

CLONES void ck_adamw(ck_int n, float *parameter, const float *gradient, float *mean, float *square,
                     float gradient_factor, float share1, float beta2, float share2, float decay, float step_size,
                     float correction2, float epsilon) {
    for (ck_int i = 0; i < n; i++) {
        float g = gradient[i] * gradient_factor;
        float m = mean[i] + (g - mean[i]) * share1;
        float v = square[i] * beta2 + g * g * share2;
        mean[i] = m;
        square[i] = v;
        parameter[i] = parameter[i] * decay - step_size * (m / (sqrtf(v) / correction2 + epsilon));
    }
}
