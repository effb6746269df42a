#include <stdlib.h>
#include <string.h>
#include <webp/decode.h>
#include <webp/demux.h>

#include "codec.h"

// The first frame on its canvas, as Pillow opens an animation.
static int decode_first_frame(const uint8_t *bytes, size_t count, int64_t limit, int as_opened, int has_alpha,
                              cc_image *image) {
    WebPData data = {bytes, count};
    WebPDemuxer *demuxer = WebPDemux(&data);
    if (!demuxer) return cc_fail(image, CC_TRUNCATED, "the file ends early or is damaged");
    int64_t width = WebPDemuxGetI(demuxer, WEBP_FF_CANVAS_WIDTH), height = WebPDemuxGetI(demuxer, WEBP_FF_CANVAS_HEIGHT);
    WebPDemuxDelete(demuxer);
    // libwebp's animation decoder keeps two canvases of four bytes a pixel beside ours.
    int status = cc_begin(image, width, height, limit / 4, count);
    if (status != CC_OK) return status;
    WebPAnimDecoder *decoder = WebPAnimDecoderNew(&data, NULL);
    uint8_t *frame = NULL;
    int time = 0;
    if (!decoder || !WebPAnimDecoderGetNext(decoder, &frame, &time)) {
        WebPAnimDecoderDelete(decoder);
        return cc_abandon(image, CC_TRUNCATED, "the file ends early or is damaged");
    }
    size_t pixels = (size_t)(width * height);
    if (as_opened && has_alpha) {
        image->extra = malloc(pixels);
        image->kind = CC_ALPHA;
    }
    for (size_t i = 0; i < pixels; i++) {
        memcpy(image->pixels + 3 * i, frame + 4 * i, 3);
        if (image->extra) image->extra[i] = frame[4 * i + 3];
    }
    WebPAnimDecoderDelete(decoder);
    if (image->kind == CC_ALPHA && !image->extra) return cc_abandon(image, CC_MEMORY, "out of memory");
    return CC_OK;
}

int cc_decode_webp(const uint8_t *bytes, size_t count, int64_t limit, int as_opened, cc_image *image) {
    WebPBitstreamFeatures features;
    image->pixels = image->extra = NULL;
    VP8StatusCode found = WebPGetFeatures(bytes, count, &features);
    if (found == VP8_STATUS_NOT_ENOUGH_DATA) return cc_fail(image, CC_TRUNCATED, "the file ends early");
    if (found != VP8_STATUS_OK) return cc_fail(image, CC_DAMAGED, "damaged WebP stream");
    if (features.has_animation) return decode_first_frame(bytes, count, limit, as_opened, features.has_alpha, image);
    int status = cc_begin(image, features.width, features.height, limit, count);
    if (status != CC_OK) return status;
    size_t stride = (size_t)features.width * 3;
    if (!WebPDecodeRGBInto(bytes, count, image->pixels, stride * (size_t)features.height, (int)stride))
        return cc_abandon(image, CC_TRUNCATED, "the file ends early or is damaged");
    if (as_opened && features.has_alpha) {
        size_t pixels = (size_t)features.width * (size_t)features.height;
        uint8_t *rgba = WebPDecodeRGBA(bytes, count, NULL, NULL);
        image->extra = malloc(pixels);
        if (!rgba || !image->extra) {
            WebPFree(rgba);
            return cc_abandon(image, CC_MEMORY, "out of memory");
        }
        for (size_t i = 0; i < pixels; i++) image->extra[i] = rgba[4 * i + 3];
        WebPFree(rgba);
        image->kind = CC_ALPHA;
    }
    return CC_OK;
}
