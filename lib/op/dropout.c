/* Inverted dropout (Srivastava et al. 2014). The mask is a function of (seed, step, number of the call in the step, global row, column). */
#include "base/rng.h"
#include "op/op_priv.h"

struct save { double p; uint64_t key, i0; };

static void backward(capt_ctx *c, capt_node *n)
{
    const struct save *s = n->save;
    double beta;
    capt_real *dx = capt_grad(c, n->in[0], &beta);
    if (dx)
        c->be->dropout(c->be, dx, beta, n->out->grad, capt_tensor_numel(n->out), s->p, s->key, s->i0);
}

capt_tensor *capt_dropout(capt_ctx *c, capt_tensor *x, double p)
{
    if (capt_op_start(c, "dropout", IN(x)))
        return &c->poison;
    if (!(p >= 0 && p < 1))
        return capt_ctx_fail(c, "dropout: probability %g", p);
    struct save s = {p, capt_rng_key(c->seed, CAPT_RNG_DROPOUT, c->step, c->op_count++), 0};
    if (!c->training || p == 0)
        return x;
    if (x->dim[0])
        s.i0 = (uint64_t)c->row0 * (uint64_t)(capt_tensor_numel(x) / x->dim[0]);
    capt_tensor *y = like(c, x);
    if (capt_ctx_bad(c))
        return y;
    capt_node *n = capt_tape_push(c, backward, y, IN(x), sizeof s);
    if (n)
        *(struct save *)n->save = s;
    c->be->dropout(c->be, y->data, 0, x->data, capt_tensor_numel(x), p, s.key, s.i0);
    return y;
}
