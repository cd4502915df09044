/* The attention that captioners show: of each word over the image's feature rows. */
#include "model_rig.h"
#include "op/op.h"

enum { ROWS = 3 };
static const int32_t lengths[I] = {3, 2};

/* Captioners that have none: an image is one vector, or its rows are mixed before the words see them. */
static int shows(const variant *v)
{
    return strcmp(v->type, "show-tell") != 0 && !(strcmp(v->type, "gpt2") == 0 && v->tokens != 0);
}

/* compat "m2" looks at pads */
static int sees_pads(const variant *v)
{
    return !strcmp(v->type, "m2") && v->choice == 1;
}

/* (3,WORDS,ROWS) of teacher forcing; 0 when there are none */
static int forced(fixture *f, capt_real *map)
{
    capt_err err = CAPT_ERR_INIT;
    capt_ctx_reset(f->c);
    capt_feat x = capt_image_features(f->c, f->m, NULL, &f->in);
    capt_aux aux = {.show = 1};
    f->m->type->forward(f->c, f->m, &x, 3, WORDS, row_image, tokens3, &aux);
    ok(capt_ctx_check(f->c, &err), &err);
    if (!aux.attention)
        return 0;
    assert_int_equal(capt_tensor_numel(aux.attention), 3 * WORDS * ROWS);
    capt_ctx_download(f->c, map, aux.attention->data, (size_t)(3 * WORDS * ROWS) * sizeof *map);
    return 1;
}

/* The same step by step, rows turned under way. */
static void stepped(fixture *f, capt_real *map)
{
    static const int32_t turn[3] = {2, 0, 1};
    capt_err err = CAPT_ERR_INIT;
    int order[3] = {0, 1, 2};
    capt_ctx_reset(f->c);
    capt_feat x = capt_image_features(f->c, f->m, NULL, &f->in);
    capt_state *s = f->m->type->prefill(f->c, f->m, &x, 3, WORDS);
    ok(capt_ctx_check(f->c, &err), &err);
    s->show = 1;
    capt_state_rows(s, row_image, 3);
    for (int t = 0; t < WORDS; t++) {
        int32_t in[3];
        if (t == 2) {
            int was[3] = {order[0], order[1], order[2]};
            capt_state_rows(s, turn, 3);
            for (int r = 0; r < 3; r++)
                order[r] = was[turn[r]];
        }
        for (int r = 0; r < 3; r++)
            in[r] = tokens3[order[r] * WORDS + t];
        capt_ctx_reset(f->c);
        f->m->type->step(f->c, f->m, s, in);
        ok(capt_ctx_check(f->c, &err), &err);
        assert_non_null(s->attention);
        for (int r = 0; r < 3; r++)
            capt_ctx_download(f->c, map + (order[r] * WORDS + t) * ROWS, (capt_real *)s->attention->data + r * ROWS, ROWS * sizeof *map);
    }
    capt_state_free(s);
}

/* The weights of a word sum to 1 over the image's own rows and are 0 on pads; they differ between images and words; decoding shows what teacher forcing shows. */
static void maps(void **state)
{
    for (int d = 0; d < N_DEVICES; d++)
        EACH_VARIANT (v)
            for (int pads = 0; pads < 2 && v->rows == ROWS; pads++) {
                fixture f;
                capt_real a[3 * WORDS * ROWS], b[3 * WORDS * ROWS];
                set_up(&f, devices[d], v, MAX_V, 0, 31);
                f.in.len = pads ? lengths : NULL;
                assert_int_equal(forced(&f, a), shows(v));
                if (shows(v)) {
                    stepped(&f, b);
                    assert_true(distance(a, b, 3 * WORDS * ROWS) < 2e-5);
                    for (int r = 0; r < 3 * WORDS; r++) {
                        double sum = 0;
                        int n = pads ? lengths[row_image[r / WORDS]] : ROWS;
                        for (int s = 0; s < ROWS; s++) {
                            sum += (double)a[r * ROWS + s];
                            assert_true(s < n || sees_pads(v) || (a[r * ROWS + s] == 0 && b[r * ROWS + s] == 0));
                        }
                        assert_true(fabs(sum - 1) < 1e-5);
                    }
                    assert_true(distance(a, a + WORDS * ROWS, ROWS) > 1e-4);          /* another image */
                    assert_true(distance(a + ROWS, a + 2 * ROWS, ROWS) > 1e-5);       /* another word */
                }
                tear_down(&f);
            }
}

/* What a captioner is not asked for does not change what it is asked for, and a captioner that would have to work for it shows none unasked. */
static void unasked(void **state)
{
    EACH_VARIANT (v) {
        fixture f;
        capt_err err = CAPT_ERR_INIT;
        if (v->rows != ROWS)
            continue;
        set_up(&f, "guard", v, MAX_V, 0, 33);
        capt_scorer *s = capt_scorer_model(f.m, NULL, &err);
        capt_found plain[I * 2], shown[I * 2];
        capt_beam_opts o = {.beam = 2, .nbest = 2};
        ok(capt_beam_run(s, &f.in, &o, plain, &err), &err);
        o.detail = CAPT_DETAIL_ATTENTION;
        ok(capt_beam_run(s, &f.in, &o, shown, &err), &err);
        for (int i = 0; i < I * 2; i++) {
            assert_int_equal(plain[i].n, shown[i].n);
            assert_memory_equal(plain[i].ids, shown[i].ids, (size_t)plain[i].n * sizeof(int32_t));
            assert_true(plain[i].logprob == shown[i].logprob);
            assert_null(plain[i].attention);
            assert_int_equal(shown[i].attention != NULL, shows(v));
        }
        capt_found_free(plain, I * 2);
        capt_found_free(shown, I * 2);
        capt_scorer_free(s);
        tear_down(&f);
    }
}

static const variant *variant_of(const char *type, int rows, int tokens)
{
    EACH_VARIANT (v)
        if (!strcmp(v->type, type) && v->rows == rows && v->tokens == tokens)
            return v;
    fail_msg("no variant of %s", type);
    return NULL;
}

/* An ensemble shows its members' mean by their weights, for the words it chose; members that look at other numbers of rows, or at none, leave nothing to show. */
static void ensembles(void **state)
{
    static const struct { const char *a, *b; int rows_b, shown; } pairs[] = {{"transformer", "updown", ROWS, 1}, {"m2", "attend-tell", ROWS, 1}, {"updown", "gpt2", ROWS, 1},
                                                                             {"transformer", "updown", 1, 0},    {"transformer", "show-tell", ROWS, 0}};
    static const double weight[2] = {3, 1};
    for (size_t p = 0; p < sizeof pairs / sizeof *pairs; p++) {
        fixture f[2];
        capt_err err = CAPT_ERR_INIT;
        capt_scorer *m[2];
        set_up(&f[0], "guard", variant_of(pairs[p].a, ROWS, 0), MAX_V, 0, 41);
        set_up(&f[1], "guard", variant_of(pairs[p].b, pairs[p].rows_b, pairs[p].rows_b == 1), MAX_V, 0, 42);
        capt_model *other = f[1].m; /* an ensemble is on one device */
        json_t *config = json_deep_copy(other->config);
        f[1].m = capt_model_new(config, small_vocab(MAX_V), NULL, f[0].be, CAPT_F32, 42, &err);
        json_decref(config);
        capt_model_free(other);
        for (int k = 0; k < 2; k++)
            m[k] = capt_scorer_model(f[k].m, NULL, &err);
        capt_scorer *s = capt_scorer_ensemble_take(m, 2, weight, 0, &err);
        assert_non_null(s);
        capt_input in[2] = {f[0].in, f[1].in};
        capt_found got[I];
        capt_beam_opts o = {.beam = 2, .nbest = 1, .detail = CAPT_DETAIL_WORDS | CAPT_DETAIL_ATTENTION};
        ok(capt_beam_run(s, in, &o, got, &err), &err);
        for (int i = 0; i < I; i++) {
            assert_int_equal(got[i].attention != NULL, pairs[p].shown);
            int n = got[i].n + got[i].ended;
            double want[WORDS * ROWS] = {0};
            for (int k = 0; k < 2 && pairs[p].shown; k++) { /* teacher forced on the words chosen */
                int32_t tokens[WORDS] = {1}, one = i;
                memcpy(tokens + 1, got[i].ids, (size_t)(n - 1) * sizeof *tokens);
                capt_real map[WORDS * ROWS];
                capt_ctx *c = capt_ctx_new(f[0].be, CAPT_F32, &err);
                capt_feat x = capt_image_features(c, f[k].m, NULL, &f[k].in);
                capt_aux aux = {.show = 1};
                f[k].m->type->forward(c, f[k].m, &x, 1, n, &one, tokens, &aux);
                capt_ctx_download(c, map, capt_ctx_bad(c) ? NULL : aux.attention->data, (size_t)(n * ROWS) * sizeof *map);
                ok(capt_ctx_check(c, &err), &err);
                capt_ctx_free(c);
                for (int j = 0; j < n * ROWS; j++)
                    want[j] += weight[k] / 4 * (double)map[j];
            }
            for (int j = 0; j < n * ROWS && pairs[p].shown; j++)
                assert_true(fabs((double)got[i].attention[j] - want[j]) < 1e-5);
        }
        capt_found_free(got, I);
        capt_scorer_free(s);
        capt_model_free(f[1].m);
        capt_ctx_free(f[1].c);
        capt_backend *be = f[1].be;
        tear_down(&f[0]);
        capt_backend_close(be);
    }
}

/* The mesh: with the gates' weights zero they are all one half, and the map is the plain mean of the levels'; opened to one level by the bias, it is that level's. */
static void gates(void **state)
{
    fixture f;
    capt_real map[4][3 * WORDS * ROWS];
    set_up(&f, "guard", variant_of("m2", ROWS, 0), MAX_V, 0, 51);
    for (int how = 0; how < 3; how++) { /* both, the first level, the second */
        for (int k = 0; k < 2; k++) {
            char name[32];
            capt_real w[8 * 16] = {0}, b[8];
            snprintf(name, sizeof name, "dec.1.gate.%d.weight", k);
            capt_param_set(&f.m->params, capt_param_find(&f.m->params, name), w);
            snprintf(name, sizeof name, "dec.1.gate.%d.bias", k);
            for (int j = 0; j < 8; j++)
                b[j] = how == 0 ? 0 : how == k + 1 ? 20 : -20;
            capt_param_set(&f.m->params, capt_param_find(&f.m->params, name), b);
        }
        assert_true(forced(&f, map[how]));
    }
    for (int j = 0; j < 3 * WORDS * ROWS; j++)
        map[3][j] = (map[1][j] + map[2][j]) / 2;
    assert_true(distance(map[1], map[2], 3 * WORDS * ROWS) > 1e-3);
    assert_true(distance(map[0], map[3], 3 * WORDS * ROWS) < 1e-5);
    tear_down(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(maps), cmocka_unit_test(unasked), cmocka_unit_test(ensembles), cmocka_unit_test(gates)};
    n_variants = all_variants(variants, sizeof variants / sizeof *variants);
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
