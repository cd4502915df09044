/* ROUGE-L (Lin: ROUGE, 2004) as the public caption scorer has it: words split on single blanks (an empty line is one empty
 * word), precision and recall maximised over the references separately, beta 1.2, mean over images. */
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>
#include "base/mem.h"
#include "metric/metric.h"

typedef struct word { uint64_t hash; const char *s; size_t n; } word;
typedef struct words { word *v; size_t n, cap; } words;
typedef struct work { words hyp, ref; uint32_t *row; size_t cap; } work;
typedef struct job { const capt_metric_in *in; double *each; work *w; } job;

static void split(words *w, const char *line)
{
    w->n = 0;
    for (const char *p = line;; p++) {
        size_t n = strcspn(p, " ");
        word x = {XXH3_64bits(p, n), p, n};
        capt_vec_push(w, x);
        p += n;
        if (!*p)
            return;
    }
}

static int same(const word *a, const word *b)
{
    return a->hash == b->hash && a->n == b->n && !memcmp(a->s, b->s, a->n);
}

/* Length of the longest common subsequence. Up to 64 words of b: one machine word holds a row (Crochemore et al. 2001). */
static size_t lcs(const words *a, const words *b, work *w)
{
    if (b->n <= 64) {
        uint64_t v = ~(uint64_t)0, all = b->n == 64 ? ~(uint64_t)0 : ((uint64_t)1 << b->n) - 1;
        for (size_t i = 0; i < a->n; i++) {
            uint64_t m = 0;
            for (size_t k = 0; k < b->n; k++)
                m |= (uint64_t)same(&a->v[i], &b->v[k]) << k;
            uint64_t u = v & m;
            v = (v + u) | (v - u);
        }
        return (size_t)__builtin_popcountll(~v & all);
    }
    capt_vec_grow_((void **)&w->row, &w->cap, b->n + 1, sizeof *w->row);
    memset(w->row, 0, (b->n + 1) * sizeof *w->row);
    for (size_t i = 0; i < a->n; i++) {
        uint32_t diag = 0;
        for (size_t k = 0; k < b->n; k++) {
            uint32_t up = w->row[k + 1], left = w->row[k];
            w->row[k + 1] = same(&a->v[i], &b->v[k]) ? diag + 1 : up > left ? up : left;
            diag = up;
        }
    }
    return w->row[b->n];
}

static void score_image(void *arg, int64_t task, int worker)
{
    const job *j = arg;
    work *w = &j->w[worker];
    double p = 0, r = 0, b2 = capt_pow(1.2, 2.0);
    split(&w->hyp, j->in->hyps[task]);
    for (size_t k = j->in->ref_at[task]; k < j->in->ref_at[task + 1]; k++) {
        split(&w->ref, j->in->refs[k]);
        double l = (double)lcs(&w->hyp, &w->ref, w);
        double pk = l / (double)w->hyp.n, rk = l / (double)w->ref.n;
        p = pk > p ? pk : p;
        r = rk > r ? rk : r;
    }
    j->each[task] = p > 0 && r > 0 ? ((1 + b2) * p * r) / (r + b2 * p) : 0;
}

int capt_rouge(const capt_metric_in *in, capt_metric_out *out, capt_err *err)
{
    if (capt_metric_check(in, err))
        return -1;
    int workers = capt_pool_size(in->pool);
    job j = {in, capt_alloc(in->n * sizeof(double)), capt_alloc((size_t)workers * sizeof *j.w)};
    capt_pool_run(in->pool, (int64_t)in->n, score_image, &j);
    *out = (capt_metric_out){.n_score = 1};
    out->score[0] = (capt_metric_score){.key = "ROUGE_L", .value = capt_mean(j.each, in->n), .each = j.each};
    for (int t = 0; t < workers; t++) {
        free(j.w[t].hyp.v);
        free(j.w[t].ref.v);
        free(j.w[t].row);
    }
    free(j.w);
    return 0;
}
