/* Laws of beam search and of sampling, on every captioner: against exhaustive enumeration, greedy search and the model's own probabilities. */
#include "model_rig.h"

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

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(beam_laws), cmocka_unit_test(beam_options), cmocka_unit_test(sampling_is_fair)};
    n_variants = all_variants(variants, sizeof variants / sizeof *variants);
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
