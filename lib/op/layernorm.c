/* Layer normalisation over the last dimension (Ba et al. 2016). */
#include "op/op_priv.h"

struct save { capt_real *mean, *rstd; };

static void backward(capt_ctx *c, capt_node *n)
{
    struct save *s = n->save;
    capt_tensor *x = n->in[0], *g = n->in[1], *b = n->in[2];
    double beta, beta_g, beta_b;
    capt_real *dx = grad_if(c, x, &beta), *dg = grad_if(c, g, &beta_g), *db = grad_if(c, b, &beta_b);
    if (!capt_ctx_bad(c))
        c->be->layernorm_bwd(c->be, dx, beta, dg, beta_g, db, beta_b, n->out->grad, x->data, s->mean, s->rstd, g->data,
                             capt_tensor_rows(x), (int)capt_tensor_cols(x));
}

capt_tensor *capt_layernorm(capt_ctx *c, capt_tensor *x, capt_tensor *g, capt_tensor *b, double eps)
{
    if (capt_op_start(c, "layernorm", IN(x, g, b)))
        return &c->poison;
    int64_t D = capt_tensor_cols(x), rows = capt_tensor_rows(x);
    if (capt_tensor_numel(g) != D || capt_tensor_numel(b) != D)
        return capt_ctx_fail(c, "layernorm: x is %s, g is %s, b is %s", SHAPE(x), SHAPE(g), SHAPE(b));
    capt_tensor *y = like(c, x);
    struct save s = {capt_ctx_bytes(c, (size_t)rows * sizeof(capt_real)), capt_ctx_bytes(c, (size_t)rows * sizeof(capt_real))};
    if (capt_ctx_bad(c))
        return &c->poison;
    capt_node *n = capt_tape_push(c, backward, y, IN(x, g, b), sizeof s);
    if (n)
        *(struct save *)n->save = s;
    c->be->layernorm_fwd(c->be, y->data, s.mean, s.rstd, x->data, g->data, b->data, rows, (int)D, eps);
    return y;
}
