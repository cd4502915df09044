#include "store/feature.h"
#include <math.h>
#include <string.h>
#include "base/bf16.h"
#include "base/hash.h"
#include "base/mem.h"

enum { HEADER = 48, ENTRY = 32, ALIGN = 64, VERSION = 1, CRC_AT = 32 };
static const char magic[4] = {'C', 'P', 'T', 'F'};

const capt_section *capt_feature_section(const capt_feature *f, const char *name)
{
    for (int i = 0; i < f->n; i++)
        if (strcmp(f->section[i].name, name) == 0)
            return &f->section[i];
    return NULL;
}

/* ---- numbers ---- */

void capt_feature_to_f32(const capt_section *s, float *out)
{
    int64_t n = (int64_t)s->rows * s->dim, i = 0;
    if (s->dtype == CAPT_F32) {
        memcpy(out, s->data, (size_t)n * sizeof *out);
    } else if (s->dtype == CAPT_BF16) {
        const uint16_t *h = s->data;
        for (; i < n; i++)
            out[i] = capt_bf16_to_f32(h[i]);
    } else {
        capt_f16_to_f32s(s->data, n, out);
    }
}

void capt_feature_to_real(const capt_section *s, capt_real *out)
{
#ifdef CAPT_REAL64
    int64_t n = (int64_t)s->rows * s->dim;
    for (int64_t i = 0; i < n; i++)
        out[i] = s->dtype == CAPT_F32    ? ((const float *)s->data)[i]
                 : s->dtype == CAPT_BF16 ? capt_bf16_to_f32(((const uint16_t *)s->data)[i])
                                         : capt_f16_to_f32(((const uint16_t *)s->data)[i]);
#else
    capt_feature_to_f32(s, out);
#endif
}

int64_t capt_feature_not_finite(const capt_section *s)
{
    int64_t n = (int64_t)s->rows * s->dim;
    if (s->dtype == CAPT_F32) {
        const uint32_t *u = s->data;
        for (int64_t i = 0; i < n; i++)
            if ((u[i] & 0x7f800000u) == 0x7f800000u)
                return i;
    } else {
        const uint16_t *u = s->data, exponent = s->dtype == CAPT_BF16 ? 0x7f80 : 0x7c00;
        for (int64_t i = 0; i < n; i++)
            if ((u[i] & exponent) == exponent)
                return i;
    }
    return -1;
}

int64_t capt_feature_from_f32(const float *x, int64_t n, capt_dtype dtype, void *out)
{
    uint16_t *h = out;
    int64_t i = 0;
    if (dtype == CAPT_F32) {
        memcpy(out, x, (size_t)n * sizeof *x);
    } else if (dtype == CAPT_BF16) {
        for (; i < n; i++)
            h[i] = capt_bf16_from_f32(x[i]);
    } else {
        capt_f16_from_f32s(x, n, h);
    }
    capt_section s = {.dtype = dtype, .rows = 1, .dim = 0, .data = out};
    for (int64_t at = 0; at < n; at += 1 << 20) { /* dim is an int */
        s.data = (const char *)out + at * (int64_t)capt_dtype_size(dtype);
        s.dim = (int)(n - at < 1 << 20 ? n - at : 1 << 20);
        int64_t bad = capt_feature_not_finite(&s);
        if (bad >= 0)
            return at + bad;
    }
    return -1;
}

/* ---- codec: little-endian whatever the machine ---- */

static void put(unsigned char *p, uint64_t v, int bytes)
{
    for (int i = 0; i < bytes; i++)
        p[i] = (unsigned char)(v >> (8 * i));
}

static uint64_t get(const unsigned char *p, int bytes)
{
    uint64_t v = 0;
    for (int i = 0; i < bytes; i++)
        v |= (uint64_t)p[i] << (8 * i);
    return v;
}

static size_t aligned(size_t at) /* the next offset that is 48 modulo 64 */
{
    return (at + 16 + ALIGN - 1) / ALIGN * ALIGN - 16;
}

static int allowed(capt_dtype t)
{
    return t == CAPT_F32 || t == CAPT_F16 || t == CAPT_BF16;
}

/* Bytes of a section's numbers; -1 if not allowed. */
static int64_t payload_size(capt_dtype t, uint64_t rows, uint64_t dim)
{
    if (!allowed(t) || rows > 1 << 20 || dim == 0 || dim > 1 << 20)
        return -1;
    return (int64_t)(rows * dim * capt_dtype_size(t));
}

size_t capt_feature_size(const capt_section *s, int n, size_t min_size)
{
    if (n < 1 || n > CAPT_SECTIONS_MAX)
        return 0;
    size_t at = (size_t)(HEADER + n * ENTRY);
    for (int i = 0; i < n; i++) {
        int64_t bytes = s[i].rows < 0 || s[i].dim < 0 ? -1 : payload_size(s[i].dtype, (uint64_t)s[i].rows, (uint64_t)s[i].dim);
        if (bytes < 0 || !s[i].name[0])
            return 0;
        at = aligned(at) + (size_t)bytes;
    }
    if (at > (size_t)1 << 31) /* LMDB's limit is 4 GiB a value */
        return 0;
    return at > min_size ? at : min_size;
}

void capt_feature_encode(const capt_section *s, int n, capt_dtype dtype, const void *key, size_t nk, size_t size, void *out)
{
    unsigned char *p = out;
    size_t at = (size_t)(HEADER + n * ENTRY), first = aligned(at);
    memset(p, 0, at); /* below, what lies between the sections and behind them */
    for (int i = 0; i < n; i++) {
        unsigned char *e = p + HEADER + i * ENTRY;
        memset(p + at, 0, aligned(at) - at);
        at = aligned(at);
        memcpy(e, s[i].name, strnlen(s[i].name, CAPT_SECTION_NAME));
        e[12] = (unsigned char)s[i].dtype;
        put(e + 16, (uint64_t)s[i].rows, 4);
        put(e + 20, (uint64_t)s[i].dim, 4);
        put(e + 24, at, 8);
        size_t bytes = (size_t)payload_size(s[i].dtype, (uint64_t)s[i].rows, (uint64_t)s[i].dim);
        if (bytes)
            memcpy(p + at, s[i].data, bytes);
        at += bytes;
    }
    memset(p + at, 0, size - at);
    memcpy(p, magic, 4);
    put(p + 4, VERSION, 2);
    p[6] = (unsigned char)dtype;
    p[7] = (unsigned char)n;
    put(p + 8, size, 8);
    put(p + 16, (uint64_t)(n * ENTRY), 4);
    put(p + 20, first, 4);
    put(p + 24, at - first, 8);
    put(p + CRC_AT, capt_feature_crc(p, size, key, nk), 4);
}

uint32_t capt_feature_crc(const void *value, size_t n, const void *key, size_t nk)
{
    unsigned char header[HEADER];
    memcpy(header, value, HEADER);
    memset(header + CRC_AT, 0, 4);
    uint32_t crc = capt_crc32c(0, key, nk);
    crc = capt_crc32c(crc, header, HEADER);
    return capt_crc32c(crc, (const char *)value + HEADER, n - HEADER);
}

uint32_t capt_feature_crc_stored(const void *p)
{
    return (uint32_t)get((const unsigned char *)p + CRC_AT, 4);
}

int capt_feature_decode(const void *value, size_t n, capt_feature *f, const char *who, capt_err *err)
{
    const unsigned char *p = value;
    if (n < HEADER || memcmp(p, magic, 4) != 0)
        return capt_fail(err, CAPT_EDATA, "%s: not a feature record", who);
    if (get(p + 4, 2) != VERSION)
        return capt_fail(err, CAPT_EDATA, "%s: feature record of version %u, this program knows %d", who, (unsigned)get(p + 4, 2), VERSION);
    unsigned count = p[7];
    if (count < 1 || count > CAPT_SECTIONS_MAX || get(p + 8, 8) != n || get(p + 16, 4) != count * ENTRY || n < HEADER + count * ENTRY)
        return capt_fail(err, CAPT_EDATA, "%s: damaged header", who);
    f->n = (int)count;
    size_t end = HEADER + count * ENTRY;
    for (unsigned i = 0; i < count; i++) {
        const unsigned char *e = p + HEADER + i * ENTRY;
        capt_section *s = &f->section[i];
        uint64_t rows = get(e + 16, 4), dim = get(e + 20, 4), at = get(e + 24, 8);
        int64_t bytes = payload_size((capt_dtype)e[12], rows, dim);
        if (bytes < 0 || at != aligned(end) || at > n || (uint64_t)bytes > n - at || !e[0])
            return capt_fail(err, CAPT_EDATA, "%s: damaged section table", who);
        memcpy(s->name, e, CAPT_SECTION_NAME);
        s->name[CAPT_SECTION_NAME] = 0;
        s->dtype = (capt_dtype)e[12];
        s->rows = (int)rows;
        s->dim = (int)dim;
        s->data = p + at;
        end = at + (size_t)bytes;
    }
    return 0;
}
