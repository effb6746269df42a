// Resampling of 8-bit RGB images in fixed point, to the last bit as PIL does it.
#ifndef CPIXELS_H
#define CPIXELS_H

#include <stddef.h>
#include <stdint.h>

// For each of `out` positions: first input position, number of weights, `taps` 22-bit weights.
// One pass along rows: in [height, width, 3] -> out [height, out, 3]. scratch: 24 (width + out) bytes.
void cp_resample_horizontal(const uint8_t *in, uint8_t *out, ptrdiff_t height, ptrdiff_t width, ptrdiff_t out_width,
                            const int32_t *first, const int32_t *count, const int32_t *weights, ptrdiff_t taps,
                            uint8_t *scratch);
// One pass along columns: in [height, row, ...] -> out [out_height, row], row in bytes.
void cp_resample_vertical(const uint8_t *in, uint8_t *out, ptrdiff_t row, ptrdiff_t out_height, const int32_t *first,
                          const int32_t *count, const int32_t *weights, ptrdiff_t taps);

#endif
