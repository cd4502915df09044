#include "record/regions.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "base/base64.h"
#include "base/bf16.h"
#include "base/json.h"
#include "record/regions_priv.h"

/* The next column of a row; 0 when there is none. */
static int column(const char **p, const char *end, capt_slice *c)
{
    if (!*p)
        return 0;
    const char *tab = memchr(*p, '\t', (size_t)(end - *p));
    *c = (capt_slice){*p, (size_t)((tab ? tab : end) - *p)};
    *p = tab ? tab + 1 : NULL;
    return 1;
}

static int columns(const char *text, size_t n, capt_slice c[7])
{
    const char *p = text;
    int k = 0;
    while (k < 7 && column(&p, text + n, &c[k]))
        k++;
    return k;
}

capt_regions_form capt_regions_guess(const char *text, size_t n)
{
    capt_slice c[7];
    int k = columns(text, n, c);
    if (k == 6)
        return CAPT_REGIONS_BUTD;
    if (k == 3)
        return CAPT_REGIONS_VINVL;
    if (k != 2)
        return CAPT_REGIONS_NONE;
    capt_slices cut = {0};
    json_t *j = capt_json_cut(c[1].s, c[1].n, "features", &cut, "", NULL);
    capt_regions_form form = json_object_get(j, "num_boxes") ? CAPT_REGIONS_VINVL : CAPT_REGIONS_NONE;
    json_decref(j);
    free(cut.v);
    cut = (capt_slices){0};
    j = form ? NULL : capt_json_cut(c[1].s, c[1].n, "feature", &cut, "", NULL);
    if (json_object_get(j, "objects"))
        form = CAPT_REGIONS_SGB;
    json_decref(j);
    free(cut.v);
    return form;
}

/* A whole number in decimal, and nothing else. */
static int whole(capt_slice c, int64_t least, int64_t most, int *to, const char *what, const char *where, capt_err *err)
{
    int64_t v = 0;
    size_t i = 0;
    for (; i < c.n && i < 12 && c.s[i] >= '0' && c.s[i] <= '9'; i++)
        v = v * 10 + (c.s[i] - '0');
    if (i == 0 || i < c.n || v < least || v > most)
        return capt_fail(err, CAPT_EDATA, "%s: %s is \"%.*s\", not a number from %lld to %lld", where, what, (int)(c.n < 20 ? c.n : 20), c.s, (long long)least,
                         (long long)most);
    *to = (int)v;
    return 0;
}

static int butd(const char *text, size_t n, capt_regions *r, const char *where, capt_err *err)
{
    capt_slice c[7];
    int k = columns(text, n, c);
    if (k != 6)
        return capt_fail(err, CAPT_EDATA, "%s: %d%s columns, a bottom-up row has 6", where, k, k == 7 ? " or more" : "");
    if (whole(c[1], 1, CAPT_SIDE_MAX, &r->w, "the width", where, err) || whole(c[2], 1, CAPT_SIDE_MAX, &r->h, "the height", where, err) ||
        whole(c[3], 1, CAPT_BOXES_MAX, &r->n, "the number of boxes", where, err))
        return -1;
    r->boxes = c[4];
    r->features = c[5];
    return 0;
}

static int vinvl(const char *text, size_t n, capt_regions *r, const char *where, capt_err *err)
{
    capt_slice c[7];
    int k = columns(text, n, c);
    if (k == 3) {
        r->features = c[2];
        return whole(c[1], 1, CAPT_BOXES_MAX, &r->n, "the number of boxes", where, err);
    }
    if (k != 2)
        return capt_fail(err, CAPT_EDATA, "%s: %d%s columns, a row of features has 2 or 3", where, k, k == 7 ? " or more" : "");
    capt_slices cut = {0};
    json_t *j = capt_json_cut(c[1].s, c[1].n, "features", &cut, where, err);
    int64_t boxes;
    int rc = j ? capt_json_int(j, "num_boxes", &boxes, where, err) : -1;
    if (rc == 0 && (boxes < 1 || boxes > CAPT_BOXES_MAX))
        rc = capt_fail(err, CAPT_EDATA, "%s: \"num_boxes\" is %lld, not 1 to %d", where, (long long)boxes, CAPT_BOXES_MAX);
    if (rc == 0 && capt_json_slice(j, "features", &cut, &r->features))
        rc = capt_fail(err, CAPT_EDATA, "%s: \"features\" is missing or no string", where);
    r->n = rc == 0 ? (int)boxes : 0;
    json_decref(j);
    free(cut.v);
    return rc;
}

static int sgb(const char *text, size_t n, capt_arena *a, capt_regions *r, const char *where, capt_err *err)
{
    capt_slice c[7];
    if (columns(text, n, c) != 2)
        return capt_fail(err, CAPT_EDATA, "%s: a row of predictions has 2 columns", where);
    capt_slices cut = {0};
    json_t *j = capt_json_cut(c[1].s, c[1].n, "feature", &cut, where, err);
    int rc = j ? 0 : -1;
    if (rc == 0 && json_object_get(j, "image_w"))
        rc = capt_size_read(j, "image_w", "image_h", &r->w, &r->h, where, err);
    if (rc == 0)
        rc = capt_objects_read(json_object_get(j, "objects"), &cut, a, r, where, err);
    if (rc == 0 && (r->n_objects < 1 || r->n_objects > CAPT_BOXES_MAX))
        rc = capt_fail(err, CAPT_EDATA, "%s: %d objects, not 1 to %d", where, r->n_objects, CAPT_BOXES_MAX);
    r->n = r->n_objects;
    json_decref(j);
    free(cut.v);
    return rc;
}

int capt_regions_parse(capt_regions_form form, const char *text, size_t n, capt_arena *a, capt_regions *r, const char *where, capt_err *err)
{
    *r = (capt_regions){0};
    switch (form) {
    case CAPT_REGIONS_BUTD: return butd(text, n, r, where, err);
    case CAPT_REGIONS_VINVL: return vinvl(text, n, r, where, err);
    case CAPT_REGIONS_SGB: return sgb(text, n, a, r, where, err);
    default: return capt_fail(err, CAPT_EDATA, "%s: no layout of features that is known", where);
    }
}

/* ---- numbers ---- */

static int damaged(capt_slice c, long bad, const char *what, const char *where, capt_err *err)
{
    if ((size_t)bad == c.n)
        return capt_fail(err, CAPT_EDATA, "%s: the %s end within four characters of base64", where, what);
    unsigned ch = (unsigned char)c.s[bad];
    return ch > 32 && ch < 127 ? capt_fail(err, CAPT_EDATA, "%s: the %s: character %ld, '%c', is wrong in base64", where, what, bad + 1, (int)ch)
                               : capt_fail(err, CAPT_EDATA, "%s: the %s: character %ld, byte 0x%02x, is wrong in base64", where, what, bad + 1, ch);
}

int capt_regions_shape(const capt_regions *r, int *dim, capt_dtype *dtype, const char *where, capt_err *err)
{
    static const struct { size_t dim; capt_dtype dtype; } usual[] = {{2048, CAPT_F32}, {2054, CAPT_F32}, {2048, CAPT_F16}, {2054, CAPT_F16}};
    capt_slice c = r->features.s ? r->features : r->object[0].feature;
    size_t bytes = capt_base64_size(c.s, c.n), boxes = r->features.s ? (size_t)r->n : 1, each = bytes / boxes;
    if (*dim) {
        size_t want = (size_t)*dim * boxes;
        *dtype = bytes == want * 2 && c.n % 4 == 0 ? CAPT_F16 : CAPT_F32;
        if (c.n % 4 || (bytes != want * 2 && bytes != want * 4))
            return capt_fail(err, CAPT_EDATA, "%s: %zu characters of features: %zu boxes of %d numbers have %zu as f32, %zu as f16", where, c.n, boxes, *dim,
                             (want * 4 + 2) / 3 * 4, (want * 2 + 2) / 3 * 4);
        return 0;
    }
    if (c.n % 4 || bytes % boxes || each % 2 || each == 0 || each > 4 * (size_t)CAPT_SIDE_MAX)
        return capt_fail(err, CAPT_EDATA, "%s: %zu characters of features are not %zu boxes of f32 or f16 numbers", where, c.n, boxes);
    for (size_t i = 0; i < sizeof usual / sizeof *usual; i++)
        if (each == usual[i].dim * capt_dtype_size(usual[i].dtype)) {
            *dim = (int)usual[i].dim;
            *dtype = usual[i].dtype;
            return 0;
        }
    *dtype = each % 4 ? CAPT_F16 : CAPT_F32;
    *dim = (int)(each / capt_dtype_size(*dtype));
    return 0;
}

/* Exactly n numbers of dtype from c to x. */
static int numbers(capt_slice c, int64_t n, capt_dtype dtype, float *x, void *raw, const char *what, const char *where, capt_err *err)
{
    size_t bytes = (size_t)n * capt_dtype_size(dtype);
    if (c.n != (bytes + 2) / 3 * 4 || capt_base64_size(c.s, c.n) != bytes)
        return capt_fail(err, CAPT_EDATA, "%s: the %s have %zu characters, %lld numbers of %s have %zu", where, what, c.n, (long long)n, capt_dtype_name(dtype),
                         (bytes + 2) / 3 * 4);
    long bad = capt_base64_decode(c.s, c.n, dtype == CAPT_F32 ? (void *)x : raw);
    if (bad >= 0)
        return damaged(c, bad, what, where, err);
    if (dtype == CAPT_F16)
        capt_f16_to_f32s(raw, n, x);
    return 0;
}

/* Index of the first number that is NaN or infinite, or n. */
static int64_t first_bad(const float *x, int64_t n)
{
    for (int64_t i = 0; i < n;) {
        int64_t end = n - i < 4096 ? n : i + 4096;
        uint32_t any = 0;
        for (int64_t k = i; k < end; k++) {
            uint32_t u;
            memcpy(&u, &x[k], 4);
            any |= (u & 0x7f800000u) == 0x7f800000u;
        }
        if (any)
            while (isfinite(x[i]))
                i++;
        if (any)
            return i;
        i = end;
    }
    return n;
}

int capt_regions_features(const capt_regions *r, int dim, capt_dtype dtype, float *x, void *raw, const char *where, capt_err *err)
{
    int64_t n = (int64_t)r->n * dim;
    int rc = r->features.s ? numbers(r->features, n, dtype, x, raw, "features", where, err) : 0;
    for (int i = 0; !r->features.s && i < r->n && rc == 0; i++)
        rc = numbers(r->object[i].feature, dim, dtype, x + (int64_t)i * dim, raw, "features", where, err);
    int64_t bad = rc ? n : first_bad(x, n);
    if (bad < n)
        return capt_fail(err, CAPT_EDATA, "%s: NaN or infinity at row %lld, column %lld of the features", where, (long long)(bad / dim), (long long)(bad % dim));
    return rc;
}

static int check_box(const float *b, int w, int h, int i, const char *where, capt_err *err)
{
    int finite = isfinite(b[0]) && isfinite(b[1]) && isfinite(b[2]) && isfinite(b[3]);
    if (!finite || !(b[2] > b[0]) || !(b[3] > b[1]))
        return capt_fail(err, CAPT_EDATA, "%s: box %d, (%g, %g, %g, %g), has no width or height", where, i, (double)b[0], (double)b[1], (double)b[2], (double)b[3]);
    if (b[0] < -1 || b[1] < -1 || (w && (b[2] > (float)w + 1 || b[3] > (float)h + 1)))
        return capt_fail(err, CAPT_EDATA, "%s: box %d, (%g, %g, %g, %g), is not inside a picture of %d x %d", where, i, (double)b[0], (double)b[1], (double)b[2],
                         (double)b[3], w, h);
    return 0;
}

int capt_regions_boxes(const capt_regions *r, float *boxes, const char *where, capt_err *err)
{
    if (r->boxes.s) {
        if (numbers(r->boxes, 4 * (int64_t)r->n, CAPT_F32, boxes, NULL, "boxes", where, err))
            return -1;
    } else {
        if (r->n_objects != r->n)
            return 0;
        for (int i = 0; i < r->n; i++) {
            if (isnan(r->object[i].rect[0]))
                return 0;
            for (int k = 0; k < 4; k++)
                boxes[4 * i + k] = (float)r->object[i].rect[k];
        }
    }
    for (int i = 0; i < r->n; i++)
        if (check_box(boxes + 4 * (int64_t)i, r->w, r->h, i, where, err))
            return -1;
    return 1;
}

int capt_geometry_orders(const float *x, int n, int dim, capt_dtype dtype)
{
    float off = dtype == CAPT_F32 ? 1e-4f : 2e-3f; /* of numbers up to 1 and their differences, as rounded */
    int orders = dim > 6 && n > 0 ? CAPT_ORDER_WH | CAPT_ORDER_HW : 0;
    for (int i = 0; i < n && orders; i++) {
        const float *g = x + (int64_t)i * dim + dim - 6;
        float w = g[2] - g[0], h = g[3] - g[1];
        if (!(w > 0 && h > 0 && g[0] > -0.01f && g[1] > -0.01f && g[2] < 1.01f && g[3] < 1.01f))
            return 0;
        if (!(fabsf(g[4] - w) <= off && fabsf(g[5] - h) <= off))
            orders &= ~CAPT_ORDER_WH;
        if (!(fabsf(g[4] - h) <= off && fabsf(g[5] - w) <= off))
            orders &= ~CAPT_ORDER_HW;
    }
    return orders;
}

int capt_geometry_decide(const int fits[4])
{
    int both = fits[CAPT_ORDER_WH | CAPT_ORDER_HW], all = fits[0] + fits[CAPT_ORDER_WH] + fits[CAPT_ORDER_HW] + both;
    if (2 * fits[CAPT_ORDER_HW] > all - both)
        return CAPT_ORDER_HW;
    return 2 * (fits[CAPT_ORDER_WH] + both) > all ? CAPT_ORDER_WH : 0;
}

void capt_geometry_swap(float *x, int n, int dim)
{
    for (int i = 0; i < n; i++) {
        float *g = x + (int64_t)i * dim + dim - 2, t = g[0];
        g[0] = g[1];
        g[1] = t;
    }
}
