// Image files to RGB bytes and back, through libjpeg, libpng and libwebp. Their errors come back as
// codes and sentences: nothing jumps out of here.
#ifndef CCODECS_H
#define CCODECS_H

#include <stddef.h>
#include <stdint.h>

enum { CC_OK = 0, CC_DAMAGED = 1, CC_TRUNCATED = 2, CC_UNSUPPORTED = 3, CC_TOO_LARGE = 4, CC_MEMORY = 5 };

typedef struct {
    int width, height;
    uint8_t *pixels;  // RGB, row-major; free with cc_free
    char message[200];
} cc_image;

// limit: most pixels that are decoded
// shortest: 0 for the exact image; otherwise it may come out at a half, quarter or eighth, its shortest side no less than this,
// by the quicker transform and plain chroma upsampling
int cc_decode_jpeg(const uint8_t *bytes, size_t count, int64_t limit, int shortest, cc_image *image);
int cc_decode_png(const uint8_t *bytes, size_t count, int64_t limit, cc_image *image);
int cc_decode_webp(const uint8_t *bytes, size_t count, int64_t limit, cc_image *image);
// out is allocated; free with cc_free
int cc_encode_jpeg(const uint8_t *rgb, int width, int height, int quality, uint8_t **out, size_t *count);
void cc_free(void *memory);

#endif
