#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jpeglib.h>

#include <jerror.h>

#include "codec.h"

typedef struct {
    struct jpeg_error_mgr base;
    jmp_buf escape;
    int code;
    char *message;
} error_state;

static void on_error(j_common_ptr info) {
    error_state *state = (error_state *)info->err;
    char text[JMSG_LENGTH_MAX];
    info->err->format_message(info, text);
    snprintf(state->message, 200, "%s", text);
    longjmp(state->escape, 1);
}

static void on_message(j_common_ptr info) { (void)info; }

// A small file can ask for a large picture to be gone over many times.
static const int most_scans = 256;
static const double most_work = 4e9;  // pixels times scans: about a second

static void on_progress(j_common_ptr common) {
    j_decompress_ptr info = (j_decompress_ptr)common;
    int scans = info->input_scan_number;
    double pixels = (double)info->image_width * info->image_height;
    if (scans <= most_scans && (scans <= 16 || pixels * scans <= most_work)) return;
    error_state *state = (error_state *)info->err;
    state->code = CC_TOO_LARGE;
    snprintf(state->message, 200, "over %d scans of %ux%u pixels", scans - 1, info->image_width, info->image_height);
    longjmp(state->escape, 1);
}

// A file that ends early is an error, as in PIL; libjpeg's own source would make up an end.
static boolean at_end(j_decompress_ptr info) {
    error_state *state = (error_state *)info->err;
    state->code = CC_TRUNCATED;
    snprintf(state->message, 200, "the file ends early");
    longjmp(state->escape, 1);
}

// PIL's rounding division by 255
static uint8_t times(int a, int b) {
    int t = a * b + 128;
    return (uint8_t)(((t >> 8) + t) >> 8);
}

void cc_cmyk_to_rgb(const uint8_t *cmy, const uint8_t *black, size_t pixels, uint8_t *rgb) {
    for (size_t i = 0; i < pixels; i++)
        for (int k = 0; k < 3; k++) {
            int value = (255 - black[i]) - times(cmy[3 * i + k], 255 - black[i]);
            rgb[3 * i + k] = (uint8_t)(value < 0 ? 0 : value);
        }
}

// Grey to RGB; CMYK to C, M, Y and K apart.
// A CMYK file holds them inverted, whether Adobe's marker says so or not: Pillow and browsers take it so.
static void split_row(const uint8_t *in, uint8_t *out, uint8_t *black, int width, int components) {
    for (int x = 0; x < width; x++) {
        if (components == 1) {
            out[3 * x] = out[3 * x + 1] = out[3 * x + 2] = in[x];
        } else {
            for (int k = 0; k < 4; k++) {
                uint8_t value = (uint8_t)(255 - in[4 * x + k]);
                if (k < 3) out[3 * x + k] = value;
                else black[x] = value;
            }
        }
    }
}

// What a decode holds; all of it goes when libjpeg jumps out.
typedef struct {
    struct jpeg_decompress_struct info;
    uint8_t *pixels;
    uint8_t *row;
    uint8_t *black;
} decoding;

static int give_up(decoding *d, int code) {
    jpeg_destroy_decompress(&d->info);
    free(d->pixels);
    free(d->row);
    free(d->black);
    return code;
}

static void choose_form(struct jpeg_decompress_struct *info, int shortest) {
    if (info->num_components == 4) info->out_color_space = JCS_CMYK;
    else info->out_color_space = info->num_components == 1 ? JCS_GRAYSCALE : JCS_RGB;
    if (shortest > 0) {
        // Halves, quarters and eighths have vectorised transforms; other eighths are slower than the whole.
        JDIMENSION side = info->image_width < info->image_height ? info->image_width : info->image_height;
        for (info->scale_denom = 8; info->scale_denom > 1 && side / info->scale_denom < (JDIMENSION)shortest;)
            info->scale_denom /= 2;
        info->dct_method = JDCT_FASTEST;
        info->do_fancy_upsampling = FALSE;
    }
}

// The part that is asked for; libjpeg widens it to whole blocks on the left, by inset bytes.
static cc_box choose_part(struct jpeg_decompress_struct *info, cc_choose choose, void *context, cc_image *image,
                          size_t *inset) {
    cc_box part = {0, 0, (int)info->output_width, (int)info->output_height};
    *inset = 0;
    if (choose && info->output_components == 3) {
        choose(context, part.width, part.height, &part);
        JDIMENSION left = (JDIMENSION)part.left, width = (JDIMENSION)part.width;
        jpeg_crop_scanline(info, &left, &width);
        *inset = ((size_t)part.left - left) * 3;
        if (part.top > 0) jpeg_skip_scanlines(info, (JDIMENSION)part.top);
        image->is_part = 1;
    }
    return part;
}

static void read_rows(decoding *d, JDIMENSION top, JDIMENSION height) {
    struct jpeg_decompress_struct *info = &d->info;
    const size_t stride = (size_t)info->output_width * 3;
    while (info->output_scanline < top + height) {
        uint8_t *out = d->pixels + stride * (info->output_scanline - top);
        if (info->output_components == 3) {
            uint8_t *lines[16];  // the quicker upsampling makes two at a time, and would copy the second if asked for one
            JDIMENSION left = top + height - info->output_scanline, some = left < 16 ? left : 16;
            for (JDIMENSION i = 0; i < some; i++) lines[i] = out + stride * i;
            jpeg_read_scanlines(info, lines, some);
        } else {
            uint8_t *line = d->row;
            jpeg_read_scanlines(info, &line, 1);
            split_row(d->row, out,
                      d->black ? d->black + (size_t)info->output_width * (info->output_scanline - 1) : NULL,
                      (int)info->output_width, info->output_components);
        }
    }
}

// Pixels without the inset go to the image, which owns them then.
static void hand_over(decoding *d, cc_box part, size_t inset, int as_opened, cc_image *image) {
    const size_t stride = (size_t)d->info.output_width * 3, width = (size_t)part.width * 3;
    image->width = part.width;
    image->height = part.height;
    if (stride != width)
        for (size_t y = 0; y < (size_t)part.height; y++)
            memmove(d->pixels + y * width, d->pixels + y * stride + inset, width);
    image->pixels = d->pixels;
    d->pixels = NULL;
    if (d->black && as_opened) {
        image->kind = CC_CMYK;
        image->extra = d->black;
        d->black = NULL;
    } else if (d->black) {
        cc_cmyk_to_rgb(image->pixels, d->black, (size_t)image->width * (size_t)image->height, image->pixels);
    }
}

int cc_decode_jpeg(const uint8_t *bytes, size_t count, int64_t limit, int shortest, int as_opened, cc_choose choose,
                   void *context, cc_image *image) {
    // In memory, not in registers: what a jump out of libjpeg finds.
    decoding *d = calloc(1, sizeof *d);
    if (!d) return CC_MEMORY;
    error_state state;
    d->info.err = jpeg_std_error(&state.base);
    state.base.error_exit = on_error;
    state.base.output_message = on_message;
    state.code = CC_DAMAGED;
    state.message = image->message;
    image->pixels = image->extra = NULL;
    image->kind = CC_RGB;
    struct jpeg_progress_mgr progress = {.progress_monitor = on_progress};
    int code = CC_OK;
    if (setjmp(state.escape)) {
        code = give_up(d, state.code);
        free(d);
        return code;
    }
    struct jpeg_decompress_struct *info = &d->info;
    jpeg_create_decompress(info);
    info->progress = &progress;
    jpeg_mem_src(info, bytes, (unsigned long)count);
    info->src->fill_input_buffer = at_end;
    jpeg_read_header(info, TRUE);
    if (cc_check(image, info->image_width, info->image_height, limit, count) != CC_OK) {
        code = give_up(d, CC_TOO_LARGE);
        free(d);
        return code;
    }
    cc_admit(image, (int64_t)info->image_width * info->image_height);
    choose_form(info, shortest);
    jpeg_start_decompress(info);
    size_t inset;
    cc_box part = choose_part(info, choose, context, image, &inset);
    d->pixels = malloc((size_t)info->output_width * 3 * (size_t)part.height);
    d->row = malloc((size_t)info->output_width * 4);
    if (info->num_components == 4) d->black = malloc((size_t)info->output_width * (size_t)part.height);
    if (!d->pixels || !d->row || (info->num_components == 4 && !d->black)) {
        code = give_up(d, CC_MEMORY);
        free(d);
        return code;
    }
    read_rows(d, (JDIMENSION)part.top, (JDIMENSION)part.height);
    if (info->output_scanline == info->output_height) jpeg_finish_decompress(info);
    hand_over(d, part, inset, as_opened, image);
    code = give_up(d, CC_OK);
    free(d);
    return code;
}

int cc_encode_jpeg(const uint8_t *rgb, int width, int height, int quality, uint8_t **out, size_t *count) {
    struct jpeg_compress_struct info;
    error_state state;
    char message[200];
    unsigned long size = 0;
    *out = NULL;
    info.err = jpeg_std_error(&state.base);
    state.base.error_exit = on_error;
    state.base.output_message = on_message;
    state.message = message;
    if (setjmp(state.escape)) {
        jpeg_destroy_compress(&info);
        return CC_MEMORY;
    }
    jpeg_create_compress(&info);
    jpeg_mem_dest(&info, out, &size);
    info.image_width = (JDIMENSION)width;
    info.image_height = (JDIMENSION)height;
    info.input_components = 3;
    info.in_color_space = JCS_RGB;
    jpeg_set_defaults(&info);
    jpeg_set_quality(&info, quality, TRUE);
    jpeg_start_compress(&info, TRUE);
    while (info.next_scanline < info.image_height) {
        JSAMPROW row = (JSAMPROW)(rgb + (size_t)info.next_scanline * (size_t)width * 3);
        jpeg_write_scanlines(&info, &row, 1);
    }
    jpeg_finish_compress(&info);
    jpeg_destroy_compress(&info);
    *count = size;
    return CC_OK;
}

