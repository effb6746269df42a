// BMP, as Pillow's BmpImagePlugin reads it.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "codec.h"

typedef struct {
    const uint8_t *bytes;
    size_t count;
    size_t start;  // of the pixels
    int width, height, is_top_down, bits, compression;
    uint32_t masks[4];  // the last of alpha, or 0
    size_t palette, entries, entry_size;
    int depth;  // of the pixels in the file
} bitmap;

static uint32_t little(const uint8_t *at, int count) {
    uint32_t value = 0;
    for (int i = 0; i < count; i++) value |= (uint32_t)at[i] << (8 * i);
    return value;
}

// The masks that Pillow knows; without any, blue comes first and alpha last.
static int choose_masks(bitmap *bmp, int has_alpha) {
    static const uint32_t wide[][4] = {
        {0xFF0000, 0xFF00, 0xFF, 0}, {0xFF000000, 0xFF0000, 0xFF00, 0}, {0xFF000000, 0xFF00, 0xFF, 0},
        {0xFF000000, 0xFF0000, 0xFF00, 0xFF}, {0xFF, 0xFF00, 0xFF0000, 0xFF000000},
        {0xFF0000, 0xFF00, 0xFF, 0xFF000000}, {0xFF000000, 0xFF00, 0xFF, 0xFF0000}, {0, 0, 0, 0}};
    static const uint32_t narrow[][3] = {{0xF800, 0x7E0, 0x1F}, {0x7C00, 0x3E0, 0x1F}};
    for (int i = 0; i < 4; i++) bmp->masks[i] = i < 3 || has_alpha ? little(bmp->bytes + 54 + 4 * i, 4) : 0;
    if (bmp->bits == 32) {
        for (int i = 0; i < 8; i++) {
            if (memcmp(bmp->masks, wide[i], sizeof wide[i]) != 0) continue;
            if (i == 7) memcpy(bmp->masks, wide[5], sizeof wide[5]);
            return 1;
        }
        return 0;
    }
    bmp->masks[3] = 0;
    if (bmp->bits == 24) return memcmp(bmp->masks, wide[0], 12) == 0;
    return bmp->bits == 16 && (memcmp(bmp->masks, narrow[0], 12) == 0 || memcmp(bmp->masks, narrow[1], 12) == 0);
}

static int read_header(bitmap *bmp, cc_image *image) {
    const uint8_t *bytes = bmp->bytes;
    if (bmp->count < 26) return cc_fail(image, CC_TRUNCATED, "the file ends early");
    uint32_t size = little(bytes + 14, 4);
    bmp->start = little(bytes + 10, 4);
    if (size == 12) {
        bmp->width = (int)little(bytes + 18, 2);
        bmp->height = (int)little(bytes + 20, 2);
        bmp->bits = (int)little(bytes + 24, 2);
        bmp->entry_size = 3;
    } else if (size == 40 || size == 52 || size == 56 || size == 64 || size == 108 || size == 124) {
        if (bmp->count < 14 + (size_t)size) return cc_fail(image, CC_TRUNCATED, "the file ends early");
        int32_t height = (int32_t)little(bytes + 22, 4);
        bmp->width = (int32_t)little(bytes + 18, 4);
        bmp->is_top_down = height < 0;
        bmp->height = height == INT32_MIN ? 0 : abs(height);
        bmp->bits = (int)little(bytes + 28, 2);
        bmp->compression = (int)little(bytes + 30, 4);
        bmp->entries = little(bytes + 46, 4);
        bmp->entry_size = 4;
    } else {
        return cc_fail(image, CC_DAMAGED, "an unknown BMP header");
    }
    if (bmp->width <= 0 || bmp->height <= 0) return cc_fail(image, CC_DAMAGED, "no pixels");
    if (bmp->compression == 3) {  // masks, in the header or behind it
        if (bmp->count < 66) return cc_fail(image, CC_TRUNCATED, "the file ends early");
        if (!choose_masks(bmp, size >= 56)) return cc_fail(image, CC_UNSUPPORTED, "a BMP of these colour masks");
    } else if (bmp->bits == 16) {
        bmp->masks[0] = 0x7C00, bmp->masks[1] = 0x3E0, bmp->masks[2] = 0x1F;
    } else {
        bmp->masks[0] = 0xFF0000, bmp->masks[1] = 0xFF00, bmp->masks[2] = 0xFF;
    }
    bmp->palette = 14 + (size_t)size + (size == 40 && bmp->compression == 3 ? 12 : 0);
    int is_known = bmp->bits == 1 || bmp->bits == 4 || bmp->bits == 8 || bmp->bits == 16 || bmp->bits == 24 || bmp->bits == 32;
    int fits = bmp->compression == 0 || (bmp->compression == 1 && bmp->bits == 8) || (bmp->compression == 2 && bmp->bits == 4)
        || (bmp->compression == 3 && bmp->bits >= 16);
    if (!is_known || !fits) return cc_fail(image, CC_UNSUPPORTED, "a BMP of this depth or compression");
    if (bmp->bits > 8) {
        bmp->entries = 0;
    } else {
        if (bmp->entries == 0) bmp->entries = (size_t)1 << bmp->bits;
        if (bmp->entries > 256) return cc_fail(image, CC_DAMAGED, "a BMP palette of over 256 colours");
        if (bmp->start == 14 + (size_t)size) bmp->start += bmp->entries * bmp->entry_size;  // some writers leave out the palette
    }
    if (bmp->start == 0) bmp->start = bmp->palette + bmp->entries * bmp->entry_size;
    return CC_OK;
}

// An index a pixel out of the run lengths, rows from the bottom. As Pillow does, an end of line only fills up a row that
// was begun, literal pixels run on into the next row, and what follows them begins at an even place of the file.
static int expand_runs(const bitmap *bmp, uint8_t *indices) {
    size_t at = bmp->start, width = (size_t)bmp->width, total = width * (size_t)bmp->height;
    size_t filled = 0, x = 0;
    while (filled < total && at < bmp->count && bmp->count - at >= 2) {
        uint8_t first = bmp->bytes[at], second = bmp->bytes[at + 1];
        at += 2;
        if (first > 0) {
            size_t length = x + first <= width ? first : x < width ? width - x : 0;
            if (length > total - filled) length = total - filled;
            for (size_t i = 0; i < length; i++)
                indices[filled++] = bmp->bits == 8 ? second : i % 2 ? second & 15 : second >> 4;
            x += length;
        } else if (second == 0) {
            filled += (width - filled % width) % width;
            x = 0;
        } else if (second == 1) {
            break;
        } else if (second == 2) {
            if (bmp->count - at < 2) break;
            size_t skipped = bmp->bytes[at] + bmp->bytes[at + 1] * width;
            filled += skipped < total - filled ? skipped : total - filled;
            x = filled % width;
            at += 2;
        } else {
            size_t length = second < total - filled ? second : total - filled;
            size_t needed = bmp->bits == 8 ? length : (length + 1) / 2;
            if (bmp->count - at < needed) return 0;
            for (size_t i = 0; i < length; i++) {
                uint8_t byte = bmp->bytes[at + (bmp->bits == 8 ? i : i / 2)];
                indices[filled++] = bmp->bits == 8 ? byte : i % 2 ? byte & 15 : byte >> 4;
            }
            x += second;
            at += needed;
            at += at % 2;
        }
    }
    return filled == total;
}

static uint8_t channel(uint32_t value, uint32_t mask) {
    if (!mask) return 0;
    int shift = __builtin_ctz(mask);
    uint32_t largest = mask >> shift;
    return (uint8_t)((uint64_t)((value & mask) >> shift) * 255 / largest);
}

static void put_row(const bitmap *bmp, const uint8_t *row, const uint8_t *indices, uint8_t *out, uint8_t *alpha, cc_image *image) {
    for (int x = 0; x < bmp->width; x++, out += 3) {
        if (bmp->depth > 8) {
            const uint8_t *at = row + (size_t)x * (size_t)(bmp->depth / 8);
            uint32_t value = little(at, bmp->depth / 8);
            for (int i = 0; i < 3; i++) out[i] = channel(value, bmp->masks[i]);
            if (alpha) alpha[x] = channel(value, bmp->masks[3]);
        } else {
            int index = indices ? indices[x]
                : bmp->depth == 8 ? row[x] : bmp->depth == 4 ? row[x / 2] >> (x % 2 ? 0 : 4) & 15 : row[x / 8] >> (7 - x % 8) & 1;
            memcpy(out, image->palette + 3 * index, 3);
        }
    }
}

int cc_decode_bmp(const uint8_t *bytes, size_t count, int64_t limit, int as_opened, cc_image *image) {
    bitmap bmp = {.bytes = bytes, .count = count};
    int status = read_header(&bmp, image);
    if (status != CC_OK) return status;
    if ((status = cc_begin(image, bmp.width, bmp.height, limit, count)) != CC_OK) return status;
    for (size_t i = 0; i < bmp.entries; i++) {
        size_t at = bmp.palette + i * bmp.entry_size;
        if (at + 3 > count) break;
        for (int k = 0; k < 3; k++) image->palette[3 * i + (size_t)k] = bytes[at + 2 - (size_t)k];
    }
    size_t width = (size_t)bmp.width, height = (size_t)bmp.height;
    int is_runs = bmp.compression == 1 || bmp.compression == 2;
    bmp.depth = bmp.bits;
    if (bmp.bits <= 8 && cc_is_grey(image->palette, bmp.entries)) {
        // Pillow leaves a grey palette out, and takes the pixels for 8 bits, or for one where there are two colours.
        bmp.depth = bmp.entries <= 2 ? 1 : 8;
        for (int i = 0; i < 256; i++) memset(image->palette + 3 * i, bmp.depth == 8 ? i : i > 0 ? 255 : 0, 3);
        if (as_opened && bmp.depth == 1) image->kind = CC_INDEXED;
        if (is_runs && bmp.depth == 1) return cc_abandon(image, CC_UNSUPPORTED, "a BMP of two greys in run lengths");
    } else if (as_opened && bmp.bits <= 8) {
        image->kind = CC_INDEXED;
    }
    if (as_opened && bmp.masks[3] && bmp.bits == 32) {
        image->kind = CC_ALPHA;
        image->extra = malloc(width * height);
        if (!image->extra) return cc_abandon(image, CC_MEMORY, "out of memory");
    }
    uint8_t *indices = NULL;
    size_t stride = (width * (size_t)bmp.bits + 31) / 32 * 4;
    if (is_runs) {
        indices = calloc(width, height);
        if (!indices) return cc_abandon(image, CC_MEMORY, "out of memory");
        if (!expand_runs(&bmp, indices)) {
            free(indices);
            return cc_abandon(image, CC_TRUNCATED, "the file ends early");
        }
    } else if (stride < (width * (size_t)bmp.depth + 7) / 8) {
        return cc_abandon(image, CC_UNSUPPORTED, "a BMP of 4 bits and a grey palette");
    } else if (bmp.start > count || (count - bmp.start) / stride < height - 1
               || count - bmp.start - stride * (height - 1) < (width * (size_t)bmp.depth + 7) / 8) {
        return cc_abandon(image, CC_TRUNCATED, "the file ends early");
    }
    for (size_t y = 0; y < height; y++) {
        size_t from = bmp.is_top_down ? y : height - 1 - y;
        put_row(&bmp, bytes + (indices ? 0 : bmp.start + from * stride), indices ? indices + from * width : NULL,
                image->pixels + y * width * 3, image->kind == CC_ALPHA ? image->extra + y * width : NULL, image);
    }
    free(indices);
    return CC_OK;
}
