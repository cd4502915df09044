/* METEOR's alignment of two sentences: all matches of the four modules, those that compete with no other one fixed, and a
 * beam search over the reference for the rest. Order decides among equals, so matches are made, and paths kept, in the
 * public program's order. Search weights cut to integers, and the distance of a match counts for the paths made after it
 * rather than for its own: both are the program's, and both change alignments. */
#include <stdlib.h>
#include <string.h>
#include "base/mem.h"
#include "metric/meteor_priv.h"

enum { EXACT, STEM, SYNONYM, PARAPHRASE, BEAM = 40, NO_END = -1 };

typedef CAPT_VEC(uint32_t) u32s;

/* A partial alignment. Its used words are bits behind it: hypothesis, then reference. */
typedef struct path {
    int64_t distance;
    int32_t m1, m2, chunks, idx, last_end, step; /* words matched; next reference word; end of the last match; last step */
    uint64_t used[];
} path;
typedef struct step { int32_t match, before; } step; /* matches of a path, last first; -1: none */
/* A path of the next round, before it is made: its order, the path it comes from, by which match. */
typedef struct kid {
    int64_t distance;
    int32_t matched, chunks, from, match; /* match: KEEP, SKIP, or its index */
} kid;
enum { KEEP = -1, SKIP = -2 };

struct meteor_aligner {
    const meteor_run *run;
    CAPT_VEC(meteor_match) made, by_j;
    u32s at_j, cover1, cover2, next1, next2;
    uint32_t *head1, *head2; /* (run's phrases): 1 + first occurrence in this sentence */
    int32_t *fixed;          /* (reference words): the match taken there, or -1 */
    size_t cap_fixed;
    CAPT_VEC(step) steps;
    CAPT_VEC(kid) kids, sorted;
    unsigned char *paths[2];
    size_t cap_paths, stride;
};

meteor_aligner *meteor_aligner_new(const meteor_run *run)
{
    meteor_aligner *a = capt_alloc(sizeof *a);
    a->run = run;
    a->head1 = capt_alloc((run->n_phrases + 1) * sizeof *a->head1);
    a->head2 = capt_alloc((run->n_phrases + 1) * sizeof *a->head2);
    return a;
}

void meteor_aligner_free(meteor_aligner *a)
{
    if (!a)
        return;
    void *all[] = {a->made.v, a->by_j.v, a->at_j.v, a->cover1.v, a->cover2.v, a->next1.v, a->next2.v, a->head1, a->head2,
                   a->fixed, a->steps.v, a->kids.v, a->sorted.v, a->paths[0], a->paths[1], a};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        free(all[i]);
}

static void clear(u32s *v, size_t n)
{
    capt_vec_reserve(v, n + 1);
    memset(v->v, 0, (n + 1) * sizeof *v->v);
    v->n = n;
}

static void add(meteor_aligner *a, uint32_t i, uint32_t n_i, uint32_t j, uint32_t n_j, uint32_t module)
{
    meteor_match m = {i, n_i, j, n_j, module};
    capt_vec_push(&a->made, m);
    for (uint32_t k = i; k < i + n_i; k++)
        a->cover1.v[k]++;
    for (uint32_t k = j; k < j + n_j; k++)
        a->cover2.v[k]++;
}

static int same_synset(const meteor_word *x, const meteor_word *y)
{
    if (!(x->syn_bits & y->syn_bits))
        return 0;
    for (uint32_t i = 0, k = 0; i < x->n_syn && k < y->n_syn;) {
        if (x->syn[i] == y->syn[k])
            return 1;
        if (x->syn[i] < y->syn[k])
            i++;
        else
            k++;
    }
    return 0;
}

static void match_words(meteor_aligner *a, const meteor_sent *hyp, const meteor_sent *ref, uint32_t module)
{
    for (uint32_t j = 0; j < ref->n; j++) {
        const meteor_word *y = &a->run->word[ref->word[j]];
        for (uint32_t i = 0; i < hyp->n; i++) {
            const meteor_word *x = &a->run->word[hyp->word[i]];
            int equal = x->hash == y->hash;
            if (module == EXACT ? equal : !equal && (module == STEM ? x->stem == y->stem : same_synset(x, y)))
                add(a, i, 1, j, 1, module);
        }
    }
}

/* Chains of a sentence's phrases by their number, first occurrence first. */
static void chain(const meteor_sent *s, uint32_t *head, u32s *next)
{
    clear(next, s->n_occ);
    for (uint32_t k = s->n_occ; k-- > 0;) {
        next->v[k] = head[s->occ[k].phrase];
        head[s->occ[k].phrase] = k + 1;
    }
}

static void unchain(const meteor_sent *s, uint32_t *head)
{
    for (uint32_t k = 0; k < s->n_occ; k++)
        head[s->occ[k].phrase] = 0;
}

/* Phrases of `from`, and their paraphrases found in `to`. */
static void match_phrases(meteor_aligner *a, const meteor_sent *from, const meteor_sent *to, const uint32_t *head,
                          const u32s *next, int from_ref)
{
    const meteor_run *r = a->run;
    for (uint32_t k = 0; k < from->n_occ; k++) {
        const meteor_occ *x = &from->occ[k];
        for (uint32_t p = r->pair_at[x->phrase]; p < r->pair_at[x->phrase + 1]; p++)
            for (uint32_t o = head[r->pair[p]]; o; o = next->v[o - 1]) {
                const meteor_occ *y = &to->occ[o - 1];
                if (from_ref)
                    add(a, y->at, y->len, x->at, x->len, PARAPHRASE);
                else
                    add(a, x->at, x->len, y->at, y->len, PARAPHRASE);
            }
    }
}

static int identical(const meteor_aligner *a, const meteor_sent *hyp, const meteor_sent *ref)
{
    int same = hyp->n == ref->n;
    for (uint32_t i = 0; same && i < hyp->n; i++)
        same = a->run->word[hyp->word[i]].hash == a->run->word[ref->word[i]].hash;
    return same;
}

/* All matches, by reference word, in the order they were made; and the fixed ones. */
static void match_all(meteor_aligner *a, const meteor_sent *hyp, const meteor_sent *ref)
{
    a->made.n = 0;
    clear(&a->cover1, hyp->n);
    clear(&a->cover2, ref->n);
    match_words(a, hyp, ref, EXACT);
    if (!identical(a, hyp, ref)) {
        match_words(a, hyp, ref, STEM);
        match_words(a, hyp, ref, SYNONYM);
        if (hyp->n_occ && ref->n_occ) {
            chain(hyp, a->head1, &a->next1);
            chain(ref, a->head2, &a->next2);
            match_phrases(a, ref, hyp, a->head1, &a->next1, 1);
            match_phrases(a, hyp, ref, a->head2, &a->next2, 0);
            unchain(hyp, a->head1);
            unchain(ref, a->head2);
        }
    }
    clear(&a->at_j, ref->n + 1);
    capt_vec_reserve(&a->by_j, a->made.n + 1);
    for (size_t k = 0; k < a->made.n; k++)
        a->at_j.v[a->made.v[k].j + 1]++;
    for (uint32_t j = 0; j < ref->n; j++)
        a->at_j.v[j + 1] += a->at_j.v[j];
    for (size_t k = a->made.n; k-- > 0;) /* fills each list from its end, leaving at_j[j + 1] at its start */
        a->by_j.v[--a->at_j.v[a->made.v[k].j + 1]] = a->made.v[k];
    memmove(a->at_j.v, a->at_j.v + 1, ref->n * sizeof *a->at_j.v);
    a->at_j.v[ref->n] = (uint32_t)a->made.n;
    capt_vec_grow_((void **)&a->fixed, &a->cap_fixed, ref->n + 1, sizeof *a->fixed);
    for (uint32_t j = 0; j < ref->n; j++) {
        uint32_t k = a->at_j.v[j];
        const meteor_match *m = &a->by_j.v[k];
        int alone = a->at_j.v[j + 1] - k == 1;
        for (uint32_t w = 0; alone && w < m->n_i; w++)
            alone = a->cover1.v[m->i + w] == 1;
        for (uint32_t w = 0; alone && w < m->n_j; w++)
            alone = a->cover2.v[m->j + w] == 1;
        a->fixed[j] = alone ? (int32_t)k : -1;
    }
}

/* ---- beam search */

static int any_used(const uint64_t *bits, uint32_t at, uint32_t n)
{
    for (uint32_t k = at; k < at + n; k++)
        if (bits[k / 64] >> k % 64 & 1)
            return 1;
    return 0;
}

static void use(uint64_t *bits, uint32_t at, uint32_t n)
{
    for (uint32_t k = at; k < at + n; k++)
        bits[k / 64] |= (uint64_t)1 << k % 64;
}

static path *path_at(const meteor_aligner *a, int round, size_t i)
{
    return (path *)(void *)(a->paths[round] + i * a->stride);
}

static int32_t weighed(uint32_t n, uint32_t module)
{
    return (int32_t)(module == EXACT ? n : n / 2); /* .5 a word, cut to an integer as the sum is */
}

static void apply(path *p, const meteor_match *m)
{
    p->m1 += weighed(m->n_i, m->module);
    p->m2 += weighed(m->n_j, m->module);
    if (p->last_end != NO_END && (int32_t)m->i != p->last_end)
        p->chunks++;
    p->idx = (int32_t)(m->j + m->n_j);
    p->last_end = (int32_t)(m->i + m->n_i);
}

static int64_t apart(const meteor_match *m)
{
    return m->i > m->j ? m->i - m->j : m->j - m->i;
}

static int better(const kid *x, const kid *y)
{
    if (x->matched != y->matched)
        return x->matched > y->matched;
    if (x->chunks != y->chunks)
        return x->chunks < y->chunks;
    return x->distance < y->distance;
}

/* The best `keep` of the kids, best first, earlier ones first among equals. */
static void sort_kids(meteor_aligner *a, size_t keep)
{
    a->sorted.n = 0;
    capt_vec_reserve(&a->sorted, keep + 1);
    kid *s = a->sorted.v;
    for (size_t i = 0; i < a->kids.n; i++) {
        const kid *x = &a->kids.v[i];
        size_t at = a->sorted.n;
        if (at == keep && !better(x, &s[at - 1]))
            continue;
        if (at < keep)
            a->sorted.n++;
        else
            at--;
        for (; at > 0 && better(x, &s[at - 1]); at--)
            s[at] = s[at - 1];
        s[at] = *x;
    }
}

static void push_kid(meteor_aligner *a, const path *p, size_t from, int32_t match)
{
    kid x = {p->distance, p->m1 + p->m2, p->chunks, (int32_t)from, match};
    capt_vec_push(&a->kids, x);
}

/* The kids of one path at reference word cur; used2: where the bits of the reference start. */
static void grow(meteor_aligner *a, path *p, size_t from, uint32_t cur, uint32_t n_ref, size_t used2)
{
    if (cur == n_ref) {
        p->chunks += p->last_end != NO_END;
        push_kid(a, p, from, KEEP);
        return;
    }
    if (any_used(p->used + used2, cur, 1)) {
        if ((int32_t)cur < p->idx) {
            push_kid(a, p, from, KEEP);
        } else if (a->fixed[p->idx] >= 0) {
            const meteor_match *m = &a->by_j.v[a->fixed[p->idx]];
            step s = {a->fixed[p->idx], p->step};
            capt_vec_push(&a->steps, s);
            p->step = (int32_t)a->steps.n - 1;
            apply(p, m);
            p->distance += apart(m);
            push_kid(a, p, from, KEEP);
        }
        return;
    }
    for (uint32_t k = a->at_j.v[cur]; k < a->at_j.v[cur + 1]; k++) {
        const meteor_match *m = &a->by_j.v[k];
        if (any_used(p->used, m->i, m->n_i) || any_used(p->used + used2, m->j, m->n_j))
            continue;
        path next = {p->distance, p->m1, p->m2, p->chunks, p->idx, p->last_end, 0};
        apply(&next, m);
        push_kid(a, &next, from, (int32_t)k);
        p->distance += apart(m);
    }
    path skip = {p->distance, p->m1, p->m2, p->chunks + (p->last_end != NO_END), 0, 0, 0};
    push_kid(a, &skip, from, SKIP);
}

/* Makes the path that a kid stands for. */
static void make(meteor_aligner *a, const kid *x, const path *from, path *to, size_t used2)
{
    memcpy(to, from, a->stride);
    to->distance = x->distance;
    if (x->match == SKIP) {
        to->chunks = x->chunks;
        to->last_end = NO_END;
        to->idx++;
    } else if (x->match >= 0) {
        const meteor_match *m = &a->by_j.v[x->match];
        apply(to, m);
        use(to->used, m->i, m->n_i);
        use(to->used + used2, m->j, m->n_j);
        step s = {x->match, from->step};
        capt_vec_push(&a->steps, s);
        to->step = (int32_t)a->steps.n - 1;
    }
}

/* The best alignment's last step, or -1. */
static int32_t search(meteor_aligner *a, uint32_t n_hyp, uint32_t n_ref)
{
    size_t used2 = n_hyp / 64 + 1, n = 1;
    a->stride = sizeof(path) + (used2 + n_ref / 64 + 1) * sizeof(uint64_t);
    a->steps.n = 0;
    if (a->cap_paths < BEAM * a->stride) {
        a->cap_paths = BEAM * a->stride;
        for (int r = 0; r < 2; r++) {
            free(a->paths[r]);
            a->paths[r] = capt_alloc(a->cap_paths);
        }
    }
    path *start = path_at(a, 0, 0);
    memset(start, 0, a->stride);
    start->last_end = start->step = NO_END;
    for (uint32_t j = 0; j < n_ref; j++)
        if (a->fixed[j] >= 0) {
            const meteor_match *m = &a->by_j.v[a->fixed[j]];
            use(start->used, m->i, m->n_i);
            use(start->used + used2, m->j, m->n_j);
        }
    int round = 0;
    for (uint32_t cur = 0; cur <= n_ref; cur++) {
        a->kids.n = 0;
        for (size_t i = 0; i < n; i++)
            grow(a, path_at(a, round, i), i, cur, n_ref, used2);
        if (!a->kids.n)
            break; /* no path goes on: the best one so far */
        sort_kids(a, BEAM);
        n = a->sorted.n;
        for (size_t i = 0; i < n; i++)
            make(a, &a->sorted.v[i], path_at(a, round, (size_t)a->sorted.v[i].from), path_at(a, !round, i), used2);
        round = !round;
    }
    return path_at(a, round, 0)->step;
}

static int covers_function(const meteor_run *run, const meteor_sent *s, uint32_t at)
{
    return run->word[s->word[at]].function != 0;
}

static void count(const meteor_aligner *a, const meteor_sent *hyp, const meteor_sent *ref, int32_t last, int64_t *stats)
{
    memset(stats, 0, CAPT_METEOR_STATS * sizeof *stats);
    stats[CAPT_METEOR_TLEN] = hyp->n;
    stats[CAPT_METEOR_RLEN] = ref->n;
    for (uint32_t i = 0; i < hyp->n; i++)
        stats[CAPT_METEOR_TFUNC] += covers_function(a->run, hyp, i);
    for (uint32_t j = 0; j < ref->n; j++)
        stats[CAPT_METEOR_RFUNC] += covers_function(a->run, ref, j);
    int64_t chunks = 0;
    const meteor_match *after = NULL; /* the match behind m */
    for (; last >= 0; last = a->steps.v[last].before) {
        const meteor_match *m = &a->by_j.v[a->steps.v[last].match];
        int64_t *module = stats + CAPT_METEOR_MODULES + 4 * m->module;
        for (uint32_t k = 0; k < m->n_i; k++)
            module[covers_function(a->run, hyp, m->i + k) ? 2 : 0]++;
        for (uint32_t k = 0; k < m->n_j; k++)
            module[covers_function(a->run, ref, m->j + k) ? 3 : 1]++;
        stats[CAPT_METEOR_TMATCHED] += m->n_i;
        stats[CAPT_METEOR_RMATCHED] += m->n_j;
        chunks += !after || after->i != m->i + m->n_i || after->j != m->j + m->n_j;
        after = m;
    }
    stats[CAPT_METEOR_CHUNKS] = chunks;
}

void meteor_align(meteor_aligner *a, const meteor_sent *hyp, const meteor_sent *ref, int64_t stats[CAPT_METEOR_STATS])
{
    match_all(a, hyp, ref);
    count(a, hyp, ref, search(a, hyp->n, ref->n), stats);
}
