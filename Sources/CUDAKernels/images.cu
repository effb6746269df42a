// Pixels, patches and the windows of convolutions; a value a thread.
#include "kernel.h"

DEVICE u64 place() { return (u64)blockIdx.x * 256 + threadIdx.x; }

// Bytes [B, pixels, 3] to planes [B, 3, pixels] by a table [3,256].
KERNEL(256, normalize_pixels, float *y, const u8 *x, const float *table, int pixels, u64 count) {
    u64 i = place();
    if (i >= count) return;
    u64 plane = i / pixels, image = plane / 3, pixel = i % pixels;
    int channel = plane % 3;
    y[i] = table[channel * 256 + x[(image * pixels + pixel) * 3 + channel]];
}

struct Patches { int channels, height, width, patch; };
// Where value i of [B (H/p) (W/p), C p p] stands in [B,C,H,W].
DEVICE u64 pixel_of(u64 i, Patches s) {
    int across = s.width / s.patch, down = s.height / s.patch;
    int column = i % s.patch;
    i /= s.patch;
    int line = i % s.patch;
    i /= s.patch;
    int channel = i % s.channels;
    i /= s.channels;
    int left = i % across;
    i /= across;
    int top = i % down;
    u64 image = i / down;
    return ((image * s.channels + channel) * s.height + top * s.patch + line) * s.width + left * s.patch + column;
}
template <class T> DEVICE void patchify(T *y, const T *images, Patches shape, u64 count) {
    u64 i = place();
    if (i < count) y[i] = images[pixel_of(i, shape)];
}
// dx is all 0 before.
template <class T> DEVICE void patchify_gradient(T *dx, const T *dy, Patches shape, u64 count) {
    u64 i = place();
    if (i < count) dx[pixel_of(i, shape)] = dy[i];
}

struct Map { int inputs, outputs, taps, columns; };
// [B inputs, C] -> [B outputs, C taps]
template <class T> DEVICE void unfold(T *y, const T *x, const int *table, Map map, u64 count) {
    u64 i = place();
    if (i >= count) return;
    int tap = i % map.taps, column = i / map.taps % map.columns;
    u64 row = i / map.taps / map.columns, image = row / map.outputs;
    int pixel = table[row % map.outputs * map.taps + tap];
    write(y + i, pixel < 0 ? 0 : read(x + (image * map.inputs + pixel) * map.columns + column));
}
// By input pixel: which (output, tap) see it, as output * taps + tap in seen[starts[p]..<starts[p + 1]].
template <class T> DEVICE void unfold_gradient(T *dx, const T *dy, const int *starts, const int *seen, Map map, u64 count) {
    u64 i = place();
    if (i >= count) return;
    int column = i % map.columns;
    u64 row = i / map.columns, image = row / map.inputs;
    int pixel = row % map.inputs;
    float sum = 0;
    for (int k = starts[pixel]; k < starts[pixel + 1]; k++) {
        int output = seen[k] / map.taps, tap = seen[k] % map.taps;
        sum += read(dy + ((image * map.outputs + output) * map.columns + column) * map.taps + tap);
    }
    write(dx + i, sum);
}
template <class T>
DEVICE void depthwise(T *y, const T *x, const T *weight, const T *bias, const int *table, Map map, u64 count) {
    u64 i = place();
    if (i >= count) return;
    int column = i % map.columns;
    u64 row = i / map.columns, image = row / map.outputs;
    const int *pixels = table + row % map.outputs * map.taps;
    float sum = read(bias + column);
    for (int tap = 0; tap < map.taps; tap++)
        if (pixels[tap] >= 0)
            sum += read(x + (image * map.inputs + pixels[tap]) * map.columns + column) * read(weight + column * map.taps + tap);
    write(y + i, sum);
}
template <class T>
DEVICE void depthwise_gradient(
    T *dx, const T *dy, const T *weight, const int *starts, const int *seen, Map map, u64 count) {
    u64 i = place();
    if (i >= count) return;
    int column = i % map.columns;
    u64 row = i / map.columns, image = row / map.inputs;
    int pixel = row % map.inputs;
    float sum = 0;
    for (int k = starts[pixel]; k < starts[pixel + 1]; k++) {
        int output = seen[k] / map.taps, tap = seen[k] % map.taps;
        sum += read(dy + (image * map.outputs + output) * map.columns + column) * read(weight + column * map.taps + tap);
    }
    write(dx + i, sum);
}
// parts [gridDim.y][C taps]: of output rows part * perPart and on; a block takes 32 columns of one tap (gridDim.z).
template <class T>
DEVICE void depthwise_weight_parts(
    float *parts, const T *x, const T *dy, const int *table, Map map, int rows, int perPart) {
    SHARED(float, shared);  // [8][32]
    int lane = threadIdx.x & 31, line = threadIdx.x >> 5, column = blockIdx.x * 32 + lane, tap = blockIdx.z;
    int begin = blockIdx.y * perPart, end = begin + perPart < rows ? begin + perPart : rows;
    float sum = 0;
    if (column < map.columns)
        for (int row = begin + line; row < end; row += 8) {
            int pixel = table[row % map.outputs * map.taps + tap];
            if (pixel >= 0)
                sum += read(dy + (u64)row * map.columns + column) *
                       read(x + ((u64)(row / map.outputs) * map.inputs + pixel) * map.columns + column);
        }
    shared[line * 32 + lane] = sum;
    sync_block();
    if (line == 0 && column < map.columns) {
        float total = 0;
        for (int l = 0; l < 8; l++) total += shared[l * 32 + lane];
        parts[(u64)blockIdx.y * map.columns * map.taps + column * map.taps + tap] = total;
    }
}

#define IMAGES(suffix, T)                                                                                               \
    KERNEL(256, patchify_##suffix, T *y, const T *images, Patches shape, u64 count) {                                   \
        patchify(y, images, shape, count);                                                                              \
    }                                                                                                                   \
    KERNEL(256, patchify_gradient_##suffix, T *dx, const T *dy, Patches shape, u64 count) {                             \
        patchify_gradient(dx, dy, shape, count);                                                                        \
    }                                                                                                                   \
    KERNEL(256, unfold_##suffix, T *y, const T *x, const int *table, Map map, u64 count) {                              \
        unfold(y, x, table, map, count);                                                                                \
    }                                                                                                                   \
    KERNEL(256, unfold_gradient_##suffix, T *dx, const T *dy, const int *starts, const int *seen, Map map, u64 count) { \
        unfold_gradient(dx, dy, starts, seen, map, count);                                                              \
    }                                                                                                                   \
    KERNEL(256, depthwise_##suffix, T *y, const T *x, const T *weight, const T *bias, const int *table, Map map,        \
           u64 count) {                                                                                                 \
        depthwise(y, x, weight, bias, table, map, count);                                                               \
    }                                                                                                                   \
    KERNEL(256, depthwise_gradient_##suffix, T *dx, const T *dy, const T *weight, const int *starts, const int *seen,   \
           Map map, u64 count) {                                                                                        \
        depthwise_gradient(dx, dy, weight, starts, seen, map, count);                                                   \
    }                                                                                                                   \
    KERNEL(256, depthwise_weight_parts_##suffix, float *parts, const T *x, const T *dy, const int *table, Map map,      \
           int rows, int perPart) {                                                                                     \
        depthwise_weight_parts(parts, x, dy, table, map, rows, perPart);                                                \
    }
IMAGES(f32, float)
IMAGES(bf16, bf16)
