#include "record/jsonfile.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/file.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/str.h"

enum { MAX_KEYS = 64, BLOCK = 1 << 16 };

struct capt_jsonfile {
    FILE *f;
    const char *name;
    const char *const *keys, *const *unread;
    size_t cap;
    char *buf; /* a block of the file */
    size_t len, pos;
    enum { START, MEMBERS, ELEMENTS, END } state;
    int first;     /* before the first member or element */
    int top_array; /* the file is one array */
    int wanted;    /* the current member */
    long long index;
    capt_str key, piece, where;
    char *names[MAX_KEYS]; /* keys met: none may come twice */
    int n_names;
};

capt_jsonfile *capt_jsonfile_open(const char *path, const char *const *keys, const char *const *unread, size_t cap, capt_err *err)
{
    int std = strcmp(path, "-") == 0;
    FILE *f = std ? stdin : fopen(path, "rbe");
    if (!f) {
        capt_fail_errno(err, "%s", path);
        return NULL;
    }
    capt_jsonfile *j = capt_alloc(sizeof *j);
    j->f = f;
    j->name = capt_input_name(path);
    j->keys = keys;
    j->unread = unread;
    j->buf = capt_alloc(BLOCK);
    j->cap = cap ? cap : (size_t)4 << 20;
    capt_str_puts(&j->key, "");
    capt_str_puts(&j->where, j->name);
    return j;
}

void capt_jsonfile_close(capt_jsonfile *j)
{
    if (!j)
        return;
    if (j->f != stdin)
        fclose(j->f);
    for (int i = 0; i < j->n_names; i++)
        free(j->names[i]);
    free(j->buf);
    capt_str_free(&j->key);
    capt_str_free(&j->piece);
    capt_str_free(&j->where);
    free(j);
}

const char *capt_jsonfile_where(const capt_jsonfile *j)
{
    return j->where.s;
}

int capt_jsonfile_is_element(const capt_jsonfile *j)
{
    return j->state == ELEMENTS;
}

static void set_where(capt_jsonfile *j)
{
    capt_str_clear(&j->where);
    capt_str_puts(&j->where, j->name);
    if (j->state == ELEMENTS) {
        capt_str_puts(&j->where, ": ");
        capt_str_puts_escaped(&j->where, j->key.s, j->key.n < 40 ? j->key.n : 40);
        capt_str_printf(&j->where, "[%lld]", j->index);
    } else if (j->key.n) {
        capt_str_puts(&j->where, ": ");
        capt_str_puts_escaped(&j->where, j->key.s, j->key.n < 40 ? j->key.n : 40);
    }
}

static int space(int c)
{
    return c == ' ' || c == '\n' || c == '\r' || c == '\t';
}

/* The next block of the file; 0 at its end. A byte order mark in front of everything is no part of the text. */
static int refill(capt_jsonfile *j)
{
    j->len = fread(j->buf, 1, BLOCK, j->f);
    j->pos = j->state == START ? capt_utf8_mark(j->buf, j->len) : 0;
    return j->pos < j->len;
}

static int next(capt_jsonfile *j)
{
    return j->pos < j->len || refill(j) ? (unsigned char)j->buf[j->pos++] : EOF;
}

static int skip_space(capt_jsonfile *j)
{
    int c;
    do
        c = next(j);
    while (space(c));
    return c;
}

static int cut(capt_jsonfile *j, capt_err *err)
{
    if (ferror(j->f))
        return capt_fail_errno(err, "%s", j->name);
    return capt_fail(err, CAPT_EDATA, "%s: the file ends in the middle", j->where.s);
}

static int too_long(capt_jsonfile *j, capt_err *err)
{
    return capt_fail(err, CAPT_EDATA, "%s: longer than %zu bytes", j->where.s, j->cap);
}

static int unexpected(capt_jsonfile *j, int c, const char *want, capt_err *err)
{
    if (c == EOF)
        return cut(j, err);
    capt_str b = {0};
    capt_str_puts_escaped(&b, (char[1]){(char)c}, 1);
    int rc = capt_fail(err, CAPT_EDATA, "%s: bad JSON: %s is expected, not '%s'", j->where.s, want, b.s);
    capt_str_free(&b);
    return rc;
}

/* Past the current string's closing quote, its bytes into piece when keep is 1. */
static int read_string(capt_jsonfile *j, int keep, capt_err *err)
{
    for (;;) {
        const char *s = j->buf + j->pos, *end = j->buf + j->len, *p = s;
        while (p < end && *p != '"' && *p != '\\')
            p++;
        j->pos = (size_t)(p - j->buf);
        if (keep)
            capt_str_add(&j->piece, s, (size_t)(p - s));
        if (keep && j->piece.n > j->cap)
            return too_long(j, err);
        if (p == end) {
            if (!refill(j))
                return cut(j, err);
            continue;
        }
        int n = *p == '\\' ? 2 : 1;
        for (int i = 0; i < n; i++) {
            int c = next(j);
            if (c == EOF)
                return cut(j, err);
            if (keep)
                capt_str_putc(&j->piece, c);
        }
        if (n == 1)
            return 0;
    }
}

/* Up to the next quote or bracket of the block, at most to its end; those bytes into piece when keep is 1. */
static void read_run(capt_jsonfile *j, int keep)
{
    static const char stop[256] = {['"'] = 1, ['{'] = 1, ['}'] = 1, ['['] = 1, [']'] = 1};
    const char *s = j->buf + j->pos, *end = j->buf + j->len, *p = s;
    while (p < end && !stop[(unsigned char)*p])
        p++;
    if (keep)
        capt_str_add(&j->piece, s, (size_t)(p - s));
    j->pos = (size_t)(p - j->buf);
}

/* A number or word that begins with c. */
static int read_word(capt_jsonfile *j, int c, int keep, capt_err *err)
{
    for (; c != EOF; c = next(j)) {
        if (c == ',' || c == ']' || c == '}' || space(c)) {
            j->pos--;
            return 0;
        }
        if (keep)
            capt_str_putc(&j->piece, c);
        if (keep && j->piece.n > j->cap)
            return too_long(j, err);
    }
    return cut(j, err);
}

static int read_value(capt_jsonfile *j, int c, int keep, capt_err *err);

/* Behind the string that begins at `from` in piece: if it is a key not to be read, its value becomes null. */
static int read_unread(capt_jsonfile *j, size_t from, capt_err *err)
{
    const char *key = j->piece.s + from + 1;
    size_t n = j->piece.n - from - 2;
    const char *const *k = j->unread;
    while (*k && !(strlen(*k) == n && memcmp(*k, key, n) == 0))
        k++;
    if (!*k)
        return 0;
    int c = skip_space(j);
    if (c == ':') {
        capt_str_putc(&j->piece, c);
        c = skip_space(j);
        if (c != ',' && c != ':' && c != '}' && c != ']' && c != EOF) {
            capt_str_puts(&j->piece, "null");
            return read_value(j, c, 0, err);
        }
    }
    if (c == EOF)
        return cut(j, err);
    j->pos--;
    return 0;
}

/* Reads one value that begins with c to the end of piece, or past it when keep is 0. Brackets and strings are followed; what
 * is kept is parsed, and thereby checked, afterwards. */
static int read_value(capt_jsonfile *j, int c, int keep, capt_err *err)
{
    long depth = 0;
    for (;; c = next(j)) {
        if (c == EOF)
            return cut(j, err);
        if (depth == 0 && c != '"' && c != '{' && c != '[')
            return read_word(j, c, keep, err);
        size_t from = j->piece.n;
        if (keep)
            capt_str_putc(&j->piece, c);
        if (c == '"') {
            if (read_string(j, keep, err) || (keep && depth && j->unread && read_unread(j, from, err)))
                return -1;
        } else if (c == '{' || c == '[') {
            depth++;
        } else if (c == '}' || c == ']') {
            depth--;
        }
        if (depth == 0)
            return 0;
        read_run(j, keep);
        if (keep && j->piece.n > j->cap)
            return too_long(j, err);
    }
}

/* The value that begins with c, parsed. jansson takes bare values only inside an array. */
static int parse(capt_jsonfile *j, int c, json_t **v, capt_err *err)
{
    capt_str_clear(&j->piece);
    capt_str_putc(&j->piece, '[');
    if (read_value(j, c, 1, err))
        return -1;
    capt_str_putc(&j->piece, ']');
    json_t *a = capt_json_parse(j->piece.s, j->piece.n, j->where.s, err);
    if (!a)
        return -1;
    *v = json_incref(json_array_get(a, 0));
    json_decref(a);
    return *v ? 0 : capt_fail(err, CAPT_EDATA, "%s: bad JSON", j->where.s);
}

static int is_wanted(const capt_jsonfile *j)
{
    if (!j->keys)
        return 1;
    for (const char *const *k = j->keys; *k; k++)
        if (strcmp(*k, j->key.s) == 0)
            return 1;
    return 0;
}

static int read_key(capt_jsonfile *j, capt_err *err)
{
    json_t *s = NULL;
    if (parse(j, '"', &s, err))
        return -1;
    capt_str_clear(&j->key);
    capt_str_add(&j->key, json_string_value(s), json_string_length(s));
    json_decref(s);
    set_where(j);
    for (int i = 0; i < j->n_names; i++)
        if (strcmp(j->names[i], j->key.s) == 0)
            return capt_fail(err, CAPT_EDATA, "%s: the key is there twice", j->where.s);
    if (j->n_names == MAX_KEYS)
        return capt_fail(err, CAPT_EDATA, "%s: more than %d members", j->name, MAX_KEYS);
    j->names[j->n_names++] = capt_strdup(j->key.s);
    int c = skip_space(j);
    return c == ':' ? 0 : unexpected(j, c, "':'", err);
}

/* At a value of the current member or array; 1 if a piece was delivered. */
static int deliver(capt_jsonfile *j, int c, const char **key, json_t **v, capt_err *err)
{
    set_where(j);
    if (c == ',' || c == ']' || c == '}' || c == EOF)
        return unexpected(j, c, "a value", err);
    if (!j->wanted)
        return read_value(j, c, 0, err);
    *key = j->key.s;
    return parse(j, c, v, err) ? -1 : 1;
}

static int lines(const capt_jsonfile *j, capt_err *err)
{
    return capt_fail(err, CAPT_EDATA, "%s: the end is expected, not '{': this looks like a record a line, where one JSON document is read", j->name);
}

static int step(capt_jsonfile *j, const char **key, json_t **v, capt_err *err)
{
    int c = skip_space(j);
    if (j->state == START) {
        if (c == EOF && !ferror(j->f))
            return capt_fail(err, CAPT_EDATA, "%s: the file is empty", j->name);
        j->first = 1;
        j->top_array = c == '[';
        j->wanted = 1;
        j->state = c == '[' ? ELEMENTS : MEMBERS;
        return c == '{' || c == '[' ? 0 : unexpected(j, c, "'{' or '['", err);
    }
    int close = j->state == ELEMENTS ? ']' : '}';
    if (c == close) {
        j->first = 0;
        j->state = j->state == MEMBERS || j->top_array ? END : MEMBERS;
        if (j->state == END) {
            capt_str_clear(&j->key);
            set_where(j);
            c = skip_space(j);
            return c == EOF && !ferror(j->f) ? 0 : c == '{' ? lines(j, err) : unexpected(j, c, "the end", err);
        }
        return 0;
    }
    if (!j->first) {
        if (c != ',')
            return unexpected(j, c, close == ']' ? "',' or ']'" : "',' or '}'", err);
        c = skip_space(j);
    }
    if (j->state == ELEMENTS) {
        j->index += !j->first;
        j->first = 0;
        return deliver(j, c, key, v, err);
    }
    j->first = 0;
    if (c != '"')
        return unexpected(j, c, "a key", err);
    if (read_key(j, err))
        return -1;
    j->wanted = is_wanted(j);
    c = skip_space(j);
    if (c != '[')
        return deliver(j, c, key, v, err);
    j->state = ELEMENTS;
    j->first = 1;
    j->index = 0;
    return 0;
}

int capt_jsonfile_next(capt_jsonfile *j, const char **key, json_t **v, capt_err *err)
{
    int got = 0;
    while (got == 0 && j->state != END)
        got = step(j, key, v, err);
    return got;
}
