/* One run of a kernel's cases on a backend: its operands in the backend's memory, and what it wrote. Each operand is drawn by its number, the same on every backend. */
#ifndef CAPT_TESTS_PARITY_RIG_H
#define CAPT_TESTS_PARITY_RIG_H
#include "op_cases.h"

#define TOL 2e-5      /* f32 sums in another order; bf16 operands are rounded alike, so theirs too */
#define TOL_BF16 1e-2 /* where an intermediate result is rounded to bf16: one rounding may fall the other way */
enum { TAIL = 16, MAX_BUF = 8000 };

struct buf { void *dev; int64_t n; size_t size; int output; double tol; char what[120]; void *host; };
struct run {
    capt_backend *be;
    uint64_t seed;
    struct buf b[MAX_BUF];
    int n;
    char what[120];
};

#define mark(r, ...) snprintf((r)->what, sizeof (r)->what, __VA_ARGS__)

static void *buffer(struct run *r, const void *host, int64_t n, size_t size, int output, double tol)
{
    assert_true(r->n < MAX_BUF);
    struct buf *b = &r->b[r->n++];
    *b = (struct buf){r->be->alloc(r->be, (size_t)(n + TAIL) * size), n, size, output, tol, "", NULL};
    memcpy(b->what, r->what, sizeof b->what);
    unsigned char *tmp = malloc((size_t)(n + TAIL) * size);
    memset(tmp, 0x5a, (size_t)(n + TAIL) * size);
    if (host)
        memcpy(tmp, host, (size_t)n * size);
    r->be->upload(r->be, b->dev, tmp, (size_t)(n + TAIL) * size);
    free(tmp);
    return b->dev;
}

static capt_real *values(struct run *r, int64_t n, int nan, double shift, int output, double tol)
{
    capt_real *v = malloc((size_t)(n + 1) * sizeof *v);
    r->seed++;
    for (int64_t i = 0; i < n; i++)
        v[i] = (capt_real)(nan ? NAN : shift + (2 * capt_rng_u01(r->seed, (uint64_t)i) - 1));
    capt_real *d = buffer(r, v, n, sizeof *v, output, tol);
    free(v);
    return d;
}

static const capt_real *in(struct run *r, int64_t n) { return values(r, n, 0, 0, 0, 0); }
static capt_real *out(struct run *r, int64_t n, double beta, double tol) { return values(r, n, beta == 0, 0, 1, tol); }
static capt_real *tmp(struct run *r, int64_t n) { return values(r, n, 1, 0, 0, 0); }
static const int32_t *ints(struct run *r, const int32_t *v, int64_t n) { return buffer(r, v, n, sizeof *v, 0, 0); }
static int32_t *out_ints(struct run *r, int64_t n) { return buffer(r, NULL, n, sizeof(int32_t), 1, 0); }

static const int64_t lengths[] = {1, 3, 16, 17, 1000, 70001};
#define EACH(i, a) for (size_t i = 0; i < sizeof(a) / sizeof *(a); i++)

static const capt_dtype cts[] = {CAPT_F32, CAPT_BF16};

static capt_weight *pack(struct run *r, const capt_real *w, int N, int K, int ct, int packed)
{
    capt_weight *wp = NULL;
    if (packed)
        r->be->weight_new(r->be, &wp, NULL, N, K, ct);
    return wp;
}

static void unpack(struct run *r, capt_weight *wp)
{
    if (wp)
        r->be->weight_free(r->be, wp);
}
#endif
