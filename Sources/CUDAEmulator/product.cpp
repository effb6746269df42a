#include "emulator.h"

#include "CUDAEmulator.h"

static float load(const void *values, size_t at, int element) {
    return element ? bits_as_float((u32)((const u16 *)values)[at] << 16) : ((const float *)values)[at];
}

void emulator_product(
    int m, int n, int k, const void *a, int transposed_a, const void *b, int transposed_b, int operands, const void *bias,
    const void *more, void *c, int result) {
    std::vector<float> right((size_t)k * n), line(n);  // b [k,n]
    for (int l = 0; l < k; l++)
        for (int j = 0; j < n; j++)
            right[(size_t)l * n + j] = load(b, transposed_b ? (size_t)j * k + l : (size_t)l * n + j, operands);
    for (int i = 0; i < m; i++) {
        std::fill(line.begin(), line.end(), 0.f);
        for (int l = 0; l < k; l++) {
            float x = load(a, transposed_a ? (size_t)l * m + i : (size_t)i * k + l, operands);
            const float *row = &right[(size_t)l * n];
            for (int j = 0; j < n; j++) line[j] += x * row[j];
        }
        for (int j = 0; j < n; j++) {
            size_t at = (size_t)i * n + j;
            float value = line[j] + (bias ? load(bias, j, result) : 0) + (more ? load(more, at, result) : 0);
            if (result) ((u16 *)c)[at] = (u16)rounded_bf16(value);
            else ((float *)c)[at] = value;
        }
    }
}
