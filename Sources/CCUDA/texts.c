#include <string.h>

#include "CCUDA.h"

// The kernels' files as they stand, each with a zero at its end.
#define TEXT(symbol, file)                                                                       \
    __asm__(".section .rodata\n.global ccuda_text_" #symbol "\nccuda_text_" #symbol ":\n"        \
            ".incbin \"" file "\"\n.byte 0\n.previous\n");                                       \
    extern const char ccuda_text_##symbol[]
TEXT(kernel, "kernel.h");
TEXT(pointwise, "pointwise.cu");
TEXT(reduce, "reduce.cu");
TEXT(gather, "gather.cu");
TEXT(layernorm, "layernorm.cu");
TEXT(normalize, "normalize.cu");
TEXT(images, "images.cu");
TEXT(optimise, "optimise.cu");
TEXT(contrastive, "contrastive.cu");
TEXT(attention, "attention.cu");

const char *ccuda_text(const char *name) {
    static const struct { const char *name, *text; } texts[] = {
        {"kernel.h", ccuda_text_kernel}, {"pointwise.cu", ccuda_text_pointwise}, {"reduce.cu", ccuda_text_reduce},
        {"gather.cu", ccuda_text_gather}, {"layernorm.cu", ccuda_text_layernorm},
        {"normalize.cu", ccuda_text_normalize}, {"images.cu", ccuda_text_images},
        {"optimise.cu", ccuda_text_optimise}, {"contrastive.cu", ccuda_text_contrastive},
        {"attention.cu", ccuda_text_attention}};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        if (!strcmp(name, texts[i].name)) return texts[i].text;
    return 0;
}
