#include "store/fingerprint.h"
#include <math.h>
#include <string.h>

enum { LANES = 8, CHUNK = 1024 };

/* Adds n numbers to sums and sums of squares, number i to lane i % LANES: the same additions in the same order however wide
 * the processor's registers are. */
typedef double lanes __attribute__((vector_size(LANES * sizeof(double))));
typedef float floats __attribute__((vector_size(LANES * sizeof(float))));
#define SUM_BODY \
    lanes a, b; \
    memcpy(&a, sum, sizeof a); \
    memcpy(&b, squares, sizeof b); \
    int i = 0; \
    for (; i + LANES <= n; i += LANES) { \
        floats f; \
        memcpy(&f, x + i, sizeof f); \
        lanes v = __builtin_convertvector(f, lanes); \
        a += v; \
        b += v * v; \
    } \
    for (int k = 0; i < n; i++, k++) { \
        a[k] += x[i]; \
        b[k] += (double)x[i] * x[i]; \
    } \
    memcpy(sum, &a, sizeof a); \
    memcpy(squares, &b, sizeof b)

static void sum_portable(const float *x, int n, double sum[LANES], double squares[LANES]) { SUM_BODY; }
#if defined(__x86_64__) && defined(__GNUC__)
__attribute__((target("avx2"))) static void sum_avx2(const float *x, int n, double sum[LANES], double squares[LANES]) { SUM_BODY; }
__attribute__((target("avx512f"))) static void sum_avx512(const float *x, int n, double sum[LANES], double squares[LANES]) { SUM_BODY; }
#define SUM_BEST (__builtin_cpu_supports("avx512f") ? sum_avx512 : __builtin_cpu_supports("avx2") ? sum_avx2 : sum_portable)
#else
#define SUM_BEST sum_portable
#endif

static double fold(const double v[LANES])
{
    return ((v[0] + v[1]) + (v[2] + v[3])) + ((v[4] + v[5]) + (v[6] + v[7]));
}

void capt_moments_of(const capt_section *s, capt_moments *m)
{
    void (*add)(const float *, int, double *, double *) = SUM_BEST;
    size_t each = capt_dtype_size(s->dtype);
    float x[CHUNK];
    *m = (capt_moments){.images = 1, .rows = s->rows, .min_rows = s->rows, .max_rows = s->rows};
    for (int r = 0; r < s->rows; r++) {
        double sum[LANES] = {0}, squares[LANES] = {0};
        const char *row = (const char *)s->data + (size_t)r * (size_t)s->dim * each;
        for (int at = 0; at < s->dim; at += CHUNK) {
            int n = s->dim - at < CHUNK ? s->dim - at : CHUNK;
            capt_section part = {.dtype = s->dtype, .rows = 1, .dim = n, .data = row + (size_t)at * each};
            if (s->dtype != CAPT_F32)
                capt_feature_to_f32(&part, x);
            add(s->dtype == CAPT_F32 ? (const float *)part.data : x, n, sum, squares);
        }
        double q = fold(squares), norm = sqrt(q);
        m->sum += fold(sum);
        m->squares += q;
        m->norms += norm;
        m->min_norm = r == 0 || norm < m->min_norm ? norm : m->min_norm;
        m->max_norm = norm > m->max_norm ? norm : m->max_norm;
    }
}

void capt_moments_add(capt_moments *all, const capt_moments *one)
{
    if (one->rows) {
        all->min_norm = all->rows == 0 || one->min_norm < all->min_norm ? one->min_norm : all->min_norm;
        all->max_norm = one->max_norm > all->max_norm ? one->max_norm : all->max_norm;
    }
    all->min_rows = all->images == 0 || one->min_rows < all->min_rows ? one->min_rows : all->min_rows;
    all->max_rows = one->max_rows > all->max_rows ? one->max_rows : all->max_rows;
    all->images += one->images;
    all->rows += one->rows;
    all->sum += one->sum;
    all->squares += one->squares;
    all->norms += one->norms;
}

static json_t *number(double x)
{
    return isfinite(x) ? json_real(x) : json_null();
}

json_t *capt_moments_json(const capt_moments *m, const char *name, int dim)
{
    double rows = (double)m->rows, n = rows * dim, mean = n > 0 ? m->sum / n : NAN, var = n > 0 ? m->squares / n - mean * mean : NAN;
    json_t *j = json_pack("{s:s, s:i, s:I}", "section", name, "dim", dim, "images", (json_int_t)m->images);
    json_object_set_new(j, "rows", json_pack("[i, o, i]", m->min_rows, number(m->images ? rows / (double)m->images : NAN), m->max_rows));
    json_object_set_new(j, "mean", number(mean));
    json_object_set_new(j, "sd", number(sqrt(var > 0 ? var : n > 0 ? 0 : NAN)));
    json_object_set_new(j, "norm", json_pack("[o, o, o]", number(m->rows ? m->min_norm : NAN), number(m->rows ? m->norms / rows : NAN),
                                             number(m->rows ? m->max_norm : NAN)));
    return j;
}

const json_t *capt_fingerprint_section(const json_t *fingerprint, const char *name)
{
    size_t i;
    json_t *o;
    json_array_foreach(fingerprint, i, o) {
        const char *s = json_string_value(json_object_get(o, "section"));
        if (s && strcmp(s, name) == 0)
            return o;
    }
    return NULL;
}

static double value(const json_t *section, const char *key)
{
    const json_t *v = json_object_get(section, key);
    return json_is_number(v) ? json_number_value(v) : NAN;
}

static double item(const json_t *section, const char *key, size_t i)
{
    const json_t *v = json_array_get(json_object_get(section, key), i);
    return json_is_number(v) ? json_number_value(v) : NAN;
}

void capt_fingerprint_text(const json_t *s, capt_str *out)
{
    double least = item(s, "rows", 0), most = item(s, "rows", 2);
    if (least == most)
        capt_str_printf(out, "%g row%s", least, least == 1 ? "" : "s");
    else
        capt_str_printf(out, "%g to %g rows (mean %.4g)", least, most, item(s, "rows", 1));
    capt_str_printf(out, " of %g, mean %.6g, sd %.6g, norm of a row %.6g to %.6g (mean %.6g)", value(s, "dim"), value(s, "mean"), value(s, "sd"),
                    item(s, "norm", 0), item(s, "norm", 2), item(s, "norm", 1));
}

static int far(double a, double b, double factor)
{
    return a > factor * b || b > factor * a; /* false where one is not there */
}

static int say(capt_str *why, const char *what, double there, double here)
{
    capt_str_printf(why, "%s%s %.6g there, %.6g here", why->n ? "; " : "", what, there, here);
    return 1;
}

int capt_fingerprint_differs(const json_t *a, const json_t *b, capt_str *why)
{
    int n = 0;
    double sd = fmax(value(a, "sd"), value(b, "sd"));
    if (value(a, "dim") < value(b, "dim") || value(a, "dim") > value(b, "dim"))
        n += say(why, "width", value(a, "dim"), value(b, "dim"));
    if (fabs(value(a, "mean") - value(b, "mean")) > 0.1 * sd)
        n += say(why, "mean", value(a, "mean"), value(b, "mean"));
    if (far(value(a, "sd"), value(b, "sd"), 1.25))
        n += say(why, "standard deviation", value(a, "sd"), value(b, "sd"));
    if (far(item(a, "norm", 1), item(b, "norm", 1), 1.25))
        n += say(why, "mean norm of a row", item(a, "norm", 1), item(b, "norm", 1));
    if (far(item(a, "rows", 1), item(b, "rows", 1), 1.5))
        n += say(why, "mean rows an image", item(a, "rows", 1), item(b, "rows", 1));
    return n;
}
