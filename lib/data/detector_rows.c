#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/file.h"
#include "base/json.h"
#include "base/mem.h"
#include "data/detector_priv.h"

int capt_id_from_name(const char *name, int as_int, capt_id *id, capt_arena *a, capt_err *err)
{
    if (capt_id_from_file(name, id, a, err))
        return -1;
    if (!as_int)
        return 0;
    const char *s = id->s + strlen(id->s);
    while (s > id->s && s[-1] >= '0' && s[-1] <= '9')
        s--;
    size_t n = strlen(s);
    if (n == 0 || n > 18 || (s > id->s && s[-1] != '_'))
        return capt_fail(err, CAPT_EDATA, "%s: the name does not end with a number (--ids int)", name);
    *id = capt_id_int(strtoll(s, NULL, 10));
    return 0;
}

static int decimal(const char *s)
{
    size_t n = strspn(s, "0123456789");
    return n > 0 && n <= 18 && !s[n];
}

static int by_key(const void *x, const void *y)
{
    const struct capt_detector_row *a = x, *b = y;
    int c = (a->wrong == NULL) - (b->wrong == NULL); /* rows without an id come first, to be refused */
    if (c == 0 && !a->wrong)
        c = strcmp(a->key, b->key);
    return c ? c : (a->at > b->at) - (a->at < b->at);
}

static void sort_rows(capt_detector *d)
{
    d->n = capt_tsv_n(d->rows);
    d->row = capt_alloc((d->n + 1) * sizeof *d->row);
    d->int_ids = d->o.ids == CAPT_IDS_INT;
    if (d->o.ids == CAPT_IDS_AUTO) {
        d->int_ids = 1;
        for (size_t i = 0; i < d->n && d->int_ids; i++)
            d->int_ids = !capt_tsv_at(d->rows, i)->key || decimal(capt_tsv_at(d->rows, i)->key);
    }
    for (size_t i = 0; i < d->n; i++) {
        const char *key = capt_tsv_at(d->rows, i)->key;
        struct capt_detector_row *r = &d->row[i];
        capt_err e = CAPT_ERR_INIT;
        char text[CAPT_ID_KEY];
        r->at = (uint32_t)i;
        if (!key || capt_id_from_name(key, d->int_ids, &r->id, d->arena, &e)) {
            r->wrong = key ? capt_arena_strndup(d->arena, e.text, strlen(e.text)) : "no id";
            continue;
        }
        size_t n = capt_id_key(&r->id, text);
        r->key = capt_arena_strndup(d->arena, text, n);
    }
    if (d->n)
        qsort(d->row, d->n, sizeof *d->row, by_key);
    for (size_t i = 1; i < d->n; i++)
        d->row[i].twice = d->row[i].key && d->row[i - 1].key && strcmp(d->row[i].key, d->row[i - 1].key) == 0;
}

/* The rows of another file by id. Ids that this import has not are left. */
static int map_rows(const capt_detector *d, capt_tsv *t, capt_idmap **map, capt_err *err)
{
    *map = capt_idmap_new();
    for (size_t i = 0; i < capt_tsv_n(t); i++) {
        const char *key = capt_tsv_at(t, i)->key;
        char where[400];
        capt_id id;
        capt_tsv_where(t, i, where);
        if (!key)
            return capt_fail(err, CAPT_EDATA, "%s: no id before a tab", where);
        if (capt_id_from_name(key, d->int_ids, &id, d->arena, err))
            return capt_err_prefix(err, "%s", where);
        if (capt_idmap_add(*map, &id, (int64_t)i) != (int64_t)i)
            return capt_fail(err, CAPT_EDATA, "%s: this image was in the file before", where);
    }
    return 0;
}

static int read_sizes(capt_detector *d, capt_err *err)
{
    size_t n = capt_tsv_n(d->sizes);
    capt_str text = {0};
    int rc = 0;
    d->side = capt_alloc((n + 1) * sizeof *d->side);
    for (size_t i = 0; i < n && rc == 0; i++) {
        char where[400];
        capt_tsv_where(d->sizes, i, where);
        rc = capt_tsv_read(d->sizes, i, &text, err);
        const char *tab = rc ? NULL : strchr(text.s, '\t');
        if (rc == 0)
            rc = capt_size_parse(tab + 1, text.n - (size_t)(tab + 1 - text.s), &d->side[i][0], &d->side[i][1], where, err);
    }
    capt_str_free(&text);
    return rc;
}

/* imageid2idx.json beside a file of features: {"ID": row}. */
static int check_index(const capt_detector *d, int file, capt_err *err)
{
    const char *path = d->f->features.v[file], *slash = strrchr(path, '/');
    capt_str name = {0};
    capt_str_printf(&name, "%.*simageid2idx.json", slash ? (int)(slash - path) + 1 : 0, path);
    json_t *j = capt_file_exists(name.s) ? capt_json_load(name.s, err) : NULL, *v;
    int rc = capt_file_exists(name.s) && !j ? -1 : 0;
    size_t first = 0, n = 0;
    while (first < capt_tsv_n(d->rows) && capt_tsv_at(d->rows, first)->file != file)
        first++;
    while (first + n < capt_tsv_n(d->rows) && capt_tsv_at(d->rows, first + n)->file == file)
        n++;
    const char *key;
    json_object_foreach(j, key, v) {
        int64_t at = json_is_integer(v) ? json_integer_value(v) : -1;
        const char *is = at >= 0 && (size_t)at < n ? capt_tsv_at(d->rows, first + (size_t)at)->key : NULL;
        if (rc == 0 && (!is || strcmp(is, key) != 0))
            rc = capt_fail(err, CAPT_EDATA, "%s: \"%.100s\" is row %lld of %s, the file has %.100s there", name.s, key, (long long)at, path, is ? is : "no row");
    }
    json_decref(j);
    capt_str_free(&name);
    return rc;
}

static int keep_lines(capt_detector *d, int file, capt_err *err)
{
    const char *path = d->f->lines.v[file];
    if (!*path)
        return 0;
    size_t n;
    char *text = capt_text_read(path, &n, err);
    if (!text)
        return -1;
    CAPT_VEC(int64_t) line = {0};
    int rc = 0;
    for (char *p = text + strspn(text, " \t\r\n"), *end; *p && rc == 0; p = end + strspn(end, " \t\r\n")) {
        long long v = strtoll(p, &end, 10);
        if (end == p || (*end && !strchr(" \t\r\n", *end)))
            rc = capt_fail(err, CAPT_EDATA, "%s: line %zu is no number", path, line.n + 1);
        capt_vec_push(&line, v);
    }
    if (rc == 0)
        rc = capt_tsv_keep(d->rows, file, line.v, line.n, path, err);
    capt_vec_free(&line);
    free(text);
    return rc;
}

int capt_detector_rows_open(capt_detector *d, capt_pool *pool, capt_err *err)
{
    const capt_detector_files *f = d->f;
    d->rows = capt_tsv_open(f->features.v, (int)f->features.n, pool, err);
    int rc = d->rows ? 0 : -1;
    for (size_t i = 0; i < f->features.n && rc == 0; i++)
        rc = check_index(d, (int)i, err) || keep_lines(d, (int)i, err) ? -1 : 0;
    if (rc)
        return -1;
    sort_rows(d);
    if (f->objects.n) {
        d->objects = capt_tsv_open(f->objects.v, (int)f->objects.n, pool, err);
        if (!d->objects || map_rows(d, d->objects, &d->object_of, err))
            return -1;
    }
    if (f->sizes.n) {
        d->sizes = capt_tsv_open(f->sizes.v, (int)f->sizes.n, pool, err);
        if (!d->sizes || map_rows(d, d->sizes, &d->size_of, err) || read_sizes(d, err))
            return -1;
        d->has_size = 1;
    }
    return 0;
}
