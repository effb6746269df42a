#include "codec.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int cc_fail(cc_image *image, int code, const char *message) {
    snprintf(image->message, sizeof image->message, "%s", message);
    return code;
}

void cc_admit(cc_image *image, int64_t pixels) {
    if (image->admit) image->admit(image->context, pixels);
}

int cc_check(cc_image *image, int64_t width, int64_t height, int64_t limit, size_t count) {
    const char *why = NULL;
    if (width > limit || height > limit || width * height > limit) why = "pixels";
    else if (width > 1000 * height || height > 1000 * width) why = "pixels, one side over 1,000 times the other";
    else if (width * height > (32 << 20) && width * height / 2000 > (int64_t)count) why = "pixels, over 2,000 a byte of the file";
    if (!why) return CC_OK;
    snprintf(image->message, sizeof image->message, "%lldx%lld %s", (long long)width, (long long)height, why);
    return CC_TOO_LARGE;
}

int cc_begin(cc_image *image, int64_t width, int64_t height, int64_t limit, size_t count) {
    image->pixels = image->extra = NULL;
    image->kind = CC_RGB;
    memset(image->palette, 0, sizeof image->palette);
    if (cc_check(image, width, height, limit, count) != CC_OK) return CC_TOO_LARGE;
    cc_admit(image, width * height);
    image->width = (int)width;
    image->height = (int)height;
    image->pixels = malloc((size_t)(width * height) * 3);
    return image->pixels ? CC_OK : cc_fail(image, CC_MEMORY, "out of memory");
}

int cc_abandon(cc_image *image, int code, const char *message) {
    free(image->pixels);
    free(image->extra);
    image->pixels = image->extra = NULL;
    return cc_fail(image, code, message);
}

int cc_is_grey(const uint8_t *palette, size_t entries) {
    for (size_t i = 0; i < entries; i++) {
        uint8_t grey = entries == 2 ? (uint8_t)(255 * i) : (uint8_t)i;
        for (int k = 0; k < 3; k++)
            if (palette[3 * i + (size_t)k] != grey) return 0;
    }
    return 1;
}

void cc_free(void *memory) { free(memory); }
