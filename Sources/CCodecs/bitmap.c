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
    uint32_t masks[3];
    size_t palette, entries, entry_size;
} bitmap;

static uint32_t little(const uint8_t *at, int count) {
    uint32_t value = 0;
    for (int i = 0; i < count; i++) value |= (uint32_t)at[i] << (8 * i);
    return value;
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
    } else if (size >= 40 && size <= 124) {
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
        for (int i = 0; i < 3; i++) bmp->masks[i] = little(bytes + 54 + 4 * i, 4);
    } else if (bmp->bits == 16) {
        bmp->masks[0] = 0x7C00, bmp->masks[1] = 0x3E0, bmp->masks[2] = 0x1F;
    } else {
        bmp->masks[0] = 0xFF0000, bmp->masks[1] = 0xFF00, bmp->masks[2] = 0xFF;
    }
    bmp->palette = 14 + (size_t)size + (size == 40 && bmp->compression == 3 ? 12 : 0);
    size_t most = bmp->bits <= 8 ? (size_t)1 << bmp->bits : 0;
    if (bmp->entries == 0 || bmp->entries > most) bmp->entries = most;
    int is_known = bmp->bits == 1 || bmp->bits == 4 || bmp->bits == 8 || bmp->bits == 16 || bmp->bits == 24 || bmp->bits == 32;
    int fits = bmp->compression == 0 || (bmp->compression == 1 && bmp->bits == 8) || (bmp->compression == 2 && bmp->bits == 4)
        || (bmp->compression == 3 && (bmp->bits == 16 || bmp->bits == 32));
    if (!is_known || !fits) return cc_fail(image, CC_UNSUPPORTED, "a BMP of this depth or compression");
    return CC_OK;
}

// An index a pixel out of the run lengths, rows from the bottom.
static int expand_runs(const bitmap *bmp, uint8_t *indices) {
    size_t at = bmp->start, width = (size_t)bmp->width;
    size_t x = 0, y = 0;
    while (at + 1 < bmp->count) {
        uint8_t first = bmp->bytes[at], second = bmp->bytes[at + 1];
        at += 2;
        if (first > 0) {
            for (int i = 0; i < first && x < width; i++, x++)
                if (y < (size_t)bmp->height)
                    indices[y * width + x] = bmp->bits == 8 ? second : i % 2 ? second & 15 : second >> 4;
        } else if (second == 0) {
            x = 0, y++;
        } else if (second == 1) {
            return 1;
        } else if (second == 2) {
            if (at + 1 >= bmp->count) return 0;
            x += bmp->bytes[at], y += bmp->bytes[at + 1];
            at += 2;
        } else {
            size_t length = bmp->bits == 8 ? second : (second + 1u) / 2;
            if (bmp->count - at < length) return 0;
            for (int i = 0; i < second && x < width; i++, x++)
                if (y < (size_t)bmp->height) {
                    uint8_t byte = bmp->bytes[at + (bmp->bits == 8 ? i : i / 2)];
                    indices[y * width + x] = bmp->bits == 8 ? byte : i % 2 ? byte & 15 : byte >> 4;
                }
            at += length + length % 2;
        }
        if (y >= (size_t)bmp->height) return 1;
    }
    return 0;
}

static uint8_t channel(uint32_t value, uint32_t mask) {
    if (!mask) return 0;
    int shift = __builtin_ctz(mask);
    uint32_t largest = mask >> shift;
    return (uint8_t)((uint64_t)((value & mask) >> shift) * 255 / largest);
}

static void put_row(const bitmap *bmp, const uint8_t *row, const uint8_t *indices, uint8_t *out, cc_image *image) {
    for (int x = 0; x < bmp->width; x++, out += 3) {
        if (bmp->bits > 8) {
            const uint8_t *at = row + (size_t)x * (size_t)(bmp->bits / 8);
            uint32_t value = little(at, bmp->bits / 8);
            for (int i = 0; i < 3; i++) out[i] = channel(value, bmp->masks[i]);
        } else {
            int index = indices ? indices[x]
                : bmp->bits == 8 ? row[x] : bmp->bits == 4 ? row[x / 2] >> (x % 2 ? 0 : 4) & 15 : row[x / 8] >> (7 - x % 8) & 1;
            memcpy(out, image->palette + 3 * index, 3);
        }
    }
}

int cc_decode_bmp(const uint8_t *bytes, size_t count, int64_t limit, int as_opened, cc_image *image) {
    bitmap bmp = {.bytes = bytes, .count = count};
    int status = read_header(&bmp, image);
    if (status != CC_OK) return status;
    if ((status = cc_begin(image, bmp.width, bmp.height, limit)) != CC_OK) return status;
    for (size_t i = 0; i < bmp.entries; i++) {
        size_t at = bmp.palette + i * bmp.entry_size;
        if (at + 3 > count) break;
        for (int k = 0; k < 3; k++) image->palette[3 * i + (size_t)k] = bytes[at + 2 - (size_t)k];
    }
    if (as_opened && bmp.bits <= 8 && !cc_is_grey(image->palette, bmp.entries)) image->kind = CC_INDEXED;
    if (as_opened && bmp.bits == 1) image->kind = CC_INDEXED;
    size_t width = (size_t)bmp.width, height = (size_t)bmp.height;
    uint8_t *indices = NULL;
    size_t stride = (width * (size_t)bmp.bits + 31) / 32 * 4;
    if (bmp.compression == 1 || bmp.compression == 2) {
        indices = calloc(width, height);
        if (!indices) return cc_abandon(image, CC_MEMORY, "out of memory");
        if (!expand_runs(&bmp, indices)) {
            free(indices);
            return cc_abandon(image, CC_TRUNCATED, "the file ends early");
        }
    } else if (bmp.start > count || (count - bmp.start) / stride < height - 1
               || count - bmp.start - stride * (height - 1) < (width * (size_t)bmp.bits + 7) / 8) {
        return cc_abandon(image, CC_TRUNCATED, "the file ends early");
    }
    for (size_t y = 0; y < height; y++) {
        size_t from = bmp.is_top_down ? y : height - 1 - y;
        put_row(&bmp, bytes + (indices ? 0 : bmp.start + from * stride), indices ? indices + from * width : NULL,
                image->pixels + y * width * 3, image);
    }
    free(indices);
    return CC_OK;
}
