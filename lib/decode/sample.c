#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "base/mem.h"
#include "base/rng.h"
#include "decode/scorer.h"

typedef struct draw {
    capt_scorer *s;
    const capt_sample_opts *o;
    int32_t ban[3];
    int n_ban, V;
    capt_real *val; /* host (rows,k) or (rows,V): log-probabilities */
    int32_t *idx;   /* host (rows,k) */
    double *p;      /* (k) or (V) */
    CAPT_VEC(capt_adjust) adj;
} draw;

static double share(const draw *d)
{
    return d->o->top_p > 0 && d->o->top_p < 1 ? d->o->top_p : 1;
}

/* The one of n words, with weights p, that the random number u falls on; only those of weight `least` or more count and weigh `sum` together. */
static int fall_on(const double *p, int n, double least, double sum, double u)
{
    int last = 0;
    double at = u * sum;
    for (int i = 0; i < n; i++) {
        if (p[i] < least || p[i] <= 0)
            continue;
        last = i;
        if (at < p[i])
            return i;
        at -= p[i];
    }
    return last;
}

/* Words of rows from their top_k likeliest, and from the fewest of these that have top_p of their probability. */
static int draw_first(draw *d, const double *u, int rows, int32_t *token, capt_real *logp, capt_err *err)
{
    int k = d->o->top_k < d->V - d->n_ban ? d->o->top_k : d->V - d->n_ban;
    size_t K = (size_t)k;
    d->val = capt_realloc(d->val, ((size_t)rows * K + 1) * sizeof *d->val);
    d->idx = capt_realloc(d->idx, ((size_t)rows * K + 1) * sizeof *d->idx);
    d->p = capt_realloc(d->p, (K + 1) * sizeof *d->p);
    d->adj.n = 0;
    for (int r = 0; r < rows; r++)
        for (int i = 0; i < d->n_ban; i++)
            capt_vec_push(&d->adj, ((capt_adjust){r, d->ban[i], -INFINITY}));
    if (d->s->topk(d->s, k, d->adj.v, (int)d->adj.n, d->val, d->idx, err))
        return -1;
    for (int r = 0; r < rows; r++) {
        const capt_real *v = d->val + (size_t)r * K; /* falling */
        double sum = 0, kept = 0;
        int n = 0;
        for (int i = 0; i < k; i++)
            sum += d->p[i] = exp(((double)v[i] - (double)v[0]) / d->o->temperature);
        while (n < k && (n == 0 || kept < share(d) * sum))
            kept += d->p[n++];
        n = fall_on(d->p, n, 0, kept, u[r]);
        token[r] = d->idx[(size_t)r * K + (size_t)n];
        logp[r] = v[n];
    }
    return 0;
}

/* Words of rows from the fewest that have top_p of the probability: the weight that the least of them has is found by halving. */
static int draw_nucleus(draw *d, const double *u, int rows, int32_t *token, capt_real *logp, capt_err *err)
{
    const capt_real *dev = d->s->logp(d->s, err);
    size_t V = (size_t)d->V, all = (size_t)rows * V;
    if (!dev)
        return -1;
    d->val = capt_realloc(d->val, all * sizeof *d->val);
    d->p = capt_realloc(d->p, V * sizeof *d->p);
    d->s->be->download(d->s->be, d->val, dev, all * sizeof *d->val);
    if (d->s->be->check(d->s->be, err))
        return -1;
    for (int r = 0; r < rows; r++) {
        capt_real *v = d->val + (size_t)r * V, max = -INFINITY;
        double sum = 0, lo = 0, hi = 1, kept = 0;
        for (int i = 0; i < d->n_ban; i++)
            v[d->ban[i]] = -INFINITY;
        for (size_t i = 0; i < V; i++)
            max = v[i] > max ? v[i] : max;
        for (size_t i = 0; i < V; i++)
            sum += d->p[i] = exp(((double)v[i] - (double)max) / d->o->temperature);
        for (int n = 0; n < 60; n++) {
            double mid = (lo + hi) / 2, s = 0;
            for (size_t i = 0; i < V; i++)
                s += d->p[i] >= mid ? d->p[i] : 0;
            if (s >= share(d) * sum) {
                lo = mid;
                kept = s;
            } else {
                hi = mid;
            }
        }
        token[r] = isnan(sum) ? -1 : fall_on(d->p, d->V, lo, kept > 0 ? kept : sum, u[r]);
        logp[r] = token[r] < 0 ? (capt_real)NAN : v[token[r]];
    }
    return 0;
}

static void keep_detail(capt_found *f, const capt_sample_opts *o, int max_t, int t, double logp, const capt_real *weights, int S)
{
    if (!f->word)
        f->word = capt_alloc(((size_t)max_t + 1) * sizeof *f->word);
    f->word[t] = logp;
    if (!S)
        return;
    if (!f->attention)
        f->attention = capt_alloc(((size_t)max_t + 1) * (size_t)S * sizeof *f->attention);
    f->attention_rows = S;
    for (int i = 0; i < S; i++)
        f->attention[t * S + i] = (float)weights[i];
}

/* A row that is drawn, or one that reads an image's tags for all its samples */
typedef struct line { int image, sample; } line; /* sample -1: reads tags */

/* Rows of an image once t of its tags are read, at `from` the row before (or the image): one as long as there are more, then n with BOS. Returns the new number of rows. */
static int read_tags(const capt_input *in, int image, int t, int n, int32_t from, int32_t bos, int rows, line *who, int32_t *parent, int32_t *token)
{
    int left = t < capt_input_tags(in, image);
    for (int k = left ? -1 : 0; k < (left ? 0 : n); k++) {
        parent[rows] = from;
        token[rows] = left ? in->tags[in->tag_at[image] + t] : bos;
        who[rows++] = (line){image, k};
    }
    return rows;
}

int capt_sample_run(capt_scorer *sc, const capt_input *in, const capt_sample_opts *o, const uint64_t *id_hash, capt_found *out, capt_err *err)
{
    int I = in->n_images, n = o->n, rows = 0, rc = -1, max_t = o->max_t;
    if (n < 1 || !(o->temperature > 0) || o->top_k < 0 || !(o->top_p >= 0 && o->top_p <= 1))
        return capt_fail(err, CAPT_EUSAGE, "%d samples at temperature %g, of the first %d words and %g of the probability", n, o->temperature, o->top_k, o->top_p);
    if (max_t < 1 || max_t > sc->max_t)
        max_t = sc->max_t;
    size_t total = (size_t)I * (size_t)n;
    memset(out, 0, total * sizeof *out);
    int32_t *parent = capt_alloc(total * sizeof *parent), *token = capt_alloc(total * sizeof *token), *to = capt_alloc(2 * total * sizeof *to);
    line *who = capt_alloc(total * sizeof *who), *now = capt_alloc(total * sizeof *now);
    double *u = capt_alloc(total * sizeof *u);
    capt_real *logp = capt_alloc(total * sizeof *logp);
    const capt_vocab *v = sc->vocab;
    draw d = {.s = sc, .o = o, .V = capt_vocab_size(v)};
    int32_t bos = capt_vocab_bos(v), eos = capt_vocab_eos(v), special[3] = {capt_vocab_pad(v), bos, o->allow_unk ? -1 : capt_vocab_unk(v)};
    for (int i = 0; i < 3 && !o->allow_all; i++)
        if (special[i] >= 0 && special[i] != eos && (i == 0 || special[i] != special[0]) && (i < 2 || special[2] != special[1]))
            d.ban[d.n_ban++] = special[i];
    sc->detail = o->detail;
    if (sc->start(sc, in, (int)total, capt_input_most_tags(in) + max_t, err))
        goto end;
    for (size_t r = 0; r < total; r++)
        out[r].ids = capt_alloc((size_t)max_t * sizeof(int32_t));
    for (int i = 0; i < I; i++)
        rows = read_tags(in, i, 0, n, i, bos, rows, who, parent, token);
    for (int t = 0; rows > 0; t++) { /* every image is done after max_t words */
        const capt_real *weights = NULL;
        int S = 0, drawing = 0;
        if (sc->rows(sc, parent, rows, err) || sc->step(sc, token, err))
            goto end;
        for (int r = 0; r < rows; r++) {
            int w = t - capt_input_tags(in, who[r].image); /* the image's word */
            drawing |= w >= 0;
            u[r] = w < 0 ? 0.5 : capt_rng_u01(capt_rng_key(o->seed, CAPT_RNG_SAMPLE, id_hash[who[r].image], (uint64_t)who[r].sample), (uint64_t)w);
        }
        if (drawing && o->detail & CAPT_DETAIL_ATTENTION && sc->attention(sc, &weights, &S, err))
            goto end;
        if (drawing && (o->top_k       ? draw_first(&d, u, rows, token, logp, err)
                        : share(&d) < 1 ? draw_nucleus(&d, u, rows, token, logp, err)
                                        : sc->sample(sc, u, o->temperature, d.ban, d.n_ban, token, logp, err)))
            goto end;
        int keep = 0;
        memcpy(now, who, (size_t)rows * sizeof *now);
        for (int r = 0; r < rows; r++) {
            line l = now[r];
            int w = t - capt_input_tags(in, l.image);
            if (l.sample < 0) {
                keep = read_tags(in, l.image, t + 1, n, r, bos, keep, who, to, to + total);
                continue;
            }
            capt_found *f = &out[(size_t)l.image * (size_t)n + (size_t)l.sample];
            if (token[r] < 0 || isnan((double)logp[r])) {
                capt_fail(err, CAPT_EDATA, "the model's scores are NaN");
                goto end;
            }
            f->logprob += (double)logp[r];
            if (o->detail)
                keep_detail(f, o, max_t, w, (double)logp[r], weights ? weights + (size_t)r * (size_t)S : NULL, S);
            if (token[r] == eos) {
                f->ended = 1;
                continue;
            }
            f->ids[f->n++] = token[r];
            if (w + 1 == max_t)
                continue;
            to[keep] = r;
            to[total + (size_t)keep] = token[r];
            who[keep++] = l;
        }
        memcpy(parent, to, (size_t)keep * sizeof *parent);
        memcpy(token, to + total, (size_t)keep * sizeof *token);
        rows = keep;
    }
    rc = 0;
end:
    sc->end(sc);
    if (rc)
        capt_found_free(out, (int)total);
    free(parent);
    free(token);
    free(to);
    free(who);
    free(now);
    free(u);
    free(logp);
    free(d.val);
    free(d.idx);
    free(d.p);
    capt_vec_free(&d.adj);
    return rc;
}
