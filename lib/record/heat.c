#include "record/heat.h"
#include <math.h>
#include <string.h>
#include "base/html.h"

enum { LEVELS = 12, HEIGHT = 12, FRAME = 1000 }; /* FRAME: a picture's width and height where boxes are drawn */
#define COVER 0.8 /* what is left of a cell without any attention can still be made out */

static int side_of(int64_t rows)
{
    int side = (int)lround(sqrt((double)rows));
    return (int64_t)side * side == rows ? side : 0;
}

static int has_boxes(const capt_hyp *h)
{
    int n = h->n_attention_boxes;
    return h->attention_boxes && n > 0 && n % 4 == 0 && n / 4 <= h->attention_rows && h->attention_on && !strcmp(h->attention_on, "regions");
}

capt_heat_on capt_heat_of(const capt_hyp *h)
{
    if (!h->attention || h->n_tokens < 1 || h->attention_rows < 1 || h->attention_rows > CAPT_ATTENTION_MAX || h->n_attention != h->n_tokens * h->attention_rows)
        return CAPT_HEAT_NONE;
    if (has_boxes(h))
        return CAPT_HEAT_BOXES;
    if (!h->attention_on || h->attention_rows < 4 || !side_of(h->attention_rows))
        return CAPT_HEAT_ROWS;
    return !strcmp(h->attention_on, "crop") ? CAPT_HEAT_CROP : !strcmp(h->attention_on, "picture") ? CAPT_HEAT_PICTURE : CAPT_HEAT_ROWS;
}

void capt_heat_word(capt_str *out, const char *token)
{
    static const char *const mark[] = {"\u0120", "##"}; /* GPT-2's blank before a word; BERT's piece that goes on */
    for (int i = 0; i < 2; i++)
        if (!strncmp(token, mark[i], strlen(mark[i])) && token[strlen(mark[i])])
            token += strlen(mark[i]);
    capt_html_text(out, token);
}

static void cells(capt_str *out, const double *w, int side, double max)
{
    for (int level = 1; level <= LEVELS; level++) {
        int n = 0;
        for (int i = 0; i < side * side; i++) {
            int run = 0;
            while (i % side + run < side && lround(LEVELS * (1 - fmin(fmax(w[i + run] / max, 0), 1))) == level)
                run++; /* of a row's cells that are as dark */
            if (!run)
                continue;
            if (n++ == 0)
                capt_str_printf(out, "<path fill=\"#6b6f76\" fill-opacity=\"%.2f\" d=\"", COVER * level / LEVELS);
            capt_str_printf(out, "M%d %dh%dv1h-%dz", i % side, i / side, run, run);
            i += run - 1;
        }
        capt_str_puts(out, n ? "\"/>" : "");
    }
}

/* A share of the picture's width or height, in the drawing */
static int at(double share)
{
    return (int)lround(FRAME * fmin(fmax(share, 0), 1));
}

static void outline(capt_str *out, const double *box)
{
    capt_str_printf(out, "M%d %dH%dV%dH%dz", at(box[0]), at(box[1]), at(box[2]), at(box[3]), at(box[0]));
}

static void boxes(capt_str *out, const capt_hyp *h, const double *w, double max)
{
    int n = h->n_attention_boxes / 4, strongest = 0;
    for (int i = 1; i < n; i++)
        strongest = w[i] > w[strongest] ? i : strongest;
    capt_str_printf(out, "<path fill=\"#6b6f76\" fill-opacity=\"%.2f\" fill-rule=\"evenodd\" d=\"M0 0H%dV%dH0z", COVER, FRAME, FRAME);
    outline(out, h->attention_boxes + 4 * strongest);
    capt_str_puts(out, "\"/>");
    for (int level = 1; level <= LEVELS; level++) { /* the stronger above the weaker */
        int some = 0;
        for (int i = 0; i < n; i++) {
            if (lround(LEVELS * fmin(fmax(w[i] / max, 0), 1)) != level)
                continue;
            if (some++ == 0)
                capt_str_printf(out, "<path fill=\"none\" stroke=\"currentColor\" stroke-width=\"2\" vector-effect=\"non-scaling-stroke\" stroke-opacity=\"%.2f\" d=\"", (double)level / LEVELS);
            outline(out, h->attention_boxes + 4 * i);
        }
        capt_str_puts(out, some ? "\"/>" : "");
    }
}

static void bars(capt_str *out, const double *w, int64_t n, double max)
{
    capt_str_puts(out, "<path fill=\"currentColor\" d=\"");
    for (int64_t i = 0; i < n; i++)
        if (w[i] > 0)
            capt_str_printf(out, "M%lld %dh.8v-%.2fh-.8z", (long long)i, HEIGHT, HEIGHT * fmin(w[i] / max, 1));
    capt_str_puts(out, "\"/>");
}

void capt_heat_svg(capt_str *out, const capt_hyp *h, int t)
{
    int64_t rows = h->attention_rows;
    const double *w = h->attention + t * rows;
    double max = 0;
    for (int64_t i = 0; i < rows; i++)
        max = fmax(max, w[i]);
    capt_heat_on on = capt_heat_of(h);
    int side = on == CAPT_HEAT_ROWS ? 0 : on == CAPT_HEAT_BOXES ? FRAME : side_of(rows);
    capt_str_printf(out, "<svg viewBox=\"0 0 %lld %lld\" preserveAspectRatio=\"none\" shape-rendering=\"crispEdges\" role=\"img\" aria-label=\"", (long long)(side ? side : rows),
                    (long long)(side ? side : HEIGHT));
    capt_heat_word(out, h->tokens[t]);
    capt_str_printf(out, ": at most %.0f%% on one of %lld\"><title>at most %.0f%% on one of %lld</title>", 100 * max, (long long)rows, 100 * max, (long long)rows);
    if (max > 0 && on == CAPT_HEAT_BOXES)
        boxes(out, h, w, max);
    else if (max > 0 && side)
        cells(out, w, side, max);
    else if (max > 0)
        bars(out, w, rows, max);
    capt_str_puts(out, "</svg>");
}
