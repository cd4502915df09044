/* Public weight names. Each table maps a name and layout in a public file onto a parameter of ours. */
#ifndef CAPT_MODEL_IMPORT_H
#define CAPT_MODEL_IMPORT_H
#include "base/str.h"
#include "model/model.h"
#include "tensor/safetensors.h"

/* GPT-2 in transformers' naming ("wte.weight", "h.0.attn.c_attn.weight" as (in,out), with or without "transformer."; the mask buffers are ignored).
 * A model whose words are no byte pairs starts each word's row as the mean of the rows of its pieces, by vocab.json and merges.txt beside the weights.
 * part: 0 all, 1 decoder only (no embedding), 2 embedding only. Refuses other shapes by name. Tells how many tensors it took in *n. */
int capt_import_gpt2(capt_model *m, const char *path, int part, int *n, capt_err *err);
/* 1: the public file stores this matrix of ours as (in,out). */
int capt_import_is_turned(const char *name);
/* What --init needs: the captioner's configuration in a checkpoint of ours or of public GPT-2 weights (sizes inferred). New reference. */
json_t *capt_import_config(const char *path, const char *type, capt_err *err);
/* Weights by name from a checkpoint of ours or public GPT-2 weights; part as above. The vocabulary of a checkpoint must be the model's unless part is 1. */
int capt_import_weights(capt_model *m, const char *path, int part, int *n, capt_err *err);
/* Configuration of the encoder in a checkpoint of ours or public CLIP weights, and its weights into e. */
json_t *capt_import_encoder_config(const char *path, capt_err *err);
int capt_encoder_take_weights(capt_encoder *e, const char *path, capt_err *err);
/* Configuration of the CLIP image encoder in a public file, sizes inferred ({"type":"clip-vit", ...}); NULL when the file holds none. New reference. */
json_t *capt_import_clip_config(capt_st *st, const char *path, capt_err *err);
/* The values are lent (nn/param.h): st is kept by the parameters. */
int capt_import_clip(capt_encoder *e, capt_st *st, const char *path, capt_err *err);
/* The same of its text tower, whose parameters are "text.*" in ps ({"width","layers","hidden","positions","vocab","output_dim"}). */
json_t *capt_import_clip_text_config(capt_st *st, const char *path, capt_err *err);
int capt_import_clip_text(capt_params *ps, capt_st *st, const char *path, capt_err *err);
/* A file beside the weights path (a file, an index or their folder). */
void capt_import_name_beside(const char *path, const char *name, capt_str *out);
/* What the files published beside CLIP weights (config.json and preprocessor_config.json, open_clip_config.json; path is the weights' file, index or folder)
 * say of a tower that its tensors do not: "activation", "heads", for images means and deviations. Without such files nothing is set. */
enum { CAPT_BESIDE_VIT, CAPT_BESIDE_RESNET, CAPT_BESIDE_TEXT };
int capt_import_beside(const char *path, int tower, json_t *config, capt_err *err);
#endif
