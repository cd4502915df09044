#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/json.h"
#include "base/mem.h"
#include "data/detector_priv.h"

enum { PROBES = 16 };

/* ---- one image ---- */

static void need(struct capt_desk *k, size_t numbers)
{
    if (numbers <= k->x_size)
        return;
    free(k->x);
    free(k->raw);
    free(k->packed);
    k->x = capt_realloc(NULL, numbers * sizeof(float));
    k->raw = capt_realloc(NULL, numbers * 2);
    k->packed = capt_realloc(NULL, numbers * 2);
    k->x_size = numbers;
}

/* The objects and the size of an image from the files beside. */
static int read_beside(capt_detector *d, const struct capt_detector_row *row, struct capt_desk *k, capt_regions *r, capt_err *err)
{
    int64_t o = d->object_of ? capt_idmap_get(d->object_of, &row->id) : -1, s = d->size_of ? capt_idmap_get(d->size_of, &row->id) : -1;
    if (o >= 0) {
        char where[400];
        capt_tsv_where(d->objects, (size_t)o, where);
        if (capt_tsv_read(d->objects, (size_t)o, &k->more, err))
            return -1;
        const char *tab = strchr(k->more.s, '\t');
        if (capt_objects_parse(tab + 1, k->more.n - (size_t)(tab + 1 - k->more.s), k->arena, r, where, err))
            return -1;
    }
    if (s >= 0) {
        r->w = d->side[s][0];
        r->h = d->side[s][1];
    }
    return 0;
}

static int read_features(capt_detector *d, const capt_regions *r, struct capt_desk *k, const char *where, capt_err *err)
{
    int dim = d->dim;
    capt_dtype as;
    if (capt_regions_shape(r, &dim, &as, where, err))
        return -1;
    need(k, (size_t)r->n * (size_t)dim);
    if (capt_regions_features(r, dim, as, k->x, k->raw, where, err))
        return -1;
    if (d->geometry) {
        int orders = capt_geometry_orders(k->x, r->n, dim, as);
        if (!(orders & d->geometry))
            return capt_fail(err, CAPT_EDATA, "%s: the last six columns are not the boxes that other rows have there, in their order", where);
        if (d->geometry == CAPT_ORDER_HW)
            capt_geometry_swap(k->x, r->n, dim);
    }
    if (d->o.dtype == CAPT_F32) /* stored as they are, finite as was checked */
        return 0;
    int64_t bad = capt_feature_from_f32(k->x, (int64_t)r->n * dim, d->o.dtype, k->packed);
    if (bad >= 0)
        return capt_fail(err, CAPT_EDATA, "%s: %g at row %lld, column %lld does not fit %s: use --dtype bf16 or f32", where, (double)k->x[bad], (long long)(bad / dim),
                         (long long)(bad % dim), capt_dtype_name(d->o.dtype));
    return 0;
}

/* Boxes in pixels: the file's own; else those of the geometry, with the picture's size; else the objects' where there is one a
 * region. 1, 0: none, -1. */
static int read_boxes(const capt_detector *d, const capt_regions *r, struct capt_desk *k, const char *where, capt_err *err)
{
    if (r->boxes.s || d->o.form == CAPT_REGIONS_SGB || !d->geometry || !r->w)
        return capt_regions_boxes(r, k->boxes, where, err);
    for (int i = 0; i < r->n; i++)
        for (int c = 0; c < 4; c++)
            k->boxes[4 * i + c] = k->x[(size_t)i * (size_t)d->dim + (size_t)(d->dim - 6 + c)] * (float)(c % 2 ? r->h : r->w);
    return 1;
}

static void section(capt_loading *to, const char *name, capt_dtype dtype, int rows, int dim, const void *data)
{
    capt_section *s = &to->section[to->n++];
    *s = (capt_section){.dtype = dtype, .rows = rows, .dim = dim, .data = data};
    snprintf(s->name, sizeof s->name, "%s", name);
}

static int more_certain(const void *x, const void *y)
{
    const capt_object *a = *(const capt_object *const *)x, *b = *(const capt_object *const *)y;
    double p = isnan(a->conf) ? -1 : a->conf, q = isnan(b->conf) ? -1 : b->conf;
    if (p < q || p > q)
        return p < q ? 1 : -1;
    return a < b ? -1 : a > b; /* the order of the file */
}

/* A tag record: each class once, the most certain first, and all objects as the detector wrote them. */
static void put_tags(capt_detector *d, const struct capt_detector_row *row, const capt_regions *r, struct capt_desk *k, capt_str *out)
{
    const capt_object **best = capt_arena_alloc(k->arena, ((size_t)r->n_objects + 1) * sizeof *best);
    int n = 0, scored = 1;
    for (int i = 0; i < r->n_objects; i++)
        best[i] = &r->object[i];
    if (r->n_objects)
        qsort(best, (size_t)r->n_objects, sizeof *best, more_certain);
    json_t *o = json_object(), *tags = json_array(), *scores = json_array(), *all = json_array();
    for (int i = 0; i < r->n_objects; i++) {
        int seen = !*best[i]->name;
        for (int j = 0; j < n && !seen; j++)
            seen = strcmp(best[j]->name, best[i]->name) == 0;
        if (seen)
            continue;
        best[n++] = best[i];
        json_array_append_new(tags, json_string(best[i]->name));
        scored = scored && !isnan(best[i]->conf);
        json_array_append_new(scores, isnan(best[i]->conf) ? json_null() : json_real(best[i]->conf));
    }
    for (int i = 0; i < r->n_objects; i++) {
        const capt_object *b = &r->object[i];
        json_t *j = json_pack("{s:s}", "class", b->name);
        if (!isnan(b->conf))
            json_object_set_new(j, "conf", json_real(b->conf));
        if (!isnan(b->rect[0]))
            json_object_set_new(j, "rect", json_pack("[f, f, f, f]", b->rect[0], b->rect[1], b->rect[2], b->rect[3]));
        json_array_append_new(all, j);
    }
    json_object_set_new(o, "id", capt_id_json(&row->id));
    json_object_set_new(o, "tags", tags);
    if (scored && n)
        json_object_set(o, "scores", scores);
    json_object_set_new(o, "objects", all);
    json_decref(scores);
    capt_json_line(o, out);
    json_decref(o);
    if (n == 0)
        atomic_fetch_add(&d->untagged, 1);
}

static int load(void *arg, int64_t i, int worker, capt_loading *to, capt_err *err)
{
    capt_detector *d = arg;
    const struct capt_detector_row *row = &d->row[i];
    struct capt_desk *k = &d->desk[worker];
    char where[400], before[400];
    capt_regions r = {0};
    capt_tsv_where(d->rows, row->at, where);
    if (row->wrong)
        return capt_fail(err, CAPT_EDATA, "%s: %s", where, row->wrong);
    if (row->twice) {
        capt_tsv_where(d->rows, d->row[i - 1].at, before);
        return capt_fail(err, CAPT_EDATA, "%s: this image is in %s already", where, before);
    }
    capt_arena_reset(k->arena);
    int only_objects = to->stored && d->objects;
    if (!only_objects) {
        if (capt_tsv_read(d->rows, row->at, &k->text, err))
            return -1;
        if (capt_regions_parse(d->o.form, k->text.s, k->text.n, k->arena, &r, where, err))
            return -1;
    }
    if (read_beside(d, row, k, &r, err))
        return -1;
    if (!to->stored) {
        if (read_features(d, &r, k, where, err))
            return -1;
        section(to, d->o.section, d->o.dtype, r.n, d->dim, d->o.dtype == CAPT_F32 ? k->x : k->packed);
        int boxes = d->has_boxes ? read_boxes(d, &r, k, where, err) : 0;
        if (boxes < 0)
            return -1;
        if (d->has_boxes)
            section(to, "boxes", CAPT_F32, boxes ? r.n : 0, 4, k->boxes);
        if (d->has_boxes && !boxes)
            atomic_fetch_add(&d->unboxed, 1);
        if (d->has_size && !r.w)
            return capt_fail(err, CAPT_EDATA, "%s: the picture's size is not known", where);
        k->size[0] = (float)r.w;
        k->size[1] = (float)r.h;
        if (d->has_size)
            section(to, "size", CAPT_F32, 1, 2, k->size);
    }
    if (d->o.tags)
        put_tags(d, row, &r, k, to->text);
    return 0;
}

static const capt_id *id_of(void *arg, int64_t i) { return &((capt_detector *)arg)->row[i].id; }

static size_t bytes_of(void *arg, int64_t i)
{
    const capt_detector *d = arg;
    uint32_t n = capt_tsv_at(d->rows, d->row[i].at)->n;
    return n == UINT32_MAX ? 0 : n;
}

capt_intake capt_detector_intake(capt_detector *d)
{
    return (capt_intake){.arg = d, .n = (int64_t)d->n, .has_text = d->o.tags, .id = id_of, .bytes = bytes_of, .load = load};
}

int capt_detector_has_objects(const capt_detector *d) { return d->objects || d->o.form == CAPT_REGIONS_SGB; }

/* ---- opening ---- */

/* Row i of the files tells what they hold; a bad one tells nothing. */
static int probe(capt_detector *d, const struct capt_detector_row *row, int fits[4], capt_err *err)
{
    struct capt_desk *k = &d->desk[0];
    char where[400];
    capt_regions r = {0};
    capt_dtype as;
    int dim = d->dim;
    capt_tsv_where(d->rows, row->at, where);
    capt_arena_reset(k->arena);
    if (capt_tsv_read(d->rows, row->at, &k->text, err))
        return -1;
    if (!d->o.form)
        d->o.form = capt_regions_guess(k->text.s, k->text.n);
    if (capt_regions_parse(d->o.form, k->text.s, k->text.n, k->arena, &r, where, err) || capt_regions_shape(&r, &dim, &as, where, err))
        return -1;
    need(k, (size_t)r.n * (size_t)dim);
    if (capt_regions_features(&r, dim, as, k->x, k->raw, where, err) || read_beside(d, row, k, &r, err))
        return -1;
    if (!d->dim || d->read_as == CAPT_N_DTYPE)
        d->read_as = as;
    d->dim = dim;
    fits[capt_geometry_orders(k->x, r.n, dim, as)]++;
    d->has_boxes = d->has_boxes || r.boxes.s || (r.n_objects && !isnan(r.object[0].rect[0]));
    d->has_size = d->has_size || r.w > 0;
    return 0;
}

static int probe_some(capt_detector *d, capt_err *err)
{
    int fits[4] = {0}, good = 0; /* by the orders that a row fits */
    capt_regions_form asked = d->o.form;
    capt_err first = CAPT_ERR_INIT;
    d->read_as = CAPT_N_DTYPE;
    for (size_t p = 0; p < PROBES && p < d->n; p++) {
        const struct capt_detector_row *row = &d->row[p * (d->n - 1) / (PROBES < d->n ? PROBES - 1 : d->n - 1 ? d->n - 1 : 1)];
        capt_err e = CAPT_ERR_INIT;
        if (row->wrong || row->twice)
            continue;
        if (probe(d, row, fits, &e)) {
            if (!good)
                d->o.form = asked;
            if (e.code && !first.code)
                first = e;
        } else {
            good++;
        }
    }
    if (!good)
        return capt_fail(err, first.code ? first.code : CAPT_EDATA, "%s%s", first.code ? first.text : d->f->features.v[0], first.code ? "" : d->n ? ": no row of features that could be read" : ": no rows");
    d->geometry = capt_geometry_decide(fits);
    d->has_boxes = d->has_boxes || (d->geometry && d->has_size);
    return 0;
}

static void describe(const capt_detector *d, capt_store_meta *m)
{
    m->int_ids = d->int_ids;
    m->dtype = d->o.dtype;
    m->n_sections = 0;
    capt_store_section *s = &m->section[m->n_sections++];
    *s = (capt_store_section){"", d->o.dtype, 0, d->dim};
    snprintf(s->name, sizeof s->name, "%s", d->o.section);
    if (d->has_boxes)
        m->section[m->n_sections++] = (capt_store_section){"boxes", CAPT_F32, 0, 4};
    if (d->has_size)
        m->section[m->n_sections++] = (capt_store_section){"size", CAPT_F32, 1, 2};
    m->geometry = d->geometry ? CAPT_GEOMETRY : NULL;
}

capt_detector *capt_detector_open(const capt_detector_files *f, const capt_detector_opts *o, capt_pool *pool, capt_store_meta *meta, capt_err *err)
{
    capt_detector *d = capt_alloc(sizeof *d);
    d->o = *o;
    d->f = f;
    d->dim = o->dim;
    d->arena = capt_arena_new(1 << 16);
    d->n_desks = capt_pool_size(pool);
    d->desk = capt_alloc((size_t)d->n_desks * sizeof *d->desk);
    for (int i = 0; i < d->n_desks; i++)
        d->desk[i].arena = capt_arena_new(0);
    if (capt_detector_rows_open(d, pool, err) || probe_some(d, err)) {
        capt_detector_close(d);
        return NULL;
    }
    describe(d, meta);
    return d;
}

void capt_detector_close(capt_detector *d)
{
    if (!d)
        return;
    for (int i = 0; i < d->n_desks; i++) {
        struct capt_desk *k = &d->desk[i];
        capt_str_free(&k->text);
        capt_str_free(&k->more);
        capt_arena_free(k->arena);
        free(k->x);
        free(k->raw);
        free(k->packed);
    }
    free(d->desk);
    capt_tsv_close(d->rows);
    capt_tsv_close(d->objects);
    capt_tsv_close(d->sizes);
    capt_idmap_free(d->object_of);
    capt_idmap_free(d->size_of);
    free(d->side);
    free(d->row);
    capt_arena_free(d->arena);
    free(d);
}

json_t *capt_detector_inputs(const capt_detector *d)
{
    json_t *j = json_pack("{s:s}", "features", capt_tsv_hash(d->rows));
    if (d->objects)
        json_object_set_new(j, "objects", json_string(capt_tsv_hash(d->objects)));
    if (d->sizes)
        json_object_set_new(j, "sizes", json_string(capt_tsv_hash(d->sizes)));
    json_object_set_new(j, "numbers", json_string(capt_dtype_name(d->read_as)));
    if (d->geometry)
        json_object_set_new(j, "geometry", json_string(d->geometry == CAPT_ORDER_WH ? "w/W h/H" : "h/H w/W"));
    return j;
}

void capt_detector_report(const capt_detector *d, capt_str *geometry, capt_str *missing)
{
    long long unboxed = atomic_load(&d->unboxed), untagged = atomic_load(&d->untagged);
    capt_str_clear(geometry);
    capt_str_clear(missing);
    if (d->geometry)
        capt_str_printf(geometry, "the last six columns are boxes, column %d = column %d - column %d; the files end with %s, stored as " CAPT_GEOMETRY, d->dim - 2 + (d->geometry != CAPT_ORDER_WH),
                        d->dim - 4, d->dim - 6, d->geometry == CAPT_ORDER_WH ? "w/W h/H" : "h/H w/W");
    else if (d->dim == 2054)
        capt_str_puts(geometry, "2054 columns, but the last six are not boxes as shares of the picture in any order known");
    if (unboxed)
        capt_str_printf(missing, "%lld images have not one object a region: they are stored without boxes", unboxed);
    if (untagged)
        capt_str_printf(missing, "%s%lld images have no tags", missing->n ? "; " : "", untagged);
}
