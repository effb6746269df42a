#include "PlantedKernels.h"

#include "kernel.h"

// Each kernel takes floats y [64] and x [256]; `isSound` leaves the fault out.

// y[i] = twice its neighbour's value, by shared memory: read before all have written.
KERNEL(64, planted_read_too_early, float *y, const float *x, int isSound) {
    SHARED(float, values);
    int i = threadIdx.x;
    values[i] = 2 * x[i];
    if (isSound) sync_block();
    y[i] = values[(i + 33) % 64];
}
// Sums of neighbours over four rounds: overwritten before all have read.
KERNEL(64, planted_overwrite_too_early, float *y, const float *x, int isSound) {
    SHARED(float, values);
    int i = threadIdx.x;
    float sum = 0;
    for (int round = 0; round < 4; round++) {
        values[i] = x[round * 64 + i];
        sync_block();
        sum += values[(i + 33) % 64];
        if (isSound) sync_block();
    }
    y[i] = sum;
}
// Two tiles on their way at once, and the first is read when only all but two have come.
KERNEL(64, planted_wait_for_too_few, float *y, const float *x, int isSound) {
    SHARED(float, tiles);  // [2][64]
    int i = threadIdx.x;
    for (int tile = 0; tile < 2; tile++) {
        if (i < 16) copy16_async(tiles + tile * 64 + i * 4, x + tile * 64 + i * 4);
        copy_commit();
    }
    if (isSound) copy_wait<1>();
    else copy_wait<2>();
    sync_block();
    y[i] = tiles[i];
}
// Threads of one warp that wait at different barriers.
KERNEL(64, planted_barrier_not_for_all, float *y, const float *x, int isSound) {
    int i = threadIdx.x;
    if (isSound || i < 40) sync_block();
    else sync_warp();
    y[i] = x[i];
}

int planted_kernels(void) { return 4; }
