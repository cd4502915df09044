/* Checkpoints out into the layout of other toolkits. */
#ifndef CAPT_MODEL_EXPORT_H
#define CAPT_MODEL_EXPORT_H
#include "tensor/safetensors.h"

/* The prefix decoder of a checkpoint (path names it) as transformers' GPT2LMHeadModel, into the folder dir, which is made when it is not there:
 *   model.safetensors    "transformer.h.0.attn.c_attn.weight" as (in,out) and so on, single precision
 *   config.json          sizes; vocab.json and merges.txt too when its vocabulary is GPT-2's
 *   prefix.safetensors   what maps an image's features to its tokens: "weight" (out,in) and "bias", or "0.weight" to "2.bias" around a tanh
 *   capt.json            the checkpoint's configuration and vocabulary
 * Word t of a caption stands at position K+t behind its K image tokens, so transformers wants inputs_embeds = [map(features)][wte(words)].
 * Checksums are compared first; another captioner is refused. */
int capt_export_gpt2(capt_st *st, const char *path, const char *dir, capt_err *err);
#endif
