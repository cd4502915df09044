/* METEOR over a corpus: every distinct word and phrase is looked up once, then images are aligned in parallel. An image has
 * the score of its best reference; the corpus has the score of the summed statistics of these. */
#include "metric/meteor.h"
#include <libstemmer.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>
#include "base/arena.h"
#include "base/mem.h"
#include "metric/meteor_priv.h"
#include "metric/metric.h"

static const double alpha = .85, beta = .2, gamma_ = .6, delta = .75, weight[4] = {1, .6, .8, .6};

typedef CAPT_VEC(uint32_t) u32s;
typedef CAPT_VEC(meteor_occ) occs;
typedef struct key { const char *s; uint32_t n; } key;

typedef struct worker {
    meteor_norm norm;
    capt_str clean;
    meteor_aligner *aligner;
    occs occ;
    u32s lex;
} worker;

typedef struct run {
    const capt_metric_in *in;
    const capt_meteor *data;
    worker *worker;
    int n_workers;
    size_t n_sents;      /* hypotheses, then references */
    capt_str *text;      /* (n_sents): normalised words, a blank behind each */
    meteor_sent *sent;   /* (n_sents) */
    meteor_occ **occ;    /* (n_sents) malloc'd */
    capt_arena *arena;
    CAPT_VEC(key) key;   /* the distinct words */
    u32s slot;           /* 1 + word */
    CAPT_VEC(meteor_word) word;
    u32s pair_at, pair;
    meteor_run shared;
    capt_metric_out *out;
} run;

/* From weighted matched words and weighted words of both sides. */
static double score_of(double t, double r, double t_all, double r_all, double frag)
{
    double p = t / t_all, q = r / r_all, f = 1 / (((1 - alpha) / p) + (alpha / q));
    double score = f * (1 - gamma_ * pow(frag, beta));
    return score > 0 ? score : 0; /* also NaN */
}

static double words(int64_t n, int64_t n_function)
{
    return delta * (double)(n - n_function) + (1 - delta) * (double)n_function;
}

static int whole(const int64_t *s)
{
    return s[CAPT_METEOR_TMATCHED] == s[CAPT_METEOR_TLEN] && s[CAPT_METEOR_RMATCHED] == s[CAPT_METEOR_RLEN] &&
           s[CAPT_METEOR_CHUNKS] == 1;
}

/* Weighted matched words of one side. */
static double matched(const int64_t *content)
{
    double t = 0;
    for (int k = 0; k < 4; k++)
        t += ((double)content[4 * k] * weight[k]) * delta;
    for (int k = 0; k < 4; k++)
        t += ((double)content[4 * k + 2] * weight[k]) * (1 - delta);
    return t;
}

double capt_meteor_value(const int64_t s[CAPT_METEOR_STATS])
{
    double mean = (double)(s[CAPT_METEOR_TMATCHED] + s[CAPT_METEOR_RMATCHED]) / 2;
    return score_of(matched(s + CAPT_METEOR_MODULES), matched(s + CAPT_METEOR_MODULES + 1),
                    words(s[CAPT_METEOR_TLEN], s[CAPT_METEOR_TFUNC]), words(s[CAPT_METEOR_RLEN], s[CAPT_METEOR_RFUNC]),
                    whole(s) ? 0 : (double)s[CAPT_METEOR_CHUNKS] / mean);
}

/* ---- words */

static void normalise(void *arg, int64_t task, int w)
{
    run *r = arg;
    worker *x = &r->worker[w];
    const char *line = (size_t)task < r->in->n ? r->in->hyps[task] : r->in->refs[(size_t)task - r->in->n];
    if ((size_t)task < r->in->n && strstr(line, "|||")) { /* the program's own separator: dropped from hypotheses */
        capt_str_clear(&x->clean);
        for (const char *bar = strstr(line, "|||"); bar; line = bar + 3, bar = strstr(line, "|||"))
            capt_str_add(&x->clean, line, (size_t)(bar - line));
        capt_str_puts(&x->clean, line);
        line = x->clean.s;
    }
    meteor_normalise(r->data, &x->norm, line, &r->text[task]);
}

static uint32_t intern(run *r, const char *s, uint32_t n)
{
    if (2 * (r->key.n + 1) > r->slot.n) {
        size_t size = r->slot.n ? 2 * r->slot.n : 1 << 12;
        free(r->slot.v);
        r->slot.v = capt_alloc(size * sizeof *r->slot.v);
        r->slot.n = r->slot.cap = size;
        for (size_t i = 0; i < r->key.n; i++) {
            size_t at = XXH3_64bits(r->key.v[i].s, r->key.v[i].n) & (size - 1);
            while (r->slot.v[at])
                at = (at + 1) & (size - 1);
            r->slot.v[at] = (uint32_t)i + 1;
        }
    }
    size_t mask = r->slot.n - 1, at = XXH3_64bits(s, n) & mask;
    for (; r->slot.v[at]; at = (at + 1) & mask) {
        const key *k = &r->key.v[r->slot.v[at] - 1];
        if (k->n == n && !memcmp(k->s, s, n))
            return r->slot.v[at] - 1;
    }
    key k = {s, n};
    capt_vec_push(&r->key, k);
    r->slot.v[at] = (uint32_t)r->key.n;
    return (uint32_t)r->key.n - 1;
}

static void intern_all(run *r)
{
    u32s ids = {0};
    for (size_t t = 0; t < r->n_sents; t++) {
        ids.n = 0;
        for (const char *s = r->text[t].s; s && *s;) {
            size_t n = strcspn(s, " ");
            uint32_t id = intern(r, s, (uint32_t)n);
            capt_vec_push(&ids, id);
            s += n + 1;
        }
        uint32_t *own = capt_arena_alloc(r->arena, (ids.n + 1) * sizeof *own);
        if (ids.n)
            memcpy(own, ids.v, ids.n * sizeof *own);
        r->sent[t] = (meteor_sent){.word = own, .n = (uint32_t)ids.n};
    }
    free(ids.v);
}

/* The detachments of WordNet's morph, in METEOR's order; the first that gives a word with synsets counts. */
static const meteor_lex *morph(const capt_meteor *m, const char *s, size_t n)
{
    static const struct { const char *end, *put; } rule[] = {
        {"s", ""},    {"ses", "s"}, {"xes", "x"}, {"zes", "z"}, {"ches", "ch"}, {"shes", "sh"}, {"men", "man"},
        {"ies", "y"}, {"s", ""},    {"ies", "y"}, {"es", "e"},  {"es", ""},     {"ed", "e"},    {"ed", ""},
        {"ing", "e"}, {"ing", ""},  {"er", ""},   {"est", ""},  {"er", "e"},    {"est", "e"}};
    if (n <= 2 || (s[n - 1] == 's' && s[n - 2] == 's'))
        return meteor_lex_find(m, s, n);
    const meteor_lex *found = NULL;
    capt_str w = {0};
    for (size_t i = 0; i < sizeof rule / sizeof *rule && !found; i++) {
        size_t k = strlen(rule[i].end);
        if (n < k || memcmp(s + n - k, rule[i].end, k))
            continue;
        capt_str_clear(&w);
        capt_str_add(&w, s, n - k);
        capt_str_puts(&w, rule[i].put);
        const meteor_lex *x = meteor_lex_find(m, w.s, w.n);
        if (x && (x->flags & LEX_SYNSETS))
            found = x;
    }
    capt_str_free(&w);
    return found;
}

static void add_synsets(const capt_meteor *m, const meteor_lex *x, u32s *set)
{
    for (uint32_t i = 0; x && i < x->n_syn; i++) {
        uint32_t v = m->syn[x->syn + i];
        size_t at = set->n;
        while (at > 0 && set->v[at - 1] > v)
            at--;
        if (at > 0 && set->v[at - 1] == v)
            continue;
        capt_vec_push(set, v);
        memmove(set->v + at + 1, set->v + at, (set->n - 1 - at) * sizeof *set->v);
        set->v[at] = v;
    }
}

static void all_synsets(const capt_meteor *m, const meteor_lex *x, const char *s, size_t n, u32s *set)
{
    add_synsets(m, x, set);
    for (uint32_t b = 0; x && b < x->n_base; b++)
        add_synsets(m, &m->lex[m->base[x->base + b]], set);
    if (!x || !x->n_base)
        add_synsets(m, morph(m, s, n), set);
}

size_t capt_meteor_synsets(const capt_meteor *m, const char *word, size_t n, uint32_t **ids)
{
    u32s set = {0};
    all_synsets(m, meteor_lex_find(m, word, n), word, n, &set);
    *ids = set.v;
    return set.n;
}

static int look_up_words(run *r, capt_err *err)
{
    struct sb_stemmer *stemmer = sb_stemmer_new("english", "UTF_8");
    if (!stemmer)
        return capt_fail(err, CAPT_ENOMEM, "libstemmer has no English stemmer");
    u32s set = {0};
    const capt_meteor *m = r->data;
    capt_vec_reserve(&r->word, r->key.n + 1);
    for (size_t i = 0; i < r->key.n; i++) {
        const key *k = &r->key.v[i];
        meteor_word w = {.hash = meteor_word_hash(k->s, k->n)};
        const sb_symbol *stem = sb_stemmer_stem(stemmer, (const sb_symbol *)k->s, (int)k->n);
        if (!stem)
            capt_no_memory();
        w.stem = meteor_word_hash((const char *)stem, (size_t)sb_stemmer_length(stemmer));
        const meteor_lex *x = meteor_lex_find(m, k->s, k->n);
        w.lex = x ? (uint32_t)(x - m->lex) : METEOR_NONE;
        w.function = x && (x->flags & LEX_FUNCTION);
        set.n = 0;
        all_synsets(m, x, k->s, k->n, &set);
        uint32_t *own = capt_arena_alloc(r->arena, (set.n + 1) * sizeof *own);
        for (size_t v = 0; v < set.n; v++) {
            own[v] = set.v[v];
            w.syn_bits |= (uint64_t)1 << (set.v[v] * 0x9e3779b1u >> 26);
        }
        w.syn = own;
        w.n_syn = (uint32_t)set.n;
        capt_vec_push(&r->word, w);
    }
    free(set.v);
    sb_stemmer_delete(stemmer);
    return 0;
}

/* ---- phrases */

/* The phrases of one sentence, by the numbers of the data. */
static void look_up_phrases(void *arg, int64_t task, int w)
{
    run *r = arg;
    worker *x = &r->worker[w];
    meteor_sent *s = &r->sent[task];
    x->occ.n = x->lex.n = 0;
    for (uint32_t i = 0; i < s->n; i++)
        capt_vec_push(&x->lex, r->word.v[s->word[i]].lex);
    for (uint32_t i = 0; i < s->n; i++) {
        uint64_t h = METEOR_MIX0;
        for (uint32_t n = 1; i + n <= s->n && x->lex.v[i + n - 1] != METEOR_NONE; n++) {
            h = meteor_mix(h, x->lex.v[i + n - 1]);
            uint32_t p = meteor_phrase_find(r->data, h, x->lex.v + i, n);
            if (p != METEOR_NONE) {
                meteor_occ o = {p, i, n};
                capt_vec_push(&x->occ, o);
            }
            if (!meteor_is_prefix(r->data, h))
                break;
        }
    }
    r->occ[task] = capt_alloc((x->occ.n + 1) * sizeof **r->occ);
    if (x->occ.n)
        memcpy(r->occ[task], x->occ.v, x->occ.n * sizeof **r->occ);
    s->occ = r->occ[task];
    s->n_occ = (uint32_t)x->occ.n;
}

/* Numbers the phrases of the run from 0 and keeps the pairs among them: the others cannot match. */
static void number_phrases(run *r)
{
    const capt_meteor *m = r->data;
    uint32_t *number = capt_alloc((m->n_phrases + 1) * sizeof *number); /* 1 + number */
    u32s seen = {0};
    for (size_t t = 0; t < r->n_sents; t++)
        for (uint32_t k = 0; k < r->sent[t].n_occ; k++) {
            meteor_occ *o = &r->occ[t][k];
            uint32_t p = o->phrase;
            if (!number[p]) {
                capt_vec_push(&seen, p);
                number[p] = (uint32_t)seen.n;
            }
            o->phrase = number[p] - 1;
        }
    for (size_t i = 0; i < seen.n; i++) {
        capt_vec_push(&r->pair_at, (uint32_t)r->pair.n);
        for (uint32_t k = m->pair_at[seen.v[i]]; k < m->pair_at[seen.v[i] + 1]; k++)
            if (number[m->pair[k]]) {
                uint32_t q = number[m->pair[k]] - 1;
                capt_vec_push(&r->pair, q);
            }
    }
    capt_vec_push(&r->pair_at, (uint32_t)r->pair.n);
    r->shared = (meteor_run){r->word.v, (uint32_t)seen.n, r->pair_at.v, r->pair.v};
    free(seen.v);
    free(number);
}

/* ---- images */

static void score_image(void *arg, int64_t task, int w)
{
    run *r = arg;
    double best = -1;
    for (size_t k = r->in->ref_at[task]; k < r->in->ref_at[task + 1]; k++) {
        int64_t stats[CAPT_METEOR_STATS];
        meteor_align(r->worker[w].aligner, &r->sent[task], &r->sent[r->in->n + k], stats);
        double v = capt_meteor_value(stats);
        if (v > best) {
            best = v;
            memcpy(r->out->meteor_each[task], stats, sizeof stats);
        }
    }
    r->out->score[0].each[task] = best;
}

/* What of the statistics has to be summed for a score. */
enum { SUM_T, SUM_R, SUM_T_ALL, SUM_R_ALL, SUM_CHUNKS, SUM_MATCHED, SUMS };

static void value_of_sum(const double *s, size_t n, double *value)
{
    *value = score_of(s[SUM_T], s[SUM_R], s[SUM_T_ALL], s[SUM_R_ALL], s[SUM_CHUNKS] / (s[SUM_MATCHED] / 2));
}

static void sum_up(capt_metric_out *out, size_t n)
{
    int64_t *sum = out->meteor;
    for (size_t i = 0; i < n; i++) {
        const int64_t *s = out->meteor_each[i];
        int64_t chunks = whole(s) ? 0 : s[CAPT_METEOR_CHUNKS];
        for (int k = 0; k < CAPT_METEOR_STATS; k++)
            sum[k] += k == CAPT_METEOR_CHUNKS ? chunks : s[k];
        double *to = out->sum + i * SUMS;
        to[SUM_T] = matched(s + CAPT_METEOR_MODULES);
        to[SUM_R] = matched(s + CAPT_METEOR_MODULES + 1);
        to[SUM_T_ALL] = words(s[CAPT_METEOR_TLEN], s[CAPT_METEOR_TFUNC]);
        to[SUM_R_ALL] = words(s[CAPT_METEOR_RLEN], s[CAPT_METEOR_RFUNC]);
        to[SUM_CHUNKS] = (double)chunks;
        to[SUM_MATCHED] = (double)(s[CAPT_METEOR_TMATCHED] + s[CAPT_METEOR_RMATCHED]);
    }
    out->score[0].value = capt_meteor_value(sum);
}

static void run_free(run *r)
{
    for (int w = 0; w < r->n_workers; w++) {
        worker *x = &r->worker[w];
        meteor_norm_free(&x->norm);
        capt_str_free(&x->clean);
        meteor_aligner_free(x->aligner);
        free(x->occ.v);
        free(x->lex.v);
    }
    for (size_t t = 0; t < r->n_sents; t++) {
        capt_str_free(&r->text[t]);
        free(r->occ[t]);
    }
    capt_arena_free(r->arena);
    void *all[] = {r->worker, r->text, r->sent, r->occ, r->key.v, r->slot.v, r->word.v, r->pair_at.v, r->pair.v};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        free(all[i]);
}

int capt_meteor_metric(const capt_metric_in *in, capt_metric_out *out, capt_err *err)
{
    if (capt_metric_check(in, err))
        return -1;
    if (!in->meteor)
        return capt_fail(err, CAPT_EDATA, "METEOR's data are not given");
    run r = {.in = in, .data = in->meteor, .n_workers = capt_pool_size(in->pool), .n_sents = in->n + in->ref_at[in->n], .out = out};
    r.worker = capt_alloc((size_t)r.n_workers * sizeof *r.worker);
    r.text = capt_alloc(r.n_sents * sizeof *r.text);
    r.sent = capt_alloc(r.n_sents * sizeof *r.sent);
    r.occ = capt_alloc(r.n_sents * sizeof *r.occ);
    r.arena = capt_arena_new(1 << 20);
    capt_pool_run(in->pool, (int64_t)r.n_sents, normalise, &r);
    intern_all(&r);
    int rc = look_up_words(&r, err);
    if (!rc) {
        capt_pool_run(in->pool, (int64_t)r.n_sents, look_up_phrases, &r);
        number_phrases(&r);
        for (int w = 0; w < r.n_workers; w++)
            r.worker[w].aligner = meteor_aligner_new(&r.shared);
        *out = (capt_metric_out){.n_score = 1, .meteor_each = capt_alloc(in->n * sizeof *out->meteor_each)};
        out->score[0].key = capt_meteor_full(in->meteor) ? "METEOR" : "METEOR-nopara";
        out->score[0].each = capt_alloc(in->n * sizeof(double));
        out->sum = capt_alloc(in->n * SUMS * sizeof(double));
        out->n_sum = SUMS;
        out->of_sum = value_of_sum;
        out->sum_scores = 1;
        capt_pool_run(in->pool, (int64_t)in->n, score_image, &r);
        sum_up(out, in->n);
    }
    run_free(&r);
    return rc;
}
