#include "record/heat.h"
#include <math.h>
#include <string.h>
#include "base/html.h"

enum { LEVELS = 12, HEIGHT = 12 };
#define COVER 0.8 /* what is left of a cell without any attention can still be made out */

static int side_of(int64_t rows)
{
    int side = (int)lround(sqrt((double)rows));
    return (int64_t)side * side == rows ? side : 0;
}

capt_heat_on capt_heat_of(const capt_hyp *h)
{
    if (!h->attention || h->n_tokens < 1 || h->attention_rows < 1 || h->attention_rows > CAPT_ATTENTION_MAX || h->n_attention != h->n_tokens * h->attention_rows)
        return CAPT_HEAT_NONE;
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
    int side = capt_heat_of(h) == CAPT_HEAT_ROWS ? 0 : side_of(rows);
    capt_str_printf(out, "<svg viewBox=\"0 0 %lld %lld\" preserveAspectRatio=\"none\" shape-rendering=\"crispEdges\" role=\"img\" aria-label=\"", (long long)(side ? side : rows),
                    (long long)(side ? side : HEIGHT));
    capt_heat_word(out, h->tokens[t]);
    capt_str_printf(out, ": at most %.0f%% on one of %lld\"><title>at most %.0f%% on one of %lld</title>", 100 * max, (long long)rows, 100 * max, (long long)rows);
    if (max > 0 && side)
        cells(out, w, side, max);
    else if (max > 0)
        bars(out, w, rows, max);
    capt_str_puts(out, "</svg>");
}
