/* Makes the block of METEOR's data from its texts and its paraphrase table. */
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>
#include <zlib.h>
#include "base/mem.h"
#include "metric/meteor_priv.h"

enum { PREFIX_BITS = 1 << 25, MAX_PHRASE = 64 };

typedef CAPT_VEC(uint32_t) u32s;
typedef struct two { uint32_t a, b; } two;
typedef CAPT_VEC(two) twos;

typedef struct build {
    capt_str text;
    CAPT_VEC(meteor_lex) lex;
    u32s lex_slot, syn, base, phrase_at, phrase_word, phrase_slot, pair_at, pair;
    twos synsets, bases, pairs;
    CAPT_VEC(uint64_t) phrase_hash;
    uint64_t *prefix;
} build;

static void zeroed(u32s *v, size_t n)
{
    free(v->v);
    v->v = capt_alloc(n * sizeof *v->v);
    v->n = v->cap = n;
}

static uint32_t lex_add(build *b, const char *s, size_t n)
{
    if (2 * (b->lex.n + 1) > b->lex_slot.n) {
        zeroed(&b->lex_slot, b->lex_slot.n ? 2 * b->lex_slot.n : 1 << 12);
        for (size_t i = 0; i < b->lex.n; i++) {
            size_t at = XXH3_64bits(b->text.s + b->lex.v[i].text, b->lex.v[i].len) & (b->lex_slot.n - 1);
            while (b->lex_slot.v[at])
                at = (at + 1) & (b->lex_slot.n - 1);
            b->lex_slot.v[at] = (uint32_t)i + 1;
        }
    }
    size_t at = XXH3_64bits(s, n) & (b->lex_slot.n - 1);
    for (; b->lex_slot.v[at]; at = (at + 1) & (b->lex_slot.n - 1)) {
        const meteor_lex *x = &b->lex.v[b->lex_slot.v[at] - 1];
        if (x->len == n && !memcmp(b->text.s + x->text, s, n))
            return b->lex_slot.v[at] - 1;
    }
    meteor_lex x = {.text = (uint32_t)b->text.n, .len = (uint32_t)n};
    capt_str_add(&b->text, s, n);
    capt_vec_push(&b->lex, x);
    b->lex_slot.v[at] = (uint32_t)b->lex.n;
    return (uint32_t)b->lex.n - 1;
}

typedef struct span { const char *s; size_t n; } span;

/* Next line of t, without its end and white space around it; 0: no more. */
static int next_line(const meteor_text *t, size_t *at, span *out)
{
    if (*at >= t->n)
        return 0;
    const char *p = t->s + *at, *end = memchr(p, '\n', t->n - *at);
    size_t n = end ? (size_t)(end - p) : t->n - *at;
    *at += n + 1;
    while (n && strchr(" \t\r", p[n - 1]))
        n--;
    while (n && (*p == ' ' || *p == '\t')) {
        p++;
        n--;
    }
    *out = (span){p, n};
    return 1;
}

/* Next word of the line; 0: no more. */
static int next_word(span *line, span *out)
{
    while (line->n && (*line->s == ' ' || *line->s == '\t')) {
        line->s++;
        line->n--;
    }
    size_t n = 0;
    while (n < line->n && line->s[n] != ' ' && line->s[n] != '\t')
        n++;
    *out = (span){line->s, n};
    line->s += n;
    line->n -= n;
    return n > 0;
}

/* Pairs of lines: a word, and what belongs to it. */
static int read_pairs(build *b, const meteor_text *t, int synsets, capt_err *err)
{
    span head, line, w;
    long no = 0;
    for (size_t at = 0; next_line(t, &at, &head); no += 2) {
        if (!head.n && at >= t->n)
            break;
        if (!head.n)
            return capt_fail(err, CAPT_EDATA, "%s:%ld: an empty line", t->name.s, no + 1);
        if (!next_line(t, &at, &line) || at > t->n)
            return capt_fail(err, CAPT_EDATA, "%s: cut short after line %ld", t->name.s, no + 1);
        uint32_t word = lex_add(b, head.s, head.n);
        if (synsets)
            b->lex.v[word].flags |= LEX_SYNSETS;
        while (next_word(&line, &w)) {
            if (!synsets) {
                two p = {lex_add(b, w.s, w.n), word};
                capt_vec_push(&b->bases, p);
                continue;
            }
            uint32_t v = 0;
            for (size_t i = 0; i < w.n; i++) {
                if (w.s[i] < '0' || w.s[i] > '9' || w.n > 9)
                    return capt_fail(err, CAPT_EDATA, "%s:%ld: not numbers of synsets", t->name.s, no + 2);
                v = v * 10 + (uint32_t)(w.s[i] - '0');
            }
            two p = {word, v};
            capt_vec_push(&b->synsets, p);
        }
    }
    return no ? 0 : capt_fail(err, CAPT_EDATA, "%s: the file is empty", t->name.s);
}

static void read_lists(build *b, const meteor_text *function, const meteor_text *prefixes)
{
    span line, w;
    for (size_t at = 0; next_line(function, &at, &line);)
        while (next_word(&line, &w)) {
            uint32_t x = lex_add(b, w.s, w.n);
            b->lex.v[x].flags |= LEX_FUNCTION;
        }
    for (size_t at = 0; next_line(prefixes, &at, &line);) {
        if (!next_word(&line, &w) || *w.s == '#')
            continue;
        uint32_t x = lex_add(b, w.s, w.n);
        b->lex.v[x].flags |= next_word(&line, &w) ? LEX_PREFIX_NUMERIC : LEX_PREFIX;
    }
}

static int by_both(const void *pa, const void *pb)
{
    const two *a = pa, *b = pb;
    return a->a != b->a ? (a->a > b->a) - (a->a < b->a) : (a->b > b->b) - (a->b < b->b);
}

/* Sorted distinct pairs to lists a word. */
static void to_lists(build *b, twos *p, u32s *out, int synsets)
{
    if (p->n)
        qsort(p->v, p->n, sizeof *p->v, by_both);
    for (size_t i = 0; i < p->n; i++) {
        if (i && !by_both(&p->v[i], &p->v[i - 1]))
            continue;
        meteor_lex *x = &b->lex.v[p->v[i].a];
        uint32_t *at = synsets ? &x->syn : &x->base, *n = synsets ? &x->n_syn : &x->n_base;
        if (!(*n)++)
            *at = (uint32_t)out->n;
        capt_vec_push(out, p->v[i].b);
    }
}

/* ---- paraphrases */

static uint32_t phrase_add(build *b, const uint32_t *w, uint32_t n)
{
    if (b->phrase_hash.n * 3 >= b->phrase_slot.n * 2) {
        zeroed(&b->phrase_slot, b->phrase_slot.n ? 2 * b->phrase_slot.n : 1 << 12);
        for (size_t i = 0; i < b->phrase_hash.n; i++) {
            size_t at = b->phrase_hash.v[i] & (b->phrase_slot.n - 1);
            while (b->phrase_slot.v[at])
                at = (at + 1) & (b->phrase_slot.n - 1);
            b->phrase_slot.v[at] = (uint32_t)i + 1;
        }
    }
    uint64_t h = METEOR_MIX0, beginning[MAX_PHRASE];
    for (uint32_t i = 0; i < n; i++)
        beginning[i] = h = meteor_mix(h, w[i]);
    size_t mask = b->phrase_slot.n - 1, at = h & mask;
    for (; b->phrase_slot.v[at]; at = (at + 1) & mask) {
        uint32_t p = b->phrase_slot.v[at] - 1, from = b->phrase_at.v[p];
        if (b->phrase_hash.v[p] == h && b->phrase_at.v[p + 1] - from == n &&
            !memcmp(b->phrase_word.v + from, w, n * sizeof *w))
            return p;
    }
    for (uint32_t i = 0; i + 1 < n; i++) {
        uint64_t bit = (beginning[i] >> 20) & (PREFIX_BITS - 1);
        b->prefix[bit / 64] |= (uint64_t)1 << bit % 64;
    }
    for (uint32_t i = 0; i < n; i++)
        capt_vec_push(&b->phrase_word, w[i]);
    capt_vec_push(&b->phrase_at, (uint32_t)b->phrase_word.n);
    capt_vec_push(&b->phrase_hash, h);
    b->phrase_slot.v[at] = (uint32_t)b->phrase_hash.n;
    return (uint32_t)b->phrase_hash.n - 1;
}

/* Entries of one first phrase follow each other: it is looked up once. */
typedef struct table { build *b; const char *path; long line; uint32_t first; capt_str last; } table;

static int table_line(table *t, const char *s, size_t n, capt_err *err)
{
    t->line++;
    while (n && strchr(" \t\r", s[n - 1]))
        n--;
    if (t->line % 3 == 1) {
        int number = n > 0;
        for (size_t i = 0; i < n; i++)
            number &= s[i] && strchr("0123456789.eE+-", s[i]) != NULL;
        return number ? 0 : capt_fail(err, CAPT_EDATA, "%s:%ld: not a probability: no paraphrase table", t->path, t->line);
    }
    if (t->line % 3 == 2 && n && t->last.n == n && !memcmp(t->last.s, s, n))
        return 0;
    uint32_t w[MAX_PHRASE], k = 0;
    span line = {s, n}, word;
    while (next_word(&line, &word)) {
        if (k == MAX_PHRASE)
            return capt_fail(err, CAPT_EDATA, "%s:%ld: a phrase of more than %d words", t->path, t->line, MAX_PHRASE);
        w[k++] = lex_add(t->b, word.s, word.n);
    }
    if (!k)
        return capt_fail(err, CAPT_EDATA, "%s:%ld: an empty phrase", t->path, t->line);
    uint32_t p = phrase_add(t->b, w, k);
    if (t->line % 3 == 2) {
        t->first = p;
        capt_str_clear(&t->last);
        capt_str_add(&t->last, s, n);
    } else {
        two x = {t->first, p};
        capt_vec_push(&t->b->pairs, x);
    }
    return 0;
}

static int read_table(build *b, const char *path, capt_err *err)
{
    enum { CHUNK = 1 << 20, MAX_LINE = 1 << 16 };
    gzFile gz = gzopen(path, "rb");
    if (!gz)
        return capt_fail_errno(err, "%s", path);
    gzbuffer(gz, CHUNK / 4);
    table t = {.b = b, .path = path};
    char *buf = capt_alloc(CHUNK + MAX_LINE);
    size_t kept = 0;
    int got, rc = 0, code = 0;
    do {
        got = gzread(gz, buf + kept, CHUNK);
        size_t n = kept + (got > 0 ? (size_t)got : 0), at = 0;
        while (!rc && at < n) {
            const char *end = memchr(buf + at, '\n', n - at);
            if (!end)
                break;
            rc = table_line(&t, buf + at, (size_t)(end - buf) - at, err);
            at = (size_t)(end - buf) + 1;
        }
        kept = n - at;
        memmove(buf, buf + at, kept);
        if (!rc && kept > MAX_LINE)
            rc = capt_fail(err, CAPT_EDATA, "%s:%ld: a very long line: no paraphrase table", path, t.line + 1);
    } while (!rc && got > 0);
    const char *why = gzerror(gz, &code);
    if (!rc && gzdirect(gz))
        rc = capt_fail(err, CAPT_EDATA, "%s: not gzip: no paraphrase table", path);
    if (!rc && (got < 0 || code != Z_OK))
        rc = capt_fail(err, CAPT_EDATA, "%s: damaged or cut short (%s)", path, why);
    if (!rc && (kept || t.line % 3 || !t.line))
        rc = capt_fail(err, CAPT_EDATA, "%s: %s after line %ld", path, t.line ? "cut short" : "no paraphrases", t.line);
    capt_str_free(&t.last);
    gzclose(gz);
    free(buf);
    return rc;
}

/* Pairs to lists by first phrase, in the order of the table. */
static void list_pairs(build *b)
{
    size_t n = b->phrase_hash.n;
    zeroed(&b->pair_at, n + 1);
    zeroed(&b->pair, b->pairs.n);
    for (size_t i = 0; i < b->pairs.n; i++)
        b->pair_at.v[b->pairs.v[i].a]++;
    uint32_t sum = 0;
    for (size_t p = 0; p <= n; p++) {
        sum += p < n ? b->pair_at.v[p] : 0;
        b->pair_at.v[p] = sum;
    }
    for (size_t i = b->pairs.n; i-- > 0;)
        b->pair.v[--b->pair_at.v[b->pairs.v[i].a]] = b->pairs.v[i].b;
}

static unsigned char *assemble(build *b, const meteor_source *s, capt_err *err)
{
    meteor_header h = {.magic = "CAPTMTR", .version = METEOR_VERSION, .full = s->table != NULL, .size = (sizeof h + 63) / 64 * 64};
    memcpy(h.id, s->id, sizeof s->id);
    const struct { const void *p; size_t n, size; } part[SECS] = {
        [SEC_TEXT] = {b->text.s, b->text.n, 1},
        [SEC_LEX] = {b->lex.v, b->lex.n, sizeof(meteor_lex)},
        [SEC_LEX_SLOT] = {b->lex_slot.v, b->lex_slot.n, 4},
        [SEC_SYN] = {b->syn.v, b->syn.n, 4},
        [SEC_BASE] = {b->base.v, b->base.n, 4},
        [SEC_PHRASE_AT] = {b->phrase_at.v, b->phrase_at.n, 4},
        [SEC_PHRASE_WORD] = {b->phrase_word.v, b->phrase_word.n, 4},
        [SEC_PHRASE_SLOT] = {b->phrase_slot.v, b->phrase_slot.n, 4},
        [SEC_PAIR_AT] = {b->pair_at.v, b->pair_at.n, 4},
        [SEC_PAIR] = {b->pair.v, b->pair.n, 4},
        [SEC_PREFIX] = {b->prefix, s->table ? PREFIX_BITS / 64 : 1, 8}};
    for (int i = 0; i < SECS; i++) {
        h.sec[i] = (meteor_section){h.size, part[i].n};
        h.size = (h.size + part[i].n * part[i].size + 63) / 64 * 64;
    }
    unsigned char *out = capt_try_alloc64(h.size, err);
    if (!out)
        return NULL;
    for (int i = 0; i < SECS; i++)
        if (part[i].n)
            memcpy(out + h.sec[i].at, part[i].p, part[i].n * part[i].size);
    h.hash = XXH3_64bits(out + sizeof h, h.size - sizeof h);
    memcpy(out, &h, sizeof h);
    return out;
}

unsigned char *meteor_build(const meteor_source *s, capt_err *err)
{
    meteor_text text[METEOR_TEXTS];
    build b = {.prefix = capt_alloc(PREFIX_BITS / 8)};
    capt_vec_push(&b.phrase_at, 0);
    unsigned char *out = NULL;
    int rc = meteor_source_read(s, text, err) || read_pairs(&b, &text[METEOR_SYNSETS], 1, err) ||
             read_pairs(&b, &text[METEOR_EXCEPTIONS], 0, err);
    if (!rc) {
        read_lists(&b, &text[METEOR_FUNCTION], &text[METEOR_PREFIXES]);
        to_lists(&b, &b.synsets, &b.syn, 1);
        to_lists(&b, &b.bases, &b.base, 0);
        rc = s->table ? read_table(&b, s->table, err) : 0;
    }
    if (!rc) {
        list_pairs(&b);
        out = assemble(&b, s, err);
    }
    meteor_texts_free(text);
    capt_str_free(&b.text);
    free(b.lex.v);
    u32s *all[] = {&b.lex_slot, &b.syn, &b.base, &b.phrase_at, &b.phrase_word, &b.phrase_slot, &b.pair_at, &b.pair};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        free(all[i]->v);
    free(b.synsets.v);
    free(b.bases.v);
    free(b.pairs.v);
    free(b.phrase_hash.v);
    free(b.prefix);
    return out;
}
