/* Checkpoints: one safetensors file (mmap'd; other programs open it) with weights ("encoder.*" too when the encoder was tuned), and in its metadata:
 * config ({"options","model","encoder","store"}), vocabulary, provenance, a CRC-32C a tensor and a metadata text. The training ids are the byte tensor "train.ids".
 * Optimiser moments ("optim.m.NAME", "optim.v.NAME"), running means ("optim.mean.NAME") and the run's state are only in the unfinished OUT.part. */
#ifndef CAPT_MODEL_CHECKPOINT_H
#define CAPT_MODEL_CHECKPOINT_H
#include "model/model.h"
#include "tensor/safetensors.h"

enum { CAPT_SAVE_OPTIMISER = 1 };
/* Writes path atomically. state: JSON kept under "state" (NULL: none). */
int capt_checkpoint_save(const char *path, capt_model *m, int flags, const json_t *state, capt_err *err);
/* A model with the file's weights, which are lent (nn/param.h): the file stays mapped, and must be replaced rather than written to, as our programs do. Every tensor's CRC is checked; a file cut short, with a tensor missing, left over or of another shape is refused by
 * name. state (or NULL): new reference to the saved state, or NULL when there is none; with it optimiser moments are restored too. */
capt_model *capt_checkpoint_load(const char *path, capt_backend *be, capt_dtype compute, json_t **state, capt_err *err);
/* Compares the checksums of all metadata and, on the threads of pool (or NULL), of the tensors whose names begin with prefix; 0, or -1 naming what is
 * damaged or missing. */
int capt_checkpoint_check(capt_st *st, const char *prefix, const char *path, capt_pool *pool, capt_err *err);
/* Weights of path have gone into m: its training ids and provenance become m's too. Nothing happens when path is no checkpoint. */
int capt_checkpoint_past(const char *path, capt_model *m, capt_err *err);
/* What is remembered of a checkpoint's making: its training ids join ids, *chain (a new reference, or NULL) is its provenance. Nothing when path is no checkpoint. */
int capt_checkpoint_history(const char *path, capt_idset *ids, json_t **chain, capt_err *err);
/* The features it was trained on: name of the encoder ("": none known) and what their store said (a new reference, or NULL). Nothing when path is no checkpoint. */
int capt_checkpoint_features(const char *path, char encoder_hash[33], json_t **store, capt_err *err);
/* 1 if st is a checkpoint of ours (not just any safetensors file). */
int capt_checkpoint_is(const capt_st *st);
/* The encoder inside a checkpoint, or of public CLIP weights (OpenAI/open_clip or transformers naming; sizes inferred): parameters go into params under
 * "encoder.". prep (or NULL): new reference to {"size","mode","mean","std"}. hash: content of its tensors as loaded. */
capt_encoder *capt_encoder_load(const char *path, capt_params *params, char hash[33], json_t **prep, capt_err *err);
/* The same with the keys of `over` (or NULL) laid over the file's configuration: {"resolution":448} (the positional table is resized), "preprocess",
 * "heads" when they are not width/64, means and deviations. */
capt_encoder *capt_encoder_load_with(const char *path, const json_t *over, capt_params *params, char hash[33], json_t **prep, capt_err *err);
/* {"mode","size","resample","mean","std"} of an encoder: image/prep.h reads it. New reference. */
json_t *capt_encoder_prep(const capt_encoder *e);
#endif
