/* y = act(x w^T + b) */
#include "op/op_priv.h"

struct save { capt_real *pre; int64_t M; int N, K, act; };

static void backward(capt_ctx *c, capt_node *n)
{
    struct save *s = n->save;
    capt_tensor *x = n->in[0], *w = n->in[1], *b = n->in[2];
    capt_real *dy = n->out->grad;
    double beta, beta_b;
    if (s->pre) /* all who add to dy have run: it may become the gradient before the activation */
        c->be->map_bwd(c->be, s->act, dy, 0, dy, s->pre, s->M * s->N);
    if (wants(x)) {
        capt_real *dx = capt_grad(c, x, &beta);
        if (dx)
            c->be->linear_bwd_x(c->be, dx, beta, dy, w->data, w->wp, s->M, s->N, s->K, c->compute);
    }
    capt_real *dw = grad_if(c, w, &beta), *db = grad_if(c, b, &beta_b);
    if ((dw || db) && !capt_ctx_bad(c))
        c->be->linear_bwd_w(c->be, dw, beta, db, beta_b, dy, x->data, s->M, s->N, s->K, c->compute);
}

capt_tensor *capt_linear(capt_ctx *c, capt_tensor *x, capt_tensor *w, capt_tensor *b, int act)
{
    if (capt_op_start(c, "linear", IN(x, w, b)))
        return &c->poison;
    if (w->ndim != 2 || capt_tensor_cols(x) != w->dim[1])
        return capt_ctx_fail(c, "linear: x is %s, w is %s", SHAPE(x), SHAPE(w));
    if (b && capt_tensor_numel(b) != w->dim[0])
        return capt_ctx_fail(c, "linear: w is %s, b is %s", SHAPE(w), SHAPE(b));
    if (act < 0 || act >= CAPT_N_MAP)
        return capt_ctx_fail(c, "linear: no activation %d", act);
    int64_t dim[4] = {x->dim[0], x->dim[1], x->dim[2], x->dim[3]}, M = capt_tensor_rows(x);
    int N = (int)w->dim[0], K = (int)w->dim[1];
    dim[x->ndim - 1] = N;
    capt_tensor *y = capt_ctx_tensor(c, CAPT_F32, x->ndim, dim);
    capt_node *n = capt_tape_push(c, backward, y, IN(x, w, b), sizeof(struct save));
    capt_real *pre = n && act != CAPT_MAP_none ? capt_ctx_bytes(c, (size_t)(M * N) * sizeof *pre) : NULL;
    if (capt_ctx_bad(c))
        return &c->poison;
    if (n)
        *(struct save *)n->save = (struct save){pre, M, N, K, act};
    c->be->linear_fwd(c->be, y->data, pre, x->data, w->data, w->wp, b ? b->data : NULL, M, N, K, act, c->compute);
    return y;
}
