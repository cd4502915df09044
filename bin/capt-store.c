/* capt-store: looks into feature stores and safetensors files, checks them, and turns stores into text and back. */
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/file.h"
#include "base/hash.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/str.h"
#include "common/prog.h"
#include "model/checkpoint.h"
#include "record/ndjson.h"
#include "store/store.h"
#include "tensor/safetensors.h"

static const char *out_path, *manifest_path;
static capt_strs ids;
static int as_json, resume;
static double tolerance;

static const capt_opt options[] = {
    {"out", CAPT_O_STR, &out_path, "STORE", "store to write (merge, compact, load)", 0, 0, 1, 0},
    {"id", CAPT_O_STRS, &ids, "ID", "this image only; may be repeated (dump)", 0, 0, 0, 0},
    {"manifest", CAPT_O_STR, &manifest_path, "FILE", "what info --json printed of the dumped store (load)", 0, 0, 1, 0},
    {"resume", CAPT_O_FLAG, &resume, NULL, "continue STORE.part (load)", 0, 0, 1, 0},
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
    if (rc == 0 && capt_checkpoint_is(path)) /* metadata too */
        rc = capt_checkpoint_check(st, "", path, err);
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
        char *prep = json_dumps(m->preprocess, JSON_COMPACT | JSON_ENCODE_ANY);
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

static int check_here(const char *path, int quick, capt_err *err)
{
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

/* In a child, since LMDB follows damaged page pointers wherever they lead. */
static int check_file(const char *path, int quick, capt_err *err)
{
    int ends[2];
    fflush(NULL);
    if (pipe(ends))
        return capt_fail_errno(err, "pipe");
    pid_t child = fork();
    if (child < 0)
        return capt_fail_errno(err, "fork");
    if (child == 0) {
        close(ends[0]);
        signal(SIGSEGV, SIG_DFL);
        signal(SIGBUS, SIG_DFL);
        if (!freopen("/dev/null", "w", stderr)) /* LMDB's assertions print */
            _exit(3);
        capt_err e = CAPT_ERR_INIT;
        int rc = check_here(path, quick, &e);
        if (rc && write(ends[1], &e, sizeof e) != (ssize_t)sizeof e)
            _exit(3);
        _exit(rc ? 1 : 0);
    }
    close(ends[1]);
    capt_err e = CAPT_ERR_INIT;
    ssize_t n = read(ends[0], &e, sizeof e);
    close(ends[0]);
    int status;
    waitpid(child, &status, 0);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
        return 0;
    if (n == (ssize_t)sizeof e && e.code)
        return capt_fail(err, e.code, "%s", e.text);
    if (WIFSIGNALED(status))
        return capt_fail(err, CAPT_EDATA, "%s: damaged: reading it ends by signal %d", path, WTERMSIG(status));
    return capt_fail(err, CAPT_EDATA, "%s: damaged", path);
}

/* ---- dump, load ---- */

static void dump_record(const capt_id *id, const capt_feature *f, capt_str *b, capt_str *x)
{
    capt_str_clear(b);
    json_t *j = capt_id_json(id);
    capt_json_line(j, x);
    json_decref(j);
    capt_str_puts(b, "{\"id\":");
    capt_str_add(b, x->s, x->n - 1);
    capt_str_puts(b, ",\"sections\":[");
    capt_str_clear(x);
    for (int i = 0; i < f->n; i++) {
        const capt_section *s = &f->section[i];
        size_t n = (size_t)s->rows * (size_t)s->dim;
        float *v = capt_alloc(n * sizeof *v + 1);
        capt_feature_to_f32(s, v);
        capt_str_printf(b, "%s{\"name\":\"%s\",\"dtype\":\"%s\",\"dim\":%d,\"rows\":[", i ? "," : "", s->name, capt_dtype_name(s->dtype), s->dim);
        for (size_t k = 0; k < n; k++)
            capt_str_printf(b, "%s%.9g", k % (size_t)s->dim ? "," : k ? "],[" : "[", (double)v[k]);
        capt_str_puts(b, n ? "]]}" : "]}");
        free(v);
    }
    capt_str_puts(b, "]}\n");
    fwrite(b->s, 1, b->n, stdout);
}

static int dump(capt_prog *p, const char *path)
{
    capt_store *s = capt_store_open(path, &p->err);
    if (!s)
        return -1;
    capt_str b = {0}, x = {0};
    capt_feature f;
    capt_id id;
    int rc = 0, is_int = capt_store_meta_of(s)->int_ids == 1;
    for (size_t i = 0; i < ids.n && rc == 0; i++) {
        rc = capt_id_parse(ids.v[i], is_int, &id, &p->err);
        int got = rc ? -1 : capt_store_get(s, &id, &f, &p->err);
        if (got == 1)
            dump_record(&id, &f, &b, &x);
        else
            rc = got < 0 ? -1 : capt_fail(&p->err, CAPT_EDATA, "%s: no image %s", path, ids.v[i]);
    }
    if (ids.n == 0) {
        capt_store_iter *it = capt_store_iter_new(s, &p->err);
        rc = it ? 1 : -1;
        while (rc == 1) {
            rc = capt_store_iter_next(it, &id, &f, &p->err);
            if (rc == 1)
                dump_record(&id, &f, &b, &x);
        }
        capt_store_iter_free(it);
    }
    capt_str_free(&b);
    capt_str_free(&x);
    capt_store_close(s);
    return rc;
}

struct loaded { capt_section s[CAPT_SECTIONS_MAX]; capt_str x, packed[CAPT_SECTIONS_MAX]; int n; };

static void *scratch(capt_str *b, size_t n)
{
    if (n > b->cap) {
        b->s = capt_realloc(b->s, n);
        b->cap = n;
    }
    return b->s;
}

static int load_section(const json_t *o, capt_section *s, capt_str *x, capt_str *packed, const char *where, capt_err *err)
{
    const char *name, *dtype;
    int64_t dim;
    const json_t *rows = capt_json_array(o, "rows", where, err);
    if (!rows || capt_json_str(o, "name", &name, where, err) || capt_json_str(o, "dtype", &dtype, where, err) || capt_json_int(o, "dim", &dim, where, err))
        return -1;
    int t = CAPT_F32;
    while (t <= CAPT_BF16 && strcmp(dtype, capt_dtype_name((capt_dtype)t)) != 0)
        t++;
    if (t > CAPT_BF16 || !*name || strlen(name) > CAPT_SECTION_NAME || dim < 1 || dim > 1 << 20)
        return capt_fail(err, CAPT_EDATA, "%s: bad section: name of 1 to %d bytes, dtype f32, f16 or bf16, dim >= 1", where, CAPT_SECTION_NAME);
    *s = (capt_section){.dtype = (capt_dtype)t, .rows = (int)json_array_size(rows), .dim = (int)dim};
    memcpy(s->name, name, strlen(name));
    size_t n = (size_t)s->rows * (size_t)dim;
    float *v = scratch(x, n * sizeof *v + 1);
    for (int r = 0; r < s->rows; r++) {
        const json_t *row = json_array_get(rows, (size_t)r);
        if (!json_is_array(row) || (int64_t)json_array_size(row) != dim)
            return capt_fail(err, CAPT_EDATA, "%s: \"%s\": row %d has not %lld numbers", where, s->name, r, (long long)dim);
        for (int c = 0; c < dim; c++) {
            const json_t *number = json_array_get(row, (size_t)c);
            if (!json_is_number(number))
                return capt_fail(err, CAPT_EDATA, "%s: \"%s\": row %d, column %d is no number", where, s->name, r, c);
            v[(size_t)r * (size_t)dim + (size_t)c] = (float)json_number_value(number);
        }
    }
    s->data = scratch(packed, n * capt_dtype_size(s->dtype) + 1);
    int64_t bad = capt_feature_from_f32(v, (int64_t)n, s->dtype, packed->s);
    if (bad >= 0)
        return capt_fail(err, CAPT_EDATA, "%s: \"%s\": row %lld, column %lld does not fit %s", where, s->name, (long long)(bad / dim), (long long)(bad % dim), dtype);
    return 0;
}

static int load_record(const json_t *o, capt_id *id, struct loaded *l, const char *where, capt_err *err)
{
    if (!json_object_get(o, "id"))
        return capt_fail(err, CAPT_EDATA, "%s: \"id\" is missing", where);
    const json_t *sections = capt_json_array(o, "sections", where, err);
    if (!sections || capt_id_from_json(json_object_get(o, "id"), id, where, err))
        return -1;
    l->n = (int)json_array_size(sections);
    if (l->n < 1 || l->n > CAPT_SECTIONS_MAX)
        return capt_fail(err, CAPT_EDATA, "%s: 1 to %d sections", where, CAPT_SECTIONS_MAX);
    for (int i = 0; i < l->n; i++)
        if (load_section(json_array_get(sections, (size_t)i), &l->s[i], &l->x, &l->packed[i], where, err))
            return -1;
    return 0;
}

static capt_store *start_load(const struct loaded *l, capt_err *err)
{
    capt_store_meta m = {.int_ids = -1, .dtype = l->s[0].dtype, .n_sections = l->n};
    json_t *j = NULL;
    if (manifest_path) {
        j = capt_json_load(manifest_path, err);
        if (!j || capt_store_meta_from_json(j, &m, manifest_path, err)) {
            json_decref(j);
            return NULL;
        }
    } else {
        for (int i = 0; i < l->n; i++) {
            m.section[i] = (capt_store_section){"", l->s[i].dtype, 0, l->s[i].dim};
            memcpy(m.section[i].name, l->s[i].name, sizeof m.section[i].name);
        }
    }
    capt_store *s = capt_store_create(out_path, &m, resume, err);
    json_decref(j);
    return s;
}

static int load(capt_prog *p)
{
    capt_ndjson *in = capt_ndjson_new((const char *const *)(void *)(p->argv + 1), (size_t)(p->argc - 1), (size_t)64 << 20);
    struct loaded l = {0};
    capt_store *s = NULL;
    int got;
    capt_prog_catch();
    do {
        json_t *o = NULL;
        capt_id id;
        got = capt_prog_stopping() ? capt_prog_stopped(p, "load") : capt_ndjson_next(in, &o, &p->err);
        if (got == 1) {
            got = load_record(o, &id, &l, capt_ndjson_where(in), &p->err) ? -1 : 1;
            if (got == 1 && !s)
                s = start_load(&l, &p->err);
            if (!s || (got == 1 && !(resume && capt_store_has(s, &id)) && capt_store_put(s, &id, l.s, l.n, &p->err)))
                got = -1;
        }
        json_decref(o);
    } while (got == 1);
    if (got == 0 && !s)
        got = capt_fail(&p->err, CAPT_EDATA, "no records to load");
    if (got == 0)
        got = capt_store_finish(s, &p->err);
    else if (p->err.code == CAPT_EDATA && !resume)
        capt_store_discard(s);
    else
        capt_store_abandon(s);
    capt_str_free(&l.x);
    for (int i = 0; i < CAPT_SECTIONS_MAX; i++)
        capt_str_free(&l.packed[i]);
    capt_ndjson_free(in);
    return got;
}

/* ---- diff ---- */

struct difference { int64_t both, only_a, only_b, shapes; double max_abs, dot, aa, bb, min_cosine; };

static void compare(const capt_feature *a, const capt_feature *b, struct difference *d)
{
    d->both++;
    int same = a->n == b->n;
    for (int i = 0; same && i < a->n; i++)
        same = strcmp(a->section[i].name, b->section[i].name) == 0 && a->section[i].rows == b->section[i].rows && a->section[i].dim == b->section[i].dim;
    d->shapes += !same;
    double dot = 0, aa = 0, bb = 0;
    for (int i = 0; same && i < a->n; i++) {
        size_t n = (size_t)a->section[i].rows * (size_t)a->section[i].dim;
        float *x = capt_alloc(n * sizeof *x + 1), *y = capt_alloc(n * sizeof *y + 1);
        capt_feature_to_f32(&a->section[i], x);
        capt_feature_to_f32(&b->section[i], y);
        for (size_t k = 0; k < n; k++) {
            d->max_abs = fmax(d->max_abs, fabs((double)x[k] - (double)y[k]));
            dot += (double)x[k] * y[k];
            aa += (double)x[k] * x[k];
            bb += (double)y[k] * y[k];
        }
        free(x);
        free(y);
    }
    if (same)
        d->min_cosine = fmin(d->min_cosine, aa > 0 && bb > 0 ? dot / (sqrt(aa) * sqrt(bb)) : aa == bb ? 1 : 0);
}

static int diff(capt_prog *p, const char *path_a, const char *path_b)
{
    capt_err *err = &p->err;
    capt_store *a = capt_store_open(path_a, err), *b = a ? capt_store_open(path_b, err) : NULL;
    capt_store_iter *it = b ? capt_store_iter_new(a, err) : NULL;
    struct difference d = {.min_cosine = 1};
    capt_id id;
    capt_feature f, g;
    int got = it ? 1 : -1, comparable = it && capt_store_meta_of(a)->int_ids == capt_store_meta_of(b)->int_ids;
    while (got == 1) {
        got = capt_store_iter_next(it, &id, &f, err);
        if (got != 1)
            break;
        int there = comparable ? capt_store_get(b, &id, &g, err) : 0;
        if (there == 1)
            compare(&f, &g, &d);
        d.only_a += there == 0;
        got = there < 0 ? -1 : 1;
    }
    if (got == 0) {
        d.only_b = capt_store_count(b) - d.both;
        printf("images in both: %lld, only in %s: %lld, only in %s: %lld, of other shape: %lld\n", (long long)d.both, path_a, (long long)d.only_a, path_b,
               (long long)d.only_b, (long long)d.shapes);
        printf("largest difference: %.9g, smallest cosine of an image: %.12g\n", d.max_abs, d.min_cosine);
        if (d.only_a || d.only_b || d.shapes || d.max_abs > tolerance)
            got = capt_fail(err, CAPT_EDATA, "%s and %s differ", path_a, path_b);
    }
    capt_store_iter_free(it);
    capt_store_close(a);
    capt_store_close(b);
    return got;
}

/* ---- subcommands ---- */

static int each_checked(capt_prog *p, int quick)
{
    for (int i = 1; i < p->argc; i++) {
        if (check_file(p->argv[i], quick, &p->err))
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
static int run_dump(capt_prog *p) { return dump(p, p->argv[1]); }
static int run_diff(capt_prog *p) { return diff(p, p->argv[1], p->argv[2]); }

static int run_merge(capt_prog *p)
{
    return capt_store_merge((const char *const *)(void *)(p->argv + 1), p->argc - 1, out_path, &p->err);
}

static const struct command { const char *name; int min, max, writes; int (*run)(capt_prog *p); } commands[] = {
    {"info", 1, -1, 0, run_info},   {"quickcheck", 1, -1, 0, run_quickcheck}, {"verify", 1, -1, 0, run_verify},
    {"ls", 1, 1, 0, run_ls},        {"dump", 1, 1, 0, run_dump},              {"load", 0, -1, 1, load},
    {"merge", 1, -1, 1, run_merge}, {"compact", 1, 1, 1, run_merge},          {"diff", 2, 2, 0, run_diff}};

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
        return c->run(p);
    }
    return capt_prog_usage(p, "unknown command \"%s\"; known: info, quickcheck, verify, ls, dump, load, merge, compact, diff", p->argv[0]);
}

static capt_prog prog = {
    .name = "capt-store",
    .synopsis = "info|quickcheck|verify|ls|dump|load|merge|compact|diff [options] FILE...",
    .about = "Looks into feature stores and checkpoints, checks them, and turns stores into text and back.",
    .opts = options,
    .min_args = 1,
    .max_args = -1,
    .run = run,
};
CAPT_MAIN(prog)
