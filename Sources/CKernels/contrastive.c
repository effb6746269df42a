#include "simd.h"

CLONES void ck_block_log_sum(ck_int rows, ck_int columns, const float *cosines, float scale, float *row_max,
                             float *row_sum, float *column_max, float *column_sum) {
    _Pragma("clang fp reassociate(on) contract(off)")
    for (ck_int j = 0; j < columns; j++) column_max[j] = -INFINITY;
    for (ck_int r = 0; r < rows; r++) {
        const float *row = cosines + r * columns;
        float top = -INFINITY;
        for (ck_int j = 0; j < columns; j++) {
            top = row[j] > top ? row[j] : top;
            column_max[j] = row[j] > column_max[j] ? row[j] : column_max[j];
        }
        row_max[r] = top * scale;
    }
    for (ck_int j = 0; j < columns; j++) {
        column_max[j] *= scale;
        column_sum[j] = 0;
    }
    for (ck_int r = 0; r < rows; r++) {
        const float *row = cosines + r * columns;
        float sum = 0, top = row_max[r];
        for (ck_int j = 0; j < columns; j++) {
            sum += fast_exp(row[j] * scale - top);
            column_sum[j] += fast_exp(row[j] * scale - column_max[j]);
        }
        row_sum[r] = sum;
    }
}

CLONES double ck_softmax_slopes(ck_int rows, ck_int columns, float *cosines, float scale, const float *row_lse,
                                const float *column_lse, const float *row_own, const float *column_own, ck_int diagonal) {
    // No fused multiply-add here: logit - lse must be exactly 0 where a row has one logit only.
    _Pragma("clang fp reassociate(on) contract(off)")
    double total = 0;
    for (ck_int r = 0; r < rows; r++) {
        float *row = cosines + r * columns;
        float lse = row_lse[r], own = row_own[r], sum = 0;
        for (ck_int j = 0; j < columns; j++) {
            float logit = row[j] * scale;
            float by_row = fast_exp(logit - lse), by_column = fast_exp(logit - column_lse[j]);
            row[j] = by_row + by_column;
            // Each share against the distance to its own pair's logit: no large terms that cancel.
            sum += by_row * (logit - own) + by_column * (logit - column_own[j]);
        }
        ck_int match = diagonal + r;
        if (match >= 0 && match < columns) row[match] -= 2.0f;
        total += sum;
    }
    return total;
}

CLONES void ck_sigmoid_slopes(ck_int rows, ck_int columns, float *cosines, float scale, float bias, ck_int diagonal,
                              double *sums) {
    REASSOCIATE
    for (ck_int r = 0; r < rows; r++) {
        float *row = cosines + r * columns;
        float loss = 0, along = 0, slopes = 0, own = 0;
        ck_int match = diagonal + r;
        int here = match >= 0 && match < columns;
        if (here) own = row[match] * scale;
        for (ck_int j = 0; j < columns; j++) {
            float scaled = row[j] * scale, logit = scaled + bias;
            float slope = fast_sigmoid(logit);
            loss += (logit > 0.0f ? logit : 0.0f) + log1p_exp_negative(fabsf(logit));
            row[j] = slope;
            along += slope * scaled;
            slopes += slope;
        }
        if (here) {
            row[match] -= 1.0f;
            loss -= own + bias;
            along -= own;
            slopes -= 1.0f;
        }
        sums[0] += loss;
        sums[1] += along;
        sums[2] += slopes;
    }
}

CLONES void ck_row_log_sum(ck_int rows, ck_int columns, const float *cosines, float scale, float *row_max,
                           float *row_sum) {
    _Pragma("clang fp reassociate(on) contract(off)")
    for (ck_int r = 0; r < rows; r++) {
        const float *row = cosines + r * columns;
        float top = -INFINITY, sum = 0;
        for (ck_int j = 0; j < columns; j++) top = row[j] > top ? row[j] : top;
        top *= scale;
        for (ck_int j = 0; j < columns; j++) sum += fast_exp(row[j] * scale - top);
        row_max[r] = top;
        row_sum[r] = sum;
    }
}

CLONES void ck_strip_softmax(ck_int rows, ck_int columns, float *cosines, float scale, const float *mine,
                             const float *own, const float *others, ck_int diagonal, double *along) {
    _Pragma("clang fp reassociate(on) contract(off)")
    for (ck_int r = 0; r < rows; r++) {
        float *row = cosines + r * columns;
        float lse = mine[r], match = own[r], sum = 0;
        for (ck_int j = 0; j < columns; j++) {
            float logit = row[j] * scale;
            float by_row = fast_exp(logit - lse);
            row[j] = by_row + fast_exp(logit - others[j]);
            sum += by_row * (logit - match);
        }
        ck_int pair = diagonal + r;
        if (pair >= 0 && pair < columns) row[pair] -= 2.0f;
        along[r] += sum;
    }
}
