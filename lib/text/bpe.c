/* GPT-2's byte-level byte pair encoding (Radford et al. 2019): text is cut by
 *   's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+
 * each piece is spelled in bytes, and the adjacent pair of lowest rank is merged until none is left. In the files a byte is
 * a printable character: itself where it is one, else U+0100 + its number among those that are not. */
#include <stdlib.h>
#include <string.h>
#include <unictype.h>
#include "base/json.h"
#include "base/mem.h"
#include "text/vocab_priv.h"

static int printable(int b)
{
    return (b >= 33 && b <= 126) || (b >= 161 && b <= 172) || b >= 174;
}

/* The characters of the 256 bytes. */
void capt_bpe_alphabet(uint32_t out[256])
{
    uint32_t next = 256;
    for (int b = 0; b < 256; b++)
        out[b] = printable(b) ? (uint32_t)b : next++;
}

static size_t pair_slot(const capt_vocab *v, uint64_t pair)
{
    size_t i = (size_t)((pair * 0x9e3779b97f4a7c15u) >> 20) & v->merge_mask;
    while (v->merge[i].pair && v->merge[i].pair != pair)
        i = (i + 1) & v->merge_mask;
    return i;
}

static uint64_t pair_of(int32_t left, int32_t right)
{
    return ((uint64_t)(uint32_t)left << 32 | (uint32_t)right) + 1;
}

static int add_merge(capt_vocab *v, size_t rank, const char *s, const char *where, capt_err *err)
{
    const char *blank = s ? strchr(s, ' ') : NULL;
    if (!blank || strchr(blank + 1, ' '))
        return capt_fail(err, CAPT_EDATA, "%s: merge %zu is not two tokens with a blank between", where, rank + 1);
    capt_str both = {0};
    capt_str_add(&both, s, (size_t)(blank - s));
    capt_str_puts(&both, blank + 1);
    int32_t left = capt_vocab_find_n(v, s, (size_t)(blank - s)), right = capt_vocab_find(v, blank + 1);
    int32_t id = capt_vocab_find_n(v, both.s, both.n);
    capt_str_free(&both);
    if (left < 0 || right < 0 || id < 0)
        return capt_fail(err, CAPT_EDATA, "%s: merge %zu, \"%.60s\", or what it makes is not among the tokens", where, rank + 1, s);
    vocab_merge *m = &v->merge[pair_slot(v, pair_of(left, right))];
    if (m->pair)
        return capt_fail(err, CAPT_EDATA, "%s: merge %zu, \"%.60s\", is there twice", where, rank + 1, s);
    *m = (vocab_merge){pair_of(left, right), (int32_t)rank, id};
    return 0;
}

/* The bytes each token spells, one after the other; an added token in plain text spells itself. */
static void spell(capt_vocab *v, const uint32_t letter[256])
{
    unsigned char byte[512] = {0};
    capt_str text = {0};
    for (int b = 0; b < 256; b++)
        byte[letter[b]] = (unsigned char)b;
    v->text_at = capt_alloc(((size_t)v->n + 1) * sizeof *v->text_at);
    for (int32_t i = 0; i < v->n; i++) {
        const char *t = v->tokens[i], *end = t + strlen(t);
        while (t < end) {
            const char *from = t;
            int32_t c = capt_utf8_next(&t, end);
            if (c >= 0 && c < 512 && (byte[c] || (uint32_t)c == letter[0]))
                capt_str_putc(&text, byte[c]);
            else
                capt_str_add(&text, from, (size_t)(t - from));
        }
        v->text_at[i + 1] = text.n;
    }
    v->text = text.s;
}

int capt_bpe_bytes(const capt_vocab *v, const char *tail, int32_t id[256], const char *where, capt_err *err)
{
    uint32_t letter[256];
    capt_bpe_alphabet(letter);
    for (int b = 0; b < 256; b++) {
        capt_str s = {0};
        capt_utf8_put(&s, letter[b]);
        capt_str_puts(&s, tail);
        id[b] = capt_vocab_find_n(v, s.s, s.n);
        capt_str_free(&s);
        if (id[b] < 0)
            return capt_fail(err, CAPT_EDATA, "%s: no token for byte %d", where, b);
    }
    return 0;
}

int capt_bpe_merges(capt_vocab *v, const json_t *o, const char *where, capt_err *err)
{
    uint32_t letter[256];
    json_t *merges = capt_json_array(o, "merges", where, err), *m;
    if (!merges)
        return -1;
    capt_bpe_alphabet(letter);
    spell(v, letter);
    size_t slots = 16, i;
    while (slots < 2 * json_array_size(merges))
        slots *= 2;
    v->merge = capt_alloc(slots * sizeof *v->merge);
    v->merge_mask = slots - 1;
    json_array_foreach(merges, i, m)
        if (add_merge(v, i, json_string_value(m), where, err))
            return -1;
    return 0;
}

int capt_vocab_bpe_prepare(capt_vocab *v, const json_t *o, const char *where, capt_err *err)
{
    return !capt_json_array(o, "merges", where, err) || capt_bpe_bytes(v, "", v->byte_id, where, err) || capt_bpe_merges(v, o, where, err) ? -1 : 0;
}

/* Kinds of characters to the pattern. */
int capt_bpe_kind(int32_t c)
{
    if (c < 0)
        return CAPT_BPE_OTHER;
    if (c < 128)
        return (c | 32) >= 'a' && (c | 32) <= 'z' ? CAPT_BPE_LETTER : c >= '0' && c <= '9' ? CAPT_BPE_NUMBER : c == ' ' || (c >= 9 && c <= 13) ? CAPT_BPE_SPACE : CAPT_BPE_OTHER;
    if (uc_is_general_category_withtable((ucs4_t)c, UC_CATEGORY_MASK_L))
        return CAPT_BPE_LETTER;
    if (uc_is_general_category_withtable((ucs4_t)c, UC_CATEGORY_MASK_N))
        return CAPT_BPE_NUMBER;
    return uc_is_property_white_space((ucs4_t)c) ? CAPT_BPE_SPACE : CAPT_BPE_OTHER;
}

static int next_kind(const char **p, const char *end)
{
    return capt_bpe_kind(capt_utf8_next(p, end));
}

/* Where the pattern's match at p ends. */
static const char *piece(const char *p, const char *end)
{
    static const char *const clitic[] = {"'s", "'t", "'re", "'ve", "'m", "'ll", "'d"};
    for (size_t i = 0; *p == '\'' && i < sizeof clitic / sizeof *clitic; i++) {
        size_t n = strlen(clitic[i]);
        if ((size_t)(end - p) >= n && memcmp(p, clitic[i], n) == 0)
            return p + n;
    }
    const char *q = *p == ' ' && p + 1 < end ? p + 1 : p, *r = q, *last = q;
    int k = next_kind(&r, end);
    if (k == CAPT_BPE_SPACE) {
        q = r = p;
        int n = 0;
        while (q < end && next_kind(&r, end) == CAPT_BPE_SPACE) {
            last = q;
            q = r;
            n++;
        }
        return q < end && n > 1 ? last : q; /* the last one of several goes with what follows */
    }
    q = r;
    while (q < end && next_kind(&r, end) == k)
        q = r;
    return q;
}

/* Merges the n ids in place; returns how many are left. rank: n numbers of scratch. */
int capt_bpe_merge(const capt_vocab *v, int32_t *id, int32_t *rank, int n)
{
    for (int i = 0; i + 1 < n; i++) {
        const vocab_merge *m = &v->merge[pair_slot(v, pair_of(id[i], id[i + 1]))];
        rank[i] = m->pair ? m->rank : INT32_MAX;
    }
    for (;;) {
        int at = -1;
        int32_t low = INT32_MAX;
        for (int i = 0; i + 1 < n; i++)
            if (rank[i] < low) {
                low = rank[i];
                at = i;
            }
        if (at < 0)
            return n;
        id[at] = v->merge[pair_slot(v, pair_of(id[at], id[at + 1]))].id;
        memmove(id + at + 1, id + at + 2, (size_t)(n - at - 2) * sizeof *id);
        memmove(rank + at, rank + at + 1, (size_t)(n - at - 2) * sizeof *rank);
        n--;
        for (int i = at > 0 ? at - 1 : at; i <= at && i + 1 < n; i++) {
            const vocab_merge *m = &v->merge[pair_slot(v, pair_of(id[i], id[i + 1]))];
            rank[i] = m->pair ? m->rank : INT32_MAX;
        }
    }
}

int capt_vocab_bpe_encode(const capt_vocab *v, const char *s, int max, int32_t *ids, int *n, capt_err *err)
{
    size_t len = strlen(s);
    const char *end = s + len;
    int32_t *id = capt_try_alloc((2 * len + 2) * sizeof *id, err);
    if (!id)
        return -1;
    for (const char *p = s; p < end && *n < max;) {
        const char *e = piece(p, end);
        int k = 0;
        for (const char *q = p; q < e; q++)
            id[k++] = v->byte_id[(unsigned char)*q];
        k = capt_bpe_merge(v, id, id + len + 1, k);
        for (int i = 0; i < k && *n < max; i++)
            ids[(*n)++] = id[i];
        p = e;
    }
    free(id);
    return 0;
}

/* How many bytes at p, which begin no character, one U+FFFD stands for: a character's beginning as far as it goes right
 * (Unicode 15, 3.9, "substitution of maximal subparts"), else one byte. */
static size_t bad_length(const char *p, const char *end)
{
    const unsigned char *s = (const unsigned char *)p;
    size_t left = (size_t)(end - p), n = s[0] >= 0xf0 ? 4 : s[0] >= 0xe0 ? 3 : 2, k = 1;
    if (s[0] < 0xc2 || s[0] > 0xf4)
        return 1;
    unsigned lo = s[0] == 0xe0 ? 0xa0 : s[0] == 0xf0 ? 0x90 : 0x80, hi = s[0] == 0xed ? 0x9f : s[0] == 0xf4 ? 0x8f : 0xbf;
    for (; k < n && k < left && s[k] >= lo && s[k] <= hi; k++) {
        lo = 0x80;
        hi = 0xbf;
    }
    return k;
}

static int is_plain(const char *s, size_t n)
{
    unsigned char all = 0;
    int zero = 0;
    for (size_t i = 0; i < n; i++) {
        all |= (unsigned char)s[i];
        zero |= s[i] == 0;
    }
    return all < 128 && !zero;
}

void capt_vocab_bpe_decode(const capt_vocab *v, const int32_t *ids, int n, capt_str *out)
{
    size_t from = out->n;
    for (int i = 0; i < n; i++)
        capt_str_add(out, v->text + v->text_at[ids[i]], v->text_at[ids[i] + 1] - v->text_at[ids[i]]);
    if (is_plain(out->s + from, out->n - from))
        return;
    capt_str raw = {0};
    capt_str_add(&raw, out->s + from, out->n - from);
    out->n = from;
    out->s[from] = 0;
    for (const char *p = raw.s, *end = raw.s + raw.n; p < end;) {
        const char *at = p;
        int32_t c = capt_utf8_next(&p, end);
        if (c < 0)
            p = at + bad_length(at, end);
        capt_utf8_put(out, c < 0 ? 0xfffd : c == 0 ? ' ' : (uint32_t)c);
    }
    capt_str_free(&raw);
}
