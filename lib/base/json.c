#include "base/json.h"
#include <stdlib.h>
#include <string.h>
#include "base/file.h"

enum { MAX_DEPTH = 32 };

/* Nesting is measured before the parser builds anything, so that a long line of '[' costs no memory. */
static int too_deep(const char *s, size_t n)
{
    int depth = 0, in_string = 0;
    for (size_t i = 0; i < n; i++) {
        char c = s[i];
        if (in_string) {
            if (c == '\\')
                i++;
            else if (c == '"')
                in_string = 0;
        } else if (c == '"') {
            in_string = 1;
        } else if (c == '[' || c == '{') {
            if (++depth > MAX_DEPTH)
                return 1;
        } else if (c == ']' || c == '}') {
            depth--;
        }
    }
    return 0;
}

json_t *capt_json_parse(const char *s, size_t n, const char *where, capt_err *err)
{
    if (too_deep(s, n)) {
        capt_fail(err, CAPT_EDATA, "%s: JSON nested deeper than %d", where, MAX_DEPTH);
        return NULL;
    }
    json_error_t e;
    json_t *j = json_loadb(s, n, JSON_REJECT_DUPLICATES, &e);
    const char *why = !j && json_error_code(&e) == json_error_null_character ? "a string holds \\u0000" : e.text;
    if (!j && e.line > 1)
        capt_fail(err, CAPT_EDATA, "%s: bad JSON at line %d, column %d: %s", where, e.line, e.column, why);
    else if (!j) /* of a record, say: where has the line */
        capt_fail(err, CAPT_EDATA, "%s: bad JSON at column %d: %s", where, e.column, why);
    return j;
}

json_t *capt_json_load(const char *path, capt_err *err)
{
    const char *name = capt_input_name(path);
    size_t n;
    char *s = capt_text_read(path, &n, err);
    if (!s)
        return NULL;
    json_t *j = NULL;
    if (strspn(s, " \t\r\n") == n)
        capt_fail(err, CAPT_EDATA, "%s: the file is empty", name);
    else
        j = capt_json_parse(s, n, name, err);
    free(s);
    return j;
}

static json_t *member(const json_t *o, const char *key, const char *where, capt_err *err)
{
    if (!json_is_object(o)) {
        capt_fail(err, CAPT_EDATA, "%s: not a JSON object", where);
        return NULL;
    }
    json_t *v = json_object_get(o, key);
    if (!v)
        capt_fail(err, CAPT_EDATA, "%s: \"%s\" is missing", where, key);
    return v;
}

static int wrong(const char *key, const char *want, const char *where, capt_err *err)
{
    return capt_fail(err, CAPT_EDATA, "%s: \"%s\" is not %s", where, key, want);
}

int capt_json_str(const json_t *o, const char *key, const char **s, const char *where, capt_err *err)
{
    json_t *v = member(o, key, where, err);
    if (!v)
        return -1;
    if (!json_is_string(v))
        return wrong(key, "a string", where, err);
    *s = json_string_value(v);
    return 0;
}

int capt_json_int(const json_t *o, const char *key, int64_t *i, const char *where, capt_err *err)
{
    json_t *v = member(o, key, where, err);
    if (!v)
        return -1;
    if (!json_is_integer(v))
        return wrong(key, "an integer", where, err);
    *i = json_integer_value(v);
    return 0;
}

int capt_json_num(const json_t *o, const char *key, double *d, const char *where, capt_err *err)
{
    json_t *v = member(o, key, where, err);
    if (!v)
        return -1;
    if (!json_is_number(v))
        return wrong(key, "a number", where, err);
    *d = json_number_value(v);
    return 0;
}

json_t *capt_json_array(const json_t *o, const char *key, const char *where, capt_err *err)
{
    json_t *v = member(o, key, where, err);
    if (v && !json_is_array(v)) {
        wrong(key, "an array", where, err);
        v = NULL;
    }
    return v;
}

json_t *capt_json_object(const json_t *o, const char *key, const char *where, capt_err *err)
{
    json_t *v = member(o, key, where, err);
    if (v && !json_is_object(v)) {
        wrong(key, "an object", where, err);
        v = NULL;
    }
    return v;
}

static int add_piece(const char *s, size_t n, void *out)
{
    capt_str_add(out, s, n);
    return 0;
}

int capt_json_line(const json_t *o, capt_str *out)
{
    size_t start = out->n;
    if (json_dump_callback(o, add_piece, out, JSON_COMPACT | JSON_ENCODE_ANY | JSON_REAL_PRECISION(17)) != 0) {
        capt_str_add(out, "", 0);
        out->n = start;
        out->s[start] = 0;
        return -1;
    }
    capt_str_putc(out, '\n');
    return 0;
}
