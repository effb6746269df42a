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

typedef uint8_t bytes8 __attribute__((vector_size(8), aligned(1)));
typedef uint8_t bytes16 __attribute__((vector_size(16), aligned(1)));
typedef int32_t lanes __attribute__((vector_size(32)));

// 8 x 8 bytes the other way round
static inline __attribute__((always_inline)) void transpose(const uint8_t *in, ptrdiff_t in_row, uint8_t *out,
                                                            ptrdiff_t out_row) {
    bytes8 r[8];
    for (int i = 0; i < 8; i++) r[i] = *(const bytes8 *)(in + i * in_row);
    bytes16 pairs[4], fours[4];
    for (int i = 0; i < 4; i++)
        pairs[i] = __builtin_shufflevector(r[2 * i], r[2 * i + 1], 0, 8, 1, 9, 2, 10, 3, 11, 4, 12, 5, 13, 6, 14, 7, 15);
    for (int i = 0; i < 2; i++) {
        fours[2 * i] = __builtin_shufflevector(pairs[2 * i], pairs[2 * i + 1], 0, 1, 16, 17, 2, 3, 18, 19, 4, 5, 20, 21, 6,
                                               7, 22, 23);
        fours[2 * i + 1] = __builtin_shufflevector(pairs[2 * i], pairs[2 * i + 1], 8, 9, 24, 25, 10, 11, 26, 27, 12, 13,
                                                   28, 29, 14, 15, 30, 31);
    }
    for (int i = 0; i < 2; i++) {
        bytes16 low = __builtin_shufflevector(fours[i], fours[2 + i], 0, 1, 2, 3, 16, 17, 18, 19, 4, 5, 6, 7, 20, 21, 22, 23);
        bytes16 high = __builtin_shufflevector(fours[i], fours[2 + i], 8, 9, 10, 11, 24, 25, 26, 27, 12, 13, 14, 15, 28, 29,
                                               30, 31);
        *(bytes8 *)(out + (4 * i) * out_row) = __builtin_shufflevector(low, low, 0, 1, 2, 3, 4, 5, 6, 7);
        *(bytes8 *)(out + (4 * i + 1) * out_row) = __builtin_shufflevector(low, low, 8, 9, 10, 11, 12, 13, 14, 15);
        *(bytes8 *)(out + (4 * i + 2) * out_row) = __builtin_shufflevector(high, high, 0, 1, 2, 3, 4, 5, 6, 7);
        *(bytes8 *)(out + (4 * i + 3) * out_row) = __builtin_shufflevector(high, high, 8, 9, 10, 11, 12, 13, 14, 15);
    }
}

// A matrix of bytes [8, columns] to [columns, 8], or back
static inline __attribute__((always_inline)) void to_columns(const uint8_t *in, ptrdiff_t row, ptrdiff_t columns,
                                                             uint8_t *out) {
    ptrdiff_t i = 0;
    for (; i + 8 <= columns; i += 8) transpose(in + i, row, out + i * 8, 8);
    for (; i < columns; i++)
        for (int r = 0; r < 8; r++) out[i * 8 + r] = in[r * row + i];
}

static inline __attribute__((always_inline)) void to_rows(const uint8_t *in, ptrdiff_t columns, uint8_t *out,
                                                          ptrdiff_t row) {
    ptrdiff_t i = 0;
    for (; i + 8 <= columns; i += 8) transpose(in + i * 8, 8, out + i, row);
    for (; i < columns; i++)
        for (int r = 0; r < 8; r++) out[r * row + i] = in[i * 8 + r];
}

// Eight rows at a time, a row to a lane; what is left over goes pixel by pixel.
CLONES void cp_resample_horizontal(const uint8_t *in, uint8_t *out, ptrdiff_t height, ptrdiff_t width,
                                   ptrdiff_t out_width, const int32_t *first, const int32_t *count,
                                   const int32_t *weights, ptrdiff_t taps, uint8_t *scratch) {
    uint8_t *columns = scratch, *results = scratch + width * 3 * 8;
    ptrdiff_t y = 0;
    for (; y + 8 <= height; y += 8) {
        to_columns(in + y * width * 3, width * 3, width * 3, columns);
        for (ptrdiff_t x = 0; x < out_width; x++) {
            const int32_t *k = weights + x * taps;
            const uint8_t *p = columns + (ptrdiff_t)first[x] * 24;
            lanes sum[3];
            for (int c = 0; c < 3; c++) sum[c] = (lanes){0} + (1 << (BITS - 1));
            for (int32_t i = 0; i < count[x]; i++)
                for (int c = 0; c < 3; c++)
                    sum[c] += __builtin_convertvector(*(const bytes8 *)(p + i * 24 + c * 8), lanes) * k[i];
            for (int c = 0; c < 3; c++) {
                lanes value = sum[c] >> BITS;
                value = __builtin_elementwise_min(__builtin_elementwise_max(value, (lanes){0}), (lanes){0} + 255);
                *(bytes8 *)(results + x * 24 + c * 8) = __builtin_convertvector(value, bytes8);
            }
        }
        to_rows(results, out_width * 3, out + y * out_width * 3, out_width * 3);
    }
    for (; y < height; y++) {
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
