/* Runs a sample case of op.def on a backend: shared by the gradient and the parity tests. */
#ifndef TESTS_OP_CASES_H
#define TESTS_OP_CASES_H
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/mem.h"
#include "base/rng.h"
#include "op/op.h"

static const int32_t idx[] = {0, 2, 1, 2, 0, 1}, some_len[] = {2, 1, 2, 0, 1, 2};
static const capt_real weight[] = {1, 0.5f, -2, 0, 0.25f, 1};

enum { MAX_IN = 8, MAX_OUT = 4096 };
struct op_case { const char *name, *shapes; capt_tensor *(*run)(capt_ctx *c, capt_tensor **in); };

/* A segment with dropout, a leaf of its own, and its input read twice. */
static inline capt_tensor *segment(capt_ctx *c, const void *arg, capt_tensor *x)
{
    capt_tensor *w = *(capt_tensor *const *)arg;
    return capt_add(c, x, capt_dropout(c, capt_linear(c, capt_dropout(c, x, 0.2), w, NULL, CAPT_MAP_gelu), 0.3));
}

#define OP(op, name, shapes, call) static capt_tensor *op##_##name##_run(capt_ctx *c, capt_tensor **in) { return call; }
#include "op/op.def"
#undef OP
static const struct op_case op_cases[] = {
#define OP(op, name, shapes, call) {#op " " #name, shapes, op##_##name##_run},
#include "op/op.def"
#undef OP
};
enum { N_OP_CASES = sizeof op_cases / sizeof *op_cases };

struct operands {
    int n;
    capt_tensor t[MAX_IN];  /* data and grad in the backend */
    capt_real *host[MAX_IN];
};

/* Values around 0 but not near it, so that no relu has its kink inside a difference; buffers positive. */
__attribute__((unused)) static void operands_new(struct operands *o, const struct op_case *k, capt_backend *be)
{
    memset(o, 0, sizeof *o);
    for (const char *s = k->shapes; *s; o->n++) {
        assert_true(o->n < MAX_IN);
        capt_tensor *t = &o->t[o->n];
        int buffer = *s == '~';
        s += buffer;
        *t = (capt_tensor){.dtype = CAPT_F32, .dim = {1, 1, 1, 1}, .needs_grad = !buffer};
        for (char *end; *s && *s != ' '; s = *end == ',' ? end + 1 : end)
            t->dim[t->ndim++] = strtol(s, &end, 10);
        s += *s == ' ';
        int64_t n = capt_tensor_numel(t);
        o->host[o->n] = capt_alloc((size_t)n * sizeof(capt_real));
        for (int64_t i = 0; i < n; i++) {
            double v = capt_rng_normal(77 + (uint64_t)o->n, (uint64_t)i) * 0.7;
            v += v < 0 ? -0.05 : 0.05;
            o->host[o->n][i] = (capt_real)(buffer ? fabs(v) + 0.3 : v);
        }
        t->data = be->alloc(be, (size_t)n * sizeof(capt_real));
        t->grad = buffer ? NULL : be->alloc(be, (size_t)n * sizeof(capt_real));
    }
}

__attribute__((unused)) static void operands_free(struct operands *o, capt_backend *be)
{
    for (int i = 0; i < o->n; i++) {
        be->free(be, o->t[i].data);
        if (o->t[i].grad)
            be->free(be, o->t[i].grad);
        free(o->host[i]);
    }
}

/* weights of the outputs in the objective */
static capt_real out_weight(int64_t i)
{
    return (capt_real)(capt_rng_u01(5, (uint64_t)i) + 0.5);
}

/* Uploads the operands, runs the case, returns the objective: the weighted sum of the outputs (their plain sum for a loss).
 * grads: 1 runs the tape too, 2 does and adds to the gradients of the run before. out (MAX_OUT, or NULL) receives the outputs, *n_out their number. */
__attribute__((unused)) static double case_run(const struct op_case *k, capt_ctx *c, struct operands *o, int grads, capt_real *out, int64_t *n_out)
{
    capt_real buf[MAX_OUT];
    capt_tensor *in[MAX_IN] = {NULL};
    capt_ctx_reset(c);
    c->recording = grads;
    c->training = 1;
    c->seed = 3;
    c->step = 1;
    c->row0 = 2;
    for (int i = 0; i < o->n; i++) {
        in[i] = &o->t[i];
        c->be->upload(c->be, o->t[i].data, o->host[i], (size_t)capt_tensor_numel(&o->t[i]) * sizeof(capt_real));
        if (grads != 2)
            o->t[i].touched = 0;
        if (grads == 1 && o->t[i].grad) /* the first to touch a gradient must write all of it */
            c->be->fill(c->be, o->t[i].grad, capt_tensor_numel(&o->t[i]), NAN);
    }
    capt_tensor *y = k->run(c, in);
    capt_err err = CAPT_ERR_INIT;
    if (capt_ctx_check(c, &err))
        fail_msg("%s: %s", k->name, err.text);
    int64_t n = capt_tensor_numel(y);
    assert_true(n <= MAX_OUT);
    assert_int_equal(capt_ctx_download(c, buf, y->data, (size_t)n * sizeof *buf), 0);
    int is_loss = strncmp(k->name, "xent", 4) == 0 || strncmp(k->name, "coverage", 8) == 0;
    double sum = 0;
    for (int64_t i = 0; i < n; i++)
        sum += (double)buf[i] * (is_loss ? 1 : (double)out_weight(i));
    if (out)
        memcpy(out, buf, (size_t)n * sizeof *buf);
    if (n_out)
        *n_out = n;
    if (grads) {
        if (!is_loss) {
            double beta;
            capt_real *g = capt_grad(c, y, &beta);
            for (int64_t i = 0; i < n; i++)
                buf[i] = out_weight(i);
            c->be->upload(c->be, g, buf, (size_t)n * sizeof *buf);
        }
        capt_tape_backward(c);
        if (capt_ctx_check(c, &err))
            fail_msg("%s: %s", k->name, err.text);
    }
    return sum;
}
#endif
