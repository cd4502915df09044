/* What the programs that run a model share: the device, the records of some splits, and the inputs a model reads (a store, or pictures with an encoder). */
#ifndef CAPT_SESSION_H
#define CAPT_SESSION_H
#include "common/prog.h"
#include "data/source.h"
#include "decode/scorer.h"
#include "model/checkpoint.h"
#include "record/caption.h"

typedef struct capt_session {
    capt_prog *p;
    capt_pool *pool;
    capt_backend *be;
    capt_dtype compute;
} capt_session;
/* Opens the pool and --device; compute: 0 f32, 1 bf16. */
int capt_session_open(capt_session *s, capt_prog *p, int compute);
/* Backend and instruction set, "cpu avx512": results are bit-equal where it is. */
void capt_session_device(const capt_session *s, char name[64]);
void capt_session_close(capt_session *s);
#define CAPT_COMPUTE_NAMES "f32|bf16"

/* Records of some splits; pick is the array of those kept, in order. */
typedef struct capt_picked { const capt_caption **v; size_t n; } capt_picked;
/* Comma-separated splits; "all" takes every record; records without a split belong to each. "train" alone takes restval too when with_restval. */
capt_picked capt_pick(const capt_captions *c, const char *splits, int with_restval);
/* Of the records read from the operands; none is an error that names the files. Freed in any case. */
int capt_pick_some(capt_prog *p, const capt_captions *c, const char *splits, capt_picked *out);
int capt_picks(const char *splits, int with_restval, const capt_caption *c); /* whether pick takes c */
/* A --shard "I/N" is records I, I+N, I+2N, ... (from 0); NULL is all of them, 0/1. Anything else is wrong usage: -1. */
int capt_shard_parse(capt_prog *p, const char *shard, int64_t *first, int64_t *step);

/* One input: a store, or a folder of pictures. enc_params holds a frozen encoder's weights. */
typedef struct capt_inlet {
    capt_store *store;
    int dirfd;
    capt_source *source;
    capt_params enc_params;
    capt_encoder *encoder; /* a separate, frozen one, or NULL */
    capt_prep prep;
    char encoder_hash[33]; /* of the store's or the encoder's weights; "" unknown */
    json_t *provenance;    /* the store's chain, borrowed from it, or NULL */
    const char *trained_on; /* images the store's encoder was trained on, as in its manifest, borrowed; or NULL */
    json_t *about;         /* {"encoder","encoder_hash","preprocess","geometry","fingerprint"}: goes into the model */
} capt_inlet;
void capt_inlet_init(capt_inlet *in);
/* path of a finished store; section NULL: the only one, or "global" before "grid" before "regions". rows: the model's, 0 = as stored. */
int capt_inlet_store(capt_inlet *in, const char *path, const char *section, int rows, capt_err *err);
/* Pictures. prep as given. dir NULL: the names of the records are the user's own. */
int capt_inlet_images(capt_inlet *in, const char *dir, const capt_prep *prep, const capt_jpeg_limits *limits, const capt_augment *augment, capt_err *err);
/* Loads a frozen encoder from weights or a checkpoint into the inlet and takes its preprocessing over. */
int capt_inlet_encoder(capt_inlet *in, capt_session *s, const char *path, capt_err *err);
void capt_inlet_close(capt_inlet *in);
/* What went into the inputs goes into a model trained on them: training ids of the store's encoder, provenance. */
void capt_inlet_past(const capt_inlet *in, capt_model *m);
/* The model was trained on these inputs? Width, rows and the hash of the encoder must agree: an error naming both otherwise.
 * A fingerprint unlike the model's is a warning that says in what. */
int capt_inlet_fits(capt_prog *p, const capt_inlet *in, const capt_model *m, const char *model_path);
/* The same of a model that is to begin with the weights of path, where that is a checkpoint; width and rows show when the weights are taken. */
int capt_inlet_follows(capt_prog *p, const capt_inlet *in, const char *path);
const char *capt_section_of(const capt_model *m);
/* The model of model_path is a captioner, not a tagger: -1 and an error if not. */
int capt_is_captioner(capt_prog *p, const capt_model *m, const char *model_path);

/* Words of a found caption as text. Freed by the caller. */
char *capt_found_text(const capt_vocab *v, const capt_found *f);
/* "key=value" pairs into a JSON object, typed by the captioner's keys; unknown keys are wrong usage and list the known ones. */
int capt_set_config(capt_prog *p, const capt_strs *set, const capt_key *keys, json_t *config);
#endif
