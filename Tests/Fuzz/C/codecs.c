// libFuzzer over one decoder of Sources/CCodecs: FORMAT names it (jpeg, png, webp, gif, bmp, pnm, tiff).
//
// A file is decoded as RGB and as it was opened; a JPEG also at reduced sizes and by parts. What else a call needs
// (limit, size, part) follows from the file's bytes, so that a kept input fails again by itself.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "CCodecs.h"

#define TEXT(word) #word
#define NAME(word) TEXT(word)
#define JOINED(a, b) a##b
#define DECODER(format) JOINED(cc_decode_, format)

size_t LLVMFuzzerMutate(uint8_t *bytes, size_t count, size_t most);

// A stream of numbers that a file's bytes begin.
typedef struct {
    uint64_t state;
} stream;

static stream stream_of(const uint8_t *bytes, size_t count) {
    stream numbers = {1469598103934665603u};
    for (size_t i = 0; i < count; i++) numbers.state = (numbers.state ^ bytes[i]) * 1099511628211u;
    return numbers;
}

static int below(stream *numbers, int bound) {
    numbers->state = numbers->state * 6364136223846793005u + 1442695040888963407u;
    return (int)((numbers->state >> 33) % (uint64_t)bound);
}

#define check(condition) \
    do { \
        if (!(condition)) { \
            fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #condition); \
            abort(); \
        } \
    } while (0)

// What a decoder promises of its result. Every byte is read, so that the sanitizer sees buffers that are too short.
static void look_at(int status, cc_image *image, int64_t limit) {
    if (status != CC_OK) {
        check(memchr(image->message, 0, sizeof image->message) || status == CC_MEMORY);
        return;
    }
    check(image->width > 0 && image->height > 0);
    size_t pixels = (size_t)image->width * (size_t)image->height;
    check((int64_t)pixels <= limit && image->pixels);
    int needs_extra = image->kind == CC_ALPHA || image->kind == CC_CMYK || image->kind == CC_GREY16;
    check(!needs_extra || image->extra);
    volatile uint32_t sum = 0;
    for (size_t i = 0; i < pixels * 3; i++) sum += image->pixels[i];
    for (size_t i = 0; needs_extra && i < pixels * (image->kind == CC_GREY16 ? 2 : 1); i++) sum += image->extra[i];
    if (image->kind == CC_CMYK) cc_cmyk_to_rgb(image->pixels, image->extra, pixels, image->pixels);
    if (pixels <= 1 << 10) {
        uint8_t *out = NULL;
        size_t count = 0;
        check(cc_encode_jpeg(image->pixels, image->width, image->height, 90, &out, &count) == CC_OK && count > 0);
        cc_free(out);
    }
    cc_free(image->pixels);
    cc_free(image->extra);
}

static int64_t limit_of(stream *numbers) { return below(numbers, 32) == 0 ? 4 << 20 : 1 << 16; }

#if FORMAT_IS_JPEG
static void choose_part(void *context, int width, int height, cc_box *part) {
    stream *numbers = context;
    part->width = 1 + below(numbers, width);
    part->height = 1 + below(numbers, height);
    part->left = below(numbers, width - part->width + 1);
    part->top = below(numbers, height - part->height + 1);
}

static void decode(const uint8_t *bytes, size_t count, stream *numbers) {
    for (int way = 0; way < 4; way++) {
        int64_t limit = limit_of(numbers);
        int shortest = way < 2 ? 0 : 1 + below(numbers, 64);
        cc_image image = {0};
        cc_choose choose = way == 3 ? choose_part : NULL;
        int status = cc_decode_jpeg(bytes, count, limit, shortest, way == 1, choose, numbers, &image);
        look_at(status, &image, limit);
    }
}
#else
static void decode(const uint8_t *bytes, size_t count, stream *numbers) {
    for (int as_opened = 0; as_opened < 2; as_opened++) {
        int64_t limit = limit_of(numbers);
        cc_image image = {0};
        look_at(DECODER(FORMAT)(bytes, count, limit, as_opened, &image), &image, limit);
    }
}
#endif

// Netpbm's decoder is called for files that begin like one; the others look for themselves.
static int is_offered(const uint8_t *bytes, size_t count) {
    if (strcmp(NAME(FORMAT), "pnm") != 0) return count > 0;
    return count >= 3 && bytes[0] == 'P' && bytes[1] >= '1' && bytes[1] <= '6' && memchr(" \t\n\r#", bytes[2], 5);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count) {
    if (!is_offered(bytes, count)) return -1;
    stream numbers = stream_of(bytes, count);
    decode(bytes, count, &numbers);
    return 0;
}

#if FORMAT_IS_PNG
static uint32_t big(const uint8_t *at) {
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

// The chunks' checksums made right: libpng refuses most of a file for a wrong one, and what stands behind it is never
// seen.
static void mend_checksums(uint8_t *bytes, size_t count) {
    for (size_t at = 8; at + 12 <= count;) {
        size_t length = big(bytes + at);
        if (length > count - at - 12) return;
        uint32_t sum = (uint32_t)crc32(0, bytes + at + 4, (uInt)(length + 4));
        for (int i = 0; i < 4; i++) bytes[at + 8 + length + (size_t)i] = (uint8_t)(sum >> (24 - 8 * i));
        at += 12 + length;
    }
}

size_t LLVMFuzzerCustomMutator(uint8_t *bytes, size_t count, size_t most, unsigned seed) {
    size_t made = LLVMFuzzerMutate(bytes, count, most);
    if (seed % 4 != 0) mend_checksums(bytes, made);
    return made;
}
#endif
