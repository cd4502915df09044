/* Convolution, channels last, alone or with what follows it in a residual network. */
#include <string.h>
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

/* 0, or -1: the context fails */
static int shape(capt_ctx *c, capt_conv *s, const capt_tensor *x, const capt_tensor *w, int stride, int pad)
{
    if (x->ndim != 4 || w->ndim != 4 || x->dim[3] != w->dim[3] || stride < 1 || pad < 0 || x->dim[1] + 2 * pad < w->dim[1] ||
        x->dim[2] + 2 * pad < w->dim[2])
        return capt_ctx_fail(c, "conv2d: x is %s, w is %s, stride %d, pad %d", SHAPE(x), SHAPE(w), stride, pad), -1;
    *s = (capt_conv){.B = x->dim[0], .H = (int)x->dim[1], .W = (int)x->dim[2], .C = (int)x->dim[3], .N = (int)w->dim[0],
                     .kh = (int)w->dim[1], .kw = (int)w->dim[2], .stride = stride, .pad = pad};
    s->OH = (s->H + 2 * pad - s->kh) / stride + 1;
    s->OW = (s->W + 2 * pad - s->kw) / stride + 1;
    return 0;
}

capt_tensor *capt_conv2d(capt_ctx *c, capt_tensor *x, capt_tensor *w, capt_tensor *b, int stride, int pad)
{
    capt_conv s;
    if (capt_op_start(c, "conv2d", IN(x, w, b)) || shape(c, &s, x, w, stride, pad))
        return &c->poison;
    if (b && capt_tensor_numel(b) != w->dim[0])
        return capt_ctx_fail(c, "conv2d: w is %s, b is %s", SHAPE(w), SHAPE(b));
    capt_tensor *y = capt_ctx_real(c, s.B, s.OH, s.OW, s.N);
    if (capt_ctx_bad(c))
        return y;
    capt_node *n = capt_tape_push(c, backward, y, IN(x, w, b), sizeof s);
    if (n)
        *(capt_conv *)n->save = s;
    c->be->conv_fwd(c->be, y->data, x->data, w->data, w->wp, b ? b->data : NULL, &s, c->compute);
    return y;
}

capt_tensor *capt_conv_norm(capt_ctx *c, capt_tensor *x, capt_tensor *w, const capt_bn *n, int stride, int pad, capt_tensor *add, int train, int relu)
{
    capt_conv s;
    if (capt_op_start(c, "conv_norm", IN(x, w, n->g, n->b, n->mean, n->var, add)))
        return &c->poison;
    int matrix = w->ndim == 2;
    if (train || (c->recording && (wants(x) || wants(w) || wants(n->g) || wants(n->b) || wants(add)))) {
        capt_tensor *y = matrix ? capt_linear(c, x, w, NULL, CAPT_MAP_none) : capt_conv2d(c, x, w, NULL, stride, pad);
        y = capt_batchnorm(c, y, n->g, n->b, n->mean, n->var, train, relu && !add);
        y = add ? capt_add(c, y, add) : y;
        return add && relu ? capt_apply(c, y, CAPT_MAP_relu) : y;
    }
    capt_tensor filter = *w;
    if (matrix) {
        filter.ndim = 4;
        memcpy(filter.dim, ((int64_t[]){w->dim[0], 1, 1, w->dim[1]}), 4 * sizeof *filter.dim);
    }
    if (shape(c, &s, x, &filter, matrix ? 1 : stride, matrix ? 0 : pad))
        return &c->poison;
    if (capt_tensor_numel(n->g) != s.N || capt_tensor_numel(n->b) != s.N || capt_tensor_numel(n->mean) != s.N || capt_tensor_numel(n->var) != s.N)
        return capt_ctx_fail(c, "conv_norm: w is %s, g is %s, b is %s, mean is %s, var is %s", SHAPE(w), SHAPE(n->g), SHAPE(n->b), SHAPE(n->mean), SHAPE(n->var));
    capt_tensor *y = capt_ctx_real(c, s.B, s.OH, s.OW, s.N);
    if (!capt_ctx_bad(c) && add && !capt_op_same(y, add))
        return capt_ctx_fail(c, "conv_norm: the output is %s, add is %s", SHAPE(y), SHAPE(add));
    if (!capt_ctx_bad(c))
        c->be->conv_norm_fwd(c->be, y->data, x->data, w->data, w->wp, n->g->data, n->b->data, n->mean->data, n->var->data, 1e-5, add ? add->data : NULL, relu, &s, c->compute);
    return y;
}
