/* Sums, products, scaling. */
#include "op/op_priv.h"

static void add_backward(capt_ctx *c, capt_node *n)
{
    capt_tensor *x = n->in[0], *y = n->in[1];
    double beta;
    capt_real *dy = wants(x) ? grad_if(c, y, &beta) : NULL;
    if (dy)
        c->be->axpby(c->be, dy, beta, n->out->grad, 1, capt_tensor_numel(n->out));
    if (!capt_ctx_bad(c))
        capt_grad_pass(c, n, wants(x) ? x : y);
}

capt_tensor *capt_add(capt_ctx *c, capt_tensor *x, capt_tensor *y)
{
    if (capt_op_start(c, "add", IN(x, y)))
        return &c->poison;
    if (!capt_op_same(x, y))
        return capt_ctx_fail(c, "add: x is %s, y is %s", SHAPE(x), SHAPE(y));
    capt_tensor *z = like(c, x);
    if (capt_ctx_bad(c))
        return z;
    capt_tape_push(c, add_backward, z, IN(x, y), 0);
    c->be->add(c->be, z->data, x->data, y->data, capt_tensor_numel(x));
    return z;
}

static void mul_backward(capt_ctx *c, capt_node *n)
{
    for (int i = 0; i < 2; i++) {
        double beta;
        capt_real *d = grad_if(c, n->in[i], &beta);
        if (d)
            c->be->mul(c->be, d, beta, n->out->grad, n->in[1 - i]->data, capt_tensor_numel(n->out));
    }
}

capt_tensor *capt_mul(capt_ctx *c, capt_tensor *x, capt_tensor *y)
{
    if (capt_op_start(c, "mul", IN(x, y)))
        return &c->poison;
    if (!capt_op_same(x, y))
        return capt_ctx_fail(c, "mul: x is %s, y is %s", SHAPE(x), SHAPE(y));
    capt_tensor *z = like(c, x);
    if (capt_ctx_bad(c))
        return z;
    capt_tape_push(c, mul_backward, z, IN(x, y), 0);
    c->be->mul(c->be, z->data, 0, x->data, y->data, capt_tensor_numel(x));
    return z;
}

static void scale_backward(capt_ctx *c, capt_node *n)
{
    double beta;
    capt_real *d = capt_grad(c, n->in[0], &beta);
    if (d)
        c->be->axpby(c->be, d, beta, n->out->grad, *(double *)n->save, capt_tensor_numel(n->out));
}

capt_tensor *capt_scale(capt_ctx *c, capt_tensor *x, double a)
{
    if (capt_op_start(c, "scale", IN(x)))
        return &c->poison;
    capt_tensor *z = like(c, x);
    if (capt_ctx_bad(c))
        return z;
    capt_node *n = capt_tape_push(c, scale_backward, z, IN(x), sizeof a);
    if (n)
        *(double *)n->save = a;
    c->be->axpby(c->be, z->data, 0, x->data, a, capt_tensor_numel(x));
    return z;
}

static void add_rows_backward(capt_ctx *c, capt_node *n)
{
    capt_tensor *x = n->in[0], *p = n->in[1];
    double beta;
    capt_real *dp = grad_if(c, p, &beta);
    if (dp) {
        if (beta == 0 && x->dim[1] != p->dim[0]) { /* rows outside p0..p0+S-1 have no gradient */
            c->be->fill(c->be, dp, capt_tensor_numel(p), 0);
            beta = 1;
        }
        c->be->sum_rows(c->be, dp + *(int64_t *)n->save * p->dim[1], beta, n->out->grad, x->dim[0] * x->dim[1], x->dim[1], x->dim[2]);
    }
    if (wants(x) && !capt_ctx_bad(c))
        capt_grad_pass(c, n, x);
}

capt_tensor *capt_add_rows(capt_ctx *c, capt_tensor *x, capt_tensor *p, int64_t p0)
{
    if (capt_op_start(c, "add_rows", IN(x, p)))
        return &c->poison;
    if (x->ndim != 3 || p->ndim != 2 || x->dim[2] != p->dim[1])
        return capt_ctx_fail(c, "add_rows: x is %s, p is %s", SHAPE(x), SHAPE(p));
    if (p0 < 0 || x->dim[1] > p->dim[0] - p0)
        return capt_ctx_fail(c, "add_rows: x is %s from row %lld of p, which is %s", SHAPE(x), (long long)p0, SHAPE(p));
    capt_tensor *z = like(c, x);
    if (capt_ctx_bad(c))
        return z;
    capt_node *n = capt_tape_push(c, add_rows_backward, z, IN(x, p), sizeof p0);
    if (n)
        *(int64_t *)n->save = p0;
    c->be->add_rows(c->be, z->data, x->data, (capt_real *)p->data + p0 * p->dim[1], x->dim[0] * x->dim[1], x->dim[1], x->dim[2]);
    return z;
}
