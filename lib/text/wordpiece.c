/* BERT's uncased tokenizer (Devlin et al. 2019): control characters dropped, ideographs set apart, accents stripped (NFD
 * without non-spacing marks), lower case a character at a time; cut at white space and around punctuation; then the longest
 * pieces in the vocabulary from the left, "##" before all but a word's first. */
#include <stdlib.h>
#include <string.h>
#include <unicase.h>
#include <uninorm.h>
#include "base/mem.h"
#include "text/vocab_priv.h"
#include "text/wordpiece_priv.h"

enum { MAX_WORD = 100 }; /* characters; a longer word is unk */

int capt_vocab_wordpiece_prepare(capt_vocab *v, const json_t *o, const char *where, capt_err *err)
{
    if (v->unk < 0)
        return capt_fail(err, CAPT_EDATA, "%s: a WordPiece vocabulary needs a special \"unk\"", where);
    return 0;
}

/* ASCII: what becomes of a byte. Lower case stands in the table itself. */
enum { DROP, BLANK, PUNCT }; /* below 33: no such characters are left */
static unsigned char ascii_class(unsigned char c)
{
    if (c == ' ' || c == '\t' || c == '\n' || c == '\r')
        return BLANK;
    if (c < 32 || c == 127)
        return DROP;
    if (c >= 'A' && c <= 'Z')
        return (unsigned char)(c + 32);
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ? c : PUNCT;
}

static int is_cut(const char *p, const char *end, int *space)
{
    unsigned char c = (unsigned char)*p;
    *space = c == ' ';
    if (c < 128)
        return *space || ascii_class(c) == PUNCT;
    return wordpiece_is_punctuation((uint32_t)capt_utf8_next(&p, end));
}

static int is_ascii(const char *s, size_t n)
{
    unsigned char all = 0;
    for (size_t i = 0; i < n; i++)
        all |= (unsigned char)s[i];
    return all < 128;
}

/* The normalised text of s appended to out, in UTF-8, blanks for all white space. */
static void clean_ascii(const char *s, size_t n, capt_str *out)
{
    capt_str_add(out, s, n);
    char *to = out->s + out->n - n;
    for (size_t i = 0; i < n; i++) {
        unsigned char k = ascii_class((unsigned char)s[i]);
        if (k != DROP)
            *to++ = k == BLANK ? ' ' : k == PUNCT ? s[i] : (char)k;
    }
    *to = 0;
    out->n = (size_t)(to - out->s);
}

static void add_lower(uint32_t c, capt_str *out)
{
    uint32_t buf[8], newer;
    size_t k = sizeof buf / sizeof *buf;
    if (c < 128) {
        capt_str_putc(out, c >= 'A' && c <= 'Z' ? (int)c + 32 : (int)c);
    } else if (c == 0x3a3) { /* never the final sigma */
        capt_utf8_put(out, 0x3c3);
    } else if ((newer = wordpiece_newer_lower(c)) != 0) {
        capt_utf8_put(out, newer);
    } else {
        uint32_t *l = u32_tolower(&c, 1, NULL, NULL, buf, &k);
        for (size_t j = 0; l && j < k; j++)
            capt_utf8_put(out, l[j]);
        if (l != buf)
            free(l);
    }
}

static int clean_wide(const char *s, size_t n, capt_str *out)
{
    CAPT_VEC(uint32_t) v = {0};
    for (const char *p = s, *end = s + n; p < end;) {
        int32_t c = capt_utf8_next(&p, end);
        if (c < 0 || (c < 128 ? ascii_class((unsigned char)c) == DROP : wordpiece_is_dropped((uint32_t)c)))
            continue;
        int wide = c >= 128 && wordpiece_is_ideograph((uint32_t)c);
        int space = c < 128 ? ascii_class((unsigned char)c) == BLANK : wordpiece_is_space((uint32_t)c);
        if (wide)
            capt_vec_push(&v, ' ');
        capt_vec_push(&v, space ? ' ' : (uint32_t)c);
        if (wide)
            capt_vec_push(&v, ' ');
    }
    size_t len = 0;
    capt_vec_push(&v, ' '); /* never empty: the library returns NULL for that */
    uint32_t *d = u32_normalize(UNINORM_NFD, v.v, v.n, NULL, &len);
    capt_vec_free(&v);
    for (size_t i = 0; d && i < len; i++)
        if (d[i] < 128 || !wordpiece_is_mark(d[i]))
            add_lower(d[i], out);
    free(d);
    return d ? 0 : -1;
}

/* Pieces of a word of n bytes, at most max ids; unk if some part is in no piece or the word is too long. */
static void add_word(const capt_vocab *v, const char *s, size_t n, int max, int32_t *ids, int *n_ids)
{
    char buf[2 + 4 * MAX_WORD] = "##";
    int32_t out[MAX_WORD];
    size_t from = 0;
    int k = 0, length = 0, bad;
    for (size_t i = 0; i < n; i++)
        length += ((unsigned char)s[i] & 0xc0) != 0x80;
    bad = length > MAX_WORD;
    while (!bad && from < n) {
        size_t to = n;
        int32_t id = -1;
        memcpy(buf + 2, s + from, n - from);
        while (to > from) {
            id = from ? capt_vocab_find_n(v, buf, to - from + 2) : capt_vocab_find_n(v, s, to);
            if (id >= 0)
                break;
            do
                to--;
            while (to > from && ((unsigned char)s[to] & 0xc0) == 0x80);
        }
        bad = id < 0;
        if (!bad)
            out[k++] = id;
        from = to;
    }
    if (bad) {
        k = 1;
        out[0] = v->unk;
    }
    for (int i = 0; i < k && *n_ids < max; i++)
        ids[(*n_ids)++] = out[i];
}

int capt_vocab_wordpiece_encode(const capt_vocab *v, const char *s, int max, int32_t *ids, int *n, capt_err *err)
{
    size_t len = strlen(s);
    capt_str text = {0};
    capt_str_clear(&text);
    if (is_ascii(s, len))
        clean_ascii(s, len, &text);
    else if (clean_wide(s, len, &text)) {
        capt_str_free(&text);
        return capt_fail(err, CAPT_ENOMEM, "normalising a caption: out of memory");
    }
    const char *end = text.s + text.n, *from = text.s;
    for (const char *p = text.s, *next; p < end && *n < max; p = next) {
        int space;
        next = p + 1;
        while (next < end && ((unsigned char)*next & 0xc0) == 0x80)
            next++;
        if (!is_cut(p, end, &space))
            continue;
        if (p > from)
            add_word(v, from, (size_t)(p - from), max, ids, n);
        if (!space)
            add_word(v, p, (size_t)(next - p), max, ids, n);
        from = next;
    }
    if (from < end && *n < max)
        add_word(v, from, (size_t)(end - from), max, ids, n);
    capt_str_free(&text);
    return 0;
}

/* No blank stands before these (the "cleanup" of the reference; the other contractions are several tokens here). */
static int is_joined(const char *t)
{
    static const char *const tail[] = {".", "?", "!", ",", "n't", "'m", "'s", "'ve", "'re"};
    for (size_t i = 0; i < sizeof tail / sizeof *tail; i++)
        if (strncmp(t, tail[i], strlen(tail[i])) == 0)
            return 1;
    return 0;
}

void capt_vocab_wordpiece_decode(const capt_vocab *v, const int32_t *ids, int n, capt_str *out)
{
    for (int i = 0; i < n; i++) {
        const char *t = v->tokens[ids[i]];
        int inner = i && t[0] == '#' && t[1] == '#';
        if (i && !inner && !is_joined(t))
            capt_str_putc(out, ' ');
        capt_str_puts(out, inner ? t + 2 : t);
    }
}
