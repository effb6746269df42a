// libFuzzer over Sources/CPixels: sizes, filter and pixels from the input, weights made as in
// Sources/Images/Resample.swift. Every buffer is of the size that the Swift side gives it.
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "CPixels.h"

typedef struct {
    int32_t *first, *count, *weights;
    ptrdiff_t taps;
} axis;

static double filter(double position, int is_cubic) {
    double x = fabs(position);
    if (!is_cubic) return x < 1 ? 1 - x : 0;
    if (x < 1) return (1.5 * x - 2.5) * x * x + 1;
    return x < 2 ? (((x - 5) * x + 8) * x - 4) * -0.5 : 0;
}

static axis make_axis(int input, int output, int is_cubic) {
    double scale = (double)input / output, stretch = scale > 1 ? scale : 1, support = (is_cubic ? 2 : 1) * stretch;
    axis made = {malloc(sizeof(int32_t) * (size_t)output), malloc(sizeof(int32_t) * (size_t)output), NULL,
                 (ptrdiff_t)ceil(support) * 2 + 1};
    made.weights = calloc((size_t)(output * made.taps), sizeof(int32_t));
    for (int position = 0; position < output; position++) {
        double centre = (position + 0.5) * scale, sum = 0;
        int low = (int)(centre - support + 0.5), high = (int)(centre + support + 0.5);
        if (low < 0) low = 0;
        if (high > input) high = input;
        for (int place = low; place < high; place++) sum += filter((place - centre + 0.5) / stretch, is_cubic);
        for (int place = low; place < high; place++) {
            double value = filter((place - centre + 0.5) / stretch, is_cubic) / (sum != 0 ? sum : 1) * 0x1p22;
            made.weights[position * made.taps + place - low] = (int32_t)(value + (value < 0 ? -0.5 : 0.5));
        }
        made.first[position] = low;
        made.count[position] = high - low;
    }
    return made;
}

static void free_axis(axis used) {
    free(used.first);
    free(used.count);
    free(used.weights);
}

// width x height pixels of the input's bytes, over and over
static uint8_t *picture(const uint8_t *bytes, size_t count, size_t pixels) {
    uint8_t *made = malloc(pixels * 3);
    for (size_t i = 0; i < pixels * 3; i++) made[i] = count ? bytes[i % count] : (uint8_t)(i * 255);
    return made;
}

static void planes(const uint8_t *pixels, int width, int height) {
    float table[768];
    for (int i = 0; i < 768; i++) table[i] = (float)i / 255;
    float *out = malloc(sizeof(float) * 3 * (size_t)width * (size_t)height);
    cp_to_planes(pixels, out, (ptrdiff_t)width * height, table);
    free(out);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count) {
    if (count < 6) return -1;
    // Small sides, one of them perhaps long: a resize of a million pixels tells no more than one of thousands.
    int sides[4], is_cubic = bytes[4] & 1;
    for (int i = 0; i < 4; i++) sides[i] = 1 + (bytes[i] & 31);
    sides[bytes[4] >> 1 & 3] += 2 * bytes[5];
    int width = sides[0], height = sides[1], new_width = sides[2], new_height = sides[3];
    uint8_t *in = picture(bytes + 6, count - 6, (size_t)width * (size_t)height);
    uint8_t *wide = malloc((size_t)new_width * (size_t)height * 3);
    uint8_t *out = malloc((size_t)new_width * (size_t)new_height * 3);
    uint8_t *scratch = malloc(24 * (size_t)(width + new_width));
    axis columns = make_axis(width, new_width, is_cubic), rows = make_axis(height, new_height, is_cubic);
    cp_resample_horizontal(in, wide, height, width, new_width, columns.first, columns.count, columns.weights,
                           columns.taps, scratch);
    cp_resample_vertical(wide, out, (ptrdiff_t)new_width * 3, new_height, rows.first, rows.count, rows.weights,
                         rows.taps);
    planes(out, new_width, new_height);
    free(in);
    free(wide);
    free(out);
    free(scratch);
    free_axis(columns);
    free_axis(rows);
    return 0;
}
