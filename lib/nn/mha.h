/* Multi-head attention (Vaswani et al. 2017, section 3.2.2) with its projections, for whole sequences and for one decoding step. */
#ifndef CAPT_NN_MHA_H
#define CAPT_NN_MHA_H
#include "nn/layer.h"
#include "nn/state.h"

/* Self-attention has one projection to q|k|v; attention to something else has one to q and one to k|v. */
typedef struct capt_mha { int heads; capt_lin qkv, q, kv, out; } capt_mha;

/* How attention spreads over an image's rows, for who wants a picture of it: its heads' weights added up and divided by their sum over these rows, 0 on pads. */
typedef struct capt_look {
    int rows;           /* whole sequences of self-attention: how many tokens in front are the image's, */
    const int32_t *len; /* and how many of these count, host (B) or NULL: all */
    capt_tensor *map;   /* out: (B,T,rows); of a step (rows of the state, rows) */
} capt_look;

/* look: NULL, or filled by each of these.
 * Whole sequences: x (B,T,D) -> (B,T,D). causal: as capt_attention_self; k_len: host (B) or NULL; drop: of the weights. */
capt_tensor *capt_mha_self(capt_ctx *c, const capt_mha *m, capt_tensor *x, int causal, const int32_t *k_len, double drop, capt_look *look);
/* kv (B,S,2D): keys and values, projected */
capt_tensor *capt_mha_cross(capt_ctx *c, const capt_mha *m, capt_tensor *x, capt_tensor *kv, const int32_t *k_len, double drop, capt_look *look);
/* One step, x (rows,1,D). cache: number of the cache that takes this step's key and value (self-attention), or -1; shared: the part k|v (I,S,2D) of the state that
 * each row's image adds in front, or NULL. */
capt_tensor *capt_mha_step(capt_ctx *c, const capt_mha *m, capt_tensor *x, capt_state *s, int cache, const capt_tensor *shared, capt_look *look);
#endif
