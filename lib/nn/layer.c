#include "nn/layer.h"
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include "base/mem.h"

double capt_xavier(int out, int in)
{
    return sqrt(6.0 / ((double)out + in));
}

capt_lin capt_lin_new(capt_params *ps, int out, int in, capt_init init, double a, int bias, const char *name, ...)
{
    char text[200];
    va_list ap;
    va_start(ap, name);
    vsnprintf(text, sizeof text, name, ap);
    va_end(ap);
    capt_lin l = {capt_param_new(ps, CAPT_P_MATRIX | CAPT_P_DECAY, init, a, CAPT_DIMS(out, in), "%s.weight", text), NULL};
    if (bias)
        l.b = capt_param_new(ps, 0, CAPT_INIT_ZERO, 0, CAPT_DIMS(out), "%s.bias", text);
    return l;
}

capt_tensor *capt_lin_run(capt_ctx *c, const capt_lin *l, capt_tensor *x, int act)
{
    return capt_linear(c, x, l->w, l->b, act);
}

capt_norm capt_norm_new(capt_params *ps, int D, int kind, const char *name, ...)
{
    char text[200];
    va_list ap;
    va_start(ap, name);
    vsnprintf(text, sizeof text, name, ap);
    va_end(ap);
    return (capt_norm){capt_param_new(ps, 0, CAPT_INIT_ONE, 0, CAPT_DIMS(D), "%s.weight", text), capt_param_new(ps, 0, CAPT_INIT_ZERO, 0, CAPT_DIMS(D), "%s.bias", text), kind};
}

capt_tensor *capt_norm_run(capt_ctx *c, const capt_norm *n, capt_tensor *x)
{
    double D = (double)capt_tensor_numel(n->g);
    if (n->kind == CAPT_NORM_UNBIASED)
        return capt_layernorm(c, x, capt_scale(c, n->g, sqrt((D - 1) / D)), n->b, 1e-12);
    return capt_layernorm(c, x, n->g, n->b, 1e-5);
}

capt_tensor *capt_join(capt_ctx *c, capt_tensor *x, capt_tensor *y)
{
    if (capt_ctx_bad(c))
        return &c->poison;
    int64_t rows = capt_tensor_rows(x), p = capt_tensor_cols(x), q = capt_tensor_cols(y), dim[4] = {x->dim[0], x->dim[1], x->dim[2], x->dim[3]};
    dim[x->ndim - 1] = p + q;
    capt_tensor *z = capt_concat(c, capt_reshape_to(c, x, rows, p, 1), capt_reshape_to(c, y, rows, q, 1));
    return capt_reshape(c, z, x->ndim, dim);
}

capt_tensor *capt_sinusoids(capt_ctx *c, int from, int n, int D)
{
    capt_real *x = capt_alloc((size_t)n * (size_t)D * sizeof *x);
    for (int t = 0; t < n; t++)
        for (int i = 0; 2 * i + 1 < D; i++) {
            double angle = (from + t) / pow(10000, 2.0 * i / D);
            x[t * D + 2 * i] = (capt_real)sin(angle);
            x[t * D + 2 * i + 1] = (capt_real)cos(angle);
        }
    capt_tensor *y = capt_ctx_upload(c, CAPT_F32, CAPT_DIMS(n, D), x);
    free(x);
    return y;
}

capt_tensor *capt_embed(capt_ctx *c, capt_tensor *e, const int32_t *tokens, int R, int T)
{
    return capt_reshape_to(c, capt_gather(c, e, tokens, (int64_t)R * T), R, T, capt_tensor_cols(e));
}
