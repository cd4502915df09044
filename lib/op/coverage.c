/* Doubly stochastic regularisation of attention (Xu et al. 2015, eq. 14): over a caption, every feature row should get the same weight in all, one. */
#include "op/op_priv.h"

struct save { capt_real *cover; const capt_real *target; const int32_t *t_len, *s_len; double scale; };

static void backward(capt_ctx *c, capt_node *n)
{
    const struct save *s = n->save;
    const capt_tensor *a = n->in[0];
    double beta;
    capt_real *d = capt_grad(c, n->in[0], &beta);
    if (d)
        c->be->coverage_bwd(c->be, d, beta, s->cover, s->t_len, s->s_len, s->target, s->scale, a->dim[0], (int)a->dim[1], (int)a->dim[2]);
}

capt_tensor *capt_coverage(capt_ctx *c, capt_tensor *alpha, const int32_t *t_len, const int32_t *s_len, const capt_real *target, double scale)
{
    if (capt_op_start(c, "coverage", IN(alpha)))
        return &c->poison;
    int64_t R = alpha->dim[0];
    if (alpha->ndim != 3)
        return capt_ctx_fail(c, "coverage: alpha is %s", SHAPE(alpha));
    for (int64_t r = 0; r < R; r++)
        if (t_len[r] < 0 || t_len[r] > alpha->dim[1] || s_len[r] < 0 || s_len[r] > alpha->dim[2])
            return capt_ctx_fail(c, "coverage: row %lld has %d words and %d feature rows, alpha is %s", (long long)r, (int)t_len[r], (int)s_len[r], SHAPE(alpha));
    capt_tensor *loss = capt_ctx_real(c, R);
    struct save s = {capt_ctx_bytes(c, (size_t)(R * alpha->dim[2]) * sizeof(capt_real)), capt_ctx_upload(c, CAPT_F32, 1, &R, target)->data,
                     capt_ctx_upload_i32(c, t_len, R), capt_ctx_upload_i32(c, s_len, R), scale};
    if (capt_ctx_bad(c))
        return &c->poison;
    capt_node *n = capt_tape_push(c, backward, NULL, IN(alpha), sizeof s); /* no output: the tape starts here */
    if (n)
        *(struct save *)n->save = s;
    c->be->coverage_fwd(c->be, loss->data, s.cover, alpha->data, s.t_len, s.s_len, s.target, scale, R, (int)alpha->dim[1], (int)alpha->dim[2]);
    return loss;
}
