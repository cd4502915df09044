#include "train/optim.h"
#include <math.h>
#include "base/mem.h"

static capt_real *zeros(capt_params *ps, int64_t n, capt_err *err)
{
    capt_real *p = ps->be->alloc(ps->be, (size_t)n * sizeof *p);
    if (!p)
        capt_fail(err, CAPT_ENOMEM, "no memory for the optimiser's moments");
    else
        ps->be->fill(ps->be, p, n, 0);
    return p;
}

int capt_optim_step(capt_optim *o, capt_params *ps, double lr, double *norm, capt_err *err)
{
    capt_backend *be = ps->be;
    double sum = 0;
    for (int i = 0; i < ps->n; i++) {
        capt_param *p = ps->v[i];
        if (!p->trainable || !p->t.touched)
            continue;
        double one = 0;
        be->sumsq(be, &one, p->t.grad, capt_tensor_numel(&p->t));
        if (!isfinite(one))
            return capt_fail(err, CAPT_EDATA, "the gradient of %s is not finite", p->name);
        sum += one;
    }
    double g = sqrt(sum);
    if (norm)
        *norm = g;
    o->t++;
    capt_adamw hp = {.beta1 = o->beta1, .beta2 = o->beta2, .eps = o->eps, .c1 = 1 - pow(o->beta1, (double)o->t), .c2 = 1 - pow(o->beta2, (double)o->t), .gscale = 1, .glimit = o->clip_value};
    if (o->clip > 0 && g > o->clip)
        hp.gscale = o->clip / g;
    for (int i = 0; i < ps->n; i++) {
        capt_param *p = ps->v[i];
        int64_t n = capt_tensor_numel(&p->t);
        if (!p->trainable || !p->t.touched)
            continue;
        if (!p->m)
            p->m = zeros(ps, n, err);
        if (!p->v)
            p->v = zeros(ps, n, err);
        if (!p->m || !p->v)
            return -1;
        hp.lr = lr * p->lr_scale;
        hp.decay = p->flags & CAPT_P_DECAY ? o->decay : 0;
        be->adamw(be, p->t.data, p->t.grad, p->m, p->v, n, &hp, p->t.wp);
        p->t.touched = 0;
    }
    return be->check(be, err);
}
