/* Scaled dot-product attention over packed projections (Vaswani et al. 2017, eq. 1). */
#include <math.h>
#include "base/rng.h"
#include "op/op_priv.h"

struct save { capt_attn a; capt_real *lse; int64_t at_k, at_v; }; /* where k and v begin in the second operand */

static void backward(capt_ctx *c, capt_node *n)
{
    const struct save *s = n->save;
    capt_tensor *x = n->in[0], *y = n->in[1] ? n->in[1] : x;
    double beta_q, beta_kv;
    capt_real *dq = grad_if(c, x, &beta_q), *dkv = dq;
    beta_kv = beta_q; /* self: three disjoint parts of one gradient, each written with its first beta */
    if (y != x)
        dkv = grad_if(c, y, &beta_kv);
    if (capt_ctx_bad(c))
        return;
    const capt_real *kv = y->data;
    c->be->attn_bwd(c->be, dq, beta_q, dkv ? dkv + s->at_k : NULL, beta_kv, dkv ? dkv + s->at_v : NULL, beta_kv, n->out->grad, n->out->data,
                    s->lse, x->data, kv + s->at_k, kv + s->at_v, &s->a);
}

/* x holds q, y (x when NULL) holds k and v */
static capt_tensor *attention(capt_ctx *c, capt_tensor *x, capt_tensor *y, struct save s, const int32_t *k_len, double drop, const char *op)
{
    capt_attn *a = &s.a;
    int64_t D = (int64_t)a->H * a->dh;
    capt_tensor *o = capt_ctx_real(c, a->B, a->Tq, D);
    s.lse = capt_ctx_bytes(c, (size_t)(a->B * a->H * a->Tq) * sizeof *s.lse);
    for (int64_t b = 0; k_len && b < a->B; b++)
        if (k_len[b] < 0 || k_len[b] > a->Tk)
            return capt_ctx_fail(c, "%s: length %lld is %d, there are %d keys", op, (long long)b, (int)k_len[b], a->Tk);
    if (k_len)
        a->k_len = capt_ctx_upload_i32(c, k_len, a->B);
    if (capt_ctx_bad(c))
        return &c->poison;
    a->scale = 1 / sqrt((double)a->dh);
    a->key = capt_rng_key(c->seed, CAPT_RNG_DROPOUT, c->step, c->op_count++);
    a->drop = c->training ? drop : 0;
    a->b0 = c->row0;
    capt_node *n = capt_tape_push(c, backward, o, IN(x, y), sizeof s);
    if (n)
        *(struct save *)n->save = s;
    const capt_real *kv = y ? y->data : x->data;
    c->be->attn_fwd(c->be, o->data, s.lse, x->data, kv + s.at_k, kv + s.at_v, a);
    return o;
}

capt_tensor *capt_attention_self(capt_ctx *c, capt_tensor *qkv, int heads, int causal, const int32_t *k_len, double drop)
{
    if (capt_op_start(c, "attention_self", IN(qkv)))
        return &c->poison;
    if (qkv->ndim != 3 || heads < 1 || qkv->dim[2] % (3 * (int64_t)heads) || drop < 0 || drop >= 1 || causal < CAPT_ATTN_FULL)
        return capt_ctx_fail(c, "attention_self: qkv is %s, %d heads, causal %d, dropout %g", SHAPE(qkv), heads, causal, drop);
    int64_t W = qkv->dim[2], D = W / 3;
    struct save s = {.at_k = D, .at_v = 2 * D};
    s.a = (capt_attn){.B = qkv->dim[0], .Tq = (int)qkv->dim[1], .Tk = (int)qkv->dim[1], .H = heads, .dh = (int)(D / heads),
                      .q_row = W, .k_row = W, .v_row = W, .causal = causal};
    return attention(c, qkv, NULL, s, k_len, drop, "attention_self");
}

capt_tensor *capt_attention_cross(capt_ctx *c, capt_tensor *q, capt_tensor *kv, int heads, const int32_t *k_len, double drop)
{
    if (capt_op_start(c, "attention_cross", IN(q, kv)))
        return &c->poison;
    if (q->ndim != 3 || kv->ndim != 3 || q->dim[0] != kv->dim[0] || kv->dim[2] != 2 * q->dim[2] || heads < 1 || q->dim[2] % heads || drop < 0 ||
        drop >= 1)
        return capt_ctx_fail(c, "attention_cross: q is %s, kv is %s, %d heads, dropout %g", SHAPE(q), SHAPE(kv), heads, drop);
    int64_t D = q->dim[2];
    struct save s = {.at_k = 0, .at_v = D};
    s.a = (capt_attn){.B = q->dim[0], .Tq = (int)q->dim[1], .Tk = (int)kv->dim[1], .H = heads, .dh = (int)(D / heads), .q_row = D,
                      .k_row = 2 * D, .v_row = 2 * D, .causal = CAPT_ATTN_FULL};
    return attention(c, q, kv, s, k_len, drop, "attention_cross");
}

capt_tensor *capt_attention_map(capt_ctx *c, capt_tensor *x, capt_tensor *kv, int heads, int causal, const int32_t *k_len, int64_t S, const int32_t *len)
{
    if (capt_op_start(c, "attention_map", IN(x, kv ? kv : x)))
        return &c->poison;
    int64_t D = kv ? x->dim[2] : x->dim[2] / 3, B = x->dim[0], Tk = kv ? kv->dim[1] : x->dim[1];
    if (S > Tk)
        return capt_ctx_fail(c, "attention_map: %lld keys of %lld", (long long)S, (long long)Tk);
    capt_tensor *map = capt_ctx_real(c, B, x->dim[1], S);
    capt_attn a = {.B = B, .Tq = (int)x->dim[1], .Tk = (int)Tk, .H = heads, .dh = (int)(D / heads), .q_row = x->dim[2], .k_row = kv ? 2 * D : 3 * D, .causal = causal};
    a.scale = 1 / sqrt((double)a.dh);
    a.k_len = k_len ? capt_ctx_upload_i32(c, k_len, B) : NULL;
    const int32_t *d_len = len ? capt_ctx_upload_i32(c, len, B) : NULL;
    if (capt_ctx_bad(c))
        return &c->poison;
    c->be->attn_map(c->be, map->data, x->data, kv ? (const capt_real *)kv->data : (const capt_real *)x->data + D, &a, (int)S, d_len);
    return map;
}
