/* AdamW and the norm of a gradient. */
#include "backend/ref/ref_priv.h"

void capt_ref_adamw(capt_backend *be, capt_real *w, const capt_real *g, capt_real *m, capt_real *v, int64_t n, const capt_adamw *hp, capt_weight *wp)
{
    capt_real b1 = (capt_real)hp->beta1, b2 = (capt_real)hp->beta2, d1 = (capt_real)(1 - hp->beta1), d2 = (capt_real)(1 - hp->beta2);
    capt_real i1 = (capt_real)(1 / hp->c1), i2 = (capt_real)(1 / hp->c2), eps = (capt_real)hp->eps;
    capt_real lr = (capt_real)hp->lr, decay = (capt_real)hp->decay, gscale = (capt_real)hp->gscale, most = (capt_real)(hp->glimit > 0 ? hp->glimit : INFINITY);
    for (int64_t i = 0; i < n; i++) {
        capt_real gi = g[i] * gscale;
        gi = gi > most ? most : gi < -most ? -most : gi;
        m[i] = b1 * m[i] + d1 * gi;
        v[i] = b2 * v[i] + d2 * gi * gi;
        w[i] -= lr * (m[i] * i1 / (SQRT(v[i] * i2) + eps) + decay * w[i]);
    }
}

void capt_ref_sumsq(capt_backend *be, double *out, const capt_real *x, int64_t n)
{
    enum { CHUNK = 4096 };
    double total = 0;
    for (int64_t i0 = 0; i0 < n; i0 += CHUNK) {
        double s = 0;
        for (int64_t i = i0; i < n && i < i0 + CHUNK; i++)
            s += (double)x[i] * (double)x[i];
        total += s;
    }
    *out = total;
}
