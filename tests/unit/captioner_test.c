/* Captioners against their public implementations (golden/make_models.py): log-probabilities of forward and of steps, loss, all gradients; and proof that the goldens
 * tell the models from others that differ in one constant. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/json.h"
#include "base/mem.h"
#include "op/op.h"
#include "tensor/safetensors.h"
#include "train/xe.h"
#include "vocab_rig.h"

enum { V = 19, S = 4, FEAT = 6, T = 5, I = 2, R = 3 };
static const int32_t row_image[R] = {0, 1, 1};
static const char *const names[] = {"show-tell", "attend-tell", "attend-tell-xu", "updown", "updown-official", "transformer", "m2"};
enum { N_NAMES = sizeof names / sizeof *names };
static const char *const backends[] = {"ref", "guard", "cpu"};
enum { N_BACKEND = sizeof(capt_real) == 8 ? 2 : 3 }; /* cpu is single precision */

typedef struct fixture {
    const char *name;
    capt_backend *be;
    capt_model *m;
    capt_ctx *c;
    capt_st *st;
    capt_real feat[I * S * FEAT];
    int32_t len[I], tokens[R * T], targets[R * T];
    capt_input in;
} fixture;

static double tolerance(double single, double twice) { return sizeof(capt_real) == 8 ? twice : single; }

static void ok(int rc, const capt_err *err)
{
    if (rc)
        fail_msg("%s", err->text);
}

static capt_real *golden(const fixture *f, const char *name, int64_t n)
{
    const capt_st_tensor *t = capt_st_find(f->st, name);
    if (!t || capt_st_numel(t) != n)
        fail_msg("%s: %s is not in the golden, or not of %d elements", f->name, name, (int)n);
    capt_real *x = capt_alloc((size_t)n * sizeof *x);
    capt_st_to_real(t, x);
    return x;
}

static void ints(const fixture *f, const char *name, int32_t *to, size_t n)
{
    const capt_st_tensor *t = capt_st_find(f->st, name);
    assert_true(t && t->dtype == CAPT_I32 && t->bytes == n * sizeof *to);
    memcpy(to, t->data, t->bytes);
}

/* The golden's model with its weights; key (or NULL) of the configuration set to value. */
static void load(fixture *f, const char *name, const char *device, const char *key, const json_t *value)
{
    capt_err err = CAPT_ERR_INIT;
    char path[100];
    memset(f, 0, sizeof *f);
    f->name = name;
    snprintf(path, sizeof path, "tests/golden/%s.safetensors", name);
    f->be = capt_backend_open(device, NULL, &err);
    f->st = capt_st_open(path, &err);
    if (!f->be || !f->st)
        fail_msg("%s", err.text);
    const char *text = capt_st_meta(f->st, "config");
    json_t *config = capt_json_parse(text, strlen(text), path, &err);
    if (key)
        json_object_set(config, key, (json_t *)value);
    f->m = capt_model_new(config, small_vocab(V), NULL, f->be, CAPT_F32, 1, &err);
    json_decref(config);
    f->c = capt_ctx_new(f->be, CAPT_F32, &err);
    if (!f->m || !f->c)
        fail_msg("%s", err.text);
    for (int i = 0; i < f->m->params.n; i++) {
        capt_param *p = f->m->params.v[i];
        snprintf(path, sizeof path, "w.%s", p->name);
        capt_real *x = golden(f, path, capt_tensor_numel(&p->t));
        capt_param_set(&f->m->params, p, x);
        free(x);
    }
    capt_real *x = golden(f, "in.feat", I * S * FEAT);
    memcpy(f->feat, x, sizeof f->feat);
    free(x);
    ints(f, "in.len", f->len, I);
    ints(f, "in.tokens", f->tokens, R * T);
    ints(f, "in.targets", f->targets, R * T);
    f->in = (capt_input){.n_images = I, .feat = f->feat, .S = S, .D = FEAT, .len = f->len};
}

static void tear_down(fixture *f)
{
    capt_st_close(f->st);
    capt_ctx_free(f->c);
    capt_model_free(f->m);
    capt_backend_close(f->be);
}

/* max |a - b| */
static double distance(const capt_real *a, const capt_real *b, int64_t n)
{
    double d = 0;
    for (int64_t i = 0; i < n; i++) {
        double e = fabs((double)a[i] - (double)b[i]);
        d = e > d || isnan(e) ? e : d;
    }
    return d;
}

static void put_logp(fixture *f, capt_tensor *h, int rows, capt_real *z)
{
    capt_err err = CAPT_ERR_INIT;
    capt_tensor *w = f->m->head_w, *b = f->m->head_b, *y = capt_ctx_real(f->c, rows, V);
    if (!capt_ctx_bad(f->c))
        f->be->head_logits(f->be, y->data, h->data, w->data, w->wp, b ? b->data : NULL, rows, V, f->m->hidden, CAPT_F32);
    capt_ctx_download(f->c, z, capt_ctx_bad(f->c) ? NULL : y->data, (size_t)(rows * V) * sizeof *z);
    ok(capt_ctx_check(f->c, &err), &err);
}

/* Log-probabilities (R,T,V) by teacher forcing, or by T decoding steps; 0 where there is no target. */
static capt_real *log_probabilities(fixture *f, int steps)
{
    capt_err err = CAPT_ERR_INIT;
    capt_real *out = capt_alloc(R * T * V * sizeof *out);
    capt_ctx_reset(f->c);
    capt_feat x = capt_image_features(f->c, f->m, NULL, &f->in);
    if (!steps) {
        capt_tensor *h = f->m->type->forward(f->c, f->m, &x, R, T, row_image, f->tokens, NULL);
        put_logp(f, h, R * T, out);
    } else {
        capt_state *s = f->m->type->prefill(f->c, f->m, &x, R, T);
        ok(capt_ctx_check(f->c, &err), &err);
        capt_state_rows(s, row_image, R);
        for (int t = 0; t < T; t++) {
            capt_real z[R * V];
            int32_t now[R];
            for (int r = 0; r < R; r++)
                now[r] = f->tokens[r * T + t];
            capt_ctx_reset(f->c);
            put_logp(f, f->m->type->step(f->c, f->m, s, now), R, z);
            for (int r = 0; r < R; r++)
                memcpy(out + (r * T + t) * V, z + r * V, V * sizeof *z);
        }
        capt_state_free(s);
    }
    for (int i = 0; i < R * T; i++)
        for (int v = 0; v < V && f->targets[i] < 0; v++)
            out[i * V + v] = 0;
    return out;
}

static void same_probabilities(void **state)
{
    for (int n = 0; n < N_NAMES; n++)
        for (int k = 0; k < N_BACKEND; k++)
            for (int steps = 0; steps < 2; steps++) {
                fixture f;
                load(&f, names[n], backends[k], NULL, NULL);
                capt_real *z = log_probabilities(&f, steps), *want = golden(&f, "out.logp", R * T * V);
                double d = distance(z, want, R * T * V);
                if (!(d < tolerance(1e-4, 1e-5)))
                    fail_msg("%s on %s%s: log-probabilities differ by %g", names[n], backends[k], steps ? " by steps" : "", d);
                free(z);
                free(want);
                tear_down(&f);
            }
}

static void same_gradients(void **state)
{
    for (int n = 0; n < N_NAMES; n++)
        for (int k = 0; k < N_BACKEND; k++) {
            fixture f;
            capt_err err = CAPT_ERR_INIT;
            capt_real weights[R * T];
            double norm = 0, loss;
            load(&f, names[n], backends[k], NULL, NULL);
            for (int i = 0; i < R * T; i++) {
                weights[i] = f.targets[i] >= 0;
                norm += (double)weights[i];
                f.targets[i] = f.targets[i] < 0 ? 0 : f.targets[i];
            }
            ok(capt_params_train(&f.m->params, "", 1, &err), &err);
            capt_rows rows = {R, T, row_image, f.tokens, f.targets, weights, 0, 0, R};
            ok(capt_xe_pass(f.c, f.m, NULL, &f.in, &rows, norm, 0, 1, &loss, &err), &err);
            capt_real *want = golden(&f, "out.loss", 1);
            if (!(fabs(loss - (double)want[0]) < tolerance(1e-5, 1e-6)))
                fail_msg("%s on %s: loss %.9g, not %.9g", names[n], backends[k], loss, (double)want[0]);
            free(want);
            for (int i = 0; i < f.m->params.n; i++) {
                capt_param *p = f.m->params.v[i];
                int64_t size = capt_tensor_numel(&p->t);
                char name[120];
                capt_real *g = capt_alloc((size_t)size * sizeof *g);
                assert_true(p->t.touched);
                f.be->download(f.be, g, p->t.grad, (size_t)size * sizeof *g);
                snprintf(name, sizeof name, "grad.%s", p->name);
                want = golden(&f, name, size);
                double d = distance(g, want, size);
                if (!(d < tolerance(1e-4, 1e-5)))
                    fail_msg("%s on %s: gradient of %s differs by %g", names[n], backends[k], p->name, d);
                free(want);
                free(g);
            }
            tear_down(&f);
        }
}

/* A golden's alt.* belong to models that differ in one constant; ours is none of them. One constant of ours changed, or one tensor, and the golden is missed. */
static void other_constants(void **state)
{
    static const struct { const char *name, *key, *value; } change[] = {{"transformer", "compat", "\"none\""}, {"transformer", "heads", "4"}, {"m2", "compat", "\"none\""}, {"m2", "heads", "4"}};
    for (int n = 0; n < N_NAMES; n++) {
        fixture f;
        int alts = 0;
        load(&f, names[n], "ref", NULL, NULL);
        capt_real *z = log_probabilities(&f, 0), *want = golden(&f, "out.logp", R * T * V);
        for (size_t i = 0; i < capt_st_n(f.st); i++) {
            const char *alt = capt_st_at(f.st, i)->name;
            if (strncmp(alt, "alt.", 4))
                continue;
            capt_real *other = golden(&f, alt, R * T * V);
            if (!(distance(z, other, R * T * V) > 1e-3))
                fail_msg("%s: %s is no different", names[n], alt);
            free(other);
            alts++;
        }
        assert_true(alts >= 2);
        free(z);
        int n_params = f.m->params.n;
        tear_down(&f);
        for (int i = 0; i < n_params; i++) { /* each tensor matters, and its place in it */
            load(&f, names[n], "ref", NULL, NULL);
            capt_param *p = f.m->params.v[i];
            int64_t size = capt_tensor_numel(&p->t);
            capt_real *x = capt_alloc((size_t)size * sizeof *x);
            capt_param_get(&f.m->params, p, x);
            for (int64_t e = 0; e < size; e++)
                x[e] += (capt_real)(0.05 * sin((double)e + 1));
            capt_param_set(&f.m->params, p, x);
            z = log_probabilities(&f, 0);
            if (!(distance(z, want, R * T * V) > 1e-4))
                fail_msg("%s: %s does not matter", names[n], p->name);
            free(z);
            free(x);
            tear_down(&f);
        }
        for (size_t i = 0; i < sizeof change / sizeof *change; i++) {
            if (strcmp(change[i].name, names[n]))
                continue;
            json_t *value = json_loads(change[i].value, JSON_DECODE_ANY, NULL);
            load(&f, names[n], "ref", change[i].key, value);
            z = log_probabilities(&f, 0);
            if (!(distance(z, want, R * T * V) > 1e-3))
                fail_msg("%s: %s %s is no different", names[n], change[i].key, change[i].value);
            free(z);
            json_decref(value);
            tear_down(&f);
        }
        free(want);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(same_probabilities), cmocka_unit_test(same_gradients), cmocka_unit_test(other_constants)};
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
