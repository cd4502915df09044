/* Operators that move elements: gather, concat, stack, slice, reshape, detach. */
#include <string.h>
#include "op/op_priv.h"

struct gather { const int32_t *idx; int64_t n, block; };

static void gather_backward(capt_ctx *c, capt_node *n)
{
    struct gather *s = n->save;
    double beta;
    capt_real *dx = capt_grad(c, n->in[0], &beta);
    if (dx)
        c->be->scatter_add(c->be, dx, beta, n->out->grad, s->idx, s->n, n->in[0]->dim[0], s->block);
}

capt_tensor *capt_gather(capt_ctx *c, capt_tensor *x, const int32_t *idx, int64_t n_idx)
{
    if (capt_op_start(c, "gather", IN(x)))
        return &c->poison;
    for (int64_t i = 0; i < n_idx; i++)
        if (idx[i] < 0 || idx[i] >= x->dim[0])
            return capt_ctx_fail(c, "gather: index %lld is %d, x is %s", (long long)i, (int)idx[i], SHAPE(x));
    int64_t dim[4] = {n_idx, x->dim[1], x->dim[2], x->dim[3]}, block = dim[1] * dim[2] * dim[3];
    capt_tensor *y = capt_ctx_tensor(c, CAPT_F32, x->ndim, dim);
    int32_t *dev = capt_ctx_upload_i32(c, idx, n_idx);
    if (capt_ctx_bad(c))
        return &c->poison;
    capt_node *n = capt_tape_push(c, gather_backward, y, IN(x), sizeof(struct gather));
    if (n)
        *(struct gather *)n->save = (struct gather){dev, n_idx, block};
    c->be->gather(c->be, y->data, x->data, dev, n_idx, block);
    return y;
}

static void concat_backward(capt_ctx *c, capt_node *n)
{
    int64_t at = 0, ld = n->out->dim[1] * n->out->dim[2];
    for (int i = 0; i < 2; i++) {
        int64_t cols = n->in[i]->dim[1] * n->in[i]->dim[2];
        double beta;
        capt_real *d = grad_if(c, n->in[i], &beta);
        if (d)
            c->be->copy2d(c->be, d, cols, beta, n->out->grad + at, ld, n->out->dim[0], cols);
        at += cols;
    }
}

capt_tensor *capt_concat(capt_ctx *c, capt_tensor *x, capt_tensor *y)
{
    if (capt_op_start(c, "concat", IN(x, y)))
        return &c->poison;
    if (x->ndim != 3 || y->ndim != 3 || x->dim[0] != y->dim[0] || x->dim[2] != y->dim[2])
        return capt_ctx_fail(c, "concat: x is %s, y is %s", SHAPE(x), SHAPE(y));
    int64_t B = x->dim[0], D = x->dim[2], nx = x->dim[1] * D, ny = y->dim[1] * D;
    capt_tensor *z = capt_ctx_real(c, B, x->dim[1] + y->dim[1], D);
    if (capt_ctx_bad(c))
        return z;
    capt_tape_push(c, concat_backward, z, IN(x, y), 0);
    c->be->copy2d(c->be, z->data, nx + ny, 0, x->data, nx, B, nx);
    c->be->copy2d(c->be, (capt_real *)z->data + nx, nx + ny, 0, y->data, ny, B, ny);
    return z;
}

struct stack { capt_tensor **x; int n; };

static void stack_backward(capt_ctx *c, capt_node *n)
{
    const struct stack *s = n->save;
    int64_t D = n->out->dim[2];
    for (int t = 0; t < s->n; t++) {
        double beta;
        capt_real *d = grad_if(c, s->x[t], &beta);
        if (d)
            c->be->copy2d(c->be, d, D, beta, n->out->grad + t * D, s->n * D, n->out->dim[0], D);
    }
}

capt_tensor *capt_stack(capt_ctx *c, capt_tensor *const *x, int n)
{
    if (n < 1)
        return capt_ctx_fail(c, "stack: of %d tensors", n);
    for (int t = 0; t < n; t++) {
        if (capt_op_start(c, "stack", IN(x[t])))
            return &c->poison;
        if (x[t]->ndim != 2 || !capt_op_same(x[t], x[0]))
            return capt_ctx_fail(c, "stack: tensor 0 is %s, tensor %d is %s", SHAPE(x[0]), t, SHAPE(x[t]));
    }
    int64_t R = x[0]->dim[0], D = x[0]->dim[1];
    capt_tensor *y = capt_ctx_real(c, R, n, D);
    if (capt_ctx_bad(c))
        return y;
    int with = n - 1; /* one whose history matters */
    while (with > 0 && !wants(x[with]))
        with--;
    capt_node *node = capt_tape_push(c, stack_backward, y, IN(x[with]), sizeof(struct stack));
    if (node) {
        struct stack *s = node->save;
        s->n = n;
        s->x = capt_arena_alloc(c->host, (size_t)n * sizeof *s->x);
        memcpy(s->x, x, (size_t)n * sizeof *s->x);
    }
    for (int t = 0; t < n; t++)
        c->be->copy2d(c->be, (capt_real *)y->data + t * D, n * D, 0, x[t]->data, D, R, D);
    return y;
}

static void slice_backward(capt_ctx *c, capt_node *n)
{
    capt_tensor *x = n->in[0];
    int64_t cols = n->out->dim[1] * x->dim[2], ld = x->dim[1] * x->dim[2];
    double beta;
    capt_real *dx = capt_grad(c, x, &beta);
    if (!dx)
        return;
    if (beta == 0)
        c->be->fill(c->be, dx, capt_tensor_numel(x), 0);
    c->be->copy2d(c->be, dx + *(int64_t *)n->save * x->dim[2], ld, 1, n->out->grad, cols, x->dim[0], cols);
}

capt_tensor *capt_slice(capt_ctx *c, capt_tensor *x, int64_t t0, int64_t n)
{
    if (capt_op_start(c, "slice", IN(x)))
        return &c->poison;
    if (x->ndim != 3 || t0 < 0 || n < 0 || n > x->dim[1] - t0)
        return capt_ctx_fail(c, "slice: x is %s, asked for %lld from %lld", SHAPE(x), (long long)n, (long long)t0);
    int64_t B = x->dim[0], D = x->dim[2];
    capt_tensor *y = capt_ctx_real(c, B, n, D);
    if (capt_ctx_bad(c))
        return y;
    capt_node *node = capt_tape_push(c, slice_backward, y, IN(x), sizeof t0);
    if (node)
        *(int64_t *)node->save = t0;
    c->be->copy2d(c->be, y->data, n * D, 0, (capt_real *)x->data + t0 * D, x->dim[1] * D, B, n * D);
    return y;
}

static void reshape_backward(capt_ctx *c, capt_node *n)
{
    capt_grad_pass(c, n, n->in[0]);
}

capt_tensor *capt_reshape(capt_ctx *c, capt_tensor *x, int ndim, const int64_t *dim)
{
    if (capt_ctx_bad(c))
        return &c->poison;
    int64_t n = ndim >= 1 && ndim <= 4 ? 1 : -1;
    for (int i = 0; n > 0 && i < ndim; i++)
        if (dim[i] < 0 || __builtin_mul_overflow(n, dim[i], &n))
            n = -1;
    capt_tensor *y = capt_ctx_head(c, x->dtype, ndim >= 1 && ndim <= 4 ? ndim : 1, dim, x->data);
    if (n != capt_tensor_numel(x))
        return capt_ctx_fail(c, "reshape: x is %s, asked for %s", SHAPE(x), SHAPE(y));
    capt_tape_push(c, reshape_backward, y, IN(x), 0);
    return y;
}

capt_tensor *capt_detach(capt_ctx *c, capt_tensor *x)
{
    return capt_ctx_bad(c) ? &c->poison : capt_ctx_head(c, x->dtype, x->ndim, x->dim, x->data);
}
