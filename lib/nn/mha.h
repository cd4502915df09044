/* Multi-head attention (Vaswani et al. 2017, section 3.2.2) with its projections, for whole sequences and for one decoding step. */
#ifndef CAPT_NN_MHA_H
#define CAPT_NN_MHA_H
#include "nn/layer.h"
#include "nn/state.h"

/* Self-attention has one projection to q|k|v; attention to something else has one to q and one to k|v. */
typedef struct capt_mha { int heads; capt_lin qkv, q, kv, out; } capt_mha;

/* Whole sequences: x (B,T,D) -> (B,T,D). causal: as capt_attention_self; k_len: host (B) or NULL; drop: of the weights. */
capt_tensor *capt_mha_self(capt_ctx *c, const capt_mha *m, capt_tensor *x, int causal, const int32_t *k_len, double drop);
/* kv (B,S,2D): keys and values, projected */
capt_tensor *capt_mha_cross(capt_ctx *c, const capt_mha *m, capt_tensor *x, capt_tensor *kv, const int32_t *k_len, double drop);
/* One step, x (rows,1,D). cache: number of the cache that takes this step's key and value (self-attention), or -1; shared: the part k|v (I,S,2D) of the state that
 * each row's image adds in front, or NULL. */
capt_tensor *capt_mha_step(capt_ctx *c, const capt_mha *m, capt_tensor *x, capt_state *s, int cache, const capt_tensor *shared);
#endif
