// Kernels of Sources/CUDAKernels on the CPU: what they compute and whether they race, not how fast they are.
#pragma once
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/// Runs a kernel by its name over a grid of blocks.
///
/// - schedule: 0 threads ascending, 1 descending, 2 shuffled, 3 a warp until it must wait for its block
/// - Returns: 0, or what is wrong: 1 no kernel of this name, 2 more threads than it may have, 3 threads that wait for each
///   other for ever
int emulator_launch(
    const char *name, const unsigned grid[3], unsigned threads, size_t shared, void **arguments, int schedule);

/// Row-major c [m,n] = a b (+ bias [n]) (+ more [m,n]), sums in float32 in order. Elements: 0 float32, 1 bfloat16; a and b
/// are `transposed` where they are read the other way round; bias and more are of c's element, or null.
void emulator_product(
    int m, int n, int k, const void *a, int transposed_a, const void *b, int transposed_b, int operands, const void *bias,
    const void *more, void *c, int result);

#ifdef __cplusplus
}
#endif
