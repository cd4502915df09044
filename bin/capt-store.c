/* capt-store: looks into feature stores and safetensors files, checks and compares them, and turns them into text and back. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include "base/file.h"
#include "base/hash.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/str.h"
#include "common/damage.h"
#include "data/store_text.h"
#include "model/checkpoint.h"
#include "model/export.h"
#include "record/caption.h"
#include "record/ndjson.h"
#include "store/fingerprint.h"
#include "store/store.h"
#include "tensor/weights_text.h"

static const char *out_path, *manifest_path, *ids_path, *npy;
static capt_strs ids;
static int as_json, resume;
static int format;
static double tolerance;

static const capt_opt options[] = {
    {"out", CAPT_O_STR, &out_path, "FILE", "store or weights to write (merge, compact, load), folder of --format hf (dump)", 0, 0, 1, 0},
    {"id", CAPT_O_STRS, &ids, "ID", "this image only; may be repeated (dump)", 0, 0, 0, 0},
    {"manifest", CAPT_O_STR, &manifest_path, "FILE", "what info --json printed of the dumped store (load)", 0, 0, 1, 0},
    {"format", CAPT_O_CHOICE, &format, "text|hf", "hf: a gpt2 checkpoint as transformers' GPT2LMHeadModel, into the folder --out (dump)", 0, 0, 1, 0},
    {"npy", CAPT_O_STR, &npy, "DIR", "folder of the numbers, a .npy file a section (dump, load)", 0, 0, 1, 0},
    {"ids", CAPT_O_STR, &ids_path, "FILE", "caption records whose images must all be there (verify, quickcheck, merge)", 0, 0, 1, 0},
    {"resume", CAPT_O_FLAG, &resume, NULL, "go on where a run was killed (load, merge, compact)", 0, 0, 1, 0},
    {"tolerance", CAPT_O_NUM, &tolerance, "X", "numbers this near are equal (diff)", 0, 1e30, 0, 0},
    {"json", CAPT_O_FLAG, &as_json, NULL, "print JSON (info)", 0, 0, 1, 0},
    {0}};

/* ---- safetensors files (checkpoints, public weights) ---- */

static int is_safetensors(const char *path)
{
    unsigned char head[9];
    FILE *f = fopen(path, "rbe");
    if (!f)
        return 0;
    size_t n = fread(head, 1, sizeof head, f);
    fclose(f);
    return n == sizeof head && head[8] == '{' && !head[7] && !head[6] && !head[5];
}

static const char *const meta_keys[] = {"format", "config", "provenance", "state"};

static void print_shape(const capt_st_tensor *t)
{
    printf("%s\t%s\t(", t->name, capt_dtype_name(t->dtype));
    for (int i = 0; i < t->ndim; i++)
        printf("%s%lld", i ? "," : "", (long long)t->dim[i]);
    printf(")\n");
}

static int st_info(capt_prog *p, const char *path)
{
    capt_st *st = capt_st_open(path, &p->err);
    if (!st)
        return -1;
    int64_t numbers = 0;
    for (size_t i = 0; i < capt_st_n(st); i++)
        numbers += capt_st_numel(capt_st_at(st, i));
    if (as_json) {
        capt_str b = {0};
        json_t *meta = (json_t *)(uintptr_t)capt_st_metadata(st);
        json_t *j = json_pack("{s:s, s:I, s:I, s:O?}", "format", "safetensors", "tensors", (json_int_t)capt_st_n(st), "numbers", (json_int_t)numbers, "metadata", meta);
        int rc = capt_json_line(j, &b) ? capt_fail(&p->err, CAPT_EDATA, "%s: not UTF-8", path) : 0;
        json_decref(j);
        fwrite(b.s, 1, b.n, stdout);
        capt_str_free(&b);
        capt_st_close(st);
        return rc;
    }
    printf("%s: safetensors, %zu tensors, %lld numbers\n", path, capt_st_n(st), (long long)numbers);
    for (size_t i = 0; i < sizeof meta_keys / sizeof *meta_keys; i++) {
        const char *v = capt_st_meta(st, meta_keys[i]);
        if (v)
            printf("%s: %.2000s\n", meta_keys[i], v);
    }
    capt_st_close(st);
    return 0;
}

static int st_ls(capt_prog *p, const char *path)
{
    capt_st *st = capt_st_open(path, &p->err);
    if (!st)
        return -1;
    for (size_t i = 0; i < capt_st_n(st); i++)
        print_shape(capt_st_at(st, i));
    capt_st_close(st);
    return 0;
}

/* Structure (by opening), finite numbers, and the checksums in the metadata where there are some. */
static int st_verify(const char *path, capt_err *err)
{
    capt_st *st = capt_st_open(path, err);
    if (!st)
        return -1;
    int rc = 0;
    const char *text = capt_st_meta(st, "crc32c");
    json_t *crcs = text ? capt_json_parse(text, strlen(text), path, err) : NULL;
    if (text && !crcs)
        rc = -1;
    for (size_t i = 0; i < capt_st_n(st) && rc == 0; i++) {
        const capt_st_tensor *t = capt_st_at(st, i);
        const char *crc = crcs ? json_string_value(json_object_get(crcs, t->name)) : NULL;
        char hex[16];
        snprintf(hex, sizeof hex, "%08x", capt_crc32c(0, t->data, t->bytes));
        if (crcs && !crc)
            rc = capt_fail(err, CAPT_EDATA, "%s: tensor %s has no checksum", path, t->name);
        else if (crc && strcmp(crc, hex) != 0)
            rc = capt_fail(err, CAPT_EDATA, "%s: tensor %s: checksum mismatch: the file is damaged", path, t->name);
        if (rc || (t->dtype != CAPT_F32 && t->dtype != CAPT_F16 && t->dtype != CAPT_BF16))
            continue;
        size_t n = (size_t)capt_st_numel(t);
        float *x = capt_try_alloc(n * sizeof *x + 1, err);
        if (!x) {
            rc = -1;
            break;
        }
        capt_st_to_f32(t, x);
        for (size_t k = 0; k < n && rc == 0; k++)
            if (!isfinite(x[k]))
                rc = capt_fail(err, CAPT_EDATA, "%s: tensor %s holds NaN or infinity", path, t->name);
        free(x);
    }
    if (rc == 0 && (text || capt_checkpoint_is(st))) /* metadata too; checksums without the format have lost it */
        rc = capt_checkpoint_check(st, "", path, NULL, err);
    json_decref(crcs);
    capt_st_close(st);
    return rc;
}

/* ---- info, ls, verify ---- */

static int store_info(capt_prog *p, const char *path)
{
    capt_store *s = capt_store_open(path, &p->err);
    if (!s)
        return -1;
    const capt_store_meta *m = capt_store_meta_of(s);
    if (as_json) {
        capt_str b = {0};
        capt_json_line(capt_store_manifest(s), &b);
        fwrite(b.s, 1, b.n, stdout);
        capt_str_free(&b);
    } else {
        struct stat st = {0};
        (void)stat(path, &st);
        printf("%s: feature store, %lld images, %lld bytes, ids are %s\n", path, (long long)m->count, (long long)st.st_size,
               m->int_ids < 0 ? "not known yet" : m->int_ids ? "integers" : "strings");
        printf("encoder: %s, hash %s\n", m->encoder ? m->encoder : "unknown", m->encoder_hash ? m->encoder_hash : "unknown");
        for (int i = 0; i < m->n_sections; i++) {
            const capt_store_section *c = &m->section[i];
            char rows[24] = "varies";
            if (c->rows)
                snprintf(rows, sizeof rows, "%d", c->rows);
            printf("section %s: %s x %d %s\n", c->name, rows, c->dim, capt_dtype_name(c->dtype));
        }
        if (m->geometry)
            printf("geometry: the last six columns are %s\n", m->geometry);
        for (int i = 0; i < m->n_sections; i++) {
            const json_t *print = capt_fingerprint_section(m->fingerprint, m->section[i].name);
            capt_str b = {0};
            if (print) {
                capt_fingerprint_text(print, &b);
                printf("fingerprint of %s: %s\n", m->section[i].name, b.s);
            }
            capt_str_free(&b);
        }
        char *prep = json_dumps(m->preprocess, JSON_COMPACT | JSON_ENCODE_ANY);
        size_t trained = 0;
        for (const char *t = m->trained_on; t && *t; t++)
            trained += *t == '\n';
        if (trained)
            printf("encoder trained on: %zu images\n", trained);
        printf("preprocessing: %s\nchecksum: %llu\n", prep ? prep : "null", (unsigned long long)m->checksum);
        free(prep);
        for (size_t i = 0; i < json_array_size(m->provenance); i++) {
            char *line = json_dumps(json_array_get(m->provenance, i), JSON_COMPACT | JSON_ENCODE_ANY);
            printf("provenance: %s\n", line ? line : "");
            free(line);
        }
    }
    capt_store_close(s);
    return 0;
}

static int store_ls(capt_prog *p, const char *path)
{
    capt_store *s = capt_store_open(path, &p->err);
    capt_store_iter *it = s ? capt_store_iter_new(s, &p->err) : NULL;
    capt_id id;
    capt_feature f;
    int got = it ? 1 : -1;
    while (got == 1) {
        got = capt_store_iter_next(it, &id, &f, &p->err);
        if (got != 1)
            break;
        char key[CAPT_ID_KEY];
        capt_id_key(&id, key);
        fputs(key, stdout);
        for (int i = 0; i < f.n; i++)
            printf("\t%s %dx%d %s", f.section[i].name, f.section[i].rows, f.section[i].dim, capt_dtype_name(f.section[i].dtype));
        putchar('\n');
    }
    capt_store_iter_free(it);
    capt_store_close(s);
    return got;
}

static int check(void *arg, const char *path, capt_err *err)
{
    int quick = *(int *)arg;
    if (is_safetensors(path)) {
        capt_st *st = quick ? capt_st_open(path, err) : NULL;
        capt_st_close(st);
        return quick ? (st ? 0 : -1) : st_verify(path, err);
    }
    capt_store *s = capt_store_open(path, err);
    int rc = s ? capt_store_verify(s, quick, err) : -1;
    capt_store_close(s);
    return rc;
}

/* ---- dump, load ---- */

static int not_dumped(capt_prog *p, const char *path)
{
    return p->err.code ? capt_err_prefix(&p->err, "%s", path) : capt_fail_errno(&p->err, "stdout");
}

static int dump_store(capt_prog *p, const char *path)
{
    capt_store *s = capt_store_open(path, &p->err);
    if (!s)
        return -1;
    int rc = 0, is_int = capt_store_meta_of(s)->int_ids == 1;
    capt_id *picked = capt_alloc((ids.n + 1) * sizeof *picked);
    for (size_t i = 0; i < ids.n && rc == 0; i++)
        rc = capt_id_parse(ids.v[i], is_int, &picked[i], &p->err);
    if (rc == 0 && capt_store_dump(s, picked, ids.n, npy, stdout, &p->err))
        rc = not_dumped(p, path);
    free(picked);
    capt_store_close(s);
    return rc;
}

static int dump_weights(capt_prog *p, const char *path)
{
    if (ids.n || npy)
        return capt_prog_usage(p, "--id and --npy go with feature stores");
    if (!format != !out_path)
        return capt_prog_usage(p, "--format hf goes with --out DIR");
    capt_st *st = capt_st_open(path, &p->err);
    int rc = !st ? -1 : format ? capt_export_gpt2(st, path, out_path, &p->err) : capt_weights_dump(st, stdout, &p->err);
    if (st && rc && !format)
        not_dumped(p, path);
    capt_st_close(st);
    return rc;
}

static int run_dump(capt_prog *p)
{
    return format || is_safetensors(p->argv[1]) ? dump_weights(p, p->argv[1]) : dump_store(p, p->argv[1]);
}

static capt_store *start_load(const capt_section *s, int n, capt_err *err)
{
    capt_store_meta m = {.int_ids = -1, .dtype = s[0].dtype, .n_sections = n};
    json_t *j = NULL;
    if (manifest_path) {
        j = capt_json_load(manifest_path, err);
        if (!j || capt_store_meta_from_json(j, &m, manifest_path, err)) {
            json_decref(j);
            return NULL;
        }
    } else {
        for (int i = 0; i < n; i++) {
            m.section[i] = (capt_store_section){"", s[i].dtype, 0, s[i].dim};
            memcpy(m.section[i].name, s[i].name, sizeof m.section[i].name);
        }
    }
    capt_store *made = capt_store_create(out_path, &m, resume, err);
    json_decref(j);
    return made;
}

/* o: the first record, or NULL when there is none. */
static int load_store(capt_prog *p, capt_ndjson *in, json_t *o)
{
    capt_store_loader *l = capt_store_loader_new(npy);
    capt_store *s = NULL;
    int got = o ? 1 : capt_prog_fail_inputs(p, 1, "no records");
    capt_prog_catch();
    while (got == 1) {
        capt_id id;
        const capt_section *sections;
        int n;
        if (capt_store_loader_read(l, o, capt_ndjson_where(in), &id, &sections, &n, &p->err))
            got = -1;
        if (got == 1 && !s)
            s = start_load(sections, n, &p->err);
        if (!s || (got == 1 && !(resume && capt_store_has(s, &id)) && capt_store_put(s, &id, sections, n, &p->err)))
            got = -1;
        json_decref(o);
        o = NULL;
        if (got == 1)
            got = capt_prog_stopping() ? capt_prog_stopped(p, "load") : capt_ndjson_next(in, &o, &p->err);
    }
    if (got == 0)
        got = capt_store_finish(s, &p->err);
    else if (p->err.code == CAPT_EDATA && !resume)
        capt_store_discard(s);
    else
        capt_store_abandon(s);
    capt_store_loader_free(l);
    return got;
}

static int load_weights(capt_prog *p, capt_ndjson *in, json_t *o)
{
    if (npy || manifest_path || resume) {
        json_decref(o);
        return capt_prog_usage(p, "--npy, --manifest and --resume go with feature stores");
    }
    capt_weights_loader *l = capt_weights_loader_new();
    int got = 1;
    while (got == 1) {
        int rc = capt_weights_loader_read(l, o, capt_ndjson_where(in), &p->err);
        json_decref(o);
        o = NULL;
        got = rc ? -1 : capt_ndjson_next(in, &o, &p->err);
    }
    if (got == 0)
        return capt_weights_loader_finish(l, out_path, &p->err);
    capt_weights_loader_free(l);
    return -1;
}

static int load(capt_prog *p)
{
    capt_ndjson *in = capt_ndjson_new((const char *const *)(void *)(p->argv + 1), (size_t)(p->argc - 1), (size_t)64 << 20);
    json_t *o = NULL;
    int rc = capt_ndjson_next(in, &o, &p->err);
    if (rc >= 0)
        rc = o && capt_weights_is_record(o) ? load_weights(p, in, o) : load_store(p, in, o);
    capt_ndjson_free(in);
    return rc;
}

/* ---- diff ---- */

struct difference { int64_t both, only_a, only_b, shapes; double max_abs, min_cosine, dot, aa, bb; };

static void compare_numbers(const float *x, const float *y, size_t n, struct difference *d)
{
    for (size_t k = 0; k < n; k++) {
        double e = fabs((double)x[k] - (double)y[k]);
        if (isnan(e)) /* of weights only: NaN and infinity equal themselves and are infinitely far from all else */
            e = memcmp(&x[k], &y[k], sizeof *x) ? INFINITY : 0;
        d->max_abs = fmax(d->max_abs, e);
        d->dot += (double)x[k] * y[k];
        d->aa += (double)x[k] * x[k];
        d->bb += (double)y[k] * y[k];
    }
}

/* The cosine of what was compared since the last call. */
static void end_compare(struct difference *d)
{
    d->min_cosine = fmin(d->min_cosine, d->aa > 0 && d->bb > 0 ? d->dot / (sqrt(d->aa) * sqrt(d->bb)) : d->aa == d->bb ? 1 : 0);
    d->dot = d->aa = d->bb = 0;
}

static int compare_images(const capt_feature *a, const capt_feature *b, struct difference *d, capt_err *err)
{
    d->both++;
    int same = a->n == b->n;
    for (int i = 0; same && i < a->n; i++)
        same = strcmp(a->section[i].name, b->section[i].name) == 0 && a->section[i].rows == b->section[i].rows && a->section[i].dim == b->section[i].dim;
    d->shapes += !same;
    for (int i = 0; same && i < a->n; i++) {
        size_t n = (size_t)a->section[i].rows * (size_t)a->section[i].dim;
        float *x = capt_try_alloc(2 * n * sizeof *x + 1, err);
        if (!x)
            return -1;
        float *y = x + n;
        capt_feature_to_f32(&a->section[i], x);
        capt_feature_to_f32(&b->section[i], y);
        compare_numbers(x, y, n, d);
        free(x);
    }
    if (same)
        end_compare(d);
    return 0;
}

static int print_diff(capt_prog *p, const char *what, const char *one, const struct difference *d)
{
    const char *a = p->argv[1], *b = p->argv[2];
    printf("%s in both: %lld, only in %s: %lld, only in %s: %lld, of other shape: %lld\n", what, (long long)d->both, a, (long long)d->only_a, b,
           (long long)d->only_b, (long long)d->shapes);
    printf("largest difference: %.9g, smallest cosine of %s: %.12g\n", d->max_abs, one, d->min_cosine);
    if (d->only_a || d->only_b || d->shapes || !(d->max_abs <= tolerance))
        return capt_fail(&p->err, CAPT_EDATA, "%s and %s differ", a, b);
    return 0;
}

static int diff_stores(capt_prog *p)
{
    capt_err *err = &p->err;
    capt_store *a = capt_store_open(p->argv[1], err), *b = a ? capt_store_open(p->argv[2], err) : NULL;
    capt_store_iter *in_a = b ? capt_store_iter_new(a, err) : NULL, *in_b = in_a ? capt_store_iter_new(b, err) : NULL;
    struct difference d = {.min_cosine = 1};
    capt_id x, y;
    capt_feature f, g;
    int more_a = in_b ? capt_store_iter_next(in_a, &x, &f, err) : -1, more_b = in_b ? capt_store_iter_next(in_b, &y, &g, err) : -1;
    int comparable = in_b && capt_store_meta_of(a)->int_ids == capt_store_meta_of(b)->int_ids, rc = 0;
    while (rc == 0 && more_a >= 0 && more_b >= 0 && (more_a || more_b)) { /* both are in the order of their keys */
        char key_a[CAPT_ID_KEY], key_b[CAPT_ID_KEY];
        if (more_a)
            capt_id_key(&x, key_a);
        if (more_b)
            capt_id_key(&y, key_b);
        int order = !more_a ? 1 : !more_b || !comparable ? -1 : strcmp(key_a, key_b);
        d.only_a += order < 0;
        d.only_b += order > 0;
        if (order == 0)
            rc = compare_images(&f, &g, &d, err);
        if (rc == 0 && order <= 0)
            more_a = capt_store_iter_next(in_a, &x, &f, err);
        if (rc == 0 && order >= 0)
            more_b = capt_store_iter_next(in_b, &y, &g, err);
    }
    rc = rc || more_a || more_b ? -1 : print_diff(p, "images", "an image", &d);
    capt_store_iter_free(in_a);
    capt_store_iter_free(in_b);
    capt_store_close(a);
    capt_store_close(b);
    return rc;
}

static int compare_tensors(const capt_st_tensor *x, const capt_st_tensor *y, struct difference *d, capt_err *err)
{
    d->both++;
    int same = x->ndim == y->ndim;
    for (int k = 0; same && k < x->ndim; k++)
        same = x->dim[k] == y->dim[k];
    d->shapes += !same;
    if (!same)
        return 0;
    size_t n = (size_t)capt_st_numel(x);
    float *u = capt_try_alloc(2 * n * sizeof *u + 1, err);
    if (!u)
        return -1;
    float *v = u + n;
    capt_st_to_f32(x, u);
    capt_st_to_f32(y, v);
    compare_numbers(u, v, n, d);
    end_compare(d);
    free(u);
    return 0;
}

static int diff_weights(capt_prog *p)
{
    capt_st *a = capt_st_open(p->argv[1], &p->err), *b = a ? capt_st_open(p->argv[2], &p->err) : NULL;
    struct difference d = {.min_cosine = 1};
    int rc = b ? 0 : -1;
    for (size_t i = 0; rc == 0 && i < capt_st_n(a); i++) {
        const capt_st_tensor *x = capt_st_at(a, i), *y = capt_st_find(b, x->name);
        if (y)
            rc = compare_tensors(x, y, &d, &p->err);
        else
            d.only_a++;
    }
    if (rc == 0) {
        d.only_b = (int64_t)capt_st_n(b) - d.both;
        rc = print_diff(p, "tensors", "a tensor", &d);
    }
    capt_st_close(a);
    capt_st_close(b);
    return rc;
}

static int run_diff(capt_prog *p)
{
    int a = is_safetensors(p->argv[1]), b = is_safetensors(p->argv[2]);
    if (a != b)
        return capt_fail(&p->err, CAPT_EDATA, "%s and %s: one is a store, the other is not", p->argv[1], p->argv[2]);
    return a ? diff_weights(p) : diff_stores(p);
}

/* ---- subcommands ---- */

/* Every image of --ids must be in the store. */
static int has_ids(capt_prog *p, const char *path)
{
    capt_captions *want = NULL;
    capt_store *s = capt_captions_read(&ids_path, 1, NULL, &want, &p->err) ? NULL : capt_store_open(path, &p->err);
    int rc = s ? 0 : -1;
    size_t missing = 0, first = 0;
    for (size_t i = 0; s && i < want->n; i++)
        if (!capt_store_has(s, &want->v[i].id) && missing++ == 0)
            first = i;
    if (missing) {
        char key[CAPT_ID_KEY];
        capt_id_key(&want->v[first].id, key);
        rc = capt_fail(&p->err, CAPT_EDATA, "%s: %zu of %zu images of %s are missing, the first is %.100s", path, missing, want->n, ids_path, key);
    }
    capt_store_close(s);
    capt_captions_free(want);
    return rc;
}

static int each_checked(capt_prog *p, int quick)
{
    for (int i = 1; i < p->argc; i++) {
        if (prog_in_child(check, &quick, p->argv[i], &p->err) || (ids_path && has_ids(p, p->argv[i])))
            return -1;
        printf("%s: %s\n", p->argv[i], quick ? "looks whole (the middle was not read)" : "whole");
    }
    return 0;
}

static int run_info(capt_prog *p)
{
    int rc = 0;
    for (int i = 1; i < p->argc && rc == 0; i++)
        rc = is_safetensors(p->argv[i]) ? st_info(p, p->argv[i]) : store_info(p, p->argv[i]);
    return rc;
}

static int run_ls(capt_prog *p)
{
    return is_safetensors(p->argv[1]) ? st_ls(p, p->argv[1]) : store_ls(p, p->argv[1]);
}

static int run_quickcheck(capt_prog *p) { return each_checked(p, 1); }
static int run_verify(capt_prog *p) { return each_checked(p, 0); }

static int run_merge(capt_prog *p)
{
    struct rlimit files; /* a thousand shards are a thousand open files */
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &files);
    }
    if (capt_store_merge((const char *const *)(void *)(p->argv + 1), p->argc - 1, out_path, resume, &p->err))
        return -1;
    return ids_path ? has_ids(p, out_path) : 0;
}

static const struct command { const char *name; int min, max, writes, reads; int (*run)(capt_prog *p); } commands[] = {
    {"info", 1, -1, 0, 1, run_info},   {"quickcheck", 1, -1, 0, 0, run_quickcheck}, {"verify", 1, -1, 0, 0, run_verify},
    {"ls", 1, 1, 0, 1, run_ls},        {"dump", 1, 1, 0, 1, run_dump},              {"load", 0, -1, 1, 0, load},
    {"merge", 1, -1, 1, 1, run_merge}, {"compact", 1, 1, 1, 1, run_merge},          {"diff", 2, 2, 0, 1, run_diff}};

static int run(capt_prog *p)
{
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++) {
        const struct command *c = &commands[i];
        if (strcmp(p->argv[0], c->name) != 0)
            continue;
        if (p->argc - 1 < c->min || (c->max >= 0 && p->argc - 1 > c->max))
            return capt_prog_usage(p, "%s: wrong number of operands", c->name);
        if (c->writes && !out_path)
            return capt_prog_usage(p, "%s needs --out STORE", c->name);
        if (c->reads)
            prog_catch_damage(p); /* verify looks from outside; what only reads ends with a message */
        return c->run(p);
    }
    return capt_prog_usage(p, "unknown command \"%s\"; known: info, quickcheck, verify, ls, dump, load, merge, compact, diff", p->argv[0]);
}

static capt_prog prog = {
    .name = "capt-store",
    .synopsis = "info|quickcheck|verify|ls|dump|load|merge|compact|diff [options] FILE...",
    .about = "Looks into feature stores and checkpoints, checks and compares them, and turns them into text and back.",
    .opts = options,
    .min_args = 1,
    .max_args = -1,
    .run = run,
};
CAPT_MAIN(prog)
