/* Output head and cross-entropy with label smoothing (Szegedy et al. 2016, section 7), only for the rows that carry weight. */
#include <stdlib.h>
#include <string.h>
#include "base/mem.h"
#include "op/op_priv.h"

struct save { void *z; capt_real *stat, *weight; const int32_t *target; double smooth; int64_t M; int V, D; };

static void backward(capt_ctx *c, capt_node *n)
{
    const struct save *s = n->save;
    capt_tensor *h = n->in[0], *w = n->in[1], *b = n->in[2];
    double beta, beta_w, beta_b;
    capt_real *dh = grad_if(c, h, &beta), *dw = grad_if(c, w, &beta_w), *db = grad_if(c, b, &beta_b);
    if (!capt_ctx_bad(c))
        c->be->head_xent_bwd(c->be, dh, beta, dw, beta_w, db, beta_b, s->z, s->stat, h->data, w->data, w->wp, s->target, s->weight, s->smooth,
                             s->M, s->V, s->D, c->compute);
}

/* all M rows carry loss */
static capt_tensor *dense(capt_ctx *c, capt_tensor *h, capt_tensor *w, capt_tensor *b, const int32_t *target, const capt_real *weight, double smooth)
{
    int64_t M = capt_tensor_rows(h), V = w->dim[0];
    struct save s = {.smooth = smooth, .M = M, .V = (int)V, .D = (int)w->dim[1]};
    capt_tensor *loss = capt_ctx_real(c, M);
    capt_tensor *dev_weight = capt_ctx_upload(c, CAPT_F32, 1, &M, weight);
    s.weight = dev_weight->data;
    s.target = capt_ctx_upload_i32(c, target, M);
    s.stat = capt_ctx_bytes(c, 2 * (size_t)M * sizeof *s.stat);
    s.z = capt_ctx_bytes(c, (size_t)(M * V) * sizeof(capt_real));
    if (capt_ctx_bad(c))
        return &c->poison;
    /* no output: the tape starts here */
    capt_node *n = capt_tape_push(c, backward, NULL, IN(h, w, b), sizeof s);
    if (n)
        *(struct save *)n->save = s;
    c->be->head_xent_fwd(c->be, loss->data, s.z, s.stat, h->data, w->data, w->wp, b ? b->data : NULL, s.target, s.weight, smooth, M, s.V, s.D,
                         c->compute);
    return loss;
}

capt_tensor *capt_xent(capt_ctx *c, capt_tensor *h, capt_tensor *w, capt_tensor *b, const int32_t *target, const capt_real *weight, double smooth)
{
    if (capt_op_start(c, "xent", IN(h, w, b)))
        return &c->poison;
    if (w->ndim != 2 || capt_tensor_cols(h) != w->dim[1])
        return capt_ctx_fail(c, "xent: h is %s, w is %s", SHAPE(h), SHAPE(w));
    if (b && capt_tensor_numel(b) != w->dim[0])
        return capt_ctx_fail(c, "xent: w is %s, b is %s", SHAPE(w), SHAPE(b));
    if (!(smooth >= 0 && smooth <= 1))
        return capt_ctx_fail(c, "xent: smoothing %g", smooth);
    int64_t M = capt_tensor_rows(h), m = 0, V = w->dim[0];
    if (M > INT32_MAX)
        return capt_ctx_fail(c, "xent: %lld rows", (long long)M);
    for (int64_t i = 0; i < M; i++) {
        if (weight[i] != 0 && (target[i] < 0 || target[i] >= V))
            return capt_ctx_fail(c, "xent: target %lld is %d, w is %s", (long long)i, (int)target[i], SHAPE(w));
        m += weight[i] != 0;
    }
    if (h->ndim != 2)
        h = capt_reshape_to(c, h, M, w->dim[1]);
    if (m == M)
        return dense(c, h, w, b, target, weight, smooth);

    capt_tensor *loss = capt_ctx_real(c, M);
    int32_t *row = capt_alloc((size_t)(m + 1) * sizeof *row), *t = capt_alloc((size_t)(m + 1) * sizeof *t);
    capt_real *wt = capt_alloc((size_t)(m + 1) * sizeof *wt);
    m = 0;
    for (int64_t i = 0; i < M; i++)
        if (weight[i] != 0) {
            row[m] = (int32_t)i;
            t[m] = target[i];
            wt[m++] = weight[i];
        }
    if (m == 0 && !capt_ctx_bad(c))
        c->be->fill(c->be, loss->data, M, 0);
    if (m > 0) {
        capt_tensor *few = dense(c, capt_gather(c, h, row, m), w, b, t, wt, smooth);
        int32_t *dev = capt_ctx_upload_i32(c, row, m);
        if (!capt_ctx_bad(c))
            c->be->scatter_add(c->be, loss->data, 0, few->data, dev, m, M, 1);
    }
    free(row);
    free(t);
    free(wt);
    return capt_ctx_bad(c) ? &c->poison : loss;
}
