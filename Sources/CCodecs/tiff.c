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
    int has_alpha, is_premultiplied;
    uint16_t *red, *green, *blue;
} page;

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
    if (!TIFFGetField(tiff, TIFFTAG_PHOTOMETRIC, &page->photometric)) page->photometric = PHOTOMETRIC_MINISBLACK;
    if (page->photometric == PHOTOMETRIC_YCBCR && page->compression == COMPRESSION_JPEG) {
        TIFFSetField(tiff, TIFFTAG_JPEGCOLORMODE, JPEGCOLORMODE_RGB);
        page->photometric = PHOTOMETRIC_RGB;
    }
    if (page->extras > 0 && kinds && page->photometric == PHOTOMETRIC_RGB) {
        page->has_alpha = kinds[0] == EXTRASAMPLE_UNASSALPHA || kinds[0] == EXTRASAMPLE_ASSOCALPHA;
        page->is_premultiplied = kinds[0] == EXTRASAMPLE_ASSOCALPHA;
    }
    int colours = page->photometric == PHOTOMETRIC_RGB ? 3 : page->photometric == PHOTOMETRIC_SEPARATED ? 4 : 1;
    int is_palette = page->photometric == PHOTOMETRIC_PALETTE;
    if (is_palette && !TIFFGetField(tiff, TIFFTAG_COLORMAP, &page->red, &page->green, &page->blue))
        return cc_fail(image, CC_DAMAGED, "a TIFF palette is missing");
    int fits = page->photometric <= PHOTOMETRIC_PALETTE || page->photometric == PHOTOMETRIC_SEPARATED;
    int depth = page->bits == 8 || (colours == 1 && (page->bits == 1 || page->bits == 2 || page->bits == 4))
        || (page->bits == 16 && !is_palette && colours != 4);
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
        if (page->is_premultiplied && alpha > 0 && alpha < 255)
            for (int k = 0; k < 3; k++) out[k] = (uint8_t)(255u * out[k] / alpha > 255 ? 255 : 255u * out[k] / alpha);
        if (image->kind == CC_ALPHA) image->extra[at] = (uint8_t)alpha;
        break;
    case PHOTOMETRIC_SEPARATED:
        for (int k = 0; k < 3; k++) out[k] = (uint8_t)values[k];
        image->extra[at] = (uint8_t)values[3];
        break;
    default: {
        uint32_t value = page->photometric == PHOTOMETRIC_MINISWHITE ? most - values[0] : values[0];
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
    int is_tiled = TIFFIsTiled(tiff), planes = page->planes == PLANARCONFIG_SEPARATE ? page->samples : 1;
    uint32_t width = page->width, height = page->height;
    if (is_tiled) {
        TIFFGetField(tiff, TIFFTAG_TILEWIDTH, &width);
        TIFFGetField(tiff, TIFFTAG_TILELENGTH, &height);
    } else {
        TIFFGetFieldDefaulted(tiff, TIFFTAG_ROWSPERSTRIP, &height);
        if (height > page->height) height = page->height;
    }
    if (width == 0 || height == 0 || planes > 4) return CC_DAMAGED;
    tmsize_t size = is_tiled ? TIFFTileSize(tiff) : TIFFStripSize(tiff);
    tmsize_t stride = is_tiled ? TIFFTileRowSize(tiff) : TIFFScanlineSize(tiff);
    // A unit holds no more than the picture and a margin, and all that is looked for in it.
    size_t needed = ((size_t)width * (size_t)(planes == 1 ? page->samples : 1) * page->bits + 7) / 8;
    if (size <= 0 || (size_t)size > ((size_t)page->width + 65536) * ((size_t)page->height + 4096) * 16
        || (size_t)stride < needed || (size_t)size / (size_t)stride < height)
        return CC_DAMAGED;
    uint8_t *units = malloc((size_t)size * (size_t)planes);
    if (!units) return CC_MEMORY;
    int status = CC_OK;
    for (uint32_t top = 0; status == CC_OK && top < page->height; top += height)
        for (uint32_t left = 0; status == CC_OK && left < page->width; left += width) {
            const uint8_t *others[4] = {units, units, units, units};
            for (int plane = 0; plane < planes; plane++) {
                uint8_t *unit = units + (size_t)plane * (size_t)size;
                others[plane] = unit;
                tmsize_t wanted = is_tiled || page->height - top >= height ? size : (tmsize_t)(page->height - top) * stride;
                tmsize_t got = is_tiled
                    ? TIFFReadEncodedTile(tiff, TIFFComputeTile(tiff, left, top, 0, (uint16_t)plane), unit, size)
                    : TIFFReadEncodedStrip(tiff, TIFFComputeStrip(tiff, top, (uint16_t)plane), unit, wanted);
                if (got < wanted) status = CC_TRUNCATED;
            }
            if (status == CC_OK) place(page, units, left, top, width, height, stride, others, image);
        }
    free(units);
    return status;
}

static int decode(TIFF *tiff, int64_t limit, int as_opened, cc_image *image) {
    page page = {0};
    int status = read_page(tiff, &page, image);
    if (status != CC_OK) return status;
    if (page.width == 0 || page.height == 0) return cc_fail(image, CC_DAMAGED, "no pixels");
    if ((status = cc_begin(image, page.width, page.height, limit)) != CC_OK) return status;
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
