#include "data/npyset.h"
#include <dirent.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include "base/file.h"
#include "base/hash.h"
#include "base/mem.h"
#include "data/detector.h"
#include "record/regions.h"
#include "tensor/npy.h"

enum { PROBES = 16 };

struct item { const char *key, *file; capt_id id; int64_t at; }; /* file: in the folder; at: in the one array */

struct desk { float *x; void *packed, *boxes; size_t n_x, n_boxes; };

struct capt_npyset {
    capt_npyset_opts o;
    const char *path;
    int folder;
    capt_npy all;
    capt_arena *arena;
    CAPT_VEC(struct item) item;
    capt_store_section section;
    int geometry;
    struct desk *desk;
    int n_desks;
};

static int is_npy(const char *name)
{
    size_t n = strlen(name);
    return n > 4 && name[0] != '.' && strcmp(name + n - 4, ".npy") == 0;
}

int capt_npyset_is_folder(const char *path)
{
    DIR *d = opendir(path);
    int found = 0;
    for (struct dirent *e = d ? readdir(d) : NULL; e && !found; e = readdir(d))
        found = is_npy(e->d_name);
    if (d)
        closedir(d);
    return found;
}

static int add_item(capt_npyset *s, const char *name, const char *file, capt_err *err)
{
    struct item t = {.file = file, .at = (int64_t)s->item.n};
    char key[CAPT_ID_KEY];
    if (capt_id_from_name(name, s->o.int_ids, &t.id, s->arena, err))
        return -1;
    size_t n = capt_id_key(&t.id, key);
    t.key = capt_arena_strndup(s->arena, key, n);
    capt_vec_push(&s->item, t);
    return 0;
}

static int read_names(capt_npyset *s, int64_t want, capt_err *err)
{
    size_t n;
    char *text = capt_text_read(s->o.names, &n, err);
    if (!text)
        return -1;
    int rc = 0;
    for (char *p = text; *p && rc == 0;) {
        size_t line = strcspn(p, "\n"), k = line;
        while (k && (p[k - 1] == '\r' || p[k - 1] == ' '))
            k--;
        char *name = capt_strndup(p, k);
        rc = add_item(s, name, NULL, err);
        if (rc)
            capt_err_prefix(err, "%s:%zu", s->o.names, s->item.n + 1);
        free(name);
        p += line + (p[line] == '\n');
    }
    free(text);
    if (rc == 0 && (int64_t)s->item.n != want)
        rc = capt_fail(err, CAPT_EDATA, "%s: %zu names for %lld rows", s->o.names, s->item.n, (long long)want);
    return rc;
}

static int by_key(const void *x, const void *y)
{
    const struct item *a = x, *b = y;
    int c = strcmp(a->key, b->key);
    return c ? c : (a->at > b->at) - (a->at < b->at);
}

static int read_folder(capt_npyset *s, capt_err *err)
{
    DIR *d = opendir(s->path);
    if (!d)
        return capt_fail_errno(err, "%s", s->path);
    int rc = 0;
    for (struct dirent *e = readdir(d); e && rc == 0; e = readdir(d))
        if (is_npy(e->d_name)) {
            const char *file = capt_arena_strndup(s->arena, e->d_name, strlen(e->d_name));
            rc = add_item(s, file, file, err);
        }
    closedir(d);
    return rc == 0 && s->item.n == 0 ? capt_fail(err, CAPT_EDATA, "%s: no .npy file in this folder", s->path) : rc;
}

/* What one image's array is: rows, dim and the usual name. first: 1 when the first axis counts images. */
static int shape_of(const capt_npy *a, int first, const char *path, int *rows, int *dim, const char **name, capt_err *err)
{
    int64_t r = 1;
    int axes = a->ndim - first;
    if (axes < 1 || axes > 3 || a->n == 0)
        return capt_fail(err, CAPT_EDATA, "%s: an array of %d axes: want %s", path, a->ndim,
                         first ? "(N,D), (N,R,D) or (N,H,W,D)" : "(D), (n,D) or (H,W,D)");
    for (int i = first; i < a->ndim - 1; i++)
        r *= a->shape[i];
    if (r > 1 << 20 || a->shape[a->ndim - 1] > 1 << 20)
        return capt_fail(err, CAPT_EDATA, "%s: more than 1048576 rows or columns an image", path);
    *rows = (int)r;
    *dim = (int)a->shape[a->ndim - 1];
    *name = axes == 1 ? "global" : axes == 3 || first ? "grid" : "regions";
    return 0;
}

static char *in_folder(const char *dir, const char *file)
{
    capt_str b = {0};
    capt_str_printf(&b, "%s/%s", dir, file);
    return b.s;
}

static void *room(void **p, size_t *have, size_t bytes)
{
    if (bytes > *have) {
        free(*p);
        *p = NULL;
        *p = capt_realloc(NULL, bytes);
        *have = bytes;
    }
    return *p;
}

/* The numbers of an image into k->x; rows and dim of its array. */
static int read_image(const capt_npyset *s, const struct item *t, struct desk *k, int *rows, int *dim, capt_err *err)
{
    const capt_npy *a = &s->all;
    capt_npy one;
    const char *name;
    char *path = s->folder ? in_folder(s->path, t->file) : NULL;
    int rc = 0;
    if (s->folder) {
        rc = capt_npy_open(&one, path, err);
        if (rc == 0) {
            a = &one;
            rc = shape_of(a, 0, path, rows, dim, &name, err);
            if (rc == 0 && s->section.dim && *dim != s->section.dim)
                rc = capt_fail(err, CAPT_EDATA, "%s: %d columns, others have %d", path, *dim, s->section.dim);
        }
    } else {
        *rows = s->section.rows;
        *dim = s->section.dim;
    }
    int64_t n = rc ? 0 : (int64_t)*rows * *dim;
    if (rc == 0) {
        size_t before = k->n_x;
        room((void **)&k->x, &k->n_x, (size_t)n * sizeof(float));
        if (k->n_x > before) {
            free(k->packed);
            k->packed = capt_realloc(NULL, k->n_x);
        }
        capt_npy_f32(a, s->folder ? 0 : t->at * n, n, k->x);
    }
    if (a == &one)
        capt_npy_close(&one);
    free(path);
    return rc;
}

static int set_section(capt_npyset *s, capt_store_meta *m, capt_err *err)
{
    const char *name = NULL;
    int rows = 0, dim = 0, rc;
    if (s->folder) {
        char *path = in_folder(s->path, s->item.v[0].file);
        capt_npy a;
        rc = capt_npy_open(&a, path, err);
        if (rc == 0) {
            rc = shape_of(&a, 0, path, &rows, &dim, &name, err);
            capt_npy_close(&a);
        }
        free(path);
        rows = rc == 0 && strcmp(name, "global") == 0 ? 1 : 0;
    } else {
        rc = shape_of(&s->all, 1, s->path, &rows, &dim, &name, err);
    }
    if (rc)
        return rc;
    s->section = (capt_store_section){"", s->o.dtype, rows, dim};
    snprintf(s->section.name, sizeof s->section.name, "%s", s->o.section ? s->o.section : name);
    int fits[4] = {0}, probes = strcmp(name, "regions") == 0 ? PROBES : 0;
    for (size_t p = 0; p < (size_t)probes && p < s->item.n; p++) {
        const struct item *t = &s->item.v[s->item.n > PROBES ? p * (s->item.n - 1) / (PROBES - 1) : p];
        int r, c;
        if (read_image(s, t, &s->desk[0], &r, &c, err))
            return -1;
        fits[capt_geometry_orders(s->desk[0].x, r, c, s->o.dtype)]++;
    }
    s->geometry = capt_geometry_decide(fits);
    m->int_ids = s->o.int_ids;
    m->dtype = s->o.dtype;
    m->section[0] = s->section;
    m->section[1] = (capt_store_section){"boxes", CAPT_F32, 0, 4};
    m->n_sections = s->o.boxes ? 2 : 1;
    m->geometry = s->geometry ? CAPT_GEOMETRY : NULL;
    return 0;
}

static int pack(const float *x, int64_t n, int dim, capt_dtype dtype, void *out, const char *who, capt_err *err)
{
    int64_t bad = capt_feature_from_f32(x, n, dtype, out);
    if (bad >= 0 && isfinite(x[bad]))
        return capt_fail(err, CAPT_EDATA, "%s: %g at row %lld, column %lld does not fit %s: use --dtype bf16 or f32", who, (double)x[bad],
                         (long long)(bad / dim), (long long)(bad % dim), capt_dtype_name(dtype));
    return bad < 0 ? 0 : capt_fail(err, CAPT_EDATA, "%s: NaN or infinity at row %lld, column %lld", who, (long long)(bad / dim), (long long)(bad % dim));
}

static int load_boxes(capt_npyset *s, const struct item *t, struct desk *k, int rows, capt_section *to, const char *who, capt_err *err)
{
    char *path = in_folder(s->o.boxes, t->file);
    capt_npy a;
    int rc = capt_npy_open(&a, path, err);
    if (rc == 0) {
        if (a.ndim != 2 || a.shape[1] != 4 || a.shape[0] != rows) {
            rc = capt_fail(err, CAPT_EDATA, "%s: not (%d,4), one box a region", path, rows);
        } else {
            float *b = room(&k->boxes, &k->n_boxes, (size_t)rows * 4 * sizeof *b);
            capt_npy_f32(&a, 0, (int64_t)rows * 4, b);
            *to = (capt_section){.name = "boxes", .dtype = CAPT_F32, .rows = rows, .dim = 4, .data = b};
            rc = pack(b, (int64_t)rows * 4, 4, CAPT_F32, b, who, err);
        }
        capt_npy_close(&a);
    }
    free(path);
    return rc;
}

static int load(void *arg, int64_t i, int worker, capt_loading *to, capt_err *err)
{
    capt_npyset *s = arg;
    const struct item *t = &s->item.v[i];
    struct desk *k = &s->desk[worker];
    char who[CAPT_ID_KEY + 8];
    int rows, dim;
    snprintf(who, sizeof who, "id %s", t->key);
    if (i && strcmp(t->key, s->item.v[i - 1].key) == 0)
        return capt_fail(err, CAPT_EDATA, "%s: was already stored", who);
    if (read_image(s, t, k, &rows, &dim, err))
        return -1;
    if (s->geometry && !(capt_geometry_orders(k->x, rows, dim, s->o.dtype) & s->geometry))
        return capt_fail(err, CAPT_EDATA, "%s: the last six columns are not the boxes that other images have there, in their order", who);
    if (s->geometry == CAPT_ORDER_HW)
        capt_geometry_swap(k->x, rows, dim);
    capt_section *sec = &to->section[0];
    *sec = (capt_section){.dtype = s->o.dtype, .rows = rows, .dim = dim, .data = k->packed};
    memcpy(sec->name, s->section.name, sizeof sec->name);
    to->n = s->o.boxes ? 2 : 1;
    if (pack(k->x, (int64_t)rows * dim, dim, s->o.dtype, k->packed, who, err))
        return -1;
    return s->o.boxes ? load_boxes(s, t, k, rows, &to->section[1], who, err) : 0;
}

static const capt_id *id_of(void *arg, int64_t i) { return &((capt_npyset *)arg)->item.v[i].id; }

static size_t bytes_of(void *arg, int64_t i)
{
    const capt_npyset *s = arg;
    return (size_t)(s->section.rows ? s->section.rows : 50) * (size_t)s->section.dim * sizeof(float);
}

capt_intake capt_npyset_intake(capt_npyset *s)
{
    return (capt_intake){.arg = s, .n = (int64_t)s->item.n, .id = id_of, .bytes = bytes_of, .load = load};
}

capt_npyset *capt_npyset_open(const char *path, const capt_npyset_opts *o, capt_pool *pool, capt_store_meta *meta, capt_err *err)
{
    capt_npyset *s = capt_alloc(sizeof *s);
    s->o = *o;
    s->path = path;
    s->folder = !o->names;
    s->arena = capt_arena_new(1 << 18);
    s->n_desks = capt_pool_size(pool);
    s->desk = capt_alloc((size_t)s->n_desks * sizeof *s->desk);
    int rc = s->folder ? read_folder(s, err) : capt_npy_open(&s->all, path, err) || read_names(s, s->all.ndim ? s->all.shape[0] : 0, err) ? -1 : 0;
    if (rc == 0 && s->item.n)
        qsort(s->item.v, s->item.n, sizeof *s->item.v, by_key);
    if (rc == 0)
        rc = set_section(s, meta, err);
    if (rc) {
        capt_npyset_close(s);
        return NULL;
    }
    return s;
}

void capt_npyset_close(capt_npyset *s)
{
    if (!s)
        return;
    for (int i = 0; i < s->n_desks; i++) {
        free(s->desk[i].x);
        free(s->desk[i].packed);
        free(s->desk[i].boxes);
    }
    free(s->desk);
    capt_npy_close(&s->all);
    capt_vec_free(&s->item);
    capt_arena_free(s->arena);
    free(s);
}

json_t *capt_npyset_inputs(const capt_npyset *s, capt_err *err)
{
    char hex[33], names[33];
    if (!s->folder) {
        if (capt_hash_file(s->path, hex, err) || capt_hash_file(s->o.names, names, err))
            return NULL;
        return json_pack("{s:s, s:s}", "features", hex, "names", names);
    }
    capt_hasher *h = capt_hasher_new();
    for (size_t i = 0; i < s->item.n; i++) {
        char *path = in_folder(s->path, s->item.v[i].file);
        struct stat st = {0};
        (void)stat(path, &st); /* a missing file fails when it is read */
        free(path);
        int64_t size = st.st_size;
        capt_hasher_add(h, s->item.v[i].file, strlen(s->item.v[i].file) + 1);
        capt_hasher_add(h, &size, sizeof size);
    }
    capt_hasher_end(h, hex);
    return json_pack("{s:s}", "names_and_sizes", hex);
}
