// The contrastive losses over a tile of cosines [rows, columns], whose first row and column stand at rowFirst and columnFirst
// of all pairs. With s = exp(log scale) a logit is s cosine.
#include "kernel.h"

// A sum of exponentials as its largest exponent and the sum beside it: merged in a fixed order.
struct LogSum { float top, sum; };
DEVICE LogSum merged(LogSum a, LogSum b) {
    float top = fmaxf(a.top, b.top);
    if (top == -INFINITE) return {top, 0};
    return {top, a.sum * expf(a.top - top) + b.sum * expf(b.top - top)};
}

// Of each row: its log-sum merged into sums[row] (begun where `first`), and its own pair's logit where the tile holds it. A
// block a row.
KERNEL(256, row_log_sums, LogSum *sums, float *own, const float *tile, const float *logScale, int columns, int rowFirst,
       int columnFirst, int first) {
    SHARED(LogSum, scratch);  // [8]
    float scale = expf(*logScale);
    const float *row = tile + (u64)blockIdx.x * columns;
    LogSum mine = {-INFINITE, 0};
    for (int c = threadIdx.x; c < columns; c += 256) mine = merged(mine, {scale * row[c], 1});
    for (int lanes = 16; lanes; lanes >>= 1)
        mine = merged(mine, {shuffle_xor(mine.top, lanes), shuffle_xor(mine.sum, lanes)});
    if ((threadIdx.x & 31) == 0) scratch[threadIdx.x >> 5] = mine;
    sync_block();
    if (threadIdx.x) return;
    for (int w = 1; w < 8; w++) mine = merged(mine, scratch[w]);
    sums[blockIdx.x] = first ? mine : merged(sums[blockIdx.x], mine);
    int match = rowFirst + blockIdx.x - columnFirst;
    if (match >= 0 && match < columns) own[blockIdx.x] = scale * row[match];
}
// Of each column: parts [gridDim.y][columns], of 64 rows each.
KERNEL(128, column_log_sum_parts, LogSum *parts, const float *tile, const float *logScale, int rows, int columns) {
    int column = blockIdx.x * 128 + threadIdx.x;
    if (column >= columns) return;
    float scale = expf(*logScale);
    int end = blockIdx.y * 64 + 64 < rows ? blockIdx.y * 64 + 64 : rows;
    LogSum mine = {-INFINITE, 0};
    for (int row = blockIdx.y * 64; row < end; row++) mine = merged(mine, {scale * tile[(u64)row * columns + column], 1});
    parts[(u64)blockIdx.y * columns + column] = mine;
}
KERNEL(128, merge_log_sums, LogSum *sums, const LogSum *parts, int count, int columns, int first) {
    int column = blockIdx.x * 128 + threadIdx.x;
    if (column >= columns) return;
    LogSum mine = first ? LogSum{-INFINITE, 0} : sums[column];
    for (int p = 0; p < count; p++) mine = merged(mine, parts[(u64)p * columns + column]);
    sums[column] = mine;
}
KERNEL(128, finish_log_sums, float *y, const LogSum *sums, int count) {
    int i = blockIdx.x * 128 + threadIdx.x;
    if (i < count) y[i] = sums[i].top + logf(sums[i].sum);
}

// The tile becomes share s d(sum of losses)/d logit, and parts [rows][3] of loss, d/d log scale and d/d bias gain (are begun
// with, where `first`) those of its rows, undivided. rowSums: nil for sigmoid. own of all rows where both sides' parts are
// wanted, nil where this side's alone: its row's is ownOfRow. A block a row.
struct Slopes {
    const float *rowSums, *ownOfRow, *columnSums, *own, *logScale, *bias;
    float share;
    int columns, rowFirst, columnFirst, first;
};
KERNEL(256, contrastive_slopes, float *tile, double *parts, Slopes s) {
    SHARED(double, scratch);  // [8]
    float scale = expf(*s.logScale), bias = s.bias ? *s.bias : 0;
    float *row = tile + (u64)blockIdx.x * s.columns;
    int match = s.rowFirst + blockIdx.x - s.columnFirst;
    double loss = 0, along = 0, slopes = 0;
    float rowSum = s.rowSums ? s.rowSums[blockIdx.x] : 0, ownLogit = s.rowSums ? s.ownOfRow[blockIdx.x] : 0;
    for (int c = threadIdx.x; c < s.columns; c += 256) {
        float logit = scale * row[c], slope;
        if (s.rowSums) {
            float mine = expf(logit - rowSum), theirs = expf(logit - s.columnSums[c]);
            slope = mine + theirs - (c == match ? 2 : 0);
            along += mine * (logit - ownLogit);
            if (s.own) along += theirs * (logit - s.own[c]);
        } else {
            float z = logit + bias;
            slope = 1 / (1 + expf(-z)) - (c == match ? 1 : 0);
            loss += (z > 0 ? z : 0) + log1pf(expf(-fabsf(z))) - (c == match ? z : 0);
            along += (double)slope * logit;
            slopes += slope;
        }
        row[c] = s.share * scale * slope;
    }
    loss = sum_block<8>(loss, scratch);
    along = sum_block<8>(along, scratch);
    slopes = sum_block<8>(slopes, scratch);
    if (threadIdx.x) return;
    if (s.rowSums && match >= 0 && match < s.columns)
        loss = rowSum - ownLogit + (s.own ? s.columnSums[match] - ownLogit : 0);
    double *mine = parts + (u64)blockIdx.x * 3;
    mine[0] = loss + (s.first ? 0 : mine[0]);
    mine[1] = along + (s.first ? 0 : mine[1]);
    mine[2] = slopes + (s.first ? 0 : mine[2]);
}
// loss, dLogScale and dBias of parts [rows][3], times share; a block.
KERNEL(256, sum_contrastive_parts, float *loss, float *dLogScale, float *dBias, const double *parts, int rows, float share) {
    SHARED(double, scratch);  // [8]
    double sum[3] = {};
    for (int row = threadIdx.x; row < rows; row += 256)
        for (int k = 0; k < 3; k++) sum[k] += parts[(u64)row * 3 + k];
    for (int k = 0; k < 3; k++) sum[k] = sum_block<8>(sum[k], scratch) * share;
    if (threadIdx.x == 0) *loss = (float)sum[0], *dLogScale = (float)sum[1], *dBias = (float)sum[2];
}
