#include <string.h>

#include "CCUDA.h"

// The kernels' files as they stand, each with a zero at its end.
#pragma clang diagnostic ignored "-Wc23-extensions"
static const char kernel_text[] = {
#embed "../CUDAKernels/kernel.h"
    , 0};
static const char attention_text[] = {
#embed "../CUDAKernels/attention.cu"
    , 0};
static const char contrastive_text[] = {
#embed "../CUDAKernels/contrastive.cu"
    , 0};
static const char gather_text[] = {
#embed "../CUDAKernels/gather.cu"
    , 0};
static const char images_text[] = {
#embed "../CUDAKernels/images.cu"
    , 0};
static const char layernorm_text[] = {
#embed "../CUDAKernels/layernorm.cu"
    , 0};
static const char normalize_text[] = {
#embed "../CUDAKernels/normalize.cu"
    , 0};
static const char optimise_text[] = {
#embed "../CUDAKernels/optimise.cu"
    , 0};
static const char pointwise_text[] = {
#embed "../CUDAKernels/pointwise.cu"
    , 0};
static const char reduce_text[] = {
#embed "../CUDAKernels/reduce.cu"
    , 0};

const char *ccuda_text(const char *name) {
    static const struct { const char *name, *text; } texts[] = {
        {"kernel.h", kernel_text},
        {"attention.cu", attention_text},
        {"contrastive.cu", contrastive_text},
        {"gather.cu", gather_text},
        {"images.cu", images_text},
        {"layernorm.cu", layernorm_text},
        {"normalize.cu", normalize_text},
        {"optimise.cu", optimise_text},
        {"pointwise.cu", pointwise_text},
        {"reduce.cu", reduce_text},
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        if (!strcmp(name, texts[i].name)) return texts[i].text;
    return 0;
}
