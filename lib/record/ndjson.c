#include "record/ndjson.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/file.h"
#include "base/json.h"
#include "base/mem.h"

struct capt_ndjson {
    const char *const *paths;
    size_t n, at, cap;
    FILE *f;
    const char *name;
    long long line;
    int kind; /* 0 no id yet, 1 integers, 2 strings */
    int failed;
    char *buf; /* a block of the file */
    size_t len, pos;
    capt_str text, where;
};

enum { BLOCK = 1 << 16 };
static const char *const standard_input[] = {"-"};

capt_ndjson *capt_ndjson_new(const char *const *paths, size_t n, size_t cap)
{
    capt_ndjson *r = capt_alloc(sizeof *r);
    r->paths = n ? paths : standard_input;
    r->n = n ? n : 1;
    r->cap = cap ? cap : CAPT_LINE_CAP;
    r->buf = capt_alloc(BLOCK);
    capt_str_puts(&r->where, "input");
    return r;
}

static void close_file(capt_ndjson *r)
{
    if (r->f && r->f != stdin)
        fclose(r->f);
    r->f = NULL;
}

void capt_ndjson_free(capt_ndjson *r)
{
    if (!r)
        return;
    close_file(r);
    free(r->buf);
    capt_str_free(&r->text);
    capt_str_free(&r->where);
    free(r);
}

const char *capt_ndjson_where(const capt_ndjson *r)
{
    return r->where.s;
}

int capt_ndjson_failed(const capt_ndjson *r)
{
    return r->failed;
}

int64_t capt_ndjson_place(const capt_ndjson *r)
{
    return r->line * (int64_t)r->n + (int64_t)(r->at ? r->at - 1 : 0);
}

void capt_ndjson_place_text(const capt_ndjson *r, int64_t place, capt_str *out)
{
    capt_str_printf(out, "%s:%lld", capt_input_name(r->paths[place % (int64_t)r->n]), (long long)(place / (int64_t)r->n));
}

static int open_next(capt_ndjson *r, capt_err *err)
{
    const char *path = r->paths[r->at++];
    r->name = capt_input_name(path);
    r->line = 0;
    r->len = r->pos = 0;
    r->f = strcmp(path, "-") == 0 ? stdin : fopen(path, "rbe");
    r->failed = !r->f;
    return r->f ? 0 : capt_fail_errno(err, "%s", r->name); /* reading a folder fails later, with EISDIR */
}

/* Appends up to and with the next newline; a line over the cap is read to its end but not kept, and one FAR over it is where reading ends. 0 at the end of the file. */
static int read_line(capt_ndjson *r, int *too_long, capt_err *err)
{
    enum { FAR = 64 };
    int any = 0;
    size_t skipped = 0;
    *too_long = 0;
    capt_str_clear(&r->text);
    for (;;) {
        if (r->pos == r->len) {
            r->len = fread(r->buf, 1, BLOCK, r->f);
            r->pos = 0;
            if (r->len == 0 && ferror(r->f)) {
                r->failed = 1;
                return capt_fail_errno(err, "%s", r->name);
            }
            if (r->len == 0)
                return any;
        }
        any = 1;
        char *s = r->buf + r->pos, *end = memchr(s, '\n', r->len - r->pos);
        size_t n = end ? (size_t)(end - s) : r->len - r->pos;
        if (r->text.n + n > r->cap)
            *too_long = 1;
        if (!*too_long)
            capt_str_add(&r->text, s, n);
        else if ((skipped += n) / FAR > r->cap) {
            r->failed = 1;
            return 1;
        }
        r->pos += n + (end != NULL);
        if (end)
            return 1;
    }
}

int capt_ndjson_line(capt_ndjson *r, const char **s, size_t *n, capt_err *err)
{
    for (;;) {
        if (!r->f) {
            if (r->at == r->n || r->failed)
                return 0;
            if (open_next(r, err))
                return -1;
        }
        int too_long, got = read_line(r, &too_long, err);
        if (got < 0)
            return -1;
        if (got == 0) {
            close_file(r);
            continue;
        }
        r->line++;
        capt_str_clear(&r->where);
        capt_str_printf(&r->where, "%s:%lld", r->name, r->line);
        if (too_long)
            return capt_fail(err, CAPT_EDATA, "%s: the line is longer than %zu bytes", r->where.s, r->cap);
        size_t mark = r->line == 1 ? capt_utf8_mark(r->text.s, r->text.n) : 0;
        *s = r->text.s + mark;
        *n = r->text.n - mark;
        return 1;
    }
}

int capt_ndjson_next(capt_ndjson *r, json_t **o, capt_err *err)
{
    const char *s;
    size_t n;
    int got;
    do {
        got = capt_ndjson_line(r, &s, &n, err);
        if (got <= 0)
            return got;
    } while (strspn(s, " \t\r") == n);
    long bad = capt_utf8_check(s, n);
    if (bad >= 0)
        return capt_fail(err, CAPT_EDATA, "%s: byte %ld is not UTF-8", r->where.s, bad + 1);
    *o = capt_json_parse(s, n, r->where.s, err);
    if (!*o)
        return -1;
    if (!json_is_object(*o)) {
        json_decref(*o);
        *o = NULL;
        return capt_fail(err, CAPT_EDATA, "%s: not a JSON object", r->where.s);
    }
    return 1;
}

int capt_ndjson_id_kind(capt_ndjson *r, const capt_id *id, capt_err *err)
{
    int kind = id->is_int ? 1 : 2;
    if (r->kind == 0)
        r->kind = kind;
    if (r->kind == kind)
        return 0;
    return capt_fail(err, CAPT_EDATA, "%s: the id is %s, but the ids before are %s", r->where.s, id->is_int ? "an integer" : "a string",
                     id->is_int ? "strings" : "integers");
}
