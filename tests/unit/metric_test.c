/* Metrics against the public scorer's output (golden/metric.json, and the 1,000-image demo where the data is at hand), and
 * the laws they keep: order, threads, repetition, empty input; document frequency files. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>
#include "base/json.h"
#include "base/mem.h"
#include "base/thread.h"
#include "metric/bleu.h"
#include "metric/df_priv.h"
#include "metric/metric.h"
#include "metric/ngram.h"
#include "tests/unit/meteor_golden.h"

static capt_meteor *meteor; /* of golden/meteor.json */

typedef struct set {
    json_t *doc;
    const char **hyps, **refs;
    size_t *at, n;
} set;

/* images: array of objects with a hypothesis and "refs"; perm and times reorder and repeat them. */
static set set_from(json_t *doc, json_t *images, const char *hyp_key, size_t stride, size_t times)
{
    size_t m = json_array_size(images), k = 0;
    set s = {doc, NULL, NULL, NULL, m * times};
    for (size_t i = 0; i < m; i++)
        k += json_array_size(json_object_get(json_array_get(images, i), "refs"));
    s.hyps = capt_alloc(s.n * sizeof *s.hyps);
    s.at = capt_alloc((s.n + 1) * sizeof *s.at);
    s.refs = capt_alloc(k * times * sizeof *s.refs);
    for (size_t i = 0; i < s.n; i++) {
        json_t *o = json_array_get(images, i * stride % m), *refs = json_object_get(o, "refs"), *r;
        size_t j;
        s.hyps[i] = json_string_value(json_object_get(o, hyp_key));
        s.at[i + 1] = s.at[i];
        json_array_foreach(refs, j, r)
            s.refs[s.at[i + 1]++] = json_string_value(r);
    }
    return s;
}

static set golden(size_t stride, size_t times)
{
    capt_err err = CAPT_ERR_INIT;
    json_t *doc = capt_json_load("tests/golden/metric.json", &err);
    if (!doc)
        fail_msg("%s", err.text);
    return set_from(doc, json_object_get(doc, "images"), "hyp", stride, times);
}

static void set_free(set *s)
{
    free(s->hyps);
    free(s->refs);
    free(s->at);
    json_decref(s->doc);
}

static capt_metric_out run(const char *name, const set *s, const capt_df *df, capt_pool *pool)
{
    capt_metric_in in = {.n = s->n, .hyps = s->hyps, .refs = s->refs, .ref_at = s->at, .df = df, .pool = pool, .meteor = meteor};
    in.objects = capt_alloc(s->n * sizeof *in.objects);
    capt_metric_out out;
    capt_err err = CAPT_ERR_INIT;
    const capt_metric *m = capt_metric_find(name);
    assert_non_null(m);
    if (m->fn(&in, &out, &err))
        fail_msg("%s", err.text);
    free((void *)(uintptr_t)in.objects);
    return out;
}

static void assert_close(double got, double want, const char *what, size_t i)
{
    if (!(fabs(got - want) <= 1e-12 * fabs(want)))
        fail_msg("%s[%zu]: %.17g, not %.17g", what, i, got, want);
}

static void golden_values(void **state)
{
    static const char *const name[] = {"bleu", "rouge", "cider"};
    set s = golden(1, 1);
    for (size_t m = 0; m < 3; m++) {
        capt_metric_out out = run(name[m], &s, NULL, NULL);
        json_t *want = json_object_get(s.doc, name[m]);
        for (int k = 0; k < out.n_score; k++) {
            json_t *w = json_is_array(want) ? json_array_get(want, (size_t)k) : want;
            json_t *each = json_object_get(json_object_get(s.doc, "each"), out.score[k].key);
            assert_close(out.score[k].value, json_number_value(w), out.score[k].key, 0);
            assert_int_equal(json_array_size(each), s.n);
            for (size_t i = 0; i < s.n; i++)
                assert_close(out.score[k].each[i], json_number_value(json_array_get(each, i)), out.score[k].key, i);
        }
        capt_metric_out_free(&out);
    }
    set_free(&s);
}

/* The mean adds in numpy's order: equal to the last bit. */
static void mean_values(void **state)
{
    set s = golden(1, 1);
    double x[5000];
    for (size_t i = 0; i < 5000; i++)
        x[i] = 1 / ((double)i + 1);
    size_t i;
    json_t *row;
    json_array_foreach(json_object_get(s.doc, "mean"), i, row) {
        double want = json_number_value(json_array_get(row, 1));
        assert_true(capt_mean(x, (size_t)json_integer_value(json_array_get(row, 0))) == want);
    }
    assert_int_equal(i, 15);
    set_free(&s);
}

/* The official demo: counts to the digit. */
static void demo_values(void **state)
{
    const char *dir = getenv("CAPT_SHARED");
    char path[4096];
    snprintf(path, sizeof path, "%s/data/scoring/fakecap_tokenized.json", dir ? dir : "../shared");
    capt_err err = CAPT_ERR_INIT;
    json_t *doc = access(path, R_OK) ? NULL : capt_json_load(path, &err);
    if (!doc) {
        print_message("# SKIP no demo data\n");
        return;
    }
    set s = set_from(doc, doc, "test", 1, 1);
    static const int64_t guess[4] = {9893, 8893, 7893, 6893}, correct[4] = {5732, 2510, 1043, 423};
    static const double bleu[4] = {.5793995754573356, .40439129741018104, .2785363856619147, .1908290437674253};
    static const double bleu0[4] = {.5999999998800002, .4472135954080309, .29240177375928683, 4.3472087184946525e-05};
    static const double cider[3] = {.7915889857763618, .5267650356834035, 1.2522306511152417};
    capt_metric_out out = run("bleu", &s, NULL, NULL);
    assert_int_equal(out.testlen, 9893);
    assert_int_equal(out.reflen, 9855);
    for (int k = 0; k < 4; k++) {
        assert_int_equal(out.guess[k], guess[k]);
        assert_int_equal(out.correct[k], correct[k]);
        assert_close(out.score[k].value, bleu[k], "Bleu", (size_t)k);
        assert_close(out.score[k].each[0], bleu0[k], "Bleu of image 400", (size_t)k);
    }
    size_t ends = 0;
    for (size_t i = 0; i < s.n; i++) { /* as a reward */
        capt_bleu_refs *r = capt_bleu_refs_new(s.refs + s.at[i], s.at[i + 1] - s.at[i], 0), *e = capt_bleu_refs_new(s.refs + s.at[i], s.at[i + 1] - s.at[i], 1);
        assert_close(capt_bleu_score(r, s.hyps[i], 1), out.score[3].each[i], "Bleu_4 alone", i);
        const char *ref = s.refs[s.at[i]];
        ends += capt_bleu_score(e, ref, 0) < capt_bleu_score(e, ref, 1); /* the right end counts */
        capt_bleu_refs_free(r);
        capt_bleu_refs_free(e);
    }
    assert_true(ends > s.n / 2);
    capt_metric_out_free(&out);
    out = run("rouge", &s, NULL, NULL);
    assert_close(out.score[0].value, .39625269357570847, "ROUGE_L", 0);
    assert_close(out.score[0].each[0], .5, "ROUGE_L of image 400", 0);
    capt_metric_out_free(&out);
    out = run("cider", &s, NULL, NULL);
    assert_close(out.score[0].value, .5997905185184199, "CIDEr", 0);
    for (size_t i = 0; i < 3; i++)
        assert_close(out.score[0].each[i], cider[i], "CIDEr of an image", i);
    capt_metric_out_free(&out);
    out = run("cider-plain", &s, NULL, NULL);
    assert_true(fabs(out.score[0].value - .7110599515) < 1e-10);
    capt_metric_out_free(&out);
    set_free(&s);
}

static void threads_change_no_bit(void **state)
{
    set s = golden(1, 1);
    capt_pool *pool = capt_pool_new(4, NULL);
    for (const capt_metric *m = capt_metrics; m->name; m++) {
        capt_metric_out a = run(m->name, &s, NULL, NULL), b = run(m->name, &s, NULL, pool);
        for (int k = 0; k < a.n_score; k++) {
            assert_memory_equal(&a.score[k].value, &b.score[k].value, sizeof(double));
            if (a.score[k].each)
                assert_memory_equal(a.score[k].each, b.score[k].each, s.n * sizeof(double));
        }
        capt_metric_out_free(&a);
        capt_metric_out_free(&b);
    }
    capt_pool_free(pool);
    set_free(&s);
}

static void order_of_images(void **state)
{
    enum { STRIDE = 37 }; /* no divisor of 140 */
    set s = golden(1, 1), p = golden(STRIDE, 1);
    for (const capt_metric *m = capt_metrics; m->name; m++) {
        capt_metric_out a = run(m->name, &s, NULL, NULL), b = run(m->name, &p, NULL, NULL);
        assert_memory_equal(a.correct, b.correct, sizeof a.correct);
        assert_memory_equal(a.guess, b.guess, sizeof a.guess);
        assert_int_equal(a.reflen, b.reflen);
        for (int k = 0; k < a.n_score; k++) {
            assert_close(b.score[k].value, a.score[k].value, m->name, 0);
            for (size_t i = 0; a.score[k].each && i < s.n; i++)
                assert_memory_equal(&b.score[k].each[i], &a.score[k].each[i * STRIDE % s.n], sizeof(double));
        }
        capt_metric_out_free(&a);
        capt_metric_out_free(&b);
    }
    set_free(&s);
    set_free(&p);
}

static void repeated_images(void **state)
{
    set s = golden(1, 1), k = golden(1, 3);
    capt_metric_out a = run("bleu", &s, NULL, NULL), b = run("bleu", &k, NULL, NULL);
    assert_int_equal(b.testlen, 3 * a.testlen);
    assert_int_equal(b.reflen, 3 * a.reflen);
    for (int n = 0; n < 4; n++) {
        assert_int_equal(b.guess[n], 3 * a.guess[n]);
        assert_int_equal(b.correct[n], 3 * a.correct[n]);
    }
    capt_metric_out_free(&a);
    capt_metric_out_free(&b);
    a = run("rouge", &s, NULL, NULL);
    b = run("rouge", &k, NULL, NULL);
    assert_close(b.score[0].value, a.score[0].value, "ROUGE_L repeated", 0);
    capt_metric_out_free(&a);
    capt_metric_out_free(&b);
    a = run("cider", &s, NULL, NULL);
    for (size_t i = 0; i < s.n; i++)
        assert_true(a.score[0].each[i] >= 0 && a.score[0].each[i] <= 10 + 1e-9);
    capt_metric_out_free(&a);
    set_free(&s);
    set_free(&k);
}

static void odd_inputs(void **state)
{
    const char *hyps[] = {"a dog", "a cat"}, *refs[] = {"a dog", "the cat"};
    size_t none[] = {0, 0, 1}, one[] = {0, 1, 2};
    for (const capt_metric *m = capt_metrics; m->name; m++) {
        capt_metric_in in = {.hyps = hyps, .refs = refs, .ref_at = one, .meteor = meteor};
        capt_metric_out out = {.n_score = 0};
        capt_err err = CAPT_ERR_INIT;
        assert_int_equal(m->fn(&in, &out, &err), -1);
        assert_int_equal(err.code, CAPT_EDATA);
        in = (capt_metric_in){.n = 2, .hyps = hyps, .refs = refs, .ref_at = none, .meteor = meteor};
        assert_int_equal(m->fn(&in, &out, NULL), -1);
    }
    /* one image: log(1) = 0, so all weights are 0 */
    set s = {NULL, hyps, refs, one, 1};
    capt_metric_out out = run("cider", &s, NULL, NULL);
    assert_true(out.score[0].value == 0);
    capt_metric_out_free(&out);
    /* two empty captions: ROUGE sees one empty word in each */
    const char *empty[] = {""};
    s = (set){NULL, empty, empty, one, 1};
    out = run("rouge", &s, NULL, NULL);
    assert_true(out.score[0].value == 1);
    capt_metric_out_free(&out);
    out = run("bleu", &s, NULL, NULL);
    assert_true(out.score[0].value >= 0 && out.score[0].value < 1e-5);
    capt_metric_out_free(&out);
    assert_null(capt_metric_find("spice"));
}

static void squares_use_pow(void **state)
{
    double (*volatile libm_pow)(double, double) = pow;
    int differ = 0;
    for (int i = 1; i < 20000; i++) {
        double x = log(1 + i * .37);
        assert_true(capt_pow(x, 2.0) == libm_pow(x, 2.0));
        differ += libm_pow(x, 2.0) != x * x;
    }
    print_message("# pow(x,2) differs from x*x in %d of 20000\n", differ);
}

static void words_split_like_python(void **state)
{
    static const struct { const char *line; size_t words, grams;
    } row[] = {{"", 0, 0},
               {"  ", 0, 0},
               {"a", 1, 1},
               {" a  b\tc ", 3, 6},
               {"2\xc2\xa0"
                "1/2",
                2, 3},
               {"a\xe2\x80\x89"
                "b",
                2, 3},
               {"a\xe3\x80\x80"
                "b",
                2, 3},
               {"a a a a a", 5, 4},
               {"caf\xc3\xa9", 1, 1},
               {"a\x1c"
                "b",
                2, 3},
               {"\xe2\x80\x8b"
                "a",
                1, 1}};
    capt_sent s = {0};
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        capt_sent_set(&s, row[i].line, 0, 0);
        assert_int_equal(s.n_words, row[i].words);
        assert_int_equal(s.grams.n, row[i].grams);
    }
    capt_sent_set(&s, "a b", 1, 0);
    assert_int_equal(s.n_words, 3);
    capt_sent_free(&s);
}

static double reward(const capt_df *df, const char *const *refs, size_t n, const char *hyp)
{
    capt_cider_refs *r = capt_cider_refs_new(df, refs, n);
    capt_cider_scratch *scratch = capt_cider_scratch_new();
    capt_cider_score(df, r, "some other words before it , many more of them", scratch);
    double v = capt_cider_score(df, r, hyp, scratch);
    capt_cider_scratch_free(scratch);
    capt_cider_refs_free(r);
    return v;
}

static void rewards(void **state)
{
    set s = golden(1, 1);
    capt_df *df = capt_df_new(s.refs, s.at, s.n, 0, "none", NULL, NULL, NULL),
            *eos = capt_df_new(s.refs, s.at, s.n, 1, "none", NULL, NULL, NULL);
    assert_int_equal(capt_df_images(df), s.n);
    assert_int_equal(capt_df_count(df, "<eos>"), 0);
    assert_int_equal(capt_df_count(eos, "<eos>"), s.n);
    assert_int_equal(capt_df_count(df, "no such words"), 0);
    uint32_t want = 0;
    for (size_t i = 0; i < s.n; i++) {
        int has = 0;
        for (size_t r = s.at[i]; r < s.at[i + 1]; r++)
            has |= !strncmp(s.refs[r], "two dogs ", 9);
        want += (uint32_t)has;
    }
    assert_true(want > 5);
    assert_true(capt_df_count(df, "two dogs") >= want); /* once an image, also in the middle of a long line */
    assert_true(capt_df_count(df, "two dogs") <= want + 1);
    capt_metric_out out = run("cider", &s, NULL, NULL);
    for (size_t i = 0; i < s.n; i++) {
        double v = reward(df, s.refs + s.at[i], s.at[i + 1] - s.at[i], s.hyps[i]);
        assert_memory_equal(&v, &out.score[0].each[i], sizeof v);
    }
    capt_metric_out_free(&out);
    const char *ref[] = {"a man on a bench"};
    assert_close(reward(eos, ref, 1, ref[0]), 10, "itself", 0);
    assert_true(reward(eos, ref, 1, "a man on a") < reward(df, ref, 1, "a man on a"));
    capt_df_free(df);
    capt_df_free(eos);
    set_free(&s);
}

static void put_file(const char *path, const char *p, size_t n)
{
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(p, 1, n, f), n);
    assert_int_equal(fclose(f), 0);
}

static void df_files(void **state)
{
    char dir[] = "/tmp/capt-metric-XXXXXX", path[64], bad[64];
    assert_non_null(mkdtemp(dir));
    snprintf(path, sizeof path, "%s/a.df", dir);
    snprintf(bad, sizeof bad, "%s/b.df", dir);
    set s = golden(1, 1);
    capt_err err = CAPT_ERR_INIT;
    capt_df *df = capt_df_new(s.refs, s.at, s.n, 1, "ptb-3.4.1", "0123456789abcdef0123456789abcdef", NULL, &err);
    assert_int_equal(capt_df_write(df, path, &err), 0);
    capt_df *map = capt_df_open(path, &err);
    if (!map)
        fail_msg("%s", err.text);
    assert_string_equal(capt_df_tokenizer(map), "ptb-3.4.1");
    assert_string_equal(capt_df_source(map), capt_df_source(df));
    assert_int_equal(capt_df_eos(map), 1);
    assert_int_equal(capt_df_images(map), s.n);
    assert_int_equal(capt_df_ngrams(map), capt_df_ngrams(df));
    capt_metric_out a = run("cider", &s, df, NULL), b = run("cider", &s, map, NULL);
    assert_memory_equal(a.score[0].each, b.score[0].each, s.n * sizeof(double));
    capt_metric_out_free(&a);
    capt_metric_out_free(&b);
    capt_df_free(map);
    capt_df_free(df);
    set_free(&s);

    size_t n;
    char *p = capt_file_read(path, 0, &n, &err);
    assert_non_null(p);
    static const struct {
        size_t at;
        long cut;
    } damage[] = {{0, 0},   {8, 0},   {12, 0},  {16, 0}, {50, 0}, {90, 0},  {96, 0}, {104, 0},
                  {112, 0}, {130, 0}, {300, 0}, {0, 1},  {0, 16}, {0, 300}, {0, -1}};
    for (size_t i = 0; i < sizeof damage / sizeof *damage; i++) {
        char *q = capt_alloc(n + 1);
        memcpy(q, p, n);
        if (!damage[i].cut)
            q[damage[i].at] ^= 0x40;
        put_file(bad, q, (size_t)((long)n - damage[i].cut));
        free(q);
        capt_err e = CAPT_ERR_INIT;
        map = capt_df_open(bad, &e);
        assert_null(map);
        assert_int_equal(e.code, CAPT_EDATA);
        assert_non_null(strstr(e.text, "b.df"));
    }
    put_file(bad, "", 0);
    assert_null(capt_df_open(bad, NULL));
    free(p);
    remove(path);
    remove(bad);
    rmdir(dir);
}

static void clashing_keys(void **state)
{
    set s = golden(1, 1);
    capt_err err = CAPT_ERR_INIT;
    assert_null(df_new(s.refs, s.at, s.n, 0, 8, NULL, &err)); /* no seed can help */
    assert_int_equal(err.code, CAPT_EDATA);
    int reseeded = 0;
    for (size_t n = 1; n < 12; n++) { /* few n-grams and 13 bits: some sets need another seed */
        capt_df *df = df_new(s.refs, s.at, n, 0, 13, NULL, NULL);
        if (!df)
            continue;
        reseeded += df->h.seed != 0;
        capt_df *full = df_new(s.refs, s.at, n, 0, 64, NULL, NULL);
        assert_int_equal(full->h.seed, 0);
        assert_int_equal(capt_df_ngrams(df), capt_df_ngrams(full));
        capt_df_free(df);
        capt_df_free(full);
    }
    assert_true(reseeded > 0);
    set_free(&s);
}

/* One long reference: its n-grams are more than the room that one reference gets at first. The table is the same for any
 * number of threads. */
static void many_ngrams(void **state)
{
    enum { WORDS = 20000 };
    char *line = capt_alloc(8 * WORDS + 1), *to = line;
    for (int i = 0; i < WORDS; i++)
        to += sprintf(to, "w%d ", i);
    const char *refs[] = {"a dog", line, "w3 w4 a dog w3 w4", "w3 w4"};
    size_t at[] = {0, 2, 4};
    capt_pool *pool = capt_pool_new(3, NULL);
    capt_df *df = capt_df_new(refs, at, 2, 0, "none", NULL, NULL, NULL), *same = capt_df_new(refs, at, 2, 0, "none", NULL, pool, NULL);
    assert_int_equal(capt_df_ngrams(df), 4 * WORDS - 6 + 3 + 9);
    assert_int_equal(capt_df_count(df, "w3 w4"), 2);
    assert_int_equal(capt_df_count(df, "a dog"), 2);
    assert_int_equal(capt_df_count(df, "w4 w3"), 0);
    for (int i = 0; i + 3 < WORDS; i += 7) {
        char gram[64];
        snprintf(gram, sizeof gram, "w%d w%d w%d w%d", i, i + 1, i + 2, i + 3);
        assert_int_equal(capt_df_count(df, gram), 1);
    }
    assert_int_equal(df->h.n_slots, same->h.n_slots);
    assert_memory_equal(df->slot, same->slot, df->h.n_slots * sizeof *df->slot);
    capt_df_free(df);
    capt_df_free(same);
    capt_pool_free(pool);
    free(line);
}

static int open_meteor(void **state)
{
    char dir[] = "/tmp/capt-metric-XXXXXX", command[64];
    json_t *doc = capt_json_load("tests/golden/meteor.json", NULL);
    if (!doc || !mkdtemp(dir))
        return -1;
    golden_tree(dir, doc, 1);
    meteor = capt_meteor_open(dir, NULL, NULL);
    json_decref(doc);
    snprintf(command, sizeof command, "rm -r %s", dir);
    return system(command) || !meteor;
}

static int close_meteor(void **state)
{
    capt_meteor_close(meteor);
    return 0;
}

int main(void)
{
    cmocka_set_message_output(CM_OUTPUT_TAP);
    const struct CMUnitTest tests[] = {cmocka_unit_test(golden_values),
                                       cmocka_unit_test(mean_values),
                                       cmocka_unit_test(demo_values),
                                       cmocka_unit_test(threads_change_no_bit),
                                       cmocka_unit_test(order_of_images),
                                       cmocka_unit_test(repeated_images),
                                       cmocka_unit_test(odd_inputs),
                                       cmocka_unit_test(squares_use_pow),
                                       cmocka_unit_test(words_split_like_python),
                                       cmocka_unit_test(rewards),
                                       cmocka_unit_test(df_files),
                                       cmocka_unit_test(clashing_keys), cmocka_unit_test(many_ngrams)};
    return cmocka_run_group_tests_name("metric", tests, open_meteor, close_meteor);
}
