// A C face over libsentencepiece; no exception crosses it.
#ifndef CSENTENCEPIECE_H
#define CSENTENCEPIECE_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct sp_model sp_model;

// NULL when the bytes are no model; message then says why (200 bytes).
sp_model *sp_load(const uint8_t *bytes, size_t count, char *message);
void sp_free(sp_model *model);
int sp_vocabulary(const sp_model *model);
// The id of a piece; -1 where it is none.
int sp_piece(const sp_model *model, const char *piece);
// Writes up to `capacity` ids and gives their full number, -1 on failure.
ptrdiff_t sp_encode(const sp_model *model, const uint8_t *text, size_t count, int32_t *ids, size_t capacity);
// Trains with sentencepiece's own arguments ("--input=... --vocab_size=..."); 0 when it worked.
int sp_train(const char *arguments, char *message);

#ifdef __cplusplus
}
#endif

#endif
