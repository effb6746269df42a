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

// What libpng reads of a file, and what a decode holds.
typedef struct {
    png_structp png;
    png_infop info;
    png_uint_32 width, height;
    int is_wide_grey;
    int passes, channels;
    size_t stride;
    uint8_t *pixels;
    uint8_t *raw;
    uint8_t *extra;
} decoding;

static int give_up(decoding *d, int code) {
    png_destroy_read_struct(&d->png, &d->info, NULL);
    free(d->pixels);
    free(d->raw);
    free(d->extra);
    free(d);
    return code;
}

// How an image is kept as it was opened, and its palette.
static void keep_form(const decoding *d, int colour, int depth, cc_image *image) {
    png_colorp entries;
    int number;
    if (depth == 1 && colour == PNG_COLOR_TYPE_GRAY) memset(image->palette + 3, 255, 765);
    if (d->is_wide_grey) image->kind = CC_GREY16;
    else if (colour & PNG_COLOR_MASK_ALPHA) image->kind = CC_ALPHA;
    else if (colour == PNG_COLOR_TYPE_PALETTE || depth == 1) image->kind = CC_INDEXED;
    if (colour == PNG_COLOR_TYPE_PALETTE && png_get_PLTE(d->png, d->info, &entries, &number))
        for (int i = 0; i < number && i < 256; i++) {
            image->palette[3 * i] = entries[i].red;
            image->palette[3 * i + 1] = entries[i].green;
            image->palette[3 * i + 2] = entries[i].blue;
        }
}

// PIL keeps 16-bit grey as it is and clips it when it makes RGB; other 16-bit images keep their high byte.
static void choose_form(decoding *d, int as_opened, cc_image *image) {
    const int colour = png_get_color_type(d->png, d->info), depth = png_get_bit_depth(d->png, d->info);
    d->is_wide_grey = colour == PNG_COLOR_TYPE_GRAY && depth == 16;
    if (as_opened) keep_form(d, colour, depth, image);
    if (colour == PNG_COLOR_TYPE_PALETTE) png_set_palette_to_rgb(d->png);
    if (colour == PNG_COLOR_TYPE_GRAY && depth < 8) png_set_expand_gray_1_2_4_to_8(d->png);
    if (depth == 16 && !d->is_wide_grey) png_set_strip_16(d->png);
    d->passes = png_set_interlace_handling(d->png);
    png_read_update_info(d->png, d->info);
    d->channels = png_get_channels(d->png, d->info);
    d->stride = png_get_rowbytes(d->png, d->info);
}

static void take_row(decoding *d, const uint8_t *row, png_uint_32 y, int kind) {
    for (png_uint_32 x = 0; x < d->width; x++) {
        const uint8_t *in = row + (size_t)x * (size_t)d->channels * (d->is_wide_grey ? 2 : 1);
        const size_t at = (size_t)y * d->width + x;
        uint8_t *out = d->pixels + at * 3;
        if (d->is_wide_grey) out[0] = out[1] = out[2] = in[0] ? 255 : in[1];
        else if (d->channels <= 2) out[0] = out[1] = out[2] = in[0];
        else memcpy(out, in, 3);
        if (kind == CC_ALPHA) d->extra[at] = in[d->channels - 1];
        if (kind == CC_GREY16) {
            d->extra[2 * at] = in[1];
            d->extra[2 * at + 1] = in[0];
        }
    }
}

int cc_decode_png(const uint8_t *bytes, size_t count, int64_t limit, int as_opened, cc_image *image) {
    reader source = {bytes, count, 0, CC_DAMAGED, image->message};
    image->pixels = image->extra = NULL;
    image->kind = CC_RGB;
    memset(image->palette, 0, sizeof image->palette);
    // In memory, not in registers: what a jump out of libpng finds.
    decoding *d = calloc(1, sizeof *d);
    if (!d) return CC_MEMORY;
    d->png = png_create_read_struct(PNG_LIBPNG_VER_STRING, &source, on_error, on_warning);
    d->info = d->png ? png_create_info_struct(d->png) : NULL;
    if (!d->info) return give_up(d, CC_MEMORY);
    if (setjmp(png_jmpbuf(d->png))) return give_up(d, source.code);
    png_set_read_fn(d->png, &source, read_bytes);
    png_read_info(d->png, d->info);
    png_set_crc_action(d->png, PNG_CRC_QUIET_USE, PNG_CRC_QUIET_USE);  // PIL decodes pixels with a wrong checksum
    d->width = png_get_image_width(d->png, d->info);
    d->height = png_get_image_height(d->png, d->info);
    if (cc_check(image, d->width, d->height, limit, count) != CC_OK) return give_up(d, CC_TOO_LARGE);
    cc_admit(image, (int64_t)d->width * d->height);
    choose_form(d, as_opened, image);
    const int has_extra = image->kind == CC_ALPHA || image->kind == CC_GREY16;
    d->pixels = malloc((size_t)d->width * d->height * 3);
    d->raw = malloc(d->stride * (d->passes > 1 ? d->height : 1));  // a row at a time where rows come in their order
    if (has_extra) d->extra = malloc((size_t)d->width * d->height * 2);
    if (!d->pixels || !d->raw || (has_extra && !d->extra)) {
        source.code = CC_MEMORY;
        png_error(d->png, "out of memory");
    }
    for (int pass = 0; pass + 1 < d->passes; pass++)
        for (png_uint_32 y = 0; y < d->height; y++) png_read_row(d->png, d->raw + y * d->stride, NULL);
    for (png_uint_32 y = 0; y < d->height; y++) {
        uint8_t *row = d->raw + (d->passes > 1 ? y * d->stride : 0);
        png_read_row(d->png, row, NULL);  // what follows the pixels is not read: PIL does without it, too
        take_row(d, row, y, image->kind);
    }
    image->width = (int)d->width;
    image->height = (int)d->height;
    image->pixels = d->pixels;
    image->extra = d->extra;
    d->pixels = d->extra = NULL;
    return give_up(d, CC_OK);
}
