/* The transformer's block with the normalisation first (Radford et al. 2019): x += attention(norm x); x += attention(norm x, image) where there is one to attend to;
 * x += ffn(norm x). The same weights serve whole sequences and decoding steps. */
#ifndef CAPT_NN_BLOCK_H
#define CAPT_NN_BLOCK_H
#include "nn/mha.h"

/* out(dropout(act(in x))) */
typedef struct capt_ffn { capt_lin in, out; int act; } capt_ffn;
capt_tensor *capt_ffn_run(capt_ctx *c, const capt_ffn *f, capt_tensor *x, double drop);

typedef struct capt_block {
    capt_norm n1, n2, n3; /* before self-attention, cross-attention, ffn */
    capt_mha self, cross; /* cross.out.w NULL: none */
    capt_ffn ffn;
    double drop, drop_ffn; /* of attention weights and of what is added to x; inside the ffn */
} capt_block;

/* What a block works on: whole sequences (s NULL), or one step of s. */
typedef struct capt_seq {
    int causal;            /* whole sequences: as capt_attention_self, */
    const int32_t *k_len;  /* and their valid tokens, host (B) or NULL */
    capt_tensor *kv;       /* the image's keys and values for cross-attention: (B,S,2D), or in a step the state's shared part (I,S,2D); NULL: none */
    const int32_t *kv_len; /* whole sequences: valid rows of kv, host (B) or NULL */
    capt_state *s;
    int cache;             /* number of the block's cache */
    capt_tensor *prefix;   /* a step's shared part in front of the cache, or NULL */
    capt_look *look;       /* NULL, or to be filled: of the cross-attention where there is one, else of the self-attention */
} capt_seq;
capt_tensor *capt_block_run(capt_ctx *c, const capt_block *b, capt_tensor *x, const capt_seq *q);
#endif
