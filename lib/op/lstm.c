/* One step of an LSTM (Hochreiter & Schmidhuber 1997). The products are the caller's: what does not depend on the step before is made for all steps at once. */
#include "op/op_priv.h"

struct save { capt_tensor *cell; capt_real *act; int64_t t, lda; int H, kind; };

static capt_real *grad_of_output(const capt_tensor *x)
{
    return x->touched ? x->grad : NULL;
}

static void backward(capt_ctx *c, capt_node *n)
{
    const struct save *s = n->save;
    capt_tensor *x = n->in[0], *g = n->in[1], *cell0 = n->in[2], *h = n->in[3];
    const capt_real *dh = grad_of_output(h), *dcell = grad_of_output(s->cell);
    double beta_x, beta_g, beta_c;
    if (!dh && !dcell)
        return;
    capt_real *dx = grad_if(c, x, &beta_x), *dg = grad_if(c, g, &beta_g), *dc = grad_if(c, cell0, &beta_c);
    if (capt_ctx_bad(c))
        return;
    if (dx && beta_x == 0 && x->dim[1] > 1) { /* the other steps' parts are theirs */
        c->be->fill(c->be, dx, capt_tensor_numel(x), 0);
        beta_x = 1;
    }
    c->be->lstm_bwd(c->be, dx ? dx + s->t * x->dim[2] : NULL, s->lda, beta_x, dg, beta_g, dc, beta_c, dh, dcell, s->act, cell0 ? cell0->data : NULL, s->cell->data, h->dim[0], s->H,
                    s->kind);
}

capt_tensor *capt_lstm(capt_ctx *c, capt_tensor *x, int64_t t, capt_tensor *g, capt_tensor *cell0, int kind, capt_tensor **cell)
{
    *cell = &c->poison;
    if (capt_op_start(c, "lstm", IN(x, g, cell0)))
        return &c->poison;
    int G = capt_lstm_gates(kind);
    int64_t R = x->dim[0], W = x->dim[2], H = W / G;
    if (x->ndim != 3 || W % G || t < 0 || t >= x->dim[1])
        return capt_ctx_fail(c, "lstm: x is %s, step %lld, %d gates", SHAPE(x), (long long)t, G);
    if ((g && (g->dim[0] != R || capt_tensor_numel(g) != R * W)) || (cell0 && (cell0->dim[0] != R || capt_tensor_numel(cell0) != R * H)))
        return capt_ctx_fail(c, "lstm: x is %s, g is %s, the cell is %s", SHAPE(x), g ? SHAPE(g) : "none", cell0 ? SHAPE(cell0) : "none");
    capt_tensor *h = capt_ctx_real(c, R, H), *new = capt_ctx_real(c, R, H);
    struct save s = {new, capt_ctx_bytes(c, (size_t)(R * W) * sizeof(capt_real)), t, x->dim[1] * W, (int)H, kind};
    if (capt_ctx_bad(c))
        return &c->poison;
    capt_node *n = capt_tape_push(c, backward, NULL, IN(x, g, cell0), sizeof s); /* two outputs: backward looks which were used */
    if (n) {
        n->in[3] = h;
        h->needs_grad = new->needs_grad = 1;
        *(struct save *)n->save = s;
    }
    c->be->lstm_fwd(c->be, h->data, new->data, s.act, (capt_real *)x->data + t * W, s.lda, g ? g->data : NULL, cell0 ? cell0->data : NULL, R, (int)H, kind);
    *cell = new;
    return h;
}
