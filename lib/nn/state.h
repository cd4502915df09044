/* State of a decoder between its steps. Shared parts (I,...) belong to images and are never reordered. Own parts of rows come in two kinds: caches hold one slot a row
 * and step and are found through the ancestry index, so that reordering beams moves indices; recurrent vectors (rows,D) are replaced each step and are moved
 * themselves. All of it is the backend's memory; whoever makes a state frees it. When memory runs out the backend's failure is set and every call does nothing. */
#ifndef CAPT_NN_STATE_H
#define CAPT_NN_STATE_H
#include "base/mem.h"
#include "op/tape.h"

typedef struct capt_recurrent { capt_tensor now; capt_real *first, *spare; /* (I,D) before the first step, or NULL = 0 */ } capt_recurrent;

typedef struct capt_state {
    capt_backend *be;
    int n_images, rows, slots, t, max_t; /* t: steps done */
    int32_t *row_image;       /* host (slots) */
    int32_t *anc;             /* host (max_t, slots): slot of row r's token t */
    int32_t *s_len;           /* host (I): valid feature rows, or NULL: all */
    int32_t *d_row_image, *d_anc, *d_s_len, *d_parent; /* backend memory */
    CAPT_VEC(capt_tensor) shared;
    CAPT_VEC(capt_real *) cache; /* (max_t, slots, cache_dim) each */
    int cache_dim;
    CAPT_VEC(capt_recurrent) vector;
    int show;                 /* set by who wants the attention; captioners that have it without more work give it anyway */
    capt_tensor *attention;   /* (rows,S) weights over the feature rows in the last step (step memory), or NULL: the captioner has none to show */
} capt_state;

/* For up to slots rows of n_images images and max_t steps. s_len: host (I) or NULL. */
capt_state *capt_state_new(capt_backend *be, int n_images, int slots, int max_t, const int32_t *s_len);
void capt_state_free(capt_state *s);
/* A new shared part, (I,S,D): its number. keep fills it from x, room leaves it to the caller. */
int capt_state_room(capt_state *s, int64_t S, int64_t D);
int capt_state_keep(capt_state *s, const capt_tensor *x);
capt_tensor *capt_state_shared(capt_state *s, int k);
void capt_state_caches(capt_state *s, int n, int dim);
/* A recurrent vector of width D whose rows begin as their image's row of first (I,D), or 0: its number. */
int capt_state_vector(capt_state *s, int D, const capt_tensor *first);
capt_tensor *capt_state_get(capt_state *s, int k);       /* (rows,D), valid until the next set */
void capt_state_set(capt_state *s, int k, const capt_tensor *x);
/* Rows become parent[0..rows-1] of the rows before (any number up to slots). Before the first step parent[r] is the row's image. */
void capt_state_rows(capt_state *s, const int32_t *parent, int rows);
/* Begins a step of a captioner with caches: each row takes its own slot. -1 when max_t steps are done. */
int capt_state_begin(capt_state *s);
#endif
