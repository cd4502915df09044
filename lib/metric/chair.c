/* See chair.h. */
#include "metric/chair.h"
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>
#include "base/mem.h"

static const struct { const char *name, *phrases; } object[] = {
#define CAPT_OBJECT(name, phrases) {name, phrases},
#include "metric/chair.def"
#undef CAPT_OBJECT
};
enum { ROWS = sizeof object / sizeof *object, LONGEST = 3, MENTIONS = 256, WORD = 64, SUMS = 4 };
_Static_assert(ROWS == CAPT_OBJECT_KINDS + 1, "80 categories and the row of phrases that name none");

struct capt_lexicon {
    capt_grams phrase; /* count: 1 + row */
};

static void add(capt_lexicon *l, const char *s, size_t n, int row)
{
    XXH128_hash_t h = XXH3_128bits(s, n);
    if (n && capt_grams_find(&l->phrase, h.low64, h.high64) < 0)
        capt_grams_add(&l->phrase, h.low64, h.high64, 0, (uint32_t)row + 1);
}

capt_lexicon *capt_lexicon_new(void)
{
    capt_lexicon *l = capt_alloc(sizeof *l);
    capt_grams_clear(&l->phrase, 1024);
    for (int row = 0; row < ROWS; row++)
        add(l, object[row].name, strlen(object[row].name), row);
    for (int row = 0; row < ROWS; row++)
        for (const char *s = object[row].phrases; *s;) {
            size_t n = strcspn(s, "|");
            add(l, s, n, row);
            s += n + (s[n] == '|');
        }
    return l;
}

void capt_lexicon_free(capt_lexicon *l)
{
    if (!l)
        return;
    capt_grams_free(&l->phrase);
    free(l);
}

int capt_object_kind(const char *category)
{
    for (int i = 0; i < CAPT_OBJECT_KINDS; i++)
        if (!strcmp(object[i].name, category))
            return i;
    return -1;
}

const char *capt_object_name(int kind)
{
    return object[kind].name;
}

static int find(const capt_lexicon *l, const char *s, size_t n)
{
    XXH128_hash_t h = XXH3_128bits(s, n);
    long at = capt_grams_find(&l->phrase, h.low64, h.high64);
    return at < 0 ? -1 : (int)l->phrase.gram[at].count - 1;
}

/* The row of a phrase (n bytes at s) whose last word may be a plural. Each way to make a singular is tried: only words of
 * the table matter, so a wrong singular finds nothing. */
static int find_number(const capt_lexicon *l, const char *s, size_t n)
{
    static const struct { const char *plural, *singular; } ending[] = {
        {"s", ""}, {"es", ""}, {"ies", "y"}, {"ves", "fe"}, {"ves", "f"}, {"men", "man"}, {"children", "child"},
        {"people", "person"}, {"mice", "mouse"}, {"geese", "goose"}, {"oxen", "ox"}, {"sses", "ss"}};
    char buf[LONGEST * WORD + 8];
    int row = find(l, s, n);
    for (size_t i = 0; row < 0 && n < sizeof buf - 8 && i < sizeof ending / sizeof *ending; i++) {
        size_t k = strlen(ending[i].plural), m = strlen(ending[i].singular);
        if (n < k || memcmp(s + n - k, ending[i].plural, k))
            continue;
        memcpy(buf, s, n - k);
        memcpy(buf + n - k, ending[i].singular, m);
        row = find(l, buf, n - k + m);
    }
    return row;
}

int capt_objects_named(const capt_lexicon *l, const char *line, int *kind, int max)
{
    int n = 0;
    const char *p = line + strspn(line, " ");
    while (*p && n < max) {
        const char *end[LONGEST] = {p}, *next;
        int words = 0, row = -1;
        for (const char *q = p; *q && words < LONGEST; q += *q == ' ') {
            q += strcspn(q, " ");
            end[words++] = q;
        }
        next = end[0];
        for (int k = words; k > 0 && row < 0; k--) {
            row = find_number(l, p, (size_t)(end[k - 1] - p));
            next = end[row >= 0 ? k - 1 : 0];
        }
        if (row >= 0 && row < CAPT_OBJECT_KINDS)
            kind[n++] = row;
        p = next + strspn(next, " ");
    }
    return n;
}

typedef struct job { const capt_metric_in *in; const capt_lexicon *lex; double *each[2], *sum; } job;

static void score_image(void *arg, int64_t task, int worker)
{
    const job *j = arg;
    capt_objects there = j->in->objects[task];
    int kind[MENTIONS], absent = 0;
    for (size_t r = j->in->ref_at[task]; r < j->in->ref_at[task + 1]; r++) {
        int n = capt_objects_named(j->lex, j->in->refs[r], kind, MENTIONS);
        for (int i = 0; i < n; i++)
            capt_objects_set(&there, kind[i]);
    }
    int n = capt_objects_named(j->lex, j->in->hyps[task], kind, MENTIONS);
    for (int i = 0; i < n; i++)
        absent += !capt_objects_has(&there, kind[i]);
    double *sum = j->sum + task * SUMS;
    sum[0] = n;
    sum[1] = absent;
    sum[2] = 1;
    sum[3] = absent > 0;
    j->each[0][task] = n ? (double)absent / n : 0;
    j->each[1][task] = absent > 0;
    (void)worker;
}

static void of_sum(const double *s, size_t n, double *v)
{
    v[0] = s[0] > 0 ? s[1] / s[0] : 0;
    v[1] = s[2] > 0 ? s[3] / s[2] : 0;
}

int capt_chair(const capt_metric_in *in, capt_metric_out *out, capt_err *err)
{
    if (capt_metric_check(in, err))
        return -1;
    if (!in->objects)
        return capt_fail(err, CAPT_EUSAGE, "CHAIR needs the objects of the images");
    capt_lexicon *l = capt_lexicon_new();
    double all[SUMS] = {0}, v[2];
    job j = {in, l, {capt_alloc(in->n * sizeof(double)), capt_alloc(in->n * sizeof(double))},
             capt_alloc(in->n * SUMS * sizeof(double))};
    capt_pool_run(in->pool, (int64_t)in->n, score_image, &j);
    for (size_t i = 0; i < in->n; i++)
        for (int k = 0; k < SUMS; k++)
            all[k] += j.sum[i * SUMS + (size_t)k];
    of_sum(all, SUMS, v);
    *out = (capt_metric_out){.n_score = 2, .sum = j.sum, .n_sum = SUMS, .of_sum = of_sum, .sum_scores = 2};
    out->score[0] = (capt_metric_score){.key = "CHAIRi", .value = v[0], .each = j.each[0]};
    out->score[1] = (capt_metric_score){.key = "CHAIRs", .value = v[1], .each = j.each[1]};
    capt_lexicon_free(l);
    return 0;
}
