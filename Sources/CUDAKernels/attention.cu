// Attention over packed sequences, never holding a score matrix (Dao 2023, arXiv:2307.08691): bf16 by the matrix units for
// heads of up to 128, and plainly, a warp a row, for every element and width up to 256.
#include "kernel.h"

template <class T> struct Operands {
    const T *query, *key, *value;
    int queryStride, keyStride, valueStride;
    const int *queryOffsets, *keyOffsets;
    int heads, width;
    float scale;
    int causal, tiles;  // tiles of the longest sequence: blocks are tile, then head, then sequence
};
template <class T> struct Gradients {
    const T *y, *dy;  // [M, heads width]
    const float *logSumExp, *along;  // [M, heads]; along: y dy of each row and head
    T *dQuery, *dKey, *dValue;
    int dQueryStride, dKeyStride, dValueStride;
};
struct Place { int tile, head, sequence; };
DEVICE Place place(int tiles, int heads) {
    int x = blockIdx.x;
    return {x % tiles, x / tiles % heads, x / tiles / heads};
}

// along[row, head] = sum of y dy over the head's width; a warp each.
template <class T> DEVICE void attention_along(float *along, const T *y, const T *dy, int heads, int width, u64 count) {
    u64 i = (u64)blockIdx.x * 4 + (threadIdx.x >> 5);
    int lane = threadIdx.x & 31;
    if (i >= count) return;
    float sum = 0;
    for (int c = lane; c < width; c += 32) sum += read(y + i * width + c) * read(dy + i * width + c);
    sum = sum_warp(sum);
    if (lane == 0) along[i] = sum;
}

// ---- plain: 4 warps a block, a row each; lanes hold 32 rows of the other side, then the columns of a sum.

enum { columnsOfLane = 8 };
template <class T> DEVICE float dot(const float *shared, const T *row, int width) {
    float sum = 0;
    UNROLL_BY(1) for (int c = 0; c < width; c++) sum += shared[c] * read(row + c);
    return sum;
}
// sum[k] += sum over the lanes' weights of their rows, of which there are `count`.
template <class T>
DEVICE void add_rows(float (&sum)[columnsOfLane], float weight, const T *rows, int stride, int count, int width) {
    int lane = threadIdx.x & 31;
    UNROLL_BY(1) for (int j = 0; j < count; j++) {
        float w = shuffle(weight, j);
        UNROLL for (int k = 0; k < columnsOfLane; k++)
            if (lane + 32 * k < width) sum[k] += w * read(rows + (u64)j * stride + lane + 32 * k);
    }
}

template <class T> DEVICE void attention_plain(T *y, float *logSumExp, Operands<T> x) {
    SHARED(float, shared);  // [4][width]
    Place at = place(x.tiles, x.heads);
    int warp = threadIdx.x >> 5, lane = threadIdx.x & 31;
    int row = x.queryOffsets[at.sequence] + at.tile * 4 + warp, kFirst = x.keyOffsets[at.sequence];
    if (row >= x.queryOffsets[at.sequence + 1]) return;
    int kEnd = x.causal ? kFirst + at.tile * 4 + warp + 1 : x.keyOffsets[at.sequence + 1];
    float *query = shared + warp * x.width;
    for (int c = lane; c < x.width; c += 32) query[c] = read(x.query + (u64)row * x.queryStride + at.head * x.width + c);
    sync_warp();
    const T *key = x.key + at.head * x.width, *value = x.value + at.head * x.width;
    float out[columnsOfLane] = {}, top = -INFINITE, sum = 0;
    for (int first = kFirst; first < kEnd; first += 32) {
        int count = kEnd - first < 32 ? kEnd - first : 32;
        int other = first + (lane < count ? lane : 0);  // no lane goes another way: a branch costs a barrier
        float score = x.scale * dot(query, key + (u64)other * x.keyStride, x.width);
        if (lane >= count) score = -INFINITE;
        float newTop = fmaxf(top, max_warp(score)), keep = expf(top - newTop), weight = expf(score - newTop);
        sum = sum * keep + sum_warp(weight);
        top = newTop;
        UNROLL for (int k = 0; k < columnsOfLane; k++) out[k] *= keep;
        add_rows(out, weight, value + (u64)first * x.valueStride, x.valueStride, count, x.width);
    }
    UNROLL for (int k = 0; k < columnsOfLane; k++)
        if (lane + 32 * k < x.width) write(y + ((u64)row * x.heads + at.head) * x.width + lane + 32 * k, out[k] / sum);
    if (lane == 0) logSumExp[(u64)row * x.heads + at.head] = top + logf(sum);
}

template <class T> DEVICE void attention_query_gradient_plain(Operands<T> x, Gradients<T> g) {
    SHARED(float, shared);  // [4][2 width]
    Place at = place(x.tiles, x.heads);
    int warp = threadIdx.x >> 5, lane = threadIdx.x & 31;
    int row = x.queryOffsets[at.sequence] + at.tile * 4 + warp, kFirst = x.keyOffsets[at.sequence];
    if (row >= x.queryOffsets[at.sequence + 1]) return;
    int kEnd = x.causal ? kFirst + at.tile * 4 + warp + 1 : x.keyOffsets[at.sequence + 1];
    float *query = shared + warp * 2 * x.width, *dy = query + x.width;
    u64 head = (u64)row * x.heads + at.head;
    for (int c = lane; c < x.width; c += 32) {
        query[c] = read(x.query + (u64)row * x.queryStride + at.head * x.width + c);
        dy[c] = read(g.dy + head * x.width + c);
    }
    sync_warp();
    const T *key = x.key + at.head * x.width, *value = x.value + at.head * x.width;
    float out[columnsOfLane] = {};
    for (int first = kFirst; first < kEnd; first += 32) {
        int count = kEnd - first < 32 ? kEnd - first : 32;
        int other = first + (lane < count ? lane : 0);
        float p = expf(x.scale * dot(query, key + (u64)other * x.keyStride, x.width) - g.logSumExp[head]);
        float slope = p * (dot(dy, value + (u64)other * x.valueStride, x.width) - g.along[head]) * x.scale;
        add_rows(out, slope, key + (u64)first * x.keyStride, x.keyStride, count, x.width);
    }
    UNROLL for (int k = 0; k < columnsOfLane; k++) {
        int c = lane + 32 * k;
        if (c < x.width) write(g.dQuery + (u64)row * g.dQueryStride + at.head * x.width + c, out[k]);
    }
}

template <class T> DEVICE void attention_key_gradient_plain(Operands<T> x, Gradients<T> g) {
    SHARED(float, shared);  // [4][2 width]
    Place at = place(x.tiles, x.heads);
    int warp = threadIdx.x >> 5, lane = threadIdx.x & 31;
    int row = x.keyOffsets[at.sequence] + at.tile * 4 + warp;
    if (row >= x.keyOffsets[at.sequence + 1]) return;
    int qFirst = x.queryOffsets[at.sequence] + (x.causal ? at.tile * 4 + warp : 0), qEnd = x.queryOffsets[at.sequence + 1];
    float *key = shared + warp * 2 * x.width, *value = key + x.width;
    for (int c = lane; c < x.width; c += 32) {
        key[c] = read(x.key + (u64)row * x.keyStride + at.head * x.width + c);
        value[c] = read(x.value + (u64)row * x.valueStride + at.head * x.width + c);
    }
    sync_warp();
    const T *query = x.query + at.head * x.width, *dy = g.dy + at.head * x.width;
    int dyStride = x.heads * x.width;
    float outKey[columnsOfLane] = {}, outValue[columnsOfLane] = {};
    for (int first = qFirst; first < qEnd; first += 32) {
        int count = qEnd - first < 32 ? qEnd - first : 32;
        int other = first + (lane < count ? lane : 0);
        u64 head = (u64)other * x.heads + at.head;
        float p = expf(x.scale * dot(key, query + (u64)other * x.queryStride, x.width) - g.logSumExp[head]);
        float slope = p * (dot(value, dy + (u64)other * dyStride, x.width) - g.along[head]) * x.scale;
        add_rows(outKey, slope, query + (u64)first * x.queryStride, x.queryStride, count, x.width);
        add_rows(outValue, p, dy + (u64)first * dyStride, dyStride, count, x.width);
    }
    UNROLL for (int k = 0; k < columnsOfLane; k++) {
        int c = lane + 32 * k;
        if (c < x.width) {
            write(g.dKey + (u64)row * g.dKeyStride + at.head * x.width + c, outKey[k]);
            write(g.dValue + (u64)row * g.dValueStride + at.head * x.width + c, outValue[k]);
        }
    }
}

#define PLAIN(suffix, T)                                                                                              \
    KERNEL(128, attention_along_##suffix, float *along, const T *y, const T *dy, int heads, int width, u64 count) {   \
        attention_along(along, y, dy, heads, width, count);                                                           \
    }                                                                                                                 \
    KERNEL(128, attention_plain_##suffix, T *y, float *logSumExp, Operands<T> x) { attention_plain(y, logSumExp, x); } \
    KERNEL(128, attention_query_gradient_plain_##suffix, Operands<T> x, Gradients<T> g) {                             \
        attention_query_gradient_plain(x, g);                                                                         \
    }                                                                                                                 \
    KERNEL(128, attention_key_gradient_plain_##suffix, Operands<T> x, Gradients<T> g) {                               \
        attention_key_gradient_plain(x, g);                                                                           \
    }
PLAIN(f32, float)
PLAIN(bf16, bf16)

// ---- by the matrix units: a warp takes 16 rows.

// Rows of `padded` values in shared memory, 16 bytes apart from a multiple of 128: no two of 8 in one bank.
template <int padded> struct Tile { static constexpr int stride = padded + 8; };

// Rows first..<first + rows of a head, zeros from `end` on and beyond `width`.
template <int padded>
DEVICE void fetch(bf16 *tile, int rows, const bf16 *from, int stride, int first, int end, int width) {
    for (int i = threadIdx.x; i < rows * padded / 8; i += blockDim.x) {
        int row = i / (padded / 8), c = i % (padded / 8) * 8;
        bf16 *to = tile + row * Tile<padded>::stride + c;
        if (first + row < end && c < width) copy16_async(to, from + (u64)(first + row) * stride + c);
        else *(Word4 *)to = {0, 0, 0, 0};
    }
}
// The A fragment of rows 0..<16, columns 0..<16 from `corner`.
template <int padded> DEVICE void load_a(u32 (&a)[4], const bf16 *corner) {
    int lane = threadIdx.x & 31;
    load_matrices(a, corner + ((lane & 7) + (lane >> 3 & 1) * 8) * Tile<padded>::stride + (lane >> 4) * 8);
}
// The B fragments of two times 8 columns n of a [k,n] that stands as rows n of k values: b[0..1], b[2..3].
template <int padded> DEVICE void load_b(u32 (&b)[4], const bf16 *corner) {
    int lane = threadIdx.x & 31;
    load_matrices(b, corner + ((lane & 7) + (lane >> 4) * 8) * Tile<padded>::stride + (lane >> 3 & 1) * 8);
}
// The same where it stands as rows k of n values.
template <int padded> DEVICE void load_b_rows(u32 (&b)[4], const bf16 *corner) {
    int lane = threadIdx.x & 31;
    load_matrices_transposed(b, corner + (lane & 15) * Tile<padded>::stride + (lane >> 4) * 8);
}
// c [16, 8 tiles] += a [16, padded] rows of `other`^T; a stands in shared memory.
template <int padded, int tiles>
DEVICE void add_products(float (&c)[tiles][4], const bf16 *own, const bf16 *other) {
    UNROLL for (int k = 0; k < padded / 16; k++) {
        u32 a[4];
        load_a<padded>(a, own + k * 16);
        UNROLL for (int n = 0; n < tiles; n += 2) {
            u32 b[4];
            load_b<padded>(b, other + n * 8 * Tile<padded>::stride + k * 16);
            mma(c[n], a, b[0], b[1]);
            mma(c[n + 1], a, b[2], b[3]);
        }
    }
}
// c [16, padded] += w [16, 8 tiles], rounded to bf16, times the rows of `other`.
template <int padded, int tiles>
DEVICE void add_weighted(float (&c)[padded / 8][4], const float (&w)[tiles][4], const bf16 *other) {
    UNROLL for (int k = 0; k < tiles / 2; k++) {
        u32 a[4] = {
            pack_bf16(w[2 * k][0], w[2 * k][1]), pack_bf16(w[2 * k][2], w[2 * k][3]),
            pack_bf16(w[2 * k + 1][0], w[2 * k + 1][1]), pack_bf16(w[2 * k + 1][2], w[2 * k + 1][3])};
        UNROLL for (int d = 0; d < padded / 8; d += 2) {
            u32 b[4];
            load_b_rows<padded>(b, other + k * 16 * Tile<padded>::stride + d * 8);
            mma(c[d], a, b[0], b[1]);
            mma(c[d + 1], a, b[2], b[3]);
        }
    }
}
// Rows row, row + 8 of c (this lane's) times factors to y.
template <int padded>
DEVICE void store(bf16 *y, int stride, const float (&c)[padded / 8][4], float first, float second, int row, int end, int width) {
    int pair = (threadIdx.x & 3) * 2;
    UNROLL for (int d = 0; d < padded / 8; d++) {
        int column = d * 8 + pair;
        if (column >= width) break;
        if (row < end) *(u32 *)(y + (u64)row * stride + column) = pack_bf16(c[d][0] * first, c[d][1] * first);
        if (row + 8 < end) *(u32 *)(y + (u64)(row + 8) * stride + column) = pack_bf16(c[d][2] * second, c[d][3] * second);
    }
}
enum { log2e_bits = 0x3fb8aa3b };

// What 16 queries of a warp have gathered: two rows a lane.
template <int padded> struct Gathered {
    u32 query[padded / 16][4];  // A fragments
    float out[padded / 8][4] = {}, top[2] = {-INFINITE, -INFINITE}, sum[2] = {};
};
struct Bounds { int qFirst, qEnd, kFirst, kEnd; };
DEVICE Bounds bounds(const int *queryOffsets, const int *keyOffsets, int sequence) {
    return {queryOffsets[sequence], queryOffsets[sequence + 1], keyOffsets[sequence], keyOffsets[sequence + 1]};
}

template <int padded> DEVICE void begin(Gathered<padded> &g, const Operands<bf16> &x, int head, int row, int qEnd) {
    int pair = (threadIdx.x & 3) * 2;
    const bf16 *query = x.query + head * x.width;
    UNROLL for (int k = 0; k < padded / 16; k++)
        UNROLL for (int i = 0; i < 4; i++) {
            int r = row + (i & 1) * 8, c = k * 16 + (i >> 1) * 8 + pair;
            g.query[k][i] = r < qEnd && c < x.width ? *(const u32 *)(query + (u64)r * x.queryStride + c) : 0;
        }
}
// 8 `tiles` keys from `first` on, which stand in shared memory with their values; isMasked: not every query sees all of them.
template <int padded, int tiles, bool isMasked>
DEVICE void gather_part(
    Gathered<padded> &g, const bf16 *keys, const bf16 *values, const Operands<bf16> &x, Bounds at, int first, int row) {
    float score[tiles][4] = {}, scale = x.scale * bits_as_float(log2e_bits);
    int pair = (threadIdx.x & 3) * 2, shift = at.kFirst - at.qFirst;
    UNROLL for (int k = 0; k < padded / 16; k++)
        UNROLL for (int n = 0; n < tiles; n += 2) {
            u32 b[4];
            load_b<padded>(b, keys + n * 8 * Tile<padded>::stride + k * 16);
            mma(score[n], g.query[k], b[0], b[1]);
            mma(score[n + 1], g.query[k], b[2], b[3]);
        }
    float newTop[2] = {-INFINITE, -INFINITE}, keep[2], base[2], add[2] = {};
    UNROLL for (int n = 0; n < tiles; n++)
        UNROLL for (int i = 0; i < 4; i++) {
            int column = first + n * 8 + pair + (i & 1);
            if (isMasked && (column >= at.kEnd || (x.causal && column > row + (i >> 1) * 8 + shift)))
                score[n][i] = -INFINITE;
            newTop[i >> 1] = fmaxf(newTop[i >> 1], score[n][i]);
        }
    UNROLL for (int h = 0; h < 2; h++) {
        newTop[h] = fmaxf(newTop[h], shuffle_xor(newTop[h], 1));
        newTop[h] = fmaxf(g.top[h], scale * fmaxf(newTop[h], shuffle_xor(newTop[h], 2)));
        base[h] = newTop[h] == -INFINITE ? 0 : newTop[h];  // a row beyond the sequence
        keep[h] = power2(g.top[h] - base[h]);
        g.top[h] = newTop[h];
    }
    UNROLL for (int n = 0; n < tiles; n++)
        UNROLL for (int i = 0; i < 4; i++) {
            score[n][i] = power2(score[n][i] * scale - base[i >> 1]);
            add[i >> 1] += score[n][i];
        }
    UNROLL for (int h = 0; h < 2; h++) g.sum[h] = g.sum[h] * keep[h] + add[h];
    UNROLL for (int d = 0; d < padded / 8; d++)
        UNROLL for (int i = 0; i < 4; i++) g.out[d][i] *= keep[i >> 1];
    add_weighted<padded, tiles>(g.out, score, values);
}
// 64 keys from `first` on, or as many of them as any of the warp's queries sees, to 16.
template <int padded>
DEVICE void gather(
    Gathered<padded> &g, const bf16 *keys, const bf16 *values, const Operands<bf16> &x, Bounds at, int first, int row) {
    int shift = at.kFirst - at.qFirst, ownFirst = row - (threadIdx.x >> 2 & 7), seen = at.kEnd - first;
    if (ownFirst >= at.qEnd) return;
    if (x.causal) seen = min(seen, ownFirst + 16 + shift - first);
    int whole = x.causal ? min(seen, ownFirst + 1 + shift - first) : seen, part = 0;
    for (; part < 64 && part + 32 <= whole; part += 32)
        gather_part<padded, 4, false>(
            g, keys + part * Tile<padded>::stride, values + part * Tile<padded>::stride, x, at, first + part, row);
    for (; part < 64 && part < seen; part += 16)
        gather_part<padded, 2, true>(
            g, keys + part * Tile<padded>::stride, values + part * Tile<padded>::stride, x, at, first + part, row);
}
template <int padded>
DEVICE void finish(Gathered<padded> &g, bf16 *y, float *logSumExp, const Operands<bf16> &x, int head, int row, int qEnd) {
    UNROLL for (int h = 0; h < 2; h++) {
        g.sum[h] += shuffle_xor(g.sum[h], 1);
        g.sum[h] += shuffle_xor(g.sum[h], 2);
        if ((threadIdx.x & 3) == 0 && row + h * 8 < qEnd)
            logSumExp[(u64)(row + h * 8) * x.heads + head] = (g.top[h] + log2f(g.sum[h])) * 0.69314718055994531f;
    }
    store<padded>(y + head * x.width, x.heads * x.width, g.out, 1 / g.sum[0], 1 / g.sum[1], row, qEnd, x.width);
}

// A block takes 64 queries of a head and sequence, over tiles of 64 keys, two of which are in shared memory.
template <int padded> DEVICE void attention_tiled(bf16 *y, float *logSumExp, Operands<bf16> x) {
    SHARED(bf16, tiles);  // keys, keys, values, values
    constexpr int size = 64 * Tile<padded>::stride;
    Place at = place(x.tiles, x.heads);
    Bounds b = bounds(x.queryOffsets, x.keyOffsets, at.sequence);
    if (b.qFirst + at.tile * 64 >= b.qEnd) return;
    if (x.causal) b.kEnd = min(b.kEnd, b.kFirst + at.tile * 64 + 64);
    int row = b.qFirst + at.tile * 64 + (threadIdx.x >> 5) * 16 + (threadIdx.x >> 2 & 7), count = (b.kEnd - b.kFirst + 63) / 64;
    const bf16 *key = x.key + at.head * x.width, *value = x.value + at.head * x.width;
    Gathered<padded> g;
    begin(g, x, at.head, row, b.qEnd);
    for (int t = -1; t < count; t++) {
        int next = (t + 1) & 1, first = b.kFirst + (t + 1) * 64;
        if (t + 1 < count) {
            fetch<padded>(tiles + next * size, 64, key, x.keyStride, first, b.kEnd, x.width);
            fetch<padded>(tiles + (2 + next) * size, 64, value, x.valueStride, first, b.kEnd, x.width);
        }
        copy_commit();
        if (t < 0) continue;
        copy_wait<1>();
        sync_block();
        gather(g, tiles + (t & 1) * size, tiles + (2 + (t & 1)) * size, x, b, first - 64, row);
        sync_block();  // before the next fetch overwrites this buffer
    }
    finish(g, y, logSumExp, x, at.head, row, b.qEnd);
}
// A block takes a head and sequence, all of whose keys and values (x.tiles rows, a multiple of 64) are in shared memory.
template <int padded> DEVICE void attention_whole(bf16 *y, float *logSumExp, Operands<bf16> x) {
    SHARED(bf16, keys);
    Place at = place(1, x.heads);
    Bounds b = bounds(x.queryOffsets, x.keyOffsets, at.sequence);
    bf16 *values = keys + x.tiles * Tile<padded>::stride;
    int rows = (b.kEnd - b.kFirst + 63) / 64 * 64;
    fetch<padded>(keys, rows, x.key + at.head * x.width, x.keyStride, b.kFirst, b.kEnd, x.width);
    fetch<padded>(values, rows, x.value + at.head * x.width, x.valueStride, b.kFirst, b.kEnd, x.width);
    copy_commit();
    copy_wait<0>();
    sync_block();
    for (int own = b.qFirst + (threadIdx.x >> 5) * 16; own < b.qEnd; own += blockDim.x / 2) {
        int row = own + (threadIdx.x >> 2 & 7);
        Gathered<padded> g;
        begin(g, x, at.head, row, b.qEnd);
        for (int first = b.kFirst; first < b.kEnd; first += 64)
            gather(g, keys + (first - b.kFirst) * Tile<padded>::stride, values + (first - b.kFirst) * Tile<padded>::stride, x, b, first, row);
        finish(g, y, logSumExp, x, at.head, row, b.qEnd);
    }
}

// The gradients of a warp's 16 rows of one side over 32 rows of the other: of keys and values where ownsKeys, else of
// queries. With p the weights, s = p (dy value - along): dValue = p^T dy, dKey = scale s^T query, dQuery = scale s key. First and
// second are key and value, or query and dy; log-sum-exps and alongs of queries stand where theirs are.
template <int padded, bool ownsKeys> struct Slopes {
    float first[padded / 8][4] = {}, second[ownsKeys ? padded / 8 : 1][4] = {};
};
struct Rows { const bf16 *first, *second; };
template <bool isMasked, int padded, bool ownsKeys>
DEVICE void add_slopes_part(
    Slopes<padded, ownsKeys> &g, Rows own, Rows other, const float *logs, const float *alongs, const Operands<bf16> &x,
    Bounds at, int ownRow, int otherRow) {
    int lane = threadIdx.x & 31, pair = (lane & 3) * 2, row = ownRow + (lane >> 2), otherEnd = ownsKeys ? at.qEnd : at.kEnd;
    float p[4][4] = {}, s[4][4] = {}, scale = x.scale * bits_as_float(log2e_bits);
    add_products<padded, 4>(p, own.first, other.first);
    add_products<padded, 4>(s, own.second, other.second);
    UNROLL for (int n = 0; n < 4; n++)
        UNROLL for (int i = 0; i < 4; i++) {
            int h = i >> 1, column = n * 8 + pair + (i & 1), of = ownsKeys ? column : (lane >> 2) + h * 8;
            float weight = power2(p[n][i] * scale - logs[of]);
            if (isMasked) {
                int q = (ownsKeys ? otherRow + column : row + h * 8) - at.qFirst;
                int k = (ownsKeys ? row + h * 8 : otherRow + column) - at.kFirst;
                if (otherRow + column >= otherEnd || (x.causal && k > q)) weight = 0;
            }
            p[n][i] = weight;
            s[n][i] = weight * (s[n][i] - alongs[of]);
        }
    add_weighted<padded, 4>(g.first, s, other.first);
    if constexpr (ownsKeys) add_weighted<padded, 4>(g.second, p, other.second);
}
template <int padded, bool ownsKeys>
DEVICE void add_slopes(
    Slopes<padded, ownsKeys> &g, Rows own, Rows other, const float *logs, const float *alongs, const Operands<bf16> &x,
    Bounds at, int ownRow, int otherRow) {
    if (x.causal || otherRow + 32 > (ownsKeys ? at.qEnd : at.kEnd)) {
        add_slopes_part<true>(g, own, other, logs, alongs, x, at, ownRow, otherRow);
    } else {
        add_slopes_part<false>(g, own, other, logs, alongs, x, at, ownRow, otherRow);
    }
}
template <int padded, bool ownsKeys>
DEVICE void store_slopes(
    const Slopes<padded, ownsKeys> &s, const Operands<bf16> &x, const Gradients<bf16> &g, int head, int ownRow, int end) {
    int row = ownRow + (threadIdx.x >> 2 & 7);
    bf16 *first = (ownsKeys ? g.dKey : g.dQuery) + head * x.width;
    store<padded>(first, ownsKeys ? g.dKeyStride : g.dQueryStride, s.first, x.scale, x.scale, row, end, x.width);
    if constexpr (ownsKeys) store<padded>(g.dValue + head * x.width, g.dValueStride, s.second, 1, 1, row, end, x.width);
}
// Of queries: base-2 log-sum-exps and alongs; a row beyond the sequence weighs nothing.
DEVICE float statistic(const Operands<bf16> &x, const Gradients<bf16> &g, int head, int row, int end, bool isAlong) {
    if (row >= end) return isAlong ? 0 : INFINITE;
    u64 at = (u64)row * x.heads + head;
    return isAlong ? g.along[at] : g.logSumExp[at] * bits_as_float(log2e_bits);
}

// A block takes 64 rows of one side, over tiles of 32 of the other, two of which are in shared memory.
template <int padded, bool ownsKeys> DEVICE void attention_gradient_tiled(Operands<bf16> x, Gradients<bf16> g) {
    SHARED(bf16, tiles);
    constexpr int stride = Tile<padded>::stride, size = 32 * stride;
    bf16 *ownFirst = tiles, *ownSecond = tiles + 2 * size, *others = tiles + 4 * size;  // others: [2][first, second]
    float *statistics = (float *)(others + 4 * size);  // of the other side's tiles [2][2][32], or of its own rows [2][64]
    Place at = place(x.tiles, x.heads);
    Bounds b = bounds(x.queryOffsets, x.keyOffsets, at.sequence);
    int warp = threadIdx.x >> 5, head = at.head * x.width, dyStride = x.heads * x.width;
    int ownBegin = (ownsKeys ? b.kFirst : b.qFirst) + at.tile * 64, ownEnd = ownsKeys ? b.kEnd : b.qEnd;
    if (ownBegin >= ownEnd) return;
    const bf16 *query = x.query + head, *key = x.key + head, *value = x.value + head, *dy = g.dy + head;
    // Which rows of the other side see these.
    int begin = ownsKeys ? b.qFirst + (x.causal ? at.tile * 64 : 0) : b.kFirst, end = ownsKeys ? b.qEnd : b.kEnd;
    if (!ownsKeys && x.causal) end = min(end, b.kFirst + at.tile * 64 + 64);
    int count = end > begin ? (end - begin + 31) / 32 : 0, ownRow = ownBegin + warp * 16;
    fetch<padded>(ownFirst, 64, ownsKeys ? key : query, ownsKeys ? x.keyStride : x.queryStride, ownBegin, ownEnd, x.width);
    fetch<padded>(ownSecond, 64, ownsKeys ? value : dy, ownsKeys ? x.valueStride : dyStride, ownBegin, ownEnd, x.width);
    if (!ownsKeys)
        statistics[threadIdx.x] = statistic(x, g, at.head, ownBegin + (threadIdx.x & 63), ownEnd, threadIdx.x >= 64);
    Slopes<padded, ownsKeys> sums;
    for (int t = -1; t < count; t++) {
        int next = (t + 1) & 1, first = begin + (t + 1) * 32;
        if (t + 1 < count) {
            bf16 *to = others + next * 2 * size;
            fetch<padded>(to, 32, ownsKeys ? query : key, ownsKeys ? x.queryStride : x.keyStride, first, end, x.width);
            fetch<padded>(to + size, 32, ownsKeys ? dy : value, ownsKeys ? dyStride : x.valueStride, first, end, x.width);
            if (ownsKeys && threadIdx.x < 64)
                statistics[next * 64 + threadIdx.x] =
                    statistic(x, g, at.head, first + (threadIdx.x & 31), end, threadIdx.x >= 32);
        }
        copy_commit();
        if (t < 0) continue;
        copy_wait<1>();
        sync_block();
        const bf16 *other = others + (t & 1) * 2 * size;
        const float *logs = ownsKeys ? statistics + (t & 1) * 64 : statistics + warp * 16;
        Rows own = {ownFirst + warp * 16 * stride, ownSecond + warp * 16 * stride};
        // Where its rows end, or see nothing of these, a warp leaves the units to the others.
        int otherRow = first - 32, shift = b.qFirst - b.kFirst;
        bool isIdle = ownRow >= ownEnd;
        if (x.causal) isIdle |= ownsKeys ? otherRow + 32 <= ownRow + shift : otherRow + shift >= ownRow + 16;
        if (!isIdle) add_slopes(sums, own, {other, other + size}, logs, logs + (ownsKeys ? 32 : 64), x, b, ownRow, otherRow);
        sync_block();  // before the next fetch overwrites this buffer
    }
    copy_wait<0>();
    store_slopes(sums, x, g, at.head, ownRow, ownEnd);
}
// A block takes a head and sequence, all of which (x.tiles rows each, a multiple of 32) is in shared memory: 16 rows of a
// side a warp, in turn.
template <int padded> DEVICE void attention_gradient_whole(Operands<bf16> x, Gradients<bf16> g) {
    SHARED(bf16, queries);
    constexpr int stride = Tile<padded>::stride;
    Place at = place(1, x.heads);
    Bounds b = bounds(x.queryOffsets, x.keyOffsets, at.sequence);
    bf16 *dys = queries + x.tiles * stride, *keys = dys + x.tiles * stride, *values = keys + x.tiles * stride;
    float *logs = (float *)(values + x.tiles * stride), *alongs = logs + x.tiles;
    int head = at.head * x.width, warps = blockDim.x >> 5, warp = threadIdx.x >> 5;
    int qRows = (b.qEnd - b.qFirst + 31) / 32 * 32, kRows = (b.kEnd - b.kFirst + 31) / 32 * 32;
    fetch<padded>(queries, qRows, x.query + head, x.queryStride, b.qFirst, b.qEnd, x.width);
    fetch<padded>(dys, qRows, g.dy + head, x.heads * x.width, b.qFirst, b.qEnd, x.width);
    fetch<padded>(keys, kRows, x.key + head, x.keyStride, b.kFirst, b.kEnd, x.width);
    fetch<padded>(values, kRows, x.value + head, x.valueStride, b.kFirst, b.kEnd, x.width);
    copy_commit();
    for (int i = threadIdx.x; i < 2 * qRows; i += blockDim.x)
        (i < qRows ? logs : alongs - qRows)[i] = statistic(x, g, at.head, b.qFirst + i % qRows, b.qEnd, i >= qRows);
    copy_wait<0>();
    sync_block();
    int qStrips = (b.qEnd - b.qFirst + 15) / 16, kStrips = (b.kEnd - b.kFirst + 15) / 16;
    for (int strip = warp; strip < qStrips + kStrips; strip += warps) {
        int own = (strip < qStrips ? strip : strip - qStrips) * 16;
        if (strip < qStrips) {
            Slopes<padded, false> sums;
            int seen = x.causal ? min(kRows, own + 16) : kRows;
            for (int other = 0; other < seen; other += 32)
                add_slopes(sums, {queries + own * stride, dys + own * stride},
                           {keys + other * stride, values + other * stride}, logs + own, alongs + own, x, b,
                           b.qFirst + own, b.kFirst + other);
            store_slopes(sums, x, g, at.head, b.qFirst + own, b.qEnd);
        } else {
            Slopes<padded, true> sums;
            for (int other = x.causal ? own / 32 * 32 : 0; other < qRows; other += 32)
                add_slopes(sums, {keys + own * stride, values + own * stride},
                           {queries + other * stride, dys + other * stride}, logs + other, alongs + other, x, b,
                           b.kFirst + own, b.qFirst + other);
            store_slopes(sums, x, g, at.head, b.kFirst + own, b.kEnd);
        }
    }
}

// How many blocks fit a multiprocessor, and most threads of a block: what registers allow.
#define MATRIX(padded, blocks, whole)                                                                                  \
    DENSE_KERNEL(128, blocks, attention_##padded, bf16 *y, float *logSumExp, Operands<bf16> x) {                       \
        attention_tiled<padded>(y, logSumExp, x);                                                                      \
    }                                                                                                                  \
    DENSE_KERNEL(128, blocks, attention_query_gradient_##padded, Operands<bf16> x, Gradients<bf16> g) {                \
        attention_gradient_tiled<padded, false>(x, g);                                                                 \
    }                                                                                                                  \
    DENSE_KERNEL(128, blocks, attention_key_gradient_##padded, Operands<bf16> x, Gradients<bf16> g) {                  \
        attention_gradient_tiled<padded, true>(x, g);                                                                  \
    }                                                                                                                  \
    DENSE_KERNEL(256, whole, attention_whole_##padded, bf16 *y, float *logSumExp, Operands<bf16> x) {                     \
        attention_whole<padded>(y, logSumExp, x);                                                                      \
    }
#define WHOLE_GRADIENT(padded, most)                                                                                   \
    DENSE_KERNEL(most, 1, attention_gradient_whole_##padded, Operands<bf16> x, Gradients<bf16> g) {                    \
        attention_gradient_whole<padded>(x, g);                                                                        \
    }
MATRIX(32, 2, 2)
MATRIX(64, 2, 2)
MATRIX(80, 2, 1)
MATRIX(96, 2, 1)
MATRIX(128, 2, 1)
WHOLE_GRADIENT(32, 384)
WHOLE_GRADIENT(64, 384)
WHOLE_GRADIENT(80, 256)
WHOLE_GRADIENT(96, 256)
// Of 128 columns registers hold one side at a time.
