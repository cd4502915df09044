/* Models: an encoder turns pixels into image features, a captioner turns features and words into hidden vectors; the head that scores words belongs to the
 * captioner's parameters, the loss and the search to the library. One file and one row of encoder.def or captioner.def each.
 *
 * A captioner sees I images and R rows; row r belongs to image row_image[r]; several rows may share an image, which is encoded and prefilled once.
 *
 * Tags are words that stand before the caption: a row's tokens are [tags of its image, at most tag_t][BOS words][pads], to a captioner one sequence of words. Whoever makes the
 * rows (data/dataset.h, train/scst.c) puts no loss on the tags, whoever searches (decode/scorer.h) feeds them first; images of one batch may have different numbers of them. */
#ifndef CAPT_MODEL_H
#define CAPT_MODEL_H
#include "base/str.h"
#include <jansson.h>
#include "base/idset.h"
#include "nn/param.h"
#include "nn/state.h"
#include "text/vocab.h"

/* One configuration key: integer, number, string, boolean, or one of the words "a|b|c" that def lists; the value in the file or the default (of words the first). */
typedef struct capt_key { const char *name; char type; /* 'i' 'n' 's' 'b' 'c' */ const char *def; const char *doc; } capt_key; /* ends with name NULL */
/* What every captioner's and tagger's configuration begins with: the input it reads. */
#define CAPT_FEATURE_KEYS                                                                      \
    {"feature", 's', "", "section of the store it reads: global, grid or regions"},            \
    {"feature_dim", 'i', "0", "width of a feature row"},                                       \
    {"feature_rows", 'i', "1", "feature rows of an image"},                                    \
    {"tag_tokens", 'i', "0", "most tokens of an image's tags, read before BOS; 0: it reads none"}
/* And a tagger's goes on with. */
#define CAPT_TAGGER_KEYS {"threshold", 'n', "0.5", "probability from which on a tag is given; training sets it"}
enum { CAPT_CONFIG_MOST = 1 << 15 }; /* of a width or a number of rows: their products stay ints */

/* ---- encoders ---- */
typedef struct capt_encoded {
    capt_tensor *global; /* (I,1,Dg): the joint embedding, not normalised */
    capt_tensor *grid;   /* (I,S,Dc): one vector a cell */
} capt_encoded;

enum { CAPT_STAGE_NAME = 24 };
typedef struct capt_encoder capt_encoder;
typedef struct capt_encoder_type {
    const char *name, *doc;
    const capt_key *keys;
    int (*init)(capt_encoder *e, capt_err *err);                                 /* config -> parameters "encoder.*" in e->params, e->self, dims */
    void (*forward)(capt_ctx *c, capt_encoder *e, capt_tensor *u8, capt_encoded *out); /* u8 (I,R,R,3), R = e->size or another multiple the encoder takes */
    void (*free)(capt_encoder *e);
    void (*stage)(const char *param, char name[CAPT_STAGE_NAME]);                /* the stage a parameter (without "encoder.") is in: stem, ..., head */
} capt_encoder_type;

struct capt_encoder {
    const capt_encoder_type *type;
    capt_params *params;  /* borrowed: the model's, or a set of the caller's */
    json_t *config;       /* owned, complete (every key present) */
    void *self;           /* owned by the type */
    int size;             /* input resolution */
    int global_dim, grid_dim, grid_rows;
    float mean[3], std[3];
    int recompute; /* blocks keep their input alone, and are made again in the backward pass */
    int train_bn; /* batch statistics when the encoder is trained (clip-resnet); loaded weights keep their running statistics: 0 */
};
extern const capt_encoder_type *const capt_encoder_types[]; /* ends with NULL */
const capt_encoder_type *capt_encoder_find(const char *name);
/* config: {"type":"clip-vit", ...}; missing keys are defaulted, unknown ones an error. */
capt_encoder *capt_encoder_new(const json_t *config, capt_params *params, capt_err *err);
void capt_encoder_free(capt_encoder *e);
/* u8 (I,R,R,3). Where no gradients are wanted the images go through some at a time, so that memory does not grow with I; always as
 * many, so the bits do not depend on I but where BLAS multiplies, which rounds by the number of rows. */
void capt_encode(capt_ctx *c, capt_encoder *e, capt_tensor *u8, capt_encoded *out);
/* Trains some stages and freezes the others, which then have no gradients. stages: N, the last N before the head and the head, or names (of a ViT stem, block0,
 * block1, ..., head; of a residual network stem, layer1 to layer4, head), comma-separated. The names of those trained are appended to tuned. */
int capt_encoder_tune(capt_encoder *e, const char *stages, capt_str *tuned, capt_err *err);

/* ---- captioners ---- */
typedef struct capt_model capt_model;

/* What a captioner reads. feat (I,S,D) in the step memory; len: host (I) valid rows of each image, NULL = S. */
typedef struct capt_feat { capt_tensor *x; const int32_t *len; } capt_feat;

/* What a teacher-forced pass gives beside the hidden vectors. */
typedef struct capt_aux {
    const int32_t *words;   /* in: host (R), words of each row that carry loss; NULL: no extra loss is wanted */
    const int32_t *first;   /* in: host (R), where the first of these stands: behind the row's tags; NULL with words NULL */
    double rows;            /* in: rows of the whole batch, over which extra loss terms are averaged */
    int show;               /* in: the attention is wanted */
    capt_tensor *loss;      /* out: extra loss terms (n), recorded as capt_xent's are; NULL: none */
    capt_tensor *attention; /* out: (R,T,S) weights over the feature rows when word t is read, which sum to 1 over an image's own; or NULL: there are none to show */
} capt_aux;

typedef struct capt_captioner_type {
    const char *name, *doc;
    const capt_key *keys;
    int (*init)(capt_model *m, capt_err *err);
    void (*free)(capt_model *m);
    /* teacher forcing: host tokens (R,T) -> hidden (R,T,D); hidden at t has seen the image and tokens 0..t, and predicts token t+1. aux: zero but for its inputs, or NULL */
    capt_tensor *(*forward)(capt_ctx *c, capt_model *m, const capt_feat *f, int R, int T, const int32_t *row_image, const int32_t *tokens, capt_aux *aux);
    /* decoding: a state for up to `rows` rows and max_t steps, its shared part filled; then step by step: host tokens (rows now) -> hidden (rows,D) */
    capt_state *(*prefill)(capt_ctx *c, capt_model *m, const capt_feat *f, int rows, int max_t);
    capt_tensor *(*step)(capt_ctx *c, capt_model *m, capt_state *s, const int32_t *tokens);
} capt_captioner_type;

struct capt_model {
    const capt_captioner_type *type;
    capt_params params;
    json_t *config;          /* owned, complete: {"type":"gpt2", ...} */
    void *self;              /* owned by the type */
    capt_tensor *head_w, *head_b; /* (V,D); (V) or NULL; set by init */
    int hidden, max_t;       /* D; the longest sequence of words the model takes, BOS included */
    int tag_t;               /* and the most tokens of tags before them; 0: it reads no tags */
    capt_vocab *vocab;       /* owned */
    capt_encoder *encoder;   /* owned; NULL unless the encoder is tuned with the captioner or loaded with it */
    int image_rows, image_dim; /* feature rows of an image and their width, as the configuration says */
    char encoder_hash[33];   /* name of the features it was trained on: the store's encoder hash, or "" */
    json_t *store;           /* owned: what the store's manifest said of encoder, preprocessing and sections; or NULL */
    json_t *options;         /* owned: options of the training run */
    json_t *provenance;      /* owned chain */
    capt_idset *trained_on;  /* owned: the training ids */
};
extern const capt_captioner_type *const capt_captioner_types[]; /* ends with NULL */
const capt_captioner_type *capt_captioner_find(const char *name);
/* Taggers tell which tags belong to an image: models whose vocabulary is the tags, one row of tagger.def each. With prefill and step one writes the tags as a sentence, a
 * captioner in all but its table; without, its forward makes of R images a hidden vector each, (R,1,D), without reading tokens (NULL), and the head a logit a tag. */
extern const capt_captioner_type *const capt_tagger_types[]; /* ends with NULL */
const capt_captioner_type *capt_tagger_find(const char *name);
/* config must name "type", "feature" (section), "feature_dim", "feature_rows" and what the type needs; missing keys are defaulted. vocab is taken over (also on
 * failure). encoder_config NULL or the encoder to hold. */
capt_model *capt_model_new(const json_t *config, capt_vocab *vocab_take, const json_t *encoder_config, capt_backend *be, capt_dtype compute, uint64_t seed, capt_err *err);
/* The same with all parameters zero, to be filled from a file that holds `most` numbers: a configuration that asks for more is refused before memory is taken. */
capt_model *capt_model_blank(const json_t *config, capt_vocab *vocab_take, const json_t *encoder_config, capt_backend *be, capt_dtype compute, int64_t most, capt_err *err);
void capt_model_free(capt_model *m);
/* config with every key of keys present; unknown keys refused. New reference. */
json_t *capt_config_complete(const json_t *config, const capt_key *keys, const char *what, capt_err *err);
/* 1 if word is one of those that list, "a|b|c", holds. */
int capt_config_choice(const char *list, const char *word);
int capt_config_int(const json_t *config, const char *key);
double capt_config_num(const json_t *config, const char *key);
const char *capt_config_str(const json_t *config, const char *key);

/* For captioners: integer keys of the configuration that must be 1..CAPT_CONFIG_MOST; -1 and err. What every captioner has (feature_rows, feature_dim, words,
 * tag_tokens) is checked and in image_rows, image_dim, max_t, tag_t before init. */
int capt_config_sizes(const capt_model *m, const char *const *keys, int *const *values, int n, capt_err *err);
/* f->x (I,S,D) if it is as wide and has as many rows as the configuration says, else poison and an error. */
capt_tensor *capt_model_features(capt_ctx *c, const capt_model *m, const capt_feat *f);
/* 1 when a pass or a step of t tokens, tags and words, is more than the model takes: an error then. */
int capt_model_too_long(capt_ctx *c, const capt_model *m, int t);

/* Pixels (host, (I,px,px,3)) through e to the section the model reads, (I,S,D). */
capt_tensor *capt_encode_for(capt_ctx *c, capt_encoder *e, const capt_model *m, const uint8_t *pixels, int n_images, int px);

#endif
