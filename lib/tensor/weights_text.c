#include "tensor/weights_text.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "base/bf16.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/str.h"

enum { LINE_NUMBERS = 1 << 16 };

union number { float f; uint16_t h; int32_t i; int64_t l; double d; uint8_t u; };

/* ---- to text ---- */

static int put_number(capt_str *b, const capt_st_tensor *t, int64_t i)
{
    union number v;
    size_t size = capt_dtype_size(t->dtype);
    memcpy(&v, (const char *)t->data + (size_t)i * size, size); /* it may lie unaligned */
    double x = 0;
    switch (t->dtype) {
    case CAPT_I32: capt_str_printf(b, "%d", (int)v.i); return 0;
    case CAPT_I64: capt_str_printf(b, "%lld", (long long)v.l); return 0;
    case CAPT_U8: capt_str_printf(b, "%d", v.u); return 0;
    case CAPT_F64: x = v.d; break;
    case CAPT_F32: x = v.f; break;
    case CAPT_F16: x = capt_f16_to_f32(v.h); break;
    default: x = capt_bf16_to_f32(v.h);
    }
    if (x == 0 && signbit(x))
        capt_str_puts(b, "-0.0"); /* -0 would be read as an integer, which has no sign */
    else
        capt_str_printf(b, "%.*g", t->dtype == CAPT_F64 ? 17 : 9, x);
    return isfinite(x) ? 0 : -1;
}

static int dump_tensor(const capt_st_tensor *t, capt_str *b, FILE *out, capt_err *err)
{
    int64_t n = capt_st_numel(t);
    for (int64_t from = 0; from == 0 || from < n; from += LINE_NUMBERS) {
        capt_str_clear(b);
        capt_str_puts(b, "{\"tensor\":");
        json_t *name = json_string(t->name);
        int bad = !name || capt_json_line(name, b);
        json_decref(name);
        if (bad)
            return capt_fail(err, CAPT_EDATA, "tensor \"%s\": the name is not UTF-8", t->name);
        b->n--; /* the newline */
        if (from) {
            capt_str_printf(b, ",\"from\":%lld", (long long)from);
        } else {
            capt_str_printf(b, ",\"dtype\":\"%s\",\"shape\":[", capt_dtype_name(t->dtype));
            for (int i = 0; i < t->ndim; i++)
                capt_str_printf(b, "%s%lld", i ? "," : "", (long long)t->dim[i]);
            capt_str_putc(b, ']');
        }
        capt_str_puts(b, ",\"values\":[");
        for (int64_t i = from; i < n && i < from + LINE_NUMBERS; i++) {
            if (i > from)
                capt_str_putc(b, ',');
            if (put_number(b, t, i))
                return capt_fail(err, CAPT_EDATA, "tensor \"%s\": element %lld is NaN or infinite, which JSON has not", t->name, (long long)i);
        }
        capt_str_puts(b, "]}\n");
        if (fwrite(b->s, 1, b->n, out) != b->n)
            return -1;
    }
    return 0;
}

int capt_weights_dump(const capt_st *st, FILE *out, capt_err *err)
{
    capt_str b = {0};
    int rc = 0;
    if (capt_st_metadata(st)) {
        json_t *o = json_object();
        json_object_set(o, "metadata", (json_t *)(uintptr_t)capt_st_metadata(st));
        rc = capt_json_line(o, &b) ? capt_fail(err, CAPT_EDATA, "the metadata are not UTF-8") : 0;
        json_decref(o);
        if (rc == 0 && fwrite(b.s, 1, b.n, out) != b.n)
            rc = -1;
    }
    for (size_t i = 0; i < capt_st_n(st) && rc == 0; i++)
        rc = dump_tensor(capt_st_at(st, i), &b, out, err);
    capt_str_free(&b);
    return rc;
}

/* ---- from text ---- */

typedef struct loaded { char *name; capt_dtype dtype; int ndim; int64_t dim[CAPT_ST_MAX_DIM], n, have; char *data; size_t cap; } loaded;
struct capt_weights_loader {
    CAPT_VEC(loaded) t;
    json_t *meta;
};

capt_weights_loader *capt_weights_loader_new(void)
{
    return capt_alloc(sizeof(capt_weights_loader));
}

void capt_weights_loader_free(capt_weights_loader *l)
{
    if (!l)
        return;
    for (size_t i = 0; i < l->t.n; i++) {
        free(l->t.v[i].name);
        free(l->t.v[i].data);
    }
    capt_vec_free(&l->t);
    json_decref(l->meta);
    free(l);
}

int capt_weights_is_record(const json_t *o)
{
    return json_object_get(o, "tensor") || json_object_get(o, "metadata");
}

static int take_number(const json_t *j, loaded *t, int64_t i)
{
    union number v = {.l = 0};
    double x = json_number_value(j);
    int64_t k = json_integer_value(j);
    int whole = t->dtype == CAPT_I32 || t->dtype == CAPT_I64 || t->dtype == CAPT_U8;
    if (whole ? !json_is_integer(j) : !json_is_number(j))
        return -1;
    switch (t->dtype) {
    case CAPT_I32: v.i = (int32_t)k; break;
    case CAPT_I64: v.l = k; break;
    case CAPT_U8: v.u = (uint8_t)k; break;
    case CAPT_F64: v.d = x; break;
    case CAPT_F32: v.f = (float)x; break;
    case CAPT_F16: v.h = capt_f16_from_f32((float)x); break;
    default: v.h = capt_bf16_from_f32((float)x);
    }
    if ((t->dtype == CAPT_I32 && v.i != k) || (t->dtype == CAPT_U8 && v.u != k) || (t->dtype == CAPT_F32 && !isfinite(v.f)) ||
        (t->dtype == CAPT_F16 && !isfinite(capt_f16_to_f32(v.h))) || (t->dtype == CAPT_BF16 && !isfinite(capt_bf16_to_f32(v.h))))
        return -1;
    size_t size = capt_dtype_size(t->dtype);
    memcpy(t->data + (size_t)i * size, &v, size);
    return 0;
}

static int begin_tensor(capt_weights_loader *l, const json_t *o, const char *name, const char *where, capt_err *err)
{
    const char *dtype;
    loaded t = {0};
    const json_t *shape = capt_json_array(o, "shape", where, err);
    if (!shape || capt_json_str(o, "dtype", &dtype, where, err))
        return -1;
    while ((int)t.dtype < CAPT_N_DTYPE && strcmp(dtype, capt_dtype_name(t.dtype)) != 0)
        t.dtype = (capt_dtype)((int)t.dtype + 1);
    if ((int)t.dtype == CAPT_N_DTYPE || json_array_size(shape) > CAPT_ST_MAX_DIM)
        return capt_fail(err, CAPT_EDATA, "%s: tensor \"%.100s\": unknown dtype, or more than %d dimensions", where, name, CAPT_ST_MAX_DIM);
    t.ndim = (int)json_array_size(shape);
    t.n = 1;
    for (int i = 0; i < t.ndim; i++) {
        const json_t *d = json_array_get(shape, (size_t)i);
        t.dim[i] = json_integer_value(d);
        if (!json_is_integer(d) || t.dim[i] < 0 || __builtin_mul_overflow(t.n, t.dim[i], &t.n) || t.n > INT64_MAX / 8)
            return capt_fail(err, CAPT_EDATA, "%s: tensor \"%.100s\": impossible shape", where, name);
    }
    for (size_t i = 0; i < l->t.n; i++)
        if (strcmp(l->t.v[i].name, name) == 0)
            return capt_fail(err, CAPT_EDATA, "%s: tensor \"%.100s\" is there twice", where, name);
    t.name = capt_strdup(name);
    capt_vec_push(&l->t, t);
    return 0;
}

static int unfinished(const capt_weights_loader *l, const char *where, capt_err *err)
{
    const loaded *t = l->t.n ? &l->t.v[l->t.n - 1] : NULL;
    if (!t || t->have == t->n)
        return 0;
    return capt_fail(err, CAPT_EDATA, "%s: tensor \"%.100s\": %lld values of %lld", where, t->name, (long long)t->have, (long long)t->n);
}

int capt_weights_loader_read(capt_weights_loader *l, const json_t *o, const char *where, capt_err *err)
{
    const char *name;
    if (json_object_get(o, "metadata")) {
        const char *key;
        json_t *v, *meta = capt_json_object(o, "metadata", where, err);
        if (!meta || l->meta || l->t.n)
            return capt_fail(err, CAPT_EDATA, "%s: metadata are one object, before the tensors", where);
        json_object_foreach(meta, key, v)
            if (!json_is_string(v))
                return capt_fail(err, CAPT_EDATA, "%s: metadata \"%.100s\" is no string", where, key);
        l->meta = json_incref(meta);
        return 0;
    }
    const json_t *values = capt_json_array(o, "values", where, err);
    if (!values || capt_json_str(o, "tensor", &name, where, err))
        return -1;
    int64_t from = 0, n = (int64_t)json_array_size(values);
    if (json_object_get(o, "from")) {
        if (capt_json_int(o, "from", &from, where, err))
            return -1;
    } else if (unfinished(l, where, err) || begin_tensor(l, o, name, where, err)) {
        return -1;
    }
    loaded *t = l->t.n ? &l->t.v[l->t.n - 1] : NULL;
    if (!t || strcmp(t->name, name) || from != t->have || n > t->n - t->have)
        return capt_fail(err, CAPT_EDATA, "%s: tensor \"%.100s\": %lld values from %lld do not follow", where, name, (long long)n, (long long)from);
    size_t size = capt_dtype_size(t->dtype), need = (size_t)(from + n) * size; /* what was read, not what the shape says, decides the memory */
    if (need > t->cap) {
        t->cap = need > t->cap * 2 ? need : t->cap * 2;
        t->data = capt_realloc(t->data, t->cap);
    }
    for (int64_t i = 0; i < n; i++)
        if (take_number(json_array_get(values, (size_t)i), t, from + i))
            return capt_fail(err, CAPT_EDATA, "%s: tensor \"%.100s\": value %lld is no %s number", where, name, (long long)(from + i), capt_dtype_name(t->dtype));
    t->have += n;
    return 0;
}

int capt_weights_loader_finish(capt_weights_loader *l, const char *path, capt_err *err)
{
    capt_st_writer *w = capt_st_writer_new();
    int rc = unfinished(l, path, err);
    const char *key;
    json_t *v;
    json_object_foreach(l->meta, key, v)
        rc = rc || capt_st_writer_meta(w, key, json_string_value(v), err) ? -1 : 0;
    for (size_t i = 0; i < l->t.n && rc == 0; i++) {
        const loaded *t = &l->t.v[i];
        rc = capt_st_writer_add(w, t->name, t->dtype, t->ndim, t->dim, t->data, err);
    }
    if (rc == 0)
        rc = capt_st_writer_finish(w, path, err);
    else
        capt_st_writer_free(w);
    capt_weights_loader_free(l);
    return rc;
}
