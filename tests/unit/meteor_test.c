/* METEOR against the public program's statistics (golden/meteor.json on a small set with data of its own; the demo and METEOR's
 * own example where the data are at hand), its sources (tree, jar, WordNet), the cache, and damaged data. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>
#include <cmocka.h>
#include <dirent.h>
#include <minizip/zip.h>
#include "base/mem.h"
#include "base/thread.h"
#include "metric/meteor_priv.h"
#include "metric/metric.h"
#include "tests/unit/meteor_golden.h"

static json_t *doc;
static char dir[] = "/tmp/capt-meteor-XXXXXX";
static char tree[64], bare[64], cache[64]; /* with and without paraphrases */

static int setup(void **state)
{
    doc = capt_json_load("tests/golden/meteor.json", NULL);
    if (!doc || !mkdtemp(dir))
        return -1;
    snprintf(tree, sizeof tree, "%s/tree", dir);
    snprintf(bare, sizeof bare, "%s/bare", dir);
    snprintf(cache, sizeof cache, "%s/a/cache", dir);
    mkdir(tree, 0777);
    mkdir(bare, 0777);
    golden_tree(tree, doc, 1);
    golden_tree(bare, doc, 0);
    return 0;
}

static int teardown(void **state)
{
    char command[64];
    json_decref(doc);
    snprintf(command, sizeof command, "rm -r %s", dir);
    return system(command);
}

static capt_meteor *opened(const char *path, const char *kept)
{
    capt_err err = CAPT_ERR_INIT;
    capt_meteor *m = capt_meteor_open(path, kept, &err);
    if (!m)
        fail_msg("%s", err.text);
    return m;
}

static void assert_refused(const char *path, const char *why)
{
    capt_err err = CAPT_ERR_INIT;
    capt_meteor *m = capt_meteor_open(path, cache, &err);
    if (m || !strstr(err.text, why) || strchr(err.text, '\n') || strncmp(err.text, path, strlen(path)))
        fail_msg("%s: \"%s\", not \"%s\"", path, m ? "opened" : err.text, why);
    assert_null(capt_meteor_open(path, NULL, NULL));
}

/* images: [{key: hypothesis, "refs"}]. */
static capt_metric_out scored(json_t *images, const char *key, const capt_meteor *m, int threads)
{
    size_t n = json_array_size(images), k = 0, i, j;
    const char **hyps = capt_alloc(n * sizeof *hyps), **refs = capt_alloc(16 * n * sizeof *refs);
    size_t *at = capt_alloc((n + 1) * sizeof *at);
    json_t *x, *r;
    json_array_foreach(images, i, x) {
        hyps[i] = json_string_value(json_object_get(x, key));
        json_array_foreach(json_object_get(x, "refs"), j, r)
            refs[k++] = json_string_value(r);
        at[i + 1] = k;
    }
    capt_pool *pool = threads ? capt_pool_new(threads, NULL) : NULL;
    capt_metric_in in = {.n = n, .hyps = hyps, .refs = refs, .ref_at = at, .meteor = m, .pool = pool};
    capt_metric_out out;
    capt_err err = CAPT_ERR_INIT;
    if (capt_meteor_metric(&in, &out, &err))
        fail_msg("%s", err.text);
    capt_pool_free(pool);
    free(hyps);
    free(refs);
    free(at);
    return out;
}

static void assert_golden(const capt_meteor *m, int threads)
{
    const char *key = capt_meteor_full(m) ? "METEOR" : "METEOR-nopara";
    json_t *want = json_object_get(doc, key), *images = json_object_get(doc, "images");
    capt_metric_out out = scored(images, "hyp", m, threads);
    assert_string_equal(out.score[0].key, key);
    double value = json_number_value(json_object_get(want, "value"));
    assert_true(fabs(out.score[0].value - value) <= 1e-12);
    for (size_t i = 0; i < json_array_size(images); i++) {
        json_t *stats = json_array_get(json_object_get(want, "stats"), i);
        for (size_t k = 0; k < CAPT_METEOR_STATS; k++)
            if (out.meteor_each[i][k] != json_integer_value(json_array_get(stats, k)))
                fail_msg("%s, image %zu, statistic %zu: %lld", key, i, k, (long long)out.meteor_each[i][k]);
        double each = json_number_value(json_array_get(json_object_get(want, "each"), i));
        assert_true(fabs(out.score[0].each[i] - each) <= 1e-12);
    }
    double summed, sum[64] = {0};
    for (size_t i = 0; i < json_array_size(images); i++)
        for (size_t k = 0; k < out.n_sum; k++)
            sum[k] += out.sum[i * out.n_sum + k];
    out.of_sum(sum, out.n_sum, &summed);
    assert_true(fabs(summed - value) <= 1e-12);
    capt_metric_out_free(&out);
}

static void golden_statistics(void **state)
{
    const char *path[] = {tree, bare};
    for (int i = 0; i < 2; i++) {
        capt_meteor *m = opened(path[i], NULL);
        assert_int_equal(capt_meteor_full(m), !i);
        assert_golden(m, 0);
        assert_golden(m, 3);
        capt_meteor_close(m);
    }
}

/* One file in the cache; its name. */
static char *kept(void)
{
    static char path[400];
    DIR *d = opendir(cache);
    int n = 0;
    assert_non_null(d);
    for (struct dirent *e = readdir(d); e; e = readdir(d))
        if (e->d_name[0] != '.') {
            snprintf(path, sizeof path, "%s/%s", cache, e->d_name);
            n++;
        }
    closedir(d);
    assert_int_equal(n, 1);
    return path;
}

static void cached(void **state)
{
    capt_meteor *m = opened(tree, cache);
    assert_null(m->map.p);
    capt_meteor_close(m);
    m = opened(tree, cache);
    assert_non_null(m->map.p);
    assert_golden(m, 0);
    size_t n, again;
    char *good = capt_file_read(kept(), 0, &n, NULL);
    capt_meteor_close(m);
    static const long damage[] = {0, 8, 20, 60, 64, 100, 300, 5000, -1, -1000}; /* a byte, or so many missing */
    for (size_t i = 0; i < sizeof damage / sizeof *damage; i++) {
        char *bad = capt_alloc(n);
        memcpy(bad, good, n);
        if (damage[i] >= 0)
            bad[damage[i]] ^= 4;
        FILE *f = fopen(kept(), "wb");
        assert_non_null(f);
        fwrite(bad, 1, damage[i] < 0 ? n - (size_t)-damage[i] : n, f);
        fclose(f);
        free(bad);
        m = opened(tree, cache);
        assert_null(m->map.p); /* made again */
        capt_meteor_close(m);
        char *p = capt_file_read(kept(), 0, &again, NULL);
        assert_int_equal(again, n);
        assert_memory_equal(p, good, n);
        free(p);
    }
    free(good);
}

static void from_jar(void **state)
{
    char jar[100], path[200];
    snprintf(jar, sizeof jar, "%s/meteor-1.5.jar", dir);
    static const char *const member[] = {"synonym/english.synsets", "synonym/english.exceptions", "function/english.words",
                                         "nonbreaking/english.prefixes"};
    char *text[4] = {golden_lines(json_object_get(doc, "synsets")), golden_lines(json_object_get(doc, "exceptions")),
                     capt_strdup("the\na\n"), capt_strdup("# comment\nMr\nNo #NUMERIC_ONLY#\n")};
    for (int n = 3; n <= 4; n++) { /* one member missing, then all there */
        zipFile z = zipOpen(jar, APPEND_STATUS_CREATE);
        for (int i = 0; i < n; i++) {
            zip_fileinfo info = {0};
            assert_int_equal(zipOpenNewFileInZip(z, member[i], &info, NULL, 0, NULL, 0, NULL, Z_DEFLATED, 6), ZIP_OK);
            assert_int_equal(zipWriteInFileInZip(z, text[i], (unsigned)strlen(text[i])), ZIP_OK);
            zipCloseFileInZip(z);
        }
        assert_int_equal(zipClose(z, NULL), ZIP_OK);
        if (n == 3)
            assert_refused(jar, "english.prefixes: not in the archive");
    }
    capt_meteor *m = opened(jar, NULL), *folder = opened(dir, NULL);
    assert_int_equal(capt_meteor_full(m), 0);
    assert_string_equal(capt_meteor_id(m), capt_meteor_id(folder));
    assert_int_equal(meteor_lex_find(m, "the", 3)->flags, LEX_FUNCTION);
    assert_int_equal(meteor_lex_find(m, "No", 2)->flags, LEX_PREFIX_NUMERIC);
    assert_null(meteor_lex_find(m, "in", 2));
    capt_meteor_close(m);
    capt_meteor_close(folder);
    snprintf(path, sizeof path, "%s/data", dir);
    mkdir(path, 0777);
    golden_gzip(dir, "data/paraphrase-en.gz", "1\na\nb\n");
    m = opened(jar, NULL);
    assert_int_equal(capt_meteor_full(m), 1);
    capt_meteor_close(m);
    size_t n;
    char *p = capt_file_read(jar, 0, &n, NULL);
    FILE *f = fopen(jar, "wb");
    fwrite(p, 1, n - 100, f);
    fclose(f);
    assert_refused(jar, "not a jar");
    p[80] ^= 0x55; /* in the first member's data */
    f = fopen(jar, "wb");
    fwrite(p, 1, n, f);
    fclose(f);
    assert_refused(jar, "the archive is damaged");
    unlink(jar);
    free(p);
    for (int i = 0; i < 4; i++)
        free(text[i]);
}

/* Offsets are brought back to those of the original WordNet. */
static void from_wordnet(void **state)
{
    char wn[100];
    snprintf(wn, sizeof wn, "%s/wn", dir);
    mkdir(wn, 0777);
    golden_write(wn, "index.sense",
                 "aa%3:00:00:: 01681477 1 0\nab%3:00:00:: 01681478 1 0\nac%5:00:00:x:0 01700000 1 0\nad%2:38:01:: 00613035 1 0\n"
                 "ae%2:38:01:: 00613036 1 0\naf%2:38:01:: 02422681 1 0\nag%2:38:01:: 02422682 1 0\nah%1:05:01:: 01700000 1 0\n"
                 "ah%4:05:01:: 00000007 1 0\n");
    golden_write(wn, "adj.exc", "better good well\n");
    golden_write(wn, "adv.exc", "");
    golden_write(wn, "noun.exc", "oxen ox\n");
    assert_refused(wn, "verb.exc");
    golden_write(wn, "verb.exc", "ran run\n");
    static const struct { const char *word; uint32_t n, synset; } row[] = {
        {"aa", 1, 1681477}, {"ab", 1, 1681477}, {"ac", 1, 1699999}, {"ad", 1, 613035}, {"ae", 1, 613018},
        {"af", 1, 2422663}, {"ag", 1, 2422682}, {"ah", 2, 7}};
    capt_meteor *m = opened(wn, NULL);
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        const meteor_lex *x = meteor_lex_find(m, row[i].word, 2);
        assert_non_null(x);
        assert_int_equal(x->n_syn, row[i].n);
        assert_int_equal(m->syn[x->syn], row[i].synset);
    }
    assert_int_equal(meteor_lex_find(m, "better", 6)->n_base, 2);
    assert_int_equal(meteor_lex_find(m, "ran", 3)->n_base, 1);
    assert_int_equal(meteor_lex_find(m, "pp", 2)->flags, LEX_PREFIX_NUMERIC);
    unsigned functions = 0;
    for (uint64_t i = 0; i < m->h->sec[SEC_LEX].n; i++)
        functions += m->lex[i].flags & LEX_FUNCTION;
    assert_int_equal(functions, 93);
    capt_meteor_close(m);
    golden_write(wn, "index.sense", "aa%3:00:00:: 01681477 1 0\nno sense\n");
    assert_refused(wn, "index.sense:2: not a line");
    golden_write(wn, "index.sense", "");
    assert_refused(wn, "index.sense: the file is empty");
}

static void damaged(void **state)
{
    char bad[100], path[200];
    snprintf(bad, sizeof bad, "%s/bad", dir);
    mkdir(bad, 0777);
    assert_refused(bad, "no METEOR data in this folder");
    assert_refused("/nonexistent", "/nonexistent: ");
    golden_tree(bad, doc, 1);
    static const struct { const char *table, *why; } tables[] = {
        {"", "no paraphrases"},          {"0.5\na\n", "cut short after line 2"},  {"0.5\na\nb\n0.5", "cut short after line 3"},
        {"x\na\nb\n", ":1: not a prob"}, {"0.5\na\nb\nc d\n", ":4: not a prob"}, {"0.5\n\nb\n", ":2: an empty phrase"},
        {"0.5\na\nb\n\n", ":4: not a"}};
    for (size_t i = 0; i < sizeof tables / sizeof *tables; i++) {
        golden_gzip(bad, "data/paraphrase-en.gz", tables[i].table);
        assert_refused(bad, tables[i].why);
    }
    golden_write(bad, "data/paraphrase-en.gz", "0.5\na\nb\n");
    assert_refused(bad, "not gzip");
    snprintf(path, sizeof path, "%s/data/paraphrase-en.gz", bad);
    char *t = golden_lines(json_object_get(doc, "table"));
    golden_gzip(bad, "data/paraphrase-en.gz", t);
    free(t);
    size_t n;
    char *p = capt_file_read(path, 0, &n, NULL);
    for (size_t cut = 1; cut < n - 20; cut += 13) {
        assert_int_equal(truncate(path, (long)(n - cut)), 0);
        assert_refused(bad, "damaged or cut short");
    }
    FILE *f = fopen(path, "wb");
    fwrite(p, 1, n, f);
    fclose(f);
    free(p);
    static const struct { const char *file, *text, *why; } texts[] = {
        {"synonym/english.exceptions", "child\n", "english.exceptions: cut short after line 1"},
        {"synonym/english.exceptions", "", "english.exceptions: the file is empty"},
        {"synonym/english.synsets", "dog\n1 2\ncat\n", "english.synsets: cut short after line 3"},
        {"synonym/english.synsets", "dog\n1 2\ncat\n0000", "english.synsets: cut short after line 3"},
        {"synonym/english.synsets", "dog\ncat\n", "english.synsets:2: not numbers"},
        {"synonym/english.synsets", "dog\n1\n\n2\n", "english.synsets:3: an empty line"}};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        golden_write(bad, texts[i].file, texts[i].text);
        assert_refused(bad, texts[i].why);
    }
}

static void normaliser(void **state)
{
    static const struct { const char *line, *words; } row[] = {
        {"", ""},
        {"   ", ""},
        {" a  dog ", "a dog "},
        {"A Dog", "a dog "},
        {"the dog 's n't o'clock", "the dog ' s n 't o 'clock "},
        {"half-eaten a-b-c 1/2 10:30", "half eaten a b-c 1 / 2 10 : 30 "},
        {"u.s. a.m. v. b vs. x rev. z", "us am v. b vs. x rev. z "},
        {"st. x st. 5", "st. x st . 5 "},
        {"the end. The end.", "the end . the end . "},
        {"pp. 5 pp. X", "pp. 5 pp . x "},
        {"1,000 a,b 1,b a,1", "1,000 a , b 1 , b a , 1 "},
        {"wait...what ..", "wait ... what .. "},
        {"''x'' `y' \xe2\x80\x9cz\xe2\x80\x9d \xe2\x80\x98w\xe2\x80\x99", "\" x \" ' y ' \" z \" ' w ' "},
        {"a -- b \xe2\x80\x93 c", "a - b - c "},
        {"2\xc2\xa0""1/2 caf\xc3\xa9 \xc3\x89T\xc3\x89", "2 1 / 2 caf\xc3\xa9 \xc3\xa9t\xc3\xa9 "},
        {"5's 5't", "5 's 5't "}};
    capt_meteor *m = opened(bare, NULL);
    meteor_norm norm = {0};
    capt_str out = {0};
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        capt_str_clear(&out);
        meteor_normalise(m, &norm, row[i].line, &out);
        assert_string_equal(out.s, row[i].words);
    }
    capt_str_free(&out);
    meteor_norm_free(&norm);
    capt_meteor_close(m);
}

/* Java documents the hash of a string: 31 times what was before plus the UTF-16 unit. */
static void word_hashes(void **state)
{
    assert_int_equal(meteor_word_hash("", 0), 0);
    assert_int_equal(meteor_word_hash("as", 2), 97 * 31 + 115);
    assert_int_equal(meteor_word_hash("c5", 2), meteor_word_hash("as", 2));
    assert_int_equal(meteor_word_hash("\xc3\xa9", 2), 0xe9);
    assert_int_equal(meteor_word_hash("\xf0\x9f\x98\x80", 4), 0xd83d * 31 + 0xde00);
}

static void values(void **state)
{
    static const struct { int64_t s[CAPT_METEOR_STATS]; double value; } row[] = {
        {{10, 10, 4, 5, 3, 3, 3, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 3, 6, 6}, .2823663026732959},
        {{9893, 10187, 4259, 4709, 1936, 1936, 2446, 2446, 52, 52, 0, 0, 168, 167, 18, 19, 0, 0, 0, 0, 2788, 4620, 4620},
         .18967223242926706},
        {{5, 5, 2, 2, 3, 3, 2, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 5, 5}, 1},
        {{0, 7, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}, 0},
        {{4, 7, 1, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}, 0}};
    for (size_t i = 0; i < sizeof row / sizeof *row; i++)
        assert_true(fabs(capt_meteor_value(row[i].s) - row[i].value) <= 1e-15);
}

/* Published values of METEOR's example and the official demo. Paraphrases: where CAPT_METEOR_FULL names such data. */
static void public_values(void **state)
{
    const char *shared = getenv("CAPT_SHARED"), *full = getenv("CAPT_METEOR_FULL");
    char path[4][4096];
    static const char *const name[] = {"meteor", "scoring/fakecap_tokenized.json", "meteor/xray/reference", "meteor/xray/system1.hyp"};
    for (int i = 0; i < 4; i++)
        snprintf(path[i], sizeof path[i], "%s/data/%s", shared ? shared : "../shared", name[i]);
    if (access(path[1], R_OK)) {
        print_message("# SKIP no public data\n");
        return;
    }
    json_t *demo = capt_json_load(path[1], NULL), *xray = json_array();
    FILE *ref = fopen(path[2], "r"), *hyp = fopen(path[3], "r");
    char *r = NULL, *h = NULL;
    size_t nr = 0, nh = 0;
    while (getline(&r, &nr, ref) > 0 && getline(&h, &nh, hyp) > 0) {
        r[strcspn(r, "\n")] = h[strcspn(h, "\n")] = 0;
        json_array_append_new(xray, json_pack("{s:s,s:[s]}", "hyp", h, "refs", r));
    }
    fclose(ref);
    fclose(hyp);
    free(r);
    free(h);
    static const int64_t demo_sum[] = {9893, 10187, 4259, 4709, 1936, 1936, 2446, 2446, 52, 52, 0, 0,
                                       168,  167,   18,   19,   0,    0,    0,    0,    2788, 4620, 4620};
    static const double first[] = {.447752250844953, .4284116369815996, .2772888474043816, .39587671218995263, .34983532103052495};
    for (int f = 0; f <= (full != NULL); f++) {
        capt_meteor *m = opened(f ? full : path[0], NULL);
        assert_int_equal(capt_meteor_full(m), f);
        capt_metric_out a = scored(demo, "test", m, 2), b = scored(xray, "hyp", m, 2);
        assert_true(fabs(a.score[0].value - (f ? .19525467177780284 : .18967223242926706)) < 1e-12);
        assert_true(fabs(b.score[0].value - (f ? .3204832379614146 : .2987914187556954)) < 1e-12);
        assert_int_equal(b.meteor[CAPT_METEOR_CHUNKS], f ? 20118 : 20219);
        assert_int_equal(b.meteor[4] + b.meteor[6], f ? 37110 : 38623);
        if (!f)
            assert_memory_equal(a.meteor, demo_sum, sizeof demo_sum);
        for (int i = 0; f && i < 5; i++)
            assert_true(fabs(b.score[0].each[i] - first[i]) < 1e-12);
        capt_metric_out_free(&a);
        capt_metric_out_free(&b);
        capt_meteor_close(m);
    }
    json_decref(demo);
    json_decref(xray);
}

int main(void)
{
    cmocka_set_message_output(CM_OUTPUT_TAP);
    const struct CMUnitTest tests[] = {cmocka_unit_test(golden_statistics), cmocka_unit_test(cached),
                                       cmocka_unit_test(from_jar),          cmocka_unit_test(from_wordnet),
                                       cmocka_unit_test(damaged),           cmocka_unit_test(normaliser),
                                       cmocka_unit_test(word_hashes),       cmocka_unit_test(values),
                                       cmocka_unit_test(public_values)};
    return cmocka_run_group_tests_name("meteor", tests, setup, teardown);
}
