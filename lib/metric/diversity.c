/* Diversity of several captions an image (Wang and Chan: Describing like humans, CVPR 2019, for self-CIDEr; Shetty et al.:
 * Speaking the same language, ICCV 2017, for Div-n and mBLEU), as the public evaluation of sampled captions has it:
 *   Div-n        distinct n-grams of an image's captions / (their words + 1e-6), mean over images
 *   mBLEU-n      corpus BLEU-n of the j-th captions against the image's other ones, mean over j; images with one caption apart
 *   self-CIDEr   K = plain CIDEr between an image's k captions / 10, l its eigenvalues clipped at 0:
 *                -log(sqrt(max l) / sum sqrt(l)) / log k, mean over the images with two or more captions
 *   distinct     number of distinct captions in all
 *   vocabulary   number of distinct words in all
 *   novelty      share of an image's captions that no training caption equals, mean over images
 *   oracle-CIDEr CIDEr-D of the best caption of each image, mean
 * mBLEU and self-CIDEr are left out when no image has two captions, novelty without training captions. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "base/mem.h"
#include "metric/bleu_priv.h"
#include "metric/metric.h"

enum { DIV_1, DIV_2, SELF, NOVELTY, ORACLE, N_EACH };

typedef struct work {
    capt_sent *sent; /* captions of one image */
    size_t n_sent;
    capt_grams grams;
    uint32_t *best;
    size_t cap_best;
    double *kernel;
    size_t cap_kernel;
    capt_cider_scratch *scratch;
} work;

typedef struct job {
    const capt_metric_in *in;
    const capt_df *df;
    const char *const *cands;
    const size_t *at;
    double *each[N_EACH];
    double *sum;  /* (n, most, BLEU_SUMS): counts of the j-th captions against the other ones */
    size_t most;  /* captions of an image */
    work *w;
} job;

/* Eigenvalues of the symmetric (n,n) matrix a onto its diagonal, by Jacobi's rotations. */
static void eigenvalues(double *a, size_t n)
{
    for (int sweep = 0; sweep < 50; sweep++) {
        double off = 0, diag = 0;
        for (size_t p = 0; p < n; p++)
            for (size_t q = 0; q < n; q++)
                *(p == q ? &diag : &off) += a[p * n + q] * a[p * n + q];
        if (off <= 1e-28 * diag)
            return;
        for (size_t p = 0; p < n; p++)
            for (size_t q = p + 1; q < n; q++) {
                double x = a[p * n + q];
                if (x == 0)
                    continue;
                double theta = (a[q * n + q] - a[p * n + p]) / (2 * x);
                double t = (theta < 0 ? -1 : 1) / (fabs(theta) + sqrt(theta * theta + 1)), c = 1 / sqrt(t * t + 1), s = t * c;
                for (size_t k = 0; k < n; k++) {
                    double u = a[k * n + p], v = a[k * n + q];
                    a[k * n + p] = c * u - s * v;
                    a[k * n + q] = s * u + c * v;
                }
                for (size_t k = 0; k < n; k++) {
                    double u = a[p * n + k], v = a[q * n + k];
                    a[p * n + k] = c * u - s * v;
                    a[q * n + k] = s * u + c * v;
                }
            }
    }
}

static double self_cider(const job *j, work *w, const char *const *cands, size_t k)
{
    capt_vec_grow_((void **)&w->kernel, &w->cap_kernel, k * k, sizeof *w->kernel);
    capt_cider_refs *r = capt_cider_refs_new(j->df, cands, k);
    for (size_t i = 0; i < k; i++)
        capt_cider_kernel(j->df, r, cands[i], w->scratch, w->kernel + i * k);
    capt_cider_refs_free(r);
    eigenvalues(w->kernel, k);
    double top = 0, sum = 0;
    for (size_t i = 0; i < k; i++) {
        double l = w->kernel[i * k + i] > 0 ? sqrt(w->kernel[i * k + i]) : 0;
        top = l > top ? l : top;
        sum += l;
    }
    return top > 0 ? log(sum / top) / log((double)k) : 0;
}

static void count_rounds(work *w, size_t k, double *sum)
{
    for (size_t i = 0; i < k; i++) {
        const capt_sent *hyp = &w->sent[i];
        bleu_counts c;
        capt_vec_grow_((void **)&w->best, &w->cap_best, hyp->grams.n + 1, sizeof *w->best);
        bleu_hyp(&c, hyp, w->best);
        for (size_t r = 0; r < k; r++)
            if (r != i)
                bleu_ref(&c, hyp, &w->sent[r], w->best);
        bleu_end(&c, hyp, w->best);
        bleu_sums(&c, sum + i * BLEU_SUMS);
    }
}

static void score_image(void *arg, int64_t task, int worker)
{
    const job *j = arg;
    work *w = &j->w[worker];
    const char *const *cands = j->cands + j->at[task];
    size_t k = j->at[task + 1] - j->at[task], words = 0, distinct[2] = {0}, novel = 0;
    if (k > w->n_sent) {
        w->sent = capt_realloc(w->sent, k * sizeof *w->sent);
        memset(w->sent + w->n_sent, 0, (k - w->n_sent) * sizeof *w->sent);
        w->n_sent = k;
    }
    capt_grams_clear(&w->grams, 0);
    for (size_t i = 0; i < k; i++) {
        capt_sent_set(&w->sent[i], cands[i], 0, 0);
        words += w->sent[i].n_words;
        const capt_grams *g = &w->sent[i].grams;
        for (size_t x = 0; x < g->n && g->gram[x].n <= 2; x++) {
            size_t old = w->grams.n;
            capt_grams_add(&w->grams, g->gram[x].key, g->gram[x].check, g->gram[x].n, 1);
            distinct[g->gram[x].n - 1] += w->grams.n > old;
        }
        if (j->in->train) {
            uint64_t key, check;
            capt_line_key(cands[i], &key, &check);
            novel += capt_grams_find(j->in->train, key, check) < 0;
        }
    }
    j->each[DIV_1][task] = (double)distinct[0] / ((double)words + 1e-6);
    j->each[DIV_2][task] = (double)distinct[1] / ((double)words + 1e-6);
    j->each[NOVELTY][task] = (double)novel / (double)k;
    j->each[SELF][task] = k > 1 ? self_cider(j, w, cands, k) : NAN;
    if (k > 1)
        count_rounds(w, k, j->sum + (size_t)task * j->most * BLEU_SUMS);
    const size_t *ref_at = &j->in->ref_at[task];
    capt_cider_refs *r = capt_cider_refs_new(j->df, j->in->refs + ref_at[0], ref_at[1] - ref_at[0]);
    double best = 0;
    for (size_t i = 0; i < k; i++) {
        double v = capt_cider_score(j->df, r, cands[i], w->scratch);
        best = v > best ? v : best;
    }
    capt_cider_refs_free(r);
    j->each[ORACLE][task] = best;
}

/* Distinct captions and words of all images. */
static void count_distinct(const job *j, size_t n, double *captions, double *vocabulary)
{
    capt_grams lines = {0}, words = {0};
    capt_sent s = {0};
    for (size_t i = 0; i < j->at[n]; i++) {
        uint64_t key, check;
        capt_line_key(j->cands[i], &key, &check);
        capt_grams_add(&lines, key, check, 0, 1);
        capt_sent_set(&s, j->cands[i], 0, 0);
        for (size_t x = 0; x < s.grams.n && s.grams.gram[x].n == 1; x++)
            capt_grams_add(&words, s.grams.gram[x].key, s.grams.gram[x].check, 1, 1);
    }
    *captions = (double)lines.n;
    *vocabulary = (double)words.n;
    capt_grams_free(&lines);
    capt_grams_free(&words);
    capt_sent_free(&s);
}

/* Mean BLEU over rounds. */
static void mean_bleu(const double *sum, size_t n, double *out)
{
    size_t rounds = 0;
    memset(out, 0, CAPT_NGRAM_MAX * sizeof *out);
    for (; n; n -= BLEU_SUMS, sum += BLEU_SUMS) {
        double v[CAPT_NGRAM_MAX];
        if (sum[0] == 0)
            continue;
        bleu_of_sums(sum, BLEU_SUMS, v);
        for (int k = 0; k < CAPT_NGRAM_MAX; k++)
            out[k] += v[k];
        rounds++;
    }
    for (int k = 0; k < CAPT_NGRAM_MAX && rounds; k++)
        out[k] /= (double)rounds;
}

static void put(capt_metric_out *out, const char *key, double value, double **each)
{
    out->score[out->n_score++] = (capt_metric_score){.key = key, .value = value, .each = each ? *each : NULL};
    if (each)
        *each = NULL;
}

static void put_count(capt_metric_out *out, const char *key, double value)
{
    out->score[out->n_score++] = (capt_metric_score){.key = key, .value = value, .count = 1};
}

/* mBLEU's scores, unless no image has two captions. */
static void put_mbleu(job *j, size_t n, capt_metric_out *out)
{
    static const char *const key[] = {"mBLEU-1", "mBLEU-2", "mBLEU-3", "mBLEU-4"};
    size_t n_sum = j->most * BLEU_SUMS;
    double v[CAPT_NGRAM_MAX], *all = capt_alloc((n_sum + 1) * sizeof *all);
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < n_sum; k++)
            all[k] += j->sum[i * n_sum + k];
    double words = 0;
    for (size_t i = 0; i < j->most; i++)
        words += all[i * BLEU_SUMS];
    if (words > 0) {
        mean_bleu(all, n_sum, v);
        out->sum_first = out->n_score;
        out->sum_scores = CAPT_NGRAM_MAX;
        out->n_sum = n_sum;
        out->of_sum = mean_bleu;
        out->sum = j->sum;
        j->sum = NULL;
        for (int k = 0; k < CAPT_NGRAM_MAX; k++)
            put(out, key[k], v[k], NULL);
    }
    free(all);
}

static double mean_defined(const double *x, size_t n)
{
    double *v = capt_alloc((n + 1) * sizeof *v);
    size_t k = 0;
    for (size_t i = 0; i < n; i++)
        if (!isnan(x[i]))
            v[k++] = x[i];
    double mean = k ? capt_mean(v, k) : NAN;
    free(v);
    return mean;
}

static void report(const capt_metric_in *in, job *j, capt_metric_out *out)
{
    double captions, vocabulary;
    *out = (capt_metric_out){0};
    put(out, "Div-1", capt_mean(j->each[DIV_1], in->n), &j->each[DIV_1]);
    put(out, "Div-2", capt_mean(j->each[DIV_2], in->n), &j->each[DIV_2]);
    put_mbleu(j, in->n, out);
    if (j->most > 1)
        put(out, "self-CIDEr", mean_defined(j->each[SELF], in->n), &j->each[SELF]);
    count_distinct(j, in->n, &captions, &vocabulary);
    put_count(out, "distinct", captions);
    put_count(out, "vocabulary", vocabulary);
    if (in->train)
        put(out, "novelty", capt_mean(j->each[NOVELTY], in->n), &j->each[NOVELTY]);
    put(out, "oracle-CIDEr", capt_mean(j->each[ORACLE], in->n), &j->each[ORACLE]);
}

int capt_diversity(const capt_metric_in *in, capt_metric_out *out, capt_err *err)
{
    if (capt_metric_check(in, err))
        return -1;
    capt_df *own = in->df ? NULL : capt_df_new(in->refs, in->ref_at, in->n, 0, "", NULL, in->pool, err);
    if (!in->df && !own)
        return -1;
    int workers = capt_pool_size(in->pool);
    size_t *ones = capt_alloc((in->n + 1) * sizeof *ones);
    for (size_t i = 0; i <= in->n; i++)
        ones[i] = i;
    job j = {.in = in, .df = in->df ? in->df : own, .cands = in->cands ? in->cands : in->hyps,
             .at = in->cands ? in->cand_at : ones, .w = capt_alloc((size_t)workers * sizeof *j.w)};
    for (size_t i = 0; i < in->n; i++)
        j.most = j.at[i + 1] - j.at[i] > j.most ? j.at[i + 1] - j.at[i] : j.most;
    for (int k = 0; k < N_EACH; k++)
        j.each[k] = capt_alloc(in->n * sizeof(double));
    for (int t = 0; t < workers; t++)
        j.w[t].scratch = capt_cider_scratch_new();
    j.sum = capt_try_alloc((in->n * j.most * BLEU_SUMS + 1) * sizeof *j.sum, err);
    int rc = j.sum ? 0 : -1;
    if (!rc) {
        capt_pool_run(in->pool, (int64_t)in->n, score_image, &j);
        report(in, &j, out);
    }
    for (int t = 0; t < workers; t++) {
        work *w = &j.w[t];
        for (size_t i = 0; i < w->n_sent; i++)
            capt_sent_free(&w->sent[i]);
        capt_grams_free(&w->grams);
        capt_cider_scratch_free(w->scratch);
        free(w->sent);
        free(w->best);
        free(w->kernel);
    }
    for (int k = 0; k < N_EACH; k++)
        free(j.each[k]);
    free(j.sum);
    free(j.w);
    free(ones);
    capt_df_free(own);
    return rc;
}
