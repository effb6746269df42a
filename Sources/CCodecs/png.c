#include <png.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "codec.h"

typedef struct {
    const uint8_t *bytes;
    size_t count, at;
    int code;
    char *message;
} reader;

static void read_bytes(png_structp png, png_bytep out, png_size_t wanted) {
    reader *source = png_get_io_ptr(png);
    if (source->count - source->at < wanted) {
        source->code = CC_TRUNCATED;
        png_error(png, "the file ends early");
    }
    memcpy(out, source->bytes + source->at, wanted);
    source->at += wanted;
}

static void on_error(png_structp png, png_const_charp text) {
    reader *source = png_get_error_ptr(png);
    snprintf(source->message, 200, "%s", text);
    longjmp(png_jmpbuf(png), 1);
}

static void on_warning(png_structp png, png_const_charp text) {
    (void)png;
    (void)text;
}

int cc_decode_png(const uint8_t *bytes, size_t count, int64_t limit, int as_opened, cc_image *image) {
    reader source = {bytes, count, 0, CC_DAMAGED, image->message};
    uint8_t *volatile pixels = NULL;
    uint8_t *volatile raw = NULL;
    uint8_t *volatile extra = NULL;
    image->pixels = image->extra = NULL;
    image->kind = CC_RGB;
    memset(image->palette, 0, sizeof image->palette);
    png_structp png = png_create_read_struct(PNG_LIBPNG_VER_STRING, &source, on_error, on_warning);
    png_infop info = png ? png_create_info_struct(png) : NULL;
    if (!info) {
        png_destroy_read_struct(&png, NULL, NULL);
        return CC_MEMORY;
    }
    if (setjmp(png_jmpbuf(png))) {
        png_destroy_read_struct(&png, &info, NULL);
        free(pixels);
        free(raw);
        free(extra);
        return source.code;
    }
    png_set_read_fn(png, &source, read_bytes);
    png_read_info(png, info);
    png_set_crc_action(png, PNG_CRC_QUIET_USE, PNG_CRC_QUIET_USE);  // PIL decodes pixels with a wrong checksum
    png_uint_32 width = png_get_image_width(png, info), height = png_get_image_height(png, info);
    if (cc_check(image, width, height, limit, count) != CC_OK) {
        source.code = CC_TOO_LARGE;
        png_destroy_read_struct(&png, &info, NULL);
        return source.code;
    }
    cc_admit(image, (int64_t)width * height);
    int colour = png_get_color_type(png, info), depth = png_get_bit_depth(png, info);
    // PIL keeps 16-bit grey as it is and clips it when it makes RGB; other 16-bit images keep their high byte.
    int is_wide_grey = colour == PNG_COLOR_TYPE_GRAY && depth == 16;
    if (as_opened) {
        png_colorp entries;
        int number;
        if (depth == 1 && colour == PNG_COLOR_TYPE_GRAY) memset(image->palette + 3, 255, 765);
        if (is_wide_grey) image->kind = CC_GREY16;
        else if (colour & PNG_COLOR_MASK_ALPHA) image->kind = CC_ALPHA;
        else if (colour == PNG_COLOR_TYPE_PALETTE || depth == 1) image->kind = CC_INDEXED;
        if (colour == PNG_COLOR_TYPE_PALETTE && png_get_PLTE(png, info, &entries, &number))
            for (int i = 0; i < number && i < 256; i++) {
                image->palette[3 * i] = entries[i].red;
                image->palette[3 * i + 1] = entries[i].green;
                image->palette[3 * i + 2] = entries[i].blue;
            }
    }
    if (colour == PNG_COLOR_TYPE_PALETTE) png_set_palette_to_rgb(png);
    if (colour == PNG_COLOR_TYPE_GRAY && depth < 8) png_set_expand_gray_1_2_4_to_8(png);
    if (depth == 16 && !is_wide_grey) png_set_strip_16(png);
    int passes = png_set_interlace_handling(png);
    png_read_update_info(png, info);
    int channels = png_get_channels(png, info);
    size_t stride = png_get_rowbytes(png, info);
    pixels = malloc((size_t)width * height * 3);
    raw = malloc(stride * (passes > 1 ? height : 1));  // a row at a time where rows come in their order
    if (image->kind == CC_ALPHA || image->kind == CC_GREY16) extra = malloc((size_t)width * height * 2);
    if (!pixels || !raw || ((image->kind == CC_ALPHA || image->kind == CC_GREY16) && !extra)) {
        source.code = CC_MEMORY;
        png_error(png, "out of memory");
    }
    for (int pass = 0; pass + 1 < passes; pass++)
        for (png_uint_32 y = 0; y < height; y++) png_read_row(png, raw + y * stride, NULL);
    for (png_uint_32 y = 0; y < height; y++) {
        uint8_t *row = raw + (passes > 1 ? y * stride : 0);
        png_read_row(png, row, NULL);  // what follows the pixels is not read: PIL does without it, too
        for (png_uint_32 x = 0; x < width; x++) {
            const uint8_t *in = row + (size_t)x * (size_t)channels * (is_wide_grey ? 2 : 1);
            uint8_t *out = pixels + ((size_t)y * width + x) * 3;
            if (is_wide_grey) out[0] = out[1] = out[2] = in[0] ? 255 : in[1];
            else if (channels <= 2) out[0] = out[1] = out[2] = in[0];
            else memcpy(out, in, 3);
            size_t at = (size_t)y * width + x;
            if (image->kind == CC_ALPHA) extra[at] = in[channels - 1];
            if (image->kind == CC_GREY16) {
                extra[2 * at] = in[1];
                extra[2 * at + 1] = in[0];
            }
        }
    }
    png_destroy_read_struct(&png, &info, NULL);
    free(raw);
    image->width = (int)width;
    image->height = (int)height;
    image->pixels = pixels;
    image->extra = extra;
    return CC_OK;
}
