/* Batch normalisation over all dimensions but the last (Ioffe & Szegedy 2015), eps 1e-5, momentum 0.1, with a fused relu. */
#include "op/op_priv.h"

struct save { capt_real *mean, *rstd; int train, relu; };

static void backward(capt_ctx *c, capt_node *n)
{
    struct save *s = n->save;
    capt_tensor *x = n->in[0], *g = n->in[1], *b = n->in[2];
    double beta, beta_g, beta_b;
    capt_real *dx = grad_if(c, x, &beta), *dg = grad_if(c, g, &beta_g), *db = grad_if(c, b, &beta_b);
    if (!capt_ctx_bad(c))
        c->be->batchnorm_bwd(c->be, dx, beta, dg, beta_g, db, beta_b, n->out->grad, x->data, n->out->data, s->mean, s->rstd, g->data,
                             capt_tensor_rows(x), (int)capt_tensor_cols(x), s->train, s->relu);
}

capt_tensor *capt_batchnorm(capt_ctx *c, capt_tensor *x, capt_tensor *g, capt_tensor *b, capt_tensor *run_mean, capt_tensor *run_var, int train, int relu)
{
    if (capt_op_start(c, "batchnorm", IN(x, g, b, run_mean, run_var)))
        return &c->poison;
    int64_t C = capt_tensor_cols(x);
    if (capt_tensor_numel(g) != C || capt_tensor_numel(b) != C || capt_tensor_numel(run_mean) != C || capt_tensor_numel(run_var) != C)
        return capt_ctx_fail(c, "batchnorm: x is %s, g is %s, b is %s, run_mean is %s, run_var is %s", SHAPE(x), SHAPE(g), SHAPE(b),
                             SHAPE(run_mean), SHAPE(run_var));
    capt_tensor *y = like(c, x);
    struct save s = {capt_ctx_bytes(c, (size_t)C * sizeof(capt_real)), capt_ctx_bytes(c, (size_t)C * sizeof(capt_real)), train, relu};
    if (capt_ctx_bad(c))
        return &c->poison;
    capt_node *n = capt_tape_push(c, backward, y, IN(x, g, b), sizeof s);
    if (n)
        *(struct save *)n->save = s;
    c->be->batchnorm_fwd(c->be, y->data, s.mean, s.rstd, x->data, g->data, b->data, run_mean->data, run_var->data,
                         capt_tensor_rows(x), (int)C, 1e-5, c->again ? 0 : 0.1, train, relu);
    return y;
}
