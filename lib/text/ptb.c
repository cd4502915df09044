/* The metric tokenizer's frame: decoding, the lexing loop, what a token becomes, lines. */
#include "text/ptb.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unicase.h>
#include <unictype.h>
#include <unistr.h>
#include "base/mem.h"
#include "text/ptb_priv.h"

typedef struct lexer {
    capt_str *out;
    capt_str tok, low; /* the token at hand, UTF-8, and in lower case */
    int drop;         /* apply the list of dropped strings */
    int keep_lines;   /* a line break inside a token is made up for after its line */
    size_t line;      /* where the current output line starts */
    size_t swallowed; /* line breaks inside tokens of this line */
} lexer;

static int dropped(const char *s, size_t n)
{
    static const char *const list[] = {"''", "'", "``", "`", ".", "?", "!", ",", ":", "-", "--", "...", ";"};
    if (n > 3)
        return 0; /* the bracket names of the list are upper case: lower-cased tokens never equal them */
    for (size_t i = 0; i < sizeof list / sizeof *list; i++)
        if (strlen(list[i]) == n && memcmp(list[i], s, n) == 0)
            return 1;
    return 0;
}

static void put_units(capt_str *b, ptb_pos p, ptb_pos e)
{
    while (p < e) {
        uint32_t c = *p++;
        if (c >= 0xd800 && c < 0xdc00 && p < e && *p >= 0xdc00 && *p < 0xe000)
            c = 0x10000 + ((c - 0xd800) << 10) + (*p++ - 0xdc00u);
        if (c >= 0xd800 && c < 0xe000)
            c = '?'; /* half a pair */
        if (c < 128)
            capt_str_putc(b, (int)c);
        else
            capt_utf8_put(b, c);
    }
}

static int in_ranges(uint32_t c, const uint32_t (*range)[2], size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (c >= range[i][0] && c <= range[i][1])
            return 1;
    return 0;
}
#define IN_RANGES(c, range) in_ranges(c, range, sizeof(range) / sizeof *(range))

/* Chinese characters and kana are words of their own to Java. */
static int letter_in_word(uint32_t c)
{
    static const uint32_t apart[][2] = {{0x3005, 0x3005}, {0x3041, 0x3094}, {0x3099, 0x309e}, {0x30a1, 0x30fe}, {0x4e00, 0x9fa5}, {0xf900, 0xfa2d}};
    return uc_is_property_alphabetic(c) && !IN_RANGES(c, apart);
}

/* A letter with case, or one of the modifiers, numerals and circled letters that Java counts among them. */
static int cased(uint32_t c)
{
    static const uint32_t more[][2] = {{0x2b0, 0x2b8}, {0x2c0, 0x2c1}, {0x2e0, 0x2e4}, {0x345, 0x345}, {0x37a, 0x37a}, {0x1d2c, 0x1d61},
                                       {0x2160, 0x217f}, {0x24b6, 0x24e9}};
    return uc_is_general_category_withtable(c, UC_CATEGORY_MASK_Lu | UC_CATEGORY_MASK_Ll | UC_CATEGORY_MASK_Lt) || IN_RANGES(c, more);
}

/* Formats but the soft hyphen are as if they were not there. */
static int invisible(uint32_t c)
{
    return c != PTB_SHY && uc_is_general_category_withtable(c, UC_CATEGORY_MASK_Cf);
}

/* The character that p[at] is, or goes with as an accent; NULL: none. */
static const uint32_t *base_of(const uint32_t *p, size_t at)
{
    for (;; at--) {
        if (!invisible(p[at]) && !uc_is_general_category_withtable(p[at], UC_CATEGORY_MASK_Mn | UC_CATEGORY_MASK_Me))
            return p + at;
        if (!at)
            return NULL;
    }
}

/* A cased letter stands on that side of the capital sigma at p[at], within the same word: letters, digits, what goes with
 * them, and one hyphen, low line, dot or apostrophe between two letters. */
static int cased_beside(const uint32_t *p, size_t n, size_t at, int step)
{
    for (size_t i = at + (size_t)step; i < n; i += (size_t)step) {
        if (invisible(p[i]))
            continue;
        const uint32_t *c = base_of(p, i), *before = i ? base_of(p, i - 1) : NULL;
        if (c && (letter_in_word(*c) || uc_is_general_category_withtable(*c, UC_CATEGORY_MASK_N | UC_CATEGORY_MASK_M))) {
            if (cased(p[i]))
                return 1;
            continue;
        }
        size_t next = i + 1;
        while (next < n && invisible(p[next]))
            next++;
        int joins = is_hyphen(p[i]) || p[i] == '.' || p[i] == '\'' || p[i] == PTB_SHY;
        if (!joins || !before || !letter_in_word(*before) || next >= n || !letter_in_word(p[next]))
            return 0;
    }
    return 0;
}

/* Full lower case, as Java's toLowerCase(ENGLISH) on the token alone: a final sigma is judged by Java's notion of a word,
 * which reaches over hyphens and digits, everything else by Unicode's tables. */
static int put_lower(capt_str *out, const char *s, size_t n)
{
    size_t i = 0;
    while (i < n && (unsigned char)s[i] < 128)
        i++;
    if (i == n) {
        for (i = 0; i < n; i++)
            capt_str_putc(out, s[i] >= 'A' && s[i] <= 'Z' ? s[i] + 32 : s[i]);
        return 0;
    }
    size_t len = 0, k = 0;
    uint32_t *u = u8_to_u32((const uint8_t *)s, n, NULL, &len);
    if (!u && errno == ENOMEM)
        capt_no_memory();
    if (!u)
        return -1;
    for (i = 0; i < len; i++)
        if (u[i] == 0x3a3) {
            capt_utf8_put(out, cased_beside(u, len, i, -1) && !cased_beside(u, len, i, 1) ? 0x3c2 : 0x3c3);
        } else {
            uint32_t buf[8], *low;
            k = sizeof buf / sizeof *buf;
            low = u32_tolower(u + i, 1, "en", NULL, buf, &k);
            if (!low)
                capt_no_memory();
            for (size_t j = 0; j < k; j++)
                capt_utf8_put(out, low[j]);
            if (low != buf)
                free(low);
        }
    free(u);
    return 0;
}

/* Where the ASCII text s ends if it stands at p: entities in capitals match the rules but are not replaced. */
static ptb_pos exact(ptb_pos p, const char *s)
{
    while (*s && *p == (unsigned char)*s)
        p++, s++;
    return *s ? NULL : p;
}

/* Quotes become ' and '' or ` and `` by their shape, the straight double one dquote. */
static void put_quotes(capt_str *b, ptb_pos p, ptb_pos e, const char *dquote)
{
    while (p < e) {
        ptb_pos a = exact(p, "&apos;"), q = exact(p, "&quot;");
        const char *s = a ? "'" : *p == '"' || q ? dquote : NULL;
        switch (*p) {
        case 0x91: case 0x2018: case 0x201b: case 0x2039: s = "`"; break;
        case 0x92: case 0x2019: case 0x203a: s = "'"; break;
        case 0x93: case 0x201c: case 0xab: s = "``"; break;
        case 0x94: case 0x201d: case 0xbb: s = "''"; break;
        default: break;
        }
        if (s)
            capt_str_puts(b, s);
        else
            put_units(b, p, p + 1);
        p = a ? a : q ? q : p + 1;
    }
}

/* Replaces characters one by one, as the rule's action says. */
static void put_replaced(capt_str *b, ptb_pos p, ptb_pos e, ptb_act act)
{
    int paren = act == ACT_PAREN || act == ACT_PHONE, nbsp = act == ACT_NBSP || act == ACT_PHONE;
    while (p < e) {
        if (paren && (*p == '(' || *p == ')')) {
            capt_str_puts(b, *p == '(' ? "-LRB-" : "-RRB-");
        } else if (nbsp && *p == ' ') {
            capt_utf8_put(b, PTB_NBSP);
        } else if (act == ACT_AMP && *p == '&' && ptb_lit(p, "&amp;")) {
            capt_str_putc(b, '&');
            p += 4;
        } else if (!(act == ACT_SHY && *p == PTB_SHY)) {
            ptb_pos q = *p >= 0xd800 && *p < 0xdc00 && p + 1 < e ? p + 2 : p + 1;
            put_units(b, p, q);
            p = q - 1;
        }
        p++;
    }
}

static const char *fraction_text(unsigned c)
{
    switch (c) {
    case 0xbc: return "1/4";
    case 0xbd: return "1/2";
    case 0xbe: return "3/4";
    case 0x2153: return "1/3";
    case 0x2154: return "2/3";
    default: return NULL;
    }
}

static const char *money_text(unsigned c)
{
    switch (c) {
    case 0xa2: return "cents";
    case 0xa3: return "#";
    case 0x80: case 0xa4: case 0x20a0: case 0x20ac: return "$";
    default: return NULL;
    }
}

static void emit(lexer *x, const char *s, size_t n)
{
    if (x->drop && dropped(s, n))
        return;
    if (x->out->n > x->line)
        capt_str_putc(x->out, ' ');
    capt_str_add(x->out, s, n);
}

static void end_line(lexer *x)
{
    capt_str_putc(x->out, '\n');
    for (; x->keep_lines && x->swallowed; x->swallowed--)
        capt_str_putc(x->out, '\n');
    x->line = x->out->n;
}

static int emit_hit(lexer *x, const ptb_rule *r, ptb_pos p, const ptb_hit *h, capt_err *err)
{
    const char *text = r->act == ACT_TEXT ? r->text : NULL;
    capt_str raw = x->tok;
    capt_str_clear(&raw);
    x->tok = raw; /* the first clear allocates */
    switch (r->act) {
    case ACT_SKIP:
        return 0;
    case ACT_NEWLINE:
        end_line(x);
        return 0;
    case ACT_FRACTION: text = fraction_text(*p); break;
    case ACT_MONEY: text = money_text(*p); break;
    case ACT_QUOTE: put_quotes(&raw, p, h->end, r->text ? r->text : "''"); break;
    case ACT_KEEP: case ACT_TEXT: break;
    default: put_replaced(&raw, p, h->end, r->act);
    }
    if (r->id == 57 && (h->end - p == 3 || h->end - p == 4))
        text = "--";
    if (text)
        capt_str_puts(&raw, text);
    else if (r->act == ACT_KEEP || r->act == ACT_FRACTION || r->act == ACT_MONEY)
        put_units(&raw, p, h->end);
    else if (r->act == ACT_SHY && raw.n == 0)
        capt_str_putc(&raw, '-'); /* nothing but soft hyphens */
    for (size_t i = 0; x->keep_lines && i < raw.n; i++) /* a tag's quoted part may hold line breaks */
        if (raw.s[i] == '\n') {
            raw.s[i] = '\t';
            x->swallowed++;
        }
    capt_str_clear(&x->low);
    int bad = put_lower(&x->low, raw.s, raw.n);
    if (!bad)
        emit(x, x->low.s, x->low.n);
    x->tok = raw;
    return bad ? capt_fail(err, CAPT_ENOMEM, "lower-casing: out of memory") : 0;
}

/* How most tokens end, without a look at the rules: a run of ASCII letters is a word when a blank, a line break, the end or
 * ", " follows, or, if it is no abbreviation, a dot that ends the line; but for six words that are split. */
static ptb_pos fast_word(ptb_pos p)
{
    ptb_pos e = p;
    while (al(*e))
        e++;
    if (e == p)
        return NULL;
    if (*e == '.' ? e[1] != '\n' || e - p == 1 || ptb_ab1(p) || ptb_ab3(p) || ptb_ab4(p)
                  : *e == ',' ? e[1] != ' ' : *e != ' ' && *e != '\n' && *e != PTB_END)
        return NULL;
    if (e - p == 5 && (ptb_lit(p, "gonna") || ptb_lit(p, "gotta") || ptb_lit(p, "lemme") || ptb_lit(p, "gimme") || ptb_lit(p, "wanna")))
        return NULL;
    return e - p == 6 && ptb_lit(p, "cannot") ? NULL : e;
}

/* The same of a dot that ends the line and of a comma before a blank. */
static ptb_pos fast_mark(ptb_pos p)
{
    return (*p == '.' && p[1] == '\n') || (*p == ',' && p[1] == ' ') ? p + 1 : NULL;
}

static int lex(lexer *x, ptb_pos p, capt_err *err)
{
    char w[64];
    while (*p != PTB_END) {
        if (*p == ' ') {
            p = ptb_run(p, C_S);
            continue;
        }
        if (*p == '\n') {
            end_line(x);
            p++;
            continue;
        }
        ptb_pos e = fast_word(p);
        e = e ? e : fast_mark(p);
        if (e && e - p < (ptrdiff_t)sizeof w) {
            size_t n = (size_t)(e - p);
            for (size_t i = 0; i < n; i++)
                w[i] = (char)(up(p[i]) ? p[i] + 32 : p[i]);
            emit(x, w, n);
            p = e;
            continue;
        }
        ptb_hit h;
        const ptb_rule *r = ptb_match(p, &h);
        int bad = emit_hit(x, r, p, &h, err);
        if (bad)
            return bad;
        p = h.next;
    }
    return 0;
}

/* UTF-8 to UTF-16 units, ended by PTB_END twice (some look-ahead reads two). U+FFFF itself, which no rule tells from
 * U+FFFE, becomes that. */
static uint16_t *decode(const char *text, size_t n, capt_err *err)
{
    size_t bytes;
    if (n + 2 < n || capt_mul_size(n + 2, sizeof(uint16_t), &bytes))
        return capt_fail(err, CAPT_ENOMEM, "text of %zu bytes is too long", n), NULL;
    uint16_t *u = capt_try_alloc(bytes, err);
    if (!u)
        return NULL;
    size_t k = 0;
    for (const char *p = text, *end = text + n; p < end;) {
        if ((unsigned char)*p < 128) {
            u[k++] = (unsigned char)*p++;
            continue;
        }
        int32_t c = capt_utf8_next(&p, end);
        if (c < 0)
            c = 0xfffd;
        if (c >= 0x10000) {
            u[k++] = (uint16_t)(0xd800 + ((c - 0x10000) >> 10));
            u[k++] = (uint16_t)(0xdc00 + ((c - 0x10000) & 0x3ff));
        } else {
            u[k++] = c == PTB_END ? 0xfffe : (uint16_t)c;
        }
    }
    u[k] = u[k + 1] = PTB_END;
    return u;
}

static int run(const char *text, size_t n, capt_str *out, int drop, int keep_lines, capt_err *err)
{
    uint16_t *u = decode(text, n, err);
    if (!u)
        return -1;
    lexer x = {.out = out, .drop = drop, .keep_lines = keep_lines, .line = out->n};
    int bad = lex(&x, u, err);
    if (!bad)
        end_line(&x);
    capt_str_free(&x.tok);
    capt_str_free(&x.low);
    free(u);
    return bad;
}

int capt_ptb_tokenize(const char *text, size_t n, capt_str *out, capt_err *err)
{
    return run(text, n, out, 1, 0, err);
}

int capt_ptb_lex(const char *text, size_t n, capt_str *out, capt_err *err)
{
    return run(text, n, out, 0, 0, err);
}

/* Appends a caption with its line breaks as blanks; returns how many there were. */
static size_t add_line(capt_str *b, const char *s, size_t n)
{
    size_t breaks = 0, done = 0;
    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)s[i];
        size_t len = c >= '\n' && c <= '\r' ? 1 : 0;
        if (c == 0xe2 && i + 2 < n && (unsigned char)s[i + 1] == 0x80 && ((unsigned char)s[i + 2] & 0xfe) == 0xa8)
            len = 3; /* U+2028, U+2029 */
        if (!len)
            continue;
        capt_str_add(b, s + done, i - done);
        capt_str_putc(b, ' ');
        i += len - 1;
        done = i + 1;
        breaks++;
    }
    capt_str_add(b, s + done, n - done);
    return breaks;
}

int capt_ptb_lines(const char *const *captions, size_t n, capt_arena *a, const char ***out, size_t *n_breaks, capt_err *err)
{
    capt_str text = {0}, lines = {0};
    size_t breaks = 0;
    for (size_t i = 0; i < n; i++) {
        if (i)
            capt_str_putc(&text, '\n');
        breaks += add_line(&text, captions[i], strlen(captions[i]));
    }
    if (n_breaks)
        *n_breaks = breaks;
    int bad = run(text.s ? text.s : "", text.n, &lines, 1, 1, err);
    if (!bad) {
        const char **v = capt_arena_alloc(a, (n + 1) * sizeof *v);
        const char *p = lines.s;
        for (size_t i = 0; i < n; i++) {
            const char *e = strchr(p, '\n');
            v[i] = capt_arena_strndup(a, p, (size_t)(e - p));
            p = e + 1;
        }
        *out = v;
    }
    capt_str_free(&text);
    capt_str_free(&lines);
    return bad;
}

int capt_ptb_words(const char *caption, size_t n, capt_str *out, capt_err *err)
{
    capt_str text = {0};
    size_t at = out->n;
    add_line(&text, caption, n);
    int bad = run(text.s ? text.s : "", text.n, out, 1, 1, err);
    capt_str_free(&text);
    if (bad)
        return bad;
    while (out->n > at && out->s[out->n - 1] == '\n')
        out->n--;
    out->s[out->n] = 0;
    return 0;
}
