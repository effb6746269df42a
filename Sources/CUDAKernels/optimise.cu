// AdamW (arXiv:1711.05101) on all parameters in one launch; a block a chunk of 8,192 values.
#include "kernel.h"

// norm = sqrt(sum of squares), added in order; verdict: what gradients are multiplied by, and 1 where loss and norm are finite.
KERNEL(32, adamw_norm, double *norm, float *verdict, const double *squares, int count, const float *loss, double clip) {
    if (threadIdx.x) return;
    double sum = 0;
    for (int i = 0; i < count; i++) sum += squares[i];
    sum = sqrt(sum);
    *norm = sum;
    bool isFinite = sum - sum == 0 && *loss - *loss == 0;
    double factor = clip / (sum + 1e-6);
    verdict[0] = isFinite && clip >= 0 && factor < 1 ? (float)factor : 1;
    verdict[1] = isFinite ? 1 : 0;
}

struct Update { float *parameter; const float *gradient; float *mean, *square; u64 count, firstChunk; u64 decays; };
struct Hyper { float decay, beta1, rest1, beta2, rest2, rate, correction, epsilon; };
DENSE_KERNEL(256, 2, adamw, const Update *table, int updates, const float *verdict, Hyper h) {
    if (verdict[1] == 0) return;
    float factor = verdict[0];
    int low = 0, high = updates - 1;
    while (low < high) {
        int middle = (low + high + 1) / 2;
        if (table[middle].firstChunk <= blockIdx.x) low = middle;
        else high = middle - 1;
    }
    Update u = table[low];
    float keep = u.decays ? h.decay : 1;
    u64 begin = (blockIdx.x - u.firstChunk) * 8192, end = begin + 8192 < u.count ? begin + 8192 : u.count;
    for (u64 i = begin + threadIdx.x; i < end; i += 256) {
        float slope = u.gradient[i] * factor;
        float m = h.beta1 * u.mean[i] + h.rest1 * slope, v = h.beta2 * u.square[i] + h.rest2 * slope * slope;
        u.mean[i] = m;
        u.square[i] = v;
        u.parameter[i] = u.parameter[i] * keep - h.rate * m / (sqrtf(v) * h.correction + h.epsilon);
    }
}
