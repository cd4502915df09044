#include "record/field.h"
#include <math.h>
#include <string.h>
#include "base/id.h"
#include "base/json.h"

static size_t utf8_length(const char *s, size_t n)
{
    size_t k = 0;
    for (size_t i = 0; i < n; i++)
        k += ((unsigned char)s[i] & 0xc0) != 0x80;
    return k;
}

static int check_string(const capt_field *f, const json_t *j, const char *name, const char *where, capt_err *err)
{
    if (!json_is_string(j))
        return capt_fail(err, CAPT_EDATA, "%s: \"%.100s\" is not a string", where, name);
    size_t n = json_string_length(j);
    if (n > (size_t)f->max && utf8_length(json_string_value(j), n) > (size_t)f->max)
        return capt_fail(err, CAPT_EDATA, "%s: \"%.100s\" is longer than %d characters", where, name, f->max);
    return 0;
}

static int read_string(const capt_field *f, const json_t *j, const char **out, capt_arena *a, const char *where, capt_err *err)
{
    if (check_string(f, j, f->name, where, err))
        return -1;
    *out = capt_arena_strndup(a, json_string_value(j), json_string_length(j));
    return 0;
}

static int read_map(const capt_field *f, const json_t *j, const json_t **out, const char *where, capt_err *err)
{
    const char *key;
    json_t *v;
    *out = j;
    if (!json_is_object(j))
        return capt_fail(err, CAPT_EDATA, "%s: \"%s\" is not an object", where, f->name);
    json_object_foreach((json_t *)(uintptr_t)j, key, v)
        if (check_string(f, v, key, where, err))
            return -1;
    return 0;
}

static int read_list(const capt_field *f, const json_t *j, void *to, int *count, capt_arena *a, const char *where, capt_err *err)
{
    if (!json_is_array(j))
        return capt_fail(err, CAPT_EDATA, "%s: \"%s\" is not an array", where, f->name);
    size_t n = json_array_size(j);
    if (n > (size_t)f->max_items)
        return capt_fail(err, CAPT_EDATA, "%s: \"%s\" has %zu items, %d are allowed", where, f->name, n, f->max_items);
    size_t size = f->type == CAPT_T_STRS ? sizeof(char *) : f->type == CAPT_T_NUMS ? sizeof(double) : f->of->size;
    char *v = capt_arena_alloc(a, n * size + 1); /* an empty list is not an absent one */
    for (size_t i = 0; i < n; i++) {
        const json_t *x = json_array_get(j, i);
        if (f->type == CAPT_T_STRS) {
            if (read_string(f, x, (const char **)(void *)(v + i * size), a, where, err))
                return -1;
        } else if (f->type == CAPT_T_NUMS) {
            if (!json_is_number(x))
                return capt_fail(err, CAPT_EDATA, "%s: \"%s\" holds something that is not a number", where, f->name);
            *(double *)(void *)(v + i * size) = json_number_value(x);
        } else if (capt_record_read(f->of, x, v + i * size, a, where, err)) {
            return -1;
        }
    }
    *(void **)to = v;
    *count = (int)n;
    return 0;
}

static int read_rows(const capt_field *f, const json_t *j, const json_t **out, const char *where, capt_err *err)
{
    *out = j;
    if (json_is_integer(j))
        return 0;
    if (!json_is_array(j) || json_array_size(j) > (size_t)f->max_items)
        return capt_fail(err, CAPT_EDATA, "%s: \"%s\" is neither an integer nor an array of at most %d rows", where, f->name, f->max_items);
    for (size_t r = 0; r < json_array_size(j); r++) {
        const json_t *row = json_array_get(j, r);
        if (!json_is_array(row) || json_array_size(row) > (size_t)f->max_items)
            return capt_fail(err, CAPT_EDATA, "%s: \"%s\": row %zu is no array of at most %d numbers", where, f->name, r, f->max_items);
        for (size_t c = 0; c < json_array_size(row); c++)
            if (!json_is_number(json_array_get(row, c)))
                return capt_fail(err, CAPT_EDATA, "%s: \"%s\": row %zu, column %zu is no number", where, f->name, r, c);
    }
    return 0;
}

static int read_field(const capt_field *f, const json_t *j, char *rec, capt_arena *a, const char *where, capt_err *err)
{
    void *to = rec + f->offset;
    switch (f->type) {
    case CAPT_T_ID: {
        capt_id id;
        if (capt_id_from_json(j, &id, where, err))
            return -1;
        *(capt_id *)to = capt_id_dup(&id, a);
        return 0;
    }
    case CAPT_T_STR:
        return read_string(f, j, to, a, where, err);
    case CAPT_T_INT:
        if (!json_is_integer(j))
            return capt_fail(err, CAPT_EDATA, "%s: \"%s\" is not an integer", where, f->name);
        *(int64_t *)to = json_integer_value(j);
        return 0;
    case CAPT_T_NUM:
        if (json_is_null(j))
            return 0;
        if (!json_is_number(j))
            return capt_fail(err, CAPT_EDATA, "%s: \"%s\" is neither a number nor null", where, f->name);
        *(double *)to = json_number_value(j);
        return 0;
    case CAPT_T_BOOL:
        if (!json_is_boolean(j))
            return capt_fail(err, CAPT_EDATA, "%s: \"%s\" is neither true nor false", where, f->name);
        *(int *)to = json_is_true(j);
        return 0;
    case CAPT_T_OBJ:
        *(void **)to = capt_arena_alloc(a, f->of->size);
        return capt_record_read(f->of, j, *(void **)to, a, where, err);
    case CAPT_T_ROWS:
        return read_rows(f, j, to, where, err);
    case CAPT_T_MAP:
        return read_map(f, j, to, where, err);
    default:
        return read_list(f, j, to, (int *)(void *)(rec + f->offset_n), a, where, err);
    }
}

static void set_absent(const capt_field *f, char *rec)
{
    void *to = rec + f->offset;
    if (f->type == CAPT_T_INT)
        *(int64_t *)to = CAPT_NO_INT;
    else if (f->type == CAPT_T_NUM)
        *(double *)to = NAN;
    else if (f->type == CAPT_T_BOOL)
        *(int *)to = -1;
}

int capt_record_read(const capt_kind *k, const json_t *o, void *rec, capt_arena *a, const char *where, capt_err *err)
{
    if (!json_is_object(o))
        return capt_fail(err, CAPT_EDATA, "%s: not a JSON object", where);
    memset(rec, 0, k->size);
    for (const capt_field *f = k->fields; f->name; f++) {
        set_absent(f, rec);
        const json_t *j = json_object_get(o, f->name);
        if (j) {
            if (read_field(f, j, rec, a, where, err))
                return -1;
        } else if (f->required) {
            return capt_fail(err, CAPT_EDATA, "%s: \"%s\" is missing", where, f->name);
        }
    }
    return 0;
}

static int is_short(const capt_field *f, const char *s)
{
    size_t n = strlen(s);
    return n <= (size_t)f->max || utf8_length(s, n) <= (size_t)f->max;
}

static json_t *write_list(const capt_field *f, const char *v, int n)
{
    if (n > f->max_items)
        return NULL;
    json_t *list = json_array();
    for (int i = 0; i < n; i++) {
        const char *s = f->type == CAPT_T_STRS ? ((const char *const *)(const void *)v)[i] : "";
        json_t *x;
        if (f->type == CAPT_T_STRS)
            x = is_short(f, s) ? json_string(s) : NULL;
        else if (f->type == CAPT_T_NUMS)
            x = json_real(((const double *)(const void *)v)[i]);
        else
            x = capt_record_write(f->of, v + (size_t)i * f->of->size, NULL);
        if (!x || json_array_append_new(list, x)) {
            json_decref(list);
            return NULL;
        }
    }
    return list;
}

/* NULL and *absent = 1 when the record has no such member. */
static json_t *write_field(const capt_field *f, const char *rec, int *absent)
{
    const void *from = rec + f->offset;
    *absent = 0;
    switch (f->type) {
    case CAPT_T_ID:
        return capt_id_json(from);
    case CAPT_T_STR:
        if (*(const char *const *)from)
            return is_short(f, *(const char *const *)from) ? json_string(*(const char *const *)from) : NULL;
        break;
    case CAPT_T_INT:
        if (f->required || *(const int64_t *)from != CAPT_NO_INT)
            return json_integer(*(const int64_t *)from);
        break;
    case CAPT_T_NUM:
        if (isfinite(*(const double *)from))
            return json_real(*(const double *)from);
        if (f->required)
            return json_null(); /* JSON has no NaN */
        break;
    case CAPT_T_BOOL:
        if (*(const int *)from >= 0)
            return json_boolean(*(const int *)from);
        break;
    case CAPT_T_OBJ:
        if (*(const void *const *)from)
            return capt_record_write(f->of, *(const void *const *)from, NULL);
        break;
    case CAPT_T_ROWS:
    case CAPT_T_MAP:
        if (*(json_t *const *)from)
            return json_incref(*(json_t *const *)from);
        break;
    default:
        if (*(const void *const *)from)
            return write_list(f, *(const char *const *)from, *(const int *)(const void *)(rec + f->offset_n));
    }
    *absent = 1;
    return NULL;
}

json_t *capt_record_write(const capt_kind *k, const void *rec, const json_t *extra)
{
    json_t *o = json_object();
    for (const capt_field *f = k->fields; f->name; f++) {
        int absent;
        json_t *x = write_field(f, rec, &absent);
        if (absent)
            continue;
        if (!x || json_object_set_new(o, f->name, x)) {
            json_decref(o);
            return NULL;
        }
    }
    const char *key;
    json_t *v;
    json_object_foreach((json_t *)extra, key, v) {
        const capt_field *f = k->fields;
        while (f->name && strcmp(f->name, key) != 0)
            f++;
        if (!f->name)
            json_object_set(o, key, v);
    }
    return o;
}

static json_t *schema_object(const capt_kind *k);

static json_t *schema_string(int max)
{
    return json_pack("{s:s, s:i}", "type", "string", "maxLength", max);
}

static json_t *schema_integer(void)
{
    return json_pack("{s:s, s:I, s:I}", "type", "integer", "minimum", (json_int_t)INT64_MIN, "maximum", (json_int_t)INT64_MAX);
}

static json_t *schema_field(const capt_field *f)
{
    switch (f->type) {
    case CAPT_T_ID:
        return json_pack("{s:[o, {s:s, s:i, s:i, s:{s:s}}]}", "anyOf", schema_integer(), "type", "string", "minLength", 1, "maxLength", CAPT_ID_MAX, "not",
                         "pattern", "[\\u0000-\\u001f\\u007f]");
    case CAPT_T_STR:
        return schema_string(f->max);
    case CAPT_T_INT:
        return schema_integer();
    case CAPT_T_NUM:
        return json_pack("{s:[s, s]}", "type", "number", "null");
    case CAPT_T_BOOL:
        return json_pack("{s:s}", "type", "boolean");
    case CAPT_T_OBJ:
        return schema_object(f->of);
    case CAPT_T_ROWS:
        return json_pack("{s:[o, {s:s, s:i, s:{s:s, s:i, s:{s:s}}}]}", "anyOf", schema_integer(), "type", "array", "maxItems", f->max_items, "items", "type",
                         "array", "maxItems", f->max_items, "items", "type", "number");
    case CAPT_T_MAP:
        return json_pack("{s:s, s:o}", "type", "object", "additionalProperties", schema_string(f->max));
    default: {
        json_t *item = f->type == CAPT_T_STRS ? schema_string(f->max) : f->type == CAPT_T_NUMS ? json_pack("{s:s}", "type", "number") : schema_object(f->of);
        return json_pack("{s:s, s:i, s:o}", "type", "array", "maxItems", f->max_items, "items", item);
    }
    }
}

static json_t *schema_object(const capt_kind *k)
{
    json_t *properties = json_object(), *required = json_array();
    for (const capt_field *f = k->fields; f->name; f++) {
        json_t *s = schema_field(f);
        json_object_set_new(s, "description", json_string(f->doc));
        json_object_set_new(properties, f->name, s);
        if (f->required)
            json_array_append_new(required, json_string(f->name));
    }
    json_t *o = json_pack("{s:s, s:o}", "type", "object", "properties", properties);
    if (json_array_size(required))
        json_object_set(o, "required", required);
    json_decref(required);
    return o;
}

json_t *capt_record_schema(const capt_kind *k)
{
    json_t *o = json_pack("{s:s, s:s, s:s}", "$schema", "http://json-schema.org/draft-04/schema#", "title", k->name, "description", k->doc);
    json_t *body = schema_object(k);
    json_object_update(o, body);
    json_decref(body);
    return o;
}
