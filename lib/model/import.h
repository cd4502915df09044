/* Public weight names. Each table maps a name and layout in a public file onto a parameter of ours. */
#ifndef CAPT_MODEL_IMPORT_H
#define CAPT_MODEL_IMPORT_H
#include "model/model.h"
#include "tensor/safetensors.h"

/* GPT-2 in transformers' naming ("wte.weight", "h.0.attn.c_attn.weight" as (in,out), with or without "transformer."; the mask buffers are ignored).
 * part: 0 all, 1 decoder only (no embedding), 2 embedding only. Refuses other shapes by name. Tells how many tensors it took in *n. */
int capt_import_gpt2(capt_model *m, const char *path, int part, int *n, capt_err *err);
/* What --init needs: the captioner's configuration in a checkpoint of ours or of public GPT-2 weights (sizes inferred). New reference. */
json_t *capt_import_config(const char *path, const char *type, capt_err *err);
/* Weights by name from a checkpoint of ours or public GPT-2 weights; part as above. The vocabulary of a checkpoint must be the model's unless part is 1. */
int capt_import_weights(capt_model *m, const char *path, int part, int *n, capt_err *err);
/* Configuration of the encoder in a checkpoint of ours or public CLIP weights, and its weights into e. */
json_t *capt_import_encoder_config(const char *path, capt_err *err);
int capt_encoder_take_weights(capt_encoder *e, const char *path, capt_err *err);
/* Configuration of the CLIP image encoder in a public file, sizes inferred ({"type":"clip-vit", ...}); NULL when the file holds none. New reference. */
json_t *capt_import_clip_config(capt_st *st, const char *path, capt_err *err);
int capt_import_clip(capt_encoder *e, capt_st *st, const char *path, capt_err *err);
#endif
