/* Elementwise functions of map.def. */
#include "op/op_priv.h"

static void backward(capt_ctx *c, capt_node *n)
{
    double beta;
    capt_real *dx = capt_grad(c, n->in[0], &beta);
    if (dx)
        c->be->map_bwd(c->be, *(int *)n->save, dx, beta, n->out->grad, n->in[0]->data, capt_tensor_numel(n->out));
}

capt_tensor *capt_apply(capt_ctx *c, capt_tensor *x, int f)
{
    if (capt_op_start(c, "apply", IN(x)))
        return &c->poison;
    if (f < 0 || f >= CAPT_N_MAP)
        return capt_ctx_fail(c, "apply: no function %d", f);
    capt_tensor *y = like(c, x);
    if (capt_ctx_bad(c))
        return y;
    capt_node *n = capt_tape_push(c, backward, y, IN(x), sizeof(int));
    if (n)
        *(int *)n->save = f;
    c->be->map_fwd(c->be, f, y->data, x->data, capt_tensor_numel(x));
    return y;
}
