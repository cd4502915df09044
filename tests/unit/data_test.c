/* Batches made ahead by threads are those made one by one, also when the loader is given up early, and a bad record is named when its batch comes up. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "base/mem.h"
#include "data/dataset.h"

enum { N = 23, WORDS = 5 };

typedef struct set { capt_caption rec[N]; const capt_caption *list[N]; char text[N][4][40]; const char *captions[N][4]; capt_vocab *v; capt_dataset *d; } set;

static void set_up(set *s, int all)
{
    static const char *const words[] = {"a", "b", "c", "d"};
    capt_err err = CAPT_ERR_INIT;
    memset(s, 0, sizeof *s);
    s->v = capt_vocab_new_words(words, NULL, 4, &err);
    assert_non_null(s->v);
    for (int i = 0; i < N; i++) {
        for (int k = 0; k < 4; k++) {
            int n = 1 + (i + 2 * k) % 7;
            for (int t = 0; t < n; t++)
                snprintf(s->text[i][k] + 2 * t, 4, "%s%s", words[(i + k + t) % 4], t + 1 < n ? " " : "");
            s->captions[i][k] = s->text[i][k];
        }
        s->rec[i].id = capt_id_int(i + 1);
        s->rec[i].captions = s->captions[i];
        s->rec[i].n_captions = 1 + i % 4;
        s->list[i] = &s->rec[i];
    }
    capt_dataset_opts o = {.words = WORDS, .all_captions = all, .seed = 3};
    s->d = capt_dataset_new(s->list, N, s->v, NULL, &o, &err);
    if (!s->d)
        fail_msg("%s", err.text);
}

static void tear_down(set *s)
{
    capt_dataset_free(s->d);
    capt_vocab_free(s->v);
}

static void equal(const capt_batch *a, const capt_batch *b)
{
    assert_int_equal(a->R, b->R);
    assert_int_equal(a->T, b->T);
    assert_int_equal(a->n_words, b->n_words);
    size_t cells = (size_t)a->R * (size_t)a->T;
    assert_memory_equal(a->row_image, b->row_image, (size_t)a->R * sizeof *a->row_image);
    assert_memory_equal(a->tokens, b->tokens, cells * sizeof *a->tokens);
    assert_memory_equal(a->targets, b->targets, cells * sizeof *a->targets);
    assert_memory_equal(a->weights, b->weights, cells * sizeof *a->weights);
}

static void ahead_is_the_same(void **state)
{
    for (int all = 0; all < 2; all++)
        for (int threads = 1; threads <= 4; threads += 3) {
            set s;
            set_up(&s, all);
            int64_t per = capt_dataset_batches(s.d, 5);
            assert_int_equal(per, 5);
            for (int64_t start = 0; start <= per; start += 2) {
                capt_err err = CAPT_ERR_INIT;
                capt_loader *l = capt_loader_new(s.d, 5, 1, start, threads, &err);
                assert_non_null(l);
                capt_batch want = {0}, *got;
                for (int64_t k = 0; k < 3 * per - start; k++) {
                    int64_t at = per + start + k;
                    assert_int_equal(capt_loader_next(l, &got, &err), 0);
                    assert_int_equal(capt_dataset_batch(s.d, 5, at / per, at % per, 1, &want, &err), 0);
                    assert_int_equal(got->epoch, at / per);
                    assert_int_equal(got->index, at % per);
                    equal(got, &want);
                }
                capt_batch_free(&want);
                capt_loader_free(l); /* with batches under way */
            }
            tear_down(&s);
        }
}

/* An epoch has every image once; a caption of m words below WORDS ends with EOS, a longer one has WORDS targets and no end. */
static void targets(void **state)
{
    set s;
    set_up(&s, 0);
    int32_t eos = capt_vocab_eos(s.v), bos = capt_vocab_bos(s.v), pad = capt_vocab_pad(s.v);
    for (int64_t epoch = 0; epoch < 3; epoch++) {
        int seen[N] = {0}, ended = 0, cut = 0;
        capt_batch b = {0};
        capt_err err = CAPT_ERR_INIT;
        for (int64_t i = 0; i < capt_dataset_batches(s.d, 5); i++) {
            assert_int_equal(capt_dataset_batch(s.d, 5, epoch, i, 1, &b, &err), 0);
            for (int r = 0; r < b.R; r++) {
                const int32_t *in = b.tokens + (size_t)r * (size_t)b.T, *to = b.targets + (size_t)r * (size_t)b.T;
                const capt_real *w = b.weights + (size_t)r * (size_t)b.T;
                seen[b.recs[b.row_image[r]]->id.i - 1]++;
                int n = 0;
                while (n < b.T && w[n] == 1)
                    n++;
                assert_true(n >= 1 && in[0] == bos);
                for (int t = 1; t < n; t++)
                    assert_true(in[t] == to[t - 1] && in[t] != eos);
                for (int t = n; t < b.T; t++)
                    assert_true(w[t] == 0 && to[t] == pad && (in[t] == pad || t == n));
                ended += to[n - 1] == eos;
                cut += to[n - 1] != eos;
                assert_true(to[n - 1] == eos || n == WORDS);
            }
        }
        for (int i = 0; i < N; i++)
            assert_int_equal(seen[i], 1);
        assert_true(ended > 0 && cut > 0);
        capt_batch_free(&b);
    }
    tear_down(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(ahead_is_the_same), cmocka_unit_test(targets)};
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
