/* Tags before the words: every captioner reads them as words of its own sequence, searches feed them without choosing them, and no image's result depends on how
 * many tags the others of its batch have. */
#include "model_rig.h"
#include <stdio.h>
#include <unistd.h>
#include "data/dataset.h"
#include "op/op.h"
#include "train/sampling.h"
#include "train/scst.h"

enum { TAGS = 3 };
static const int32_t ids_of_tags[4] = {8, 4, 7, 6}, few[I + 1] = {0, 3, 4}, none_first[I + 1] = {0, 0, 2};
static const int32_t *const uneven[] = {few, none_first};

static variant tagged(const variant *v)
{
    variant t = *v;
    t.tags = TAGS;
    return t;
}

static void give_tags(fixture *f, const int32_t *at)
{
    f->in.tags = ids_of_tags;
    f->in.tag_at = at;
}

/* A captioner is causal over tags and words: changing token t of a row changes nothing before t and in no other row, and does change what stands at t; the last word
 * feels the first tag. */
static void alignment(void **state)
{
    enum { T = WORDS + TAGS };
    static const int32_t tokens[3 * T] = {8, 4, 7, 1, 4, 5, 6, 7, 6, 1, 7, 6, 4, 4, 0, 0, 5, 1, 5, 5, 8, 6, 0, 0};
    EACH_VARIANT (v) {
        fixture f;
        variant w = tagged(v);
        set_up(&f, "guard", &w, MAX_V, 0, 1);
        assert_int_equal(f.m->tag_t, TAGS);
        capt_real *base = hidden(&f, 3, T, row_image, tokens);
        int D = f.m->hidden;
        for (int t = 0; t < 6; t++) {
            int32_t changed[3 * T];
            memcpy(changed, tokens, sizeof changed);
            changed[T + t] = 9;
            capt_real *h = hidden(&f, 3, T, row_image, changed);
            assert_true(distance(h, base, (T + t) * D) == 0);
            assert_true(distance(h + 2 * T * D, base + 2 * T * D, T * D) == 0);
            assert_true(distance(h + (T + t) * D, base + (T + t) * D, D) > 1e-4);
            if (t == 0)
                assert_true(distance(h + (T + 5) * D, base + (T + 5) * D, D) > 1e-6);
            free(h);
        }
        free(base);
        capt_ctx_reset(f.c);
        int32_t more[T + 1] = {0};
        capt_feat x = capt_image_features(f.c, f.m, NULL, &f.in);
        f.m->type->forward(f.c, f.m, &x, 1, T + 1, row_image, more, NULL);
        assert_true(capt_ctx_bad(f.c));
        tear_down(&f);
    }
}

/* What a beam and samples say of their words is what teacher forcing says of [tags][BOS words]. */
static void search_equals_forward(void **state)
{
    for (int d = 0; d < N_DEVICES; d++)
        EACH_VARIANT (v)
            for (int k = 0; k < 2; k++) {
                fixture f;
                capt_err err = CAPT_ERR_INIT;
                variant w = tagged(v);
                set_up(&f, devices[d], &w, MAX_V, 0, 3);
                give_tags(&f, uneven[k]);
                capt_scorer *s = capt_scorer_model(f.m, NULL, &err);
                capt_found found[I * 3];
                const uint64_t hash[I] = {5, 6};
                for (int how = 0; how < 2; how++) {
                    if (how)
                        ok(capt_sample_run(s, &f.in, &(capt_sample_opts){.n = 3, .temperature = 1, .allow_unk = 1, .seed = 4}, hash, found, &err), &err);
                    else
                        ok(capt_beam_run(s, &f.in, &(capt_beam_opts){.beam = 3, .nbest = 3, .allow_unk = 1, .detail = CAPT_DETAIL_WORDS}, found, &err), &err);
                    for (int i = 0; i < I * 3; i++) {
                        assert_true(found[i].ids && found[i].n + found[i].ended <= WORDS);
                        assert_true(fabs(logp_of(&f, i / 3, found[i].ids, found[i].n, found[i].ended) - found[i].logprob) < 1e-4);
                    }
                    capt_found_free(found, I * 3);
                }
                capt_scorer_free(s);
                tear_down(&f);
            }
}

static void same(const capt_found *a, const capt_found *b)
{
    assert_int_equal(a->n, b->n);
    assert_int_equal(a->ended, b->ended);
    assert_true(a->logprob == b->logprob);
    assert_memory_equal(a->ids, b->ids, (size_t)a->n * sizeof *a->ids);
    assert_int_equal(a->attention_rows, b->attention_rows);
    size_t n = (size_t)(a->n + a->ended);
    assert_memory_equal(a->word, b->word, n * sizeof *a->word);
    if (a->attention)
        assert_memory_equal(a->attention, b->attention, n * (size_t)a->attention_rows * sizeof *a->attention);
}

/* An image alone and beside one with another number of tags: the same captions, the same numbers, bit for bit, however they are sought. */
static void others_do_not_matter(void **state)
{
    enum { KINDS = 6, EACH = 2 };
    static const capt_beam_opts beam[3] = {{.beam = 1, .nbest = 1, .detail = 3}, {.beam = 3, .nbest = EACH, .detail = 3, .length_penalty = 0.7, .min_words = 2},
                                           {.beam = 4, .nbest = EACH, .detail = 3, .groups = 2, .diversity = 0.5, .ngram = 1}};
    static const capt_sample_opts draw[3] = {{.n = EACH, .temperature = 1, .seed = 4, .detail = 3}, {.n = EACH, .temperature = 1, .seed = 4, .top_k = 3, .detail = 3},
                                             {.n = EACH, .temperature = 2, .seed = 4, .top_p = 0.8, .max_t = 3, .detail = 3}};
    const uint64_t hash[I] = {5, 6};
    for (int d = 0; d < N_DEVICES; d++)
        EACH_VARIANT (v)
            for (int k = 0; k < 2; k++) {
                fixture f;
                capt_err err = CAPT_ERR_INIT;
                variant w = tagged(v);
                set_up(&f, devices[d], &w, MAX_V, 0, 3);
                give_tags(&f, uneven[k]);
                capt_scorer *s = capt_scorer_model(f.m, NULL, &err);
                for (int kind = 0; kind < KINDS; kind++) {
                    int each = kind == 0 ? 1 : EACH;
                    capt_found all[I * EACH], one[EACH];
                    for (int i = -1; i < I; i++) {
                        capt_input in = f.in;
                        if (i >= 0) {
                            in.n_images = 1;
                            in.feat += i * v->rows * D_FEAT;
                            in.tag_at += i;
                        }
                        const uint64_t *h = hash + (i < 0 ? 0 : i);
                        capt_found *to = i < 0 ? all : one;
                        ok(kind < 3 ? capt_beam_run(s, &in, &beam[kind], to, &err) : capt_sample_run(s, &in, &draw[kind - 3], h, to, &err), &err);
                        for (int q = 0; q < each && i >= 0; q++)
                            same(&one[q], &all[i * each + q]);
                        if (i >= 0)
                            capt_found_free(one, each);
                    }
                    capt_found_free(all, I * each);
                }
                capt_scorer_free(s);
                tear_down(&f);
            }
}

/* A second model on f's backend; its words are numbered backwards. */
static capt_model *other(const fixture *f, const variant *v, uint64_t seed)
{
    capt_err err = CAPT_ERR_INIT;
    json_t *words = json_pack("[s,s,s,s]", "<pad>", "<bos>", "<eos>", "<unk>"), *config = small_config(v, 0);
    for (int i = MAX_V - 1; i >= 4; i--)
        json_array_append_new(words, json_sprintf("w%c", 'a' + i - 4));
    json_t *o = json_pack("{s:s, s:s, s:{s:i, s:i, s:i, s:i}, s:o}", "type", "word", "tokenizer", "ptb-3.4.1-lower-nopunct", "special", "pad", 0, "bos", 1, "eos", 2, "unk", 3,
                          "tokens", words);
    capt_model *m = capt_model_new(config, capt_vocab_from_json(o, "test", &err), NULL, f->be, CAPT_F32, seed, &err);
    if (!m)
        fail_msg("%s", err.text);
    json_decref(o);
    json_decref(config);
    return m;
}

/* More tags than the model reads are an error, as are members of an ensemble that read different numbers, and a number below 0. */
static void limits(void **state)
{
    fixture f;
    capt_err err = CAPT_ERR_INIT;
    static const int32_t many[I + 1] = {0, 4, 4};
    variant v = tagged(&variants[0]);
    set_up(&f, "guard", &v, MAX_V, 0, 3);
    give_tags(&f, many);
    capt_model *m = other(&f, &variants[0], 3);
    capt_scorer *s = capt_scorer_model(f.m, NULL, &err), *t = capt_scorer_model(m, NULL, &err);
    capt_found found[I];
    assert_int_equal(capt_beam_run(s, &f.in, &(capt_beam_opts){.beam = 1, .nbest = 1}, found, &err), -1);
    assert_non_null(strstr(err.text, "4 tokens of tags, the model reads 3"));
    err = (capt_err)CAPT_ERR_INIT;
    assert_null(capt_scorer_ensemble_take((capt_scorer *[]){s, t}, 2, NULL, 0, &err));
    assert_non_null(strstr(err.text, "model 2 reads 0 tokens of tags, the first one 3"));
    capt_model_free(m);
    json_t *config = small_config(&v, 0);
    json_object_set_new(config, "tag_tokens", json_integer(-1));
    err = (capt_err)CAPT_ERR_INIT;
    assert_null(capt_model_new(config, small_vocab(MAX_V), NULL, f.be, CAPT_F32, 1, &err));
    assert_non_null(strstr(err.text, "tag_tokens"));
    json_decref(config);
    tear_down(&f);
}

/* An ensemble whose members number the words differently: each gets the tags in its own ids. With all the weight on one member the result is that member's. */
static void ensemble_maps_tags(void **state)
{
    EACH_VARIANT (v) {
        fixture f;
        capt_err err = CAPT_ERR_INIT;
        variant w = tagged(v);
        set_up(&f, "guard", &w, MAX_V, 0, 3);
        give_tags(&f, few);
        capt_model *m = other(&f, &w, 4);
        int32_t turned[4];
        for (int i = 0; i < 4; i++)
            turned[i] = MAX_V + 3 - ids_of_tags[i];
        capt_input in[2] = {f.in, f.in};
        in[1].tags = turned;
        const capt_beam_opts o = {.beam = 3, .nbest = 2, .allow_unk = 1};
        capt_found alone[I * 2], both[I * 2];
        capt_scorer *s = capt_scorer_model(m, NULL, &err);
        ok(capt_beam_run(s, &in[1], &o, alone, &err), &err);
        capt_scorer *e = capt_scorer_ensemble_take((capt_scorer *[]){capt_scorer_model(f.m, NULL, &err), s}, 2, (double[]){0, 1}, 0, &err);
        assert_non_null(e);
        ok(capt_beam_run(e, in, &o, both, &err), &err);
        for (int i = 0; i < I * 2; i++) {
            assert_int_equal(alone[i].n, both[i].n);
            assert_true(fabs(alone[i].logprob - both[i].logprob) < 1e-4);
            for (int t = 0; t < alone[i].n; t++)
                assert_string_equal(capt_vocab_token(m->vocab, alone[i].ids[t]), capt_vocab_token(f.m->vocab, both[i].ids[t]));
        }
        capt_found_free(both, I * 2);
        in[1].tag_at = none_first;
        assert_int_equal(capt_beam_run(e, in, &o, both, &err), -1);
        assert_non_null(strstr(err.text, "model 2 reads 0 tokens of an image's tags, the first one 3"));
        capt_found_free(alone, I * 2);
        capt_scorer_free(e);
        capt_model_free(m);
        tear_down(&f);
    }
}

/* Scheduled sampling with probability 1 leaves tags and BOS. */
static void sampling_leaves_tags(void **state)
{
    enum { T = 6, R = 2 };
    static const int32_t tokens[R * T] = {8, 4, 7, 1, 4, 5, 6, 1, 7, 6, 0, 0}, targets[R * T] = {0, 0, 0, 4, 5, 2, 0, 7, 6, 2, 0, 0};
    static const capt_real weights[R * T] = {0, 0, 0, 1, 1, 1, 0, 1, 1, 1, 0, 0};
    static const int32_t image[R] = {0, 1};
    fixture f;
    capt_err err = CAPT_ERR_INIT;
    variant v = tagged(&variants[0]);
    int32_t mixed[R * T], changed = 0;
    set_up(&f, "guard", &v, MAX_V, 0, 3);
    give_tags(&f, few);
    capt_scorer *s = capt_scorer_model(f.m, NULL, &err);
    capt_rows rows = {R, T, image, tokens, targets, weights, 0, 0, 0};
    for (uint64_t step = 0; step < 20; step++) {
        ok(capt_sampling_mix(s, &f.in, &rows, 1, 3, step, mixed, &err), &err);
        for (int k = 0; k < R * T; k++) {
            int word = k == 4 || k == 5 || k == 8 || k == 9;
            if (!word)
                assert_int_equal(mixed[k], tokens[k]);
            changed += mixed[k] != tokens[k];
        }
    }
    assert_true(changed > 20);
    capt_scorer_free(s);
    tear_down(&f);
}

static double spelled(int image, const char *text, int ended)
{
    int sum = ended + image;
    for (int i = 0; text[i]; i++)
        sum += (i + 1) * text[i];
    return sum % 7;
}

static int spelled_reward(void *arg, const capt_rated *c, int n, double *reward, capt_err *err)
{
    for (int i = 0; i < n; i++)
        reward[i] = spelled(c[i].image, c[i].caption, c[i].ended);
    return 0;
}

/* The pass after the samples reads the tags, too: its loss is that of the samples' own log-probabilities. */
static void scst_reads_tags(void **state)
{
    enum { N = 3 };
    EACH_VARIANT (v) {
        fixture f;
        capt_err err = CAPT_ERR_INIT;
        variant w = tagged(v);
        const uint64_t hash[I] = {5, 6};
        set_up(&f, "guard", &w, MAX_V, 0, 3);
        give_tags(&f, few);
        ok(capt_params_train(&f.m->params, "", 1, &err), &err);
        capt_scorer *s = capt_scorer_model(f.m, NULL, &err);
        capt_scst_opts o = {.samples = N, .temperature = 1, .seed = 8};
        capt_scst_stats st;
        ok(capt_scst_pass(f.c, f.m, NULL, s, &f.in, hash, 2, &o, spelled_reward, NULL, &st, &err), &err);
        capt_found found[I * N];
        ok(capt_sample_run(s, &f.in, &(capt_sample_opts){.n = N, .temperature = 1, .allow_all = 1, .seed = 8 * 0x9e3779b97f4a7c15u + 2}, hash, found, &err), &err);
        double loss = 0, words = 0;
        for (int i = 0; i < I; i++) {
            double r[N], a[N];
            for (int k = 0; k < N; k++) {
                capt_found *p = &found[i * N + k];
                capt_str text = {0};
                for (int t = 0; t < p->n; t++) /* the reward sees padding and BOS as the unknown word */
                    if (p->ids[t] == capt_vocab_pad(f.m->vocab) || p->ids[t] == capt_vocab_bos(f.m->vocab))
                        p->ids[t] = capt_vocab_unk(f.m->vocab);
                capt_vocab_decode(f.m->vocab, p->ids, p->n, &text);
                r[k] = spelled(i, text.s ? text.s : "", p->ended);
                words += p->n + p->ended;
                capt_str_free(&text);
            }
            capt_advantage_loo(r, N, a);
            for (int k = 0; k < N; k++)
                loss -= a[k] * found[i * N + k].logprob;
        }
        assert_true(words == (double)st.words);
        assert_true(fabs(loss / words) > 1e-3);
        assert_true(fabs(loss / words - st.loss) < 1e-4 * (1 + fabs(st.loss)));
        capt_found_free(found, I * N);
        capt_scorer_free(s);
        tear_down(&f);
    }
}

/* attend-tell's extra loss is over the words only, whatever rows should get: what the attention looks at while tags are read does not count. */
static void coverage_without_tags(void **state)
{
    enum { T = 6, R = 2, S = 3 };
    static const int32_t tokens[R * T] = {8, 4, 7, 1, 4, 5, 6, 1, 7, 6, 0, 0}, image[R] = {0, 1}, first[R] = {3, 1}, words[R] = {3, 3};
    static const char *const targets[] = {"one", "mean", "padded"};
    for (int k = 0; k < 3; k++) { /* of choice words, the first are those of coverage_target */
        const variant v = {"attend-tell", S, 0, k, TAGS};
        fixture f;
        capt_err err = CAPT_ERR_INIT;
        set_up(&f, "guard", &v, MAX_V, 0, 3);
        assert_string_equal(capt_config_str(f.m->config, "coverage_target"), targets[k]);
        capt_ctx_reset(f.c);
        capt_feat x = capt_image_features(f.c, f.m, NULL, &f.in);
        capt_aux aux = {.words = words, .first = first, .rows = R};
        f.m->type->forward(f.c, f.m, &x, R, T, image, tokens, &aux);
        capt_real a[R * T * S], got[R];
        capt_ctx_download(f.c, a, capt_ctx_bad(f.c) ? NULL : aux.attention->data, sizeof a);
        capt_ctx_download(f.c, got, capt_ctx_bad(f.c) ? NULL : aux.loss->data, sizeof got);
        ok(capt_ctx_check(f.c, &err), &err);
        for (int r = 0; r < R; r++) {
            int steps = k == 2 ? T - first[r] : words[r];
            double want = 0, target = k ? (double)steps / S : 1;
            for (int s = 0; s < S; s++) {
                double sum = 0;
                for (int t = first[r]; t < first[r] + steps; t++)
                    sum += (double)a[(r * T + t) * S + s];
                want += (target - sum) * (target - sum) / S;
            }
            if (!(fabs(want / R - (double)got[r]) < 1e-5))
                fail_msg("%s, row %d: %g, not %g", targets[k], r, (double)got[r], want / R);
        }
        tear_down(&f);
    }
}

/* Rows of a data set whose source reads tags: [tags][BOS words][pads], loss on the words alone; tags that do not fit are left out whole. */
static void batches(void **state)
{
    char dir[] = "/tmp/capt-tags-XXXXXX", path[64];
    capt_err err = CAPT_ERR_INIT;
    assert_non_null(mkdtemp(dir));
    snprintf(path, sizeof path, "%s/s.mdb", dir);
    capt_store_meta meta = {.int_ids = 1, .dtype = CAPT_F32, .n_sections = 1, .section = {{"global", CAPT_F32, 1, 2}}};
    capt_store *st = capt_store_create(path, &meta, 0, &err);
    assert_non_null(st);
    static const char *const captions[] = {"wa wb"}, *const captions2[] = {"wc wd we wf wg"}, *const tags0[] = {"wh wa", "wzz", "wb wc", "wd"}, *const tags2[] = {"wb"};
    capt_caption rec[3] = {{.id = capt_id_int(1), .captions = (const char **)captions, .n_captions = 1, .tags = (const char **)tags0, .n_tags = 4},
                           {.id = capt_id_int(2), .captions = (const char **)captions2, .n_captions = 1},
                           {.id = capt_id_int(3), .captions = (const char **)captions, .n_captions = 1, .tags = (const char **)tags2, .n_tags = 1}};
    const capt_caption *list[3];
    for (int i = 0; i < 3; i++) {
        static const float x[2] = {1, 2};
        capt_section sec = {.name = "global", .dtype = CAPT_F32, .rows = 1, .dim = 2, .data = x};
        ok(capt_store_put(st, &rec[i].id, &sec, 1, &err), &err);
        list[i] = &rec[i];
    }
    ok(capt_store_finish(st, &err), &err);
    st = capt_store_open(path, &err);
    capt_source *src = capt_source_store(st, "global", 1, &err);
    capt_vocab *v = small_vocab(MAX_V); /* wa = 4 ... wh = 11 */
    assert_non_null(src);
    capt_source_read_tags(src, v, TAGS);
    capt_dataset *d = capt_dataset_new(list, 3, v, src, &(capt_dataset_opts){.words = WORDS, .seed = 1}, &err);
    capt_batch b = {0};
    ok(capt_dataset_batch(d, 3, 0, 0, 0, &b, &err), &err);
    enum { T = WORDS };
    assert_int_equal(b.T, T);
    static const int32_t tokens[3 * T] = {11, 4, 1, 4, 5, 1, 6, 7, 8, 9, 5, 1, 4, 5, 0}, targets[3 * T] = {0, 0, 4, 5, 2, 6, 7, 8, 9, 10, 0, 4, 5, 2, 0};
    static const capt_real weights[3 * T] = {0, 0, 1, 1, 1, 1, 1, 1, 1, 1, 0, 1, 1, 1, 0};
    assert_memory_equal(b.tokens, tokens, sizeof tokens);
    assert_memory_equal(b.targets, targets, sizeof targets);
    assert_memory_equal(b.weights, weights, sizeof weights);
    assert_int_equal(b.n_words, 11);
    assert_int_equal(capt_input_tags(&b.image.in, 1), 0);
    assert_int_equal(capt_input_most_tags(&b.image.in), 2);
    capt_batch_free(&b);
    capt_dataset_free(d);
    capt_source_free(src);
    capt_store_close(st);
    capt_vocab_free(v);
    unlink(path);
    rmdir(dir);
}

int main(void)
{
    n_variants = all_variants(variants, (int)(sizeof variants / sizeof *variants));
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(alignment), cmocka_unit_test(search_equals_forward), cmocka_unit_test(others_do_not_matter), cmocka_unit_test(limits), cmocka_unit_test(ensemble_maps_tags),
        cmocka_unit_test(sampling_leaves_tags), cmocka_unit_test(scst_reads_tags), cmocka_unit_test(coverage_without_tags), cmocka_unit_test(batches),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
