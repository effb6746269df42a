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

// ---- by the matrix units: a block of 4 warps, 16 rows each.

// Rows of `padded` values in shared memory, 16 bytes apart from a multiple of 128: no two of 8 in one bank.
template <int padded> struct Tile { static constexpr int stride = padded + 8; };

// Rows first..<first + rows of a head, zeros from `end` on and beyond `width`.
template <int padded, int rows>
DEVICE void fetch(bf16 *tile, const bf16 *from, int stride, int first, int end, int width) {
    for (int i = threadIdx.x; i < rows * padded / 8; i += 128) {
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
// c [16, padded] += w [16, 8 tiles], rounded to bf16, times the rows of `other`, of which those from `seen` on, to 16, weigh
// nothing.
template <int padded, int tiles>
DEVICE void add_weighted(float (&c)[padded / 8][4], const float (&w)[tiles][4], const bf16 *other, int seen) {
    UNROLL for (int k = 0; k < tiles / 2; k++) {
        if (k * 16 >= seen) continue;
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

// 64 queries of a head and sequence over tiles of 64 keys, two of which are in shared memory.
template <int padded> DEVICE void attention_matrix(bf16 *y, float *logSumExp, Operands<bf16> x) {
    SHARED(bf16, tiles);  // keys, keys, values, values
    constexpr int size = 64 * Tile<padded>::stride;
    Place at = place(x.tiles, x.heads);
    int warp = threadIdx.x >> 5, lane = threadIdx.x & 31, pair = (lane & 3) * 2;
    int qFirst = x.queryOffsets[at.sequence], qEnd = x.queryOffsets[at.sequence + 1];
    int kFirst = x.keyOffsets[at.sequence], kEnd = x.keyOffsets[at.sequence + 1];
    if (qFirst + at.tile * 64 >= qEnd) return;
    int shift = kFirst - qFirst, row = qFirst + at.tile * 64 + warp * 16 + (lane >> 2);
    if (x.causal && kEnd > kFirst + at.tile * 64 + 64) kEnd = kFirst + at.tile * 64 + 64;
    const bf16 *query = x.query + at.head * x.width, *key = x.key + at.head * x.width, *value = x.value + at.head * x.width;
    u32 q[padded / 16][4];
    UNROLL for (int k = 0; k < padded / 16; k++)
        UNROLL for (int i = 0; i < 4; i++) {
            int r = row + (i & 1) * 8, c = k * 16 + (i >> 1) * 8 + pair;
            q[k][i] = r < qEnd && c < x.width ? *(const u32 *)(query + (u64)r * x.queryStride + c) : 0;
        }
    float out[padded / 8][4] = {}, top[2] = {-INFINITE, -INFINITE}, sum[2] = {};
    float scale = x.scale * bits_as_float(log2e_bits);
    int count = (kEnd - kFirst + 63) / 64;
    fetch<padded, 64>(tiles, key, x.keyStride, kFirst, kEnd, x.width);
    fetch<padded, 64>(tiles + 2 * size, value, x.valueStride, kFirst, kEnd, x.width);
    copy_commit();
    for (int t = 0; t < count; t++) {
        int first = kFirst + t * 64, next = (t + 1) & 1;
        if (t + 1 < count) {
            fetch<padded, 64>(tiles + next * size, key, x.keyStride, first + 64, kEnd, x.width);
            fetch<padded, 64>(tiles + (2 + next) * size, value, x.valueStride, first + 64, kEnd, x.width);
        }
        copy_commit();
        copy_wait<1>();
        sync_block();
        float score[8][4] = {};
        int last = row - (lane >> 2) + 15;  // of this warp's queries
        int seen = last - 15 >= qEnd ? 0 : x.causal ? min(kEnd, last + shift + 1) - first : kEnd - first;
        UNROLL for (int k = 0; k < padded / 16; k++)
            UNROLL for (int n = 0; n < 8; n += 2) {
                if (n * 8 >= seen) continue;
                u32 b[4];
                load_b<padded>(b, tiles + (t & 1) * size + n * 8 * Tile<padded>::stride + k * 16);
                mma(score[n], q[k], b[0], b[1]);
                mma(score[n + 1], q[k], b[2], b[3]);
            }
        float newTop[2] = {top[0], top[1]}, keep[2], add[2] = {};
        UNROLL for (int n = 0; n < 8; n++)
            UNROLL for (int i = 0; i < 4; i++) {
                int column = first + n * 8 + pair + (i & 1);
                bool isSeen = column < kEnd && (!x.causal || column <= row + (i >> 1) * 8 + shift);
                score[n][i] = isSeen ? score[n][i] * scale : -INFINITE;
                newTop[i >> 1] = fmaxf(newTop[i >> 1], score[n][i]);
            }
        UNROLL for (int h = 0; h < 2; h++) {
            newTop[h] = fmaxf(newTop[h], shuffle_xor(newTop[h], 1));
            newTop[h] = fmaxf(newTop[h], shuffle_xor(newTop[h], 2));
            float base = newTop[h] == -INFINITE ? 0 : newTop[h];  // a row beyond the sequence
            keep[h] = exp2f(top[h] - base);
            top[h] = newTop[h];
            newTop[h] = base;
        }
        UNROLL for (int n = 0; n < 8; n++)
            UNROLL for (int i = 0; i < 4; i++) {
                score[n][i] = exp2f(score[n][i] - newTop[i >> 1]);
                add[i >> 1] += score[n][i];
            }
        UNROLL for (int h = 0; h < 2; h++) sum[h] = sum[h] * keep[h] + add[h];
        UNROLL for (int d = 0; d < padded / 8; d++)
            UNROLL for (int i = 0; i < 4; i++) out[d][i] *= keep[i >> 1];
        add_weighted<padded, 8>(out, score, tiles + (2 + (t & 1)) * size, seen);
        sync_block();  // before the next fetch overwrites this buffer
    }
    UNROLL for (int h = 0; h < 2; h++) {
        sum[h] += shuffle_xor(sum[h], 1);
        sum[h] += shuffle_xor(sum[h], 2);
        if (pair == 0 && row + h * 8 < qEnd)
            logSumExp[(u64)(row + h * 8) * x.heads + at.head] = (top[h] + log2f(sum[h])) * 0.69314718055994531f;
    }
    store<padded>(y + at.head * x.width, x.heads * x.width, out, 1 / sum[0], 1 / sum[1], row, qEnd, x.width);
}

// Gradients of the 64 rows of one side that this block owns, over tiles of 32 rows of the other: of keys and values where
// ownsKeys, else of queries. With p the weights, s = p (dy value - along) scale:
// dValue = p^T dy, dKey = s^T query; dQuery = s key.
template <int padded, bool ownsKeys> DEVICE void attention_gradient_matrix(Operands<bf16> x, Gradients<bf16> g) {
    SHARED(bf16, tiles);
    constexpr int stride = Tile<padded>::stride, size = 32 * stride;
    bf16 *ownFirst = tiles, *ownSecond = tiles + 2 * size, *others = tiles + 4 * size;  // others: [2][first, second]
    float *statistics = (float *)(others + 4 * size);                                  // [2][log-sum-exps, alongs][32]
    Place at = place(x.tiles, x.heads);
    int warp = threadIdx.x >> 5, lane = threadIdx.x & 31, pair = (lane & 3) * 2, head = at.head * x.width;
    int qFirst = x.queryOffsets[at.sequence], qEnd = x.queryOffsets[at.sequence + 1];
    int kFirst = x.keyOffsets[at.sequence], kEnd = x.keyOffsets[at.sequence + 1], dyStride = x.heads * x.width;
    int ownBegin = (ownsKeys ? kFirst : qFirst) + at.tile * 64, ownEnd = ownsKeys ? kEnd : qEnd;
    if (ownBegin >= ownEnd) return;
    const bf16 *query = x.query + head, *key = x.key + head, *value = x.value + head, *dy = g.dy + head;
    float scale = x.scale * bits_as_float(log2e_bits);
    // Which rows of the other side see these.
    int begin = ownsKeys ? qFirst + (x.causal ? at.tile * 64 : 0) : kFirst, end = ownsKeys ? qEnd : kEnd;
    if (!ownsKeys && x.causal && end > kFirst + at.tile * 64 + 64) end = kFirst + at.tile * 64 + 64;
    auto fetchOthers = [&](int buffer, int first) {
        bf16 *to = others + buffer * 2 * size;
        fetch<padded, 32>(to, ownsKeys ? query : key, ownsKeys ? x.queryStride : x.keyStride, first, end, x.width);
        fetch<padded, 32>(to + size, ownsKeys ? dy : value, ownsKeys ? dyStride : x.valueStride, first, end, x.width);
        if (ownsKeys && threadIdx.x < 64) {
            int row = first + (threadIdx.x & 31);
            bool isAlong = threadIdx.x >= 32;
            float found = isAlong ? 0 : INFINITE;  // a row beyond the sequence weighs nothing
            if (row < end) found = (isAlong ? g.along : g.logSumExp)[(u64)row * x.heads + at.head];
            statistics[buffer * 64 + threadIdx.x] = found;
        }
    };
    fetch<padded, 64>(ownFirst, ownsKeys ? key : query, ownsKeys ? x.keyStride : x.queryStride, ownBegin, ownEnd, x.width);
    fetch<padded, 64>(ownSecond, ownsKeys ? value : dy, ownsKeys ? x.valueStride : dyStride, ownBegin, ownEnd, x.width);
    int count = end > begin ? (end - begin + 31) / 32 : 0, row = ownBegin + warp * 16 + (lane >> 2);
    if (count) fetchOthers(0, begin);
    copy_commit();
    float ownLog[2] = {INFINITE, INFINITE}, ownAlong[2] = {};
    if (!ownsKeys)
        UNROLL for (int h = 0; h < 2; h++)
            if (row + h * 8 < ownEnd) {
                ownLog[h] = g.logSumExp[(u64)(row + h * 8) * x.heads + at.head] * bits_as_float(log2e_bits);
                ownAlong[h] = g.along[(u64)(row + h * 8) * x.heads + at.head];
            }
    float outFirst[padded / 8][4] = {}, outSecond[ownsKeys ? padded / 8 : 1][4] = {};
    for (int t = 0; t < count; t++) {
        int first = begin + t * 32;
        if (t + 1 < count) fetchOthers((t + 1) & 1, first + 32);
        copy_commit();
        copy_wait<1>();
        sync_block();
        const bf16 *otherFirst = others + (t & 1) * 2 * size, *otherSecond = otherFirst + size;
        const float *logs = statistics + (t & 1) * 64, *alongs = logs + 32;
        // Where its rows end, or see nothing of this tile, a warp leaves the units to the others.
        int own = ownBegin + warp * 16, shift = qFirst - kFirst;
        bool isIdle = own >= ownEnd || (x.causal && (ownsKeys ? first + 32 <= own + shift : first + shift >= own + 16));
        if (isIdle) {
            sync_block();
            continue;
        }
        float p[4][4] = {}, s[4][4] = {};
        add_products<padded, 4>(p, ownFirst + warp * 16 * stride, otherFirst);
        add_products<padded, 4>(s, ownSecond + warp * 16 * stride, otherSecond);
        UNROLL for (int n = 0; n < 4; n++)
            UNROLL for (int i = 0; i < 4; i++) {
                int h = i >> 1, column = n * 8 + pair + (i & 1), other = first + column, own = row + h * 8;
                int q = (ownsKeys ? other : own) - qFirst, k = (ownsKeys ? own : other) - kFirst;
                float log = ownsKeys ? logs[column] * bits_as_float(log2e_bits) : ownLog[h];
                float along = ownsKeys ? alongs[column] : ownAlong[h];
                bool isSeen = other < end && (!x.causal || k <= q);
                p[n][i] = isSeen ? exp2f(p[n][i] * scale - log) : 0;
                s[n][i] = p[n][i] * (s[n][i] - along) * x.scale;
            }
        add_weighted<padded, 4>(outFirst, s, otherFirst, 32);
        if constexpr (ownsKeys) add_weighted<padded, 4>(outSecond, p, otherSecond, 32);
        sync_block();  // before the next fetch overwrites this buffer
    }
    copy_wait<0>();
    store<padded>((ownsKeys ? g.dKey : g.dQuery) + head, ownsKeys ? g.dKeyStride : g.dQueryStride, outFirst, 1, 1, row, ownEnd, x.width);
    if constexpr (ownsKeys) store<padded>(g.dValue + head, g.dValueStride, outSecond, 1, 1, row, ownEnd, x.width);
}

#define MATRIX(padded, blocks)                                                                                         \
    DENSE_KERNEL(128, blocks, attention_##padded, bf16 *y, float *logSumExp, Operands<bf16> x) {                       \
        attention_matrix<padded>(y, logSumExp, x);                                                                     \
    }                                                                                                                  \
    DENSE_KERNEL(128, blocks, attention_query_gradient_##padded, Operands<bf16> x, Gradients<bf16> g) {                \
        attention_gradient_matrix<padded, false>(x, g);                                                                \
    }                                                                                                                  \
    DENSE_KERNEL(128, blocks, attention_key_gradient_##padded, Operands<bf16> x, Gradients<bf16> g) {                  \
        attention_gradient_matrix<padded, true>(x, g);                                                                 \
    }
MATRIX(32, 3)
MATRIX(64, 3)
MATRIX(80, 2)
MATRIX(96, 2)
MATRIX(128, 2)
