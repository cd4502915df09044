#include "nn/block.h"

capt_tensor *capt_ffn_run(capt_ctx *c, const capt_ffn *f, capt_tensor *x, double drop)
{
    return capt_lin_run(c, &f->out, capt_dropout(c, capt_lin_run(c, &f->in, x, f->act), drop), CAPT_MAP_none);
}

capt_tensor *capt_block_run(capt_ctx *c, const capt_block *b, capt_tensor *x, const capt_seq *q)
{
    capt_tensor *y = capt_norm_run(c, &b->n1, x);
    capt_look *own = q->kv ? NULL : q->look;
    y = q->s ? capt_mha_step(c, &b->self, y, q->s, q->cache, q->prefix, own) : capt_mha_self(c, &b->self, y, q->causal, q->k_len, b->drop, own);
    x = capt_add(c, x, capt_dropout(c, y, b->drop));
    if (q->kv) {
        y = capt_norm_run(c, &b->n2, x);
        y = q->s ? capt_mha_step(c, &b->cross, y, q->s, -1, q->kv, q->look) : capt_mha_cross(c, &b->cross, y, q->kv, q->kv_len, b->drop, q->look);
        x = capt_add(c, x, capt_dropout(c, y, b->drop));
    }
    y = capt_ffn_run(c, &b->ffn, capt_norm_run(c, &b->n3, x), b->drop_ffn);
    return capt_add(c, x, capt_dropout(c, y, b->drop));
}
