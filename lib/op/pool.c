/* Average pooling over disjoint windows; what is left over at the right and bottom is dropped. */
#include "op/op_priv.h"

struct save { int kh, kw; };

static void backward(capt_ctx *c, capt_node *n)
{
    const struct save *s = n->save;
    const capt_tensor *x = n->in[0];
    double beta;
    capt_real *dx = capt_grad(c, n->in[0], &beta);
    if (dx)
        c->be->avgpool_bwd(c->be, dx, beta, n->out->grad, x->dim[0], (int)x->dim[1], (int)x->dim[2], (int)x->dim[3], s->kh, s->kw);
}

capt_tensor *capt_avgpool(capt_ctx *c, capt_tensor *x, int kh, int kw)
{
    if (capt_op_start(c, "avgpool", IN(x)))
        return &c->poison;
    if (x->ndim != 4 || kh < 1 || kw < 1 || kh > x->dim[1] || kw > x->dim[2])
        return capt_ctx_fail(c, "avgpool: x is %s, window is %dx%d", SHAPE(x), kh, kw);
    capt_tensor *y = capt_ctx_real(c, x->dim[0], x->dim[1] / kh, x->dim[2] / kw, x->dim[3]);
    if (capt_ctx_bad(c))
        return y;
    capt_node *n = capt_tape_push(c, backward, y, IN(x), sizeof(struct save));
    if (n)
        *(struct save *)n->save = (struct save){kh, kw};
    c->be->avgpool_fwd(c->be, y->data, x->data, x->dim[0], (int)x->dim[1], (int)x->dim[2], (int)x->dim[3], kh, kw);
    return y;
}
