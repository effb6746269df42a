// Netpbm's P1 to P6, as Pillow's PpmImagePlugin reads them.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "codec.h"

typedef struct {
    const uint8_t *bytes;
    size_t count, at;
} reader;

static int is_space(uint8_t byte) { return byte == 0x20 || (byte >= 0x09 && byte <= 0x0D); }

// The next byte that is in no comment, or -1. A comment takes the end of its line with it, so it does not end a number.
static int next(reader *in) {
    while (in->at < in->count && in->bytes[in->at] == '#') {
        while (in->at < in->count && in->bytes[in->at] != '\n' && in->bytes[in->at] != '\r') in->at++;
        if (in->at < in->count) in->at++;
    }
    return in->at < in->count ? in->bytes[in->at++] : -1;
}

static int next_in_word(reader *in) {
    int byte;
    do byte = next(in);
    while (byte >= 0 && is_space((uint8_t)byte));
    return byte;
}

// A decimal number of at most ten digits, with the one white space behind it; -1 where there is none.
static int64_t number(reader *in) {
    int64_t value = 0;
    int digits = 0, byte = next_in_word(in);
    for (; byte >= '0' && byte <= '9' && digits < 11; byte = next(in), digits++) value = value * 10 + (byte - '0');
    return digits > 0 && digits < 11 && (byte < 0 || is_space((uint8_t)byte)) ? value : -1;
}

// Python's round, halves to even, of the share of 255, or of 65,535 clipped to a byte.
static uint8_t scaled(int64_t value, int64_t most, int is_wide_grey) {
    double scale = is_wide_grey ? 65535 : 255;
    double share = most == scale ? (double)value : nearbyint((double)value / (double)most * scale);
    return share > 255 ? 255 : (uint8_t)share;
}

int cc_decode_pnm(const uint8_t *bytes, size_t count, int64_t limit, int as_opened, cc_image *image) {
    reader in = {bytes, count, 2};
    int type = bytes[1] - '0';
    int64_t width = number(&in), height = number(&in);
    int64_t most = type == 1 || type == 4 ? 1 : number(&in);
    if (width <= 0 || height <= 0 || most <= 0 || most > 65535) return cc_fail(image, CC_DAMAGED, "damaged PPM header");
    int status = cc_begin(image, width, height, limit, count);
    if (status != CC_OK) return status;
    int channels = type == 3 || type == 6 ? 3 : 1;
    int is_wide_grey = channels == 1 && most > 255;
    if (type == 1 || type == 4) memset(image->palette + 3, 255, 765);
    if (as_opened && (type == 1 || type == 4)) image->kind = CC_INDEXED;
    size_t row = type == 4 ? (size_t)(width + 7) / 8 : (size_t)width * (size_t)channels * (most > 255 ? 2 : 1);
    if (type >= 4 && (in.at > count || (count - in.at) / row < (size_t)height))
        return cc_abandon(image, CC_TRUNCATED, "the file ends early");
    uint8_t *out = image->pixels;
    for (int64_t y = 0; y < height; y++)
        for (int64_t x = 0; x < width; x++, out += 3)
            for (int k = 0; k < channels; k++) {
                const uint8_t *at = bytes + in.at + (size_t)y * row;
                int64_t value;
                if (type == 1) {
                    int digit = next_in_word(&in);
                    if (digit < 0) return cc_abandon(image, CC_TRUNCATED, "the file ends early");
                    value = 1 - (digit - '0');
                    if (value != 0 && value != 1) return cc_abandon(image, CC_DAMAGED, "a digit other than 0 and 1");
                } else if (type < 4) {
                    value = number(&in);
                    if (value < 0) {
                        int code = in.at >= count ? CC_TRUNCATED : CC_DAMAGED;
                        return cc_abandon(image, code, code == CC_TRUNCATED ? "the file ends early" : "no number");
                    }
                    if (value > most) return cc_abandon(image, CC_DAMAGED, "a value above the largest");
                } else if (type == 4) {
                    value = 1 - (at[x / 8] >> (7 - x % 8) & 1);
                } else {
                    size_t place = (size_t)(x * channels + k);
                    value = most > 255 ? at[2 * place] << 8 | at[2 * place + 1] : at[place];
                }
                out[k] = type == 1 || type == 4 ? (value ? 255 : 0) : scaled(value, most, is_wide_grey);
                if (channels == 1) out[1] = out[2] = out[0];
            }
    return CC_OK;
}
