/* The context: sticky errors and their texts, step memory, tape, dropout's independence of the cut, the guard. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include "op/op.h"

static capt_backend *be;
static capt_ctx *c;

static int setup(void **state)
{
    be = capt_backend_open("guard", NULL, NULL);
    c = be ? capt_ctx_new(be, CAPT_F32, NULL) : NULL;
    return c ? 0 : -1;
}

static int teardown(void **state)
{
    capt_ctx_free(c);
    capt_backend_close(be);
    return 0;
}

static capt_tensor *filled(int ndim, const int64_t *dim, double v)
{
    capt_tensor *t = capt_ctx_tensor(c, CAPT_F32, ndim, dim);
    assert_false(capt_ctx_bad(c));
    be->fill(be, t->data, capt_tensor_numel(t), v);
    t->needs_grad = 1;
    return t;
}
#define F(v, ...) filled((int)(sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t)), (const int64_t[]){__VA_ARGS__}, v)

static capt_real first(const void *dev)
{
    capt_real v = 0;
    assert_int_equal(capt_ctx_download(c, &v, dev, sizeof v), 0);
    return v;
}

static const int32_t one_two[] = {1, 2}, far[] = {0, 9}, minus[] = {-1, 0}, lens[] = {9};
static const capt_real ones[] = {1, 1, 1, 1};
static const float three[3] = {1, 1, 1};

/* wrong(n) calls an operator with wrong shapes */
static capt_tensor *wrong(int n)
{
    switch (n) {
    case 0: return capt_linear(c, F(1, 15, 7), F(1, 4, 6), NULL, CAPT_MAP_none);
    case 1: return capt_linear(c, F(1, 15, 7), F(1, 4, 7), F(1, 5), CAPT_MAP_none);
    case 2: return capt_linear(c, F(1, 15, 7), F(1, 4, 7), NULL, CAPT_N_MAP);
    case 3: return capt_apply(c, F(1, 2), -1);
    case 4: return capt_add(c, F(1, 2, 3), F(1, 3, 2));
    case 5: return capt_mul(c, F(1, 2, 3), F(1, 2, 3, 1));
    case 6: return capt_add_rows(c, F(1, 2, 3, 4), F(1, 5, 3), 0);
    case 7: return capt_add_rows(c, F(1, 2, 3, 4), F(1, 5, 4), 3);
    case 8: return capt_gather(c, F(1, 9, 2), far, 2);
    case 9: return capt_gather(c, F(1, 9, 2), minus, 2);
    case 10: return capt_concat(c, F(1, 2, 3, 4), F(1, 2, 3, 5));
    case 11: return capt_slice(c, F(1, 2, 3, 4), 2, 2);
    case 12: return capt_slice(c, F(1, 2, 3, 4), -1, 2);
    case 13: return capt_reshape_to(c, F(1, 2, 3), 7);
    case 14: return capt_reshape_to(c, F(1, 2, 3), -2, -3);
    case 15: return capt_layernorm(c, F(1, 2, 3), F(1, 4), F(1, 3), 1e-5);
    case 16: return capt_batchnorm(c, F(1, 1, 1, 1, 3), F(1, 3), F(1, 3), F(1, 2), F(1, 3), 1, 0);
    case 17: return capt_conv2d(c, F(1, 1, 4, 4, 3), F(1, 2, 3, 3, 4), NULL, 1, 0);
    case 18: return capt_conv2d(c, F(1, 1, 2, 2, 3), F(1, 2, 3, 3, 3), NULL, 1, 0);
    case 19: return capt_conv2d(c, F(1, 1, 4, 4, 3), F(1, 2, 3, 3, 3), NULL, 0, 0);
    case 20: return capt_avgpool(c, F(1, 1, 4, 4, 3), 5, 1);
    case 21: return capt_attention_self(c, F(1, 2, 3, 12), 5, 0, NULL, 0);
    case 22: return capt_attention_self(c, F(1, 1, 3, 12), 2, 0, lens, 0);
    case 23: return capt_attention_cross(c, F(1, 2, 3, 4), F(1, 2, 5, 12), 2, NULL, 0);
    case 24: return capt_attention_cross(c, F(1, 2, 3, 4), F(1, 2, 5, 8), 2, NULL, 1);
    case 25: return capt_dropout(c, F(1, 2), 1);
    case 26: return capt_pixels(c, F(1, 1, 2, 2, 3), three, three);
    case 27: return capt_xent(c, F(1, 2, 3), F(1, 2, 3), NULL, one_two, ones, 0);
    case 28: return capt_xent(c, F(1, 2, 3), F(1, 5, 4), NULL, one_two, ones, 0);
    case 29: return capt_xent(c, F(1, 2, 3), F(1, 5, 3), NULL, one_two, ones, -0.1);
    case 30: return capt_ctx_real(c, 2, -1);
    case 31: return capt_ctx_real(c, 8, INT64_MAX / 4);
    case 32: return capt_ctx_tensor(c, CAPT_F16, 1, (const int64_t[]){1});
    case 33: return capt_add(c, capt_ctx_tensor(c, CAPT_I32, 1, (const int64_t[]){1}), F(1, 1));
    case 34: return capt_conv_norm(c, F(1, 1, 4, 4, 3), F(1, 2, 3), &(capt_bn){F(1, 2), F(1, 2), F(1, 2), F(1, 3)}, 1, 0, NULL, 0, 1);
    case 35: return capt_conv_norm(c, F(1, 1, 4, 4, 3), F(1, 2, 3, 3, 3), &(capt_bn){F(1, 2), F(1, 2), F(1, 2), F(1, 2)}, 1, 1, F(1, 1, 4, 3, 2), 0, 1);
    default: return NULL;
    }
}
static const char *const texts[] = {
    "linear: x is 15x7, w is 4x6", "linear: w is 4x7, b is 5", NULL /* names CAPT_N_MAP */, "apply: no function -1", "add: x is 2x3, y is 3x2",
    "mul: x is 2x3, y is 2x3x1", "add_rows: x is 2x3x4, p is 5x3", "add_rows: x is 2x3x4 from row 3 of p, which is 5x4",
    "gather: index 1 is 9, x is 9x2", "gather: index 0 is -1, x is 9x2", "concat: x is 2x3x4, y is 2x3x5", "slice: x is 2x3x4, asked for 2 from 2",
    "slice: x is 2x3x4, asked for 2 from -1", "reshape: x is 2x3, asked for 7", "reshape: x is 2x3, asked for -2x-3",
    "layernorm: x is 2x3, g is 4, b is 3", "batchnorm: x is 1x1x1x3, g is 3, b is 3, run_mean is 2, run_var is 3",
    "conv2d: x is 1x4x4x3, w is 2x3x3x4, stride 1, pad 0", "conv2d: x is 1x2x2x3, w is 2x3x3x3, stride 1, pad 0",
    "conv2d: x is 1x4x4x3, w is 2x3x3x3, stride 0, pad 0", "avgpool: x is 1x4x4x3, window is 5x1",
    "attention_self: qkv is 2x3x12, 5 heads, causal 0, dropout 0", "attention_self: length 0 is 9, there are 3 keys",
    "attention_cross: q is 2x3x4, kv is 2x5x12, 2 heads, dropout 0", "attention_cross: q is 2x3x4, kv is 2x5x8, 2 heads, dropout 1",
    "dropout: probability 1", "pixels: x is 1x2x2x3 of f32, not (I,H,W,3) of u8", "xent: target 1 is 2, w is 2x3", "xent: h is 2x3, w is 5x4",
    "xent: smoothing -0.1", "tensor: dimension 1 is -1", "tensor: dimension 1 is 2305843009213693951", "tensor: no f16 in computations", "add: operand 0 is i32, not real",
    "conv_norm: w is 2x3, g is 2, b is 2, mean is 2, var is 3", "conv_norm: the output is 1x4x4x2, add is 1x4x3x2",
};

static void messages(void **state)
{
    for (int i = 0; i < (int)(sizeof texts / sizeof *texts); i++) {
        c->training = 1;
        capt_ctx_reset(c);
        assert_ptr_equal(wrong(i), &c->poison);
        capt_err err = CAPT_ERR_INIT;
        assert_int_equal(capt_ctx_check(c, &err), -1);
        char none[40];
        snprintf(none, sizeof none, "linear: no activation %d", CAPT_N_MAP);
        assert_string_equal(err.text, texts[i] ? texts[i] : none);
        c->err = (capt_err)CAPT_ERR_INIT;
    }
}

static void sticky(void **state)
{
    capt_tensor *x = F(1, 2, 3), *w = F(1, 4, 3);
    capt_real v;
    assert_int_equal(capt_ctx_bad(c), 0);
    wrong(0);
    capt_tensor *p = capt_linear(c, x, w, NULL, CAPT_MAP_none); /* right, but too late */
    assert_ptr_equal(p, &c->poison);
    assert_ptr_equal(capt_add(c, p, p), &c->poison); /* and everything on top of it */
    assert_ptr_equal(capt_reshape_to(c, p, 5), &c->poison);
    assert_ptr_equal(capt_detach(c, p), &c->poison);
    assert_ptr_equal(capt_dropout(c, p, 0.5), &c->poison);
    assert_ptr_equal(capt_xent(c, p, w, NULL, one_two, ones, 0), &c->poison);
    assert_null(capt_ctx_bytes(c, 1));
    assert_int_equal(capt_ctx_download(c, &v, x->data, sizeof v), -1);
    capt_tape_backward(c);
    capt_ctx_reset(c);
    capt_err err = CAPT_ERR_INIT;
    assert_int_equal(capt_ctx_check(c, &err), -1); /* a reset clears no error; the first one won */
    assert_string_equal(err.text, texts[0]);
    assert_int_equal(err.code, CAPT_EDATA);
}

static void memory(void **state)
{
    capt_real v;
    size_t held = 0;
    void *p = NULL;
    for (int step = 0; step < 5; step++) {
        capt_ctx_reset(c);
        for (int i = 0; i < 40; i++) {
            capt_tensor *t = F(i, 100 * 1000);
            assert_int_equal((uintptr_t)t->data % 64, 0);
            if (i == 0 && step == 0)
                p = t->data;
            if (i == 0)
                assert_ptr_equal(t->data, p);
            v = first(t->data);
            assert_true(v == i);
        }
        if (step == 0)
            held = capt_ctx_peak(c);
        assert_int_equal(capt_ctx_peak(c), held); /* later steps ask for nothing */
    }
    assert_true(held >= 40 * 100 * 1000 * sizeof(capt_real));
    capt_tensor *none = capt_ctx_real(c, 0, 5);
    assert_false(capt_ctx_bad(c));
    assert_int_equal(capt_tensor_numel(none), 0);
}

/* y = (x*2 + x)*x at 3: dy = 6x; a parameter's gradient accumulates over steps until touched is cleared */
static void tape(void **state)
{
    capt_tensor param = {.dtype = CAPT_F32, .ndim = 1, .dim = {4, 1, 1, 1}, .needs_grad = 1};
    param.data = be->alloc(be, 4 * sizeof(capt_real));
    param.grad = be->alloc(be, 4 * sizeof(capt_real));
    be->fill(be, param.data, 4, 3);
    for (int step = 0; step < 3; step++) {
        capt_ctx_reset(c);
        c->recording = 1;
        capt_tensor *y = capt_mul(c, capt_add(c, capt_scale(c, &param, 2), &param), &param);
        capt_tensor *unused = capt_scale(c, y, NAN); /* nobody asks for its gradient: its backward does not run */
        assert_int_equal(unused->needs_grad, 1);
        double beta;
        capt_real *g = capt_grad(c, y, &beta);
        assert_true(beta == 0);
        be->fill(be, g, 4, 1);
        capt_tape_backward(c);
        assert_null(c->last);
        assert_true(first(y->data) == 27);
        assert_true(first(param.grad) == 18 * (step < 2 ? step + 1 : 1));
        if (step == 1)
            param.touched = 0;
    }
    c->recording = 0;
    assert_int_equal(capt_scale(c, &param, 2)->needs_grad, 0); /* tape off */
    c->recording = 1;
    assert_int_equal(capt_scale(c, capt_detach(c, &param), 2)->needs_grad, 0);
    assert_null(c->last);
    be->free(be, param.data);
    be->free(be, param.grad);
}

/* Rows 0..3 at once, or as two micro-batches with row0: the same masks; another call, another step: other ones. */
/* gradients of operators' outputs are used again: backward takes the memory of a few, whatever the depth */
static void gradient_memory(void **state)
{
    enum { N = 1 << 16, DEPTH = 24 };
    capt_tensor *x = F(1, N), *y = x, *w = F(0.5, 1, N);
    c->recording = 1;
    for (int i = 0; i < DEPTH; i++)
        y = capt_add(c, capt_scale(c, y, 0.5), i % 3 ? x : y); /* one gradient handed on, one added to, one kept: x is a leaf */
    y = capt_xent(c, capt_reshape_to(c, y, 1, N), w, NULL, (const int32_t[]){0}, ones, 0);
    size_t before = capt_ctx_peak(c);
    capt_tape_backward(c);
    assert_int_equal(capt_ctx_check(c, NULL), 0);
    assert_true(capt_ctx_peak(c) <= before + before / 2);
    assert_non_null(x->grad);
}

static void dropout(void **state)
{
    enum { N = 4 * 50 };
    capt_real whole[N], half[N], again[N];
    c->training = 1;
    c->seed = 7;
    capt_tensor *y = capt_dropout(c, F(1, 4, 50), 0.5);
    capt_ctx_download(c, whole, y->data, sizeof whole);
    y = capt_dropout(c, F(1, 4, 50), 0.5);
    capt_ctx_download(c, again, y->data, sizeof again);
    assert_memory_not_equal(whole, again, sizeof whole);
    for (int i = 0; i < 2; i++) {
        capt_ctx_reset(c);
        c->row0 = 2 * i;
        y = capt_dropout(c, F(1, 2, 50), 0.5);
        capt_ctx_download(c, half + i * N / 2, y->data, sizeof half / 2);
    }
    assert_memory_equal(whole, half, sizeof whole);
    capt_ctx_reset(c);
    c->row0 = 0;
    c->step = 1;
    y = capt_dropout(c, F(1, 4, 50), 0.5);
    capt_ctx_download(c, again, y->data, sizeof again);
    assert_memory_not_equal(whole, again, sizeof whole);
    int kept = 0;
    for (int i = 0; i < N; i++) {
        assert_true(whole[i] == 0 || whole[i] == 2);
        kept += whole[i] != 0;
    }
    assert_in_range(kept, N * 3 / 10, N * 7 / 10);
    c->training = 0;
    capt_tensor *x = F(1, 3);
    assert_ptr_equal(capt_dropout(c, x, 0.5), x);
}

/* rows of weight 0 carry no loss, whatever their target; a batch of none of them is 0 */
static void xent_rows(void **state)
{
    const int32_t target[] = {-7, 1, 99};
    const capt_real one[] = {0, 1, 0}, none[] = {0, 0, 0};
    capt_real loss[3];
    c->recording = 1;
    capt_tensor *h = F(1, 3, 2), *w = F(1, 4, 2);
    capt_tensor *y = capt_xent(c, h, w, NULL, target, one, 0);
    assert_int_equal(capt_ctx_download(c, loss, y->data, sizeof loss), 0);
    assert_true(loss[0] == 0 && loss[2] == 0 && fabs((double)loss[1] - log(4)) < 1e-6);
    capt_tape_backward(c);
    assert_true(h->touched && first(h->grad) == 0);
    y = capt_xent(c, h, w, NULL, target, none, 0);
    assert_int_equal(capt_ctx_download(c, loss, y->data, sizeof loss), 0);
    assert_true(loss[0] == 0 && loss[1] == 0 && loss[2] == 0);
}

/* Host code may not look into a tensor. */
static void guarded(void **state)
{
    capt_tensor *t = F(1, 2);
    for (int writes = 0; writes < 2; writes++) {
        pid_t child = fork();
        if (child == 0) {
            signal(SIGSEGV, SIG_DFL);
            volatile capt_real *p = t->data;
            if (writes)
                p[0] = 5;
            _exit(p[1] == 1 ? 0 : 1);
        }
        int status = 0;
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
    }
    assert_true(first(t->data) == 1);
}

static void registry(void **state)
{
    capt_err err = CAPT_ERR_INIT;
    assert_null(capt_backend_open("tpu", NULL, &err));
    assert_int_equal(err.code, CAPT_EUSAGE);
    assert_non_null(strstr(err.text, "\"tpu\""));
    capt_backend *any = capt_backend_open("auto", NULL, NULL);
    assert_non_null(any);
    assert_string_not_equal(any->name, "guard");
    capt_backend_close(any);
    capt_backend_close(NULL);
    assert_non_null(strstr(capt_backend_list(), "ref, guard"));
    assert_non_null(strstr(capt_backend_abi, "sumsq(capt_backend *be, double *out"));
    err.code = CAPT_OK;
    assert_null(capt_ctx_new(be, CAPT_F16, &err));
    assert_int_equal(err.code, CAPT_EUSAGE);
}

/* memory that is not there is an error of the context */
static void no_memory(void **state)
{
    capt_ctx_real(c, (int64_t)1 << 45);
    capt_err err = CAPT_ERR_INIT;
    assert_int_equal(capt_ctx_check(c, &err), -1);
    assert_int_equal(err.code, CAPT_ENOMEM);
}

int main(void)
{
    cmocka_set_message_output(CM_OUTPUT_TAP);
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {TEST(messages), TEST(sticky), TEST(memory), TEST(tape), TEST(gradient_memory), TEST(dropout), TEST(xent_rows), TEST(guarded),
                                       TEST(registry), TEST(no_memory)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
