/* CLIP's byte-level byte pair encoding (Radford et al. 2021, section 2.4; its published tokenizer). A caption is cleaned (composed, curled quotes made straight,
 * wide and ligature letters plain, character references resolved, blanks made one, lower case), cut by
 *   's|'t|'re|'ve|'m|'ll|'d|\p{L}+|\p{N}|[^\s\p{L}\p{N}]+
 * and each piece is spelled in bytes, the last of which is a token of its own kind, "x</w>". */
#include <stdlib.h>
#include <string.h>
#include <unicase.h>
#include <uninorm.h>
#include <zlib.h>
#include "base/json.h"
#include "base/mem.h"
#include "text/vocab_priv.h"

enum { MAX_MERGES = 48894, MAX_LINE = 1000 };
static const char tail[] = "</w>";

int capt_vocab_clip_prepare(capt_vocab *v, const json_t *o, const char *where, capt_err *err)
{
    return !capt_json_array(o, "merges", where, err) || capt_bpe_bytes(v, "", v->byte_id, where, err) || capt_bpe_bytes(v, tail, v->byte_end, where, err) || capt_bpe_merges(v, o, where, err) ? -1 : 0;
}

/* ---- cleaning ---- */

/* Characters that the reference's repair of text replaces. */
static uint32_t plain(uint32_t c)
{
    if (c == 0x2bc || (c >= 0x2018 && c <= 0x201b))
        return '\'';
    if (c >= 0x201c && c <= 0x201f)
        return '"';
    if (c >= 0xff01 && c <= 0xff5e)
        return c - 0xfee0;
    return c == 0x3000 ? ' ' : c;
}

static const char *ligature(uint32_t c)
{
    static const char *const latin[] = {"ff", "fi", "fl", "ffi", "ffl", "\xc5\xbft", "st"};
    return c >= 0xfb00 && c <= 0xfb06 ? latin[c - 0xfb00] : NULL;
}

/* HTML's names of U+00A0 to U+00FF in order, each with a blank behind. */
static const char latin1[] =
    "nbsp iexcl cent pound curren yen brvbar sect uml copy ordf laquo not shy reg macr deg plusmn sup2 sup3 acute micro para middot "
    "cedil sup1 ordm raquo frac14 frac12 frac34 iquest Agrave Aacute Acirc Atilde Auml Aring AElig Ccedil Egrave Eacute Ecirc Euml "
    "Igrave Iacute Icirc Iuml ETH Ntilde Ograve Oacute Ocirc Otilde Ouml times Oslash Ugrave Uacute Ucirc Uuml Yacute THORN szlig "
    "agrave aacute acirc atilde auml aring aelig ccedil egrave eacute ecirc euml igrave iacute icirc iuml eth ntilde ograve oacute "
    "ocirc otilde ouml divide oslash ugrave uacute ucirc uuml yacute thorn yuml ";
static const struct { const char *name; int32_t c; } named[] = {
    {"amp", '&'}, {"lt", '<'}, {"gt", '>'}, {"quot", '"'}, {"apos", '\''}, {"ndash", 0x2013}, {"mdash", 0x2014}, {"lsquo", 0x2018}, {"rsquo", 0x2019},
    {"ldquo", 0x201c}, {"rdquo", 0x201d}, {"bull", 0x2022}, {"hellip", 0x2026}, {"euro", 0x20ac}, {"trade", 0x2122},
};

static int32_t by_name(const char *s, size_t n)
{
    for (size_t i = 0; i < sizeof named / sizeof *named; i++)
        if (strlen(named[i].name) == n && !memcmp(named[i].name, s, n))
            return named[i].c;
    int32_t c = 0xa0;
    for (const char *p = latin1; *p; p += strcspn(p, " ") + 1, c++)
        if (strcspn(p, " ") == n && !memcmp(p, s, n))
            return c;
    return -1;
}

/* The character of the reference at p ("&amp;", "&#39;", "&#x27;"), and where it ends; -1 when it is none. */
static int32_t reference(const char *p, const char **end)
{
    size_t letters = strspn(p + 1, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789");
    if (letters && p[1 + letters] == ';') {
        *end = p + letters + 2;
        return by_name(p + 1, letters);
    }
    if (p[1] != '#')
        return -1;
    int hex = p[2] == 'x' || p[2] == 'X';
    const char *digits = p + 2 + hex;
    size_t n = strspn(digits, hex ? "0123456789abcdefABCDEF" : "0123456789");
    if (n == 0 || n > 7 || digits[n] != ';')
        return -1;
    long c = strtol(digits, NULL, hex ? 16 : 10);
    *end = digits + n + 1;
    return c > 0 && c < 0x110000 && (c < 0xd800 || c > 0xdfff) ? (int32_t)c : 0xfffd;
}

static void resolve(const char *s, capt_str *out)
{
    while (*s) {
        const char *end;
        int32_t c = *s == '&' ? reference(s, &end) : -1;
        if (c < 0)
            capt_str_putc(out, *s++);
        else
            capt_utf8_put(out, (uint32_t)c), s = end;
    }
}

static void repair(const char *s, capt_str *out)
{
    for (const char *end = s + strlen(s); s < end;) {
        int32_t c = capt_utf8_next(&s, end);
        const char *letters = ligature((uint32_t)c);
        if (letters)
            capt_str_puts(out, letters);
        else if (c < 0)
            capt_utf8_put(out, 0xfffd);
        else if (c >= 32 || (c >= 9 && c <= 13)) /* other control characters go */
            capt_utf8_put(out, plain((uint32_t)c));
    }
}

static char *clean(const char *caption)
{
    capt_str s = {0}, t = {0};
    capt_str_puts(&s, "");
    capt_str_puts(&t, "");
    repair(caption, &s);
    size_t n;
    uint8_t *nfc = u8_normalize(UNINORM_NFC, (const uint8_t *)s.s, s.n + 1, NULL, &n); /* with the NUL */
    resolve(nfc ? (char *)nfc : s.s, &t);
    free(nfc);
    capt_str_clear(&s);
    resolve(t.s, &s); /* twice, as published */
    uint8_t *low = u8_tolower((const uint8_t *)s.s, s.n + 1, NULL, NULL, NULL, &n);
    capt_str_free(&t);
    if (!low)
        return s.s;
    capt_str_free(&s);
    return (char *)low;
}

/* ---- encoding ---- */

/* Where the pattern's match at p ends; p is no white space. */
static const char *piece(const char *p, const char *end)
{
    static const char *const clitic[] = {"'s", "'t", "'re", "'ve", "'m", "'ll", "'d"};
    for (size_t i = 0; *p == '\'' && i < sizeof clitic / sizeof *clitic; i++)
        if (!strncmp(p, clitic[i], strlen(clitic[i])))
            return p + strlen(clitic[i]);
    const char *q = p, *r;
    int k = capt_bpe_kind(capt_utf8_next(&q, end));
    if (k == CAPT_BPE_NUMBER)
        return q;
    for (r = q; q < end && capt_bpe_kind(capt_utf8_next(&r, end)) == k;)
        q = r;
    return q;
}

int capt_vocab_clip_encode(const capt_vocab *v, const char *caption, int max, int32_t *ids, int *n, capt_err *err)
{
    char *s = clean(caption);
    size_t len = strlen(s);
    const char *end = s + len;
    int32_t *id = capt_try_alloc((2 * len + 2) * sizeof *id, err);
    for (const char *p = s, *q = s; id && p < end && *n < max; p = q) {
        if (capt_bpe_kind(capt_utf8_next(&q, end)) == CAPT_BPE_SPACE)
            continue;
        q = piece(p, end);
        int k = (int)(q - p);
        for (int i = 0; i < k; i++)
            id[i] = i + 1 < k ? v->byte_id[(unsigned char)p[i]] : v->byte_end[(unsigned char)p[i]];
        k = capt_bpe_merge(v, id, id + len + 1, k);
        for (int i = 0; i < k && *n < max; i++)
            ids[(*n)++] = id[i];
    }
    free(s);
    int rc = id ? 0 : -1;
    free(id);
    return rc;
}

void capt_vocab_clip_decode(const capt_vocab *v, const int32_t *ids, int n, capt_str *out)
{
    capt_str raw = {0};
    capt_str_puts(&raw, "");
    for (int i = 0; i < n; i++) {
        const char *t = v->text + v->text_at[ids[i]];
        size_t len = v->text_at[ids[i] + 1] - v->text_at[ids[i]], k = strlen(tail);
        int last = len > k && !memcmp(t + len - k, tail, k);
        capt_str_add(&raw, t, last ? len - k : len);
        if (last && i + 1 < n)
            capt_str_putc(&raw, ' ');
    }
    for (const char *p = raw.s, *end = raw.s + raw.n; p < end;) {
        int32_t c = capt_utf8_next(&p, end);
        capt_utf8_put(out, c < 0 ? 0xfffd : c == 0 ? ' ' : (uint32_t)c);
    }
    capt_str_free(&raw);
}

/* ---- the published file ---- */

static void add_bytes(json_t *tokens, const char *behind)
{
    uint32_t letter[256];
    capt_bpe_alphabet(letter);
    for (int round = 0; round < 2; round++) /* those that stand for themselves, then the others */
        for (int b = 0; b < 256; b++)
            if ((letter[b] >= 256) == round) {
                capt_str s = {0};
                capt_utf8_put(&s, letter[b]);
                capt_str_puts(&s, behind);
                json_array_append_new(tokens, json_string(s.s));
                capt_str_free(&s);
            }
}

/* Lines "left right" behind a first line that names the version. */
static int read_merges(const char *path, json_t *tokens, json_t *merges, capt_err *err)
{
    char line[MAX_LINE];
    gzFile f = gzopen(path, "rb");
    if (!f)
        return capt_fail_errno(err, "%s", path);
    int rc = 0, n = 0;
    for (size_t at = 1; !rc && n < MAX_MERGES && gzgets(f, line, sizeof line); at++) {
        char *blank = strchr(line, ' '), *end = line + strcspn(line, "\r\n");
        if (at == 1 && strstr(line, "#version"))
            continue;
        if ((!*end && !gzeof(f)) || !blank || blank == line || blank + 1 >= end || strchr(blank + 1, ' ')) {
            rc = capt_fail(err, CAPT_EDATA, "%s:%zu: not two tokens with a blank between", path, at);
            break;
        }
        *end = 0;
        json_t *m = json_string(line);
        if (!m)
            rc = capt_fail(err, CAPT_EDATA, "%s:%zu: not UTF-8", path, at);
        json_array_append_new(merges, m);
        memmove(blank, blank + 1, strlen(blank));
        json_array_append_new(tokens, json_string(line));
        n++;
    }
    int gz;
    const char *why = gzerror(f, &gz);
    if (!rc && gz != Z_OK && gz != Z_STREAM_END)
        rc = capt_fail(err, CAPT_EDATA, "%s: %s", path, why);
    gzclose(f);
    return rc ? -1 : 0;
}

capt_vocab *capt_vocab_new_clip(const char *path, capt_err *err)
{
    json_t *tokens = json_array(), *merges = json_array();
    capt_vocab *v = NULL;
    add_bytes(tokens, "");
    add_bytes(tokens, tail);
    int rc = read_merges(path, tokens, merges, err);
    json_array_append_new(tokens, json_string("<|startoftext|>"));
    json_array_append_new(tokens, json_string("<|endoftext|>"));
    json_int_t end = (json_int_t)json_array_size(tokens) - 1;
    json_t *o = json_pack("{s:s, s:s, s:{s:I, s:I, s:I}, s:o, s:o}", "type", "clip", "tokenizer", "clip-bpe", "special", "pad", end, "bos", end - 1, "eos", end,
                          "tokens", tokens, "merges", merges);
    if (!rc)
        v = capt_vocab_from_json(o, path, err);
    json_decref(o);
    return v;
}
