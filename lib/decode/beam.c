#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "base/mem.h"
#include "decode/scorer.h"

#define FORBIDDEN (-INFINITY)
#define WANTED 1e6f /* brings the tokens of required words among the k that are looked at; it counts in no score */

typedef struct hyp {
    double score, logp; /* sum of log-probabilities, with and without penalties */
    int done, n;        /* words, EOS not counted */
    int row;            /* its row in the scorer, -1 when done */
    int32_t last;
    int32_t *ids;       /* (max_t) */
    double *word;       /* (max_t + 1) */
    float *attention;   /* (max_t + 1, S), or NULL */
} hyp;

typedef struct cand { double score, logp; int from; int32_t token; int done, covered; } cand; /* done: the finished hypothesis itself; covered: tokens of required words */

/* A beam is one group of an image: all groups of all images are searched side by side, an image's one after another so that each sees what the others chose.
 * A beam whose image still has tags to read is one row that takes them; its words begin with step tags_of(b). */
typedef struct search {
    const capt_beam_opts *o;
    const capt_vocab *vocab;
    const capt_input *in;
    int beams, groups, width, max_t, k, S; /* width: hypotheses of a beam; */
    int keep;                              /* and of these with as many tokens of required words */
    hyp *cur, *next; /* (beams,width) */
    int *n_cur;      /* hypotheses of a beam */
    int *closed;
    int32_t *ids;
    double *word;
    float *attention;
    int32_t *parent, *token, *idx;
    capt_real *val;
    cand *c;
    CAPT_VEC(capt_adjust) adj;
    CAPT_VEC(int32_t) chosen; /* by an image's groups in this step */
    int32_t *wanted, *whole;  /* room for the tokens a caption wants next, and for a caption */
    int *kept;                /* (tokens of required words + 1) hypotheses kept of each number */
} search;

static hyp *beam_of(const search *s, int b)
{
    return s->cur + (size_t)b * (size_t)s->width;
}

static int tags_of(const search *s, int b)
{
    return capt_input_tags(s->in, b / s->groups);
}

/* What beam b reads at step t when it has no words yet: a tag, or BOS */
static int32_t given(const search *s, int b, int t)
{
    return t < tags_of(s, b) ? s->in->tags[s->in->tag_at[b / s->groups] + t] : capt_vocab_bos(s->vocab);
}

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
    double L = h->n + 1;
    return o->length_penalty ? h->score / pow(o->wu ? (5 + L) / 6 : L, o->length_penalty) : h->score;
}

/* A beam is closed when all its hypotheses are finished or, without a length penalty, when the best nbest are: scores only fall. */
static int is_closed(const search *s, int b)
{
    const hyp *h = beam_of(s, b);
    int n = s->n_cur[b], open = 0, leading = 0;
    for (int i = 0; i < n; i++)
        open += !h[i].done;
    while (leading < n && h[leading].done)
        leading++; /* sorted by score */
    return !open || (s->o->length_penalty == 0 && leading >= s->o->nbest);
}

static const capt_constrain *words_of(const search *s, int b)
{
    return s->o->words ? s->o->words[b / s->groups] : NULL;
}

/* Tokens of required words that h has, and one more when there is a token */
static int covered(const search *s, int b, const hyp *h, int32_t token)
{
    const capt_constrain *c = words_of(s, b);
    int n = h->n;
    if (!c)
        return 0;
    memcpy(s->whole, h->ids, (size_t)n * sizeof *s->whole);
    if (token >= 0 && token != capt_vocab_eos(s->vocab))
        s->whole[n++] = token;
    return capt_constrain_covered(c, s->whole, n);
}

/* Leaves the best `keep` of each number of covered tokens among n sorted candidates; returns how many. */
static int thin_out(search *s, cand *c, int n)
{
    int left = 0;
    memset(s->kept, 0, (CAPT_REQUIRED_MOST + 1) * sizeof *s->kept);
    for (int j = 0; j < n; j++)
        if (s->kept[c[j].covered]++ < s->keep)
            c[left++] = c[j];
    return left;
}

static int is_repeatable(const capt_beam_opts *o, int32_t token)
{
    for (int i = 0; i < o->n_repeatable; i++)
        if (o->repeatable[i] == token)
            return 1;
    return 0;
}

/* Calls for each word that would complete an N-gram that h has already, and must not. */
static void each_repeated(const search *s, const hyp *h, void (*fn)(void *arg, int32_t token), void *arg)
{
    int N = s->o->ngram;
    for (int i = 0; N > 0 && i + N <= h->n; i++)
        if (!memcmp(h->ids + i, h->ids + h->n - (N - 1), (size_t)(N - 1) * sizeof *h->ids) && !is_repeatable(s->o, h->ids[i + N - 1]))
            fn(arg, h->ids[i + N - 1]);
}

typedef struct count { int32_t token; int n; } count;
static void count_one(void *arg, int32_t token)
{
    count *c = arg;
    c->n += token == c->token;
}

/* What the soft penalty of repeated N-grams takes from token's log-probability in the ranking */
static double taken(const search *s, const hyp *h, int32_t token)
{
    count c = {token, 0};
    if (s->o->ngram_penalty > 0)
        each_repeated(s, h, count_one, &c);
    return c.n * s->o->ngram_penalty;
}

static double group_penalty(const search *s, int32_t token)
{
    int n = 0;
    for (size_t i = 0; i < s->chosen.n; i++)
        n += s->chosen.v[i] == token;
    return n * s->o->diversity;
}

static void inherit(const search *s, hyp *g, const hyp *p, const cand *c)
{
    size_t n = (size_t)p->n + (size_t)p->done;
    hyp to = *p;
    to.ids = g->ids;
    to.word = g->word;
    to.attention = g->attention;
    memcpy(to.ids, p->ids, (size_t)p->n * sizeof *p->ids);
    memcpy(to.word, p->word, n * sizeof *p->word);
    if (s->S)
        memcpy(to.attention, p->attention, n * (size_t)s->S * sizeof *p->attention);
    to.score = c->score;
    to.logp = c->logp;
    *g = to;
}

/* Extends the hypotheses of a beam by the scored words; weights: the rows' attention, or NULL. */
static void extend(search *s, int b, const capt_real *weights)
{
    hyp *h = beam_of(s, b), *g = s->next + (size_t)b * (size_t)s->width;
    int32_t eos = capt_vocab_eos(s->vocab);
    size_t k = (size_t)s->k, S = (size_t)s->S;
    cand *c = s->c;
    int n = 0;
    for (int i = 0; i < s->n_cur[b]; i++) {
        if (h[i].done) {
            c[n++] = (cand){h[i].score, h[i].logp, i, -1, 1, covered(s, b, &h[i], -1)};
            continue;
        }
        for (size_t j = 0; j < k; j++) {
            size_t at = (size_t)h[i].row * k + j;
            double v = (double)s->val[at];
            int32_t token = s->idx[at];
            if (token >= 0 && v > -INFINITY)
                c[n++] = (cand){h[i].score + v - taken(s, &h[i], token) - group_penalty(s, token), h[i].logp + v, i, token, 0, covered(s, b, &h[i], token)};
        }
    }
    qsort(c, (size_t)n, sizeof *c, better);
    n = thin_out(s, c, n);
    for (int j = 0; j < n; j++) {
        const hyp *p = &h[c[j].from];
        size_t m = (size_t)p->n;
        inherit(s, &g[j], p, &c[j]);
        if (c[j].done)
            continue;
        g[j].word[m] = c[j].logp - p->logp;
        for (size_t i = 0; i < S; i++)
            g[j].attention[m * S + i] = (float)weights[(size_t)p->row * S + i];
        g[j].last = c[j].token;
        g[j].done = c[j].token == eos;
        if (!g[j].done)
            g[j].ids[g[j].n++] = c[j].token;
        if (s->groups > 1)
            capt_vec_push(&s->chosen, c[j].token);
    }
    s->n_cur[b] = n;
    for (int j = 0; j < s->width; j++) { /* the beam's two halves change places */
        hyp tmp = h[j];
        h[j] = g[j];
        g[j] = tmp;
    }
}

typedef struct ban { search *s; int32_t row; } ban;
static void ban_one(void *arg, int32_t token)
{
    ban *b = arg;
    capt_adjust a = {b->row, token, b->s->o->ngram_penalty > 0 ? (float)-b->s->o->ngram_penalty : FORBIDDEN};
    capt_vec_push(&b->s->adj, a);
}

static void forbid_one(void *arg, int32_t token)
{
    ban *b = arg;
    capt_vec_push(&b->s->adj, ((capt_adjust){b->row, token, FORBIDDEN}));
}

/* What the required and the forbidden words ask of h's next token */
static void adjust_words(search *s, const capt_constrain *c, const hyp *h)
{
    ban b = {s, h->row};
    int n = capt_constrain_next(c, h->ids, h->n, s->wanted);
    for (int i = 0; i < n; i++)
        capt_vec_push(&s->adj, ((capt_adjust){h->row, s->wanted[i], WANTED}));
    if (capt_constrain_covered(c, h->ids, h->n) < capt_constrain_all(c))
        forbid_one(&b, capt_vocab_eos(s->vocab));
    capt_constrain_forbidden(c, h->ids, h->n, forbid_one, &b);
}

static void adjust_row(search *s, const hyp *h)
{
    const capt_beam_opts *o = s->o;
    const capt_vocab *v = s->vocab;
    int32_t never[3] = {capt_vocab_pad(v), capt_vocab_bos(v), o->allow_unk ? -1 : capt_vocab_unk(v)}, eos = capt_vocab_eos(v), bos = capt_vocab_bos(v);
    int last = h->n < o->min_words;
    for (int j = 0; j < 3 && !o->allow_all; j++) {
        int seen = never[j] < 0 || never[j] == eos;
        for (int i = 0; i < j; i++)
            seen |= never[i] == never[j];
        if (!seen)
            capt_vec_push(&s->adj, ((capt_adjust){h->row, never[j], FORBIDDEN}));
    }
    if (o->no_repeat && h->last != bos)
        capt_vec_push(&s->adj, ((capt_adjust){h->row, h->last, FORBIDDEN}));
    for (int i = 0; i < o->n_not_last && h->n > 0; i++)
        last |= o->not_last[i] == h->last;
    if (last)
        capt_vec_push(&s->adj, ((capt_adjust){h->row, eos, FORBIDDEN}));
    ban b = {s, h->row};
    each_repeated(s, h, ban_one, &b);
}

static int final_order(const void *a, const void *b)
{
    const cand *x = a, *y = b;
    if (x->covered != y->covered)
        return y->covered - x->covered;
    if (x->score != y->score)
        return x->score > y->score ? -1 : 1;
    return x->from - y->from;
}

static void open_search(search *s)
{
    size_t slots = (size_t)s->beams * (size_t)s->width, T = (size_t)s->max_t + 1;
    s->cur = capt_alloc(slots * sizeof *s->cur);
    s->next = capt_alloc(slots * sizeof *s->next);
    s->n_cur = capt_alloc((size_t)s->beams * sizeof *s->n_cur);
    s->closed = capt_alloc((size_t)s->beams * sizeof *s->closed);
    s->ids = capt_alloc(2 * slots * T * sizeof *s->ids);
    s->word = capt_alloc(2 * slots * T * sizeof *s->word);
    s->parent = capt_alloc(slots * sizeof *s->parent);
    s->token = capt_alloc(slots * sizeof *s->token);
    s->val = capt_alloc(slots * (size_t)s->k * sizeof *s->val);
    s->idx = capt_alloc(slots * (size_t)s->k * sizeof *s->idx);
    s->c = capt_alloc((size_t)s->width * ((size_t)s->k + 1) * sizeof *s->c);
    s->whole = capt_alloc(T * sizeof *s->whole);
    s->kept = capt_alloc((CAPT_REQUIRED_MOST + 1) * sizeof *s->kept);
    for (size_t i = 0; i < slots; i++) {
        s->cur[i].ids = s->ids + i * T;
        s->next[i].ids = s->ids + (slots + i) * T;
        s->cur[i].word = s->word + i * T;
        s->next[i].word = s->word + (slots + i) * T;
    }
    for (int b = 0; b < s->beams; b++) {
        hyp *h = beam_of(s, b);
        h->row = b;
        h->last = capt_vocab_bos(s->vocab);
        s->n_cur[b] = 1;
        s->parent[b] = b / s->groups;
        s->token[b] = given(s, b, 0);
    }
}

/* Wider beams and more candidates where words are required */
static void make_room(search *s, int I, int V)
{
    int all = 0, choices = 0;
    s->keep = s->width;
    for (int i = 0; i < I && s->o->words; i++) {
        const capt_constrain *c = s->o->words[i];
        all = c && capt_constrain_all(c) > all ? capt_constrain_all(c) : all;
        choices = c && capt_constrain_choices(c) > choices ? capt_constrain_choices(c) : choices;
    }
    s->width *= all + 1;
    s->k = s->k + choices < V ? s->k + choices : V;
    s->wanted = capt_alloc(((size_t)choices + 1) * sizeof *s->wanted);
}

static void close_search(search *s)
{
    void *all[] = {s->cur, s->next, s->n_cur, s->closed, s->ids, s->word, s->attention, s->parent, s->token, s->val, s->idx, s->c, s->wanted, s->whole, s->kept};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        free(all[i]);
    capt_vec_free(&s->adj);
    capt_vec_free(&s->chosen);
}

/* Room for attention, once it is known how many weights there are. */
static void keep_attention(search *s, int S)
{
    size_t slots = (size_t)s->beams * (size_t)s->width, each = ((size_t)s->max_t + 1) * (size_t)S;
    s->S = S;
    s->attention = capt_alloc(2 * slots * each * sizeof *s->attention);
    for (size_t i = 0; i < slots; i++) {
        s->cur[i].attention = s->attention + i * each;
        s->next[i].attention = s->attention + (slots + i) * each;
    }
}

/* The scores of the next words of rows that have read their tags; weights: the rows' attention, or NULL. */
static int score(search *s, capt_scorer *sc, int t, int rows, const capt_real **weights, capt_err *err)
{
    int S = 0;
    if (s->o->detail & CAPT_DETAIL_ATTENTION && sc->attention(sc, weights, &S, err))
        return -1;
    if (!s->attention && S)
        keep_attention(s, S);
    s->adj.n = 0;
    for (int b = 0; b < s->beams; b++)
        for (int j = 0; j < s->n_cur[b] && !s->closed[b] && t >= tags_of(s, b); j++)
            if (!beam_of(s, b)[j].done) {
                adjust_row(s, &beam_of(s, b)[j]);
                if (words_of(s, b))
                    adjust_words(s, words_of(s, b), &beam_of(s, b)[j]);
            }
    if (sc->topk(sc, s->k, s->adj.v, (int)s->adj.n, s->val, s->idx, err))
        return -1;
    for (size_t r = 0; r < (size_t)rows * (size_t)s->k; r++)
        if (isnan((double)s->val[r]))
            return capt_fail(err, CAPT_EDATA, "the model's scores are NaN");
    return 0;
}

/* Step t over `rows` rows; returns the rows of the next, or -1. */
static int advance(search *s, capt_scorer *sc, int t, int rows, capt_err *err)
{
    const capt_real *weights = NULL;
    int choosing = 0;
    if (sc->rows(sc, s->parent, rows, err) || sc->step(sc, s->token, err))
        return -1;
    for (int b = 0; b < s->beams; b++)
        choosing |= !s->closed[b] && t >= tags_of(s, b);
    if (choosing && score(s, sc, t, rows, &weights, err))
        return -1;
    rows = 0;
    for (int b = 0; b < s->beams; b++) {
        int reading = t < tags_of(s, b);
        if (b % s->groups == 0)
            s->chosen.n = 0;
        if (s->closed[b])
            continue;
        if (!reading) {
            extend(s, b, weights);
            s->closed[b] = is_closed(s, b) || t - tags_of(s, b) + 1 == s->max_t;
        }
        hyp *h = beam_of(s, b);
        for (int j = 0; j < s->n_cur[b] && !s->closed[b]; j++)
            if (!h[j].done) {
                s->parent[rows] = h[j].row;
                s->token[rows] = reading ? given(s, b, t + 1) : h[j].last;
                h[j].row = rows++;
            }
    }
    return rows;
}

static void put(const search *s, const hyp *b, capt_found *f)
{
    size_t n = (size_t)b->n + (size_t)b->done;
    *f = (capt_found){.ids = capt_alloc(((size_t)b->n + 1) * sizeof(int32_t)), .n = b->n, .logprob = b->logp, .ended = b->done};
    memcpy(f->ids, b->ids, (size_t)b->n * sizeof(int32_t));
    if (s->o->detail) {
        f->word = capt_alloc((n + 1) * sizeof *f->word);
        memcpy(f->word, b->word, n * sizeof *f->word);
    }
    if (s->S) {
        f->attention_rows = s->S;
        f->attention = capt_alloc((n + 1) * (size_t)s->S * sizeof *f->attention);
        memcpy(f->attention, b->attention, n * (size_t)s->S * sizeof *f->attention);
    }
}

int capt_beam_run(capt_scorer *sc, const capt_input *in, const capt_beam_opts *o, capt_found *out, capt_err *err)
{
    int I = in->n_images, G = o->groups > 1 ? o->groups : 1, V = capt_vocab_size(sc->vocab), rows, rc = -1;
    if (o->beam < 1 || o->nbest < 1 || o->nbest > o->beam)
        return capt_fail(err, CAPT_EUSAGE, "beam %d and nbest %d do not fit", o->beam, o->nbest);
    if (o->beam % G)
        return capt_fail(err, CAPT_EUSAGE, "a beam of %d cannot be %d groups", o->beam, G);
    memset(out, 0, (size_t)I * (size_t)o->nbest * sizeof *out);
    search s = {.o = o, .vocab = sc->vocab, .in = in, .beams = I * G, .groups = G, .width = o->beam / G, .max_t = o->max_t && o->max_t < sc->max_t ? o->max_t : sc->max_t,
                .k = o->beam < V ? o->beam : V}; /* of a group's words, other groups can make no more than theirs fall */
    make_room(&s, I, V);
    open_search(&s);
    cand *order = capt_alloc((size_t)(G * s.width) * sizeof *order);
    sc->detail = o->detail;
    if (sc->start(sc, in, s.beams * s.width, capt_input_most_tags(in) + s.max_t, err))
        goto end;
    rows = s.beams;
    for (int t = 0; rows > 0; t++) { /* every beam is closed after max_t words */
        rows = advance(&s, sc, t, rows, err);
        if (rows < 0)
            goto end;
    }
    for (int i = 0; i < I; i++) {
        hyp *h = beam_of(&s, i * G);
        int n = 0;
        for (int g = 0; g < G; g++)
            for (int j = 0; j < s.n_cur[i * G + g]; j++)
                order[n++] = (cand){.score = rank_score(o, &h[g * s.width + j]), .from = g * s.width + j, .covered = covered(&s, i * G + g, &h[g * s.width + j], -1)};
        qsort(order, (size_t)n, sizeof *order, final_order);
        for (int j = 0; j < o->nbest && j < n; j++)
            put(&s, &h[order[j].from], &out[(size_t)i * (size_t)o->nbest + (size_t)j]);
    }
    rc = 0;
end:
    sc->end(sc);
    free(order);
    close_search(&s);
    return rc;
}
