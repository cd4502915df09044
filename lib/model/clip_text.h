/* CLIP's text tower (Radford et al. 2021, section 2.4): tokens of its own byte-pair encoding through causal blocks; the vector at the end-of-text token,
 * normalised and projected, is the caption's embedding, to be compared with an image's global vector by the cosine.
 *
 * W = width, N = positions (77), D = output_dim. Parameters carry OpenAI's names under "text."; matrices are (out,in). */
#ifndef CAPT_MODEL_CLIP_TEXT_H
#define CAPT_MODEL_CLIP_TEXT_H
#include <jansson.h>
#include "nn/param.h"

typedef struct capt_clip_text capt_clip_text;
/* From public CLIP weights, sizes inferred, with the keys of `over` (or NULL) laid over them: {"heads","activation"}. The parameters go into params. The hash
 * names their content. NULL on failure. */
capt_clip_text *capt_clip_text_load(const char *path, const json_t *over, capt_params *params, char hash[33], capt_err *err);
void capt_clip_text_free(capt_clip_text *t); /* NULL is fine; params stay */
int capt_clip_text_positions(const capt_clip_text *t); /* the longest text, begin and end tokens included */
int capt_clip_text_dim(const capt_clip_text *t);
int capt_clip_text_vocab(const capt_clip_text *t);     /* rows of the token table */
/* Host tokens (R,T), the end-of-text token of row r at end[r]; what follows it is not seen. -> (R,D), not normalised. */
capt_tensor *capt_clip_text_embed(capt_ctx *c, const capt_clip_text *t, int R, int T, const int32_t *tokens, const int32_t *end);
#endif
