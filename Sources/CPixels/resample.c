#include "CPixels.h"

#if defined(__x86_64__) && defined(__linux__)
#define CLONES __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define CLONES
#endif

#define BITS 22

static inline __attribute__((always_inline)) uint8_t clip(int32_t value) {
    value >>= BITS;
    return (uint8_t)(value < 0 ? 0 : value > 255 ? 255 : value);
}

CLONES void cp_resample_horizontal(const uint8_t *in, uint8_t *out, ptrdiff_t height, ptrdiff_t width,
                                   ptrdiff_t out_width, const int32_t *first, const int32_t *count,
                                   const int32_t *weights, ptrdiff_t taps) {
    for (ptrdiff_t y = 0; y < height; y++) {
        const uint8_t *row = in + y * width * 3;
        for (ptrdiff_t x = 0; x < out_width; x++) {
            const int32_t *k = weights + x * taps;
            const uint8_t *p = row + (ptrdiff_t)first[x] * 3;
            int32_t r = 1 << (BITS - 1), g = r, b = r;
            for (int32_t i = 0; i < count[x]; i++) {
                r += p[3 * i] * k[i];
                g += p[3 * i + 1] * k[i];
                b += p[3 * i + 2] * k[i];
            }
            uint8_t *q = out + (y * out_width + x) * 3;
            q[0] = clip(r);
            q[1] = clip(g);
            q[2] = clip(b);
        }
    }
}

CLONES void cp_resample_vertical(const uint8_t *in, uint8_t *out, ptrdiff_t row, ptrdiff_t out_height,
                                 const int32_t *first, const int32_t *count, const int32_t *weights, ptrdiff_t taps) {
    enum { STRIP = 64 };
    for (ptrdiff_t y = 0; y < out_height; y++) {
        const int32_t *k = weights + y * taps;
        const uint8_t *top = in + (ptrdiff_t)first[y] * row;
        for (ptrdiff_t start = 0; start < row; start += STRIP) {
            ptrdiff_t width = row - start < STRIP ? row - start : STRIP;
            int32_t sums[STRIP];
            for (ptrdiff_t i = 0; i < STRIP; i++) sums[i] = 1 << (BITS - 1);
            if (width == STRIP) {
                for (int32_t j = 0; j < count[y]; j++)
                    for (ptrdiff_t i = 0; i < STRIP; i++) sums[i] += top[j * row + start + i] * k[j];
            } else {
                for (int32_t j = 0; j < count[y]; j++)
                    for (ptrdiff_t i = 0; i < width; i++) sums[i] += top[j * row + start + i] * k[j];
            }
            for (ptrdiff_t i = 0; i < width; i++) out[y * row + start + i] = clip(sums[i]);
        }
    }
}

void cp_to_planes(const uint8_t *in, float *out, ptrdiff_t pixels, const float *table) {
    for (ptrdiff_t i = 0; i < pixels; i++) {
        out[i] = table[in[3 * i]];
        out[pixels + i] = table[256 + in[3 * i + 1]];
        out[2 * pixels + i] = table[512 + in[3 * i + 2]];
    }
}
