#include "record/curve.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "base/arena.h"
#include "base/file.h"
#include "base/html.h"
#include "base/mem.h"
#include "record/log.h"
#include "record/ndjson.h"

static const char *const titles[CAPT_CURVE_KINDS] = {"Training loss", "Validation loss", "Validation CIDEr-D", "Reward of samples (CIDEr-D)"};

const char *capt_curve_title(capt_curve_kind k)
{
    return titles[k];
}

void capt_curves_free(capt_curves *c)
{
    for (int k = 0; k < CAPT_CURVE_KINDS; k++) {
        free(c->of[k].x);
        free(c->of[k].y);
    }
    memset(c, 0, sizeof *c);
}

static void add_point(capt_curve *c, double x, double y)
{
    if (!isfinite(y))
        return;
    while (c->n && c->x[c->n - 1] >= x) /* said again after a resume */
        c->n--;
    capt_vec_grow_((void **)&c->x, &c->cap, c->n + 1, sizeof *c->x);
    capt_vec_grow_((void **)&c->y, &c->cap_y, c->n + 1, sizeof *c->y);
    c->x[c->n] = x;
    c->y[c->n++] = y;
}

int capt_curves_read(const char *path, capt_curves *out, capt_err *err)
{
    capt_ndjson *r = capt_ndjson_new(&path, 1, 0);
    capt_arena *a = capt_arena_new(1 << 16);
    json_t *o;
    int rc = capt_ndjson_next(r, &o, err);
    if (!rc)
        rc = capt_fail(err, CAPT_EDATA, "%s: no records", capt_input_name(path));
    for (; rc > 0; rc = capt_ndjson_next(r, &o, err)) {
        capt_log l;
        int bad = capt_record_read(&capt_kind_log, o, &l, a, capt_ndjson_where(r), err);
        json_decref(o);
        if (!bad && !l.event && l.step == CAPT_NO_INT)
            bad = capt_fail(err, CAPT_EDATA, "%s: no record of a training log: neither \"event\" nor \"step\"", capt_ndjson_where(r));
        if (bad) {
            rc = -1;
            break;
        }
        if (l.step != CAPT_NO_INT) {
            double x = (double)l.step;
            if (!isfinite(l.reward))
                add_point(&out->of[CAPT_CURVE_LOSS], x, l.loss);
            add_point(&out->of[CAPT_CURVE_VAL_LOSS], x, l.val_loss);
            add_point(&out->of[CAPT_CURVE_CIDER], x, l.cider);
            add_point(&out->of[CAPT_CURVE_REWARD], x, l.reward);
        }
        capt_arena_reset(a);
    }
    capt_arena_free(a);
    capt_ndjson_free(r);
    if (rc < 0)
        capt_curves_free(out);
    return rc;
}

/* Means over `bins` equal parts of from..to; NaN where a part has no point. */
static void average(const capt_curve *c, double from, double to, double *bin, int bins)
{
    double width = to > from ? (to - from) / bins : 1;
    size_t i = 0;
    for (int b = 0; b < bins; b++) {
        double sum = 0;
        size_t n = 0;
        for (; i < c->n && (b == bins - 1 || c->x[i] < from + width * (b + 1)); i++, n++)
            sum += c->y[i];
        bin[b] = n ? sum / (double)n : NAN;
    }
}

/* Straight lines over parts without a point; the first and last part have one. */
static void bridge(double *bin, int n)
{
    for (int i = 1, last = 0; i < n; i++) {
        if (!isfinite(bin[i]))
            continue;
        for (int k = last + 1; k < i; k++)
            bin[k] = bin[last] + (bin[i] - bin[last]) * (k - last) / (i - last);
        last = i;
    }
    for (int i = n - 1; i > 0 && !isfinite(bin[i]); i--) /* a curve of one point */
        bin[i] = bin[0];
}

/* A round step so that about n of them make up range. */
static double nice_step(double range, int n)
{
    double raw = range / n, base = pow(10, floor(log10(raw)));
    double f = raw / base;
    return base * (f <= 1 ? 1 : f <= 2 ? 2 : f <= 5 ? 5 : 10);
}

static void put_number(capt_str *out, double v, double step)
{
    int digits = (int)ceil(-log10(step) - 1e-9);
    capt_str_printf(out, "%.*f", digits > 0 ? digits : 0, v);
}

enum { W = 640, H = 240, LEFT = 56, RIGHT = 12, TOP = 12, BOTTOM = 30, POINTS = 300 };

typedef struct frame { double x0, x1, y0, y1; } frame;

static double at_x(const frame *f, double x)
{
    return LEFT + (x - f->x0) / (f->x1 - f->x0) * (W - LEFT - RIGHT);
}

static double at_y(const frame *f, double y)
{
    return TOP + (f->y1 - y) / (f->y1 - f->y0) * (H - TOP - BOTTOM);
}

static frame frame_of(const capt_curve *const *c, size_t n)
{
    frame f = {HUGE_VAL, -HUGE_VAL, HUGE_VAL, -HUGE_VAL};
    for (size_t k = 0; k < n; k++)
        for (size_t i = 0; i < c[k]->n; i++) {
            f.x0 = fmin(f.x0, c[k]->x[i]);
            f.x1 = fmax(f.x1, c[k]->x[i]);
            f.y0 = fmin(f.y0, c[k]->y[i]);
            f.y1 = fmax(f.y1, c[k]->y[i]);
        }
    if (!(f.x1 > f.x0))
        f.x1 = f.x0 + 1;
    if (!(f.y1 > f.y0)) {
        double d = fabs(f.y0) > 0 ? fabs(f.y0) / 10 : 1;
        f.y0 -= d;
        f.y1 += d;
    }
    return f;
}

static void put_axes(capt_str *out, frame *f)
{
    double step = nice_step(f->y1 - f->y0, 4);
    f->y0 = step * floor(f->y0 / step + 1e-9);
    f->y1 = step * ceil(f->y1 / step - 1e-9);
    for (int i = 0; i <= (int)lround((f->y1 - f->y0) / step); i++) {
        double v = f->y0 + i * step, y = at_y(f, v);
        capt_str_printf(out, "<path class=\"grid\" d=\"M%d %.1fH%d\"/><text x=\"%d\" y=\"%.1f\" text-anchor=\"end\">", LEFT, y, W - RIGHT, LEFT - 6, y + 4);
        put_number(out, fabs(v) < step * 1e-9 ? 0 : v, step);
        capt_str_puts(out, "</text>\n");
    }
    step = fmax(1, nice_step(f->x1 - f->x0, 6));
    for (double v = step * ceil(f->x0 / step); v <= f->x1 * (1 + 1e-12); v += step)
        capt_str_printf(out, "<path class=\"grid\" d=\"M%.1f %dv4\"/><text x=\"%.1f\" y=\"%d\" text-anchor=\"middle\">%.0f</text>\n", at_x(f, v), H - BOTTOM, at_x(f, v), H - BOTTOM + 17, v);
}

static void put_line(capt_str *out, const frame *f, const capt_curve *c, size_t place)
{
    double bin[POINTS];
    int averaged = c->n > POINTS, points = averaged ? POINTS : (int)c->n, shown = 0;
    if (averaged)
        average(c, c->x[0], c->x[c->n - 1], bin, POINTS);
    capt_str_printf(out, "<path class=\"line r%zu\" d=\"", place % 6);
    for (int i = 0; i < points; i++) {
        double x = averaged ? c->x[0] + (c->x[c->n - 1] - c->x[0]) * (i + 0.5) / POINTS : c->x[i], y = averaged ? bin[i] : c->y[i];
        if (isfinite(y))
            capt_str_printf(out, "%c%.1f %.1f", shown++ ? 'L' : 'M', at_x(f, x), at_y(f, y));
    }
    if (shown == 1) /* a line to itself, with round ends, is a dot */
        capt_str_puts(out, "h0");
    capt_str_puts(out, "\"/>\n");
    if (points <= 40)
        for (int i = 0; i < points; i++)
            capt_str_printf(out, "<circle class=\"r%zu\" cx=\"%.1f\" cy=\"%.1f\" r=\"2.5\"/>\n", place % 6, at_x(f, c->x[i]), at_y(f, c->y[i]));
}

void capt_curve_svg(capt_str *out, const char *title, const char *const *names, const capt_curve *const *c, size_t n)
{
    size_t points = 0;
    for (size_t i = 0; i < n; i++)
        points += c[i]->n;
    if (!points)
        return;
    frame f = frame_of(c, n);
    capt_str_printf(out, "<svg viewBox=\"0 0 %d %d\" role=\"img\" aria-label=\"", W, H);
    capt_html_text(out, title);
    capt_str_puts(out, ":");
    for (size_t i = 0; i < n; i++)
        if (c[i]->n) {
            capt_str_putc(out, ' ');
            capt_html_text(out, names[i]);
            capt_str_printf(out, " from %.4g to %.4g;", c[i]->y[0], c[i]->y[c[i]->n - 1]);
        }
    capt_str_puts(out, "\">\n");
    put_axes(out, &f);
    for (size_t i = 0; i < n; i++)
        if (c[i]->n)
            put_line(out, &f, c[i], i);
    capt_str_puts(out, "</svg>\n");
}

void capt_curve_text(capt_str *out, const char *title, const capt_curve *c, int width, int height)
{
    static const char *const block[9] = {" ", "\u2581", "\u2582", "\u2583", "\u2584", "\u2585", "\u2586", "\u2587", "\u2588"};
    if (!c->n)
        return;
    frame f = frame_of(&c, 1);
    double *bin = capt_alloc((size_t)width * sizeof *bin), low = HUGE_VAL, high = -HUGE_VAL;
    average(c, c->x[0], c->x[c->n - 1], bin, width);
    bridge(bin, width);
    for (int i = 0; i < width; i++) {
        low = fmin(low, bin[i]);
        high = fmax(high, bin[i]);
    }
    double step = nice_step(f.y1 - f.y0, height), range = high - low, least = low;
    low -= range > 0 ? range / (8 * height) : 1; /* the lowest value is one eighth of a line high */
    if (!(high > low))
        high = low + 1;
    capt_str_printf(out, "%s\n", title);
    for (int line = height - 1; line >= 0; line--) {
        if (line == height - 1 || line == 0 || line == height / 2) {
            capt_str t = {0};
            put_number(&t, line == height - 1 ? high : line == 0 ? least : (least + high) / 2, step / 10);
            capt_str_printf(out, "%8s \u2524", t.s);
            capt_str_free(&t);
        } else {
            capt_str_puts(out, "         \u2502");
        }
        for (int i = 0; i < width; i++) {
            int eighths = (int)lround((bin[i] - low) / (high - low) * 8 * height) - 8 * line;
            capt_str_puts(out, block[eighths < 0 ? 0 : eighths > 8 ? 8 : eighths]);
        }
        while (out->n && out->s[out->n - 1] == ' ')
            out->s[--out->n] = 0;
        capt_str_putc(out, '\n');
    }
    capt_str_puts(out, "         \u2514");
    for (int i = 0; i < width; i++)
        capt_str_puts(out, "\u2500");
    capt_str ends = {0};
    capt_str_printf(&ends, "%.0f", c->x[c->n - 1]);
    capt_str_printf(out, "\n          %-*.0f%s updates\n", width - (int)ends.n, c->x[0], ends.s);
    capt_str_free(&ends);
    free(bin);
}
