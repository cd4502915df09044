#include "data/store_text.h"
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include "base/json.h"
#include "base/mem.h"
#include "base/str.h"
#include "record/dump.h"
#include "tensor/npy.h"

static char *file_of(const char *folder, const char *section)
{
    capt_str b = {0};
    capt_str_printf(&b, "%s/%s.npy", folder, section);
    return b.s;
}

static int plain_name(const char *section)
{
    return *section && section[0] != '.' && !strchr(section, '/');
}

static void *scratch(capt_str *b, size_t n)
{
    if (n > b->cap) {
        b->s = capt_realloc(b->s, n);
        b->cap = n;
    }
    return b->s;
}

/* ---- to text ---- */

typedef struct walk { capt_store *s; const capt_id *ids; size_t n, at; capt_store_iter *it; } walk;

static int walk_start(walk *w, capt_store *s, const capt_id *ids, size_t n, capt_err *err)
{
    *w = (walk){.s = s, .ids = ids, .n = n, .it = n ? NULL : capt_store_iter_new(s, err)};
    return n || w->it ? 0 : -1;
}

static int walk_next(walk *w, capt_id *id, capt_feature *f, capt_err *err)
{
    if (w->it)
        return capt_store_iter_next(w->it, id, f, err);
    if (w->at == w->n)
        return 0;
    *id = w->ids[w->at++];
    int got = capt_store_get(w->s, id, f, err);
    char key[CAPT_ID_KEY];
    capt_id_key(id, key);
    return got ? got : capt_fail(err, CAPT_EDATA, "there is no image %.100s", key);
}

struct beside { int n; capt_out *o[CAPT_SECTIONS_MAX]; int64_t rows[CAPT_SECTIONS_MAX]; };

/* Counts rows, then opens the .npy files. */
static int open_files(struct beside *b, capt_store *s, const capt_id *ids, size_t n, const char *folder, capt_err *err)
{
    const capt_store_meta *m = capt_store_meta_of(s);
    int64_t images = n ? (int64_t)n : m->count, total[CAPT_SECTIONS_MAX] = {0};
    int varies = 0;
    for (int i = 0; i < m->n_sections; i++) {
        total[i] = images * m->section[i].rows;
        varies |= !m->section[i].rows;
    }
    if (varies) {
        walk w;
        capt_id id;
        capt_feature f;
        int got = walk_start(&w, s, ids, n, err) ? -1 : 1;
        while (got == 1) {
            got = walk_next(&w, &id, &f, err);
            for (int i = 0; got == 1 && i < f.n; i++)
                total[i] += m->section[i].rows ? 0 : f.section[i].rows;
        }
        capt_store_iter_free(w.it);
        if (got)
            return -1;
    }
    if (mkdir(folder, 0777) && errno != EEXIST)
        return capt_fail_errno(err, "%s", folder);
    for (b->n = 0; b->n < m->n_sections; b->n++) {
        const capt_store_section *c = &m->section[b->n];
        if (!plain_name(c->name))
            return capt_fail(err, CAPT_EDATA, "section \"%s\" cannot name a file", c->name);
        int64_t fixed[3] = {images, c->rows, c->dim}, free_[2] = {total[b->n], c->dim};
        char *path = file_of(folder, c->name);
        b->o[b->n] = capt_npy_begin(path, c->dtype == CAPT_F16 ? CAPT_F16 : CAPT_F32, c->rows ? 3 : 2, c->rows ? fixed : free_, err);
        free(path);
        if (!b->o[b->n])
            return -1;
    }
    return 0;
}

static int close_files(struct beside *b, int good, capt_err *err)
{
    int rc = 0;
    for (int i = 0; i < b->n; i++)
        if (good && rc == 0)
            rc = capt_out_finish(b->o[i], err);
        else
            capt_out_abandon(b->o[i]);
    return rc;
}

static void put_numbers(const capt_section *s, capt_str *line, capt_str *x)
{
    size_t n = (size_t)s->rows * (size_t)s->dim;
    float *v = scratch(x, n * sizeof *v + 1);
    capt_feature_to_f32(s, v);
    capt_str_puts(line, ",\"rows\":[");
    for (size_t k = 0; k < n; k++)
        capt_str_printf(line, v[k] == 0 && signbit(v[k]) ? "%s%.1f" : "%s%.9g", /* -0 would be read as an integer, which has no sign */
                        k % (size_t)s->dim ? "," : k ? "],[" : "[", (double)v[k]);
    capt_str_puts(line, n ? "]]}" : "]}");
}

static void put_beside(struct beside *b, int i, const capt_section *s, capt_str *line, capt_str *x)
{
    size_t n = (size_t)s->rows * (size_t)s->dim;
    capt_str_printf(line, ",\"from\":%lld,\"rows\":%d}", (long long)b->rows[i], s->rows);
    b->rows[i] += s->rows;
    if (s->dtype == CAPT_F16) {
        fwrite(s->data, 2, n, capt_out_file(b->o[i])); /* errors of the stream are found by capt_out_finish */
        return;
    }
    float *v = scratch(x, n * sizeof *v + 1);
    capt_feature_to_f32(s, v);
    fwrite(v, sizeof *v, n, capt_out_file(b->o[i]));
}

static int dump_record(const capt_id *id, const capt_feature *f, struct beside *b, capt_str *line, capt_str *x, FILE *out, capt_err *err)
{
    capt_str_clear(line);
    json_t *j = capt_id_json(id);
    capt_str_puts(line, "{\"id\":");
    int bad = capt_json_line(j, line);
    json_decref(j);
    if (bad)
        return capt_fail(err, CAPT_EDATA, "an id is not UTF-8");
    line->n--; /* the newline */
    capt_str_puts(line, ",\"sections\":[");
    for (int i = 0; i < f->n; i++) {
        const capt_section *s = &f->section[i];
        capt_str_puts(line, i ? ",{\"name\":" : "{\"name\":");
        j = json_string(s->name);
        bad = !j || capt_json_line(j, line);
        json_decref(j);
        if (bad)
            return capt_fail(err, CAPT_EDATA, "the name of section %d is not UTF-8", i);
        line->n--;
        capt_str_printf(line, ",\"dtype\":\"%s\",\"dim\":%d", capt_dtype_name(s->dtype), s->dim);
        if (b)
            put_beside(b, i, s, line, x);
        else
            put_numbers(s, line, x);
    }
    capt_str_puts(line, "]}\n");
    return fwrite(line->s, 1, line->n, out) == line->n ? 0 : -1;
}

int capt_store_dump(capt_store *s, const capt_id *ids, size_t n, const char *npy, FILE *out, capt_err *err)
{
    capt_str line = {0}, x = {0};
    struct beside b = {0};
    walk w = {0};
    capt_id id;
    capt_feature f;
    int rc = (npy && open_files(&b, s, ids, n, npy, err)) || walk_start(&w, s, ids, n, err) ? -1 : 1;
    while (rc == 1) {
        rc = walk_next(&w, &id, &f, err);
        if (rc == 1 && dump_record(&id, &f, npy ? &b : NULL, &line, &x, out, err))
            rc = -1;
    }
    capt_store_iter_free(w.it);
    if (close_files(&b, rc == 0, err))
        rc = -1;
    capt_str_free(&line);
    capt_str_free(&x);
    return rc;
}

/* ---- from text ---- */

struct capt_store_loader {
    const char *npy;
    capt_arena *arena; /* of the last line */
    capt_section s[CAPT_SECTIONS_MAX];
    capt_str x, packed[CAPT_SECTIONS_MAX];
    int n_files;
    char file[CAPT_SECTIONS_MAX][CAPT_SECTION_NAME + 1];
    capt_npy array[CAPT_SECTIONS_MAX];
};

capt_store_loader *capt_store_loader_new(const char *npy)
{
    capt_store_loader *l = capt_alloc(sizeof *l);
    l->npy = npy;
    l->arena = capt_arena_new(0);
    return l;
}

void capt_store_loader_free(capt_store_loader *l)
{
    if (!l)
        return;
    capt_arena_free(l->arena);
    capt_str_free(&l->x);
    for (int i = 0; i < CAPT_SECTIONS_MAX; i++)
        capt_str_free(&l->packed[i]);
    for (int i = 0; i < l->n_files; i++)
        capt_npy_close(&l->array[i]);
    free(l);
}

static const capt_npy *array_of(capt_store_loader *l, const char *name, const char *where, capt_err *err)
{
    for (int i = 0; i < l->n_files; i++)
        if (strcmp(l->file[i], name) == 0)
            return &l->array[i];
    if (!l->npy || l->n_files == CAPT_SECTIONS_MAX || !plain_name(name)) {
        capt_fail(err, CAPT_EDATA, l->npy ? "%s: \"%s\" names no file" : "%s: \"%s\" has its numbers in a .npy file: give its folder", where, name);
        return NULL;
    }
    char *path = file_of(l->npy, name);
    int rc = capt_npy_open(&l->array[l->n_files], path, err);
    free(path);
    if (rc)
        return NULL;
    memcpy(l->file[l->n_files], name, strlen(name) + 1);
    return &l->array[l->n_files++];
}

static int numbers_beside(capt_store_loader *l, const capt_dump_section *d, capt_section *s, const char *where, float **v, capt_err *err)
{
    int64_t rows = json_integer_value(d->rows), from = d->from;
    if (from == CAPT_NO_INT)
        return capt_fail(err, CAPT_EDATA, "%s: \"from\" is missing", where);
    const capt_npy *a = array_of(l, s->name, where, err);
    if (!a)
        return -1;
    if (a->ndim < 2 || a->shape[a->ndim - 1] != s->dim || rows < 0 || rows > 1 << 20 || from < 0 || from > a->n / s->dim - rows)
        return capt_fail(err, CAPT_EDATA, "%s: \"%s\": rows %lld to %lld of %d columns are not in its .npy file", where, s->name, (long long)from,
                         (long long)(from + rows - 1), s->dim);
    s->rows = (int)rows;
    *v = scratch(&l->x, (size_t)rows * (size_t)s->dim * sizeof **v + 1);
    capt_npy_f32(a, from * s->dim, rows * s->dim, *v);
    return 0;
}

static int numbers_here(capt_store_loader *l, const json_t *rows, capt_section *s, const char *where, float **v, capt_err *err)
{
    s->rows = (int)json_array_size(rows);
    *v = scratch(&l->x, 1);
    for (int r = 0; r < s->rows; r++) {
        const json_t *row = json_array_get(rows, (size_t)r);
        if ((int64_t)json_array_size(row) != s->dim)
            return capt_fail(err, CAPT_EDATA, "%s: \"%s\": row %d has not %d numbers", where, s->name, r, s->dim);
        if (r == 0) /* now the size is known to be that of the line */
            *v = scratch(&l->x, (size_t)s->rows * (size_t)s->dim * sizeof **v);
        for (int c = 0; c < s->dim; c++)
            (*v)[(size_t)r * (size_t)s->dim + (size_t)c] = (float)json_number_value(json_array_get(row, (size_t)c));
    }
    return 0;
}

static int load_section(capt_store_loader *l, int i, const capt_dump_section *d, const char *where, capt_err *err)
{
    const char *name = d->name, *dtype = d->dtype;
    int64_t dim = d->dim;
    capt_section *s = &l->s[i];
    int t = CAPT_F32;
    while (t <= CAPT_BF16 && strcmp(dtype, capt_dtype_name((capt_dtype)t)) != 0)
        t++;
    if (t > CAPT_BF16 || !*name || strlen(name) > CAPT_SECTION_NAME || dim < 1 || dim > 1 << 20)
        return capt_fail(err, CAPT_EDATA, "%s: bad section: name of 1 to %d bytes, dtype f32, f16 or bf16, dim >= 1", where, CAPT_SECTION_NAME);
    *s = (capt_section){.dtype = (capt_dtype)t, .dim = (int)dim};
    memcpy(s->name, name, strlen(name));
    float *v = NULL;
    if (json_is_integer(d->rows) ? numbers_beside(l, d, s, where, &v, err) : numbers_here(l, d->rows, s, where, &v, err))
        return -1;
    size_t n = (size_t)s->rows * (size_t)dim;
    s->data = scratch(&l->packed[i], n * capt_dtype_size(s->dtype) + 1);
    int64_t bad = capt_feature_from_f32(v, (int64_t)n, s->dtype, l->packed[i].s);
    if (bad >= 0)
        return capt_fail(err, CAPT_EDATA, "%s: \"%s\": row %lld, column %lld does not fit %s", where, s->name, (long long)(bad / dim), (long long)(bad % dim), dtype);
    return 0;
}

int capt_store_loader_read(capt_store_loader *l, const json_t *o, const char *where, capt_id *id, const capt_section **sections, int *n, capt_err *err)
{
    capt_dump_feature f;
    capt_arena_reset(l->arena);
    if (capt_record_read(&capt_kind_feature, o, &f, l->arena, where, err))
        return -1;
    if (f.n_sections < 1)
        return capt_fail(err, CAPT_EDATA, "%s: 1 to %d sections", where, CAPT_SECTIONS_MAX);
    *id = f.id;
    *n = f.n_sections;
    for (int i = 0; i < *n; i++)
        if (load_section(l, i, &f.sections[i], where, err))
            return -1;
    *sections = l->s;
    return 0;
}
