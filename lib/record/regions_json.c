/* The rows and parts of rows that are JSON. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/json.h"
#include "base/str.h"
#include "record/caption.h"
#include "record/regions_priv.h"

enum { SMALL = 4 << 20 }; /* bytes a row's JSON may have besides base64 */

/* Behind the string that begins at p ('"'); NULL: it does not end. */
static const char *string_end(const char *p, const char *end)
{
    for (const char *q = p + 1; q < end; q++) {
        q = memchr(q, '"', (size_t)(end - q));
        if (!q)
            return NULL;
        const char *b = q;
        while (b > p + 1 && b[-1] == '\\')
            b--;
        if ((q - b) % 2 == 0)
            return q + 1;
    }
    return NULL;
}

static const char *blanks(const char *p, const char *end)
{
    while (p < end && (*p == ' ' || *p == '\t'))
        p++;
    return p;
}

json_t *capt_json_cut(const char *text, size_t n, const char *key, capt_slices *slices, const char *where, capt_err *err)
{
    capt_str small = {0};
    size_t nk = strlen(key);
    const char *p = text, *end = text + n;
    capt_str_clear(&small);
    while (p < end && small.n <= SMALL) {
        const char *q = memchr(p, '"', (size_t)(end - p)), *behind = q ? string_end(q, end) : NULL;
        if (!behind) { /* the rest; if a string does not end there, the parser says so */
            capt_str_add(&small, p, (size_t)(end - p) < SMALL ? (size_t)(end - p) : SMALL + 1);
            break;
        }
        capt_str_add(&small, p, (size_t)(q - p));
        const char *colon = blanks(behind, end), *value = colon < end && *colon == ':' ? blanks(colon + 1, end) : end;
        const char *last = value < end && *value == '"' && (size_t)(behind - q) == nk + 2 && memcmp(q + 1, key, nk) == 0 ? string_end(value, end) : NULL;
        if (last) {
            capt_str_printf(&small, "\"%s\":\"%zu\"", key, slices->n);
            capt_vec_push(slices, ((capt_slice){value + 1, (size_t)(last - value) - 2}));
            p = last;
        } else {
            size_t k = (size_t)(behind - q);
            capt_str_add(&small, q, k < SMALL ? k : SMALL + 1 < k ? SMALL + 1 : k);
            p = behind;
        }
    }
    json_t *j = NULL;
    if (small.n > SMALL)
        capt_fail(err, CAPT_EDATA, "%s: more than %d bytes of JSON besides \"%s\"", where, SMALL, key);
    else
        j = capt_json_parse(small.s, small.n, where, err);
    capt_str_free(&small);
    return j;
}

int capt_json_slice(const json_t *o, const char *key, const capt_slices *slices, capt_slice *slice)
{
    const char *s = json_string_value(json_object_get(o, key));
    size_t i = s ? (size_t)strtoull(s, NULL, 10) : slices->n;
    if (i >= slices->n)
        return -1;
    *slice = slices->v[i];
    return 0;
}

int capt_size_read(const json_t *o, const char *kw, const char *kh, int *w, int *h, const char *where, capt_err *err)
{
    int64_t x, y;
    if (capt_json_int(o, kw, &x, where, err) || capt_json_int(o, kh, &y, where, err))
        return -1;
    if (x < 1 || y < 1 || x > CAPT_SIDE_MAX || y > CAPT_SIDE_MAX)
        return capt_fail(err, CAPT_EDATA, "%s: a picture of %lld x %lld", where, (long long)x, (long long)y);
    *w = (int)x;
    *h = (int)y;
    return 0;
}

static int read_object(const json_t *o, const capt_slices *slices, capt_arena *a, capt_object *to, int i, const char *where, capt_err *err)
{
    const json_t *name = json_object_get(o, "class"), *conf = json_object_get(o, "conf"), *rect = json_object_get(o, "rect");
    *to = (capt_object){.name = "", .conf = NAN, .rect = {NAN}};
    if (!json_is_object(o))
        return capt_fail(err, CAPT_EDATA, "%s: object %d is none", where, i);
    if (name) {
        const char *s = json_string_value(name);
        size_t n = json_string_length(name);
        if (!s || n == 0 || n > CAPT_TAG_CHARS)
            return capt_fail(err, CAPT_EDATA, "%s: \"class\" of object %d is not a string of 1 to %d characters", where, i, CAPT_TAG_CHARS);
        for (size_t k = 0; k < n; k++)
            if ((unsigned char)s[k] < 32 || s[k] == 127)
                return capt_fail(err, CAPT_EDATA, "%s: a control character in the class of object %d", where, i);
        to->name = capt_arena_strndup(a, s, n);
    }
    if (conf) {
        to->conf = json_number_value(conf);
        if (!json_is_number(conf) || to->conf < 0 || to->conf > 1)
            return capt_fail(err, CAPT_EDATA, "%s: \"conf\" of object %d is not a number from 0 to 1", where, i);
    }
    if (rect) {
        int good = json_is_array(rect) && json_array_size(rect) == 4;
        for (size_t k = 0; good && k < 4; k++) {
            good = json_is_number(json_array_get(rect, k)) != 0;
            to->rect[k] = json_number_value(json_array_get(rect, k));
        }
        if (!good)
            return capt_fail(err, CAPT_EDATA, "%s: \"rect\" of object %d is not four numbers", where, i);
    }
    if (slices && capt_json_slice(o, "feature", slices, &to->feature))
        return capt_fail(err, CAPT_EDATA, "%s: object %d has no \"feature\"", where, i);
    return 0;
}

int capt_objects_read(const json_t *list, const capt_slices *slices, capt_arena *a, capt_regions *r, const char *where, capt_err *err)
{
    size_t n = json_array_size(list);
    if (!json_is_array(list) || n > CAPT_OBJECTS_MAX)
        return capt_fail(err, CAPT_EDATA, json_is_array(list) ? "%s: more than %d objects" : "%s: \"objects\" is not an array", where, CAPT_OBJECTS_MAX);
    r->object = capt_arena_alloc(a, (n + 1) * sizeof *r->object);
    r->n_objects = (int)n;
    for (size_t i = 0; i < n; i++)
        if (read_object(json_array_get(list, i), slices, a, &r->object[i], (int)i, where, err))
            return -1;
    return 0;
}

int capt_objects_parse(const char *text, size_t n, capt_arena *a, capt_regions *r, const char *where, capt_err *err)
{
    capt_slices unread = {0}; /* a predictions file may hold the features too */
    json_t *j = capt_json_cut(text, n, "feature", &unread, where, err);
    free(unread.v);
    int rc = j ? 0 : -1;
    if (rc == 0 && json_is_object(j) && json_object_get(j, "image_w"))
        rc = capt_size_read(j, "image_w", "image_h", &r->w, &r->h, where, err);
    if (rc == 0)
        rc = capt_objects_read(json_is_object(j) ? json_object_get(j, "objects") : j, NULL, a, r, where, err);
    json_decref(j);
    return rc;
}

int capt_size_parse(const char *text, size_t n, int *w, int *h, const char *where, capt_err *err)
{
    json_t *j = n > 1 << 16 ? NULL : capt_json_parse(text, n, where, err);
    int rc = j ? capt_size_read(json_is_array(j) ? json_array_get(j, 0) : j, "width", "height", w, h, where, err)
               : capt_fail(err, CAPT_EDATA, "%s: too long for a size", where);
    json_decref(j);
    return rc;
}
