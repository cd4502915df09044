/* Corpus and per-image BLEU-1..4 (Papineni, Roukos, Ward, Zhu: BLEU, ACL 2002), with the closest reference length, a tie
 * taking the shorter, and the two guards of the public caption scorer: 1e-15 above, 1e-9 below each fraction. The corpus
 * value is made of summed counts, not a mean. */
#include <math.h>
#include <stdlib.h>
#include "base/mem.h"
#include "metric/bleu.h"
#include "metric/bleu_priv.h"
#include "metric/metric.h"

void bleu_hyp(bleu_counts *c, const capt_sent *hyp, uint32_t *best)
{
    for (size_t i = 0; i < hyp->grams.n; i++)
        best[i] = 0;
    *c = (bleu_counts){.testlen = (int64_t)hyp->n_words, .reflen = -1};
}

void bleu_ref(bleu_counts *c, const capt_sent *hyp, const capt_sent *ref, uint32_t *best)
{
    int64_t len = (int64_t)ref->n_words, d = llabs(len - c->testlen), d0 = llabs(c->reflen - c->testlen);
    if (c->reflen < 0 || d < d0 || (d == d0 && len < c->reflen))
        c->reflen = len;
    for (size_t i = 0; i < ref->grams.n; i++) {
        const capt_gram *x = &ref->grams.gram[i];
        long k = capt_grams_find(&hyp->grams, x->key, x->check);
        if (k >= 0 && x->count > best[k])
            best[k] = x->count;
    }
}

void bleu_end(bleu_counts *c, const capt_sent *hyp, const uint32_t *best)
{
    const capt_gram *g = hyp->grams.gram;
    for (int n = 0; n < CAPT_NGRAM_MAX; n++)
        c->guess[n] = c->testlen - n > 0 ? c->testlen - n : 0;
    for (size_t i = 0; i < hyp->grams.n; i++)
        c->correct[g[i].n - 1] += g[i].count < best[i] ? g[i].count : best[i];
}

void bleu_add(bleu_counts *to, const bleu_counts *c)
{
    to->testlen += c->testlen;
    to->reflen += c->reflen;
    for (int k = 0; k < CAPT_NGRAM_MAX; k++) {
        to->guess[k] += c->guess[k];
        to->correct[k] += c->correct[k];
    }
}

void bleu_of_sums(const double *s, size_t n, double *out)
{
    double p = 1, ratio = (s[0] + 1e-15) / (s[1] + 1e-9);
    for (int k = 0; k < CAPT_NGRAM_MAX; k++) {
        p *= (s[2 + CAPT_NGRAM_MAX + k] + 1e-15) / (s[2 + k] + 1e-9);
        out[k] = capt_pow(p, 1.0 / (k + 1));
        if (ratio < 1)
            out[k] *= exp(1 - 1 / ratio);
    }
}

void bleu_sums(const bleu_counts *c, double s[BLEU_SUMS])
{
    s[0] = (double)c->testlen;
    s[1] = (double)c->reflen;
    for (int k = 0; k < CAPT_NGRAM_MAX; k++) {
        s[2 + k] = (double)c->guess[k];
        s[2 + CAPT_NGRAM_MAX + k] = (double)c->correct[k];
    }
}

typedef struct work { capt_sent hyp, ref; uint32_t *best; size_t cap; } work;
typedef struct job { const capt_metric_in *in; bleu_counts *c; work *w; } job;

static void count_image(void *arg, int64_t task, int worker)
{
    const job *j = arg;
    work *w = &j->w[worker];
    capt_sent_set(&w->hyp, j->in->hyps[task], 0, 0);
    capt_vec_grow_((void **)&w->best, &w->cap, w->hyp.grams.n + 1, sizeof *w->best);
    bleu_hyp(&j->c[task], &w->hyp, w->best);
    for (size_t r = j->in->ref_at[task]; r < j->in->ref_at[task + 1]; r++) {
        capt_sent_set(&w->ref, j->in->refs[r], 0, 0);
        bleu_ref(&j->c[task], &w->hyp, &w->ref, w->best);
    }
    bleu_end(&j->c[task], &w->hyp, w->best);
}

int capt_bleu(const capt_metric_in *in, capt_metric_out *out, capt_err *err)
{
    static const char *const key[CAPT_NGRAM_MAX] = {"Bleu_1", "Bleu_2", "Bleu_3", "Bleu_4"};
    if (capt_metric_check(in, err))
        return -1;
    int workers = capt_pool_size(in->pool);
    job j = {in, capt_alloc(in->n * sizeof *j.c), capt_alloc((size_t)workers * sizeof *j.w)};
    capt_pool_run(in->pool, (int64_t)in->n, count_image, &j);
    *out = (capt_metric_out){.n_score = CAPT_NGRAM_MAX, .sum = capt_alloc(in->n * BLEU_SUMS * sizeof(double)),
                             .n_sum = BLEU_SUMS, .of_sum = bleu_of_sums, .sum_scores = CAPT_NGRAM_MAX};
    for (int k = 0; k < CAPT_NGRAM_MAX; k++)
        out->score[k] = (capt_metric_score){.key = key[k], .each = capt_alloc(in->n * sizeof(double))};
    bleu_counts sum = {0};
    double v[CAPT_NGRAM_MAX], all[BLEU_SUMS];
    for (size_t i = 0; i < in->n; i++) {
        bleu_sums(&j.c[i], out->sum + i * BLEU_SUMS);
        bleu_of_sums(out->sum + i * BLEU_SUMS, BLEU_SUMS, v);
        bleu_add(&sum, &j.c[i]);
        for (int k = 0; k < CAPT_NGRAM_MAX; k++)
            out->score[k].each[i] = v[k];
    }
    bleu_sums(&sum, all);
    bleu_of_sums(all, BLEU_SUMS, v);
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

struct capt_bleu_refs { capt_sent *v; size_t n; int eos; };

capt_bleu_refs *capt_bleu_refs_new(const char *const *refs, size_t n, int eos)
{
    capt_bleu_refs *r = capt_alloc(sizeof *r);
    *r = (capt_bleu_refs){capt_alloc((n + 1) * sizeof *r->v), n, eos};
    for (size_t i = 0; i < n; i++)
        capt_sent_set(&r->v[i], refs[i], eos, 0);
    return r;
}

void capt_bleu_refs_free(capt_bleu_refs *r)
{
    for (size_t i = 0; r && i < r->n; i++)
        capt_sent_free(&r->v[i]);
    free(r ? r->v : NULL);
    free(r);
}

double capt_bleu_score(const capt_bleu_refs *r, const char *hyp, int ended)
{
    capt_sent s = {0};
    bleu_counts c;
    double v[CAPT_NGRAM_MAX], sums[BLEU_SUMS];
    capt_sent_set(&s, hyp, r->eos && ended, 0);
    uint32_t *best = capt_alloc((s.grams.n + 1) * sizeof *best);
    bleu_hyp(&c, &s, best);
    for (size_t i = 0; i < r->n; i++)
        bleu_ref(&c, &s, &r->v[i], best);
    bleu_end(&c, &s, best);
    bleu_sums(&c, sums);
    bleu_of_sums(sums, BLEU_SUMS, v);
    free(best);
    capt_sent_free(&s);
    return v[CAPT_NGRAM_MAX - 1];
}
