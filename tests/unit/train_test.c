/* Learning-rate schedules, scheduled sampling, running means of weights, clipped gradients. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "base/mem.h"
#include "train/optim.h"
#include "train/sampling.h"
#include "train/schedule.h"
#include "vocab_rig.h"

static void near(double a, double b)
{
    if (!(fabs(a - b) <= 1e-12 * fabs(b)))
        fail_msg("%.17g, not %.17g", a, b);
}

static void schedules(void **state)
{
    capt_schedule s = {.kind = CAPT_SCHEDULE_NOAM, .lr = 2, .warmup = 100, .width = 64};
    near(capt_schedule_lr(&s, 0), 2.0 / 8 / 1000);        /* factor / sqrt(width) * 1 / 100^1.5 */
    near(capt_schedule_lr(&s, 99), 2.0 / 8 / 10);         /* the top */
    near(capt_schedule_lr(&s, 399), 2.0 / 8 / 20);
    s = (capt_schedule){.kind = CAPT_SCHEDULE_STEP, .lr = 0.5, .warmup = 4, .every = 10, .factor = 0.8};
    near(capt_schedule_lr(&s, 0), 0.125);
    near(capt_schedule_lr(&s, 9), 0.5);
    near(capt_schedule_lr(&s, 10), 0.4);
    near(capt_schedule_lr(&s, 29), 0.32);
    s = (capt_schedule){.kind = CAPT_SCHEDULE_PLATEAU, .lr = 0.5, .warmup = 2, .scale = 0.25};
    near(capt_schedule_lr(&s, 0), 0.25);
    near(capt_schedule_lr(&s, 7), 0.125);
    s = (capt_schedule){.kind = CAPT_SCHEDULE_LINEAR, .lr = 1, .lr_end = 0.5, .total = 10};
    near(capt_schedule_lr(&s, 5), 0.75);
    near(capt_schedule_lr(&s, 99), 0.5);
    s.kind = CAPT_SCHEDULE_COSINE;
    near(capt_schedule_lr(&s, 5), 0.75);
    s.kind = CAPT_SCHEDULE_CONSTANT;
    near(capt_schedule_lr(&s, 5), 1);
}

enum { V = 7, R = 40, T = 4, D = 3 };

static capt_model *small_model(capt_backend *be)
{
    capt_err err = CAPT_ERR_INIT;
    json_t *config = json_pack("{s:s, s:s, s:i, s:i, s:i, s:i}", "type", "show-tell", "feature", "global", "feature_dim", D, "width", 6, "embed", 4, "words", T);
    capt_model *m = capt_model_new(config, small_vocab(V), NULL, be, CAPT_F32, 3, &err);
    if (!m)
        fail_msg("%s", err.text);
    json_decref(config);
    return m;
}

static void ok(int rc, const capt_err *err)
{
    if (rc)
        fail_msg("%s", err->text);
}

static void mixing(void **state)
{
    capt_err err = CAPT_ERR_INIT;
    capt_backend *be = capt_backend_open("guard", NULL, &err);
    capt_model *m = small_model(be);
    capt_scorer *s = capt_scorer_model(m, NULL, &err);
    capt_real feat[2 * D] = {1, -1, 2, 0.5f, 0, -2}, weights[R * T];
    int32_t row_image[R], tokens[R * T], mixed[R * T], again[R * T];
    for (int r = 0; r < R; r++) {
        row_image[r] = r >= R / 2;
        for (int t = 0; t < T; t++) {
            tokens[r * T + t] = t == 0 ? 1 : t == T - 1 ? 0 : 4;
            weights[r * T + t] = t < T - 1;
        }
    }
    capt_input in = {.n_images = 2, .feat = feat, .S = 1, .D = D};
    capt_rows rows = {R, T, row_image, tokens, NULL, weights, 0, 0, 0};
    ok(capt_sampling_mix(s, &in, &rows, 0, 1, 1, mixed, &err), &err);
    assert_memory_equal(mixed, tokens, sizeof tokens);
    ok(capt_sampling_mix(s, &in, &rows, 1, 1, 1, mixed, &err), &err);
    int other = 0;
    for (int r = 0; r < R; r++)
        for (int t = 0; t < T; t++) {
            int32_t w = mixed[r * T + t];
            if (t == 0 || t == T - 1) { /* the beginning stays, and what stands behind the end */
                assert_int_equal(w, tokens[r * T + t]);
            } else {
                assert_true(w >= 3 && w < V); /* never pad, begin or end */
                other += w != 4;
            }
        }
    assert_true(other > R); /* of 2*R drawn nearly evenly from four words */
    ok(capt_sampling_mix(s, &in, &rows, 0.3, 1, 1, mixed, &err), &err);
    other = 0;
    for (int i = 0; i < R * T; i++)
        other += mixed[i] != tokens[i];
    assert_true(other > R * 2 * 0.3 * 0.75 * 0.4 && other < R * 2 * 0.3 * 0.75 * 1.8);
    capt_rows half = {R / 2, T, row_image, tokens + R / 2 * T, NULL, weights, R / 2, 1, 0}; /* the second image alone: the same words */
    capt_input one = {.n_images = 1, .feat = feat + D, .S = 1, .D = D};
    ok(capt_sampling_mix(s, &one, &half, 0.3, 1, 1, again, &err), &err);
    assert_memory_equal(again, mixed + R / 2 * T, R / 2 * T * sizeof *again);
    ok(capt_sampling_mix(s, &in, &rows, 0.3, 1, 2, again, &err), &err);
    assert_memory_not_equal(again, mixed, sizeof mixed);
    capt_scorer_free(s);
    capt_model_free(m);
    capt_backend_close(be);
}

static void means(void **state)
{
    capt_err err = CAPT_ERR_INIT;
    capt_backend *be = capt_backend_open("guard", NULL, &err);
    capt_model *m = small_model(be);
    ok(capt_params_train(&m->params, "", 1, &err), &err);
    capt_params_swap(&m->params); /* no means yet: nothing happens */
    capt_param *p = capt_param_find(&m->params, "head.weight");
    int n = (int)capt_tensor_numel(&p->t);
    capt_real a[100], b[100], x[100];
    capt_param_get(&m->params, p, a);
    ok(capt_params_average(&m->params, 0.75, &err), &err);
    for (int i = 0; i < n; i++)
        b[i] = a[i] + 1;
    capt_param_set(&m->params, p, b);
    ok(capt_params_average(&m->params, 0.75, &err), &err);
    capt_params_swap(&m->params);
    capt_param_get(&m->params, p, x);
    for (int i = 0; i < n; i++)
        assert_true(fabs((double)x[i] - (double)a[i] - 0.25) < 1e-6);
    capt_params_swap(&m->params);
    capt_param_get(&m->params, p, x);
    assert_memory_equal(x, b, (size_t)n * sizeof *x);
    capt_model_free(m);
    capt_backend_close(be);
}

/* The gradient as the first moment shows it when it has no past: the norm is clipped first, then each value. */
static void clipping(void **state)
{
    static const struct { double clip, clip_value; capt_real want[V]; } cases[] = {
        {0, 0, {3, -4, 0.05f, 0, 0, 0, 0}},
        {0, 0.1, {0.1f, -0.1f, 0.05f, 0, 0, 0, 0}},
        {2.5, 0, {1.5f, -2, 0.025f, 0, 0, 0, 0}},
        {2.5, 1.75, {1.5f, -1.75f, 0.025f, 0, 0, 0, 0}},
    };
    const capt_real g[V] = {3, -4, 0.05f};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        capt_err err = CAPT_ERR_INIT;
        capt_backend *be = capt_backend_open("guard", NULL, &err);
        capt_model *m = small_model(be);
        capt_param *p = capt_param_find(&m->params, "head.bias");
        ok(capt_params_train(&m->params, "", 0, &err) || capt_params_train(&m->params, "head.bias", 1, &err), &err);
        be->upload(be, p->t.grad, g, sizeof g);
        p->t.touched = 1;
        capt_optim o = {.beta1 = 0, .beta2 = 0.9, .eps = 1e-8, .clip = cases[i].clip, .clip_value = cases[i].clip_value};
        double norm;
        capt_real got[V];
        ok(capt_optim_step(&o, &m->params, 0.1, &norm, &err), &err);
        be->download(be, got, p->m, sizeof got);
        assert_true(fabs(norm - sqrt(25.0025)) < 1e-6); /* that of the gradient as it was */
        for (int j = 0; j < V; j++)
            if (fabs((double)(got[j] - cases[i].want[j])) > 1e-3)
                fail_msg("case %zu, value %d: %g, not %g", i, j, (double)got[j], (double)cases[i].want[j]);
        capt_model_free(m);
        capt_backend_close(be);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(schedules), cmocka_unit_test(mixing), cmocka_unit_test(means), cmocka_unit_test(clipping)};
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
