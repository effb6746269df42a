// Single-precision matrix products on one thread. The right operand is packed into panels of 16 columns;
// 6 rows x 16 columns of the result stay in registers while the inner axis is walked.
// Blocking after Goto and van de Geijn, "Anatomy of high-performance matrix multiplication", 2008.
#include "epilogue.h"

enum { INNER = 384, ROW_BLOCK = 96, COLUMN_BLOCK = 768, AHEAD = 8 };

typedef float vector __attribute__((vector_size(32)));
typedef float unaligned_vector __attribute__((vector_size(32), aligned(4)));

#if defined(__x86_64__)
// target_clones would put a stub between these and their callers; callers ask ck_gemm_suits first.
#define WIDE __attribute__((target("arch=x86-64-v3")))
#else
#define WIDE
#endif
#define WIDE_INLINE static inline __attribute__((always_inline)) WIDE

int ck_gemm_suits(void) {
#if defined(__x86_64__)
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && !__builtin_cpu_supports("avx512f");
#else
    return 0;
#endif
}

WIDE_INLINE vector load(const float *p) { return *(const unaligned_vector *)p; }
WIDE_INLINE void store(float *p, vector x) { *(unaligned_vector *)p = x; }

// c [rows,16] = or += a [rows,k] panel [k,16]; a's rows and columns are `ar` and `ak` apart.
WIDE_INLINE void product_of_rows(const int rows, ck_int k, const float *a, ck_int ar, ck_int ak, const float *panel,
                                 float *c, ck_int ldc, int accumulate) {
    vector sum[ROWS][2];
    for (int i = 0; i < rows; i++) {
        sum[i][0] = sum[i][1] = (vector){0};
        __builtin_prefetch(c + i * ldc, 1);
        __builtin_prefetch(c + i * ldc + PANEL - 1, 1);
    }
#pragma clang loop unroll_count(2)
    for (ck_int p = 0; p < k; p++) {
        vector low = load(panel + p * PANEL), high = load(panel + p * PANEL + 8);
#pragma clang loop unroll(full)
        for (int i = 0; i < rows; i++) {
            float x = a[i * ar + p * ak];
            vector factor = {x, x, x, x, x, x, x, x};
            sum[i][0] += factor * low;
            sum[i][1] += factor * high;
        }
    }
    for (int i = 0; i < rows; i++) {
        float *row = c + i * ldc;
        store(row, accumulate ? load(row) + sum[i][0] : sum[i][0]);
        store(row + 8, accumulate ? load(row + 8) + sum[i][1] : sum[i][1]);
    }
}

// The same for up to 6 rows and up to 16 columns, with what follows the product (null: nothing does).
WIDE_INLINE void product(ck_int rows, ck_int columns, ck_int k, const float *a, ck_int ar, ck_int ak,
                         const float *panel, float *c, ck_int ldc, int accumulate, const ck_epilogue_inputs *epilogue) {
    const int direct = columns == PANEL && !epilogue;
    float tile[TILE];
    if (rows < ROWS && !direct) memset(tile, 0, sizeof tile);  // what follows takes the whole tile
    float *out = direct ? c : tile;
    ck_int ld = direct ? ldc : PANEL;
    int add = direct ? accumulate : 0;
    switch (rows) {
        case 1: product_of_rows(1, k, a, ar, ak, panel, out, ld, add); break;
        case 2: product_of_rows(2, k, a, ar, ak, panel, out, ld, add); break;
        case 3: product_of_rows(3, k, a, ar, ak, panel, out, ld, add); break;
        case 4: product_of_rows(4, k, a, ar, ak, panel, out, ld, add); break;
        case 5: product_of_rows(5, k, a, ar, ak, panel, out, ld, add); break;
        default: product_of_rows(6, k, a, ar, ak, panel, out, ld, add);
    }
    if (direct) return;
    if (accumulate)
        for (ck_int i = 0; i < rows; i++)
            for (ck_int j = 0; j < columns; j++) tile[i * PANEL + j] += c[i * ldc + j];
    if (epilogue) {
        finish_tile(rows, columns, tile, c, ldc, epilogue);
    } else {
        for (ck_int i = 0; i < rows; i++)
            for (ck_int j = 0; j < columns; j++) c[i * ldc + j] = tile[i * PANEL + j];
    }
}

// What a tile's epilogue reads or writes is fetched while the product is made.
WIDE_INLINE void fetch_rows(ck_int rows, ck_int ld, const float *x) {
    if (!x) return;
    for (ck_int i = 0; i < rows; i++) __builtin_prefetch(x + i * ld, 1);
}

WIDE_INLINE void transpose(const float *x, ck_int ldx, float *y) {  // [8,8], y's rows a panel apart
    vector r[8], t[8];
    for (int i = 0; i < 8; i++) r[i] = load(x + i * ldx);
    for (int i = 0; i < 8; i += 2) {
        t[i] = __builtin_shufflevector(r[i], r[i + 1], 0, 8, 2, 10, 4, 12, 6, 14);
        t[i + 1] = __builtin_shufflevector(r[i], r[i + 1], 1, 9, 3, 11, 5, 13, 7, 15);
    }
    for (int half = 0; half < 8; half += 4)
        for (int i = half; i < half + 2; i++) {
            r[i] = __builtin_shufflevector(t[i], t[i + 2], 0, 1, 8, 9, 4, 5, 12, 13);
            r[i + 2] = __builtin_shufflevector(t[i], t[i + 2], 2, 3, 10, 11, 6, 7, 14, 15);
        }
    for (int i = 0; i < 4; i++) {
        store(y + i * PANEL, __builtin_shufflevector(r[i], r[i + 4], 0, 1, 2, 3, 8, 9, 10, 11));
        store(y + (i + 4) * PANEL, __builtin_shufflevector(r[i], r[i + 4], 4, 5, 6, 7, 12, 13, 14, 15));
    }
}

// panel [count,16] = b [count, columns], zeros in the columns that b lacks
WIDE_INLINE void pack_panel(ck_int count, ck_int columns, const float *b, ck_int bk, ck_int bc, float *panel) {
    ck_int p = 0;
    if (columns == PANEL && bc == 1) {
        for (; p < count; p++) {
            store(panel + p * PANEL, load(b + p * bk));
            store(panel + p * PANEL + 8, load(b + p * bk + 8));
        }
    } else if (columns == PANEL && bk == 1) {
        for (; p + 8 <= count; p += 8) {
            transpose(b + p, bc, panel + p * PANEL);
            transpose(b + p + 8 * bc, bc, panel + p * PANEL + 8);
        }
    }
    if (p == count) return;
    memset(panel + p * PANEL, 0, (size_t)((count - p) * PANEL) * sizeof(float));
    for (ck_int j = 0; j < columns; j++)
        for (ck_int i = p; i < count; i++) panel[i * PANEL + j] = b[i * bk + j * bc];
}

WIDE void ck_gemm_pack(ck_int first, ck_int last, ck_int k, ck_int n, const float *b, ck_int bk, ck_int bc,
                       float *packed) {
    if (bc == 1 && n % PANEL == 0) {  // row by row, as it lies in memory
        for (ck_int p = first; p < last; p++) {
            const float *row = b + p * bk;
            for (ck_int j = 0; j < n; j += PANEL) {
                __builtin_prefetch(row + AHEAD * bk + j);
                store(packed + j * k + p * PANEL, load(row + j));
                store(packed + j * k + p * PANEL + 8, load(row + j + 8));
            }
        }
        return;
    }
    for (ck_int j = 0; j < n; j += PANEL)
        pack_panel(last - first, n - j < PANEL ? n - j : PANEL, b + first * bk + j * bc, bk, bc,
                   packed + j * k + first * PANEL);
}

// Strips [rows / 6][k][6] of a matrix stored by columns.
WIDE_INLINE void pack_strips(ck_int rows, ck_int k, const float *a, ck_int ak, float *strips) {
    for (ck_int p = 0; p < k; p++) {
        const float *column = a + p * ak;
        ck_int i = 0;
        for (ck_int line = 0; line < rows; line += 16) __builtin_prefetch(column + AHEAD * ak + line);
        if (p < k - 1)  // whole vectors: what runs over a strip's 6 is overwritten by the next column
            for (; i + 8 <= rows; i += ROWS) store(strips + i * k + p * ROWS, load(column + i));
        for (; i < rows; i++) strips[i / ROWS * ROWS * k + p * ROWS + i % ROWS] = column[i];
    }
}

// Lines of the block that comes next, fetched a few at a time while this one is multiplied.
typedef struct {
    const float *at;
    ck_int rows, lines, stride, row, line, each;
} fetch_ahead;

WIDE_INLINE void fetch_some(fetch_ahead *f) {
    for (ck_int i = 0; i < f->each && f->row < f->rows; i++) {
        __builtin_prefetch(f->at + f->row * f->stride + f->line * 16, 0, 2);
        if (++f->line == f->lines) {
            f->line = 0;
            f->row++;
        }
    }
}

// c [rows, columns] = or += a panels; a's rows and columns lie ar and ak apart, its groups of 6 rows `group`, the panels
// `panel_stride`. The epilogue's pointers stand at c's corner.
WIDE_INLINE void product_of_block(ck_int rows, ck_int columns, ck_int k, const float *a, ck_int ar, ck_int ak,
                                  ck_int group, const float *panels, ck_int panel_stride, float *c, ck_int ldc,
                                  int accumulate, const ck_epilogue_inputs *epilogue, fetch_ahead *ahead) {
    for (ck_int j = 0; j < columns; j += PANEL) {
        const float *panel = panels + j / PANEL * panel_stride;
        const ck_int width = columns - j < PANEL ? columns - j : PANEL;
        for (ck_int i = 0; i < rows; i += ROWS) {
            const ck_int height = rows - i < ROWS ? rows - i : ROWS;
            const float *left = a + i / ROWS * group;
            float *corner = c + i * ldc + j;
            fetch_some(ahead);
            if (epilogue) {
                const ck_epilogue_inputs here = moved(epilogue, i * ldc + j, j);
                fetch_rows(height, ldc, corner);
                fetch_rows(height, ldc, here.residual);
                fetch_rows(height, ldc, here.preactivation);
                fetch_rows(height, ldc, here.slope_at);
                product(height, width, k, left, ar, ak, panel, corner, ldc, accumulate, &here);
            } else {
                product(height, width, k, left, ar, ak, panel, corner, ldc, accumulate, 0);
            }
        }
    }
}

// The same for any number of rows m, `block` of them at a time: packed into strips (unless null), or the next block fetched
// while this one is multiplied. A null epilogue: nothing follows.
WIDE_INLINE void product_of_rows_in_blocks(ck_int m, ck_int columns, ck_int k, const float *a, ck_int ar, ck_int ak,
                                           const ck_int block, float *strips, const float *panels,
                                           ck_int panel_stride, float *c, ck_int ldc, int accumulate,
                                           const ck_epilogue_inputs *epilogue) {
    for (ck_int m0 = 0; m0 < m; m0 += block) {
        const ck_int rows = m - m0 < block ? m - m0 : block, rest = m - m0 - rows;
        const float *left = a + m0 * ar;
        fetch_ahead ahead = {0};
        if (strips) {
            pack_strips(rows, k, left, ak, strips);
        } else if (rest > 0) {
            const ck_int next = rest < block ? rest : block, lines = (k + 15) / 16;
            const ck_int calls = ((columns + PANEL - 1) / PANEL) * ((rows + ROWS - 1) / ROWS);
            ahead = (fetch_ahead){left + block * ar, next, lines, ar, 0, 0, (next * lines + calls - 1) / calls};
        }
        ck_epilogue_inputs here;
        if (epilogue) here = moved(epilogue, m0 * ldc, 0);
        product_of_block(rows, columns, k, strips ? strips : left, strips ? 1 : ar, strips ? ROWS : ak,
                         ROWS * (strips ? k : ar), panels, panel_stride, c + m0 * ldc, ldc, accumulate,
                         epilogue ? &here : 0, &ahead);
    }
}

WIDE void ck_gemm_packed(ck_int m, ck_int n, ck_int k, const float *a, ck_int ar, ck_int ak, const float *packed,
                         float *c, ck_int ldc, const ck_epilogue_inputs *epilogue) {
    float strips[ROW_BLOCK * INNER];
    // Rows far apart would each need a line of their own for 6 of its floats.
    const int pack = ar == 1 && ak * INNER > 8192;
    for (ck_int n0 = 0; n0 < n; n0 += COLUMN_BLOCK) {
        const ck_int columns = n - n0 < COLUMN_BLOCK ? n - n0 : COLUMN_BLOCK;
        ck_epilogue_inputs here;
        if (epilogue) here = moved(epilogue, n0, n0);
        for (ck_int k0 = 0; k0 < k; k0 += INNER) {
            const ck_int inner = k - k0 < INNER ? k - k0 : INNER;
            product_of_rows_in_blocks(m, columns, inner, a + k0 * ak, ar, ak, ROW_BLOCK, pack ? strips : 0,
                                      packed + n0 * k + k0 * PANEL, k * PANEL, c + n0, ldc, k0 > 0,
                                      epilogue && k0 + INNER >= k ? &here : 0);
        }
    }
}

// Panels lie so that not all of them begin in one set of the cache.
enum { LOCAL_ROWS = 192, LOCAL_COLUMNS = 192, PANEL_STRIDE = INNER * PANEL + PANEL };

ck_int ck_gemm_local_scratch(void) { return LOCAL_ROWS * INNER + LOCAL_COLUMNS / PANEL * PANEL_STRIDE; }

// Panels of b [count, columns].
WIDE_INLINE void pack_block(ck_int count, ck_int columns, const float *b, ck_int bk, ck_int bc, float *panels) {
    ck_int whole = bc == 1 ? columns / PANEL * PANEL : 0;  // row by row, as they lie in memory
    for (ck_int p = 0; p < (whole ? count : 0); p++) {
        const float *row = b + p * bk;
        for (ck_int j = 0; j < whole; j += PANEL) {
            float *to = panels + j / PANEL * PANEL_STRIDE + p * PANEL;
            __builtin_prefetch(row + AHEAD * bk + j);
            store(to, load(row + j));
            store(to + 8, load(row + j + 8));
        }
    }
    for (ck_int j = whole; j < columns; j += PANEL)
        pack_panel(count, columns - j < PANEL ? columns - j : PANEL, b + j * bc, bk, bc,
                   panels + j / PANEL * PANEL_STRIDE);
}

WIDE void ck_gemm_local(ck_int m, ck_int n, ck_int k, const float *a, ck_int ar, ck_int ak, const float *b, ck_int bk,
                        ck_int bc, float *c, ck_int ldc, const ck_epilogue_inputs *epilogue, float *scratch) {
    float *strips = scratch, *panels = scratch + LOCAL_ROWS * INNER;
    const ck_int blocks = (n + LOCAL_COLUMNS - 1) / LOCAL_COLUMNS;
    const ck_int block = ((n + blocks - 1) / blocks + PANEL - 1) / PANEL * PANEL;  // nearly equal ones
    for (ck_int n0 = 0; n0 < n; n0 += block) {
        const ck_int columns = n - n0 < block ? n - n0 : block;
        ck_epilogue_inputs here;
        if (epilogue) here = moved(epilogue, n0, n0);
        for (ck_int k0 = 0; k0 < k; k0 += INNER) {
            const ck_int inner = k - k0 < INNER ? k - k0 : INNER;
            pack_block(inner, columns, b + k0 * bk + n0 * bc, bk, bc, panels);
            product_of_rows_in_blocks(m, columns, inner, a + k0 * ak, ar, ak, LOCAL_ROWS, ar == 1 ? strips : 0, panels,
                                      PANEL_STRIDE, c + n0, ldc, k0 > 0, epilogue && k0 + INNER >= k ? &here : 0);
        }
    }
}

WIDE void ck_gemm_small(ck_int m, ck_int n, ck_int k, const float *a, ck_int ar, ck_int ak, const float *b, ck_int bk,
                        ck_int bc, float *c, ck_int ldc, int accumulate) {
    float panel[INNER * PANEL];
    for (ck_int j = 0; j < n; j += PANEL) {
        const ck_int width = n - j < PANEL ? n - j : PANEL;
        for (ck_int k0 = 0; k0 < k; k0 += INNER) {
            const ck_int inner = k - k0 < INNER ? k - k0 : INNER;
            pack_panel(inner, width, b + k0 * bk + j * bc, bk, bc, panel);
            for (ck_int i = 0, height; i < m; i += height) {
                // 4 and 4 rows (4 and 3) are quicker than 6 and 2 (6 and 1).
                height = m - i == 8 || m - i == 7 ? 4 : m - i < ROWS ? m - i : ROWS;
                product(height, width, inner, a + i * ar + k0 * ak, ar, ak, panel,
                        c + i * ldc + j, ldc, accumulate || k0 > 0, 0);
            }
        }
    }
}
