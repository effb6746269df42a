#include "simd.h"

CLONES void ck_softmax_scores(ck_int queries, ck_int keys, ck_int ld, float scale, int causal, float *scores,
                              float *log_sum_exp, ck_int lse_stride) {
    REASSOCIATE
    for (ck_int r = 0; r < queries; r++) {
        float *row = scores + r * ld;
        ck_int seen = causal ? r + 1 : keys;
        float top = -INFINITY;
        for (ck_int i = 0; i < seen; i++) top = row[i] > top ? row[i] : top;
        top *= scale;
        float sum = 0;
        for (ck_int i = 0; i < seen; i++) {
            float e = fast_exp(row[i] * scale - top);
            row[i] = e;
            sum += e;
        }
        float share = 1.0f / sum;
        for (ck_int i = 0; i < seen; i++) row[i] *= share;
        for (ck_int i = seen; i < keys; i++) row[i] = 0;
        log_sum_exp[r * lse_stride] = top + logf(sum);
    }
}

CLONES void ck_probabilities(ck_int queries, ck_int keys, ck_int ld, float scale, int causal, float *scores,
                             const float *log_sum_exp, ck_int lse_stride) {
    for (ck_int r = 0; r < queries; r++) {
        float *row = scores + r * ld;
        float lse = log_sum_exp[r * lse_stride];
        ck_int seen = causal ? r + 1 : keys;
        for (ck_int i = 0; i < seen; i++) row[i] = fast_exp(row[i] * scale - lse);
        for (ck_int i = seen; i < keys; i++) row[i] = 0;
    }
}

CLONES void ck_score_gradient(ck_int queries, ck_int keys, ck_int ld, ck_int width, ck_int row, float scale,
                              const float *p, const float *y, const float *dy, float *dp) {
    REASSOCIATE
    for (ck_int r = 0; r < queries; r++) {
        float along = 0;
        for (ck_int i = 0; i < width; i++) along += y[r * row + i] * dy[r * row + i];
        for (ck_int i = 0; i < keys; i++) dp[r * ld + i] = p[r * ld + i] * (dp[r * ld + i] - along) * scale;
    }
}
