/* Additive attention over an image's feature rows (Bahdanau et al. 2015; Xu et al. 2015) and the mean of these rows. */
#include "op/op_priv.h"

struct save { capt_visatt a; capt_tensor *z, *alpha; };

static void backward(capt_ctx *c, capt_node *n)
{
    const struct save *s = n->save;
    capt_tensor *p = n->in[0], *q = n->in[1], *w = n->in[2], *v = n->in[3];
    const capt_real *dz = s->z->touched ? s->z->grad : NULL, *dalpha = s->alpha->touched ? s->alpha->grad : NULL;
    double beta_p, beta_q, beta_w, beta_v;
    if (!dz && !dalpha)
        return;
    capt_real *dp = grad_if(c, p, &beta_p), *dq = grad_if(c, q, &beta_q), *dw = grad_if(c, w, &beta_w), *dv = grad_if(c, v, &beta_v);
    if (!capt_ctx_bad(c))
        c->be->visatt_bwd(c->be, dp, beta_p, dq, beta_q, dw, beta_w, dv, beta_v, dz, dalpha, s->alpha->data, p->data, q->data, w->data, v->data, &s->a);
}

static int check_lengths(capt_ctx *c, const char *op, const int32_t *len, int64_t I, int64_t S)
{
    for (int64_t i = 0; len && i < I; i++)
        if (len[i] < 0 || len[i] > S) {
            capt_ctx_fail(c, "%s: length %lld is %d, there are %lld rows", op, (long long)i, (int)len[i], (long long)S);
            return -1;
        }
    return 0;
}

capt_tensor *capt_attend(capt_ctx *c, capt_tensor *p, capt_tensor *q, capt_tensor *w, capt_tensor *v, const int32_t *row_image, const int32_t *len, int act, capt_tensor **alpha)
{
    *alpha = &c->poison;
    if (capt_op_start(c, "attend", IN(p, q, w, v)))
        return &c->poison;
    int64_t I = p->dim[0], S = p->dim[1], A = p->dim[2], R = q->dim[0], D = v->dim[2];
    if (p->ndim != 3 || v->ndim != 3 || v->dim[0] != I || v->dim[1] != S || q->ndim != 2 || q->dim[1] != A || capt_tensor_numel(w) != A || act < 0 || act >= CAPT_N_MAP)
        return capt_ctx_fail(c, "attend: p is %s, v is %s, q is %s, w is %s, activation %d", SHAPE(p), SHAPE(v), SHAPE(q), SHAPE(w), act);
    for (int64_t r = 0; r < R; r++)
        if (row_image[r] < 0 || row_image[r] >= I)
            return capt_ctx_fail(c, "attend: row %lld belongs to image %d of %lld", (long long)r, (int)row_image[r], (long long)I);
    if (check_lengths(c, "attend", len, I, S))
        return &c->poison;
    struct save s = {.a = {.I = (int)I, .R = (int)R, .S = (int)S, .A = (int)A, .D = (int)D, .act = act}, .z = capt_ctx_real(c, R, D), .alpha = capt_ctx_real(c, R, S)};
    s.a.row_image = capt_ctx_upload_i32(c, row_image, R);
    s.a.len = len ? capt_ctx_upload_i32(c, len, I) : NULL;
    if (capt_ctx_bad(c))
        return &c->poison;
    capt_node *n = capt_tape_push(c, backward, NULL, IN(p, q, w, v), sizeof s); /* two outputs: backward looks which were used */
    if (n) {
        s.z->needs_grad = s.alpha->needs_grad = 1;
        *(struct save *)n->save = s;
    }
    c->be->visatt_fwd(c->be, s.z->data, s.alpha->data, p->data, q->data, w->data, v->data, &s.a);
    *alpha = s.alpha;
    return s.z;
}

struct mean { const int32_t *len; };

static void mean_backward(capt_ctx *c, capt_node *n)
{
    const struct mean *s = n->save;
    capt_tensor *x = n->in[0];
    double beta;
    capt_real *dx = capt_grad(c, x, &beta);
    if (dx)
        c->be->mean_rows_bwd(c->be, dx, beta, n->out->grad, s->len, x->dim[0], (int)x->dim[1], (int)x->dim[2]);
}

capt_tensor *capt_mean_rows(capt_ctx *c, capt_tensor *x, const int32_t *len)
{
    if (capt_op_start(c, "mean_rows", IN(x)))
        return &c->poison;
    if (x->ndim != 3)
        return capt_ctx_fail(c, "mean_rows: x is %s", SHAPE(x));
    if (check_lengths(c, "mean_rows", len, x->dim[0], x->dim[1]))
        return &c->poison;
    capt_tensor *y = capt_ctx_real(c, x->dim[0], x->dim[2]);
    struct mean s = {len ? capt_ctx_upload_i32(c, len, x->dim[0]) : NULL};
    if (capt_ctx_bad(c))
        return &c->poison;
    capt_node *n = capt_tape_push(c, mean_backward, y, IN(x), sizeof s);
    if (n)
        *(struct mean *)n->save = s;
    c->be->mean_rows_fwd(c->be, y->data, x->data, s.len, x->dim[0], (int)x->dim[1], (int)x->dim[2]);
    return y;
}
