#include "tensor/safetensors.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/bf16.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/json.h"
#include "base/mem.h"

enum { MAX_HEADER = 16 << 20 };

static const struct { const char *name; capt_dtype dtype; } types[] = {
    {"F32", CAPT_F32}, {"F16", CAPT_F16}, {"BF16", CAPT_BF16}, {"I32", CAPT_I32}, {"U8", CAPT_U8},
    {"I64", CAPT_I64}, {"F64", CAPT_F64}, {"BOOL", CAPT_U8}, /* last: written as U8 */
};
enum { N_TYPES = sizeof types / sizeof *types };

struct shard { capt_map map; json_t *header; }; /* the header keeps the names */
struct capt_st {
    CAPT_VEC(struct shard) shards;
    CAPT_VEC(capt_st_tensor) t;
};

static int by_name(const void *a, const void *b)
{
    return strcmp(((const capt_st_tensor *)a)->name, ((const capt_st_tensor *)b)->name);
}

static int by_data(const void *a, const void *b)
{
    const capt_st_tensor *x = a, *y = b;
    if (x->data != y->data)
        return (const char *)x->data < (const char *)y->data ? -1 : 1;
    return x->bytes < y->bytes ? -1 : x->bytes > y->bytes; /* empty ones first */
}

/* Multiplies the dimensions and the element size into *bytes; -1 if a dimension is negative or the product overflows. */
static int count_bytes(capt_dtype dtype, int ndim, const int64_t *dim, size_t *bytes)
{
    int empty = 0;
    *bytes = capt_dtype_size(dtype);
    for (int i = 0; i < ndim; i++) {
        if (dim[i] < 0)
            return -1;
        empty |= dim[i] == 0;
        if (dim[i] != 0 && capt_mul_size(*bytes, (size_t)dim[i], bytes))
            return -1;
    }
    if (*bytes > INT64_MAX)
        return -1;
    if (empty)
        *bytes = 0;
    return 0;
}

/* One entry of the header; data (n_data bytes) is what follows it. */
static int parse_tensor(capt_st_tensor *t, const char *name, const json_t *o, const unsigned char *data, size_t n_data, const char *where, capt_err *err)
{
    *t = (capt_st_tensor){.name = name, .dtype = CAPT_N_DTYPE};
    const char *type = json_string_value(json_object_get(o, "dtype"));
    const json_t *shape = json_object_get(o, "shape"), *offsets = json_object_get(o, "data_offsets");
    if (!type || !json_is_array(shape) || !json_is_array(offsets) || json_array_size(offsets) != 2)
        return capt_fail(err, CAPT_EDATA, "%s: tensor \"%s\": dtype, shape or data_offsets is missing or malformed", where, name);
    for (int i = 0; i < N_TYPES; i++)
        if (strcmp(types[i].name, type) == 0)
            t->dtype = types[i].dtype;
    if (t->dtype == CAPT_N_DTYPE)
        return capt_fail(err, CAPT_EDATA, "%s: tensor \"%s\": dtype %.20s is not known", where, name, type);
    if (json_array_size(shape) > CAPT_ST_MAX_DIM)
        return capt_fail(err, CAPT_EDATA, "%s: tensor \"%s\": %zu dimensions, at most %d are read", where, name, json_array_size(shape), CAPT_ST_MAX_DIM);
    t->ndim = (int)json_array_size(shape);
    for (int i = 0; i < CAPT_ST_MAX_DIM; i++) {
        const json_t *d = i < t->ndim ? json_array_get(shape, (size_t)i) : NULL;
        if (d && !json_is_integer(d))
            return capt_fail(err, CAPT_EDATA, "%s: tensor \"%s\": dimension %d is not an integer", where, name, i);
        t->dim[i] = d ? json_integer_value(d) : 1;
    }
    if (count_bytes(t->dtype, t->ndim, t->dim, &t->bytes))
        return capt_fail(err, CAPT_EDATA, "%s: tensor \"%s\": impossible shape", where, name);
    const json_t *b = json_array_get(offsets, 0), *e = json_array_get(offsets, 1);
    if (!json_is_integer(b) || !json_is_integer(e) || json_integer_value(b) < 0 || json_integer_value(e) < json_integer_value(b) ||
        (uint64_t)json_integer_value(e) > n_data)
        return capt_fail(err, CAPT_EDATA, "%s: tensor \"%s\": data_offsets outside the file", where, name);
    if ((uint64_t)(json_integer_value(e) - json_integer_value(b)) != t->bytes)
        return capt_fail(err, CAPT_EDATA, "%s: tensor \"%s\": %lld bytes of data, its shape needs %zu", where, name,
                         (long long)(json_integer_value(e) - json_integer_value(b)), t->bytes);
    t->data = data + json_integer_value(b);
    return 0;
}

static int foreign(const unsigned char *p, size_t n, const char *where, capt_err *err)
{
    if (n >= 4 && (memcmp(p, "PK\3\4", 4) == 0 || (p[0] == 0x80 && p[1] >= 2 && p[1] <= 5))) {
        size_t tail = n < 1 << 20 ? n : 1 << 20; /* a program (CLIP's own .pt files) lists its constants in the archive's directory, at the end */
        int program = memmem(p + n - tail, tail, "constants.pkl", 13) != NULL;
        return capt_fail(err, CAPT_EDATA, "%s: a Python pickle, which is not read because it can run code; convert it once: python3 -c "
                         "\"import torch; from safetensors.torch import save_file; d = torch.%s; "
                         "save_file({k: v.clone().contiguous() for k, v in d.items() if v.dim()}, 'model.safetensors')\" '%s'", where,
                         program ? "jit.load(__import__('sys').argv[1], 'cpu').state_dict()" : "load(__import__('sys').argv[1], 'cpu', weights_only=True)", where);
    }
    if (n == 0)
        return capt_fail(err, CAPT_EDATA, "%s: the file is empty", where);
    if (n >= 20 && memcmp(p + 16, "\xde\xc0\xef\xbe", 4) == 0) /* LMDB's magic */
        return capt_fail(err, CAPT_EDATA, "%s: a feature store, no checkpoint or weights", where);
    if (n >= 16 && memcmp(p, "version https://", 16) == 0)
        return capt_fail(err, CAPT_EDATA, "%s: a Git LFS pointer, not the file itself", where);
    return 0;
}

/* Appends the tensors of one file, which st then owns, also on failure. */
static int add_file(capt_st *st, capt_map map, int owned, const char *where, capt_err *err)
{
    struct shard sh = {owned ? map : (capt_map){0}, NULL};
    capt_vec_push(&st->shards, sh);
    const unsigned char *p = map.p;
    if (foreign(p, map.n, where, err))
        return -1;
    uint64_t len = 0;
    for (int i = 0; i < 8 && map.n >= 8; i++)
        len |= (uint64_t)p[i] << (8 * i);
    if (map.n < 8 || len > map.n - 8)
        return capt_fail(err, CAPT_EDATA, "%s: not a safetensors file, or cut: %zu bytes, header of %llu", where, map.n, (unsigned long long)len);
    if (len > MAX_HEADER)
        return capt_fail(err, CAPT_EDATA, "%s: header of %llu bytes, at most %d are read", where, (unsigned long long)len, MAX_HEADER);
    json_t *header = capt_json_parse((const char *)p + 8, (size_t)len, where, err);
    st->shards.v[st->shards.n - 1].header = header;
    if (!header)
        return -1;
    if (!json_is_object(header))
        return capt_fail(err, CAPT_EDATA, "%s: the header is not an object", where);

    const unsigned char *data = p + 8 + len;
    size_t n_data = map.n - 8 - (size_t)len, first = st->t.n;
    const char *key;
    json_t *value;
    json_object_foreach(header, key, value) {
        capt_st_tensor t;
        if (strcmp(key, "__metadata__") != 0) {
            if (parse_tensor(&t, key, value, data, n_data, where, err))
                return -1;
            t.mapped = owned;
            capt_vec_push(&st->t, t);
            continue;
        }
        const char *k;
        json_t *v;
        if (!json_is_object(value))
            return capt_fail(err, CAPT_EDATA, "%s: __metadata__ is not an object", where);
        json_object_foreach(value, k, v)
            if (!json_is_string(v))
                return capt_fail(err, CAPT_EDATA, "%s: __metadata__ \"%s\" is not a string", where, k);
    }
    if (st->t.n > first)
        qsort(st->t.v + first, st->t.n - first, sizeof *st->t.v, by_data);
    const unsigned char *end = data;
    for (size_t i = first; i < st->t.n; i++) {
        if (st->t.v[i].data != end)
            return capt_fail(err, CAPT_EDATA, "%s: tensor \"%s\": its data overlap others or leave a hole", where, st->t.v[i].name);
        end += st->t.v[i].bytes;
    }
    if (end != data + n_data)
        return capt_fail(err, CAPT_EDATA, "%s: %zu bytes after the last tensor", where, (size_t)(data + n_data - end));
    return 0;
}

/* Sorts by name and refuses what occurs in two shards. */
static int finish(capt_st *st, const char *where, capt_err *err)
{
    if (st->t.n)
        qsort(st->t.v, st->t.n, sizeof *st->t.v, by_name);
    for (size_t i = 1; i < st->t.n; i++)
        if (by_name(&st->t.v[i - 1], &st->t.v[i]) == 0)
            return capt_fail(err, CAPT_EDATA, "%s: tensor \"%s\" is there twice", where, st->t.v[i].name);
    return 0;
}

static int open_file(capt_st *st, const char *path, capt_err *err)
{
    capt_map map;
    return capt_map_open(&map, path, err) ? -1 : add_file(st, map, 1, path, err);
}

static int open_index(capt_st *st, const char *path, capt_err *err)
{
    json_t *index = capt_json_load(path, err);
    if (!index)
        return -1;
    json_t *files = capt_json_object(index, "weight_map", path, err), *seen = json_object();
    const char *name, *slash = strrchr(path, '/');
    json_t *file;
    int rc = files ? 0 : -1;
    json_object_foreach(files, name, file) {
        const char *f = json_string_value(file);
        if (rc)
            break;
        if (!f || strchr(f, '/') || f[0] == '.' || f[0] == '\0') {
            rc = capt_fail(err, CAPT_EDATA, "%s: \"%s\" names no file beside the index", path, name);
            break;
        }
        if (json_object_get(seen, f))
            continue;
        capt_str s = {0};
        capt_str_printf(&s, "%.*s%s", slash ? (int)(slash - path + 1) : 0, path, f);
        rc = open_file(st, s.s, err);
        capt_str_free(&s);
        json_object_set_new(seen, f, json_integer((json_int_t)st->shards.n - 1));
    }
    rc = rc ? rc : finish(st, path, err);
    json_object_foreach(files, name, file) {
        if (rc)
            break;
        size_t at = (size_t)json_integer_value(json_object_get(seen, json_string_value(file)));
        if (!json_object_get(st->shards.v[at].header, name))
            rc = capt_fail(err, CAPT_EDATA, "%s: tensor \"%s\" is not in %s", path, name, json_string_value(file));
    }
    json_decref(seen);
    json_decref(index);
    return rc;
}

/* What a folder as it is published holds; the first that is there counts. */
static const char *const in_folder[] = {"model.safetensors.index.json", "model.safetensors", "open_clip_model.safetensors.index.json", "open_clip_model.safetensors"};
enum { N_IN_FOLDER = sizeof in_folder / sizeof *in_folder };

/* path itself, or the file meant in the folder path. */
static int find_file(const char *path, capt_str *file, capt_err *err)
{
    struct stat sb;
    if (stat(path, &sb) || !S_ISDIR(sb.st_mode)) {
        capt_str_puts(file, path);
        return 0;
    }
    for (int i = 0; i < N_IN_FOLDER; i++) {
        capt_str_clear(file);
        capt_str_printf(file, "%s/%s", path, in_folder[i]);
        if (stat(file->s, &sb) == 0)
            return 0;
    }
    return capt_fail(err, CAPT_EDATA, "%s: a folder without %s, %s or open_clip_model.safetensors", path, in_folder[0], in_folder[1]);
}

static int open_path(capt_st *st, const char *path, capt_err *err)
{
    size_t n = strlen(path);
    if (n > 5 && strcmp(path + n - 5, ".json") == 0)
        return open_index(st, path, err);
    return open_file(st, path, err) || finish(st, path, err) ? -1 : 0;
}

capt_st *capt_st_open(const char *path, capt_err *err)
{
    capt_st *st = capt_alloc(sizeof *st);
    capt_str file = {0};
    int rc = find_file(path, &file, err) || open_path(st, file.s, err);
    capt_str_free(&file);
    if (rc) {
        capt_st_close(st);
        return NULL;
    }
    return st;
}

void capt_st_hash(const capt_st *st, char hex[33])
{
    capt_hasher *h = capt_hasher_new();
    for (size_t i = 0; i < st->shards.n; i++)
        capt_hasher_add(h, st->shards.v[i].map.p, st->shards.v[i].map.n);
    capt_hasher_end(h, hex);
}

capt_st *capt_st_parse(const void *p, size_t n, const char *where, capt_err *err)
{
    capt_st *st = capt_alloc(sizeof *st);
    if (add_file(st, (capt_map){p, n}, 0, where, err) || finish(st, where, err)) {
        capt_st_close(st);
        return NULL;
    }
    return st;
}

void capt_st_close(capt_st *st)
{
    if (!st)
        return;
    for (size_t i = 0; i < st->shards.n; i++) {
        json_decref(st->shards.v[i].header);
        capt_map_close(&st->shards.v[i].map);
    }
    capt_vec_free(&st->shards);
    capt_vec_free(&st->t);
    free(st);
}

size_t capt_st_n(const capt_st *st)
{
    return st->t.n;
}

const capt_st_tensor *capt_st_at(const capt_st *st, size_t i)
{
    return &st->t.v[i];
}

const capt_st_tensor *capt_st_find(const capt_st *st, const char *name)
{
    capt_st_tensor key = {.name = name};
    return st->t.n ? bsearch(&key, st->t.v, st->t.n, sizeof key, by_name) : NULL;
}

const json_t *capt_st_metadata(const capt_st *st)
{
    return st->shards.n ? json_object_get(st->shards.v[0].header, "__metadata__") : NULL;
}

const char *capt_st_meta(const capt_st *st, const char *key)
{
    return json_string_value(json_object_get(capt_st_metadata(st), key));
}

int64_t capt_st_numel(const capt_st_tensor *t)
{
    return (int64_t)(t->bytes / capt_dtype_size(t->dtype));
}

/* element i, which may lie unaligned */
static double element(const capt_st_tensor *t, int64_t i)
{
    union { float f; uint16_t h; int32_t i; int64_t l; double d; uint8_t u; } v;
    size_t size = capt_dtype_size(t->dtype);
    memcpy(&v, (const char *)t->data + (size_t)i * size, size);
    switch (t->dtype) {
    case CAPT_F32: return (double)v.f;
    case CAPT_F16: return (double)capt_f16_to_f32(v.h);
    case CAPT_BF16: return (double)capt_bf16_to_f32(v.h);
    case CAPT_I32: return v.i;
    case CAPT_I64: return (double)v.l;
    case CAPT_F64: return v.d;
    default: return v.u;
    }
}

void capt_st_to_f32(const capt_st_tensor *t, float *out)
{
    int64_t n = capt_st_numel(t);
    const char *p = t->data;
    if (t->dtype == CAPT_F32 && n)
        memcpy(out, p, t->bytes);
    else if (t->dtype == CAPT_F16 && (uintptr_t)p % 2 == 0)
        capt_f16_to_f32s((const uint16_t *)(const void *)p, n, out);
    else if (t->dtype == CAPT_BF16)
        for (int64_t i = 0; i < n; i++) {
            uint16_t h;
            memcpy(&h, p + 2 * i, 2);
            out[i] = capt_bf16_to_f32(h);
        }
    else
        for (int64_t i = 0; i < n; i++)
            out[i] = (float)element(t, i);
}

capt_st_tensor capt_st_part(const capt_st_tensor *t, int64_t from, int64_t n)
{
    capt_st_tensor part = *t;
    size_t size = capt_dtype_size(t->dtype);
    part.data = (const char *)t->data + (size_t)from * size;
    part.bytes = (size_t)n * size;
    part.ndim = 1;
    for (int i = 0; i < CAPT_ST_MAX_DIM; i++)
        part.dim[i] = i ? 1 : n;
    return part;
}

void capt_st_to_real(const capt_st_tensor *t, capt_real *out)
{
#ifdef CAPT_REAL64
    int64_t n = capt_st_numel(t);
    for (int64_t i = 0; i < n; i++)
        out[i] = element(t, i);
#else
    capt_st_to_f32(t, out);
#endif
}

/* whether any of the n 16-bit numbers at p has all the bits of its exponent set */
static int any_full(const char *p, int64_t n, uint16_t exponent)
{
    int full = 0;
    for (int64_t i = 0; i < n; i++) {
        uint16_t h;
        memcpy(&h, p + 2 * i, 2);
        full |= (h & exponent) == exponent;
    }
    return full;
}

int64_t capt_st_not_finite(const capt_st_tensor *t)
{
    enum { CHUNK = 1 << 12 };
    int64_t n = capt_st_numel(t);
    const char *p = t->data;
    for (int64_t i = 0; i < n; i += CHUNK) {
        int64_t k = n - i < CHUNK ? n - i : CHUNK;
        int full = 1;
        if (t->dtype == CAPT_F16 || t->dtype == CAPT_BF16) {
            full = any_full(p + 2 * i, k, t->dtype == CAPT_F16 ? 0x7c00 : 0x7f80);
        } else if (t->dtype == CAPT_F32) {
            full = 0;
            for (int64_t j = i; j < i + k; j++) {
                uint32_t u;
                memcpy(&u, p + 4 * j, 4);
                full |= (u & 0x7f800000) == 0x7f800000;
            }
        }
        for (int64_t j = i; full && j < i + k; j++)
            if (!isfinite(element(t, j)))
                return j;
    }
    return -1;
}

void capt_st_leave(const capt_st_tensor *t)
{
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE), from = (uintptr_t)t->data / page * page, to = ((uintptr_t)t->data + t->bytes) / page * page;
    if (t->mapped && from < to) /* the last page is the next tensor's too, and is left with it */
        madvise((void *)from, to - from, MADV_DONTNEED);
}

/* ---- writing */
struct item { char *name; capt_dtype dtype; int ndim; int64_t dim[CAPT_ST_MAX_DIM]; size_t bytes; const void *data; capt_st_source source; void *arg; };
struct capt_st_writer {
    CAPT_VEC(struct item) items;
    json_t *meta;
};

capt_st_writer *capt_st_writer_new(void)
{
    return capt_alloc(sizeof(capt_st_writer));
}

void capt_st_writer_free(capt_st_writer *w)
{
    if (!w)
        return;
    for (size_t i = 0; i < w->items.n; i++)
        free(w->items.v[i].name);
    capt_vec_free(&w->items);
    json_decref(w->meta);
    free(w);
}

static int add_item(capt_st_writer *w, struct item it, const char *name, const int64_t *dim, capt_err *err)
{
    if ((unsigned)it.dtype >= CAPT_N_DTYPE || it.ndim < 0 || it.ndim > CAPT_ST_MAX_DIM || count_bytes(it.dtype, it.ndim, dim, &it.bytes))
        return capt_fail(err, CAPT_EDATA, "tensor \"%s\": impossible type or shape", name);
    if (strcmp(name, "__metadata__") == 0 || capt_utf8_check(name, strlen(name)) >= 0)
        return capt_fail(err, CAPT_EDATA, "tensor \"%s\": not a name to be written", name);
    for (int i = 0; i < it.ndim; i++)
        it.dim[i] = dim[i];
    it.name = capt_strdup(name);
    capt_vec_push(&w->items, it);
    return 0;
}

int capt_st_writer_add(capt_st_writer *w, const char *name, capt_dtype dtype, int ndim, const int64_t *dim, const void *data, capt_err *err)
{
    return add_item(w, (struct item){.dtype = dtype, .ndim = ndim, .data = data}, name, dim, err);
}

int capt_st_writer_add_from(capt_st_writer *w, const char *name, capt_dtype dtype, int ndim, const int64_t *dim, capt_st_source source, void *arg, capt_err *err)
{
    return add_item(w, (struct item){.dtype = dtype, .ndim = ndim, .source = source, .arg = arg}, name, dim, err);
}

int capt_st_writer_meta(capt_st_writer *w, const char *key, const char *value, capt_err *err)
{
    if (!w->meta)
        w->meta = json_object();
    if (json_object_set_new(w->meta, key, json_string(value)))
        return capt_fail(err, CAPT_EDATA, "metadata \"%s\": not UTF-8", key);
    return 0;
}

static int by_layout(const void *a, const void *b)
{
    const struct item *x = a, *y = b;
    size_t nx = capt_dtype_size(x->dtype), ny = capt_dtype_size(y->dtype);
    return nx != ny ? (nx > ny ? -1 : 1) : strcmp(x->name, y->name);
}

/* The header's text, padded, or NULL. */
static char *header_text(capt_st_writer *w, size_t *n, capt_err *err)
{
    json_t *h = json_object();
    if (w->meta)
        json_object_set(h, "__metadata__", w->meta);
    size_t at = 0;
    for (size_t i = 0; i < w->items.n; i++) {
        const struct item *it = &w->items.v[i];
        const char *type = NULL;
        for (int j = N_TYPES - 1; j >= 0; j--)
            if (types[j].dtype == it->dtype)
                type = types[j].name;
        json_t *shape = json_array();
        for (int j = 0; j < it->ndim; j++)
            json_array_append_new(shape, json_integer(it->dim[j]));
        if (json_object_get(h, it->name) || it->bytes > INT64_MAX - at) {
            capt_fail(err, CAPT_EDATA, "tensor \"%s\": twice or too large", it->name);
            json_decref(shape);
            json_decref(h);
            return NULL;
        }
        json_object_set_new(h, it->name, json_pack("{s:s, s:o, s:[I,I]}", "dtype", type, "shape", shape, "data_offsets", (json_int_t)at,
                                                   (json_int_t)(at + it->bytes)));
        at += it->bytes;
    }
    char *text = json_dumps(h, JSON_COMPACT);
    json_decref(h);
    size_t len = text ? strlen(text) : 0, padded = (len + 8 + 63) / 64 * 64 - 8;
    if (!text || padded > MAX_HEADER) {
        capt_fail(err, CAPT_EDATA, "header of %zu bytes, at most %d can be read again", len, MAX_HEADER);
        free(text);
        return NULL;
    }
    text = capt_realloc(text, padded + 1);
    memset(text + len, ' ', padded - len);
    *n = padded;
    return text;
}

static int put_data(FILE *f, const struct item *it, capt_err *err)
{
    enum { CHUNK = 1 << 20 };
    if (it->data || it->bytes == 0) { /* errors of the stream are found by capt_out_finish */
        if (it->bytes)
            fwrite(it->data, 1, it->bytes, f);
        return 0;
    }
    char *buf = capt_alloc(CHUNK);
    int rc = 0;
    for (size_t at = 0; rc == 0 && at < it->bytes && !ferror(f); at += CHUNK) {
        size_t n = it->bytes - at < CHUNK ? it->bytes - at : CHUNK;
        rc = it->source(it->arg, at, buf, n, err);
        if (rc == 0)
            fwrite(buf, 1, n, f);
    }
    free(buf);
    return rc;
}

int capt_st_writer_finish(capt_st_writer *w, const char *path, capt_err *err)
{
    size_t n = 0;
    if (w->items.n)
        qsort(w->items.v, w->items.n, sizeof *w->items.v, by_layout);
    char *text = header_text(w, &n, err);
    if (!text)
        capt_err_prefix(err, "%s", path);
    capt_out *o = text ? capt_out_open(path, err) : NULL;
    int rc = o ? 0 : -1;
    if (o) {
        FILE *f = capt_out_file(o);
        for (int i = 0; i < 8; i++)
            putc((int)((uint64_t)n >> (8 * i) & 0xff), f);
        fwrite(text, 1, n, f);
        for (size_t i = 0; rc == 0 && i < w->items.n; i++)
            rc = put_data(f, &w->items.v[i], err);
        if (rc)
            capt_out_abandon(o);
        else
            rc = capt_out_finish(o, err);
    }
    free(text);
    capt_st_writer_free(w);
    return rc;
}
