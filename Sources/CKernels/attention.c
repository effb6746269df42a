#include "simd.h"

// Rows are taken eight elements at a time, into the room that their leading dimension leaves. The softmax makes each of
// its three passes over many rows before the next, so that one row need not wait for another.
typedef float eight __attribute__((vector_size(32), aligned(4)));
typedef int32_t eight_integers __attribute__((vector_size(32), aligned(4)));

// x [8], -infinity from the count-th on
INLINE void take_eight(const float *row, ck_int count, eight *restrict x) {
    const eight_integers index = {0, 1, 2, 3, 4, 5, 6, 7};
    const eight_integers is_seen = index < (int32_t)(count < 8 ? count : 8);
    const eight_integers none = (eight_integers)((eight){0} - INFINITY);
    *x = (eight)(((eight_integers) * (const eight *)row & is_seen) | (none & ~is_seen));
}

// fast_exp, written out: left to the compiler its loops with a sum are not vectorised.
INLINE void exp_of_eight(eight *restrict x, float scale, float shift) {
    eight y = *x * scale - shift;
    const eight_integers seen = y >= -87.3f, not_a_number = y != y;
    y = __builtin_elementwise_min(__builtin_elementwise_max(y, (eight){0} - 87.3f), (eight){0} + 88.3f);
    const eight shifted = y * 1.44269504f + 12582912.0f;
    const eight n = shifted - 12582912.0f;
    eight r = y - n * 0.693359375f;
    r = r - n * -2.12194440e-4f;
    eight p = (eight){0} + 1.98412698e-4f;
    p = p * r + 1.38888889e-3f;
    p = p * r + 8.33333333e-3f;
    p = p * r + 4.16666667e-2f;
    p = p * r + 1.66666667e-1f;
    p = p * r + 0.5f;
    p = p * r * r + r + 1.0f;
    const eight_integers power = ((eight_integers)shifted << 23) + (eight_integers)p;
    *x = (eight)((power & seen) | not_a_number);
}

enum { SOFTMAX_ROWS = 32 };

CLONES void ck_softmax_scores(ck_int queries, ck_int keys, ck_int ld, float scale, int causal, float *scores,
                              float *log_sum_exp, ck_int lse_stride) {
    for (ck_int first = 0; first < queries; first += SOFTMAX_ROWS) {
        const ck_int rows = queries - first < SOFTMAX_ROWS ? queries - first : SOFTMAX_ROWS;
        float tops[SOFTMAX_ROWS], totals[SOFTMAX_ROWS];
        for (ck_int r = 0; r < rows; r++) {
            const float *row = scores + (first + r) * ld;
            const ck_int seen = causal ? first + r + 1 : keys;
            eight most = (eight){0} - INFINITY, x;
            for (ck_int i = 0; i < seen; i += 8) {
                take_eight(row + i, seen - i, &x);
                most = __builtin_elementwise_max(most, x);
            }
            float top = most[0];
            for (int i = 1; i < 8; i++) top = most[i] > top ? most[i] : top;
            tops[r] = top * scale;
        }
        for (ck_int r = 0; r < rows; r++) {
            float *row = scores + (first + r) * ld;
            const ck_int seen = causal ? first + r + 1 : keys;
            eight sums = {0}, x;
            for (ck_int i = 0; i < seen; i += 8) {
                take_eight(row + i, seen - i, &x);
                exp_of_eight(&x, scale, tops[r]);
                *(eight *)(row + i) = x;
                sums += x;
            }
            totals[r] = 0;
            for (int i = 0; i < 8; i++) totals[r] += sums[i];
        }
        for (ck_int r = 0; r < rows; r++) {
            float *row = scores + (first + r) * ld;
            const ck_int seen = causal ? first + r + 1 : keys;
            const float share = 1.0f / totals[r];
            ck_int i = 0;
            for (; i < seen; i += 8) *(eight *)(row + i) *= share;
            for (; i < keys; i += 8) *(eight *)(row + i) = (eight){0};
            log_sum_exp[(first + r) * lse_stride] = tops[r] + logf(totals[r]);
        }
    }
}

CLONES void ck_probabilities(ck_int queries, ck_int keys, ck_int ld, float scale, int causal, float *scores,
                             const float *log_sum_exp, ck_int lse_stride) {
    for (ck_int r = 0; r < queries; r++) {
        float *row = scores + r * ld;
        const ck_int seen = causal ? r + 1 : keys;
        ck_int i = 0;
        for (; i < seen; i += 8) {
            eight x;
            take_eight(row + i, seen - i, &x);
            exp_of_eight(&x, scale, log_sum_exp[r * lse_stride]);
            *(eight *)(row + i) = x;
        }
        for (; i < keys; i += 8) *(eight *)(row + i) = (eight){0};
    }
}

CLONES void ck_score_gradient(ck_int queries, ck_int keys, ck_int ld, ck_int width, ck_int row, float scale,
                              const float *restrict p, const float *y, const float *dy, float *restrict dp) {
    REASSOCIATE
    for (ck_int r = 0; r < queries; r++) {
        float along = 0;
        for (ck_int i = 0; i < width; i++) along += y[r * row + i] * dy[r * row + i];
        const float *share = p + r * ld;
        float *slope = dp + r * ld;
        for (ck_int i = 0; i < keys; i += 8)
            *(eight *)(slope + i) = *(const eight *)(share + i) * (*(const eight *)(slope + i) - along) * scale;
    }
}
