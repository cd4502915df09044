/* Laws every captioner obeys, on the guard backend: what is true of one is true of all rows of captioner.def. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>
#include "base/mem.h"
#include "base/rng.h"
#include "decode/scorer.h"
#include "model/checkpoint.h"
#include "op/op.h"
#include "train/optim.h"
#include "train/scst.h"
#include "train/xe.h"
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
    capt_err err = CAPT_ERR_INIT;
    ok(capt_params_hash(a, "", x, &err), &err);
    ok(capt_params_hash(b, "", y, &err), &err);
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

/* A beam as wide as the search space finds the best caption; beam 1 is greedy; an ensemble of two copies is the model. */
static void beam_laws(void **state)
{
    EACH_VARIANT (v) {
        enum { V = 7, T = 3 };
        fixture f;
        capt_err err = CAPT_ERR_INIT;
        set_up(&f, "guard", v, V, 0, 6);
        capt_scorer *s = capt_scorer_model(f.m, NULL, &err);
        assert_non_null(s);
        capt_found found[I * 3], again[I * 3];
        capt_beam_opts wide = {.beam = 40, .nbest = 1, .max_t = T};
        ok(capt_beam_run(s, &f.in, &wide, found, &err), &err);
        for (int i = 0; i < I; i++) {
            best b = {-INFINITY, {0}, 0};
            int32_t ids[WORDS] = {0};
            enumerate(&f, i, V, T, ids, 0, &b, NULL, NULL);
            assert_int_equal(found[i].n, b.n);
            assert_memory_equal(found[i].ids, b.ids, (size_t)b.n * sizeof *b.ids);
            assert_true(fabs(found[i].logprob - b.score) < 1e-4);
        }
        capt_found_free(found, I);
        capt_beam_opts one = {.beam = 1, .nbest = 1, .max_t = WORDS};
        ok(capt_beam_run(s, &f.in, &one, found, &err), &err);
        for (int i = 0; i < I; i++) { /* each word is the likeliest after the ones before */
            int32_t ids[WORDS + 1];
            memcpy(ids, found[i].ids, (size_t)found[i].n * sizeof *ids);
            for (int t = 0; t < found[i].n + found[i].ended; t++) {
                int32_t chosen = t < found[i].n ? ids[t] : 2, keep = ids[t];
                double p = t < found[i].n ? logp_of(&f, i, ids, t + 1, 0) : logp_of(&f, i, ids, t, 1), before = t ? logp_of(&f, i, ids, t, 0) : 0;
                for (int w = 4; w < V; w++) {
                    ids[t] = w;
                    assert_true(w == chosen || logp_of(&f, i, ids, t + 1, 0) - before <= p - before + 1e-6);
                }
                if (chosen != 2)
                    assert_true(logp_of(&f, i, ids, t, 1) - before <= p - before + 1e-6);
                ids[t] = keep;
            }
        }
        capt_found_free(found, I);
        capt_beam_opts b3 = {.beam = 3, .nbest = 3, .max_t = WORDS};
        ok(capt_beam_run(s, &f.in, &b3, found, &err), &err);
        for (int mode = 0; mode < 2; mode++) {
            capt_scorer *pair[2] = {capt_scorer_model(f.m, NULL, &err), capt_scorer_model(f.m, NULL, &err)};
            capt_scorer *e = capt_scorer_ensemble_take(pair, 2, NULL, mode, &err);
            if (!e)
                fail_msg("%s", err.text);
            capt_input both[2] = {f.in, f.in};
            ok(capt_beam_run(e, both, &b3, again, &err), &err);
            for (int i = 0; i < I * 3; i++) {
                assert_int_equal(found[i].n, again[i].n);
                assert_memory_equal(found[i].ids, again[i].ids, (size_t)found[i].n * sizeof(int32_t));
                assert_true(fabs(found[i].logprob - again[i].logprob) < 1e-4);
            }
            capt_found_free(again, I * 3);
            capt_scorer_free(e);
        }
        capt_found_free(found, I * 3);
        capt_scorer_free(s);
        tear_down(&f);
    }
}

static int has_ngram_twice(const capt_found *f, int n)
{
    for (int i = 0; i + n <= f->n; i++)
        for (int k = i + 1; k + n <= f->n; k++)
            if (!memcmp(f->ids + i, f->ids + k, (size_t)n * sizeof *f->ids))
                return 1;
    return 0;
}

/* Each option of the search does what its name says, and the details add up. */
static void beam_options(void **state)
{
    EACH_VARIANT (v) {
        fixture f;
        capt_err err = CAPT_ERR_INIT;
        capt_found plain[I * 4], found[I * 4];
        int shown = 0;
        if (v->rows == 1)
            continue;
        set_up(&f, "guard", v, MAX_V, 0, 22);
        capt_scorer *s = capt_scorer_model(f.m, NULL, &err);
        capt_beam_opts o = {.beam = 4, .nbest = 4, .detail = CAPT_DETAIL_WORDS | CAPT_DETAIL_ATTENTION};
        ok(capt_beam_run(s, &f.in, &o, plain, &err), &err);
        for (int i = 0; i < I * 4; i++) {
            const capt_found *p = &plain[i];
            double sum = 0;
            for (int t = 0; t < p->n + p->ended; t++)
                sum += p->word[t];
            assert_true(fabs(sum - p->logprob) < 1e-5);
            assert_true(fabs(logp_of(&f, i / 4, p->ids, p->n, p->ended) - p->logprob) < 1e-4);
            for (int t = 0; p->attention && t < p->n + p->ended; t++, shown++) {
                double all = 0;
                for (int k = 0; k < p->attention_rows; k++)
                    all += (double)p->attention[t * p->attention_rows + k];
                assert_int_equal(p->attention_rows, 3);
                assert_true(fabs(all - 1) < 1e-5);
            }
        }
        assert_int_equal(shown > 0, strcmp(v->type, "show-tell") != 0);
        o = (capt_beam_opts){.beam = 8, .nbest = 4, .groups = 2}; /* groups that do not see each other: each finds what a beam of 4 finds */
        ok(capt_beam_run(s, &f.in, &o, found, &err), &err);
        for (int i = 0; i < I; i++)
            for (int k = 0; k < 2; k++)
                for (int g = 0; g < 2; g++)
                    assert_true(fabs(found[i * 4 + 2 * k + g].logprob - plain[i * 4 + k].logprob) < 1e-4);
        capt_found_free(found, I * 4);
        o.diversity = 50; /* groups that never agree on a word */
        o.nbest = 2;
        o.beam = 2;
        ok(capt_beam_run(s, &f.in, &o, found, &err), &err);
        for (int i = 0; i < I; i++)
            for (int t = 0; t < found[2 * i].n && t < found[2 * i + 1].n; t++)
                assert_true(found[2 * i].ids[t] != found[2 * i + 1].ids[t]);
        capt_found_free(found, I * 2);
        for (int n = 1; n <= 2; n++) {
            o = (capt_beam_opts){.beam = 4, .nbest = 4, .ngram = n, .min_words = WORDS};
            ok(capt_beam_run(s, &f.in, &o, found, &err), &err);
            for (int i = 0; i < I * 4; i++)
                assert_true(!has_ngram_twice(&found[i], n) && found[i].n == WORDS);
            capt_found_free(found, I * 4);
        }
        o = (capt_beam_opts){.beam = 4, .nbest = 4, .ngram = 1, .ngram_penalty = 0.7, .detail = CAPT_DETAIL_WORDS}; /* the penalty counts in the search, not in the result */
        ok(capt_beam_run(s, &f.in, &o, found, &err), &err);
        for (int i = 0; i < I * 4; i++)
            assert_true(fabs(logp_of(&f, i / 4, found[i].ids, found[i].n, found[i].ended) - found[i].logprob) < 1e-4);
        capt_found_free(found, I * 4);
        const int32_t not_last[] = {4, 5, 6, 7, 8};
        o = (capt_beam_opts){.beam = 4, .nbest = 4, .not_last = not_last, .n_not_last = 5};
        ok(capt_beam_run(s, &f.in, &o, found, &err), &err);
        for (int i = 0; i < I * 4; i++)
            assert_true(!found[i].ended || found[i].n == 0 || found[i].ids[found[i].n - 1] > 8);
        capt_found_free(found, I * 4);
        for (int wu = 0; wu < 2; wu++) {
            o = (capt_beam_opts){.beam = 4, .nbest = 4, .length_penalty = 1.5, .wu = wu};
            ok(capt_beam_run(s, &f.in, &o, found, &err), &err);
            for (int i = 0; i < I * 4; i++) {
                double before = i % 4 ? found[i - 1].logprob / pow(wu ? (6.0 + found[i - 1].n) / 6 : found[i - 1].n + 1, 1.5) : INFINITY;
                assert_true(found[i].logprob / pow(wu ? (6.0 + found[i].n) / 6 : found[i].n + 1, 1.5) <= before + 1e-9);
            }
            capt_found_free(found, I * 4);
        }
        const uint64_t id[I] = {1, 2};
        o = (capt_beam_opts){.beam = 1, .nbest = 1};
        capt_found greedy[I];
        ok(capt_beam_run(s, &f.in, &o, greedy, &err), &err);
        for (int how = 0; how < 2; how++) { /* a choice of one word is greedy */
            capt_sample_opts d = {.n = 2, .temperature = 3, .top_k = how ? 0 : 1, .top_p = how ? 1e-6 : 0, .seed = 5, .detail = CAPT_DETAIL_WORDS | CAPT_DETAIL_ATTENTION};
            ok(capt_sample_run(s, &f.in, &d, id, found, &err), &err);
            for (int i = 0; i < I * 2; i++) {
                double sum = 0;
                assert_int_equal(found[i].n, greedy[i / 2].n);
                assert_memory_equal(found[i].ids, greedy[i / 2].ids, (size_t)found[i].n * sizeof(int32_t));
                for (int t = 0; t < found[i].n + found[i].ended; t++)
                    sum += found[i].word[t];
                assert_true(fabs(sum - greedy[i / 2].logprob) < 1e-4);
                assert_int_equal(found[i].attention != NULL, shown > 0);
            }
            capt_found_free(found, I * 2);
        }
        capt_found_free(greedy, I);
        capt_found_free(plain, I * 4);
        capt_scorer_free(s);
        tear_down(&f);
    }
}

static const variant gpt2_one = {"gpt2", 1, 1, 0, 0};

/* Frequencies of 20,000 samples are the model's probabilities. */
static void sampling_is_fair(void **state)
{
    enum { V = 6, T = 2, N = 20000 };
    fixture f;
    capt_err err = CAPT_ERR_INIT;
    set_up(&f, "ref", &gpt2_one, V, 0, 8);
    capt_scorer *s = capt_scorer_model(f.m, NULL, &err);
    f.in.n_images = 1;
    uint64_t id = 5;
    capt_found *found = capt_alloc(N * sizeof *found);
    ok(capt_sample_run(s, &f.in, &(capt_sample_opts){.n = N, .temperature = 1, .max_t = T, .allow_unk = 1, .seed = 11}, &id, found, &err), &err);
    int count[3] = {0};
    double p[3] = {exp(logp_of(&f, 0, NULL, 0, 1)), exp(logp_of(&f, 0, (int32_t[]){4}, 1, 0)), exp(logp_of(&f, 0, (int32_t[]){5}, 1, 0))};
    int32_t special[2] = {0, 1};
    double banned = exp(logp_of(&f, 0, &special[0], 1, 0)) + exp(logp_of(&f, 0, &special[1], 1, 0)), all = 1 - banned;
    for (int i = 0; i < N; i++)
        if (found[i].n == 0)
            count[0]++;
        else if (found[i].ids[0] >= 4)
            count[found[i].ids[0] - 3]++;
    for (int k = 0; k < 3; k++) {
        double q = p[k] / all;
        assert_true(fabs((double)count[k] / N - q) < 4 * sqrt(q * (1 - q) / N) + 1e-9);
    }
    capt_found_free(found, N);
    ok(capt_sample_run(s, &f.in, &(capt_sample_opts){.n = N, .temperature = 1, .max_t = T, .allow_all = 1, .seed = 13}, &id, found, &err), &err);
    for (int32_t w = 0; w < V; w++) { /* all words are all of the distribution */
        double q = exp(logp_of(&f, 0, &w, w == 2 ? 0 : 1, w == 2));
        int n = 0;
        for (int i = 0; i < N; i++)
            n += (found[i].n ? found[i].ids[0] : 2) == w;
        assert_true(fabs((double)n / N - q) < 4 * sqrt(q * (1 - q) / N) + 1e-9);
    }
    capt_found_free(found, N);
    for (int how = 0; how < 2; how++) { /* of the two likeliest words, and of the fewest that have a share between the first's and theirs */
        int order[4] = {2, 3, 4, 5};
        double w[V];
        for (int i = 0; i < 4; i++)
            w[order[i]] = exp(logp_of(&f, 0, (int32_t[]){order[i]}, order[i] == 2 ? 0 : 1, order[i] == 2));
        for (int i = 0; i < 4; i++)
            for (int k = i + 1; k < 4; k++)
                if (w[order[k]] > w[order[i]]) {
                    int swap = order[i];
                    order[i] = order[k];
                    order[k] = swap;
                }
        double first = w[order[0]], second = w[order[1]], total = first + second + w[order[2]] + w[order[3]];
        capt_sample_opts d = {.n = N, .temperature = 1, .max_t = 1, .allow_unk = 1, .seed = 12, .top_k = how ? 0 : 2, .top_p = how ? (first + second / 2) / total : 0};
        ok(capt_sample_run(s, &f.in, &d, &id, found, &err), &err);
        int n_first = 0;
        for (int i = 0; i < N; i++) {
            int word = found[i].n ? found[i].ids[0] : 2;
            assert_true(word == order[0] || word == order[1]);
            n_first += word == order[0];
        }
        double q = first / (first + second);
        assert_true(fabs((double)n_first / N - q) < 4 * sqrt(q * (1 - q) / N) + 1e-9);
        capt_found_free(found, N);
    }
    free(found);
    capt_scorer_free(s);
    tear_down(&f);
}

/* The mean of the leave-one-out gradient over all pairs of captions, weighted by their probability, is the gradient of the expected reward: checked against
 * finite differences of the enumerated expectation, on a model of three words that gives its special tokens no probability. */
static double toy_reward(const int32_t *ids, int n, int ended)
{
    double r = ended ? 0.7 : 0.1;
    for (int t = 0; t < n; t++)
        r += ids[t] == 4 ? 1.3 / (t + 1) : ids[t] == 5 ? -0.4 : 0.25 * t;
    return r;
}

typedef struct caption { int32_t ids[WORDS]; int n, ended; double p, r, weight; } caption;
typedef struct list { caption c[32]; int n; } list;

static void collect(void *arg, const int32_t *ids, int n, int ended, double logp)
{
    list *l = arg;
    caption *c = &l->c[l->n++];
    *c = (caption){.n = n, .ended = ended, .p = exp(logp), .r = toy_reward(ids, n, ended)};
    memcpy(c->ids, ids, (size_t)n * sizeof *ids);
}

static double expected_reward(fixture *f, list *l)
{
    int32_t ids[WORDS] = {0};
    double e = 0, mass = 0;
    l->n = 0;
    enumerate(f, 0, 7, 2, ids, 0, NULL, collect, l);
    for (int i = 0; i < l->n; i++) {
        e += l->c[i].p * l->c[i].r;
        mass += l->c[i].p;
    }
    assert_true(fabs(mass - 1) < 1e-5);
    return e;
}

static void hide(fixture *f, const char *words) /* of seven */
{
    capt_param *wte = capt_param_find(&f->m->params, "wte.weight"), *b = capt_param_find(&f->m->params, "ln_f.bias");
    capt_real x[7 * 8], y[8];
    capt_param_get(&f->m->params, wte, x);
    capt_param_get(&f->m->params, b, y);
    for (int v = 0; v < 7; v++)
        x[v * 8] = strchr(words, '0' + v) ? -20 : 0;
    y[0] = 5;
    capt_param_set(&f->m->params, wte, x);
    capt_param_set(&f->m->params, b, y);
}

static void scst_gradient(void **state)
{
    fixture f;
    list l;
    capt_err err = CAPT_ERR_INIT;
    set_up(&f, "ref", &gpt2_one, 7, 0, 9);
    f.in.n_images = 1;
    hide(&f, "013");
    ok(capt_params_train(&f.m->params, "", 1, &err), &err);
    expected_reward(&f, &l);
    for (int i = 0; i < l.n; i++)
        for (int j = 0; j < l.n; j++) {
            double r[2] = {l.c[i].r, l.c[j].r}, a[2], p = l.c[i].p * l.c[j].p / 2;
            capt_advantage_loo(r, 2, a);
            l.c[i].weight += p * a[0];
            l.c[j].weight += p * a[1];
        }
    capt_params_zero_grad(&f.m->params);
    for (int i = 0; i < l.n; i++) {
        caption *c = &l.c[i];
        int32_t in[WORDS], target[WORDS], one = 0;
        capt_real w[WORDS];
        int T = c->n + c->ended;
        for (int t = 0; t < T; t++) {
            in[t] = t ? c->ids[t - 1] : 1;
            target[t] = t < c->n ? c->ids[t] : 2;
            w[t] = (capt_real)c->weight;
        }
        capt_rows rows = {1, T, &one, in, target, w, 0, 0, 0};
        double loss;
        ok(capt_xe_pass(f.c, f.m, NULL, &f.in, &rows, 1, 0, 1, &loss, &err), &err);
    }
    double h = sizeof(capt_real) == 8 ? 1e-5 : 3e-3, tolerance = sizeof(capt_real) == 8 ? 1e-6 : 2e-2, worst = 0, scale = 0;
    static const char *const names[] = {"h.1.mlp.c_fc.weight", "prefix.weight", "h.0.attn.c_attn.weight", "ln_f.weight"};
    for (int k = 0; k < 4; k++) {
        capt_param *p = capt_param_find(&f.m->params, names[k]);
        assert_non_null(p);
        assert_true(p->t.touched);
        int64_t n = capt_tensor_numel(&p->t);
        capt_real *g = capt_alloc((size_t)n * sizeof *g), *x = capt_alloc((size_t)n * sizeof *x);
        f.be->download(f.be, g, p->t.grad, (size_t)n * sizeof *g);
        capt_param_get(&f.m->params, p, x);
        for (int64_t i = 0; i < n; i += n / 5 + 1) {
            capt_real keep = x[i];
            x[i] = keep + (capt_real)h;
            capt_param_set(&f.m->params, p, x);
            double up = expected_reward(&f, &l);
            x[i] = keep - (capt_real)h;
            capt_param_set(&f.m->params, p, x);
            double down = expected_reward(&f, &l);
            x[i] = keep;
            capt_param_set(&f.m->params, p, x);
            double want = (up - down) / (2 * h);
            scale = fmax(scale, fabs(want));
            worst = fmax(worst, fabs(-(double)g[i] - want));
        }
        free(g);
        free(x);
    }
    assert_true(scale > 1e-3);
    if (worst > tolerance * scale)
        fail_msg("worst difference %g of %g", worst, scale);
    tear_down(&f);
}

static int unknown; /* captions with the unknown word */

static int length_reward(void *arg, const capt_rated *c, int n, double *reward, capt_err *err)
{
    int *calls = arg;
    for (int i = 0; i < n; i++) {
        ++*calls;
        unknown += strstr(c[i].caption, "<unk>") != NULL;
        reward[i] = c[i].image == 1 && *calls > 1000 ? NAN : (double)strlen(c[i].caption) + c[i].ended;
    }
    return 0;
}

/* Every baseline gives a gradient; beam-mean's advantages sum to nothing, whatever the rewards; a reward that cannot be told ends the pass. What is rewarded may
 * have padding and BOS, which the reward sees as the unknown word: their probability is in the gradient, so they must be in the samples. */
static void baselines(void **state)
{
    for (int k = CAPT_BASELINE_LOO; k <= CAPT_BASELINE_BEAM_MEAN; k++) {
        fixture f;
        capt_err err = CAPT_ERR_INIT;
        set_up(&f, "guard", &gpt2_one, 7, 0, 13);
        hide(&f, "3");
        ok(capt_params_train(&f.m->params, "", 1, &err), &err);
        capt_scorer *s = capt_scorer_model(f.m, NULL, &err);
        assert_non_null(s);
        const uint64_t id[I] = {3, 4};
        const capt_scst_opts o = {.samples = 4, .baseline = (capt_baseline)k, .temperature = 1, .seed = 1};
        capt_scst_stats st;
        int calls = 0;
        unknown = 0;
        ok(capt_scst_pass(f.c, f.m, NULL, s, &f.in, id, 0, &o, length_reward, &calls, &st, &err), &err);
        assert_int_equal(calls, k == CAPT_BASELINE_GREEDY ? I * 5 : I * 4);
        assert_true(unknown > 0);
        assert_true(st.reward > 0 && st.words > 0 && st.advantage_sd > 0);
        assert_true(k == CAPT_BASELINE_GREEDY || fabs(st.reward - st.baseline) < 1e-9);
        assert_true(f.m->params.v[0]->t.touched);
        calls = 1000;
        assert_int_equal(capt_scst_pass(f.c, f.m, NULL, s, &f.in, id, 0, &o, length_reward, &calls, &st, &err), -1);
        assert_non_null(strstr(err.text, "cannot be told"));
        capt_scorer_free(s);
        tear_down(&f);
    }
}

static void advantages(void **state)
{
    double r[3] = {1, 2, 6}, a[3];
    capt_advantage_loo(r, 3, a);
    assert_true(fabs(a[0] + 3) < 1e-12 && fabs(a[1] + 1.5) < 1e-12 && fabs(a[2] - 4.5) < 1e-12);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(alignment), cmocka_unit_test(steps_equal_forward), cmocka_unit_test(pads_change_nothing), cmocka_unit_test(gradients), cmocka_unit_test(loss_falls), cmocka_unit_test(resume_is_exact), cmocka_unit_test(beam_laws), cmocka_unit_test(beam_options),
        cmocka_unit_test(sampling_is_fair), cmocka_unit_test(scst_gradient), cmocka_unit_test(advantages), cmocka_unit_test(baselines),
    };
    n_variants = all_variants(variants, sizeof variants / sizeof *variants);
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
