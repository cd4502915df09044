/* Taggers: the loss against the textbook's formula and its gradient against differences, what is predicted, how it is counted; nouns of captions. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "base/mem.h"
#include "base/rng.h"
#include "text/nouns.h"
#include "train/tagger.h"

enum { I = 3, S = 4, D = 5, K = 6, V = K + CAPT_TAG_FIRST };
static const char *const names[] = {"dog", "traffic light", "cat", "man", "tree", "sky"};
static const char *const tags0[] = {"cat", "dog", "cat"}, *const tags2[] = {"traffic light", "unheard of", "sky"};
static const capt_caption rec[I] = {{.id = {.is_int = 1, .i = 1}, .tags = (const char **)tags0, .n_tags = 3},
                                    {.id = {.is_int = 1, .i = 2}},
                                    {.id = {.is_int = 1, .i = 3}, .tags = (const char **)tags2, .n_tags = 3}};
static const capt_caption *const recs[I] = {&rec[0], &rec[1], &rec[2]};
static const int wanted[I][K] = {{1, 0, 1, 0, 0, 0}, {0}, {0, 1, 0, 0, 0, 1}};

typedef struct fixture { capt_backend *be; capt_model *m; capt_ctx *c; capt_scorer *s; capt_real feat[I * S * D]; capt_input in; } fixture;

static void ok(int rc, const capt_err *err)
{
    if (rc)
        fail_msg("%s", err->text);
}

static void set_up(fixture *f, const char *head)
{
    capt_err err = CAPT_ERR_INIT;
    f->be = capt_backend_open("guard", NULL, &err);
    assert_non_null(f->be);
    json_t *config = json_pack("{s:s, s:s, s:i, s:i, s:f}", "type", head, "feature", "grid", "feature_rows", S, "feature_dim", D, "dropout", 0.0);
    if (strcmp(head, "linear"))
        json_object_set_new(config, "width", json_integer(7));
    if (!strcmp(head, "cnn"))
        json_object_set_new(config, "layers", json_integer(2));
    f->m = capt_model_new(config, capt_vocab_new_words(names, NULL, K, &err), NULL, f->be, CAPT_F32, 5, &err);
    json_decref(config);
    if (!f->m)
        fail_msg("%s", err.text);
    f->c = capt_ctx_new(f->be, CAPT_F32, &err);
    f->s = capt_scorer_model(f->m, NULL, &err);
    ok(capt_params_train(&f->m->params, "", 1, &err), &err);
    for (int k = 0; k < I * S * D; k++)
        f->feat[k] = (capt_real)capt_rng_normal(7, (uint64_t)k);
    f->in = (capt_input){.n_images = I, .feat = f->feat, .S = S, .D = D};
}

static void tear_down(fixture *f)
{
    capt_scorer_free(f->s);
    capt_ctx_free(f->c);
    capt_model_free(f->m);
    capt_backend_close(f->be);
}

static double loss_of(fixture *f, int backward)
{
    capt_err err = CAPT_ERR_INIT;
    double loss;
    ok(capt_tagger_pass(f->c, f->m, &f->in, recs, backward, &loss, &err), &err);
    return loss;
}

static void binary_cross_entropy(void **state)
{
    static const char *const heads[] = {"linear", "cnn"};
    for (int h = 0; h < 2; h++) {
        fixture f;
        capt_err err = CAPT_ERR_INIT;
        set_up(&f, heads[h]);
        capt_real p[I * V];
        ok(capt_tagger_predict(f.c, f.m, f.s, &f.in, p, &err), &err);
        double want = 0;
        for (int i = 0; i < I; i++) {
            for (int k = 0; k < CAPT_TAG_FIRST; k++)
                assert_true(p[i * V + k] == 0);
            for (int k = 0; k < K; k++) {
                double q = (double)p[i * V + CAPT_TAG_FIRST + k];
                want -= log(wanted[i][k] ? q : 1 - q) / I;
            }
        }
        assert_true(fabs(loss_of(&f, 0) - want) < 1e-5);
        tear_down(&f);
    }
}

static void gradients(void **state)
{
    static const char *const heads[] = {"linear", "cnn", "lstm"};
    for (int h = 0; h < 3; h++) {
        fixture f;
        set_up(&f, heads[h]);
        loss_of(&f, 1);
        for (int i = 0; i < f.m->params.n; i++) {
            capt_param *p = f.m->params.v[i];
            size_t n = (size_t)capt_tensor_numel(&p->t);
            capt_real *g = capt_alloc(n * sizeof *g), *x = capt_alloc(n * sizeof *x);
            assert_true(p->t.touched);
            f.be->download(f.be, g, p->t.grad, n * sizeof *g);
            capt_param_get(&f.m->params, p, x);
            double slope = 0, square = 0, step;
            for (size_t k = 0; k < n; k++)
                square += (double)g[k] * (double)g[k];
            if (square < 1e-8) {
                free(g);
                free(x);
                continue;
            }
            step = (sizeof(capt_real) == 8 ? 1e-5 : 2e-3) / sqrt(square); /* along the gradient */
            for (int side = 1; side >= -1; side -= 2) {
                capt_real *y = capt_alloc(n * sizeof *y);
                for (size_t k = 0; k < n; k++)
                    y[k] = x[k] + (capt_real)(side * step) * g[k];
                capt_param_set(&f.m->params, p, y);
                slope += side * loss_of(&f, 0) / (2 * step);
                free(y);
            }
            capt_param_set(&f.m->params, p, x);
            if (fabs(slope - square) > 0.02 * square + 1e-5)
                fail_msg("%s: %s: %g along the gradient, %g expected", heads[h], p->name, slope, square);
            free(g);
            free(x);
        }
        tear_down(&f);
    }
}

/* A sentence of tags has none twice, and a probability for each. */
static void sequences(void **state)
{
    fixture f;
    capt_err err = CAPT_ERR_INIT;
    capt_real p[I * V], one[V];
    set_up(&f, "lstm");
    ok(capt_tagger_predict(f.c, f.m, f.s, &f.in, p, &err), &err);
    int given = 0;
    for (int k = 0; k < I * V; k++) {
        assert_true(p[k] >= 0 && p[k] <= 1);
        assert_true(k % V >= CAPT_TAG_FIRST || p[k] == 0);
        given += p[k] > 0;
    }
    assert_true(given > 0);
    for (int i = 0; i < I; i++) { /* the others of the batch do not matter */
        capt_input in = f.in;
        in.n_images = 1;
        in.feat += i * S * D;
        ok(capt_tagger_predict(f.c, f.m, f.s, &in, one, &err), &err);
        assert_memory_equal(one, p + i * V, sizeof one);
    }
    tear_down(&f);
}

static void counting(void **state)
{
    capt_err err = CAPT_ERR_INIT;
    capt_vocab *v = capt_vocab_new_words(names, NULL, K, &err);
    capt_real p[I * V] = {0};
    const double said[I][K] = {{0.9, 0.1, 0.6, 0, 0, 0}, {0, 0, 0, 0.65, 0, 0}, {0, 0.3, 0, 0, 0, 0.8}};
    for (int i = 0; i < I; i++)
        for (int k = 0; k < K; k++)
            p[i * V + CAPT_TAG_FIRST + k] = (capt_real)said[i][k];
    capt_tag_counts n = {0};
    capt_tag_count(&n, v, p, recs, I);
    assert_int_equal(n.images, 3);
    assert_int_equal(n.wanted, 4); /* the unheard of is no tag of this vocabulary, the second cat the same */
    assert_int_equal(n.given[4], 6); /* 0.05 */
    assert_int_equal(n.right[4], 4);
    assert_int_equal(n.given[69], 2); /* 0.70 */
    assert_int_equal(n.right[69], 2);
    capt_tag_quality q = capt_tag_best(&n);
    assert_true(fabs(q.threshold - 0.11) < 1e-9 && fabs(q.precision - 0.8) < 1e-9 && fabs(q.recall - 1) < 1e-9 && fabs(q.f1 - 8.0 / 9) < 1e-9);
    int32_t ids[V];
    assert_int_equal(capt_tags_choose(p, V, 0.2, 0, ids), 2);
    assert_int_equal(ids[0], CAPT_TAG_FIRST);
    assert_int_equal(ids[1], CAPT_TAG_FIRST + 2);
    assert_int_equal(capt_tags_choose(p, V, 0, 0, ids), 3);
    assert_int_equal(capt_tags_choose(p, V, 0, 1, ids), 1);
    assert_int_equal(capt_tags_choose(p, V, 0.95, 0, ids), 0);
    capt_vocab_free(v);
}

/* No list of them is known to the rule; the words are made up where it must not matter. */
static void nouns(void **state)
{
    static const char *const lines[] = {"a red florb is running on the grass", "the florb in a red hat is on the hill", "two florbs are playing with a big red ball", "a big florb with a ball",
                                        "the ball is on the grass", "a brown and red florb and a ball are on the hill", "two florbs on a hill", "a brown florb jumps over the grass",
                                        "some florbs with a brown ball", "the florb on the big hill", "a big brown florb plays", "two red florbs running on the grass", "the florb runs"};
    static const char *const want[] = {"florb", "ball", "florbs", "grass", "hill"}; /* by their numbers, then by bytes */
    capt_arena *a = capt_arena_new(0);
    capt_noun *v;
    size_t n;
    capt_err err = CAPT_ERR_INIT;
    ok(capt_nouns_find(lines, sizeof lines / sizeof *lines, 100, a, &v, &n, &err), &err);
    assert_int_equal(n, sizeof want / sizeof *want);
    for (size_t i = 0; i < n; i++)
        assert_string_equal(v[i].word, want[i]);
    assert_int_equal(v[0].count, 8);
    ok(capt_nouns_find(lines, sizeof lines / sizeof *lines, 1, a, &v, &n, &err), &err);
    assert_int_equal(n, 1);
    static const char *const none[] = {"run", "is it", ""};
    assert_int_equal(capt_nouns_find(none, 3, 100, a, &v, &n, &err), -1);
    capt_arena_free(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(binary_cross_entropy), cmocka_unit_test(gradients), cmocka_unit_test(sequences), cmocka_unit_test(counting), cmocka_unit_test(nouns)};
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
