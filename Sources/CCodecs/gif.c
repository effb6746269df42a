// The first frame of a GIF through giflib, as Pillow shows it.
#include <gif_lib.h>
#include <stdlib.h>
#include <string.h>

#include "codec.h"

typedef struct {
    const uint8_t *bytes;
    size_t count, at;
} reader;

static int read_bytes(GifFileType *gif, GifByteType *out, int wanted) {
    reader *in = gif->UserData;
    size_t some = in->count - in->at < (size_t)wanted ? in->count - in->at : (size_t)wanted;
    memcpy(out, in->bytes + in->at, some);
    in->at += some;
    return (int)some;
}

// Goes to the first frame; the index that is transparent, or -1.
static int find_frame(GifFileType *gif, int *transparent) {
    GifRecordType type;
    *transparent = -1;
    while (DGifGetRecordType(gif, &type) == GIF_OK) {
        if (type == IMAGE_DESC_RECORD_TYPE) return DGifGetImageDesc(gif) == GIF_OK;
        if (type == TERMINATE_RECORD_TYPE) return 0;
        if (type != EXTENSION_RECORD_TYPE) continue;
        int code;
        GifByteType *block;
        if (DGifGetExtension(gif, &code, &block) != GIF_OK) return 0;
        if (code == GRAPHICS_EXT_FUNC_CODE && block) {
            if (block[0] < 4) return 0;
            if (block[1] & 1) *transparent = block[4];
        }
        while (block)
            if (DGifGetExtensionNext(gif, &block) != GIF_OK) return 0;
    }
    return 0;
}

// A palette that says nothing but the index: Pillow leaves it out.
static int is_ramp(const ColorMapObject *map) {
    for (int i = 0; i < map->ColorCount; i++)
        if (map->Colors[i].Red != i || map->Colors[i].Green != i || map->Colors[i].Blue != i) return 0;
    return 1;
}

// The frame's own, or the picture's, also where the frame's is a ramp; what lies behind its end is black.
static const ColorMapObject *find_palette(const GifFileType *gif) {
    if (gif->Image.ColorMap && !is_ramp(gif->Image.ColorMap)) return gif->Image.ColorMap;
    return gif->SColorMap && !is_ramp(gif->SColorMap) ? gif->SColorMap : NULL;
}

static void set_palette(const ColorMapObject *map, uint8_t *palette) {
    for (int i = 0; i < 256; i++) memset(palette + 3 * i, map ? 0 : i, 3);
    for (int i = 0; map && i < map->ColorCount && i < 256; i++) {
        palette[3 * i] = map->Colors[i].Red;
        palette[3 * i + 1] = map->Colors[i].Green;
        palette[3 * i + 2] = map->Colors[i].Blue;
    }
}

static int draw(GifFileType *gif, GifByteType *line, cc_image *image) {
    static const int starts[] = {0, 4, 2, 1}, steps[] = {8, 8, 4, 2};
    const GifImageDesc *frame = &gif->Image;
    for (int pass = frame->Interlace ? 0 : 3; pass < 4; pass++)
        for (int y = frame->Interlace ? starts[pass] : 0; y < frame->Height; y += frame->Interlace ? steps[pass] : 1) {
            if (DGifGetLine(gif, line, frame->Width) != GIF_OK) return 0;
            uint8_t *out = image->pixels + ((size_t)(frame->Top + y) * (size_t)image->width + (size_t)frame->Left) * 3;
            for (int x = 0; x < frame->Width; x++, out += 3) memcpy(out, image->palette + 3 * line[x], 3);
        }
    return 1;
}

int cc_decode_gif(const uint8_t *bytes, size_t count, int64_t limit, int as_opened, cc_image *image) {
    reader in = {bytes, count, 0};
    int error = 0, transparent;
    GifFileType *gif = DGifOpen(&in, read_bytes, &error);
    if (!gif) return cc_fail(image, in.at >= count ? CC_TRUNCATED : CC_DAMAGED, "damaged GIF header");
    int status = CC_OK;
    if (!find_frame(gif, &transparent) || gif->Image.Width <= 0 || gif->Image.Height <= 0)
        status = cc_fail(image, in.at >= count ? CC_TRUNCATED : CC_DAMAGED, "no frame");
    int64_t right = (int64_t)gif->Image.Left + gif->Image.Width, below = (int64_t)gif->Image.Top + gif->Image.Height;
    if (status == CC_OK)
        status = cc_begin(image, right > gif->SWidth ? right : gif->SWidth, below > gif->SHeight ? below : gif->SHeight, limit, count);
    if (status == CC_OK) {
        const ColorMapObject *map = find_palette(gif);
        set_palette(map, image->palette);
        if (as_opened && map) image->kind = CC_INDEXED;
        // What the frame leaves free is the transparent colour, or the first.
        const uint8_t *ground = image->palette + 3 * (transparent >= 0 ? transparent : 0);
        for (size_t i = 0; i < (size_t)image->width * (size_t)image->height; i++) memcpy(image->pixels + 3 * i, ground, 3);
        GifByteType *line = malloc((size_t)gif->Image.Width);
        if (!line) status = cc_abandon(image, CC_MEMORY, "out of memory");
        else if (!draw(gif, line, image))
            status = cc_abandon(image, in.at >= count ? CC_TRUNCATED : CC_DAMAGED, "the file ends early or is damaged");
        free(line);
    }
    DGifCloseFile(gif, &error);
    return status;
}
