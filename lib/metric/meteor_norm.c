/* METEOR's normaliser for English with punctuation kept: sets symbols apart, opens hyphens, parts clitics, resolves final
 * dots. Each pass goes left to right, and what one replacement read as its surroundings no other one of that pass reads. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unicase.h>
#include "base/mem.h"
#include "metric/meteor_priv.h"

enum { DOTS = 0x110000 }; /* DOTS + n: a run of n dots */
typedef int klass(uint32_t c);

static int in(uint32_t c, uint32_t lo, uint32_t hi)
{
    return c >= lo && c <= hi;
}

static int is_digit(uint32_t c)
{
    return in(c, '0', '9');
}

static int is_alpha(uint32_t c)
{
    if (c < 0x80)
        return in(c | 32, 'a', 'z');
    return in(c, 0xc0, 0xd6) || in(c, 0xd8, 0xf6) || in(c, 0xf8, 0x17e) || in(c, 0x400, 0x527) || in(c, 0xa640, 0xa66e) ||
           in(c, 0xa67e, 0xa697) || in(c, 0x1d00, 0x1d7f);
}

static int is_alnum(uint32_t c)
{
    return is_digit(c) || is_alpha(c);
}

static int not_digit(uint32_t c)
{
    return !is_digit(c);
}

static int not_alpha(uint32_t c)
{
    return !is_alpha(c);
}

static int not_alnum(uint32_t c)
{
    return !is_alnum(c);
}

static int is_alnum_dot(uint32_t c)
{
    return c == '.' || is_alnum(c);
}

static int is_s(uint32_t c)
{
    return c == 's';
}

static int is_white(uint32_t c)
{
    return c == ' ' || in(c, '\t', '\r');
}

static int is_blank(uint32_t c)
{
    return c == ' ' || in(c, 0x2000, 0x200a) || c == 0x202f || c == 0x205f || c == 0x3000 || c == 0xa0;
}

void meteor_norm_free(meteor_norm *n)
{
    free(n->a.v);
    free(n->b.v);
    free(n->c.v);
    capt_str_free(&n->word);
}

static void swap(meteor_norm *n)
{
    meteor_cps t = n->a;
    n->a = n->b;
    n->b = t;
}

static void put(meteor_norm *n, uint32_t c)
{
    capt_vec_push(&n->b, c);
}

static void put_apart(meteor_norm *n, uint32_t c)
{
    put(n, ' ');
    put(n, c);
    put(n, ' ');
}

/* c between l and r becomes what `to` says: " c ", " c" or " ". */
static void replace(meteor_norm *n, klass *l, uint32_t c, klass *r, const char *to)
{
    const uint32_t *a = n->a.v;
    size_t len = n->a.n, i = 0;
    n->b.n = 0;
    for (; i + 2 < len; i++) {
        put(n, a[i]);
        if (a[i + 1] != c || !l(a[i]) || !r(a[i + 2]))
            continue;
        for (const char *p = to; *p; p++)
            put(n, *p == 'c' ? c : ' ');
        put(n, a[i + 2]);
        i += 2;
    }
    for (; i < len; i++)
        put(n, a[i]);
    swap(n);
}

/* Steps on single characters: symbols apart, runs of dots as units. */
static void symbols(meteor_norm *n, const char *line)
{
    const char *end = line + strlen(line);
    n->b.n = 0;
    put(n, ' ');
    while (line < end) {
        int32_t got = capt_utf8_next(&line, end);
        uint32_t c = got < 0 ? 0xfffd : (uint32_t)got;
        if (is_alnum(c) || is_white(c) || (c < 0x80 && strchr(".'`,-", (int)c) && c) || c == 0x2018 || c == 0x2019)
            put(n, c);
        else
            put_apart(n, c);
    }
    put(n, ' ');
    swap(n);
    n->b.n = 0;
    for (size_t i = 0; i < n->a.n;) {
        size_t k = 0;
        while (i + k < n->a.n && n->a.v[i + k] == '.')
            k++;
        if (k > 1)
            put_apart(n, DOTS + (uint32_t)k);
        else
            put(n, n->a.v[i]);
        i += k ? k : 1;
    }
    swap(n);
}

static void quotes(meteor_norm *n)
{
    uint32_t *a = n->a.v;
    for (size_t i = 0; i < n->a.n; i++) {
        if (a[i] == '`' || a[i] == 0x2018 || a[i] == 0x2019)
            a[i] = '\'';
        if (a[i] == 0x2013)
            a[i] = '-';
    }
    n->b.n = 0;
    for (size_t i = 0; i < n->a.n; i++) {
        int twice = i + 1 < n->a.n && a[i] == a[i + 1];
        if (a[i] == 0x201c || a[i] == 0x201d || (a[i] == '\'' && twice))
            put_apart(n, '"');
        else
            put(n, a[i]);
        i += twice && (a[i] == '\'' || a[i] == '-');
    }
    swap(n);
}

static void utf8(meteor_norm *n, const uint32_t *v, size_t len)
{
    capt_str_clear(&n->word);
    for (size_t i = 0; i < len; i++)
        capt_utf8_put(&n->word, v[i]);
}

/* The final dot of the word v: 1 keeps it, 0 parts it. */
static int keeps_dot(const capt_meteor *m, meteor_norm *n, const uint32_t *v, size_t len, uint32_t next)
{
    utf8(n, v, len - 1);
    const meteor_lex *x = meteor_lex_find(m, n->word.s, n->word.n);
    unsigned flags = x ? x->flags : 0;
    return (flags & LEX_PREFIX) || in(next, 'a', 'z') || ((flags & LEX_PREFIX_NUMERIC) && is_digit(next));
}

static void final_dots(const capt_meteor *m, meteor_norm *n)
{
    const uint32_t *a = n->a.v;
    size_t len = n->a.n, i = 0;
    n->b.n = 0;
    while (i < len) {
        if (is_white(a[i])) {
            i++;
            continue;
        }
        size_t k = i, next, letters = 0, dots = 0;
        for (; k < len && !is_white(a[k]); k++) {
            dots += a[k] == '.';
            letters += (size_t)is_alpha(a[k]);
        }
        for (next = k; next < len && is_white(a[next]);)
            next++;
        int ends = a[k - 1] == '.' && k - i > 1, acronym = ends && dots > 1 && letters;
        int apart = ends && !acronym && !keeps_dot(m, n, a + i, k - i, next < len ? a[next] : 0);
        for (size_t c = i; c < k; c++) {
            if (apart && c == k - 1)
                put(n, ' ');
            if (!acronym || a[c] != '.')
                put(n, a[c]);
        }
        put(n, ' ');
        i = k;
    }
    swap(n);
}

/* Words of plain letters, digits and blanks stay as they are. */
static int plain(const char *line, capt_str *out)
{
    size_t n = strlen(line), start = out->n;
    capt_str_add(out, line, n);
    capt_str_putc(out, ' ');
    char *to = out->s + start;
    int blank = 1;
    for (const char *p = line;; p++) {
        char c = *p;
        if (in((unsigned char)c, 'a', 'z') || in((unsigned char)c, '0', '9')) {
            *to++ = c;
            blank = 0;
        } else if (c == ' ' || !c) {
            if (!blank)
                *to++ = ' ';
            blank = 1;
        } else {
            break;
        }
        if (!c) {
            out->n = (size_t)(to - out->s);
            out->s[out->n] = 0;
            return 1;
        }
    }
    out->n = start;
    out->s[start] = 0;
    return 0;
}

void meteor_normalise(const capt_meteor *m, meteor_norm *n, const char *line, capt_str *out)
{
    if (plain(line, out))
        return;
    symbols(n, line);
    replace(n, not_digit, ',', not_digit, " c ");
    replace(n, is_digit, ',', not_digit, " c ");
    replace(n, not_digit, ',', is_digit, " c ");
    quotes(n);
    replace(n, is_alnum_dot, '-', is_alnum, " ");
    replace(n, not_alpha, '\'', not_alpha, " c ");
    replace(n, not_alnum, '\'', is_alpha, " c ");
    replace(n, is_alpha, '\'', not_alpha, " c ");
    replace(n, is_alpha, '\'', is_alpha, " c");
    replace(n, is_digit, '\'', is_s, " c");
    final_dots(m, n);
    capt_str_clear(&n->word);
    int ascii = 1;
    for (size_t i = 0; i < n->a.n; i++) {
        uint32_t c = n->a.v[i];
        ascii &= c < 0x80;
        if (c > DOTS)
            for (c -= DOTS; c; c--)
                capt_str_putc(&n->word, '.');
        else
            capt_utf8_put(&n->word, is_blank(c) ? ' ' : in(c, 'A', 'Z') ? c | 32 : c);
    }
    uint8_t *lower = NULL;
    size_t len = n->word.n;
    const char *s = n->word.s;
    if (!ascii) {
        lower = u8_tolower((const uint8_t *)s, len, "en", NULL, NULL, &len);
        if (!lower && errno == ENOMEM)
            capt_no_memory();
    }
    if (lower)
        s = (const char *)lower;
    for (size_t i = 0; i < len; i++)
        if (!is_white((unsigned char)s[i]))
            capt_str_putc(out, s[i]);
        else if (i && !is_white((unsigned char)s[i - 1]))
            capt_str_putc(out, ' ');
    if (len && !is_white((unsigned char)s[len - 1]))
        capt_str_putc(out, ' ');
    free(lower);
}
