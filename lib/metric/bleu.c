/* Corpus and per-image BLEU-1..4 (Papineni, Roukos, Ward, Zhu: BLEU, ACL 2002), with the closest reference length, a tie
 * taking the shorter, and the two guards of the public caption scorer: 1e-15 above, 1e-9 below each fraction. The corpus
 * value is made of summed counts, not a mean. */
#include <math.h>
#include <stdlib.h>
#include "base/mem.h"
#include "metric/metric.h"
#include "metric/ngram.h"

typedef struct counts { int64_t testlen, reflen, guess[CAPT_NGRAM_MAX], correct[CAPT_NGRAM_MAX]; } counts;
typedef struct work { capt_sent hyp, ref; uint32_t *best; size_t cap; } work;
typedef struct job { const capt_metric_in *in; counts *c; work *w; } job;

static void count_image(void *arg, int64_t task, int worker)
{
    const job *j = arg;
    work *w = &j->w[worker];
    counts *c = &j->c[task];
    capt_sent_set(&w->hyp, j->in->hyps[task], 0, 0);
    const capt_grams *g = &w->hyp.grams;
    capt_vec_grow_((void **)&w->best, &w->cap, g->n + 1, sizeof *w->best);
    for (size_t i = 0; i < g->n; i++)
        w->best[i] = 0;
    *c = (counts){.testlen = (int64_t)w->hyp.n_words, .reflen = -1};
    for (size_t r = j->in->ref_at[task]; r < j->in->ref_at[task + 1]; r++) {
        capt_sent_set(&w->ref, j->in->refs[r], 0, 0);
        int64_t len = (int64_t)w->ref.n_words, d = llabs(len - c->testlen), d0 = llabs(c->reflen - c->testlen);
        if (c->reflen < 0 || d < d0 || (d == d0 && len < c->reflen))
            c->reflen = len;
        for (size_t i = 0; i < w->ref.grams.n; i++) {
            const capt_gram *x = &w->ref.grams.gram[i];
            long k = capt_grams_find(g, x->key, x->check);
            if (k >= 0 && x->count > w->best[k])
                w->best[k] = x->count;
        }
    }
    for (int n = 0; n < CAPT_NGRAM_MAX; n++)
        c->guess[n] = c->testlen - n > 0 ? c->testlen - n : 0;
    for (size_t i = 0; i < g->n; i++)
        c->correct[g->gram[i].n - 1] += g->gram[i].count < w->best[i] ? g->gram[i].count : w->best[i];
}

static void from_counts(const counts *c, double out[CAPT_NGRAM_MAX])
{
    double p = 1, ratio = ((double)c->testlen + 1e-15) / ((double)c->reflen + 1e-9);
    for (int k = 0; k < CAPT_NGRAM_MAX; k++) {
        p *= ((double)c->correct[k] + 1e-15) / ((double)c->guess[k] + 1e-9);
        out[k] = capt_pow(p, 1.0 / (k + 1));
        if (ratio < 1)
            out[k] *= exp(1 - 1 / ratio);
    }
}

int capt_bleu(const capt_metric_in *in, capt_metric_out *out, capt_err *err)
{
    static const char *const key[CAPT_NGRAM_MAX] = {"Bleu_1", "Bleu_2", "Bleu_3", "Bleu_4"};
    if (capt_metric_check(in, err))
        return -1;
    int workers = capt_pool_size(in->pool);
    job j = {in, capt_alloc(in->n * sizeof *j.c), capt_alloc((size_t)workers * sizeof *j.w)};
    capt_pool_run(in->pool, (int64_t)in->n, count_image, &j);
    *out = (capt_metric_out){.n_score = CAPT_NGRAM_MAX};
    for (int k = 0; k < CAPT_NGRAM_MAX; k++)
        out->score[k] = (capt_metric_score){key[k], 0, capt_alloc(in->n * sizeof(double))};
    counts sum = {0};
    double v[CAPT_NGRAM_MAX];
    for (size_t i = 0; i < in->n; i++) {
        from_counts(&j.c[i], v);
        sum.testlen += j.c[i].testlen;
        sum.reflen += j.c[i].reflen;
        for (int k = 0; k < CAPT_NGRAM_MAX; k++) {
            out->score[k].each[i] = v[k];
            sum.guess[k] += j.c[i].guess[k];
            sum.correct[k] += j.c[i].correct[k];
        }
    }
    from_counts(&sum, v);
    out->testlen = sum.testlen;
    out->reflen = sum.reflen;
    for (int k = 0; k < CAPT_NGRAM_MAX; k++) {
        out->score[k].value = v[k];
        out->guess[k] = sum.guess[k];
        out->correct[k] = sum.correct[k];
    }
    for (int t = 0; t < workers; t++) {
        capt_sent_free(&j.w[t].hyp);
        capt_sent_free(&j.w[t].ref);
        free(j.w[t].best);
    }
    free(j.w);
    free(j.c);
    return 0;
}
