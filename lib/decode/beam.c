#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "base/mem.h"
#include "decode/scorer.h"

typedef struct hyp {
    double score; /* sum of log-probabilities */
    int done, n;  /* words, EOS not counted */
    int row;      /* its row in the scorer, -1 when done */
    int32_t last;
    int32_t *ids; /* (max_t) */
} hyp;

typedef struct cand { double score; int from; int32_t token; int done; } cand; /* done: the finished hypothesis itself */

typedef struct search {
    const capt_beam_opts *o;
    int I, beam, max_t;
    hyp *cur, *next; /* (I,beam) */
    int *n_cur;      /* hypotheses of an image */
    int *closed;
} search;

static int better(const void *a, const void *b)
{
    const cand *x = a, *y = b;
    if (x->score != y->score)
        return x->score > y->score ? -1 : 1;
    if (x->from != y->from)
        return x->from < y->from ? -1 : 1;
    return (x->token > y->token) - (x->token < y->token);
}

static double rank_score(const capt_beam_opts *o, const hyp *h)
{
    return o->length_penalty ? h->score / pow(h->n + 1, o->length_penalty) : h->score;
}

/* An image is closed when all its hypotheses are finished or, without a length penalty, when the best nbest are: scores only fall. */
static int is_closed(const search *s, int image)
{
    const hyp *h = s->cur + (size_t)image * (size_t)s->beam;
    int n = s->n_cur[image], open = 0, leading = 0;
    for (int i = 0; i < n; i++)
        open += !h[i].done;
    while (leading < n && h[leading].done)
        leading++; /* sorted by score */
    return !open || (s->o->length_penalty == 0 && leading >= s->o->nbest);
}

/* Extends the hypotheses of one image by the scored words val, idx (rows,k). */
static void extend(search *s, int image, int k, const capt_real *val, const int32_t *idx, int32_t eos, cand *c)
{
    hyp *h = s->cur + (size_t)image * (size_t)s->beam, *g = s->next + (size_t)image * (size_t)s->beam;
    int n = 0;
    for (int i = 0; i < s->n_cur[image]; i++) {
        if (h[i].done) {
            c[n++] = (cand){h[i].score, i, -1, 1};
            continue;
        }
        for (int j = 0; j < k; j++) {
            size_t at = (size_t)h[i].row * (size_t)k + (size_t)j;
            if (idx[at] >= 0 && val[at] > -INFINITY && !(val[at] < -1e8))
                c[n++] = (cand){h[i].score + (double)val[at], i, idx[at], 0};
        }
    }
    qsort(c, (size_t)n, sizeof *c, better);
    if (n > s->beam)
        n = s->beam;
    for (int j = 0; j < n; j++) {
        const hyp *p = &h[c[j].from];
        int32_t *ids = g[j].ids;
        memcpy(ids, p->ids, (size_t)p->n * sizeof *ids);
        g[j] = *p;
        g[j].ids = ids;
        g[j].score = c[j].score;
        if (c[j].done)
            continue;
        g[j].last = c[j].token;
        g[j].done = c[j].token == eos;
        if (!g[j].done)
            ids[g[j].n++] = c[j].token;
    }
    s->n_cur[image] = n;
}

static int adjustments(const search *s, const capt_vocab *v, const int32_t *last, int rows, capt_adjust *a)
{
    int32_t ban[3] = {capt_vocab_pad(v), capt_vocab_bos(v), s->o->allow_unk ? -1 : capt_vocab_unk(v)}, eos = capt_vocab_eos(v);
    int n = 0;
    for (int r = 0; r < rows; r++) {
        for (int j = 0; j < 3; j++) {
            int seen = ban[j] < 0 || ban[j] == eos;
            for (int i = 0; i < j; i++)
                seen |= ban[i] == ban[j];
            if (!seen)
                a[n++] = (capt_adjust){r, ban[j], -1e9f};
        }
        if (s->o->no_repeat && last[r] != capt_vocab_bos(v))
            a[n++] = (capt_adjust){r, last[r], -1e9f};
    }
    return n;
}

static int final_order(const void *a, const void *b)
{
    const cand *x = a, *y = b;
    if (x->score != y->score)
        return x->score > y->score ? -1 : 1;
    return x->from - y->from;
}

int capt_beam_run(capt_scorer *sc, const capt_input *in, const capt_beam_opts *o, capt_found *out, capt_err *err)
{
    int I = in->n_images, beam = o->beam, max_t = o->max_t && o->max_t < sc->max_t ? o->max_t : sc->max_t, rc = -1;
    int V = capt_vocab_size(sc->vocab), k = beam < V ? beam : V;
    if (beam < 1 || o->nbest < 1 || o->nbest > beam)
        return capt_fail(err, CAPT_EUSAGE, "beam %d and nbest %d do not fit", beam, o->nbest);
    memset(out, 0, (size_t)I * (size_t)o->nbest * sizeof *out);
    size_t slots = (size_t)I * (size_t)beam;
    search s = {.o = o, .I = I, .beam = beam, .max_t = max_t};
    s.cur = capt_alloc(slots * sizeof *s.cur);
    s.next = capt_alloc(slots * sizeof *s.next);
    int32_t *ids = capt_alloc(2 * slots * (size_t)max_t * sizeof *ids), *parent = capt_alloc(slots * sizeof *parent), *token = capt_alloc(slots * sizeof *token);
    s.n_cur = capt_alloc((size_t)I * sizeof *s.n_cur);
    s.closed = capt_alloc((size_t)I * sizeof *s.closed);
    capt_real *val = capt_alloc(slots * (size_t)k * sizeof *val);
    int32_t *idx = capt_alloc(slots * (size_t)k * sizeof *idx);
    cand *c = capt_alloc(((size_t)beam * (size_t)k + (size_t)beam) * sizeof *c);
    capt_adjust *adj = capt_alloc(slots * 4 * sizeof *adj);
    for (size_t i = 0; i < slots; i++) {
        s.cur[i].ids = ids + i * (size_t)max_t;
        s.next[i].ids = ids + (slots + i) * (size_t)max_t;
    }
    if (sc->start(sc, in, (int)slots, max_t, err))
        goto end;
    int rows = I;
    for (int i = 0; i < I; i++) {
        s.cur[(size_t)i * (size_t)beam].row = i;
        s.n_cur[i] = 1;
        parent[i] = i;
        token[i] = capt_vocab_bos(sc->vocab);
    }
    for (int t = 0; t < max_t && rows > 0; t++) {
        if (sc->rows(sc, parent, rows, err) || sc->step(sc, token, err))
            goto end;
        int n_adj = adjustments(&s, sc->vocab, token, rows, adj);
        if (sc->topk(sc, k, adj, n_adj, val, idx, err))
            goto end;
        for (size_t r = 0; r < (size_t)rows * (size_t)k; r++)
            if (isnan((double)val[r])) {
                capt_fail(err, CAPT_EDATA, "the model's scores are NaN");
                goto end;
            }
        rows = 0;
        for (int i = 0; i < I; i++) {
            if (s.closed[i])
                continue;
            extend(&s, i, k, val, idx, capt_vocab_eos(sc->vocab), c);
            for (int j = 0; j < beam; j++) { /* swap the image's two halves */
                size_t at = (size_t)i * (size_t)beam + (size_t)j;
                hyp tmp = s.cur[at];
                s.cur[at] = s.next[at];
                s.next[at] = tmp;
            }
            s.closed[i] = is_closed(&s, i);
            hyp *h = s.cur + (size_t)i * (size_t)beam;
            for (int j = 0; j < s.n_cur[i] && !s.closed[i]; j++)
                if (!h[j].done) {
                    parent[rows] = h[j].row;
                    token[rows] = h[j].last;
                    h[j].row = rows++;
                }
        }
    }
    for (int i = 0; i < I; i++) {
        hyp *h = s.cur + (size_t)i * (size_t)beam;
        for (int j = 0; j < s.n_cur[i]; j++)
            c[j] = (cand){rank_score(o, &h[j]), j, 0, 0};
        qsort(c, (size_t)s.n_cur[i], sizeof *c, final_order);
        for (int j = 0; j < o->nbest && j < s.n_cur[i]; j++) {
            const hyp *b = &h[c[j].from];
            capt_found *f = &out[(size_t)i * (size_t)o->nbest + (size_t)j];
            *f = (capt_found){capt_alloc(((size_t)b->n + 1) * sizeof(int32_t)), b->n, b->score, b->done};
            memcpy(f->ids, b->ids, (size_t)b->n * sizeof(int32_t));
        }
    }
    rc = 0;
end:
    sc->end(sc);
    free(s.cur);
    free(s.next);
    free(ids);
    free(parent);
    free(token);
    free(s.n_cur);
    free(s.closed);
    free(val);
    free(idx);
    free(c);
    free(adj);
    return rc;
}
