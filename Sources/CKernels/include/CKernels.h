// SIMD loops for float32 tensors. Every function works on a range that one thread owns; the widest
// form for the CPU at hand is chosen when the program starts (target_clones).
#ifndef CKERNELS_H
#define CKERNELS_H

#include <stddef.h>
#include <stdint.h>

typedef ptrdiff_t ck_int;

// pointwise.c
void ck_add(ck_int n, const float *a, const float *b, float *y);
void ck_accumulate(ck_int n, float factor, const float *x, float *y);
void ck_scale(ck_int n, float factor, const float *x, float *y);
void ck_multiply(ck_int n, const float *a, const float *b, float *y);
// kind: TensorCore's Activation raw value; CK_NONE in a product without one
enum { CK_NONE = -1, CK_QUICK_GELU = 0, CK_GELU = 1, CK_GELU_TANH = 2, CK_RELU = 3, CK_TANH = 4 };
void ck_activate(int kind, ck_int n, const float *x, float *y);
void ck_activate_gradient(int kind, ck_int n, const float *x, const float *dy, float *dx);
// y [3,pixels] = table [3,256] of x [pixels,3]
void ck_normalize_pixels(ck_int pixels, const uint8_t *x, const float *table, float *y);
// A product's epilogue: + bias [columns] + residual, then preactivation takes a copy, then the activation; or, with
// slope_at, times the activation's slope there, and slope_at becomes the activation. residual, preactivation and
// slope_at are laid out as c.
// null pointers: absent
typedef struct {
    const float *bias;
    const float *residual;
    float *preactivation;
    float *slope_at;
    int kind;
} ck_epilogue_inputs;
void ck_epilogue(ck_int rows, ck_int columns, ck_int ld, float *c, const ck_epilogue_inputs *inputs);

// gemm.c: products on one thread. An operand's rows and columns lie ar and ak (bk and bc) apart.
int ck_gemm_suits(void);  // 0: this CPU is better served by the BLAS, and the others must not be called
// Rows first ..< last of b [k,n] into its packed form, panels [ceil(n / 16)][k][16].
void ck_gemm_pack(ck_int first, ck_int last, ck_int k, ck_int n, const float *b, ck_int bk, ck_int bc, float *packed);
// c [m,n] = a [m,k] b, then the epilogue; packed begins at c's first column
void ck_gemm_packed(ck_int m, ck_int n, ck_int k, const float *a, ck_int ar, ck_int ak, const float *packed, float *c,
                    ck_int ldc, const ck_epilogue_inputs *epilogue);
// The same with b as it is: what is needed of it is packed as it is read, into scratch.
void ck_gemm_local(ck_int m, ck_int n, ck_int k, const float *a, ck_int ar, ck_int ak, const float *b, ck_int bk, ck_int bc,
                   float *c, ck_int ldc, const ck_epilogue_inputs *epilogue, float *scratch);
ck_int ck_gemm_local_scratch(void);  // floats
// c [m,n] = (accumulate ? c : 0) + a [m,k] b [k,n], for operands that fit the cache
void ck_gemm_small(ck_int m, ck_int n, ck_int k, const float *a, ck_int ar, ck_int ak, const float *b, ck_int bk,
                   ck_int bc, float *c, ck_int ldc, int accumulate);

// reduce.c
void ck_sum_rows(ck_int rows, ck_int columns, const float *x, float *y);
// products[r] = x . row r of y [rows,n]
void ck_dots(ck_int rows, ck_int n, const float *x, const float *y, double *products);
double ck_sum_of_squares(ck_int n, const float *x);

// normalize.c
void ck_layer_norm(ck_int rows, ck_int n, const float *x, const float *weight, const float *bias, float epsilon, float *y,
                   float *mean, float *reciprocal);
void ck_layer_norm_gradient(ck_int rows, ck_int n, const float *x, const float *weight, const float *mean,
                            const float *reciprocal, const float *dy, float *dx, float *dweight, float *dbias);
void ck_normalize_rows(ck_int rows, ck_int n, const float *x, float *y, float *norms);
void ck_normalize_rows_gradient(ck_int rows, ck_int n, const float *y, const float *norms, const float *dy, float *dx);

// convolution.c: one image; table [outputs, taps] holds pixels or -1
void ck_unfold(ck_int outputs, ck_int taps, ck_int channels, const int32_t *table, const float *x, float *y);
void ck_unfold_gradient(ck_int outputs, ck_int taps, ck_int channels, const int32_t *table, const float *dy, float *dx);
// weight by tap here, [taps, channels]
void ck_depthwise(ck_int outputs, ck_int taps, ck_int channels, const int32_t *table, const float *x, const float *weight,
                  const float *bias, float *y);
void ck_depthwise_gradient(ck_int outputs, ck_int taps, ck_int channels, const int32_t *table, const float *x,
                           const float *weight, const float *dy, float *dx, float *dweight);
// at most 64 columns of a matrix whose rows lie ld apart
void ck_column_moments(ck_int rows, ck_int ld, ck_int columns, const float *x, float *mean, float *variance);
void ck_batch_norm(ck_int rows, ck_int ld, ck_int columns, const float *x, const float *weight, const float *bias,
                   float epsilon, const float *mean, const float *variance, float *y);
void ck_batch_norm_gradient(ck_int rows, ck_int ld, ck_int columns, const float *x, const float *weight, float epsilon,
                            const float *mean, const float *variance, int is_of_batch, const float *dy, float *dx,
                            float *dweight, float *dbias);

// attention.c
// scores [queries, keys] to probabilities in place; with causal, row i sees keys 0..i. Here and below the leading
// dimension ld is a multiple of 8, and what lies beyond the keys is overwritten.
void ck_softmax_scores(ck_int queries, ck_int keys, ck_int ld, float scale, int causal, float *scores, float *log_sum_exp,
                       ck_int lse_stride);
// scores to probabilities again, from the kept log-sum-exp
void ck_probabilities(ck_int queries, ck_int keys, ck_int ld, float scale, int causal, float *scores,
                      const float *log_sum_exp, ck_int lse_stride);
// dp to ds in place: ds = p (dp - along) scale, along = dy . y of that row and head
void ck_score_gradient(ck_int queries, ck_int keys, ck_int ld, ck_int width, ck_int row, float scale, const float *p,
                       const float *y, const float *dy, float *dp);

// contrastive.c
// One block of logits (raw cosines on entry). Softmax, first pass: largest logit and sum of exponentials by row and by
// column of the block.
void ck_block_log_sum(ck_int rows, ck_int columns, const float *cosines, float scale, float *row_max, float *row_sum,
                      float *column_max, float *column_sum);
// Softmax, second pass: cosines become d loss / d logit times 2B; diagonal: column of row 0's own text, or far outside.
// own: the logit of each row's and each column's own pair. Gives the sum of slope * logit.
double ck_softmax_slopes(ck_int rows, ck_int columns, float *cosines, float scale, const float *row_lse,
                         const float *column_lse, const float *row_own, const float *column_own, ck_int diagonal);
// Sigmoid: cosines become d loss / d logit times B; sums[0] += loss, [1] += slope * (logit - bias), [2] += slope.
void ck_sigmoid_slopes(ck_int rows, ck_int columns, float *cosines, float scale, float bias, ck_int diagonal, double *sums);
// The first pass by rows alone.
void ck_row_log_sum(ck_int rows, ck_int columns, const float *cosines, float scale, float *row_max, float *row_sum);
// The second by rows alone: cosines become d loss / d logit times 2B. mine and own: of these rows; others: of the columns.
// along [rows]: adds the sum of each row's shares times the distance to its own logit.
void ck_strip_softmax(ck_int rows, ck_int columns, float *cosines, float scale, const float *mine, const float *own,
                      const float *others, ck_int diagonal, double *along);

// optimizer.c
// share1 = 1 - beta1 and share2 = 1 - beta2, rounded once from double as PyTorch does
void ck_adamw(ck_int n, float *parameter, const float *gradient, float *mean, float *square, float gradient_factor,
              float share1, float beta2, float share2, float decay, float step_size, float correction2, float epsilon);

#endif
