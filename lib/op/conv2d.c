/* Convolution, channels last. */
#include "op/op_priv.h"

static void backward(capt_ctx *c, capt_node *n)
{
    const capt_conv *s = n->save;
    capt_tensor *x = n->in[0], *w = n->in[1], *b = n->in[2];
    double beta, beta_b;
    if (wants(x)) {
        capt_real *dx = capt_grad(c, x, &beta);
        if (dx)
            c->be->conv_bwd_x(c->be, dx, beta, n->out->grad, w->data, w->wp, s, c->compute);
    }
    capt_real *dw = grad_if(c, w, &beta), *db = grad_if(c, b, &beta_b);
    if ((dw || db) && !capt_ctx_bad(c))
        c->be->conv_bwd_w(c->be, dw, beta, db, beta_b, n->out->grad, x->data, s, c->compute);
}

capt_tensor *capt_conv2d(capt_ctx *c, capt_tensor *x, capt_tensor *w, capt_tensor *b, int stride, int pad)
{
    if (capt_op_start(c, "conv2d", IN(x, w, b)))
        return &c->poison;
    if (x->ndim != 4 || w->ndim != 4 || x->dim[3] != w->dim[3] || stride < 1 || pad < 0 || x->dim[1] + 2 * pad < w->dim[1] ||
        x->dim[2] + 2 * pad < w->dim[2])
        return capt_ctx_fail(c, "conv2d: x is %s, w is %s, stride %d, pad %d", SHAPE(x), SHAPE(w), stride, pad);
    if (b && capt_tensor_numel(b) != w->dim[0])
        return capt_ctx_fail(c, "conv2d: w is %s, b is %s", SHAPE(w), SHAPE(b));
    capt_conv s = {.B = x->dim[0], .H = (int)x->dim[1], .W = (int)x->dim[2], .C = (int)x->dim[3], .N = (int)w->dim[0],
                   .kh = (int)w->dim[1], .kw = (int)w->dim[2], .stride = stride, .pad = pad};
    s.OH = (s.H + 2 * pad - s.kh) / stride + 1;
    s.OW = (s.W + 2 * pad - s.kw) / stride + 1;
    capt_tensor *y = capt_ctx_real(c, s.B, s.OH, s.OW, s.N);
    if (capt_ctx_bad(c))
        return y;
    capt_node *n = capt_tape_push(c, backward, y, IN(x, w, b), sizeof s);
    if (n)
        *(capt_conv *)n->save = s;
    c->be->conv_fwd(c->be, y->data, x->data, w->data, w->wp, b ? b->data : NULL, &s, c->compute);
    return y;
}
