#include "text/nouns.h"
#include <stdlib.h>
#include <string.h>
#include "base/hash.h"
#include "base/mem.h"

/* The closed classes. What opens a noun phrase; what else is no content word. */
static const char *const opening[] = {"a", "an", "the", "this", "that", "these", "those", "another", "each", "every", "some", "several", "many", "few", "both", "other",
                                      "his", "her", "its", "their", "my", "your", "our", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", NULL};
static const char *const closed[] = {
    "in", "on", "at", "of", "with", "by", "to", "from", "into", "onto", "over", "under", "near", "through", "up", "down", "off", "out", "for", "about", "above", "across", "after", "against", "along",
    "around", "as", "away", "before", "behind", "below", "beneath", "beside", "between", "beyond", "during", "inside", "next", "outside", "past", "than", "toward", "towards", "underneath", "upon", "without",
    "within", "and", "or", "but", "while", "who", "which", "where", "when", "what", "is", "are", "was", "were", "be", "being", "been", "am", "has", "have", "had", "having", "do", "does", "did", "can",
    "could", "will", "would", "it", "he", "she", "they", "them", "him", "himself", "herself", "themselves", "itself", "there", "here", "not", "no", "so", "very", "all", "back", "together", "'s", "'",
    "-lrb-", "-rrb-", NULL};

enum { CONTENT, OPENS, CLOSED };

typedef struct word { const char *text; size_t count, opened, ended; int class, modifies; } word;
typedef struct table { word *v; size_t n, cap; } table; /* open addressing */

static int class_of(const char *text, size_t n)
{
    const char *const *const list[] = {opening, closed};
    for (int k = 0; k < 2; k++)
        for (const char *const *w = list[k]; *w; w++)
            if (strlen(*w) == n && !memcmp(*w, text, n))
                return k ? CLOSED : OPENS;
    return text[0] >= 'a' && text[0] <= 'z' ? CONTENT : CLOSED; /* figures are no tags */
}

static void grow(table *t);
static word *at(table *t, const char *text, size_t n, capt_arena *a)
{
    if (2 * (t->n + 1) > t->cap)
        grow(t);
    size_t k = capt_hash64(text, n) & (t->cap - 1);
    while (t->v[k].text && (strlen(t->v[k].text) != n || memcmp(t->v[k].text, text, n)))
        k = (k + 1) & (t->cap - 1);
    if (!t->v[k].text) {
        t->v[k] = (word){.text = capt_arena_strndup(a, text, n), .class = class_of(text, n)};
        t->n++;
    }
    return &t->v[k];
}

static void grow(table *t)
{
    table big = {.cap = t->cap ? 2 * t->cap : 1024, .n = t->n};
    big.v = capt_alloc(big.cap * sizeof *big.v);
    for (size_t i = 0; i < t->cap; i++)
        if (t->v[i].text) {
            size_t k = capt_hash64(t->v[i].text, strlen(t->v[i].text)) & (big.cap - 1);
            while (big.v[k].text)
                k = (k + 1) & (big.cap - 1);
            big.v[k] = t->v[i];
        }
    free(t->v);
    *t = big;
}

/* The class of the word at *p, which moves behind it; CLOSED at the end of the line. */
static int next_class(const char **p)
{
    size_t n = strcspn(*p, " ");
    int class = n ? class_of(*p, n) : CLOSED;
    *p += n;
    *p += **p == ' ';
    return class;
}

static void count_line(table *t, const char *line, capt_arena *a)
{
    int open = 0; /* all words since an opening one modify */
    for (const char *p = line; *p;) {
        size_t n = strcspn(p, " ");
        word *w = at(t, p, n, a);
        p += n;
        p += *p == ' ';
        const char *q = p;
        int is_and = !strncmp(p, "and ", 4) || !strncmp(p, "or ", 3), after = next_class(&q);
        if (is_and && next_class(&q) == CONTENT)
            after = CONTENT; /* black and white */
        w->count++;
        w->opened += open;
        w->ended += open && after != CONTENT;
        open = w->class == OPENS || (open && w->modifies);
    }
}

static int in_phrases(const word *w)
{
    return w->class == CONTENT && w->opened >= 3 && 7 * w->opened >= w->count;
}

static int ends_them(const word *w)
{
    return 5 * w->ended >= 2 * w->opened;
}

static int frequent_first(const void *a, const void *b)
{
    const word *x = a, *y = b;
    return x->count != y->count ? (x->count < y->count) - (x->count > y->count) : strcmp(x->text, y->text);
}

int capt_nouns_find(const char *const *lines, size_t n, int among, capt_arena *a, capt_noun **nouns, size_t *n_nouns, capt_err *err)
{
    table t = {0};
    for (int pass = 0; pass < 2; pass++) {
        for (size_t i = 0; i < t.cap; i++) {
            t.v[i].modifies = in_phrases(&t.v[i]) && !ends_them(&t.v[i]);
            t.v[i].count = t.v[i].opened = t.v[i].ended = 0;
        }
        for (size_t i = 0; i < n; i++)
            count_line(&t, lines[i], a);
    }
    size_t k = 0;
    for (size_t i = 0; i < t.cap; i++)
        if (t.v[i].text && t.v[i].class == CONTENT)
            t.v[k++] = t.v[i];
    if (k)
        qsort(t.v, k, sizeof *t.v, frequent_first);
    if (k > (size_t)among)
        k = (size_t)among;
    *nouns = capt_arena_alloc(a, (k + 1) * sizeof **nouns);
    *n_nouns = 0;
    for (size_t i = 0; i < k; i++) {
        const word *w = &t.v[i];
        if (in_phrases(w) && ends_them(w))
            (*nouns)[(*n_nouns)++] = (capt_noun){w->text, w->count};
    }
    free(t.v);
    if (!n)
        return capt_fail(err, CAPT_EDATA, "there are no captions to find nouns in");
    return *n_nouns ? 0 : capt_fail(err, CAPT_EDATA, "no nouns were found among the %zu most frequent words of the captions", k);
}
