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

static int is_own(const capt_param *p)
{
    return p->t.data && p->t.data != p->lent[0].data;
}

static void drop_value(capt_params *ps, capt_param *p)
{
    if (p->t.wp)
        ps->be->weight_free(ps->be, p->t.wp);
    if (is_own(p))
        ps->be->free(ps->be, p->t.data);
    p->t.wp = NULL;
    p->t.data = NULL;
}

void capt_params_free(capt_params *ps)
{
    for (int i = 0; i < ps->n; i++) {
        capt_param *p = ps->v[i];
        drop_value(ps, p);
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
    for (size_t i = 0; i < ps->files.n; i++)
        capt_st_close(ps->files.v[i]);
    capt_vec_free(&ps->files);
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

static void new_weight(capt_params *ps, capt_param *p, const capt_weight_rows *rows)
{
    int64_t N = p->t.dim[0];
    if (p->flags & CAPT_P_MATRIX)
        ps->be->weight_new(ps->be, &p->t.wp, rows, (int)N, (int)(capt_tensor_numel(&p->t) / N), ps->compute);
}

/* Memory of its own, content undefined. */
static int own_value(capt_params *ps, capt_param *p, capt_err *err)
{
    if (is_own(p))
        return 0;
    drop_value(ps, p);
    p->t.data = ps->be->alloc(ps->be, (size_t)capt_tensor_numel(&p->t) * sizeof(capt_real));
    if (!p->t.data)
        return capt_fail(err, CAPT_ENOMEM, "no memory for parameter %s", p->name);
    new_weight(ps, p, NULL);
    return 0;
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
    if (ps->blank)
        return &p->t;
    capt_real *host = capt_try_alloc64((size_t)n * sizeof *host, &ps->err);
    if (host && own_value(ps, p, &ps->err) == 0) {
        draw(ps, text, init, a, host, n);
        ps->be->upload(ps->be, p->t.data, host, (size_t)n * sizeof *host);
    }
    free(host);
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
    if (own_value(ps, p, &ps->err))
        return;
    p->n_lent = 0;
    ps->be->upload(ps->be, p->t.data, host, (size_t)capt_tensor_numel(&p->t) * sizeof *host);
    if (p->t.wp)
        ps->be->weight_update(ps->be, p->t.wp, p->t.data);
    p->loaded = 1;
}

/* Elements from to from+n-1 of what is lent; leave: the file's pages need not stay in the process. */
static void read_lent(const capt_param *p, int64_t from, int64_t n, capt_real *to, int leave)
{
    for (int i = 0; i < p->n_lent && n; i++) {
        int64_t all = capt_st_numel(&p->lent[i]), k = from >= all ? 0 : from + n > all ? all - from : n;
        if (k) {
            capt_st_tensor part = capt_st_part(&p->lent[i], from, k);
            capt_st_to_real(&part, to);
            if (leave)
                capt_st_leave(&part);
        }
        to += k;
        n -= k;
        from = k ? 0 : from - all;
    }
}

/* Rows for the packed form. */
static void lent_rows(const void *arg, capt_real *to, int r0, int r1)
{
    const capt_param *p = arg;
    int64_t K = capt_tensor_numel(&p->t) / p->t.dim[0];
    read_lent(p, r0 * K, (r1 - r0) * K, to, 1);
}

/* Can kernels read it where it lies? */
static int in_place(const capt_params *ps, const capt_param *p)
{
    return ps->be->reads_host && p->n_lent == 1 && p->lent[0].dtype == CAPT_F32 && sizeof(capt_real) == sizeof(float) &&
           (uintptr_t)p->lent[0].data % sizeof(float) == 0;
}

static int copy_lent(capt_params *ps, capt_param *p, capt_err *err)
{
    int64_t n = capt_tensor_numel(&p->t);
    if (own_value(ps, p, err))
        return -1;
    capt_real *x = ps->be->reads_host ? p->t.data : capt_try_alloc64((size_t)n * sizeof *x, err);
    if (!x)
        return -1;
    read_lent(p, 0, n, x, 1);
    if (x != p->t.data) {
        ps->be->upload(ps->be, p->t.data, x, (size_t)n * sizeof *x);
        free(x);
    }
    p->n_lent = 0;
    return 0;
}

void capt_param_lend(capt_params *ps, capt_param *p, int n, const capt_st_tensor *const *part)
{
    enum { SMALL = 1 << 12 }; /* elements */
    drop_value(ps, p);
    p->n_lent = n;
    for (int i = 0; i < n; i++)
        p->lent[i] = *part[i];
    p->loaded = 1;
    int packed = ps->be->reads_packed && p->flags & CAPT_P_MATRIX, here = in_place(ps, p);
    if (p->flags & CAPT_P_BUFFER || capt_tensor_numel(&p->t) < SMALL || !(here || (packed && !(p->flags & CAPT_P_ROWS)))) {
        copy_lent(ps, p, &ps->err);
        return;
    }
    if (here)
        p->t.data = (void *)(uintptr_t)p->lent[0].data; /* read only: is_own() */
    new_weight(ps, p, &(capt_weight_rows){lent_rows, p});
}

void capt_params_keep(capt_params *ps, capt_st *st_take)
{
    capt_vec_push(&ps->files, st_take);
}

/* Elements from to from+n-1. */
static void read_value(const capt_params *ps, const capt_param *p, int64_t from, int64_t n, capt_real *host)
{
    if (p->n_lent)
        read_lent(p, from, n, host, 0);
    else
        ps->be->download(ps->be, host, (capt_real *)p->t.data + from, (size_t)n * sizeof *host);
}

void capt_param_get(const capt_params *ps, const capt_param *p, capt_real *host)
{
    read_value(ps, p, 0, capt_tensor_numel(&p->t), host);
}

int capt_params_train(capt_params *ps, const char *prefix, int on, capt_err *err)
{
    for (int i = 0; i < ps->n; i++) {
        capt_param *p = ps->v[i];
        if (p->flags & CAPT_P_BUFFER || strncmp(p->name, prefix, strlen(prefix)))
            continue;
        if (on && p->n_lent && copy_lent(ps, p, err))
            return -1;
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

void capt_params_hash(const capt_params *ps, const char *prefix, char hex[33])
{
    capt_param **list = capt_alloc((size_t)(ps->n + 1) * sizeof *list);
    int n = 0;
    for (int i = 0; i < ps->n; i++)
        if (!strncmp(ps->v[i]->name, prefix, strlen(prefix)))
            list[n++] = ps->v[i];
    qsort(list, (size_t)n, sizeof *list, by_name);
    capt_hasher *h = capt_hasher_new();
    enum { CHUNK = 1 << 14 };
    capt_real *x = capt_alloc(CHUNK * sizeof *x);
    for (int i = 0; i < n; i++) {
        int64_t len = capt_tensor_numel(&list[i]->t);
        capt_hasher_add(h, list[i]->name, strlen(list[i]->name) + 1);
        capt_hasher_add(h, list[i]->t.dim, sizeof list[i]->t.dim);
        if (in_place(ps, list[i])) {
            capt_hasher_add(h, list[i]->lent[0].data, (size_t)len * sizeof(float));
            continue;
        }
        for (int64_t at = 0; at < len; at += CHUNK) {
            int64_t k = len - at < CHUNK ? len - at : CHUNK;
            read_value(ps, list[i], at, k, x);
            float *f = (float *)x; /* in place: f32 never needs more room */
            for (int64_t e = 0; e < k; e++)
                f[e] = (float)x[e];
            capt_hasher_add(h, f, (size_t)k * sizeof *f);
        }
    }
    free(x);
    capt_hasher_end(h, hex);
    free(list);
}
