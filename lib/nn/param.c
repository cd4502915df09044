#include "nn/param.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/hash.h"
#include "base/mem.h"
#include "base/rng.h"

static capt_tensor dummy_like(int ndim, const int64_t *dim)
{
    capt_tensor t = {.dtype = CAPT_F32, .ndim = ndim, .dim = {1, 1, 1, 1}};
    for (int i = 0; i < ndim; i++)
        t.dim[i] = dim[i];
    return t;
}

void capt_params_init(capt_params *ps, capt_backend *be, capt_dtype compute, uint64_t seed)
{
    *ps = (capt_params){.be = be, .compute = compute, .seed = seed};
}

void capt_params_free(capt_params *ps)
{
    for (int i = 0; i < ps->n; i++) {
        capt_param *p = ps->v[i];
        if (p->t.wp)
            ps->be->weight_free(ps->be, p->t.wp);
        if (p->t.data)
            ps->be->free(ps->be, p->t.data);
        if (p->t.grad)
            ps->be->free(ps->be, p->t.grad);
        if (p->m)
            ps->be->free(ps->be, p->m);
        if (p->v)
            ps->be->free(ps->be, p->v);
        if (p->mean)
            ps->be->free(ps->be, p->mean);
        free(p->name);
        free(p);
    }
    free(ps->v);
    ps->v = NULL;
    ps->n = ps->cap = 0;
}

/* Draws host values of a parameter: number i of the stream keyed by (seed, name). */
static void draw(const capt_params *ps, const char *name, capt_init init, double a, capt_real *x, int64_t n)
{
    uint64_t key = capt_rng_key(ps->seed, CAPT_RNG_INIT, capt_hash64(name, strlen(name)), 0);
    for (int64_t i = 0; i < n; i++) {
        switch (init) {
        case CAPT_INIT_ZERO: x[i] = 0; break;
        case CAPT_INIT_ONE: x[i] = 1; break;
        case CAPT_INIT_NORMAL: x[i] = (capt_real)(a * capt_rng_normal(key, (uint64_t)i)); break;
        case CAPT_INIT_UNIFORM: x[i] = (capt_real)(a * (2 * capt_rng_u01(key, (uint64_t)i) - 1)); break;
        }
    }
}

capt_tensor *capt_param_new(capt_params *ps, unsigned flags, capt_init init, double a, int ndim, const int64_t *dim, const char *name, ...)
{
    char text[256];
    va_list ap;
    va_start(ap, name);
    vsnprintf(text, sizeof text, name, ap);
    va_end(ap);
    capt_param *p = capt_alloc(sizeof *p);
    p->name = capt_strdup(text);
    p->t = dummy_like(ndim, dim);
    p->flags = flags;
    p->lr_scale = 1;
    if (ps->n == ps->cap) {
        ps->cap = ps->cap ? 2 * ps->cap : 64;
        ps->v = capt_realloc(ps->v, (size_t)ps->cap * sizeof *ps->v);
    }
    if (capt_param_find(ps, text))
        capt_fail(&ps->err, CAPT_EDATA, "parameter %s exists twice", text);
    ps->v[ps->n++] = p;
    int64_t n = 1;
    for (int i = 0; i < ndim && !ps->err.code; i++)
        if (dim[i] < 1 || dim[i] > INT32_MAX)
            capt_fail(&ps->err, CAPT_EDATA, "parameter %s: dimension %d is %lld", text, i, (long long)dim[i]);
        else if (__builtin_mul_overflow(n, dim[i], &n) || n > (int64_t)1 << 34)
            capt_fail(&ps->err, CAPT_EDATA, "parameter %s is too large", text);
    if (ps->most && !ps->err.code && n > ps->most - ps->made)
        capt_fail(&ps->err, CAPT_EDATA, "parameter %s: the configuration asks for more than the %lld numbers there are", text, (long long)ps->most);
    if (ps->err.code)
        return &p->t;
    ps->made += n;
    capt_real *host = capt_try_alloc64((size_t)n * sizeof *host, &ps->err);
    p->t.data = host ? ps->be->alloc(ps->be, (size_t)n * sizeof *host) : NULL;
    if (!p->t.data) {
        capt_fail(&ps->err, CAPT_ENOMEM, "no memory for parameter %s", text);
        free(host);
        return &p->t;
    }
    if (!ps->blank)
        draw(ps, text, init, a, host, n);
    ps->be->upload(ps->be, p->t.data, host, (size_t)n * sizeof *host);
    free(host);
    if (flags & CAPT_P_MATRIX)
        ps->be->weight_new(ps->be, &p->t.wp, p->t.data, (int)dim[0], (int)(n / dim[0]), ps->compute);
    return &p->t;
}

capt_param *capt_param_find(const capt_params *ps, const char *name)
{
    for (int i = 0; i < ps->n; i++)
        if (!strcmp(ps->v[i]->name, name))
            return ps->v[i];
    return NULL;
}

void capt_param_set(capt_params *ps, capt_param *p, const capt_real *host)
{
    ps->be->upload(ps->be, p->t.data, host, (size_t)capt_tensor_numel(&p->t) * sizeof *host);
    if (p->t.wp)
        ps->be->weight_update(ps->be, p->t.wp, p->t.data);
    p->loaded = 1;
}

void capt_param_get(const capt_params *ps, const capt_param *p, capt_real *host)
{
    ps->be->download(ps->be, host, p->t.data, (size_t)capt_tensor_numel(&p->t) * sizeof *host);
}

int capt_params_train(capt_params *ps, const char *prefix, int on, capt_err *err)
{
    for (int i = 0; i < ps->n; i++) {
        capt_param *p = ps->v[i];
        if (p->flags & CAPT_P_BUFFER || strncmp(p->name, prefix, strlen(prefix)))
            continue;
        p->trainable = on;
        p->t.needs_grad = on;
        if (on && !p->t.grad) {
            p->t.grad = ps->be->alloc(ps->be, (size_t)capt_tensor_numel(&p->t) * sizeof(capt_real));
            if (!p->t.grad)
                return capt_fail(err, CAPT_ENOMEM, "no memory for the gradient of %s", p->name);
        }
        if (!on && p->t.grad) {
            ps->be->free(ps->be, p->t.grad);
            p->t.grad = NULL;
        }
        p->t.touched = 0;
    }
    return 0;
}

int capt_params_average(capt_params *ps, double decay, capt_err *err)
{
    for (int i = 0; i < ps->n; i++) {
        capt_param *p = ps->v[i];
        int64_t n = capt_tensor_numel(&p->t);
        int first = !p->mean;
        if (!p->trainable)
            continue;
        if (first)
            p->mean = ps->be->alloc(ps->be, (size_t)n * sizeof(capt_real));
        if (!p->mean)
            return capt_fail(err, CAPT_ENOMEM, "no memory for the mean of %s", p->name);
        ps->be->axpby(ps->be, p->mean, first ? 0 : decay, p->t.data, first ? 1 : 1 - decay, n);
    }
    return 0;
}

void capt_params_swap(capt_params *ps)
{
    for (int i = 0; i < ps->n; i++) {
        capt_param *p = ps->v[i];
        capt_real *value = p->t.data;
        if (!p->mean)
            continue;
        p->t.data = p->mean;
        p->mean = value;
        if (p->t.wp)
            ps->be->weight_update(ps->be, p->t.wp, p->t.data);
    }
}

void capt_params_zero_grad(capt_params *ps)
{
    for (int i = 0; i < ps->n; i++)
        ps->v[i]->t.touched = 0;
}

int64_t capt_params_count(const capt_params *ps, const char *prefix)
{
    int64_t n = 0;
    for (int i = 0; i < ps->n; i++)
        if (!(ps->v[i]->flags & CAPT_P_BUFFER) && !strncmp(ps->v[i]->name, prefix, strlen(prefix)))
            n += capt_tensor_numel(&ps->v[i]->t);
    return n;
}

static int by_name(const void *a, const void *b)
{
    return strcmp((*(capt_param *const *)a)->name, (*(capt_param *const *)b)->name);
}

int capt_params_hash(const capt_params *ps, const char *prefix, char hex[33], capt_err *err)
{
    capt_param **list = capt_alloc((size_t)(ps->n + 1) * sizeof *list);
    int n = 0, rc = 0;
    for (int i = 0; i < ps->n; i++)
        if (!strncmp(ps->v[i]->name, prefix, strlen(prefix)))
            list[n++] = ps->v[i];
    qsort(list, (size_t)n, sizeof *list, by_name);
    capt_hasher *h = capt_hasher_new();
    for (int i = 0; i < n && !rc; i++) {
        int64_t len = capt_tensor_numel(&list[i]->t);
        capt_real *x = capt_try_alloc64((size_t)len * sizeof *x, err);
        if (!x) {
            rc = -1;
            break;
        }
        capt_param_get(ps, list[i], x);
        float *f = (float *)x; /* in place: f32 never needs more room */
        for (int64_t k = 0; k < len; k++)
            f[k] = (float)x[k];
        capt_hasher_add(h, list[i]->name, strlen(list[i]->name) + 1);
        capt_hasher_add(h, list[i]->t.dim, sizeof list[i]->t.dim);
        capt_hasher_add(h, f, (size_t)len * sizeof *f);
        free(x);
    }
    capt_hasher_end(h, hex);
    free(list);
    return rc;
}
