#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "base/json.h"
#include "base/rng.h"
#include "image/prep.h"
#include "image/resize.h"

enum { SIZE_MAX_PREP = 4096 };
static const char *const mode_name[] = {"clip", "stretch"};

capt_prep capt_prep_clip(int size)
{
    return (capt_prep){size, CAPT_PREP_CLIP, CAPT_CLIP_MEAN, CAPT_CLIP_STD};
}

static int check(const capt_prep *p, const capt_image *im, capt_err *err)
{
    if (p->size < 1 || p->size > SIZE_MAX_PREP)
        return capt_fail(err, CAPT_EDATA, "preprocessing: size %d is not 1..%d", p->size, SIZE_MAX_PREP);
    if (im->w < 1 || im->h < 1 || !im->rgb)
        return capt_fail(err, CAPT_EDATA, "preprocessing: empty picture");
    return 0;
}

static capt_view view(const capt_image *im)
{
    return (capt_view){im->rgb, im->w, im->h, (size_t)im->w * 3};
}

/* Half of d >= 0 rounded to the nearest integer, ties to even, as Python's round does. */
static int half_even(int d)
{
    int half = d / 2;
    return d % 2 ? half + half % 2 : half;
}

int capt_prep_run(const capt_prep *p, const capt_image *im, unsigned char *out, capt_err *err)
{
    if (check(p, im, err) != 0)
        return -1;
    capt_view v = view(im);
    int s = p->size;
    if (p->mode == CAPT_PREP_STRETCH)
        return capt_resize(&v, s, s, out, err);
    int64_t shorter = im->w < im->h ? im->w : im->h, longer = im->w < im->h ? im->h : im->w, side = s * longer / shorter;
    if (side > (1 << 30))
        return capt_fail(err, CAPT_EDATA, "preprocessing: %d x %d is too narrow", im->w, im->h);
    int rw = im->w < im->h ? s : (int)side, rh = im->w < im->h ? (int)side : s;
    return capt_resize_window(&v, rw, rh, half_even(rw - s), half_even(rh - s), s, s, out, err);
}

static void mirror(unsigned char *rgb, int size)
{
    for (int y = 0; y < size; y++, rgb += (size_t)size * 3)
        for (int a = 0, b = size - 1; a < b; a++, b--)
            for (int c = 0; c < 3; c++) {
                unsigned char t = rgb[3 * a + c];
                rgb[3 * a + c] = rgb[3 * b + c];
                rgb[3 * b + c] = t;
            }
}

/* A part of w x h with at least the given share of the area and a side ratio up to `ratio` (area uniform, ratio uniform in its
 * logarithm, position uniform: Szegedy et al., "Going deeper with convolutions", section 6). Ten tries, then the whole picture. */
static void draw_part(const capt_augment *a, uint64_t key, int w, int h, int *x, int *y, int *pw, int *ph)
{
    double min_area = a->min_area > 0 ? a->min_area : 0.5, ratio = a->max_ratio > 0 ? a->max_ratio : 4. / 3;
    for (uint64_t i = 1; i <= 40; i += 4) {
        double area = (min_area + (1 - min_area) * capt_rng_u01(key, i)) * w * h;
        double r = exp((2 * capt_rng_u01(key, i + 1) - 1) * log(ratio));
        double side_w = floor(sqrt(area * r) + 0.5), side_h = floor(sqrt(area / r) + 0.5);
        if (side_w < 1 || side_h < 1 || side_w > w || side_h > h)
            continue;
        *pw = (int)side_w;
        *ph = (int)side_h;
        *x = (int)capt_rng_below(key, i + 2, (uint64_t)(w - *pw + 1));
        *y = (int)capt_rng_below(key, i + 3, (uint64_t)(h - *ph + 1));
        return;
    }
    *x = *y = 0;
    *pw = w;
    *ph = h;
}

int capt_prep_augment(const capt_prep *p, const capt_augment *a, uint64_t key, const capt_image *im, unsigned char *out, capt_err *err)
{
    if (check(p, im, err) != 0)
        return -1;
    if (a->crop) {
        if (a->min_area < 0 || a->min_area > 1 || (a->max_ratio != 0 && !(a->max_ratio >= 1)))
            return capt_fail(err, CAPT_EDATA, "augmentation: least area %g, ratio %g", a->min_area, a->max_ratio);
        int x, y, w, h;
        draw_part(a, key, im->w, im->h, &x, &y, &w, &h);
        capt_view v = {im->rgb + ((size_t)y * im->w + x) * 3, w, h, (size_t)im->w * 3};
        if (capt_resize(&v, p->size, p->size, out, err) != 0)
            return -1;
    } else if (capt_prep_run(p, im, out, err) != 0)
        return -1;
    if (a->flip && capt_rng_below(key, 0, 2))
        mirror(out, p->size);
    return 0;
}

void capt_prep_normalise(const capt_prep *p, const unsigned char *u8, float *out)
{
    size_t n = (size_t)p->size * p->size;
    for (int c = 0; c < 3; c++)
        for (size_t i = 0; i < n; i++)
            out[c * n + i] = (u8[3 * i + c] / 255.f - p->mean[c]) / p->std[c];
}

/* The shortest decimal that reads back as this float, so that manifests do not say 0.48145467042922974. */
static json_t *short_real(float f)
{
    char s[32];
    double v = f;
    for (int digits = 6; digits <= 9; digits++) {
        snprintf(s, sizeof s, "%.*g", digits, (double)f);
        v = strtod(s, NULL);
        if ((float)v == f)
            break;
    }
    return json_real(v);
}

json_t *capt_prep_json(const capt_prep *p)
{
    json_t *mean = json_array(), *std = json_array();
    for (int c = 0; c < 3; c++) {
        json_array_append_new(mean, short_real(p->mean[c]));
        json_array_append_new(std, short_real(p->std[c]));
    }
    return json_pack("{s:s,s:i,s:s,s:o,s:o}", "mode", mode_name[p->mode], "size", p->size, "resample", "bicubic", "mean", mean, "std", std);
}

static int three(const json_t *o, const char *key, float v[3], const char *where, capt_err *err)
{
    json_t *a = capt_json_array(o, key, where, err);
    if (!a)
        return -1;
    for (size_t c = 0; c < 3; c++) {
        json_t *x = json_array_get(a, c);
        if (json_array_size(a) != 3 || !json_is_number(x))
            return capt_fail(err, CAPT_EDATA, "%s: \"%s\" is not an array of 3 numbers", where, key);
        v[c] = (float)json_number_value(x);
    }
    return 0;
}

int capt_prep_from_json(const json_t *o, capt_prep *p, const char *where, capt_err *err)
{
    const char *mode, *resample;
    int64_t size;
    capt_prep q;
    if (capt_json_str(o, "mode", &mode, where, err) != 0 || capt_json_int(o, "size", &size, where, err) != 0 ||
        capt_json_str(o, "resample", &resample, where, err) != 0 || three(o, "mean", q.mean, where, err) != 0 ||
        three(o, "std", q.std, where, err) != 0)
        return -1;
    int m = 0, n_modes = (int)(sizeof mode_name / sizeof *mode_name);
    while (m < n_modes && strcmp(mode, mode_name[m]))
        m++;
    if (m == n_modes)
        return capt_fail(err, CAPT_EDATA, "%s: preprocessing mode \"%s\" is not one of %s", where, mode, CAPT_PREP_MODES);
    if (strcmp(resample, "bicubic"))
        return capt_fail(err, CAPT_EDATA, "%s: resampling \"%s\" is not bicubic", where, resample);
    if (size < 1 || size > SIZE_MAX_PREP)
        return capt_fail(err, CAPT_EDATA, "%s: preprocessing size %lld is not 1..%d", where, (long long)size, SIZE_MAX_PREP);
    for (int c = 0; c < 3; c++)
        if (!(q.std[c] > 0) || !isfinite(q.std[c]) || !isfinite(q.mean[c]))
            return capt_fail(err, CAPT_EDATA, "%s: preprocessing mean or std is not usable", where);
    q.size = (int)size;
    q.mode = (capt_prep_mode)m;
    *p = q;
    return 0;
}
