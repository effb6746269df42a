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
// kind: TensorCore's Activation raw value
void ck_activate(int kind, ck_int n, const float *x, float *y);
void ck_activate_gradient(int kind, ck_int n, const float *x, const float *dy, float *dx);
// rows x columns block of c (leading dimension ld): + bias + residual, then preactivation and activation;
// kind < 0: no activation; null pointers: absent
void ck_epilogue(ck_int rows, ck_int columns, ck_int ld, float *c, const float *bias, const float *residual, int kind,
                 float *preactivation);

// reduce.c
void ck_sum_rows(ck_int rows, ck_int columns, const float *x, float *y);
double ck_sum_of_squares(ck_int n, const float *x);

// normalize.c
void ck_layer_norm(ck_int rows, ck_int n, const float *x, const float *weight, const float *bias, float epsilon, float *y,
                   float *mean, float *reciprocal);
void ck_layer_norm_gradient(ck_int rows, ck_int n, const float *x, const float *weight, const float *mean,
                            const float *reciprocal, const float *dy, float *dx, float *dweight, float *dbias);
void ck_normalize_rows(ck_int rows, ck_int n, const float *x, float *y, float *norms);
void ck_normalize_rows_gradient(ck_int rows, ck_int n, const float *y, const float *norms, const float *dy, float *dx);

// attention.c
// scores [queries, keys] (leading dimension ld) to probabilities in place; with causal, row i sees keys 0..i
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

// optimizer.c
// share1 = 1 - beta1 and share2 = 1 - beta2, rounded once from double as PyTorch does
void ck_adamw(ck_int n, float *parameter, const float *gradient, float *mean, float *square, float gradient_factor,
              float share1, float beta2, float share2, float decay, float step_size, float correction2, float epsilon);

#endif
