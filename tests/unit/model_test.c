/* Laws every captioner obeys, on the guard backend: what is true of one is true of all rows of captioner.def. */
#include <unistd.h>
#include "model/checkpoint.h"
#include "op/op.h"
#include "train/optim.h"
#include "model_rig.h"

/* Changing word t changes no hidden vector before position t (which predicts t+1 ...), and does change the one at t. */
static void alignment(void **state)
{
    for (int d = 0; d < N_DEVICES; d++)
        EACH_VARIANT (v) {
            fixture f;
            set_up(&f, devices[d], v, MAX_V, 0, 1);
            capt_real *base = hidden(&f, 3, WORDS, row_image, tokens3);
            int D = f.m->hidden;
            for (int t = 0; t < WORDS; t++) {
                int32_t changed[3 * WORDS];
                memcpy(changed, tokens3, sizeof changed);
                changed[WORDS + t] = 9; /* row 1 */
                capt_real *h = hidden(&f, 3, WORDS, row_image, changed);
                assert_true(distance(h, base, WORDS * D) == 0);                            /* row 0 */
                assert_true(distance(h + 2 * WORDS * D, base + 2 * WORDS * D, WORDS * D) == 0); /* row 2 */
                assert_true(distance(h + WORDS * D, base + WORDS * D, t * D) == 0);
                assert_true(distance(h + (WORDS + t) * D, base + (WORDS + t) * D, D) > 1e-4);
                free(h);
            }
            free(base);
            tear_down(&f);
        }
}

/* step, T times over, gives what forward gives, with rows that share an image and are reordered under way. */
static void steps_equal_forward(void **state)
{
    for (int d = 0; d < N_DEVICES; d++)
        EACH_VARIANT (v) {
            fixture f;
            capt_err err = CAPT_ERR_INIT;
            set_up(&f, devices[d], v, MAX_V, 0, 2);
            capt_real *want = hidden(&f, 3, WORDS, row_image, tokens3);
            int D = f.m->hidden;
            capt_ctx_reset(f.c);
            capt_feat x = capt_image_features(f.c, f.m, NULL, &f.in);
            capt_state *s = f.m->type->prefill(f.c, f.m, &x, 4, WORDS);
            ok(capt_ctx_check(f.c, &err), &err);
            static const int32_t first[3] = {0, 1, 1}, turn[3] = {2, 0, 1};
            int order[3] = {0, 1, 2}; /* row of the state -> row of tokens3 */
            capt_state_rows(s, first, 3);
            for (int t = 0; t < WORDS; t++) {
                int32_t in[3];
                if (t == 2) {
                    capt_state_rows(s, turn, 3);
                    int was[3] = {order[0], order[1], order[2]};
                    for (int r = 0; r < 3; r++)
                        order[r] = was[turn[r]];
                }
                for (int r = 0; r < 3; r++)
                    in[r] = tokens3[order[r] * WORDS + t];
                capt_ctx_reset(f.c);
                capt_tensor *h = f.m->type->step(f.c, f.m, s, in);
                capt_real got[3 * 64];
                capt_ctx_download(f.c, got, capt_ctx_bad(f.c) ? NULL : h->data, (size_t)(3 * D) * sizeof *got);
                ok(capt_ctx_check(f.c, &err), &err);
                for (int r = 0; r < 3; r++)
                    assert_true(distance(got + r * D, want + (order[r] * WORDS + t) * D, D) < 2e-5);
            }
            capt_state_free(s);
            free(want);
            tear_down(&f);
        }
}

/* What stands in the feature rows behind an image's own changes nothing, neither teacher-forced nor step by step. */
static void pads_change_nothing(void **state)
{
    EACH_VARIANT (v) {
        fixture f;
        capt_err err = CAPT_ERR_INIT;
        static const int32_t len[I] = {3, 1};
        if (v->rows == 1)
            continue;
        set_up(&f, "guard", v, MAX_V, 0, 12);
        f.in.len = len;
        capt_real *want = hidden(&f, 3, WORDS, row_image, tokens3);
        f.in.len = NULL;
        capt_real *all = hidden(&f, 3, WORDS, row_image, tokens3);
        int D = f.m->hidden;
        assert_true(distance(want, all, WORDS * D) < 2e-5);
        assert_true(distance(want + WORDS * D, all + WORDS * D, WORDS * D) > 1e-3);
        free(all);
        f.in.len = len;
        for (int i = 0; i < 2 * D_FEAT; i++)
            f.feat[4 * D_FEAT + i] = 50 + (capt_real)i;
        capt_real *again = hidden(&f, 3, WORDS, row_image, tokens3);
        assert_true(distance(want, again, 3 * WORDS * D) == 0);
        free(again);
        capt_ctx_reset(f.c);
        capt_feat x = capt_image_features(f.c, f.m, NULL, &f.in);
        capt_state *s = f.m->type->prefill(f.c, f.m, &x, 3, WORDS);
        ok(capt_ctx_check(f.c, &err), &err);
        capt_state_rows(s, row_image, 3);
        for (int t = 0; t < WORDS; t++) {
            int32_t in[3] = {tokens3[t], tokens3[WORDS + t], tokens3[2 * WORDS + t]};
            capt_real got[3 * 64];
            capt_ctx_reset(f.c);
            capt_tensor *h = f.m->type->step(f.c, f.m, s, in);
            capt_ctx_download(f.c, got, capt_ctx_bad(f.c) ? NULL : h->data, (size_t)(3 * D) * sizeof *got);
            ok(capt_ctx_check(f.c, &err), &err);
            for (int r = 0; r < 3; r++)
                assert_true(distance(got + r * D, want + (r * WORDS + t) * D, D) < 2e-5);
        }
        capt_state_free(s);
        free(want);
        tear_down(&f);
    }
}

/* extra: with the captioner's own loss terms */
static double one_pass(fixture *f, int backward, int extra)
{
    static const int32_t targets[3 * WORDS] = {4, 5, 6, 7, 2, 7, 6, 4, 4, 2, 7, 5, 8, 6, 2}; /* the same after the same words */
    static const capt_real weights[3 * WORDS] = {1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0};
    capt_rows rows = {3, WORDS, row_image, tokens3, targets, weights, 0, 0, extra ? 3 : 0};
    capt_err err = CAPT_ERR_INIT;
    double loss;
    ok(capt_xe_pass(f->c, f->m, NULL, &f->in, &rows, 14, 0, backward, &loss, &err), &err);
    return loss;
}

/* The gradient of every parameter, extra loss terms included, against central differences, in double. */
static void gradients(void **state)
{
    if (sizeof(capt_real) == 4)
        return;
    EACH_VARIANT (v) {
        fixture f;
        capt_err err = CAPT_ERR_INIT;
        static const int32_t len[I] = {3, 2};
        set_up(&f, "ref", v, MAX_V, 0, 21);
        if (v->rows > 1)
            f.in.len = len;
        ok(capt_params_train(&f.m->params, "", 1, &err), &err);
        one_pass(&f, 1, 1);
        for (int i = 0; i < f.m->params.n; i++) {
            capt_param *p = f.m->params.v[i];
            int64_t n = capt_tensor_numel(&p->t);
            if (!p->t.touched)
                fail_msg("%s: %s has no gradient", v->type, p->name);
            capt_real *g = capt_alloc((size_t)n * sizeof *g), *x = capt_alloc((size_t)n * sizeof *x);
            f.be->download(f.be, g, p->t.grad, (size_t)n * sizeof *g);
            capt_param_get(&f.m->params, p, x);
            for (int64_t e = 0; e < n; e += n / 4 + 1) {
                double up, down, d;
                capt_real keep = x[e], h = (capt_real)1e-6;
                x[e] = keep + h;
                capt_param_set(&f.m->params, p, x);
                up = one_pass(&f, 0, 1);
                x[e] = keep - h;
                capt_param_set(&f.m->params, p, x);
                down = one_pass(&f, 0, 1);
                x[e] = keep;
                capt_param_set(&f.m->params, p, x);
                d = (up - down) / (2 * (double)h);
                if (!(fabs(d - (double)g[e]) < 1e-6 * (1 + fabs(d))))
                    fail_msg("%s, %d rows: %s element %d: gradient %.9g, difference %.9g", v->type, v->rows, p->name, (int)e, (double)g[e], d);
            }
            free(g);
            free(x);
        }
        tear_down(&f);
    }
}

static void loss_falls(void **state)
{
    EACH_VARIANT (v) {
        fixture f;
        capt_err err = CAPT_ERR_INIT;
        set_up(&f, "guard", v, MAX_V, 0, 3);
        ok(capt_params_train(&f.m->params, "", 1, &err), &err);
        capt_optim o = {0.9, 0.999, 1e-8, 0, 1, 0, 0};
        double first = one_pass(&f, 1, 0), last = first;
        for (int step = 0; step < 200 && last >= 0.1; step++) {
            ok(capt_optim_step(&o, &f.m->params, 0.02, NULL, &err), &err);
            last = one_pass(&f, 1, 0);
        }
        if (!(first > 1 && last < 0.1))
            fail_msg("%s, %d rows, choice %d: %g, then %g", v->type, v->rows, v->choice, first, last);
        tear_down(&f);
    }
}

static int same_params(const capt_params *a, const capt_params *b)
{
    char x[33], y[33];
    capt_params_hash(a, "", x);
    capt_params_hash(b, "", y);
    return !strcmp(x, y);
}

/* Stop after 3 updates, load, go on for 3: the same bits as 6 in one go. Dropout on. */
static void resume_is_exact(void **state)
{
    if (sizeof(capt_real) == 8) /* checkpoints hold f32 */
        return;
    EACH_VARIANT (v) {
        char path[] = "/tmp/capt-model-XXXXXX";
        int fd = mkstemp(path);
        assert_true(fd >= 0);
        close(fd);
        fixture f, g;
        capt_err err = CAPT_ERR_INIT;
        set_up(&f, "guard", v, MAX_V, 0.2, 4);
        ok(capt_params_train(&f.m->params, "", 1, &err), &err);
        capt_idset_add(f.m->trained_on, "17", 2);
        capt_optim o = {0.9, 0.999, 1e-8, 0.01, 1, 0, 0};
        for (int step = 0; step < 6; step++) {
            if (step == 3) {
                json_t *cursor = json_object();
                ok(capt_checkpoint_save(path, f.m, CAPT_SAVE_OPTIMISER, cursor, &err), &err);
                json_decref(cursor);
            }
            f.c->training = 1;
            f.c->step = (uint64_t)step;
            one_pass(&f, 1, 1);
            ok(capt_optim_step(&o, &f.m->params, 0.01, NULL, &err), &err);
        }
        set_up(&g, "guard", v, MAX_V, 0.2, 5);
        assert_false(same_params(&f.m->params, &g.m->params));
        capt_model_free(g.m);
        json_t *st = NULL;
        g.m = capt_checkpoint_load(path, g.be, CAPT_F32, &st, &err);
        if (!g.m)
            fail_msg("%s", err.text);
        assert_non_null(st);
        json_decref(st);
        assert_true(capt_idset_has(g.m->trained_on, "17", 2));
        assert_false(capt_idset_has(g.m->trained_on, "18", 2));
        ok(capt_params_train(&g.m->params, "", 1, &err), &err);
        capt_optim p = {0.9, 0.999, 1e-8, 0.01, 1, 0, 3};
        for (int step = 3; step < 6; step++) {
            g.c->training = 1;
            g.c->step = (uint64_t)step;
            one_pass(&g, 1, 1);
            ok(capt_optim_step(&p, &g.m->params, 0.01, NULL, &err), &err);
        }
        assert_true(same_params(&f.m->params, &g.m->params));
        unlink(path);
        tear_down(&f);
        tear_down(&g);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(alignment), cmocka_unit_test(steps_equal_forward), cmocka_unit_test(pads_change_nothing), cmocka_unit_test(gradients), cmocka_unit_test(loss_falls), cmocka_unit_test(resume_is_exact)};
    n_variants = all_variants(variants, sizeof variants / sizeof *variants);
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
