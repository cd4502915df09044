#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "base/mem.h"
#include "image/resize.h"
#include "image/resize_priv.h"

static double cubic(double x)
{
    const double a = -0.5;
    x = fabs(x);
    if (x < 1)
        return ((a + 2) * x - (a + 3)) * x * x + 1;
    if (x < 2)
        return (((x - 5) * x + 8) * x - 4) * a;
    return 0;
}

static void axis_free(capt_axis *a)
{
    free(a->first);
    free(a->count);
    free(a->k);
}

/* Weights of the outputs from .. from+n-1 when `in` samples become `out`. The order of the floating-point operations is Pillow's. */
static int axis_init(capt_axis *a, int in, int out, int from, int n, capt_err *err)
{
    double scale = (double)in / out, widen = scale < 1 ? 1 : scale, support = 2 * widen, inv = 1 / widen;
    size_t taps = (size_t)ceil(support) * 2 + 1;
    size_t bytes = 0;
    if (taps > (size_t)in)
        taps = (size_t)in;
    *a = (capt_axis){n, (int)taps, NULL, NULL, NULL};
    if (capt_mul_size(taps * sizeof *a->k, (size_t)n, &bytes) != 0)
        return capt_fail(err, CAPT_ENOMEM, "resize: %d to %d is too large", in, out);
    double *w = capt_try_alloc(taps * sizeof *w, err);
    a->first = capt_try_alloc((size_t)n * sizeof *a->first, err);
    a->count = capt_try_alloc((size_t)n * sizeof *a->count, err);
    a->k = capt_try_alloc(bytes, err);
    if (!w || !a->first || !a->count || !a->k) {
        free(w);
        axis_free(a);
        return -1;
    }
    for (int i = 0; i < n; i++) {
        double centre = (from + i + 0.5) * scale, sum = 0;
        int lo = (int)(centre - support + 0.5), hi = (int)(centre + support + 0.5);
        lo = lo < 0 ? 0 : lo;
        hi = hi > in ? in : hi;
        for (int j = 0; j < hi - lo; j++) {
            w[j] = cubic((j + lo - centre + 0.5) * inv);
            sum += w[j];
        }
        for (int j = 0; j < hi - lo; j++) {
            double v = (sum != 0 ? w[j] / sum : w[j]) * (1 << CAPT_RESIZE_BITS);
            a->k[(size_t)i * taps + (size_t)j] = (int32_t)(v < 0 ? v - 0.5 : v + 0.5);
        }
        a->first[i] = lo;
        a->count[i] = hi - lo;
    }
    free(w);
    return 0;
}

static inline unsigned char clip(int32_t v)
{
    v >>= CAPT_RESIZE_BITS;
    return (unsigned char)(v < 0 ? 0 : v > 255 ? 255 : v);
}

static void rows_plain(const unsigned char *src, size_t stride, int w, int rows, const capt_axis *a, unsigned char *scratch,
                       unsigned char *dst)
{
    (void)w, (void)scratch;
    const int32_t half = 1 << (CAPT_RESIZE_BITS - 1);
    for (int y = 0; y < rows; y++, src += stride)
        for (int x = 0; x < a->n; x++, dst += 3) {
            const unsigned char *p = src + (size_t)a->first[x] * 3;
            const int32_t *k = a->k + (size_t)x * a->taps;
            int32_t r = half, g = half, b = half;
            for (int i = 0; i < a->count[x]; i++, p += 3) {
                r += p[0] * k[i];
                g += p[1] * k[i];
                b += p[2] * k[i];
            }
            dst[0] = clip(r);
            dst[1] = clip(g);
            dst[2] = clip(b);
        }
}

static void cols_plain(const unsigned char *src, int width, const capt_axis *a, unsigned char *dst)
{
    for (int y = 0; y < a->n; y++, dst += width) {
        const unsigned char *p = src + (size_t)a->first[y] * width;
        const int32_t *k = a->k + (size_t)y * a->taps;
        int32_t sum[64]; /* a strip of columns at a time: the compiler makes vectors of it */
        for (int x0 = 0; x0 < width; x0 += 64) {
            int n = width - x0 < 64 ? width - x0 : 64;
            for (int x = 0; x < n; x++)
                sum[x] = 1 << (CAPT_RESIZE_BITS - 1);
            for (int i = 0; i < a->count[y]; i++)
                for (int x = 0; x < n; x++)
                    sum[x] += p[(size_t)i * width + x0 + x] * k[i];
            for (int x = 0; x < n; x++)
                dst[x0 + x] = clip(sum[x]);
        }
    }
}

static int have_avx512(void)
{
#if defined(__x86_64__)
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") &&
           __builtin_cpu_supports("avx512dq");
#else
    return 0;
#endif
}

#if defined(__x86_64__)
static int have_vnni(void)
{
    return __builtin_cpu_supports("avx512vnni") && __builtin_cpu_supports("avx512vbmi");
}
#endif

int capt_resize_variant(int variant, const capt_view *src, int rw, int rh, int x0, int y0, int cw, int ch, unsigned char *dst,
                        capt_err *err)
{
    if (src->w < 1 || src->h < 1 || rw < 1 || rh < 1 || cw < 1 || ch < 1)
        return capt_fail(err, CAPT_EDATA, "resize: %d x %d to %d x %d: an empty picture", src->w, src->h, rw, rh);
    if (x0 < 0 || y0 < 0 || x0 > rw - cw || y0 > rh - ch)
        return capt_fail(err, CAPT_EDATA, "resize: window %d x %d at %d,%d sticks out of %d x %d", cw, ch, x0, y0, rw, rh);
    capt_resize_rows *do_rows = rows_plain;
    capt_resize_cols *do_cols = cols_plain;
#if defined(__x86_64__)
    if (variant >= 1 && have_avx512()) {
        do_rows = capt_resize_rows_avx512;
        do_cols = capt_resize_cols_avx512;
    }
#endif
    capt_axis h = {0}, v = {0};
    unsigned char *between = NULL, *scratch = NULL;
    int ret = -1;
    if (axis_init(&h, src->w, rw, x0, cw, err) != 0)
        return -1;
    if (axis_init(&v, src->h, rh, y0, ch, err) != 0) {
        axis_free(&h);
        return -1;
    }
    int top = v.first[0], rows = v.first[ch - 1] + v.count[ch - 1] - top;
    size_t line = (size_t)cw * 3, bytes = 0;
    for (int i = 0; i < ch; i++)
        v.first[i] -= top;
#if defined(__x86_64__)
    if (variant >= 2 && have_avx512() && have_vnni()) {
        ret = capt_resize_avx512vnni(src->p + (size_t)top * src->stride, src->stride, src->w, &h, &v, dst, err);
        if (ret <= 0)
            goto end;
        ret = -1;
    }
#endif
    if (capt_mul_size(line, (size_t)rows, &bytes) != 0) {
        capt_fail(err, CAPT_ENOMEM, "resize: %d x %d is too large", cw, rows);
        goto end;
    }
    between = capt_try_alloc(bytes, err);
    scratch = capt_try_alloc64(((size_t)src->w * 3 + 16) * 16, err);
    if (!between || !scratch)
        goto end;
    do_rows(src->p + (size_t)top * src->stride, src->stride, src->w, rows, &h, scratch, between);
    do_cols(between, (int)line, &v, dst);
    ret = 0;
end:
    free(between);
    free(scratch);
    axis_free(&h);
    axis_free(&v);
    return ret;
}

int capt_resize_window(const capt_view *src, int rw, int rh, int x0, int y0, int cw, int ch, unsigned char *dst, capt_err *err)
{
    return capt_resize_variant(CAPT_RESIZE_BEST, src, rw, rh, x0, y0, cw, ch, dst, err);
}

int capt_resize(const capt_view *src, int rw, int rh, unsigned char *dst, capt_err *err)
{
    return capt_resize_variant(CAPT_RESIZE_BEST, src, rw, rh, 0, 0, rw, rh, dst, err);
}
