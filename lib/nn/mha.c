#include "nn/mha.h"
#include <math.h>

capt_tensor *capt_mha_self(capt_ctx *c, const capt_mha *m, capt_tensor *x, int causal, const int32_t *k_len, double drop, capt_look *look)
{
    capt_tensor *y = capt_lin_run(c, &m->qkv, x, CAPT_MAP_none);
    if (look)
        look->map = capt_attention_map(c, y, NULL, m->heads, causal, k_len, look->rows, look->len);
    return capt_lin_run(c, &m->out, capt_attention_self(c, y, m->heads, causal, k_len, drop), CAPT_MAP_none);
}

capt_tensor *capt_mha_cross(capt_ctx *c, const capt_mha *m, capt_tensor *x, capt_tensor *kv, const int32_t *k_len, double drop, capt_look *look)
{
    capt_tensor *q = capt_lin_run(c, &m->q, x, CAPT_MAP_none);
    if (look)
        look->map = capt_attention_map(c, q, kv, m->heads, CAPT_ATTN_FULL, k_len, kv->dim[1], k_len);
    return capt_lin_run(c, &m->out, capt_attention_cross(c, q, kv, m->heads, k_len, drop), CAPT_MAP_none);
}

capt_tensor *capt_mha_step(capt_ctx *c, const capt_mha *m, capt_tensor *x, capt_state *s, int cache, const capt_tensor *shared, capt_look *look)
{
    capt_tensor *q = capt_lin_run(c, cache >= 0 ? &m->qkv : &m->q, x, CAPT_MAP_none), *o = capt_ctx_real(c, s->rows, 1, capt_tensor_cols(x));
    if (capt_ctx_bad(c))
        return &c->poison;
    int D = (int)capt_tensor_cols(x), dh = D / m->heads, W = (int)capt_tensor_cols(q);
    capt_attn_step a = {.R = s->rows, .H = m->heads, .dh = dh, .q_row = W, .scale = 1 / sqrt((double)dh), .row_image = s->d_row_image};
    if (shared) {
        a.sk = shared->data;
        a.sv = a.sk + D;
        a.s_row = 2 * (int64_t)D;
        a.S = (int)shared->dim[1];
        a.s_len = s->d_s_len;
    }
    if (look) {
        look->map = capt_ctx_real(c, s->rows, a.S);
        if (capt_ctx_bad(c))
            return &c->poison;
        a.map = look->map->data;
    }
    if (cache >= 0) {
        capt_real *kv = s->cache.v[cache];
        c->be->copy2d(c->be, kv + (int64_t)s->t * s->slots * s->cache_dim, s->cache_dim, 0, (capt_real *)q->data + D, W, s->rows, 2 * (int64_t)D);
        a.ok = kv;
        a.ov = kv + D;
        a.o_row = s->cache_dim;
        a.T = s->t + 1;
        a.slots = s->slots;
        a.anc = s->d_anc;
    }
    c->be->attn_step(c->be, o->data, q->data, &a);
    return capt_lin_run(c, &m->out, o, CAPT_MAP_none);
}
