// The first page of a TIFF through libtiff, its samples put together as Pillow does.
#include <stdlib.h>
#include <string.h>
#include <tiffio.h>

#include "codec.h"

typedef struct {
    const uint8_t *bytes;
    toff_t count, at;
} reader;

static tmsize_t read_bytes(thandle_t handle, void *out, tmsize_t wanted) {
    reader *in = handle;
    if (in->at >= in->count || wanted < 0) return 0;
    toff_t some = in->count - in->at < (toff_t)wanted ? in->count - in->at : (toff_t)wanted;
    memcpy(out, in->bytes + in->at, some);
    in->at += some;
    return (tmsize_t)some;
}

static tmsize_t write_bytes(thandle_t handle, void *bytes, tmsize_t count) {
    (void)handle, (void)bytes, (void)count;
    return -1;
}

static toff_t seek_to(thandle_t handle, toff_t place, int from) {
    reader *in = handle;
    in->at = from == SEEK_CUR ? in->at + place : from == SEEK_END ? in->count + place : place;
    return in->at;
}

static int close_it(thandle_t handle) { return (void)handle, 0; }
static toff_t size_of(thandle_t handle) { return ((reader *)handle)->count; }

static int keep_message(TIFF *tiff, void *message, const char *module, const char *format, va_list arguments) {
    (void)tiff, (void)module;
    vsnprintf(message, 200, format, arguments);
    return 1;
}

static int ignore(TIFF *tiff, void *context, const char *module, const char *format, va_list arguments) {
    return (void)tiff, (void)context, (void)module, (void)format, (void)arguments, 1;
}

typedef struct {
    uint32_t width, height;
    uint16_t bits, samples, photometric, planes, extras, compression;
    int has_alpha, is_premultiplied, orientation;
    uint16_t *red, *green, *blue;
} page;

static uint64_t whole(const uint8_t *at, int size, int is_big_endian) {
    uint64_t value = 0;
    for (int i = 0; i < size; i++) value |= (uint64_t)at[i] << 8 * (is_big_endian ? size - 1 - i : i);
    return value;
}

// Whether the directory says palette: libtiff makes grey of a palette that it cannot read.
static int says_palette(TIFF *tiff) {
    const reader *in = TIFFClientdata(tiff);
    int is_big = TIFFIsBigTIFF(tiff), order = TIFFIsBigEndian(tiff);
    uint64_t at = TIFFCurrentDirOffset(tiff), size = is_big ? 20 : 12, head = is_big ? 8 : 2;
    if (at > in->count || in->count - at < head) return 0;
    uint64_t entries = whole(in->bytes + at, (int)head, order), most = (in->count - at - head) / size;
    const uint8_t *entry = in->bytes + at + head;
    for (uint64_t i = 0; i < entries && i < most; i++, entry += size)
        if (whole(entry, 2, order) == TIFFTAG_PHOTOMETRIC) return whole(entry + size - (is_big ? 8 : 4), 2, order) == PHOTOMETRIC_PALETTE;
    return 0;
}

// The orientation in XMP, which Pillow looks for where the tag is missing.
static uint16_t written_orientation(TIFF *tiff) {
    static const char name[] = "tiff:Orientation";
    uint32_t size = 0;
    const uint8_t *text = NULL;
    if (!TIFFGetField(tiff, TIFFTAG_XMLPACKET, &size, &text) || !text) return 1;
    for (uint32_t at = 0; at + sizeof name - 1 < size; at++) {
        if (memcmp(text + at, name, sizeof name - 1) != 0) continue;
        uint32_t next = at + (uint32_t)sizeof name - 1;
        next += text[next] == '>' ? 1 : size - next >= 2 && text[next] == '=' && text[next + 1] == '"' ? 2 : size - next;
        if (next < size && text[next] >= '0' && text[next] <= '9') return text[next] - '0';
    }
    return 1;
}

static int read_page(TIFF *tiff, page *page, cc_image *image) {
    uint16_t format = SAMPLEFORMAT_UINT, *kinds = NULL;
    TIFFGetField(tiff, TIFFTAG_IMAGEWIDTH, &page->width);
    TIFFGetField(tiff, TIFFTAG_IMAGELENGTH, &page->height);
    TIFFGetFieldDefaulted(tiff, TIFFTAG_BITSPERSAMPLE, &page->bits);
    TIFFGetFieldDefaulted(tiff, TIFFTAG_SAMPLESPERPIXEL, &page->samples);
    TIFFGetFieldDefaulted(tiff, TIFFTAG_PLANARCONFIG, &page->planes);
    TIFFGetFieldDefaulted(tiff, TIFFTAG_SAMPLEFORMAT, &format);
    TIFFGetFieldDefaulted(tiff, TIFFTAG_COMPRESSION, &page->compression);
    TIFFGetFieldDefaulted(tiff, TIFFTAG_EXTRASAMPLES, &page->extras, &kinds);
    if (!TIFFGetField(tiff, TIFFTAG_PHOTOMETRIC, &page->photometric)) page->photometric = PHOTOMETRIC_MINISWHITE;
    uint16_t orientation = 1;
    if (!TIFFGetField(tiff, TIFFTAG_ORIENTATION, &orientation)) orientation = written_orientation(tiff);
    page->orientation = orientation;
    // libdeflate, where libtiff uses it, leaves the buffer as it was when a strip holds more than is asked for.
    if (page->compression == COMPRESSION_ADOBE_DEFLATE || page->compression == COMPRESSION_DEFLATE)
        TIFFSetField(tiff, TIFFTAG_DEFLATE_SUBCODEC, DEFLATE_SUBCODEC_ZLIB);
    if (page->photometric == PHOTOMETRIC_YCBCR && page->compression == COMPRESSION_JPEG) {
        TIFFSetField(tiff, TIFFTAG_JPEGCOLORMODE, JPEGCOLORMODE_RGB);
        page->photometric = PHOTOMETRIC_RGB;
    }
    uint16_t number, *listed;
    int are_listed = TIFFGetField(tiff, TIFFTAG_EXTRASAMPLES, &number, &listed);
    int is_separate = page->planes == PLANARCONFIG_SEPARATE, is_raw = page->compression == COMPRESSION_NONE;
    int kind = page->extras > 0 && kinds ? kinds[0] : 0;
    if (page->samples > 3 && page->photometric == PHOTOMETRIC_RGB) {
        page->has_alpha = !are_listed || kind == EXTRASAMPLE_UNASSALPHA || kind == EXTRASAMPLE_ASSOCALPHA;
        // In planes an alpha that is not listed counts as multiplied in.
        page->is_premultiplied = kind == EXTRASAMPLE_ASSOCALPHA || (!are_listed && is_separate && !is_raw);
    }
    if (page->samples == 2 && page->photometric == PHOTOMETRIC_MINISBLACK) page->has_alpha = kind == EXTRASAMPLE_UNASSALPHA;
    int colours = page->photometric == PHOTOMETRIC_RGB ? 3 : page->photometric == PHOTOMETRIC_SEPARATED ? 4 : 1;
    int is_palette = page->photometric == PHOTOMETRIC_PALETTE;
    if (says_palette(tiff) != is_palette || (is_palette && !TIFFGetField(tiff, TIFFTAG_COLORMAP, &page->red, &page->green, &page->blue)))
        return cc_fail(image, CC_DAMAGED, "a TIFF palette is missing");
    int fits = page->photometric <= PHOTOMETRIC_PALETTE || page->photometric == PHOTOMETRIC_SEPARATED;
    int depth = page->bits == 8 || (colours == 1 && (page->bits == 1 || page->bits == 2 || page->bits == 4))
        || (page->bits == 16 && !is_palette);
    // Grey with a second sample has to say what it is.
    if (colours == 1 && page->samples > 1
        && (page->samples > 2 || !are_listed || page->bits != 8 || page->photometric == PHOTOMETRIC_MINISWHITE
            || kind == EXTRASAMPLE_ASSOCALPHA))
        fits = 0;
    if (page->bits == 16 && page->photometric == PHOTOMETRIC_MINISWHITE && TIFFIsBigEndian(tiff)) fits = 0;
    // Pillow misreads bare planes unless a sample is a byte as it is, and takes no others beside colour and alpha.
    if (is_separate && is_raw
        && !((page->bits == 8 && page->photometric != PHOTOMETRIC_MINISWHITE
              && (page->samples == colours || (colours == 3 && page->samples == 4 && (kind == EXTRASAMPLE_UNASSALPHA || (!are_listed && !TIFFIsTiled(tiff))))))
             || (page->bits == 1 && page->photometric == PHOTOMETRIC_MINISBLACK)))
        fits = 0;
    if (!fits || !depth || format != SAMPLEFORMAT_UINT || page->samples < colours || page->samples > 8
        || (page->samples > 1 && page->bits < 8))
        return cc_fail(image, CC_UNSUPPORTED, "a TIFF of this depth or colour space");
    return CC_OK;
}

// One sample of a row, 8 bits or less as it is, 16 bits whole.
static uint32_t sample(const page *page, const uint8_t *row, uint32_t x, int k, int channels) {
    size_t place = (size_t)x * (size_t)channels + (size_t)k;
    switch (page->bits) {
    case 8: return row[place];
    case 16: return ((const uint16_t *)(const void *)row)[place];
    default: return row[place * page->bits / 8] >> (8 - page->bits - (place * page->bits) % 8) & ((1u << page->bits) - 1);
    }
}

static void put(const page *page, const uint32_t *values, size_t at, cc_image *image) {
    uint8_t *out = image->pixels + 3 * at;
    uint32_t most = (1u << page->bits) - 1;
    switch (page->photometric) {
    case PHOTOMETRIC_PALETTE: memcpy(out, image->palette + 3 * (values[0] & 255), 3); break;
    case PHOTOMETRIC_RGB:
        for (int k = 0; k < 3; k++) out[k] = (uint8_t)(page->bits == 16 ? values[k] >> 8 : values[k]);
        uint32_t alpha = page->bits == 16 ? values[3] >> 8 : values[3];
        if (page->is_premultiplied && alpha < 255)
            for (int k = 0; k < 3; k++) {
                uint32_t value = alpha > 0 ? 255u * out[k] / alpha : 0;
                out[k] = (uint8_t)(value > 255 ? 255 : value);
            }
        if (image->kind == CC_ALPHA) image->extra[at] = (uint8_t)alpha;
        break;
    case PHOTOMETRIC_SEPARATED:
        for (int k = 0; k < 3; k++) out[k] = (uint8_t)(page->bits == 16 ? values[k] >> 8 : values[k]);
        image->extra[at] = (uint8_t)(page->bits == 16 ? values[3] >> 8 : values[3]);
        break;
    default: {
        // Pillow does not turn 16 bits over.
        uint32_t value = page->photometric == PHOTOMETRIC_MINISWHITE && page->bits < 16 ? most - values[0] : values[0];
        if (image->kind == CC_ALPHA) image->extra[at] = (uint8_t)values[1];
        if (image->kind == CC_GREY16) {
            image->extra[2 * at] = (uint8_t)value;
            image->extra[2 * at + 1] = (uint8_t)(value >> 8);
        }
        out[0] = out[1] = out[2] = (uint8_t)(page->bits == 16 ? (value > 255 ? 255 : value) : value * 255 / most);
    }
    }
}

// Strips and tiles alike: `unit` of width x height pixels at (left, top), one plane or all.
static void place(const page *page, const uint8_t *unit, uint32_t left, uint32_t top, uint32_t width, uint32_t height,
                  tmsize_t stride, const uint8_t *const *others, cc_image *image) {
    int channels = page->planes == PLANARCONFIG_SEPARATE ? 1 : page->samples;
    for (uint32_t y = 0; y < height && top + y < page->height; y++)
        for (uint32_t x = 0; x < width && left + x < page->width; x++) {
            uint32_t values[4] = {0, 0, 0, page->bits == 16 ? 65535 : 255};
            for (int k = 0; k < page->samples && k < 4; k++) {
                const uint8_t *row = (channels == 1 && k > 0 ? others[k] : unit) + (tmsize_t)y * stride;
                values[k] = sample(page, row, x, channels == 1 ? 0 : k, channels);
            }
            put(page, values, (size_t)(top + y) * page->width + left + x, image);
        }
}

static int read_pixels(TIFF *tiff, const page *page, cc_image *image) {
    int is_tiled = TIFFIsTiled(tiff), planes = page->planes != PLANARCONFIG_SEPARATE ? 1 : page->samples < 4 ? page->samples : 4;
    uint32_t width = page->width, height = page->height;
    if (is_tiled) {
        TIFFGetField(tiff, TIFFTAG_TILEWIDTH, &width);
        TIFFGetField(tiff, TIFFTAG_TILELENGTH, &height);
    } else {
        TIFFGetFieldDefaulted(tiff, TIFFTAG_ROWSPERSTRIP, &height);
        if (height > page->height) height = page->height;
    }
    if (width == 0 || height == 0) return CC_DAMAGED;
    tmsize_t size = is_tiled ? TIFFTileSize(tiff) : TIFFStripSize(tiff);
    tmsize_t stride = is_tiled ? TIFFTileRowSize(tiff) : TIFFScanlineSize(tiff);
    // A unit holds no more than the picture and a margin, and all that is looked for in it.
    size_t needed = ((size_t)width * (size_t)(planes == 1 ? page->samples : 1) * page->bits + 7) / 8;
    if (size <= 0 || size > 1 << 29 || (size_t)size > ((size_t)page->width + 65536) * ((size_t)page->height + 4096) * 16
        || (size_t)stride < needed || (size_t)size / (size_t)stride < height)
        return CC_DAMAGED;
    uint8_t *units = calloc((size_t)planes, (size_t)size);
    if (!units) return CC_MEMORY;
    int status = CC_OK;
    for (uint32_t top = 0; status == CC_OK && top < page->height; top += height)
        for (uint32_t left = 0; status == CC_OK && left < page->width; left += width) {
            const uint8_t *others[4] = {units, units, units, units};
            for (int plane = 0; plane < planes; plane++) {
                uint8_t *unit = units + (size_t)plane * (size_t)size;
                others[plane] = unit;
                tmsize_t wanted = is_tiled || page->height - top >= height ? size : (tmsize_t)(page->height - top) * stride;
                uint32_t number = is_tiled ? TIFFComputeTile(tiff, left, top, 0, (uint16_t)plane)
                                           : TIFFComputeStrip(tiff, top, (uint16_t)plane);
                // libtiff would read one that is not in the file from the file's head.
                if (TIFFGetStrileOffset(tiff, number) == 0) status = CC_DAMAGED;
                tmsize_t got = status != CC_OK ? 0 : is_tiled ? TIFFReadEncodedTile(tiff, number, unit, size)
                                                              : TIFFReadEncodedStrip(tiff, number, unit, wanted);
                if (status == CC_OK && got < wanted) status = CC_TRUNCATED;
            }
            if (status == CC_OK) place(page, units, left, top, width, height, stride, others, image);
        }
    free(units);
    return status;
}

// A copy of `from`, width x height cells, turned and flipped as the orientation asks.
static void orient(const uint8_t *from, uint8_t *to, size_t width, size_t height, size_t cell, int orientation) {
    int is_across = orientation >= 5, from_right, from_below;
    from_right = orientation == 2 || orientation == 3 || orientation == 7 || orientation == 8;
    from_below = orientation == 3 || orientation == 4 || orientation == 6 || orientation == 7;
    size_t rows = is_across ? width : height, columns = is_across ? height : width;
    for (size_t y = 0; y < rows; y++)
        for (size_t x = 0; x < columns; x++, to += cell) {
            size_t a = is_across ? y : x, b = is_across ? x : y;
            if (from_right) a = width - 1 - a;
            if (from_below) b = height - 1 - b;
            memcpy(to, from + (b * width + a) * cell, cell);
        }
}

// As Pillow loads a TIFF, other than its JPEG.
static int put_upright(const page *page, cc_image *image) {
    if (page->orientation < 2 || page->orientation > 8) return CC_OK;
    uint8_t *const parts[] = {image->pixels, image->extra};
    uint8_t *turned[2] = {NULL, NULL};
    const size_t cells[] = {3, image->kind == CC_GREY16 ? 2 : 1};
    for (int i = 0; i < 2; i++) {
        if (!parts[i]) continue;
        turned[i] = malloc((size_t)page->width * page->height * cells[i]);
        if (!turned[i]) {
            free(turned[0]);
            return CC_MEMORY;
        }
        orient(parts[i], turned[i], page->width, page->height, cells[i], page->orientation);
    }
    free(image->pixels);
    free(image->extra);
    image->pixels = turned[0];
    image->extra = turned[1];
    if (page->orientation >= 5) {
        image->width = (int)page->height;
        image->height = (int)page->width;
    }
    return CC_OK;
}

static int decode(TIFF *tiff, int64_t limit, int as_opened, cc_image *image) {
    page page = {0};
    int status = read_page(tiff, &page, image);
    if (status != CC_OK) return status;
    if (page.width == 0 || page.height == 0) return cc_fail(image, CC_DAMAGED, "no pixels");
    if ((status = cc_begin(image, page.width, page.height, limit, (size_t)size_of(TIFFClientdata(tiff)))) != CC_OK) return status;
    int is_cmyk = page.photometric == PHOTOMETRIC_SEPARATED, is_grey16 = page.bits == 16 && page.photometric <= PHOTOMETRIC_MINISBLACK;
    if (as_opened && page.has_alpha) image->kind = CC_ALPHA;
    if (as_opened && is_grey16) image->kind = CC_GREY16;
    if (as_opened && (page.bits == 1 || page.photometric == PHOTOMETRIC_PALETTE)) image->kind = CC_INDEXED;
    size_t pixels = (size_t)page.width * page.height;
    if (is_cmyk || image->kind == CC_ALPHA || image->kind == CC_GREY16) {
        image->extra = malloc(pixels * (image->kind == CC_GREY16 ? 2 : 1));
        if (!image->extra) return cc_abandon(image, CC_MEMORY, "out of memory");
    }
    if (page.photometric == PHOTOMETRIC_PALETTE)
        for (int i = 0; i < 1 << page.bits; i++) {
            image->palette[3 * i] = (uint8_t)(page.red[i] >> 8);
            image->palette[3 * i + 1] = (uint8_t)(page.green[i] >> 8);
            image->palette[3 * i + 2] = (uint8_t)(page.blue[i] >> 8);
        }
    else memset(image->palette + 3, 255, 765);
    status = read_pixels(tiff, &page, image);
    if (status == CC_OK) status = put_upright(&page, image);
    if (status != CC_OK) {
        const char *reason = *image->message ? image->message : "the file ends early or is damaged";
        char kept[200];
        strncpy(kept, reason, sizeof kept - 1);
        kept[sizeof kept - 1] = 0;
        return cc_abandon(image, status, kept);
    }
    if (is_cmyk && as_opened) image->kind = CC_CMYK;
    else if (is_cmyk) {
        cc_cmyk_to_rgb(image->pixels, image->extra, pixels, image->pixels);
        free(image->extra);
        image->extra = NULL;
    }
    return CC_OK;
}

int cc_decode_tiff(const uint8_t *bytes, size_t count, int64_t limit, int as_opened, cc_image *image) {
    reader in = {bytes, count, 0};
    *image->message = 0;
    TIFFOpenOptions *options = TIFFOpenOptionsAlloc();
    if (!options) return cc_fail(image, CC_MEMORY, "out of memory");
    TIFFOpenOptionsSetMaxSingleMemAlloc(options, 1 << 29);
    TIFFOpenOptionsSetErrorHandlerExtR(options, keep_message, image->message);
    TIFFOpenOptionsSetWarningHandlerExtR(options, ignore, NULL);
    TIFF *tiff = TIFFClientOpenExt("image", "rm", &in, read_bytes, write_bytes, seek_to, close_it, size_of, NULL, NULL, options);
    TIFFOpenOptionsFree(options);
    if (!tiff) return *image->message ? CC_DAMAGED : cc_fail(image, CC_DAMAGED, "damaged TIFF header");
    int status = decode(tiff, limit, as_opened, image);
    TIFFClose(tiff);
    return status;
}
