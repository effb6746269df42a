#include <stdlib.h>

#include "libraries.h"

// cublasLt.h's and library_types.h's values
enum {
    layout_rows = 2, layout_columns = 3, layout_leading = 4, type_float32 = 0, type_bfloat16 = 14, compute_float32 = 68, compute_tf32 = 77, operation_transposed = 1,
    product_transpose_a = 3, product_transpose_b = 4, product_epilogue = 7, product_bias = 8, epilogue_bias = 4,
    prefer_workspace = 1, prefer_reductions = 3, prefer_alignment_a = 5, reductions_apart = 2 | 4
};

struct ccuda_plan {
    void *product, *a, *b, *c;
    algorithm algorithm;
};

static void *handle;

#define TRY(call)                      \
    do {                               \
        int status = (call);           \
        if (status) return status;     \
    } while (0)

static int set_shape(void *layout, uint64_t rows, uint64_t columns) {
    int64_t leading = rows;
    TRY(ccuda_blas.set_layout(layout, layout_rows, &rows, sizeof rows));
    TRY(ccuda_blas.set_layout(layout, layout_columns, &columns, sizeof columns));
    return ccuda_blas.set_layout(layout, layout_leading, &leading, sizeof leading);
}

// cuBLASLt is column-major: c^T [n,m] = b^T a^T, so our b is its first operand.
static int set_shapes(const ccuda_plan *plan, const ccuda_product *p) {
    TRY(set_shape(plan->b, p->transposed_b ? p->k : p->n, p->transposed_b ? p->n : p->k));
    TRY(set_shape(plan->a, p->transposed_a ? p->m : p->k, p->transposed_a ? p->k : p->m));
    return set_shape(plan->c, p->n, p->m);
}

int ccuda_plan_product(const ccuda_product *p, size_t workspace, ccuda_plan **made) {
    if (!handle) TRY(ccuda_blas.create(&handle));
    ccuda_plan *plan = calloc(1, sizeof *plan);
    if (!plan) return 3;
    int operands = p->operands ? type_bfloat16 : type_float32, result = p->result ? type_bfloat16 : type_float32;
    int turn = operation_transposed, epilogue = epilogue_bias;
    TRY(ccuda_blas.make_product(&plan->product, p->tf32 && !p->operands ? compute_tf32 : compute_float32, type_float32));
    if (p->transposed_b) TRY(ccuda_blas.set_product(plan->product, product_transpose_a, &turn, sizeof turn));
    if (p->transposed_a) TRY(ccuda_blas.set_product(plan->product, product_transpose_b, &turn, sizeof turn));
    if (p->bias) TRY(ccuda_blas.set_product(plan->product, product_epilogue, &epilogue, sizeof epilogue));
    TRY(ccuda_blas.make_layout(&plan->b, operands, 1, 1, 1));
    TRY(ccuda_blas.make_layout(&plan->a, operands, 1, 1, 1));
    TRY(ccuda_blas.make_layout(&plan->c, result, 1, 1, 1));
    TRY(set_shapes(plan, p));
    void *preference;
    uint32_t reductions = reductions_apart;  // sums in place would come in any order
    uint32_t aligned[] = {p->aligned_b, p->aligned_a, p->adds ? p->aligned_residual : p->aligned_c, p->aligned_c};
    TRY(ccuda_blas.make_preference(&preference));
    TRY(ccuda_blas.set_preference(preference, prefer_workspace, &workspace, sizeof workspace));
    TRY(ccuda_blas.set_preference(preference, prefer_reductions, &reductions, sizeof reductions));
    for (int i = 0; i < 4; i++)
        TRY(ccuda_blas.set_preference(preference, prefer_alignment_a + i, &aligned[i], sizeof aligned[i]));
    choice best;
    int found = 0;
    int status = ccuda_blas.choose(handle, plan->product, plan->b, plan->a, plan->c, plan->c, preference, 1, &best, &found);
    ccuda_blas.free_preference(preference);
    if (status || !found) return status ? status : 15;  // CUBLAS_STATUS_NOT_SUPPORTED
    plan->algorithm = best.algorithm;
    *made = plan;
    return 0;
}

int ccuda_run_product(ccuda_plan *plan, const ccuda_product *p, ccuda_address a, ccuda_address b, ccuda_address bias,
                      ccuda_address residual, ccuda_address c, ccuda_address workspace, size_t bytes,
                      ccuda_stream stream) {
    float alpha = 1, beta = p->adds ? 1 : 0;
    TRY(set_shapes(plan, p));
    if (p->bias) TRY(ccuda_blas.set_product(plan->product, product_bias, &bias, sizeof bias));
    return ccuda_blas.run(handle, plan->product, &alpha, (void *)b, plan->b, (void *)a, plan->a, &beta,
                          (void *)(p->adds ? residual : c), plan->c, (void *)c, plan->c, &plan->algorithm,
                          (void *)workspace, bytes, stream);
}
