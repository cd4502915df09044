/* BERT's uncased tokenizer (Devlin et al. 2019): control characters dropped, ideographs set apart, accents stripped (NFD
 * without non-spacing marks), lower case a character at a time; cut at white space and around punctuation; then the longest
 * pieces in the vocabulary from the left, "##" before all but a word's first. */
#include <stdlib.h>
#include <string.h>
#include <unicase.h>
#include <unictype.h>
#include <uninorm.h>
#include "base/mem.h"
#include "text/vocab_priv.h"

enum { MAX_WORD = 100 }; /* characters; a longer word is unk */

int capt_vocab_wordpiece_prepare(capt_vocab *v, const json_t *o, const char *where, capt_err *err)
{
    if (v->unk < 0)
        return capt_fail(err, CAPT_EDATA, "%s: a WordPiece vocabulary needs a special \"unk\"", where);
    return 0;
}

static int is_space(uint32_t c)
{
    return c == ' ' || (c >= 9 && c <= 13) || (c >= 128 && uc_is_property_white_space(c));
}

static int is_ideograph(uint32_t c)
{
    return (c >= 0x4e00 && c <= 0x9fff) || (c >= 0x3400 && c <= 0x4dbf) || (c >= 0x20000 && c <= 0x2a6df) || (c >= 0x2a700 && c <= 0x2b73f) ||
           (c >= 0x2b740 && c <= 0x2b81f) || (c >= 0x2b920 && c <= 0x2ceaf) || (c >= 0xf900 && c <= 0xfaff) || (c >= 0x2f800 && c <= 0x2fa1f);
}

static int is_punctuation(uint32_t c)
{
    if (c < 128)
        return (c >= 33 && c <= 47) || (c >= 58 && c <= 64) || (c >= 91 && c <= 96) || (c >= 123 && c <= 126);
    return uc_is_general_category_withtable(c, UC_CATEGORY_MASK_P);
}

static int is_dropped(uint32_t c)
{
    if (c < 128)
        return (c < 32 || c == 127) && c != '\t' && c != '\n' && c != '\r';
    return c == 0xfffd || uc_is_general_category_withtable(c, UC_CATEGORY_MASK_Cc | UC_CATEGORY_MASK_Cf | UC_CATEGORY_MASK_Co);
}

/* Cleaned characters of s, blanks for all white space; *n of them. malloc'd; NULL without memory. */
static uint32_t *clean(const char *s, size_t *n)
{
    CAPT_VEC(uint32_t) v = {0};
    for (const char *p = s, *end = s + strlen(s); p < end;) {
        int32_t c = capt_utf8_next(&p, end);
        if (c <= 0 || is_dropped((uint32_t)c))
            continue;
        int wide = is_ideograph((uint32_t)c);
        if (wide)
            capt_vec_push(&v, ' ');
        capt_vec_push(&v, is_space((uint32_t)c) ? ' ' : (uint32_t)c);
        if (wide)
            capt_vec_push(&v, ' ');
    }
    size_t len = 0;
    capt_vec_push(&v, ' '); /* never empty: the library returns NULL for that */
    uint32_t *d = u32_normalize(UNINORM_NFD, v.v, v.n, NULL, &len);
    capt_vec_free(&v);
    if (!d)
        return NULL;
    CAPT_VEC(uint32_t) low = {0};
    for (size_t i = 0; i < len; i++) {
        uint32_t buf[8];
        size_t k = sizeof buf / sizeof *buf;
        if (d[i] < 128) {
            capt_vec_push(&low, d[i] >= 'A' && d[i] <= 'Z' ? d[i] + 32 : d[i]);
        } else if (!uc_is_general_category_withtable(d[i], UC_CATEGORY_MASK_Mn)) {
            uint32_t *l = d[i] == 0x3a3 ? NULL : u32_tolower(d + i, 1, NULL, NULL, buf, &k);
            if (d[i] == 0x3a3)
                capt_vec_push(&low, 0x3c3);
            for (size_t j = 0; l && j < k; j++)
                capt_vec_push(&low, l[j]);
            if (l != buf)
                free(l);
        }
    }
    free(d);
    *n = low.n;
    return low.v;
}

/* One word's pieces (at most MAX_WORD); 1 if some part is in no piece. at[i]: offset of character i in s, at[n] the end. */
static int pieces(const capt_vocab *v, const char *s, const size_t *at, int n, int32_t *out, int *n_out)
{
    char buf[2 + 4 * MAX_WORD + 1] = "##";
    for (int from = 0; from < n;) {
        int to = n;
        int32_t id = -1;
        for (; to > from && id < 0; to--) {
            size_t len = at[to] - at[from];
            memcpy(buf + 2, s + at[from], len);
            id = from ? capt_vocab_find_n(v, buf, len + 2) : capt_vocab_find_n(v, buf + 2, len);
        }
        if (id < 0)
            return 1;
        out[(*n_out)++] = id;
        from = to + 1;
    }
    return 0;
}

static void add_word(const capt_vocab *v, const uint32_t *c, int n, int max, int32_t *ids, int *n_ids)
{
    int32_t out[MAX_WORD];
    int k = 0;
    if (n == 0)
        return;
    int bad = n > MAX_WORD;
    if (!bad) {
        capt_str s = {0};
        size_t at[MAX_WORD + 1];
        for (int i = 0; i < n; i++) {
            at[i] = s.n;
            capt_utf8_put(&s, c[i]);
        }
        at[n] = s.n;
        bad = pieces(v, s.s, at, n, out, &k);
        capt_str_free(&s);
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
    size_t len = 0, from = 0;
    uint32_t *c = clean(s, &len);
    if (!c)
        return capt_fail(err, CAPT_ENOMEM, "normalising a caption: out of memory");
    for (size_t i = 0; i <= len && *n < max; i++) {
        int cut = i == len || is_space(c[i]) || is_punctuation(c[i]);
        if (!cut)
            continue;
        size_t w = i - from;
        add_word(v, c + from, w > MAX_WORD ? MAX_WORD + 1 : (int)w, max, ids, n);
        if (i < len && !is_space(c[i]))
            add_word(v, c + i, 1, max, ids, n);
        from = i + 1;
    }
    free(c);
    return 0;
}

void capt_vocab_wordpiece_decode(const capt_vocab *v, const int32_t *ids, int n, capt_str *out)
{
    for (int i = 0; i < n; i++) {
        const char *t = v->tokens[ids[i]];
        int joined = t[0] == '#' && t[1] == '#' && t[2];
        if (i && !joined)
            capt_str_putc(out, ' ');
        capt_str_puts(out, joined ? t + 2 : t);
    }
}
