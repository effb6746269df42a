#include <stdio.h>
#include <stdlib.h>
#include <webp/decode.h>

#include "CCodecs.h"

int cc_decode_webp(const uint8_t *bytes, size_t count, int64_t limit, int as_opened, cc_image *image) {
    WebPBitstreamFeatures features;
    image->pixels = image->extra = NULL;
    image->kind = CC_RGB;
    VP8StatusCode status = WebPGetFeatures(bytes, count, &features);
    if (status == VP8_STATUS_NOT_ENOUGH_DATA) {
        snprintf(image->message, 200, "the file ends early");
        return CC_TRUNCATED;
    }
    if (status != VP8_STATUS_OK) {
        snprintf(image->message, 200, "damaged WebP stream");
        return CC_DAMAGED;
    }
    if (features.has_animation) {
        snprintf(image->message, 200, "animated WebP");
        return CC_UNSUPPORTED;
    }
    if ((int64_t)features.width * features.height > limit) {
        snprintf(image->message, 200, "%dx%d pixels", features.width, features.height);
        return CC_TOO_LARGE;
    }
    size_t stride = (size_t)features.width * 3;
    image->pixels = malloc(stride * (size_t)features.height);
    if (!image->pixels) return CC_MEMORY;
    if (!WebPDecodeRGBInto(bytes, count, image->pixels, stride * (size_t)features.height, (int)stride)) {
        free(image->pixels);
        image->pixels = NULL;
        snprintf(image->message, 200, "the file ends early or is damaged");
        return CC_TRUNCATED;
    }
    image->width = features.width;
    image->height = features.height;
    if (as_opened && features.has_alpha) {
        size_t count_pixels = (size_t)features.width * (size_t)features.height;
        uint8_t *rgba = WebPDecodeRGBA(bytes, count, NULL, NULL);
        image->extra = malloc(count_pixels);
        if (!rgba || !image->extra) {
            WebPFree(rgba);
            free(image->extra);
            free(image->pixels);
            image->pixels = image->extra = NULL;
            return CC_MEMORY;
        }
        for (size_t i = 0; i < count_pixels; i++) image->extra[i] = rgba[4 * i + 3];
        WebPFree(rgba);
        image->kind = CC_ALPHA;
    }
    return CC_OK;
}
