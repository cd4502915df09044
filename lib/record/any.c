/* See any.h. Every layout is turned into JSON objects of the record kinds and read by their tables. */
#include "record/any.h"
#include <stdlib.h>
#include <string.h>
#include "base/file.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/str.h"
#include "record/any_priv.h"
#include "record/ndjson.h"

typedef CAPT_LIST(char) any_list; /* capt_captions and capt_hyps have this layout */

typedef struct reader {
    const char *name; /* of the file */
    const capt_kind *kind;
    any_list *list;
    size_t cap;
    int id_kind; /* 0 no id yet, 1 integers, 2 strings */
    size_t n_twice;
    capt_str twice; /* the first few ids given twice */
    capt_str where;
} reader;

enum { SHOWN = 5 };

static const char *place(reader *r, const char *fmt, size_t i)
{
    capt_str_clear(&r->where);
    capt_str_printf(&r->where, fmt, r->name, i);
    return r->where.s;
}

/* Accepts {"image_id","refs"} for {"id","captions"}. */
static void rename_member(json_t *o, const char *from, const char *to)
{
    json_t *v = json_object_get(o, from);
    if (v && !json_object_get(o, to))
        json_object_set(o, to, v);
}

static int take(reader *r, json_t *o, const char *where, capt_err *err)
{
    if (!json_is_object(o))
        return capt_fail(err, CAPT_EDATA, "%s: not a JSON object", where);
    rename_member(o, "image_id", "id");
    if (r->kind == &capt_kind_caption)
        rename_member(o, "refs", "captions");
    any_list *l = r->list;
    if (l->n == r->cap) {
        r->cap = r->cap ? 2 * r->cap : 256;
        l->v = capt_realloc(l->v, r->cap * r->kind->size);
    }
    char *rec = l->v + l->n * r->kind->size;
    if (capt_record_read(r->kind, o, rec, l->arena, where, err))
        return -1;
    const capt_id *id = (const capt_id *)(const void *)rec; /* first member of both kinds */
    int kind = id->is_int ? 1 : 2;
    if (r->id_kind && r->id_kind != kind)
        return capt_fail(err, CAPT_EDATA, "%s: the id is %s, but the ids before are %s", where,
                         kind == 1 ? "an integer" : "a string", kind == 1 ? "strings" : "integers");
    r->id_kind = kind;
    l->int_ids = id->is_int;
    if (capt_idmap_add(l->map, id, (int64_t)l->n) != (int64_t)l->n) {
        char key[CAPT_ID_KEY];
        capt_id_key(id, key);
        if (r->n_twice++ < SHOWN)
            capt_str_printf(&r->twice, "%s%.80s", r->twice.n ? ", " : "", key);
        return 0;
    }
    l->n++;
    return 0;
}

static int read_array(reader *r, json_t *doc, capt_err *err)
{
    size_t i;
    json_t *o;
    json_array_foreach(doc, i, o)
        if (take(r, o, place(r, "%s: item %zu", i + 1), err))
            return -1;
    return 0;
}

static json_t *string_without_extension(const char *s)
{
    const char *dot = strrchr(s, '.');
    return json_stringn(s, dot && dot != s ? (size_t)(dot - s) : strlen(s));
}

/* One image of Karpathy's file as a caption record; a new reference. */
static json_t *from_karpathy(json_t *image, const char *where, capt_err *err)
{
    json_t *sentences = capt_json_array(image, "sentences", where, err), *coco = json_object_get(image, "cocoid"), *s;
    const char *file, *split, *raw;
    if (!sentences || capt_json_str(image, "filename", &file, where, err) ||
        capt_json_str(image, "split", &split, where, err))
        return NULL;
    json_t *o = json_object(), *captions = json_array();
    json_object_set_new(o, "id", coco ? json_incref(coco) : string_without_extension(file));
    json_object_set_new(o, "file", json_string(file));
    json_object_set_new(o, "split", json_string(split));
    json_object_set_new(o, "captions", captions);
    size_t i;
    json_array_foreach(sentences, i, s) {
        if (capt_json_str(s, "raw", &raw, where, err)) {
            json_decref(o);
            return NULL;
        }
        json_array_append_new(captions, json_string(raw));
    }
    return o;
}

static int read_karpathy(reader *r, json_t *images, capt_err *err)
{
    size_t i;
    json_t *image;
    json_array_foreach(images, i, image) {
        const char *where = place(r, "%s: images[%zu]", i);
        json_t *o = from_karpathy(image, where, err);
        int rc = o ? take(r, o, where, err) : -1;
        json_decref(o);
        if (rc)
            return -1;
    }
    return 0;
}

/* Official annotations: images in their order, each with its captions in the order of the annotations. */
static int read_annotations(reader *r, json_t *images, json_t *annotations, capt_err *err)
{
    size_t i, n = json_array_size(images);
    json_t *o, *records = json_array();
    capt_idmap *at = capt_idmap_new();
    capt_id *ids = capt_alloc((n + 1) * sizeof *ids);
    int rc = 0;
    for (i = 0; i < n && !rc; i++) {
        json_t *image = json_array_get(images, i), *file = json_object_get(image, "file_name");
        const char *where = place(r, "%s: images[%zu]", i);
        json_t *id = json_object_get(image, "id");
        rc = id ? capt_id_from_json(id, &ids[i], where, err) : capt_fail(err, CAPT_EDATA, "%s: \"id\" is missing", where);
        if (rc)
            break;
        capt_idmap_add(at, &ids[i], (int64_t)i);
        o = json_pack("{s:O, s:O*, s:[]}", "id", id, "file", file, "captions");
        json_array_append_new(records, o);
    }
    json_t *a;
    json_array_foreach(annotations, i, a) {
        if (rc)
            break;
        const char *where = place(r, "%s: annotations[%zu]", i), *caption;
        json_t *id = json_object_get(a, "image_id");
        capt_id d;
        rc = id ? capt_id_from_json(id, &d, where, err) : capt_fail(err, CAPT_EDATA, "%s: \"image_id\" is missing", where);
        rc = rc || capt_json_str(a, "caption", &caption, where, err) ? -1 : 0;
        int64_t k = rc ? -1 : capt_idmap_get(at, &d);
        if (!rc && k < 0)
            rc = capt_fail(err, CAPT_EDATA, "%s: its image is not among the images", where);
        if (!rc)
            json_array_append_new(json_object_get(json_array_get(records, (size_t)k), "captions"), json_string(caption));
    }
    for (i = 0; i < n && !rc; i++) {
        char key[CAPT_ID_KEY];
        capt_id_key(&ids[i], key);
        capt_str_clear(&r->where);
        capt_str_printf(&r->where, "%s: image %.80s", r->name, key);
        rc = take(r, json_array_get(records, i), r->where.s, err);
    }
    json_decref(records);
    capt_idmap_free(at);
    free(ids);
    return rc;
}

static int read_document(reader *r, json_t *doc, capt_err *err)
{
    if (json_is_array(doc))
        return read_array(r, doc, err);
    json_t *images = json_object_get(doc, "images"), *annotations = json_object_get(doc, "annotations");
    if (r->kind == &capt_kind_caption && json_is_array(images)) {
        if (json_is_array(annotations))
            return read_annotations(r, images, annotations, err);
        if (json_object_get(json_array_get(images, 0), "sentences"))
            return read_karpathy(r, images, err);
        return capt_fail(err, CAPT_EDATA, "%s: neither \"annotations\" nor \"sentences\": no captions here", r->name);
    }
    return capt_fail(err, CAPT_EDATA,
                     r->kind == &capt_kind_caption ? "%s: not caption records, annotations or Karpathy's layout"
                                                   : "%s: not hypothesis records or a results file",
                     r->name);
}

static int read_lines(reader *r, const char *s, size_t n, capt_err *err)
{
    size_t line = 0;
    for (const char *p = s, *end = s + n; p < end;) {
        const char *nl = memchr(p, '\n', (size_t)(end - p));
        size_t len = (size_t)((nl ? nl : end) - p);
        const char *where = place(r, "%s:%zu", ++line);
        if (strspn(p, " \t\r") < len) {
            json_t *o = capt_json_parse(p, len, where, err);
            int rc = o ? take(r, o, where, err) : -1;
            json_decref(o);
            if (rc)
                return -1;
        }
        p += len + 1;
    }
    return 0;
}

/* A string "images" and a colon at the top level of the object that s begins with. */
static int has_images(const char *s, size_t n)
{
    int depth = 0;
    for (size_t i = 0; i < n; i++) {
        if (s[i] == '{' || s[i] == '[') {
            depth++;
        } else if (s[i] == '}' || s[i] == ']') {
            depth--;
        } else if (s[i] == '"') {
            size_t from = i + 1;
            for (i++; i < n && s[i] != '"'; i++)
                i += s[i] == '\\';
            size_t after = i + 1 < n ? i + 1 + strspn(s + i + 1, " \t") : n;
            if (depth == 1 && i - from == 6 && !memcmp(s + from, "images", 6) && after < n && s[after] == ':')
                return 1;
        }
    }
    return 0;
}

/* 1 if the bytes are one JSON document and not a line-delimited stream: an array, or an object whose first line is not a
 * whole object, or is one with "images". */
static int is_document(const char *s, size_t n)
{
    size_t skip = strspn(s, " \t\r\n");
    if (s[skip] == '[')
        return 1;
    const char *nl = memchr(s + skip, '\n', n - skip);
    size_t len = nl ? (size_t)(nl - s) - skip : n - skip;
    while (len && strchr(" \t\r", s[skip + len - 1]))
        len--;
    return !len || strchr("{[,:", s[skip + len - 1]) || has_images(s + skip, len);
}

/* For the quick readers: keeps a record that is in order. */
static int keep_plain(void *arg, const void *rec)
{
    reader *r = arg;
    any_list *l = r->list;
    const capt_id *id = rec;
    if (r->id_kind && r->id_kind != (id->is_int ? 1 : 2))
        return 0;
    r->id_kind = id->is_int ? 1 : 2;
    l->int_ids = id->is_int;
    if (l->n == r->cap) {
        r->cap = r->cap ? 2 * r->cap : 256;
        l->v = capt_realloc(l->v, r->cap * r->kind->size);
    }
    memcpy(l->v + l->n * r->kind->size, rec, r->kind->size);
    return capt_idmap_add(l->map, (const capt_id *)(const void *)(l->v + l->n * r->kind->size), (int64_t)l->n) == (int64_t)l->n &&
           ++l->n;
}

/* 1: all was read the quick way. */
static int read_plain(reader *r, const char *s, size_t n)
{
    any_list *l = r->list;
    int done = r->kind == &capt_kind_caption ? any_scan_captions(s, n, l->arena, keep_plain, r)
                                             : any_scan_hyps(s, n, l->arena, keep_plain, r);
    if (!done) {
        capt_idmap_free(l->map);
        l->map = capt_idmap_new();
        capt_arena_reset(l->arena);
        l->n = 0;
        r->id_kind = 0;
    }
    return done;
}

/* No string of C holds a NUL: its escape becomes that of another control character, which captions know how to treat. */
static void replace_nul(char *s, size_t n)
{
    char *p = memchr(s, '\\', n), *end = s + n;
    while (p && end - p > 6) {
        if (!memcmp(p + 1, "u0000", 5))
            p[5] = '1';
        p = memchr(p + 2, '\\', (size_t)(end - p) - 2);
    }
}

static int read_bytes(reader *r, char *s, size_t n, capt_err *err)
{
    long bad = capt_utf8_check(s, n);
    if (bad >= 0) {
        size_t line = 1;
        for (long i = 0; i < bad; i++)
            line += s[i] == '\n';
        return capt_fail(err, CAPT_EDATA, "%s: byte %ld of the file is not UTF-8", place(r, "%s:%zu", line), bad + 1);
    }
    if (strspn(s, " \t\r\n") == n)
        return capt_fail(err, CAPT_EDATA, "%s: the file is empty", r->name);
    replace_nul(s, n);
    if (!is_document(s, n))
        return read_lines(r, s, n, err);
    if (read_plain(r, s, n))
        return 0;
    json_t *doc = capt_json_parse(s, n, r->name, err);
    int rc = doc ? read_document(r, doc, err) : -1;
    json_decref(doc);
    return rc;
}

static int read_any(const char *path, const capt_kind *kind, int keep_first, size_t *n_dropped, any_list **out,
                    capt_err *err)
{
    reader r = {.name = capt_input_name(path), .kind = kind, .list = capt_alloc(sizeof *r.list)};
    r.list->arena = capt_arena_new(1 << 20);
    r.list->map = capt_idmap_new();
    size_t n;
    char *s = capt_text_read(path, &n, err);
    int rc = s ? read_bytes(&r, s, n, err) : -1;
    free(s);
    if (!rc && r.n_twice && !keep_first)
        rc = capt_fail(err, CAPT_EDATA, "%s: %zu %s: %s%s", r.name, r.n_twice,
                       r.n_twice == 1 ? "image is given twice" : "records repeat an image given before", r.twice.s,
                       r.n_twice > SHOWN ? ", ..." : "");
    if (!rc && !r.list->n)
        rc = capt_fail(err, CAPT_EDATA, "%s: no records", r.name);
    if (n_dropped)
        *n_dropped = r.n_twice;
    capt_str_free(&r.twice);
    capt_str_free(&r.where);
    *out = rc ? NULL : r.list;
    if (rc) {
        capt_idmap_free(r.list->map);
        capt_arena_free(r.list->arena);
        free(r.list->v);
        free(r.list);
    }
    return rc;
}

int capt_captions_read_any(const char *path, capt_captions **out, capt_err *err)
{
    any_list *l;
    int rc = read_any(path, &capt_kind_caption, 0, NULL, &l, err);
    *out = (capt_captions *)(void *)l;
    return rc;
}

int capt_hyps_read_any(const char *path, int keep_first, size_t *n_dropped, capt_hyps **out, capt_err *err)
{
    any_list *l;
    int rc = read_any(path, &capt_kind_hyp, keep_first, n_dropped, &l, err);
    *out = (capt_hyps *)(void *)l;
    return rc;
}
