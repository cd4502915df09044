#include "tensor/npy.h"
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/bf16.h"
#include "base/mem.h"
#include "base/str.h"

/* The header is a Python dict literal; its keys may stand in any order. */
struct header { capt_dtype dtype; int ndim; int64_t shape[CAPT_NPY_RANK]; int have; };
enum { HAVE_DESCR = 1, HAVE_ORDER = 2, HAVE_SHAPE = 4 };

static const char *skip(const char *s)
{
    while (isspace((unsigned char)*s))
        s++;
    return s;
}

static int bad_header(const char *path, capt_err *err)
{
    return capt_fail(err, CAPT_EDATA, "%s: damaged .npy header", path);
}

/* A quoted word without escapes; returns behind it, or NULL. */
static const char *word(const char *s, char *out, size_t size)
{
    char quote = *s;
    if (quote != '\'' && quote != '"')
        return NULL;
    const char *end = strchr(s + 1, quote);
    if (!end || (size_t)(end - s) > size)
        return NULL;
    snprintf(out, size, "%.*s", (int)(end - s - 1), s + 1);
    return end + 1;
}

static const char *read_shape(const char *s, struct header *h)
{
    if (*s++ != '(')
        return NULL;
    for (s = skip(s); *s != ')'; s = skip(s)) {
        char *end;
        if (h->ndim == CAPT_NPY_RANK || !isdigit((unsigned char)*s))
            return NULL;
        h->shape[h->ndim++] = strtoll(s, &end, 10); /* too large a number becomes LLONG_MAX: the size check refuses it */
        s = skip(end + (*end == 'L'));
        if (*s == ',')
            s++;
        else if (*s != ')')
            return NULL;
    }
    return s + 1;
}

static int set_descr(struct header *h, const char *d, const char *path, capt_err *err)
{
    static const struct { const char *descr; capt_dtype dtype; } known[] = {{"<f2", CAPT_F16}, {"<f4", CAPT_F32}, {"<f8", CAPT_F64}};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (strcmp(d, known[i].descr) == 0) {
            h->dtype = known[i].dtype;
            return 0;
        }
    return capt_fail(err, CAPT_EDATA, "%s: dtype %.20s: only <f2, <f4 and <f8 are read", path, d);
}

static int read_header(const char *s, struct header *h, const char *path, capt_err *err)
{
    char key[32], value[32];
    s = skip(s);
    if (*s++ != '{')
        return bad_header(path, err);
    for (s = skip(s); *s != '}'; s = skip(s)) {
        s = word(s, key, sizeof key);
        s = s ? skip(s) : NULL;
        if (!s || *s != ':')
            return bad_header(path, err);
        s = skip(s + 1);
        int is = strcmp(key, "descr") == 0 ? HAVE_DESCR : strcmp(key, "fortran_order") == 0 ? HAVE_ORDER : strcmp(key, "shape") == 0 ? HAVE_SHAPE : 0;
        if (is == 0 || (h->have & is))
            return bad_header(path, err);
        h->have |= is;
        if (is == HAVE_DESCR) {
            if (*s == '[')
                return capt_fail(err, CAPT_EDATA, "%s: a structured array: only plain floats are read", path);
            s = word(s, value, sizeof value);
            if (s && set_descr(h, value, path, err))
                return -1;
        } else if (is == HAVE_ORDER) {
            if (strncmp(s, "True", 4) == 0)
                return capt_fail(err, CAPT_EDATA, "%s: Fortran order: save it with numpy.ascontiguousarray", path);
            s = strncmp(s, "False", 5) == 0 ? s + 5 : NULL;
        } else {
            s = read_shape(s, h);
        }
        s = s ? skip(s) : NULL;
        if (!s || (*s != ',' && *s != '}'))
            return bad_header(path, err);
        s += *s == ',';
    }
    return h->have == 7 ? 0 : bad_header(path, err);
}

static int check(capt_npy *a, const char *path, capt_err *err)
{
    const unsigned char *p = a->map.p;
    size_t n = a->map.n;
    if (n < 10 || memcmp(p, "\x93NUMPY", 6) != 0)
        return capt_fail(err, CAPT_EDATA, "%s: not a .npy file", path);
    if (p[6] < 1 || p[6] > 3)
        return capt_fail(err, CAPT_EDATA, "%s: .npy version %d, this program knows 1 to 3", path, p[6]);
    size_t at = p[6] == 1 ? 10 : 12;
    size_t length = n < at ? 0 : p[8] | (size_t)p[9] << 8 | (p[6] == 1 ? 0 : (size_t)p[10] << 16 | (size_t)p[11] << 24);
    if (n < at || length > n - at || length > 1 << 16)
        return bad_header(path, err);
    char *text = capt_strndup((const char *)p + at, length);
    struct header h = {0};
    int rc = read_header(text, &h, path, err);
    free(text);
    if (rc)
        return -1;
    size_t count = 1, bytes;
    int overflow = 0;
    for (int i = 0; i < h.ndim; i++) {
        a->shape[i] = h.shape[i];
        overflow |= capt_mul_size(count, (size_t)h.shape[i], &count);
    }
    overflow |= capt_mul_size(count, capt_dtype_size(h.dtype), &bytes);
    if (overflow || bytes != n - at - length)
        return capt_fail(err, CAPT_EDATA, "%s: %zu bytes of numbers, which its shape does not match", path, n - at - length);
    a->data = p + at + length;
    a->dtype = h.dtype;
    a->ndim = h.ndim;
    a->n = (int64_t)count;
    return 0;
}

int capt_npy_open(capt_npy *a, const char *path, capt_err *err)
{
    memset(a, 0, sizeof *a);
    if (capt_map_open(&a->map, path, err))
        return -1;
    int rc = check(a, path, err);
    if (rc)
        capt_npy_close(a);
    return rc;
}

void capt_npy_close(capt_npy *a)
{
    capt_map_close(&a->map);
    memset(a, 0, sizeof *a);
}

void capt_npy_f32(const capt_npy *a, int64_t from, int64_t n, float *out)
{
    const unsigned char *p = a->data + (size_t)from * capt_dtype_size(a->dtype);
    if (a->dtype == CAPT_F32) {
        memcpy(out, p, (size_t)n * sizeof *out);
        return;
    }
    for (int64_t i = 0; i < n; i++) {
        if (a->dtype == CAPT_F16) {
            uint16_t h;
            memcpy(&h, p + 2 * i, 2);
            out[i] = capt_f16_to_f32(h);
        } else {
            double d;
            memcpy(&d, p + 8 * i, 8);
            out[i] = (float)d;
        }
    }
}

capt_out *capt_npy_begin(const char *path, capt_dtype dtype, int ndim, const int64_t *shape, capt_err *err)
{
    const char *descr = dtype == CAPT_F16 ? "<f2" : dtype == CAPT_F32 ? "<f4" : dtype == CAPT_F64 ? "<f8" : NULL;
    if (!descr || ndim < 0 || ndim > CAPT_NPY_RANK) {
        capt_fail(err, CAPT_EDATA, "%s: a .npy file cannot hold this", path);
        return NULL;
    }
    capt_str h = {0};
    capt_str_printf(&h, "{'descr': '%s', 'fortran_order': False, 'shape': (", descr);
    for (int i = 0; i < ndim; i++)
        capt_str_printf(&h, "%s%lld%s", i ? ", " : "", (long long)shape[i], ndim == 1 ? "," : "");
    capt_str_puts(&h, "), }");
    while ((h.n + 11) % 64 != 0)
        capt_str_putc(&h, ' ');
    capt_str_putc(&h, '\n');
    capt_out *o = capt_out_open(path, err);
    if (o) {
        FILE *f = capt_out_file(o);
        unsigned char start[10] = {0x93, 'N', 'U', 'M', 'P', 'Y', 1, 0, (unsigned char)h.n, (unsigned char)(h.n >> 8)};
        fwrite(start, 1, sizeof start, f); /* finish reports what failed */
        fwrite(h.s, 1, h.n, f);
    }
    capt_str_free(&h);
    return o;
}

int capt_npy_write(const char *path, capt_dtype dtype, int ndim, const int64_t *shape, const void *data, capt_err *err)
{
    capt_out *o = capt_npy_begin(path, dtype, ndim, shape, err);
    if (!o)
        return -1;
    size_t n = 1;
    for (int i = 0; i < ndim; i++)
        n *= (size_t)shape[i];
    if (n)
        fwrite(data, capt_dtype_size(dtype), n, capt_out_file(o));
    return capt_out_finish(o, err);
}
