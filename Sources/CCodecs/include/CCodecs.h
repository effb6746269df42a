// Image files to RGB bytes and back, through libjpeg, libpng, libwebp, giflib and libtiff; BMP and Netpbm by our own
// readers. Errors come back as codes and sentences: nothing jumps out of here.
#ifndef CCODECS_H
#define CCODECS_H

#include <stddef.h>
#include <stdint.h>

enum { CC_OK = 0, CC_DAMAGED = 1, CC_TRUNCATED = 2, CC_UNSUPPORTED = 3, CC_TOO_LARGE = 4, CC_MEMORY = 5 };

// What a file holds, as PIL opens it; anything else is RGB to it or the same as RGB.
enum { CC_RGB = 0, CC_ALPHA = 1, CC_CMYK = 2, CC_GREY16 = 3, CC_INDEXED = 4 };

typedef struct {
    int width, height;
    uint8_t *pixels;  // RGB, row-major; free with cc_free
    char message[200];
    // Only when asked for as it was opened:
    int kind;
    uint8_t *extra;         // alpha or black, a byte a pixel; grey of 16 bits, low byte first
    int is_part;  // pixels are the part that was chosen
    uint8_t palette[768];   // CC_INDEXED, black for one bit: what an index of a padded border stands for
    // Called with the number of pixels before they are allocated, where not null; may wait.
    void (*admit)(void *context, int64_t pixels);
    void *context;
} cc_image;

typedef struct {
    int left, top, width, height;
} cc_box;
// Picks a part that lies inside of a picture of this size.
typedef void (*cc_choose)(void *context, int width, int height, cc_box *part);

// limit: most pixels that are decoded
// shortest: 0 for the exact image; otherwise it may come out at a half, quarter or eighth, its shortest side no less than this,
// by the quicker transform and plain chroma upsampling
// choose: null, or called with `context` for a colour JPEG, of which the part alone is decoded then
// as_opened: CMYK comes out as it is, C, M and Y in pixels and K in extra; alpha and wide grey are kept in extra
int cc_decode_jpeg(const uint8_t *bytes, size_t count, int64_t limit, int shortest, int as_opened, cc_choose choose,
                   void *context, cc_image *image);
int cc_decode_png(const uint8_t *bytes, size_t count, int64_t limit, int as_opened, cc_image *image);
int cc_decode_webp(const uint8_t *bytes, size_t count, int64_t limit, int as_opened, cc_image *image);
// The first frame, the first page.
int cc_decode_gif(const uint8_t *bytes, size_t count, int64_t limit, int as_opened, cc_image *image);
int cc_decode_tiff(const uint8_t *bytes, size_t count, int64_t limit, int as_opened, cc_image *image);
int cc_decode_bmp(const uint8_t *bytes, size_t count, int64_t limit, int as_opened, cc_image *image);
int cc_decode_pnm(const uint8_t *bytes, size_t count, int64_t limit, int as_opened, cc_image *image);
// CMYK of a pixel to RGB, as PIL
void cc_cmyk_to_rgb(const uint8_t *cmy, const uint8_t *black, size_t pixels, uint8_t *rgb);
// out is allocated; free with cc_free
int cc_encode_jpeg(const uint8_t *rgb, int width, int height, int quality, uint8_t **out, size_t *count);
void cc_free(void *memory);

#endif
