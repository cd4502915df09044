/* Safetensors files (checkpoints, public weights) as text and back, one JSON object a line:
 *   {"metadata":{"format":"..."}}                                          first, where there is some
 *   {"tensor":"wte.weight","dtype":"f32","shape":[100,32],"values":[...]}  then each tensor, by name
 *   {"tensor":"wte.weight","from":65536,"values":[...]}                    a large one goes on in further lines
 * Numbers are exact. A file of ours comes back to the same bytes. One thread. */
#ifndef CAPT_TENSOR_WEIGHTS_TEXT_H
#define CAPT_TENSOR_WEIGHTS_TEXT_H
#include <jansson.h>
#include <stdio.h>
#include "tensor/safetensors.h"

/* Writes it all to out; -1 without an error where that cannot be written. NaN and infinity, which JSON has not, are an error. */
int capt_weights_dump(const capt_st *st, FILE *out, capt_err *err);

typedef struct capt_weights_loader capt_weights_loader;
capt_weights_loader *capt_weights_loader_new(void);
void capt_weights_loader_free(capt_weights_loader *l); /* NULL is fine */
int capt_weights_is_record(const json_t *o);           /* 1: such an object, not an image's */
/* Takes one object; where names the place in errors. */
int capt_weights_loader_read(capt_weights_loader *l, const json_t *o, const char *where, capt_err *err);
/* Writes path, which appears when it is complete, and frees l in every case. */
int capt_weights_loader_finish(capt_weights_loader *l, const char *path, capt_err *err);
#endif
