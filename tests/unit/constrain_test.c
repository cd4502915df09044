/* Words that captions must and must not have, against exhaustive enumeration. */
#include "base/json.h"
#include "model_rig.h"

enum { V = 7, T = 3 };
static const char *const word[V] = {NULL, NULL, NULL, NULL, "wa", "wb", "wc"};

/* What is asked of an image's captions: required phrases and forbidden words, by ids, 0 ends them. */
typedef struct rule { int32_t require[3][3], forbid[2]; } rule;
static const rule rules[] = {{{{4}}, {0}}, {{{6}}, {4}}, {{{4}, {6}}, {0}}, {{{5, 4}}, {0}}, {{{5, 4}, {6}}, {0}}, {{{4, 4}}, {0}}, {{{4, 5}, {5, 6}}, {0}}, {{{0}}, {5}}, {{{6}, {5}}, {0}}};

static int contains(const int32_t *ids, int n, const int32_t *phrase)
{
    int m = 0;
    while (m < 3 && phrase[m])
        m++;
    for (int i = 0; i + m <= n; i++)
        if (!memcmp(ids + i, phrase, (size_t)m * sizeof *ids))
            return 1;
    return 0;
}

static int follows(const rule *r, const int32_t *ids, int n)
{
    int good = 1;
    for (int i = 0; i < 3 && r->require[i][0]; i++)
        good &= contains(ids, n, r->require[i]);
    for (int i = 0; i < 2 && r->forbid[i]; i++)
        good &= !contains(ids, n, (int32_t[3]){r->forbid[i]});
    return good;
}

static capt_constrain *made(const capt_vocab *v, const rule *r)
{
    capt_err err = CAPT_ERR_INIT;
    char text[3][16] = {""};
    const char *require[3], *forbid[2];
    int n = 0, m = 0;
    for (; n < 3 && r->require[n][0]; n++) {
        for (int k = 0; k < 3 && r->require[n][k]; k++) {
            strcat(text[n], k ? " " : "");
            strcat(text[n], word[r->require[n][k]]);
        }
        require[n] = text[n];
    }
    for (; m < 2 && r->forbid[m]; m++)
        forbid[m] = word[r->forbid[m]];
    capt_constrain *c = capt_constrain_new(v, require, n, forbid, m, &err);
    if (!c)
        fail_msg("%s", err.text);
    return c;
}

/* All captions of an image */
typedef struct sequence { int32_t ids[T]; int n; double logp; } sequence;
typedef struct list { sequence c[64]; int n; } list;
static void collect(void *arg, const int32_t *ids, int n, int ended, double logp)
{
    list *l = arg;
    assert_true(l->n < 64);
    l->c[l->n] = (sequence){.n = n, .logp = logp};
    memcpy(l->c[l->n++].ids, ids, (size_t)n * sizeof *ids);
}

static const sequence *best_that_follows(const list *l, const rule *r)
{
    const sequence *b = NULL;
    for (int i = 0; i < l->n; i++)
        if (follows(r, l->c[i].ids, l->c[i].n) && (!b || l->c[i].logp > b->logp))
            b = &l->c[i];
    assert_non_null(b);
    return b;
}

/* A beam as wide as the space finds the best caption that follows the rule, every image its own; a narrow one finds one that follows it, whatever the model thinks of it. */
static void best_of_all(void **state)
{
    EACH_VARIANT (v) {
        enum { N = sizeof rules / sizeof *rules };
        fixture f;
        capt_err err = CAPT_ERR_INIT;
        if (v->choice || v->rows == 1)
            continue;
        set_up(&f, "ref", v, V, 0, 61);
        list all[I] = {{.n = 0}, {.n = 0}};
        for (int i = 0; i < I; i++)
            enumerate(&f, i, V, T, (int32_t[WORDS]){0}, 0, NULL, collect, &all[i]);
        capt_scorer *s = capt_scorer_model(f.m, NULL, &err);
        capt_scorer *pair[2] = {capt_scorer_model(f.m, NULL, &err), capt_scorer_model(f.m, NULL, &err)};
        capt_scorer *e = capt_scorer_ensemble_take(pair, 2, NULL, 0, &err);
        assert_non_null(e);
        for (int k = 0; k < N; k++) {
            const rule *r[I] = {&rules[k], &rules[(k + 4) % N]};
            capt_constrain *c[I] = {made(f.m->vocab, r[0]), made(f.m->vocab, r[1])};
            capt_input both[2] = {f.in, f.in};
            for (int how = 0; how < 3; how++) {
                capt_found found[I * 2];
                capt_beam_opts o = {.beam = how == 2 ? 2 : 40, .nbest = how == 2 ? 2 : 1, .max_t = T, .words = (const capt_constrain *const *)c, .detail = CAPT_DETAIL_WORDS};
                ok(capt_beam_run(how == 1 ? e : s, both, &o, found, &err), &err);
                for (int i = 0; i < I; i++) {
                    const sequence *want = best_that_follows(&all[i], r[i]);
                    const capt_found *g = &found[i * o.nbest];
                    double sum = 0;
                    assert_true(follows(r[i], g->ids, g->n));
                    for (int j = 0; j < g->n + g->ended; j++)
                        sum += g->word[j];
                    assert_true(fabs(sum - g->logprob) < 1e-9);
                    if (how == 2) {
                        assert_true(g->logprob <= want->logp + 1e-4);
                        continue;
                    }
                    assert_true(fabs(g->logprob - want->logp) < 1e-4);
                    assert_int_equal(g->n, want->n);
                    assert_memory_equal(g->ids, want->ids, (size_t)want->n * sizeof *g->ids);
                }
                capt_found_free(found, I * o.nbest);
            }
            capt_constrain_free(c[0]);
            capt_constrain_free(c[1]);
        }
        capt_scorer_free(e);
        capt_scorer_free(s);
        tear_down(&f);
    }
}

static const capt_found *same_words(const capt_found *all, int n, const capt_found *g)
{
    for (int i = 0; i < n; i++)
        if (all[i].n == g->n && !memcmp(all[i].ids, g->ids, (size_t)g->n * sizeof *g->ids))
            return &all[i];
    return NULL;
}

/* What a caption is worth does not depend on how it was found: every bit of it is as a search without conditions has it, of a model and of an ensemble. */
static void exact_scores(void **state)
{
    enum { ALL = 40 };
    EACH_VARIANT (v) {
        fixture f;
        capt_err err = CAPT_ERR_INIT;
        if (v->choice || v->rows == 1)
            continue;
        set_up(&f, "ref", v, V, 0, 63);
        capt_scorer *pair[2] = {capt_scorer_model(f.m, NULL, &err), capt_scorer_model(f.m, NULL, &err)};
        capt_scorer *s[2] = {capt_scorer_model(f.m, NULL, &err), capt_scorer_ensemble_take(pair, 2, NULL, 0, &err)};
        const rule need = {{{4}, {6}}, {0}};
        capt_constrain *c = made(f.m->vocab, &need);
        const capt_constrain *const words[I] = {c, c};
        const capt_beam_opts plain = {.beam = ALL, .nbest = ALL, .max_t = T, .detail = CAPT_DETAIL_WORDS};
        capt_beam_opts other[3] = {plain, plain, plain};
        other[0].words = words;
        other[1].ngram = 1;
        other[1].ngram_penalty = 0.7;
        other[2].words = words;
        other[2].ngram = 2;
        other[2].ngram_penalty = 0.3;
        for (int e = 0; e < 2; e++) {
            capt_found all[I * ALL], found[I * ALL];
            capt_input both[2] = {f.in, f.in};
            ok(capt_beam_run(s[e], both, &plain, all, &err), &err);
            for (int k = 0; k < 3; k++) {
                int compared = 0;
                ok(capt_beam_run(s[e], both, &other[k], found, &err), &err);
                for (int i = 0; i < I * ALL; i++) {
                    if (!found[i].ids)
                        continue;
                    const capt_found *a = same_words(all + i / ALL * ALL, ALL, &found[i]);
                    assert_non_null(a);
                    assert_true(a->logprob == found[i].logprob);
                    assert_memory_equal(a->word, found[i].word, (size_t)(a->n + a->ended) * sizeof *a->word);
                    compared++;
                }
                assert_true(compared >= I * (k == 1 ? ALL : 6));
                capt_found_free(found, I * ALL);
            }
            capt_found_free(all, I * ALL);
        }
        capt_constrain_free(c);
        capt_scorer_free(s[0]);
        capt_scorer_free(s[1]);
        tear_down(&f);
    }
}

/* More words than steps: the caption has as many of them as it can. One image without words is searched as ever. */
static void too_many(void **state)
{
    fixture f;
    capt_err err = CAPT_ERR_INIT;
    static const char *const all[] = {"wa", "wb", "wc", "wd"};
    set_up(&f, "guard", &variants[0], 8, 0, 62);
    capt_scorer *s = capt_scorer_model(f.m, NULL, &err);
    capt_constrain *c[I] = {capt_constrain_new(f.m->vocab, all, 4, NULL, 0, &err), NULL};
    assert_non_null(c[0]);
    capt_found with[I], without[I];
    capt_beam_opts o = {.beam = 3, .nbest = 1, .max_t = T};
    ok(capt_beam_run(s, &f.in, &o, without, &err), &err);
    o.words = (const capt_constrain *const *)c;
    ok(capt_beam_run(s, &f.in, &o, with, &err), &err);
    assert_int_equal(with[0].n, T);
    assert_int_equal(with[0].ended, 0);
    assert_int_equal(capt_constrain_covered(c[0], with[0].ids, T), T);
    assert_int_equal(with[1].n, without[1].n);
    assert_memory_equal(with[1].ids, without[1].ids, (size_t)with[1].n * sizeof(int32_t));
    assert_true(with[1].logprob == without[1].logprob);
    capt_found_free(with, I);
    capt_found_free(without, I);
    capt_constrain_free(c[0]);
    capt_scorer_free(s);
    tear_down(&f);
}

static int find(json_t *tokens, const char *text)
{
    size_t i;
    json_t *t;
    json_array_foreach(tokens, i, t)
        if (!strcmp(json_string_value(t), text))
            return (int)i;
    return -1;
}

/* Small vocabularies of byte pairs and of word pieces (tests/golden/tokens.json) */
static capt_vocab *pieces(const char *part)
{
    capt_err err = CAPT_ERR_INIT;
    json_t *doc = capt_json_load("tests/golden/tokens.json", &err), *p = json_object_get(doc, part), *t = json_object_get(p, "tokens");
    int bpe = !strcmp(part, "bpe"), e = find(t, bpe ? "<|endoftext|>" : "[SEP]");
    json_t *o = json_pack("{s:s, s:s, s:{s:i, s:i, s:i}, s:O, s:O*}", "type", bpe ? "gpt2" : "bert", "tokenizer", bpe ? "gpt2-byte-bpe" : "bert-uncased-wordpiece", "special", "pad",
                          bpe ? e : find(t, "[PAD]"), "bos", bpe ? e : find(t, "[CLS]"), "eos", e, "tokens", t, "merges", json_object_get(p, "merges"));
    if (!bpe)
        json_object_set_new(json_object_get(o, "special"), "unk", json_integer(find(t, "[UNK]")));
    capt_vocab *v = capt_vocab_from_json(o, part, &err);
    if (!v)
        fail_msg("%s", err.text);
    json_decref(o);
    json_decref(doc);
    return v;
}

/* What stands of `require` in a caption */
static void check_pieces(const capt_vocab *v, const char *require, const char *caption, int has)
{
    capt_err err = CAPT_ERR_INIT;
    int32_t ids[100], wanted[100];
    int n, all;
    capt_constrain *c = capt_constrain_new(v, &require, 1, NULL, 0, &err);
    if (!c)
        fail_msg("%s", err.text);
    ok(capt_vocab_encode(v, caption, 100, ids, &n, &err), &err);
    all = capt_constrain_all(c);
    if ((capt_constrain_covered(c, ids, n) == all) != has)
        fail_msg("\"%s\" in \"%s\": %d of %d tokens", require, caption, capt_constrain_covered(c, ids, n), all);
    for (int steps = 0; steps < 10 && capt_constrain_covered(c, ids, n) < all; steps++) { /* what it wants next leads there */
        int k = capt_constrain_next(c, ids, n, wanted), at = 0, most = -1;
        assert_true(k > 0 && k <= capt_constrain_choices(c));
        for (int i = 0; i < k; i++) {
            ids[n] = wanted[i];
            if (capt_constrain_covered(c, ids, n + 1) > most) {
                most = capt_constrain_covered(c, ids, n + 1);
                at = i;
            }
        }
        ids[n++] = wanted[at];
    }
    assert_int_equal(capt_constrain_covered(c, ids, n), all);
    assert_int_equal(capt_constrain_next(c, ids, n, wanted), 0);
    capt_constrain_free(c);
}

static void subwords(void **state)
{
    static const char *const part[] = {"bpe", "wordpiece"};
    for (int i = 0; i < 2; i++) {
        capt_vocab *v = pieces(part[i]);
        check_pieces(v, "dog", "dog", 1);
        check_pieces(v, "dog", "a dog", 1);
        check_pieces(v, "dog", "a dog runs", 1);
        check_pieces(v, "dog", "a doghouse", 0);
        check_pieces(v, "dog", "a hotdog", 0);
        check_pieces(v, "dog", "a cat", 0);
        check_pieces(v, "toyed", "a man", 0);
        check_pieces(v, "toyed", "toyed on a wall", 1);
        check_pieces(v, "toyed", "a wall with toyed", 1);
        check_pieces(v, "man on", "a man on a horse", 1);
        check_pieces(v, "man on", "a man is on a horse", 0);
        capt_vocab_free(v);
    }
}

static void forbid_one(void *arg, int32_t token)
{
    *(int32_t *)arg = token;
}

static void refused(void **state)
{
    capt_err err = CAPT_ERR_INIT;
    capt_vocab *v = small_vocab(MAX_V);
    static const char *const unknown[] = {"zebra"}, *const blank[] = {" "}, *const twice[] = {"wa", "wa"}, *const two[] = {"wb wc"};
    char many[33 * 3 + 1] = "";
    const char *much[] = {many};
    assert_null(capt_constrain_new(v, unknown, 1, NULL, 0, &err));
    assert_string_equal(err.text, "\"zebra\" is not in the model's vocabulary");
    err = (capt_err)CAPT_ERR_INIT;
    assert_null(capt_constrain_new(v, NULL, 0, blank, 1, &err));
    assert_string_equal(err.text, "\" \" is no word");
    err = (capt_err)CAPT_ERR_INIT;
    for (int i = 0; i < 33; i++)
        strcat(many, "wa ");
    assert_null(capt_constrain_new(v, much, 1, NULL, 0, &err));
    assert_non_null(strstr(err.text, "more than 32 tokens"));
    err = (capt_err)CAPT_ERR_INIT;
    capt_constrain *c = capt_constrain_new(v, twice, 2, two, 1, &err);
    assert_non_null(c);
    assert_int_equal(capt_constrain_all(c), 1); /* the same word twice is one */
    int32_t token = -1;
    capt_constrain_forbidden(c, (int32_t[]){5, 4}, 2, forbid_one, &token);
    assert_int_equal(token, -1);
    capt_constrain_forbidden(c, (int32_t[]){4, 5}, 2, forbid_one, &token);
    assert_int_equal(token, 6);
    capt_constrain_free(c);
    capt_vocab_free(v);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(best_of_all), cmocka_unit_test(exact_scores), cmocka_unit_test(too_many), cmocka_unit_test(subwords), cmocka_unit_test(refused)};
    n_variants = all_variants(variants, sizeof variants / sizeof *variants);
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
