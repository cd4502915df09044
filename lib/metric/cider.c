/* CIDEr-D and plain CIDEr. See cider.h. Sums run in the order of the public scorer: n-grams by first occurrence in the
 * sentence, then references, then the mean over n. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "base/mem.h"
#include "metric/df_priv.h"
#include "metric/metric.h"
#include "metric/ngram.h"

struct capt_cider_refs {
    size_t n;
    capt_grams grams; /* all references' n-grams */
    double *row;      /* (grams.n, 2 + n): idf, its square, then the weight in each reference, 0 where it lacks the n-gram */
    double *norm;     /* (n, 4) */
    double *bigrams;  /* (n) length of a reference, in bigrams */
};

struct capt_cider_scratch {
    capt_sent sent;
    double *sum; /* (references, 4) */
    long *at;    /* (n-grams of sent) their place among the references' n-grams, or -1 */
    size_t cap, cap_at;
};

static df_weight idf_of(const capt_df *df, const capt_gram *g)
{
    return df_weight_of(df, df_lookup(df, g->key, g->check));
}

/* The square of w, the weight of an n-gram that occurs count times; once: known. */
static double square(double w, double known, uint32_t count)
{
    return count == 1 ? known : capt_pow(w, 2.0);
}

static double bigrams_of(const capt_sent *s)
{
    return s->n_words > 1 ? (double)(s->n_words - 1) : 0;
}

capt_cider_refs *capt_cider_refs_new(const capt_df *df, const char *const *refs, size_t n)
{
    capt_cider_refs *r = capt_alloc(sizeof *r);
    r->n = n;
    r->norm = capt_alloc(n * CAPT_NGRAM_MAX * sizeof *r->norm);
    r->bigrams = capt_alloc(n * sizeof *r->bigrams);
    capt_sent s = {0};
    size_t cap = 0, stride = n + 2;
    enum { USUAL = 32 }; /* n-grams of one reference that the others lack, or fewer */
    capt_grams_clear(&r->grams, USUAL * n);
    capt_vec_grow_((void **)&r->row, &cap, USUAL * n * stride, sizeof *r->row);
    for (size_t i = 0; i < n; i++) {
        capt_sent_set(&s, refs[i], capt_df_eos(df), df->h.seed);
        r->bigrams[i] = bigrams_of(&s);
        for (size_t k = 0; k < s.grams.n; k++)
            df_prefetch(df, s.grams.gram[k].key);
        for (size_t k = 0; k < s.grams.n; k++) {
            const capt_gram *g = &s.grams.gram[k];
            size_t old = r->grams.n, at = capt_grams_add(&r->grams, g->key, g->check, g->n, g->count);
            if (r->grams.n > old) {
                capt_vec_grow_((void **)&r->row, &cap, r->grams.n * stride, sizeof *r->row);
                df_weight idf = idf_of(df, g);
                r->row[at * stride] = idf.idf;
                r->row[at * stride + 1] = idf.square;
                memset(r->row + at * stride + 2, 0, n * sizeof *r->row);
            }
            double *row = r->row + at * stride, w = (double)g->count * row[0];
            row[2 + i] = w;
            r->norm[i * CAPT_NGRAM_MAX + g->n - 1] += square(w, row[1], g->count);
        }
    }
    for (size_t i = 0; i < n * CAPT_NGRAM_MAX; i++)
        r->norm[i] = sqrt(r->norm[i]);
    capt_sent_free(&s);
    return r;
}

void capt_cider_refs_free(capt_cider_refs *r)
{
    if (!r)
        return;
    capt_grams_free(&r->grams);
    free(r->row);
    free(r->norm);
    free(r->bigrams);
    free(r);
}

capt_cider_scratch *capt_cider_scratch_new(void)
{
    return capt_alloc(sizeof(capt_cider_scratch));
}

void capt_cider_scratch_free(capt_cider_scratch *s)
{
    if (!s)
        return;
    capt_sent_free(&s->sent);
    free(s->sum);
    free(s->at);
    free(s);
}

/* Where each n-gram of s->sent is among those of the references, into s->at. What is looked up lies anywhere in memory and
 * mostly not in a cache: each step asks for what the next one reads, of all n-grams at once. */
static void find_all(const capt_df *df, const capt_cider_refs *r, capt_cider_scratch *s)
{
    const capt_grams *all = &r->grams;
    const capt_gram *g = s->sent.grams.gram;
    size_t n = s->sent.grams.n, stride = r->n + 2;
    capt_vec_grow_((void **)&s->at, &s->cap_at, n + 1, sizeof *s->at);
    for (size_t k = 0; k < n; k++)
        __builtin_prefetch(&all->slot[g[k].key & (all->n_slot - 1)]);
    for (size_t k = 0; k < n; k++) {
        uint32_t slot = all->slot[g[k].key & (all->n_slot - 1)];
        __builtin_prefetch(&all->gram[slot - (slot != 0)]);
    }
    for (size_t k = 0; k < n; k++) {
        s->at[k] = capt_grams_find(all, g[k].key, g[k].check);
        if (s->at[k] < 0)
            df_prefetch(df, g[k].key);
        else
            __builtin_prefetch(&r->row[(size_t)s->at[k] * stride]);
    }
}

/* Fills s->sum: for each reference and n the clipped (or plain) product of the two vectors; norm: of the hypothesis. */
static void compare(const capt_df *df, const capt_cider_refs *r, const char *hyp, capt_cider_scratch *s, int plain, int ended,
                    double norm[CAPT_NGRAM_MAX])
{
    enum { N = CAPT_NGRAM_MAX };
    capt_sent_set(&s->sent, hyp, ended && capt_df_eos(df), df->h.seed);
    capt_vec_grow_((void **)&s->sum, &s->cap, r->n * N + 1, sizeof *s->sum);
    memset(s->sum, 0, r->n * N * sizeof *s->sum);
    find_all(df, r, s);
    for (size_t k = 0; k < s->sent.grams.n; k++) {
        const capt_gram *g = &s->sent.grams.gram[k];
        if (s->at[k] < 0) {
            df_weight idf = idf_of(df, g);
            norm[g->n - 1] += square((double)g->count * idf.idf, idf.square, g->count);
            continue;
        }
        const double *row = r->row + (size_t)s->at[k] * (r->n + 2);
        double w = (double)g->count * row[0];
        norm[g->n - 1] += square(w, row[1], g->count);
        for (size_t i = 0; i < r->n; i++) {
            double v = row[2 + i];
            s->sum[i * N + g->n - 1] += (plain || w < v ? w : v) * v;
        }
    }
    for (int n = 0; n < N; n++)
        norm[n] = sqrt(norm[n]);
}

static double similarity(const capt_cider_refs *r, const capt_cider_scratch *s, const double *norm, size_t i, int n)
{
    double v = s->sum[i * CAPT_NGRAM_MAX + (size_t)n], ref_norm = r->norm[i * CAPT_NGRAM_MAX + (size_t)n];
    return norm[n] != 0 && ref_norm != 0 ? v / (norm[n] * ref_norm) : v;
}

static double score(const capt_df *df, const capt_cider_refs *r, const char *hyp, capt_cider_scratch *s, int plain, int ended)
{
    enum { N = CAPT_NGRAM_MAX };
    double norm[N] = {0}, total[N] = {0};
    compare(df, r, hyp, s, plain, ended, norm);
    for (size_t i = 0; i < r->n; i++) {
        double delta = bigrams_of(&s->sent) - r->bigrams[i];
        double penalty = plain ? 1 : df_penalty(df, delta);
        for (int n = 0; n < N; n++)
            total[n] += similarity(r, s, norm, i, n) * penalty;
    }
    return (((total[0] + total[1]) + total[2]) + total[3]) / N / (double)r->n * 10.0;
}

void capt_cider_kernel(const capt_df *df, const capt_cider_refs *refs, const char *hyp, capt_cider_scratch *s, double *out)
{
    double norm[CAPT_NGRAM_MAX] = {0};
    compare(df, refs, hyp, s, 1, 1, norm);
    for (size_t i = 0; i < refs->n; i++) {
        out[i] = 0;
        for (int n = 0; n < CAPT_NGRAM_MAX; n++)
            out[i] += similarity(refs, s, norm, i, n) / CAPT_NGRAM_MAX;
    }
}

double capt_cider_score(const capt_df *df, const capt_cider_refs *refs, const char *hyp, capt_cider_scratch *s)
{
    return score(df, refs, hyp, s, 0, 1);
}

double capt_cider_score_end(const capt_df *df, const capt_cider_refs *refs, const char *hyp, int ended, capt_cider_scratch *s)
{
    return score(df, refs, hyp, s, 0, ended);
}

double capt_cider_score_plain(const capt_df *df, const capt_cider_refs *refs, const char *hyp, capt_cider_scratch *s)
{
    return score(df, refs, hyp, s, 1, 1);
}

typedef struct job {
    const capt_metric_in *in;
    const capt_df *df;
    double *each;
    capt_cider_scratch **scratch;
    int plain;
} job;

static void score_image(void *arg, int64_t task, int worker)
{
    const job *j = arg;
    const size_t *at = &j->in->ref_at[task];
    capt_cider_refs *r = capt_cider_refs_new(j->df, j->in->refs + at[0], at[1] - at[0]);
    j->each[task] = score(j->df, r, j->in->hyps[task], j->scratch[worker], j->plain, 1);
    capt_cider_refs_free(r);
}

static int score_corpus(const capt_metric_in *in, capt_metric_out *out, int plain, const char *key, capt_err *err)
{
    if (capt_metric_check(in, err))
        return -1;
    capt_df *own = in->df ? NULL : capt_df_new(in->refs, in->ref_at, in->n, 0, "", NULL, in->pool, err);
    if (!in->df && !own)
        return -1;
    int workers = capt_pool_size(in->pool);
    job j = {in, in->df ? in->df : own, capt_alloc(in->n * sizeof(double)),
             capt_alloc((size_t)workers * sizeof *j.scratch), plain};
    for (int t = 0; t < workers; t++)
        j.scratch[t] = capt_cider_scratch_new();
    capt_pool_run(in->pool, (int64_t)in->n, score_image, &j);
    *out = (capt_metric_out){.n_score = 1};
    out->score[0] = (capt_metric_score){.key = key, .value = capt_mean(j.each, in->n), .each = j.each};
    for (int t = 0; t < workers; t++)
        capt_cider_scratch_free(j.scratch[t]);
    free(j.scratch);
    capt_df_free(own);
    return 0;
}

int capt_cider(const capt_metric_in *in, capt_metric_out *out, capt_err *err)
{
    return score_corpus(in, out, 0, "CIDEr", err);
}

int capt_cider_plain(const capt_metric_in *in, capt_metric_out *out, capt_err *err)
{
    return score_corpus(in, out, 1, "CIDEr-plain", err);
}
