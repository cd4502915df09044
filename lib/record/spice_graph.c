/* The graph of an image's reference tuples, and the candidates that are in it (SPICE's merging and matching). */
#include <stdlib.h>
#include <string.h>
#include "record/spice_priv.h"

/* Words taken for one thing, and the synsets of all of them, ascending. */
typedef struct concept {
    CAPT_VEC(char *) word;
    CAPT_VEC(uint32_t) syn;
} concept;

enum { NO_CONCEPT = -1 };
/* A tuple of the graph as indices of concepts; middle: the attribute or relation. */
typedef struct fact { int64_t from, middle, to; } fact;

typedef struct graph {
    CAPT_VEC(concept) concept;
    CAPT_VEC(int64_t) node; /* the concepts that are objects */
    CAPT_VEC(fact) fact;
} graph;

/* A tuple in parts; a missing one has no words. */
typedef struct parts { concept from, middle, to; } parts;

static concept concept_of(const char *s, size_t n, const capt_synsets *syn)
{
    concept c = {0};
    uint32_t *id = NULL;
    capt_vec_push(&c.word, capt_strndup(s, n));
    c.syn.n = c.syn.cap = syn->of(syn->data, s, n, &id);
    c.syn.v = id;
    return c;
}

static void concept_free(concept *c)
{
    for (size_t i = 0; i < c->word.n; i++)
        free(c->word.v[i]);
    capt_vec_free(&c->word);
    capt_vec_free(&c->syn);
}

static int has_word(const concept *c, const char *word)
{
    for (size_t i = 0; i < c->word.n; i++)
        if (!strcmp(c->word.v[i], word))
            return 1;
    return 0;
}

static size_t common_synsets(const concept *a, const concept *b)
{
    size_t both = 0;
    for (size_t i = 0, k = 0; i < a->syn.n && k < b->syn.n;) {
        uint32_t x = a->syn.v[i], y = b->syn.v[k];
        both += x == y;
        i += x <= y;
        k += y <= x;
    }
    return both;
}

static int common(const concept *a, const concept *b)
{
    for (size_t i = 0; i < b->word.n; i++)
        if (has_word(a, b->word.v[i]))
            return 1;
    return common_synsets(a, b) > 0;
}

static int by_number(const void *pa, const void *pb)
{
    uint32_t a = *(const uint32_t *)pa, b = *(const uint32_t *)pb;
    return (a > b) - (a < b);
}

/* Takes b into a. */
static void merge(concept *a, concept *b)
{
    for (size_t i = 0; i < b->word.n; i++)
        if (!has_word(a, b->word.v[i])) {
            capt_vec_push(&a->word, b->word.v[i]);
            b->word.v[i] = NULL;
        }
    for (size_t i = 0; i < b->syn.n; i++)
        capt_vec_push(&a->syn, b->syn.v[i]);
    if (a->syn.n)
        qsort(a->syn.v, a->syn.n, sizeof *a->syn.v, by_number);
    size_t n = 0;
    for (size_t i = 0; i < a->syn.n; i++)
        if (!n || a->syn.v[n - 1] != a->syn.v[i])
            a->syn.v[n++] = a->syn.v[i];
    a->syn.n = n;
    concept_free(b);
}

static parts parts_of(const char *s, const capt_synsets *syn)
{
    parts p = {0};
    const char *word[3];
    size_t len[3], n = 0;
    for (int more = 1; more && n < 3; n++) {
        word[n] = s;
        len[n] = strcspn(s, (const char[]){SPICE_BETWEEN, 0});
        s += len[n];
        more = *s != 0;
        s += more;
    }
    p.from = concept_of(word[0], len[0], syn);
    if (n > 1)
        p.middle = concept_of(word[1], len[1], syn);
    if (n > 2)
        p.to = concept_of(word[2], len[2], syn);
    return p;
}

static void parts_free(parts *p)
{
    concept_free(&p->from);
    concept_free(&p->middle);
    concept_free(&p->to);
}

static int64_t add_concept(graph *g, concept *c)
{
    capt_vec_push(&g->concept, *c);
    *c = (concept){0};
    return (int64_t)g->concept.n - 1;
}

/* The object c (taken): the node with its word, else the one whose synsets are most like its own, else a new one. */
static int64_t node_of(graph *g, concept *c)
{
    int64_t best = NO_CONCEPT;
    double most = 0;
    for (size_t i = 0; i < g->node.n; i++) {
        const concept *x = &g->concept.v[g->node.v[i]];
        size_t both = common_synsets(x, c);
        double like = has_word(x, c->word.v[0]) ? 2 : both ? (double)both / (double)(x->syn.n + c->syn.n - both) : 0;
        if (like > most) {
            most = like;
            best = g->node.v[i];
        }
    }
    if (best != NO_CONCEPT) {
        merge(&g->concept.v[best], c);
        return best;
    }
    best = add_concept(g, c);
    capt_vec_push(&g->node, best);
    return best;
}

static void add_fact(graph *g, parts *p)
{
    fact f = {node_of(g, &p->from), NO_CONCEPT, p->to.word.n ? node_of(g, &p->to) : NO_CONCEPT};
    for (size_t i = 0; i < g->fact.n; i++) {
        const fact *x = &g->fact.v[i];
        if (x->from != f.from || x->to != f.to || (x->middle == NO_CONCEPT) != !p->middle.word.n)
            continue;
        if (x->middle == NO_CONCEPT)
            return;
        if (common(&g->concept.v[x->middle], &p->middle)) {
            merge(&g->concept.v[x->middle], &p->middle);
            return;
        }
    }
    if (p->middle.word.n)
        f.middle = add_concept(g, &p->middle);
    capt_vec_push(&g->fact, f);
}

/* The same part: both missing, or with a common word or synset. */
static int fits(const graph *g, int64_t at, const concept *c)
{
    return at == NO_CONCEPT || !c->word.n ? at == NO_CONCEPT && !c->word.n : common(&g->concept.v[at], c);
}

static int found(const graph *g, const parts *p)
{
    for (size_t i = 0; i < g->fact.n; i++) {
        const fact *x = &g->fact.v[i];
        if (fits(g, x->from, &p->from) && fits(g, x->middle, &p->middle) && fits(g, x->to, &p->to))
            return 1;
    }
    return 0;
}

capt_tuple_counts spice_graph_count(const spice_tuples *cand, const spice_tuples *ref, const capt_synsets *syn)
{
    graph g = {0};
    for (size_t i = 0; i < ref->n; i++) {
        parts p = parts_of(ref->v[i], syn);
        add_fact(&g, &p);
        parts_free(&p);
    }
    capt_tuple_counts c = {0, (int64_t)cand->n, (int64_t)g.fact.n};
    for (size_t i = 0; i < cand->n; i++) {
        parts p = parts_of(cand->v[i], syn);
        c.right += found(&g, &p);
        parts_free(&p);
    }
    for (size_t i = 0; i < g.concept.n; i++)
        concept_free(&g.concept.v[i]);
    capt_vec_free(&g.concept);
    capt_vec_free(&g.node);
    capt_vec_free(&g.fact);
    return c;
}
