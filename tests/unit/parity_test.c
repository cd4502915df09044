/* Every kernel of kernel.def on every backend that opens, against ref: odd sizes, strides, NULL options, beta 0 (with NaN in the old content) and 1.
 * A kernel without a case_NAME in the headers does not compile. Tolerances are relative to the largest |value| of the output on ref. Also: nothing is written
 * behind an output, and the number of threads changes no bit. The cpu backend is run on each of its instruction sets. */
#include "parity_dense.h"
#include "parity_sequence.h"

/* backends besides ref; isa is CAPT_CPU_ISA, which lowers what cpu uses */
static const struct other { const char *name, *isa; } others[] = {
    {"guard", ""}, {"cpu", ""}, {"cpu", "avx512bf16"}, {"cpu", "avx512"}, {"cpu", "avx2"}, {"cpu", "cblas"}, {"cpu", "portable"}, {"cuda", ""},
};

/* NULL: not on this machine or in this build; main prints which are */
static capt_backend *other_open(const struct other *o)
{
    if (o->isa[0])
        setenv("CAPT_CPU_ISA", o->isa, 1);
    else
        unsetenv("CAPT_CPU_ISA");
    return capt_backend_open(o->name, NULL, NULL);
}

static const struct kernel { const char *name; void (*run)(struct run *r); } kernels[] = {
#define KERNEL(name, parameters, arguments) {#name, case_##name},
#include "backend/kernel.def"
#undef KERNEL
};
enum { N_KERNELS = sizeof kernels / sizeof *kernels };

/* Runs the cases of a kernel, or a sample case of an operator, and fetches its outputs. */
static struct run *run(const char *backend, int threads, const struct kernel *k)
{
    struct run *r = calloc(1, sizeof *r);
    capt_err err = CAPT_ERR_INIT;
    capt_pool *pool = threads > 1 ? capt_pool_new(threads, NULL) : NULL;
    r->be = capt_backend_open(backend, pool, &err);
    if (!r->be)
        fail_msg("%s", err.text);
    k->run(r);
    for (int i = 0; i < r->n; i++) {
        struct buf *b = &r->b[i];
        size_t n = (size_t)b->n * b->size;
        b->host = malloc(n + TAIL * b->size);
        r->be->download(r->be, b->host, b->dev, n + TAIL * b->size);
        for (size_t j = 0; j < TAIL * b->size; j++)
            if (((unsigned char *)b->host)[n + j] != 0x5a)
                fail_msg("%s on %s: %s: buffer %d of %d elements overrun", k->name, backend, b->what, i, (int)b->n);
        r->be->free(r->be, b->dev);
    }
    if (r->be->check(r->be, &err))
        fail_msg("%s on %s: %s", k->name, backend, err.text);
    capt_backend_close(r->be);
    capt_pool_free(pool);
    return r;
}

static void run_free(struct run *r)
{
    for (int i = 0; i < r->n; i++)
        free(r->b[i].host);
    free(r);
}

static void compare(const char *kernel, const char *backend, const struct buf *a, const struct buf *b)
{
    assert_int_equal(a->n, b->n);
    if (a->size != sizeof(capt_real) || a->tol == 0) {
        if (memcmp(a->host, b->host, (size_t)a->n * a->size) != 0)
            fail_msg("%s on %s: %s: not equal", kernel, backend, a->what);
        return;
    }
    const capt_real *x = a->host, *y = b->host;
    double max = 0;
    for (int64_t i = 0; i < a->n; i++)
        max = isfinite(x[i]) && fabs((double)x[i]) > max ? fabs((double)x[i]) : max;
    for (int64_t i = 0; i < a->n; i++) {
        if (isnan(x[i]))
            fail_msg("%s on ref: %s: element %d is NaN", kernel, a->what, (int)i);
        if (x[i] != y[i] && !(fabs((double)x[i] - (double)y[i]) <= a->tol * max))
            fail_msg("%s on %s: %s: element %d of %d is %.9g, on ref %.9g (largest %.3g)", kernel, backend, a->what, (int)i, (int)a->n, (double)y[i],
                     (double)x[i], max);
    }
}

static void check_kernel(void **state)
{
    const struct kernel *k = *state;
    struct run *ref = run("ref", 1, k);
    int outputs = 0;
    for (int i = 0; i < ref->n; i++) {
        outputs += ref->b[i].output;
        if (ref->b[i].output)
            compare(k->name, "ref", &ref->b[i], &ref->b[i]);
    }
    assert_true(outputs > 0);
    EACH(o, others) {
        capt_backend *be = other_open(&others[o]);
        if (!be)
            continue;
        char name[64];
        snprintf(name, sizeof name, "%s (%s)", be->name, be->isa);
        capt_backend_close(be);
        struct run *r = run(others[o].name, 1, k), *threads = strcmp(others[o].name, "cpu") == 0 ? run("cpu", 3, k) : NULL;
        assert_int_equal(r->n, ref->n);
        for (int i = 0; i < r->n; i++)
            if (ref->b[i].output) {
                compare(k->name, name, &ref->b[i], &r->b[i]);
                if (threads && memcmp(r->b[i].host, threads->b[i].host, (size_t)r->b[i].n * r->b[i].size) != 0)
                    fail_msg("%s on %s: %s: depends on the number of threads", k->name, name, r->b[i].what);
            }
        run_free(r);
        if (threads)
            run_free(threads);
    }
    run_free(ref);
}

/* Every operator's sample cases: outputs and gradients as on ref. */
static void check_op(void **state)
{
    const struct op_case *k = *state;
    capt_real *first[MAX_IN + 1] = {NULL};
    for (int b = -1; b < (int)(sizeof others / sizeof *others); b++) {
        capt_backend *be = b < 0 ? capt_backend_open("ref", NULL, NULL) : other_open(&others[b]);
        if (!be)
            continue;
        capt_ctx *c = capt_ctx_new(be, CAPT_F32, NULL);
        struct operands o;
        operands_new(&o, k, be);
        capt_real y[MAX_OUT];
        int64_t n;
        case_run(k, c, &o, 1, y, &n);
        for (int i = -1; i < o.n; i++) {
            if (i >= 0 && !o.t[i].needs_grad)
                continue;
            struct buf ref = {.n = i < 0 ? n : capt_tensor_numel(&o.t[i]), .size = sizeof *y, .tol = 5 * TOL}, got = ref;
            got.host = malloc((size_t)got.n * sizeof *y);
            if (i < 0)
                memcpy(got.host, y, (size_t)n * sizeof *y);
            else
                be->download(be, got.host, o.t[i].grad, (size_t)got.n * sizeof *y);
            snprintf(ref.what, sizeof ref.what, i < 0 ? "output" : "gradient %d", i);
            if (b < 0)
                first[i + 1] = got.host;
            else {
                ref.host = first[i + 1];
                compare(k->name, be->isa, &ref, &got);
                free(got.host);
            }
        }
        operands_free(&o, be);
        capt_ctx_free(c);
        capt_backend_close(be);
    }
    for (int i = 0; i <= MAX_IN; i++)
        free(first[i]);
}

int main(void)
{
    cmocka_set_message_output(CM_OUTPUT_TAP);
    printf("# backends: %s\n", capt_backend_list());
    struct CMUnitTest tests[N_KERNELS + N_OP_CASES];
    for (int i = 0; i < N_KERNELS; i++)
        tests[i] = (struct CMUnitTest){kernels[i].name, check_kernel, NULL, NULL, (void *)(uintptr_t)&kernels[i]};
    for (int i = 0; i < N_OP_CASES; i++)
        tests[N_KERNELS + i] = (struct CMUnitTest){op_cases[i].name, check_op, NULL, NULL, (void *)(uintptr_t)&op_cases[i]};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
