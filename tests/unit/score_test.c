/* Diversity against numbers of an independent computation, CHAIR, the bootstrap's laws, faults of captions, cleaned lines,
 * the join, SPICE's files, and the quick readers of annotation files beside the general one. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>
#include "base/mem.h"
#include "metric/bootstrap.h"
#include "metric/chair.h"
#include "common/meteor.h"
#include "metric/health.h"
#include "metric/metric.h"
#include "record/any.h"
#include "record/spice.h"
#include "text/line.h"

static const char *const cands[] = {"a dog runs on grass", "a brown dog runs", "the dog", "a cat sleeps on a bed",
    "a cat sleeps on a bed", "two men ride horses", "men on horses", "a horse with a man on it"};
static const char *const refs[] = {"a dog runs in the grass", "brown dog on grass", "a cat on a bed", "the cat sleeps",
    "two men ride brown horses", "men riding horses"};
static const char *const hyps[] = {"a dog runs on grass", "a cat sleeps on a bed", "two men ride horses"};
static const size_t cand_at[] = {0, 3, 5, 8}, ref_at[] = {0, 2, 4, 6};

static capt_metric_in three_images(void)
{
    return (capt_metric_in){.n = 3, .hyps = hyps, .refs = refs, .ref_at = ref_at, .cands = cands, .cand_at = cand_at};
}

static double value_of(const capt_metric_out *o, const char *key)
{
    for (int k = 0; k < o->n_score; k++)
        if (!strcmp(o->score[k].key, key))
            return o->score[k].value;
    return NAN;
}

static void assert_near(double got, double want, double rel)
{
    if (!(fabs(got - want) <= rel * fabs(want)))
        fail_msg("%.17g, not %.17g", got, want);
}

static void diversity(void **state)
{
    static const struct { const char *key; double want; } golden[] = {
        {"Div-1", 0.5891052912407198}, {"Div-2", 0.6129148133495633}, {"mBLEU-1", 0.5823351089643097}, {"mBLEU-2", 0.4145390938652635},
        {"mBLEU-3", 0.3768380345964692}, {"mBLEU-4", 0.3775798560863437}, {"self-CIDEr", 0.562424606595949}, {"distinct", 7},
        {"vocabulary", 18}, {"novelty", 0.5555555555555555}, {"oracle-CIDEr", 3.25741620550365}};
    capt_metric_in in = three_images();
    capt_grams train = {0};
    static const char *const known[] = {"the dog", " a cat sleeps on a bed "};
    for (int i = 0; i < 2; i++) {
        uint64_t key, check;
        capt_line_key(known[i], &key, &check);
        capt_grams_add(&train, key, check, 0, 1);
    }
    in.train = &train;
    capt_metric_out o;
    assert_int_equal(capt_diversity(&in, &o, NULL), 0);
    for (size_t i = 0; i < sizeof golden / sizeof *golden; i++)
        assert_near(value_of(&o, golden[i].key), golden[i].want, 1e-7);
    capt_metric_out_free(&o);
    in = three_images();
    in.cands = NULL; /* one caption an image: nothing to compare it with */
    assert_int_equal(capt_diversity(&in, &o, NULL), 0);
    assert_true(isnan(value_of(&o, "mBLEU-1")) && isnan(value_of(&o, "self-CIDEr")) && isnan(value_of(&o, "novelty")));
    assert_true(value_of(&o, "distinct") == 3);
    capt_metric_out_free(&o);
    capt_grams_free(&train);
}

/* mBLEU is made anew from the counts of the images drawn; what has no value an image, and no counts, has no interval. */
static void diversity_intervals(void **state)
{
    static const char *const many[] = {"a dog runs on grass today", "the dog runs on the grass", "a cat sleeps on grass today", "a cat"};
    static const size_t four[] = {0, 4};
    capt_metric_in a = three_images(), b = a;
    capt_metric_out o[2];
    capt_interval v[CAPT_SCORES_MAX];
    a.n = b.n = 1; /* each draw is this image */
    b.cands = many;
    b.cand_at = four;
    assert_int_equal(capt_diversity(&a, &o[0], NULL), 0);
    assert_int_equal(capt_diversity(&b, &o[1], NULL), 0);
    assert_true(o[0].n_sum != o[1].n_sum); /* other numbers of captions */
    assert_int_equal(capt_bootstrap(&o[0], &o[1], 1, 1, 20, 7, NULL, &v, NULL), 0);
    for (int k = 0; k < o[0].n_score; k++) {
        const char *key = o[0].score[k].key;
        double diff = value_of(&o[1], key) - value_of(&o[0], key);
        if (!strcmp(key, "distinct") || !strcmp(key, "vocabulary")) {
            assert_true(isnan(v[k].lo));
            continue;
        }
        assert_true(diff != 0 || strstr(key, "CIDEr")); /* one image: CIDEr is 0 */
        assert_near(v[k].lo, diff, 1e-12);
        assert_near(v[k].hi, diff, 1e-12);
    }
    capt_metric_out_free(&o[0]);
    capt_metric_out_free(&o[1]);
}

static void chair(void **state)
{
    static const struct { const char *line, *kinds; } named[] = {
        {"two men ride horses", "person,horse"}, {"a hot dog on the table", "hot dog,dining table"}, {"the buses and a bus stop", "bus"},
        {"a teddy bear with skis", "teddy bear,skis"}, {"women and children with knives", "person,person,knife"},
        {"glasses of wine near a toilet seat", "wine glass,toilet"}, {"three sheep", "sheep"}, {"a baby elephant", "elephant"},
        {"", ""}, {"nothing here", ""}, {"a pair of scissors", "scissors"}, {"ponies and geese", "horse,bird"}};
    capt_lexicon *l = capt_lexicon_new();
    for (size_t i = 0; i < sizeof named / sizeof *named; i++) {
        int kind[8], n = capt_objects_named(l, named[i].line, kind, 8);
        char got[200] = "";
        for (int k = 0; k < n; k++)
            snprintf(got + strlen(got), sizeof got - strlen(got), "%s%s", k ? "," : "", capt_object_name(kind[k]));
        assert_string_equal(got, named[i].kinds);
    }
    for (int k = 0; k < CAPT_OBJECT_KINDS; k++) { /* each category names itself */
        int kind[8];
        assert_int_equal(capt_objects_named(l, capt_object_name(k), kind, 8), 1);
        assert_int_equal(kind[0], k);
        assert_int_equal(capt_object_kind(capt_object_name(k)), k);
    }
    capt_lexicon_free(l);
    /* a picture with a dog (named by a reference) and a frisbee (annotated); a cat is imagined */
    static const char *const hyp[] = {"a dog and a cat with a frisbee", "a dog"}, *const ref[] = {"puppy outside", "some dogs"};
    static const size_t one[] = {0, 1, 2};
    capt_objects there[2] = {{{0, 0}}, {{0, 0}}};
    capt_objects_set(&there[0], capt_object_kind("frisbee"));
    capt_metric_in in = {.n = 2, .hyps = hyp, .refs = ref, .ref_at = one};
    capt_metric_out o;
    capt_err err = CAPT_ERR_INIT;
    assert_int_equal(capt_chair(&in, &o, &err), -1);
    assert_int_equal(err.code, CAPT_EUSAGE);
    in.objects = there;
    assert_int_equal(capt_chair(&in, &o, NULL), 0);
    assert_near(value_of(&o, "CHAIRi"), 1.0 / 4, 1e-15);
    assert_near(value_of(&o, "CHAIRs"), 1.0 / 2, 1e-15);
    capt_metric_out_free(&o);
}

static void bootstrap(void **state)
{
    enum { N = 200 };
    static const char *h[2][N], *r[N];
    static size_t at[N + 1];
    static const char *const text[] = {"a dog runs fast", "a dog runs", "the cat", "the dog runs very fast today"};
    for (size_t i = 0; i < N; i++) {
        r[i] = text[i % 4];
        h[0][i] = text[(i * i / 3) % 4];
        h[1][i] = i % 5 ? text[i % 4] : h[0][i];
        at[i + 1] = i + 1;
    }
    capt_metric_out o[2][2];
    for (int s = 0; s < 2; s++) {
        capt_metric_in in = {.n = N, .hyps = h[s], .refs = r, .ref_at = at};
        assert_int_equal(capt_bleu(&in, &o[s][0], NULL), 0);
        assert_int_equal(capt_cider(&in, &o[s][1], NULL), 0);
    }
    capt_interval a[2][CAPT_SCORES_MAX] = {0}, b[2][CAPT_SCORES_MAX] = {0}, c[2][CAPT_SCORES_MAX] = {0};
    capt_pool *pool = capt_pool_new(4, NULL);
    assert_int_equal(capt_bootstrap(o[0], o[1], 2, N, 1001, 7, NULL, a, NULL), 0);
    assert_int_equal(capt_bootstrap(o[0], o[1], 2, N, 1001, 7, pool, b, NULL), 0);
    assert_memory_equal(a, b, sizeof a);
    assert_int_equal(capt_bootstrap(o[0], o[1], 2, N, 1001, 8, pool, c, NULL), 0);
    assert_true(memcmp(a, c, sizeof a) != 0);
    for (int k = 0; k < 5; k++) {
        const capt_interval *v = k < 4 ? &a[0][k] : &a[1][0];
        assert_true(v->lo < v->diff && v->diff < v->hi && v->lo > 0 && v->p < 0.01);
    }
    /* a mean's interval is near the one of the normal distribution */
    double m = 0, q = 0;
    for (size_t i = 0; i < N; i++) {
        double d = o[1][1].score[0].each[i] - o[0][1].score[0].each[i];
        m += d / N;
        q += d * d / N;
    }
    double half = 1.96 * sqrt((q - m * m) / N);
    assert_near(a[1][0].hi - a[1][0].lo, 2 * half, 0.1);
    /* a system against itself */
    assert_int_equal(capt_bootstrap(o[0], o[0], 2, N, 100, 7, pool, a, NULL), 0);
    assert_true(a[0][3].lo == 0 && a[0][3].hi == 0 && a[0][3].p == 1);
    assert_int_equal(capt_bootstrap(o[0], o[1], 2, N, 0, 7, pool, a, NULL), 0);
    assert_true(isnan(a[0][0].lo) && a[0][0].diff == o[1][0].score[0].value - o[0][0].score[0].value);
    assert_int_equal(capt_bootstrap(o[0], o[1] + 1, 1, N, 10, 7, pool, a, NULL), -1);
    for (int s = 0; s < 4; s++)
        capt_metric_out_free(&o[s / 2][s % 2]);
    capt_pool_free(pool);
}

static void faults(void **state)
{
    static const char *const lines[] = {"a dog on a", "a dog on a dog on grass", "", "unk and <unk> here", "fine"};
    capt_health h = capt_health_of(lines, 5);
    assert_int_equal(h.n, 5);
    assert_int_equal(h.bad_endings, 1);
    assert_int_equal(h.repeated, 1);
    assert_int_equal(h.empty, 1);
    assert_int_equal(h.unk, 2);
    assert_int_equal(h.words, 16);
    capt_arena *a = capt_arena_new(0);
    capt_odd odd = {0};
    assert_string_equal(capt_line_clean("a\nb\r\nc\xe2\x80\xa8" "d\te\x01\x7f\xc2\x85" "f", a, &odd), "a b  c d\te  \xc2\x85" "f");
    assert_int_equal(odd.breaks, 2);
    assert_int_equal(odd.controls, 2);
    assert_int_equal(odd.c1, 1);
    assert_string_equal(capt_line_collapse("a a  b bb bb a", a), "a b bb a");
    capt_arena_free(a);
}

static char path[64];

static const char *file_of(const char *s)
{
    strcpy(path, "/tmp/capt-score.XXXXXX");
    int fd = mkstemp(path);
    FILE *f = fd < 0 ? NULL : fdopen(fd, "w");
    assert_non_null(f);
    fputs(s, f);
    fclose(f);
    return path;
}

static void spice(void **state)
{
    capt_id id[2] = {capt_id_int(5), capt_id_int(6)};
    const capt_id *ids[2] = {&id[0], &id[1]};
    capt_idmap *m = capt_idmap_new();
    capt_idmap_add(m, &id[0], 0);
    capt_idmap_add(m, &id[1], 1);
    capt_tuple_counts c[2];
    double f[2];
    int rc = capt_spice_read_tuples(file_of("{\"id\":6,\"tuples\":[],\"refs\":[]}\n{\"image_id\":5,\"tuples\":[[\"Dog\"],[\"dog\"],"
        "[\"dog\",\"be on\",\"hot dog\"],[\"cat\"]],\"refs\":[[[\"dog\"],[\"dog\",\"on\",\"hot_dog\"]],[[\"dog\"],[\"sofa\"]]]}\n"), m, ids, 2, NULL, c, NULL);
    unlink(path);
    assert_int_equal(rc, 0);
    assert_true(c[0].right == 2 && c[0].n_cand == 3 && c[0].n_ref == 3 && capt_tuple_f1(&c[1]) == 0);
    assert_near(capt_tuple_f1(&c[0]), 2.0 / 3, 1e-15);
    rc = capt_spice_read_output(file_of("[{\"image_id\":6,\"scores\":{\"All\":{\"f\":0.25,\"pr\":null},\"Color\":{\"f\":null}}},"
        "{\"image_id\":5,\"scores\":{\"All\":{\"f\":0}}}]"), m, ids, 2, f, NULL);
    unlink(path);
    assert_int_equal(rc, 0);
    assert_true(f[0] == 0 && f[1] == 0.25);
    static const struct { const char *text, *error; } bad[] = {
        {"[{\"image_id\":5,\"scores\":{\"All\":{\"f\":0}}}]", "1 image is missing: 6"},
        {"[{\"image_id\":7,\"scores\":{\"All\":{\"f\":0}}}]", "image 7 is not among"},
        {"[{\"image_id\":5,\"scores\":{\"All\":{\"f\":7}}}]", "between 0 and 1"},
        {"[{\"image_id\":5,\"scores\":{}}]", "\"All\" is missing"}, {"[{", "file ends"}, {"x", "bad JSON"}};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        capt_err err = CAPT_ERR_INIT;
        rc = capt_spice_read_output(file_of(bad[i].text), m, ids, 2, f, &err);
        unlink(path);
        assert_int_equal(rc, -1);
        if (!strstr(err.text, bad[i].error))
            fail_msg("%s: not %s", err.text, bad[i].error);
    }
    capt_idmap_free(m);
}

/* Counts of tuples by synonyms. The data: dog hound 1, sofa couch 2, near beside 3, brown 4, tan 4 5, beige 5, hot_dog frank 6,
 * man 7 8, person 9 10, adult 7 8 9, goose gander 11; geese is a form of goose. */
static void spice_synonyms(void **state)
{
    static const struct { const char *name, *text; } data[] = {
        {"english.synsets", "dog\n1\nhound\n1\nsofa\n2\ncouch\n2\nnear\n3\nbeside\n3\nbrown\n4\ntan\n4 5\nbeige\n5\nhot_dog\n6\n"
                            "frank\n6\nman\n7 8\nperson\n9 10\nadult\n7 8 9\ngoose\n11\ngander\n11\n"},
        {"english.exceptions", "goose\ngeese\n"}};
    static const struct { const char *cand, *refs; int64_t right, n_cand, n_ref, exact, n_exact; } t[] = {
        /* each part by word or synonym; of the same arity */
        {"[['hound'],['dog','beside','couch'],['dog','sofa']]", "[['dog'],['sofa'],['dog','be near','sofa']]", 2, 3, 3, 0, 3},
        /* base forms: a regular and an irregular one, several words */
        {"[['hounds'],['Hot Dogs'],['geese'],['cat']]", "[['dog'],['frank'],['gander']]", 3, 4, 3, 0, 3},
        /* references that name one thing by two words merge, with their attributes and relations */
        {"[['dog']]", "[[['dog'],['dog','brown'],['dog','near','sofa']],[['hound'],['hound','tan'],['hound','beside','couch']]]", 1, 1, 3, 1, 6},
        /* what is merged has the words and synsets of both: beige is like tan, which is like brown */
        {"[['hound','beige']]", "[['dog','brown'],['dog','tan']]", 1, 1, 1, 0, 2},
        {"[['hound','beige']]", "[['dog','brown']]", 0, 1, 1, 0, 1},
        /* adult is more like man (2 of 3) than like the person that came first (1 of 4): its attribute merges with the man's */
        {"[['man','red']]", "[['person'],['man','red'],['adult','red']]", 1, 1, 2, 1, 3},
        {"[['dog'],['hound']]", "[['dog']]", 2, 2, 1, 1, 1}, /* a reference tuple is found again */
        {"[['sofa']]", "[['dog','on','sofa']]", 0, 1, 1, 0, 1},
        {"[]", "[]", 0, 0, 0, 0, 0}};
    char dir[] = "/tmp/capt-score.XXXXXX", sub[64], name[128];
    assert_non_null(mkdtemp(dir));
    snprintf(sub, sizeof sub, "%s/synonym", dir);
    assert_int_equal(mkdir(sub, 0777), 0);
    for (int i = 0; i < 2; i++) {
        snprintf(name, sizeof name, "%s/%s", sub, data[i].name);
        FILE *f = fopen(name, "w");
        assert_non_null(f);
        fputs(data[i].text, f);
        fclose(f);
    }
    capt_meteor *meteor = capt_meteor_open(dir, NULL, NULL);
    for (int i = 0; i < 2; i++) {
        snprintf(name, sizeof name, "%s/%s", sub, data[i].name);
        unlink(name);
    }
    rmdir(sub);
    rmdir(dir);
    assert_non_null(meteor);
    capt_synsets syn = prog_meteor_synsets(meteor);
    capt_id id = capt_id_int(1);
    const capt_id *ids = &id;
    capt_idmap *m = capt_idmap_new();
    capt_idmap_add(m, &id, 0);
    for (size_t i = 0; i < sizeof t / sizeof *t; i++) {
        char line[512];
        snprintf(line, sizeof line, "{'id':1,'tuples':%s,'refs':%s}\n", t[i].cand, t[i].refs);
        for (char *s = line; *s; s++)
            *s = *s == '\'' ? '"' : *s;
        capt_tuple_counts c, e;
        int rc = capt_spice_read_tuples(file_of(line), m, &ids, 1, &syn, &c, NULL) ||
                 capt_spice_read_tuples(path, m, &ids, 1, NULL, &e, NULL);
        unlink(path);
        assert_int_equal(rc, 0);
        if (c.right != t[i].right || c.n_cand != t[i].n_cand || c.n_ref != t[i].n_ref || e.right != t[i].exact || e.n_ref != t[i].n_exact)
            fail_msg("%s: %d of %d, %d; equal words: %d, %d", line, (int)c.right, (int)c.n_cand, (int)c.n_ref, (int)e.right, (int)e.n_ref);
    }
    capt_idmap_free(m);
    capt_meteor_close(meteor);
}

/* What the readers make of a text: "id:split:caption|caption ..." or the error. */
static void read_refs(const char *text, char *out, size_t n)
{
    capt_captions *c;
    capt_err err = CAPT_ERR_INIT;
    out[0] = 0;
    if (capt_captions_read_any(file_of(text), &c, &err)) {
        snprintf(out, n, "error: %s", strrchr(err.text, ':') + 2);
    } else {
        for (size_t i = 0; i < c->n; i++) {
            char key[CAPT_ID_KEY];
            capt_id_key(&c->v[i].id, key);
            snprintf(out + strlen(out), n - strlen(out), "%s%s:%s", i ? " " : "", key, c->v[i].split ? c->v[i].split : "-");
            for (int k = 0; k < c->v[i].n_captions; k++)
                snprintf(out + strlen(out), n - strlen(out), "%c%s", k ? '|' : ':', c->v[i].captions[k]);
        }
        capt_captions_free(c);
    }
    unlink(path);
}

static void layouts(void **state)
{
#define COCO(images, annotations) "{\"info\":{\"a\":[1,{\"b\":\"]}\"}]},\"images\":[" images "],\"annotations\":[" annotations "]}"
    static const struct { const char *text, *want; } cases[] = {
        {COCO("{\"id\":1,\"file_name\":\"x\"},{\"id\":-2}", "{\"image_id\":-2,\"id\":9,\"caption\":\"b\"},{\"image_id\":1,\"caption\":\"a \\\"q\\\" \\u00e9\"},{\"image_id\":-2,\"caption\":\"\"}"),
         "1:-:a \"q\" \xc3\xa9 -2:-:b|"},
        {"{\"annotations\":[{\"image_id\":1,\"caption\":\"a\"}],\n\"images\":[{\"id\":1}]}", "1:-:a"},
        {COCO("{\"id\":\"s\"}", "{\"image_id\":\"s\",\"caption\":\"a\"}"), "s:-:a"},
        {COCO("{\"id\":1}", "{\"image_id\":2,\"caption\":\"a\"}"), "error: its image is not among the images"},
        {COCO("{\"id\":1},{\"id\":1}", "{\"image_id\":1,\"caption\":\"a\"}"), "error: 1"},
        {COCO("{\"id\":1.5}", ""), "error: \"id\" is neither an integer nor a string"},
        {COCO("{\"id\":1}", "{\"image_id\":1,\"caption\":7}"), "error: \"caption\" is not a string"},
        {COCO("{\"id\":1}", "{\"image_id\":1}"), "error: \"caption\" is missing"},
        {COCO("{\"id\":1},{\"id\":\"2\"}", ""), "error: the id is a string, but the ids before are integers"},
        {"{\"images\":[{\"sentences\":[{\"tokens\":[\"a\"],\"raw\":\"A.\"},{\"raw\":\"B\"}],\"filename\":\"f.x.jpg\",\"split\":\"val\"},"
         "{\"filename\":\"g.jpg\",\"split\":\"val\",\"sentences\":[]}]}", "f.x:val:A.|B g:val"},
        {"{\"images\":[{\"sentences\":[{\"raw\":\"B\"}],\"filename\":\"f.jpg\",\"split\":\"val\",\"cocoid\":12}],\"dataset\":\"x\"}", "12:val:B"},
        {"{\"images\":[{\"sentences\":[{}],\"filename\":\"f.jpg\",\"split\":\"val\"}]}", "error: \"raw\" is missing"}};
    char got[2000];
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        read_refs(cases[i].text, got, sizeof got);
        assert_string_equal(got, cases[i].want);
    }
    /* cut anywhere: an error, never a part */
    for (size_t n = 1; n < strlen(cases[0].text); n++) {
        char cut[2000];
        snprintf(cut, sizeof cut, "%.*s", (int)n, cases[0].text);
        read_refs(cut, got, sizeof got);
        if (strncmp(got, "error: ", 7))
            fail_msg("%s is read as %s", cut, got);
    }
}

int main(void)
{
    cmocka_set_message_output(CM_OUTPUT_TAP);
    const struct CMUnitTest tests[] = {cmocka_unit_test(diversity), cmocka_unit_test(diversity_intervals), cmocka_unit_test(chair), cmocka_unit_test(bootstrap),
                                       cmocka_unit_test(faults), cmocka_unit_test(spice), cmocka_unit_test(spice_synonyms), cmocka_unit_test(layouts)};
    return cmocka_run_group_tests_name("score", tests, NULL, NULL);
}
