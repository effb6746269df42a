// What the codecs share.
#ifndef CODEC_H
#define CODEC_H

#include "CCodecs.h"

// Keeps a sentence and gives the code back.
int cc_fail(cc_image *image, int code, const char *message);
// Refuses more pixels than the limit, a thread of them, and large pictures out of next to no bytes (`count` of the file).
int cc_check(cc_image *image, int64_t width, int64_t height, int64_t limit, size_t count);
// As cc_check, then asks for room, allocates width x height RGB and sets the size.
int cc_begin(cc_image *image, int64_t width, int64_t height, int64_t limit, size_t count);
// Asks for room, which may take a while.
void cc_admit(cc_image *image, int64_t pixels);
// Frees what was allocated, then as cc_fail.
int cc_abandon(cc_image *image, int code, const char *message);
// Whether a palette is the grey ramp 0, 1, 2 ..., or black and white: Pillow takes it for grey.
int cc_is_grey(const uint8_t *palette, size_t entries);

#endif
