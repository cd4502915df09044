/* Context, step memory, tape. */
#include "op/op_priv.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/mem.h"

/* Step memory: chunks of backend memory, each filled from the bottom; a reset empties all and keeps them. */
struct chunk { unsigned char *p; size_t n, used; };
struct capt_steps {
    CAPT_VEC(struct chunk) chunks;
    size_t at; /* chunk being filled */
    CAPT_VEC(struct spare { capt_real *p; int64_t n; }) spares; /* gradients read for the last time, for those to come */
};
enum { FIRST_CHUNK = 1 << 20, LAST_CHUNK = 1 << 28, ALIGN = 64 };

capt_ctx *capt_ctx_new(capt_backend *be, capt_dtype compute, capt_err *err)
{
    if (compute != CAPT_F32 && compute != CAPT_BF16) {
        capt_fail(err, CAPT_EUSAGE, "compute type %s: only f32 and bf16", capt_dtype_name(compute));
        return NULL;
    }
    capt_ctx *c = capt_alloc(sizeof *c);
    c->be = be;
    c->compute = compute;
    c->mem = capt_alloc(sizeof *c->mem);
    c->host = capt_arena_new(0);
    c->poison = (capt_tensor){.dtype = CAPT_F32, .ndim = 1, .dim = {1, 1, 1, 1}};
    return c;
}

void capt_ctx_free(capt_ctx *c)
{
    if (!c)
        return;
    for (size_t i = 0; i < c->mem->chunks.n; i++)
        c->be->free(c->be, c->mem->chunks.v[i].p);
    capt_vec_free(&c->mem->chunks);
    capt_vec_free(&c->mem->spares);
    free(c->mem);
    capt_arena_free(c->host);
    free(c);
}

void capt_ctx_reset(capt_ctx *c)
{
    for (size_t i = 0; i < c->mem->chunks.n; i++)
        c->mem->chunks.v[i].used = 0;
    c->mem->at = 0;
    c->mem->spares.n = 0;
    capt_arena_reset(c->host);
    c->last = NULL;
    c->op_count = 0;
}

capt_mark capt_ctx_mark(const capt_ctx *c)
{
    const struct capt_steps *m = c->mem;
    return (capt_mark){m->at, m->at < m->chunks.n ? m->chunks.v[m->at].used : 0, c->last};
}

static int lies_before(const struct capt_steps *m, const void *p, capt_mark k)
{
    for (size_t i = 0; i <= k.chunk && i < m->chunks.n; i++) {
        const unsigned char *from = m->chunks.v[i].p, *q = p;
        if (q >= from && q < from + (i == k.chunk ? k.used : m->chunks.v[i].n))
            return 1;
    }
    return 0;
}

void capt_ctx_release(capt_ctx *c, capt_mark k)
{
    struct capt_steps *m = c->mem;
    size_t kept = 0;
    if (c->last != k.last)
        return;
    for (size_t i = 0; i < m->spares.n; i++)
        if (lies_before(m, m->spares.v[i].p, k))
            m->spares.v[kept++] = m->spares.v[i];
    m->spares.n = kept;
    for (size_t i = k.chunk; i < m->chunks.n; i++)
        m->chunks.v[i].used = i == k.chunk ? k.used : 0;
    m->at = k.chunk;
}

int capt_ctx_bad(const capt_ctx *c)
{
    return c->err.code != CAPT_OK || c->be->failed;
}

int capt_ctx_check(capt_ctx *c, capt_err *err)
{
    if (c->err.code == CAPT_OK)
        c->be->check(c->be, &c->err);
    return c->err.code == CAPT_OK ? 0 : capt_fail(err, c->err.code, "%s", c->err.text);
}

size_t capt_ctx_peak(const capt_ctx *c)
{
    size_t n = 0;
    for (size_t i = 0; i < c->mem->chunks.n; i++)
        n += c->mem->chunks.v[i].n;
    return n;
}

capt_tensor *capt_ctx_fail(capt_ctx *c, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    capt_vfail(&c->err, CAPT_EDATA, fmt, ap);
    va_end(ap);
    return &c->poison;
}

void *capt_ctx_bytes(capt_ctx *c, size_t n)
{
    struct capt_steps *m = c->mem;
    if (capt_ctx_bad(c))
        return NULL;
    if (n > SIZE_MAX / 2) {
        capt_fail(&c->err, CAPT_ENOMEM, "step memory: %zu bytes asked for", n);
        return NULL;
    }
    n = n ? (n + ALIGN - 1) / ALIGN * ALIGN : ALIGN;
    while (m->at < m->chunks.n && m->chunks.v[m->at].n - m->chunks.v[m->at].used < n)
        m->at++;
    if (m->at == m->chunks.n) {
        size_t size = FIRST_CHUNK;
        if (m->chunks.n)
            size = 2 * m->chunks.v[m->chunks.n - 1].n;
        if (size > LAST_CHUNK)
            size = LAST_CHUNK;
        if (size < n)
            size = n;
        struct chunk k = {c->be->alloc(c->be, size), size, 0};
        if (!k.p) {
            capt_fail(&c->err, CAPT_ENOMEM, "%s: no memory for %zu bytes, after %zu", c->be->name, size, capt_ctx_peak(c));
            return NULL;
        }
        capt_vec_push(&m->chunks, k);
    }
    struct chunk *k = &m->chunks.v[m->at];
    void *p = k->p + k->used;
    k->used += n;
    return p;
}

/* a tensor's head over given memory */
capt_tensor *capt_ctx_head(capt_ctx *c, capt_dtype t, int ndim, const int64_t *dim, void *data)
{
    capt_tensor *y = capt_arena_alloc(c->host, sizeof *y);
    y->dtype = t;
    y->ndim = ndim;
    for (int i = 0; i < 4; i++)
        y->dim[i] = i < ndim ? dim[i] : 1;
    y->data = data;
    return y;
}

capt_tensor *capt_ctx_tensor(capt_ctx *c, capt_dtype t, int ndim, const int64_t *dim)
{
    if (capt_ctx_bad(c))
        return &c->poison;
    if (t != CAPT_F32 && t != CAPT_I32 && t != CAPT_U8)
        return capt_ctx_fail(c, "tensor: no %s in computations", capt_dtype_name(t));
    if (ndim < 1 || ndim > 4)
        return capt_ctx_fail(c, "tensor: %d dimensions", ndim);
    size_t n = t == CAPT_F32 ? sizeof(capt_real) : capt_dtype_size(t);
    for (int i = 0; i < ndim; i++)
        if (dim[i] < 0 || __builtin_mul_overflow(n, (size_t)dim[i], &n))
            return capt_ctx_fail(c, "tensor: dimension %d is %lld", i, (long long)dim[i]);
    void *p = capt_ctx_bytes(c, n);
    return p ? capt_ctx_head(c, t, ndim, dim, p) : &c->poison;
}

capt_tensor *capt_ctx_upload(capt_ctx *c, capt_dtype t, int ndim, const int64_t *dim, const void *host)
{
    capt_tensor *y = capt_ctx_tensor(c, t, ndim, dim);
    if (!capt_ctx_bad(c))
        c->be->upload(c->be, y->data, host, (size_t)capt_tensor_numel(y) * capt_tensor_esize(y));
    return y;
}

int32_t *capt_ctx_upload_i32(capt_ctx *c, const int32_t *host, int64_t n)
{
    int32_t *p = capt_ctx_bytes(c, (size_t)n * sizeof *p);
    if (p)
        c->be->upload(c->be, p, host, (size_t)n * sizeof *p);
    return p;
}

int capt_ctx_download(capt_ctx *c, void *host, const void *dev, size_t n)
{
    if (capt_ctx_bad(c))
        return -1;
    c->be->download(c->be, host, dev, n);
    return c->be->failed ? -1 : 0;
}

/* memory for n reals: a spare of this size, the newest (it may be in cache), or new */
static capt_real *grad_new(capt_ctx *c, int64_t n)
{
    struct capt_steps *m = c->mem;
    for (size_t i = m->spares.n; i-- > 0;)
        if (m->spares.v[i].n == n) {
            capt_real *p = m->spares.v[i].p;
            m->spares.v[i] = m->spares.v[--m->spares.n];
            return p;
        }
    return capt_ctx_bytes(c, (size_t)n * sizeof(capt_real));
}

capt_real *capt_grad(capt_ctx *c, capt_tensor *t, double *beta)
{
    if (!t->grad)
        t->grad = grad_new(c, capt_tensor_numel(t));
    *beta = t->touched ? 1 : 0;
    t->touched = 1;
    return t->grad;
}

void capt_grad_pass(capt_ctx *c, capt_node *n, capt_tensor *x)
{
    if (!x->grad) {
        x->grad = n->out->grad;
        x->touched = 1;
        n->out->grad = NULL;
        return;
    }
    double beta;
    capt_real *dx = capt_grad(c, x, &beta);
    c->be->axpby(c->be, dx, beta, n->out->grad, 1, capt_tensor_numel(x));
}

capt_node *capt_tape_push(capt_ctx *c, void (*backward)(capt_ctx *, capt_node *), capt_tensor *out, int n_in, capt_tensor *const *in, size_t save_size)
{
    int needed = 0;
    for (int i = 0; i < n_in; i++)
        needed |= in[i] && in[i]->needs_grad;
    if (!c->recording || !needed || capt_ctx_bad(c))
        return NULL;
    capt_node *n = capt_arena_alloc(c->host, sizeof *n);
    n->backward = backward;
    n->out = out;
    for (int i = 0; i < n_in; i++)
        n->in[i] = in[i];
    n->save = save_size ? capt_arena_alloc(c->host, save_size) : NULL;
    n->prev = c->last;
    c->last = n;
    if (out)
        out->needs_grad = 1;
    return n;
}

void capt_tape_backward(capt_ctx *c)
{
    for (capt_node *n = c->last; n && !capt_ctx_bad(c); n = n->prev) {
        if (n->out && !n->out->touched)
            continue;
        n->backward(c, n);
        if (n->out && n->out->grad) { /* nobody reads it any more */
            struct spare s = {n->out->grad, capt_tensor_numel(n->out)};
            capt_vec_push(&c->mem->spares, s);
            n->out->grad = NULL;
        }
    }
    c->last = NULL;
}

const char *capt_op_shape(const capt_tensor *t, capt_op_text *text)
{
    int n = 0;
    for (int i = 0; i < t->ndim; i++)
        n += snprintf(text->s + n, sizeof text->s - (size_t)n, "%s%lld", i ? "x" : "", (long long)t->dim[i]);
    return text->s;
}

int capt_op_same(const capt_tensor *x, const capt_tensor *y)
{
    return x->ndim == y->ndim && memcmp(x->dim, y->dim, sizeof x->dim) == 0;
}

int capt_op_start(capt_ctx *c, const char *op, int n, capt_tensor *const *in)
{
    if (capt_ctx_bad(c))
        return -1;
    for (int i = 0; i < n; i++)
        if (in[i] && in[i]->dtype != CAPT_F32) {
            capt_ctx_fail(c, "%s: operand %d is %s, not real", op, i, capt_dtype_name(in[i]->dtype));
            return -1;
        }
    return 0;
}
