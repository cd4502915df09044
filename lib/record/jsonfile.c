#include "record/jsonfile.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/json.h"
#include "base/mem.h"
#include "base/str.h"

enum { MAX_KEYS = 64 };

struct capt_jsonfile {
    FILE *f;
    const char *name;
    const char *const *keys;
    size_t cap;
    enum { START, MEMBERS, ELEMENTS, END } state;
    int first;     /* before the first member or element */
    int top_array; /* the file is one array */
    int wanted;    /* the current member */
    long long index;
    capt_str key, piece, where;
    char *names[MAX_KEYS]; /* keys met: none may come twice */
    int n_names;
};

capt_jsonfile *capt_jsonfile_open(const char *path, const char *const *keys, size_t cap, capt_err *err)
{
    int std = strcmp(path, "-") == 0;
    FILE *f = std ? stdin : fopen(path, "rbe");
    if (!f) {
        capt_fail_errno(err, "%s", path);
        return NULL;
    }
    capt_jsonfile *j = capt_alloc(sizeof *j);
    j->f = f;
    j->name = std ? "stdin" : path;
    j->keys = keys;
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
    capt_str_free(&j->key);
    capt_str_free(&j->piece);
    capt_str_free(&j->where);
    free(j);
}

const char *capt_jsonfile_where(const capt_jsonfile *j)
{
    return j->where.s;
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

static int skip_space(capt_jsonfile *j)
{
    int c;
    do
        c = getc_unlocked(j->f);
    while (space(c));
    return c;
}

static int cut(capt_jsonfile *j, capt_err *err)
{
    if (ferror(j->f))
        return capt_fail_errno(err, "%s", j->name);
    return capt_fail(err, CAPT_EDATA, "%s: the file ends in the middle", j->where.s);
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

/* Reads one value that begins with c into piece, or past it when keep is 0. Brackets and strings are followed; what is kept
 * is parsed, and thereby checked, afterwards. */
static int read_value(capt_jsonfile *j, int c, int keep, capt_err *err)
{
    long depth = 0;
    int in_string = 0;
    size_t n = 0;
    capt_str_clear(&j->piece);
    for (;; c = getc_unlocked(j->f)) {
        if (c == EOF)
            return cut(j, err);
        if (!in_string && depth == 0 && n && (c == ',' || c == ']' || c == '}' || space(c))) {
            ungetc(c, j->f); /* the end of a number or word */
            return 0;
        }
        if (keep && ++n > j->cap)
            return capt_fail(err, CAPT_EDATA, "%s: longer than %zu bytes", j->where.s, j->cap);
        n += !keep;
        if (keep)
            capt_str_putc(&j->piece, c);
        if (in_string) {
            if (c == '\\') {
                c = getc_unlocked(j->f);
                if (c == EOF)
                    return cut(j, err);
                if (keep)
                    capt_str_putc(&j->piece, c);
            } else if (c == '"') {
                in_string = 0;
                if (depth == 0)
                    return 0;
            }
        } else if (c == '"') {
            in_string = 1;
        } else if (c == '{' || c == '[') {
            depth++;
        } else if ((c == '}' || c == ']') && --depth <= 0) {
            return 0;
        }
    }
}

static int parse(capt_jsonfile *j, json_t **v, capt_err *err)
{
    /* jansson takes bare values only inside an array */
    capt_str b = {0};
    capt_str_putc(&b, '[');
    capt_str_add(&b, j->piece.s, j->piece.n);
    capt_str_putc(&b, ']');
    json_t *a = capt_json_parse(b.s, b.n, j->where.s, err);
    capt_str_free(&b);
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
    if (read_value(j, '"', 1, err) || parse(j, &s, err))
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
    if (read_value(j, c, j->wanted, err))
        return -1;
    if (!j->wanted)
        return 0;
    *key = j->key.s;
    return parse(j, v, err) ? -1 : 1;
}

static int step(capt_jsonfile *j, const char **key, json_t **v, capt_err *err)
{
    int c = skip_space(j);
    if (j->state == START) {
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
            c = skip_space(j);
            return c == EOF && !ferror(j->f) ? 0 : c == EOF ? cut(j, err) : unexpected(j, c, "the end", err);
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
