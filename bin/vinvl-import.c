/* vinvl-import: features made by other programs -> feature store. */
#include <dirent.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include "base/file.h"
#include "base/hash.h"
#include "base/mem.h"
#include "base/prov.h"
#include "base/str.h"
#include "common/prog.h"
#include "store/store.h"
#include "tensor/npy.h"

enum { NPY = 5 };
static int format = -1, dtype_choice, int_ids, resume;
static const char *store_path, *names_path, *boxes_path, *section_name, *encoder = "imported", *encoder_hash;

static const capt_opt options[] = {
    {"format", CAPT_O_CHOICE, &format, "auto|butd-tsv|vinvl-tsv|oscar-tsv|sgb-tsv|npy", "layout of the features; npy is the one built in", 0, 0, 0, 1},
    {"store", CAPT_O_STR, &store_path, "OUT", "feature store to write", 0, 0, 1, 1},
    {"names", CAPT_O_STR, &names_path, "FILE", "picture names of the rows of one .npy, a line each", 0, 0, 1, 0},
    {"boxes", CAPT_O_STR, &boxes_path, "DIR", "folder of ID.npy (n,4): boxes of the regions, kept as f32", 0, 0, 1, 0},
    {"section", CAPT_O_STR, &section_name, "NAME", "name of the section; default by shape: global, grid or regions", 0, 0, 0, 0},
    {"ids", CAPT_O_CHOICE, &int_ids, "string|int", "ids are names without extension, or the number these end with", 0, 0, 0, 0},
    {"dtype", CAPT_O_CHOICE, &dtype_choice, "f16|bf16|f32", "how numbers are kept", 0, 0, 0, 0},
    {"encoder", CAPT_O_STR, &encoder, "NAME", "what made the features, for the manifest", 0, 0, 0, 0},
    {"encoder-hash", CAPT_O_STR, &encoder_hash, "HEX", "hash of its weights, for the manifest", 0, 0, 0, 0},
    {"resume", CAPT_O_FLAG, &resume, NULL, "continue OUT.part", 0, 0, 1, 0},
    {0}};

static const capt_dtype dtypes[] = {CAPT_F16, CAPT_BF16, CAPT_F32};

struct job {
    capt_prog *p;
    capt_arena *arena;
    capt_store_meta meta;
    capt_store *store;
    CAPT_VEC(capt_id) id;      /* one an image, in the order of work */
    CAPT_VEC(const char *) file; /* of a folder: the files' names */
    capt_npy all;              /* the one file */
    const char *dir;           /* or the folder */
    capt_str x, packed, boxes; /* scratch */
    /* fingerprint */
    int64_t numbers, images, min_rows, max_rows;
    double sum, squares, min_norm, max_norm;
};

/* ---- ids ---- */

/* "COCO_val2014_000000391895.jpg" -> 391895. */
static int number_of(const char *name, capt_id *id, capt_arena *arena, capt_err *err)
{
    if (capt_id_from_file(name, id, arena, err))
        return -1;
    if (!int_ids)
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

static int read_names(struct job *j, int64_t want)
{
    capt_err *err = &j->p->err;
    size_t n;
    char *text = capt_file_read(names_path, (size_t)1 << 30, &n, err);
    if (!text)
        return -1;
    int rc = 0;
    for (char *s = text; *s && rc == 0;) {
        size_t line = strcspn(s, "\n"), k = line;
        while (k && (s[k - 1] == '\r' || s[k - 1] == ' '))
            k--;
        char *name = capt_strndup(s, k);
        capt_id id;
        rc = number_of(name, &id, j->arena, err);
        if (rc)
            capt_err_prefix(err, "%s:%zu", names_path, j->id.n + 1);
        free(name);
        capt_vec_push(&j->id, id);
        s += line + (s[line] == '\n');
    }
    free(text);
    if (rc == 0 && (int64_t)j->id.n != want)
        rc = capt_fail(err, CAPT_EDATA, "%s: %zu names for %lld rows", names_path, j->id.n, (long long)want);
    return rc;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static int read_folder(struct job *j)
{
    capt_err *err = &j->p->err;
    DIR *d = opendir(j->dir);
    if (!d)
        return capt_fail_errno(err, "%s", j->dir);
    for (struct dirent *e = readdir(d); e; e = readdir(d)) {
        size_t n = strlen(e->d_name);
        if (n > 4 && e->d_name[0] != '.' && strcmp(e->d_name + n - 4, ".npy") == 0)
            capt_vec_push(&j->file, capt_arena_strndup(j->arena, e->d_name, n));
    }
    closedir(d);
    if (j->file.n == 0)
        return capt_fail(err, CAPT_EDATA, "%s: no .npy file in this folder", j->dir);
    qsort(j->file.v, j->file.n, sizeof *j->file.v, by_name);
    for (size_t i = 0; i < j->file.n; i++) {
        capt_id id;
        if (number_of(j->file.v[i], &id, j->arena, err))
            return -1;
        capt_vec_push(&j->id, id);
    }
    return 0;
}

/* ---- shapes ---- */

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

static int set_meta(struct job *j, const char *operand)
{
    capt_err *err = &j->p->err;
    capt_store_meta *m = &j->meta;
    const char *name;
    int rows = 0, dim = 0, rc;
    if (j->dir) {
        char *path = in_folder(j->dir, j->file.v[0]);
        capt_npy a;
        rc = capt_npy_open(&a, path, err);
        if (rc == 0) {
            rc = shape_of(&a, 0, path, &rows, &dim, &name, err);
            capt_npy_close(&a);
        }
        free(path);
        rows = rc == 0 && strcmp(name, "global") == 0 ? 1 : 0;
    } else {
        rc = shape_of(&j->all, 1, operand, &rows, &dim, &name, err);
    }
    if (rc)
        return rc;
    m->int_ids = int_ids;
    m->dtype = dtypes[dtype_choice];
    m->n_sections = boxes_path ? 2 : 1;
    m->section[0] = (capt_store_section){"", m->dtype, rows, dim};
    snprintf(m->section[0].name, sizeof m->section[0].name, "%s", section_name ? section_name : name);
    m->section[1] = (capt_store_section){"boxes", CAPT_F32, 0, 4};
    m->encoder = encoder;
    m->encoder_hash = encoder_hash;
    return 0;
}

/* A file is named by its contents; a folder, which may hold a hundred gigabytes, by its files' names and sizes. */
static int set_provenance(struct job *j, const char *operand)
{
    capt_err *err = &j->p->err;
    char hex[33];
    json_t *entry = capt_prov_entry(j->p->name, NULL), *input = json_object();
    json_object_set_new(entry, "options", capt_prog_options(j->p));
    json_object_set_new(entry, "input", input);
    j->meta.provenance = capt_prov_append(NULL, entry);
    if (!j->dir) {
        if (capt_hash_file(operand, hex, err))
            return -1;
        json_object_set_new(input, "features", json_string(hex));
        if (capt_hash_file(names_path, hex, err))
            return -1;
        json_object_set_new(input, "names", json_string(hex));
        return 0;
    }
    capt_hasher *h = capt_hasher_new();
    for (size_t i = 0; i < j->file.n; i++) {
        char *path = in_folder(j->dir, j->file.v[i]);
        struct stat st = {0};
        (void)stat(path, &st); /* a missing file fails when it is read */
        free(path);
        int64_t size = st.st_size;
        capt_hasher_add(h, j->file.v[i], strlen(j->file.v[i]) + 1);
        capt_hasher_add(h, &size, sizeof size);
    }
    capt_hasher_end(h, hex);
    json_object_set_new(input, "names_and_sizes", json_string(hex));
    return 0;
}

/* ---- work ---- */

static void *scratch(capt_str *b, size_t n)
{
    if (n > b->cap) {
        b->s = capt_realloc(b->s, n);
        b->cap = n;
    }
    return b->s;
}

static void add_fingerprint(struct job *j, const float *x, int rows, int dim)
{
    for (int r = 0; r < rows; r++) {
        double squares = 0;
        for (int c = 0; c < dim; c++) {
            double v = x[(int64_t)r * dim + c];
            j->sum += v;
            squares += v * v;
        }
        double norm = sqrt(squares);
        j->min_norm = j->numbers == 0 || norm < j->min_norm ? norm : j->min_norm;
        j->max_norm = norm > j->max_norm ? norm : j->max_norm;
        j->squares += squares;
        j->numbers += dim;
    }
    j->min_rows = j->images == 0 || rows < j->min_rows ? rows : j->min_rows;
    j->max_rows = rows > j->max_rows ? rows : j->max_rows;
    j->images++;
}

/* One array into a section; s->data points into packed. */
static int pack(struct job *j, const capt_npy *a, int64_t from, capt_section *s, capt_str *packed, const char *who, int count)
{
    int64_t n = (int64_t)s->rows * s->dim;
    float *x = scratch(&j->x, (size_t)n * sizeof *x + 1);
    capt_npy_f32(a, from, n, x);
    s->data = scratch(packed, (size_t)n * capt_dtype_size(s->dtype) + 1);
    int64_t bad = capt_feature_from_f32(x, n, s->dtype, (void *)(uintptr_t)s->data);
    if (bad >= 0 && isfinite(x[bad]))
        return capt_fail(&j->p->err, CAPT_EDATA, "%s: %g at row %lld, column %lld does not fit %s: use --dtype bf16 or f32", who, (double)x[bad],
                         (long long)(bad / s->dim), (long long)(bad % s->dim), capt_dtype_name(s->dtype));
    if (bad >= 0)
        return capt_fail(&j->p->err, CAPT_EDATA, "%s: NaN or infinity at row %lld, column %lld", who, (long long)(bad / s->dim), (long long)(bad % s->dim));
    if (count)
        add_fingerprint(j, x, s->rows, s->dim);
    return 0;
}

static int pack_boxes(struct job *j, const char *who, const char *file, int rows, capt_section *s)
{
    char *path = in_folder(boxes_path, file);
    capt_npy a;
    int rc = capt_npy_open(&a, path, &j->p->err);
    if (rc == 0) {
        if (a.ndim != 2 || a.shape[1] != 4 || a.shape[0] != rows)
            rc = capt_fail(&j->p->err, CAPT_EDATA, "%s: not (%d,4), one box a region", path, rows);
        else
            rc = pack(j, &a, 0, s, &j->boxes, who, 0);
        capt_npy_close(&a);
    }
    free(path);
    return rc;
}

static int import_one(struct job *j, int64_t i)
{
    capt_err *err = &j->p->err;
    const capt_id *id = &j->id.v[i];
    char key[CAPT_ID_KEY], who[CAPT_ID_KEY + 8];
    capt_id_key(id, key);
    snprintf(who, sizeof who, "id %s", key);
    capt_section s[2] = {{.dtype = j->meta.dtype, .rows = j->meta.section[0].rows, .dim = j->meta.section[0].dim},
                         {.name = "boxes", .dtype = CAPT_F32, .dim = 4}};
    memcpy(s[0].name, j->meta.section[0].name, sizeof s[0].name);
    int rc;
    if (!j->dir) {
        rc = pack(j, &j->all, i * s[0].rows * s[0].dim, &s[0], &j->packed, who, 1);
    } else {
        char *path = in_folder(j->dir, j->file.v[i]);
        capt_npy a;
        const char *name;
        rc = capt_npy_open(&a, path, err);
        if (rc == 0) {
            rc = shape_of(&a, 0, path, &s[0].rows, &s[0].dim, &name, err);
            if (rc == 0 && s[0].dim != j->meta.section[0].dim)
                rc = capt_fail(err, CAPT_EDATA, "%s: %d columns, the files before have %d", path, s[0].dim, j->meta.section[0].dim);
            if (rc == 0)
                rc = pack(j, &a, 0, &s[0], &j->packed, who, 1);
            capt_npy_close(&a);
        }
        free(path);
    }
    if (rc == 0 && boxes_path) {
        s[1].rows = s[0].rows;
        rc = pack_boxes(j, who, j->file.v[i], s[0].rows, &s[1]);
    }
    if (rc)
        return rc;
    return resume && capt_store_has(j->store, id) ? 0 : capt_store_put(j->store, id, s, j->meta.n_sections, err);
}

static void print_fingerprint(const struct job *j)
{
    double n = (double)j->numbers, mean = j->sum / n, var = j->squares / n - mean * mean;
    capt_prog_note(j->p, "%lld images, section \"%s\": %lld to %lld rows of %d, %s", (long long)j->images, j->meta.section[0].name, (long long)j->min_rows,
                   (long long)j->max_rows, j->meta.section[0].dim, capt_dtype_name(j->meta.dtype));
    capt_prog_note(j->p, "fingerprint: mean %.6g, sd %.6g, norm of a row %.6g to %.6g", mean, sqrt(var > 0 ? var : 0), j->min_norm, j->max_norm);
}

static int import_all(struct job *j)
{
    if (resume && capt_store_is_done(store_path, &j->meta)) {
        capt_prog_note(j->p, "%s is complete: nothing to do", store_path);
        return 0;
    }
    j->store = capt_store_create(store_path, &j->meta, resume, &j->p->err);
    if (!j->store)
        return -1;
    capt_prog_catch();
    capt_progress g;
    capt_progress_start(&g, j->p, "images", (int64_t)j->id.n);
    int rc = 0;
    for (int64_t i = 0; i < (int64_t)j->id.n && rc == 0; i++) {
        rc = capt_prog_stopping() ? capt_prog_stopped(j->p, "import") : import_one(j, i);
        capt_progress_at(&g, i + 1, NULL);
    }
    capt_progress_end(&g);
    if (rc && j->p->err.code == CAPT_EDATA && !resume)
        capt_store_discard(j->store);
    else if (rc)
        capt_store_abandon(j->store);
    else
        rc = capt_store_finish(j->store, &j->p->err);
    if (rc == 0)
        print_fingerprint(j);
    return rc;
}

static int run_npy(struct job *j)
{
    const char *operand = j->p->argv[0];
    struct stat st;
    if (stat(operand, &st))
        return capt_fail_errno(&j->p->err, "%s", operand);
    if (S_ISDIR(st.st_mode)) {
        j->dir = operand;
        if (names_path)
            return capt_prog_usage(j->p, "--names goes with one .npy file, not with a folder");
        if (read_folder(j))
            return -1;
    } else {
        if (!names_path)
            return capt_prog_usage(j->p, "one .npy file needs --names FILE");
        if (boxes_path)
            return capt_prog_usage(j->p, "--boxes goes with a folder of one .npy an image");
        if (capt_npy_open(&j->all, operand, &j->p->err) || read_names(j, j->all.ndim ? j->all.shape[0] : 0))
            return -1;
    }
    return set_meta(j, operand) || set_provenance(j, operand) || import_all(j) ? -1 : 0;
}

static int run(capt_prog *p)
{
    if (format != NPY)
        return capt_prog_usage(p, "this format is not built in; known: npy");
    if (section_name && (strlen(section_name) > CAPT_SECTION_NAME || !*section_name))
        return capt_prog_usage(p, "--section: 1 to %d bytes", CAPT_SECTION_NAME);
    struct job *j = capt_alloc(sizeof *j);
    j->p = p;
    j->arena = capt_arena_new(1 << 18);
    int rc = run_npy(j);
    capt_npy_close(&j->all);
    json_decref(j->meta.provenance);
    capt_vec_free(&j->id);
    capt_vec_free(&j->file);
    capt_str_free(&j->x);
    capt_str_free(&j->packed);
    capt_str_free(&j->boxes);
    capt_arena_free(j->arena);
    free(j);
    return rc;
}

static capt_prog prog = {
    .name = "vinvl-import",
    .synopsis = "--format npy --store OUT (--names FILE FILE.npy | DIR)",
    .about = "Imports image features that other programs made into a feature store.",
    .opts = options,
    .min_args = 1,
    .max_args = 1,
    .run = run,
};
CAPT_MAIN(prog)
