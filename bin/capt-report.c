/* capt-report: hypothesis records, scores and training logs in, one static HTML page with the pictures out. The page holds no
 * script and names nothing outside itself but the pictures; whatever was read is escaped. Equal inputs give equal bytes. */
#include <fcntl.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/file.h"
#include "base/html.h"
#include "base/mem.h"
#include "common/embed.h"
#include "common/prog.h"
#include "record/any.h"
#include "record/curve.h"
#include "record/heat.h"
#include "record/ndjson.h"

static const char *refs_path, *images_dir, *out_path, *title = "Captions", *curves;
static capt_strs scores, logs;
static int64_t limit = 60, maps = 12;
static int embed, as_text;

enum { TEXT_WIDTH = 60, TEXT_HEIGHT = 10 };
enum { METRICS = 9 };
static const char *const metric[METRICS] = {"Bleu_1", "Bleu_2", "Bleu_3", "Bleu_4", "METEOR", "METEOR-nopara", "ROUGE_L", "CIDEr", "CIDEr-plain"};

static const capt_opt options[] = {
    {"refs", CAPT_O_STR, &refs_path, "FILE", "references: caption records, COCO annotations or Karpathy JSON", 0, 0, 1, 0},
    {"images", CAPT_O_STR, &images_dir, "DIR", "folder of the pictures", 0, 0, 1, 0},
    {"scores", CAPT_O_STRS, &scores, "FILE", "what coco-score --json printed, a row of the table each line, named by its \"name\"", 0, 0, 1, 0},
    {"log", CAPT_O_STRS, &logs, "FILE", "training log: its curves are drawn", 0, 0, 1, 0},
    {"out", CAPT_O_STR, &out_path, "FILE", "page to write", 0, 0, 1, 0},
    {"title", CAPT_O_STR, &title, "TEXT", "heading of the page", 0, 0, 0, 0},
    {"limit", CAPT_O_INT, &limit, "N", "images shown, the first ones of the first hypothesis file; 0: all", 0, 1e9, 0, 0},
    {"maps", CAPT_O_INT, &maps, "N", "images shown with what each word attended to, the first ones whose records tell; 0: none", 0, 1e9, 0, 0},
    {"embed", CAPT_O_FLAG, &embed, NULL, "put the pictures into the page even when they lie near it", 0, 0, 0, 0},
    {"curves", CAPT_O_STR, &curves, "LIST", "which training curves: some of loss, val-loss, cider, reward; default: all", 0, 0, 0, 0},
    {"text", CAPT_O_FLAG, &as_text, NULL, "print all this as text, without pictures, instead of a page", 0, 0, 1, 0},
    {0}};

typedef struct row { char *name; json_t *o; } row;

typedef struct work {
    capt_prog *p;
    capt_captions *refs;
    size_t n; /* hypothesis files */
    capt_hyps **hyps;
    char **names; /* (n) */
    CAPT_VEC(row) rows;
    capt_curves *curves; /* (logs.n) */
    char **log_names;
    int shows[CAPT_CURVE_KINDS];
    double best[METRICS]; /* NaN: no row has it */
    int dirfd;
    int64_t mapped; /* images shown with their attention so far */
    char *prefix; /* of links from the page to the pictures; NULL: they are embedded */
    FILE *f;
    capt_str s;
} work;

static const char style[] =
    ":root{color-scheme:light dark;--ink:#1c1e21;--dim:#5d6570;--page:#fbfbfa;--card:#fff;--rule:#dcdfe3}\n"
    "@media(prefers-color-scheme:dark){:root{--ink:#e7e9ec;--dim:#a0a8b3;--page:#15171a;--card:#1e2125;--rule:#363b42}}\n"
    "*{box-sizing:border-box}\n"
    "body{margin:0 auto;padding:1.5rem;max-width:76rem;font:15px/1.45 system-ui,sans-serif;color:var(--ink);background:var(--page)}\n"
    "h1{font-size:1.6rem;margin:0 0 .2rem}h2{font-size:1.15rem;margin:2rem 0 .7rem}h3{font-size:.95rem;margin:0 0 .3rem}h3 small{font-weight:400}\n"
    "p{margin:.2rem 0}.dim{color:var(--dim)}\n"
    "h2+p{margin-bottom:.8rem}.wide{overflow-x:auto}table{border-collapse:collapse}th,td{padding:.3rem .8rem;border-bottom:1px solid var(--rule);text-align:right;font-variant-numeric:tabular-nums}\n"
    "th:first-child,td:first-child{text-align:left}thead th{color:var(--dim);font-weight:600}td.best{font-weight:700}\n"
    ".charts,.cards{display:grid;gap:1rem;grid-template-columns:repeat(auto-fill,minmax(min(26rem,100%),1fr))}.cards{grid-template-columns:repeat(auto-fill,minmax(min(17rem,100%),1fr))}\n"
    ".charts>div,figure{margin:0;background:var(--card);border:1px solid var(--rule);border-radius:8px;padding:.8rem;overflow-wrap:anywhere}\n"
    "figure{display:flex;flex-direction:column;gap:.6rem}img{width:100%;height:14rem;object-fit:contain;background:var(--page);border-radius:4px}\n"
    "figcaption p,li{unicode-bidi:isolate}.hyp{font-weight:600}.hyp b{display:block;font-size:.8rem}ul{margin:.5rem 0;padding-left:1.1rem;color:var(--dim)}small{color:var(--dim)}\n"
    ".seen{grid-column:1/-1;display:grid;grid-template-columns:minmax(0,15rem) minmax(0,1fr);gap:.6rem 1.2rem}@media(max-width:40rem){.seen{grid-template-columns:minmax(0,1fr)}}\n"
    ".photo{height:14rem;background:var(--p) center/contain no-repeat}.heat+.heat{margin-top:.8rem}.heat{display:grid;gap:.7rem .5rem;grid-template-columns:repeat(auto-fill,minmax(6.6rem,1fr))}\n"
    ".heat b{grid-column:1/-1}.heat p{text-align:center;font-size:.85rem;line-height:1.2;margin:.2rem 0 0}.map{position:relative;aspect-ratio:1;overflow:hidden;border-radius:4px;background:var(--p) center/cover}\n"
    ".map.whole{background-size:100% 100%}.map.boxes{color:#ffc400}.map.rows{aspect-ratio:3;background:var(--page);color:#2f6fde}.map svg{position:absolute;inset:0;height:100%}.photo,.map{-webkit-print-color-adjust:exact;print-color-adjust:exact}\n"
    ".warn{color:#b3261e;font-weight:700}@media(prefers-color-scheme:dark){.warn{color:#ff8a80}}\n"
    "svg{display:block;width:100%;height:auto}svg text{font:11px system-ui,sans-serif;fill:currentColor}.grid{stroke:var(--rule);fill:none}\n"
    ".line{fill:none;stroke-width:2;stroke-linejoin:round;stroke-linecap:round}path.r0{stroke:#2f6fde}path.r1{stroke:#d9601a}path.r2{stroke:#2a9461}path.r3{stroke:#a5489c}path.r4{stroke:#8a7a12}path.r5{stroke:#c23b4b}\n"
    "circle.r0,.key.r0{fill:#2f6fde;background:#2f6fde}circle.r1,.key.r1{fill:#d9601a;background:#d9601a}circle.r2,.key.r2{fill:#2a9461;background:#2a9461}\n"
    "circle.r3,.key.r3{fill:#a5489c;background:#a5489c}circle.r4,.key.r4{fill:#8a7a12;background:#8a7a12}circle.r5,.key.r5{fill:#c23b4b;background:#c23b4b}\n"
    ".key{display:inline-block;width:.9em;height:.9em;margin:0 .35em 0 .8em;border-radius:2px;vertical-align:-.08em;-webkit-print-color-adjust:exact;print-color-adjust:exact}.key:first-child{margin-left:0}\n"
    "@media print{:root{color-scheme:light;--ink:#000;--dim:#444;--page:#fff;--card:#fff;--rule:#bbb}body{max-width:none;padding:0;font-size:10pt}"
    "figure,.charts>div,tr{break-inside:avoid}h2{break-after:avoid}.cards{grid-template-columns:repeat(3,1fr)}.charts{grid-template-columns:1fr 1fr}img{height:10rem}}\n";

/* The name of a file without folder and extension. */
static char *short_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    char *s = capt_strdup(slash ? slash + 1 : path), *dot = strrchr(s, '.');
    if (dot && dot != s)
        *dot = 0;
    return s;
}

static int read_scores(work *w, const char *path)
{
    capt_err *err = &w->p->err;
    capt_ndjson *r = capt_ndjson_new(&path, 1, 0);
    json_t *o;
    int rc = capt_ndjson_next(r, &o, err);
    size_t before = w->rows.n;
    for (; rc > 0; rc = capt_ndjson_next(r, &o, err)) {
        int any = 0;
        for (int m = 0; m < METRICS; m++)
            any |= json_is_number(json_object_get(o, metric[m]));
        if (!any) {
            rc = capt_fail(err, CAPT_EDATA, "%s: no scores", capt_ndjson_where(r));
            json_decref(o);
            break;
        }
        const char *name = json_string_value(json_object_get(o, "name"));
        capt_str s = {0};
        if (name)
            capt_str_puts(&s, name);
        else
            capt_str_printf(&s, "scores %zu", w->rows.n + 1);
        row one = {s.s, o};
        capt_vec_push(&w->rows, one);
    }
    if (rc == 0 && w->rows.n == before)
        rc = capt_fail(err, CAPT_EDATA, "%s: no scores", path);
    capt_ndjson_free(r);
    return rc;
}

static const json_t *value_of(const work *w, size_t row_at, int m)
{
    const json_t *v = json_object_get(w->rows.v[row_at].o, metric[m]);
    return json_is_number(v) ? v : NULL;
}

static void find_best(work *w)
{
    for (int m = 0; m < METRICS; m++) {
        w->best[m] = NAN;
        for (size_t i = 0; i < w->rows.n; i++)
            if (value_of(w, i, m))
                w->best[m] = fmax(w->best[m], json_number_value(value_of(w, i, m)));
    }
}

static int read_all(work *w)
{
    capt_prog *p = w->p;
    for (size_t i = 0; i < logs.n; i++) {
        w->log_names[i] = short_name(logs.v[i]);
        if (capt_curves_read(logs.v[i], &w->curves[i], &p->err))
            return -1;
    }
    for (size_t i = 0; i < scores.n; i++)
        if (read_scores(w, scores.v[i]))
            return -1;
    find_best(w);
    if (!w->n)
        return 0;
    if (capt_captions_read_any(refs_path, &w->refs, &p->err))
        return -1;
    for (size_t i = 0; i < w->n; i++) {
        w->names[i] = short_name(p->argv[i]);
        if (capt_hyps_read_any(p->argv[i], 0, NULL, &w->hyps[i], &p->err))
            return -1;
    }
    if (as_text)
        return 0;
    w->dirfd = open(images_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return w->dirfd < 0 ? capt_fail_errno(&p->err, "%s", images_dir) : 0;
}

static int flush(work *w)
{
    if (w->s.n && fwrite(w->s.s, 1, w->s.n, w->f) != w->s.n)
        return capt_fail_errno(&w->p->err, "%s", capt_output_name(out_path));
    capt_str_clear(&w->s);
    return 0;
}

static void put_hypothesis(work *w, size_t i, const capt_id *id)
{
    const capt_hyp *h = capt_hyps_find(w->hyps[i], id);
    if (!h)
        return;
    capt_str_puts(&w->s, "<p class=\"hyp\" dir=\"auto\">");
    if (w->n > 1) {
        capt_str_puts(&w->s, "<b class=\"dim\">");
        capt_html_text(&w->s, w->names[i]);
        capt_str_puts(&w->s, "</b>");
    }
    capt_html_text(&w->s, h->caption);
    if (h->trained_on == 1)
        capt_str_puts(&w->s, " <span class=\"warn\">trained on</span>");
    capt_str_puts(&w->s, "</p>\n");
}

static int has_attention(const work *w, const capt_id *id)
{
    for (size_t i = 0; i < w->n; i++) {
        const capt_hyp *h = capt_hyps_find(w->hyps[i], id);
        if (h && capt_heat_of(h))
            return 1;
    }
    return 0;
}

/* A small picture a word of what it attended to */
static void put_maps(work *w, size_t i, const capt_id *id)
{
    const capt_hyp *h = capt_hyps_find(w->hyps[i], id);
    capt_heat_on on = h ? capt_heat_of(h) : CAPT_HEAT_NONE;
    if (!on)
        return;
    capt_str_puts(&w->s, "<div class=\"heat\">\n");
    if (w->n > 1) {
        capt_str_puts(&w->s, "<b class=\"dim\">");
        capt_html_text(&w->s, w->names[i]);
        capt_str_puts(&w->s, "</b>\n");
    }
    for (int t = 0; t < h->n_tokens; t++) {
        capt_str_printf(&w->s, "<div><div class=\"map%s\">", on == CAPT_HEAT_CROP ? "" : on == CAPT_HEAT_PICTURE ? " whole" : on == CAPT_HEAT_BOXES ? " whole boxes" : " rows");
        capt_heat_svg(&w->s, h, t);
        capt_str_puts(&w->s, "</div><p>");
        capt_heat_word(&w->s, h->tokens[t]);
        capt_str_puts(&w->s, "</p></div>\n");
    }
    capt_str_puts(&w->s, "</div>\n");
}

static int put_card(work *w, const capt_hyp *h, capt_err *err)
{
    char key[CAPT_ID_KEY];
    capt_id_key(&h->id, key);
    const capt_caption *c = capt_captions_find(w->refs, &h->id);
    if (!c)
        return capt_fail(err, CAPT_EDATA, "%s: no record of image %s", refs_path, key);
    if (!c->file)
        return capt_fail(err, CAPT_EDATA, "%s: image %s has no file", refs_path, key);
    int seen = w->mapped < maps && has_attention(w, &h->id); /* then the picture is in the page once, for itself and behind each map */
    capt_str_puts(&w->s, seen ? "<figure class=\"seen\" style=\"--p:url(&#39;" : "<figure>\n<img loading=\"lazy\" src=\"");
    if (embed_picture(&w->s, w->dirfd, w->prefix, c->file, err))
        return capt_err_prefix(err, "%s", images_dir);
    capt_str_puts(&w->s, seen ? "&#39;)\">\n<div>\n<div class=\"photo\" role=\"img\" aria-label=\"" : "\" alt=\"");
    capt_html_text(&w->s, h->caption);
    capt_str_puts(&w->s, seen ? "\"></div>\n<figcaption>\n" : "\">\n<figcaption>\n");
    for (size_t i = 0; i < w->n; i++)
        put_hypothesis(w, i, &h->id);
    if (c->n_captions)
        capt_str_puts(&w->s, "<ul>\n");
    for (int k = 0; k < c->n_captions; k++) {
        capt_str_puts(&w->s, "<li dir=\"auto\">");
        capt_html_text(&w->s, c->captions[k]);
        capt_str_puts(&w->s, "</li>\n");
    }
    capt_str_puts(&w->s, c->n_captions ? "</ul>\n<small>" : "<small>");
    capt_html_text(&w->s, c->file);
    capt_str_puts(&w->s, "</small>\n</figcaption>\n");
    if (seen) {
        w->mapped++;
        capt_str_puts(&w->s, "</div>\n<div>\n");
        for (size_t i = 0; i < w->n; i++)
            put_maps(w, i, &h->id);
        capt_str_puts(&w->s, "</div>\n");
    }
    capt_str_puts(&w->s, "</figure>\n");
    return 0;
}

static int put_cards(work *w)
{
    const capt_hyps *h = w->hyps[0];
    size_t n = limit && (size_t)limit < h->n ? (size_t)limit : h->n;
    capt_str_printf(&w->s, "<section>\n<h2>Pictures</h2>\n<p class=\"dim\">%zu of %zu images; the captions, and below them the references.</p>\n<div class=\"cards\">\n", n, h->n);
    for (size_t i = 0; i < n; i++) {
        capt_err err = CAPT_ERR_INIT;
        size_t before = w->s.n;
        if (put_card(w, &h->v[i], &err)) {
            w->s.n = before;
            w->s.s[before] = 0;
            if (capt_prog_bad(w->p, &err))
                return w->p->err.code ? -1 : capt_fail(&w->p->err, err.code, "%s", err.text);
        }
        if (flush(w))
            return -1;
    }
    capt_str_puts(&w->s, "</div>\n</section>\n");
    return 0;
}

static void put_scores(work *w)
{
    capt_str *s = &w->s;
    if (!w->rows.n)
        return;
    capt_str_puts(s, "<section>\n<h2>Scores</h2>\n<div class=\"wide\"><table>\n<thead><tr><th scope=\"col\">captions</th>");
    for (int m = 0; m < METRICS; m++)
        if (isfinite(w->best[m]))
            capt_str_printf(s, "<th scope=\"col\">%s</th>", metric[m]);
    capt_str_puts(s, "<th scope=\"col\">images</th></tr></thead>\n<tbody>\n");
    for (size_t i = 0; i < w->rows.n; i++) {
        capt_str_puts(s, "<tr><th scope=\"row\">");
        capt_html_text(s, w->rows.v[i].name);
        capt_str_puts(s, "</th>");
        for (int m = 0; m < METRICS; m++) {
            const json_t *v = value_of(w, i, m);
            if (v)
                capt_str_printf(s, "<td%s>%.3f</td>", w->rows.n > 1 && json_number_value(v) >= w->best[m] ? " class=\"best\"" : "", json_number_value(v));
            else if (isfinite(w->best[m]))
                capt_str_puts(s, "<td></td>");
        }
        const json_t *n = json_object_get(w->rows.v[i].o, "n");
        capt_str_puts(s, "<td>");
        if (json_is_integer(n))
            capt_str_printf(s, "%lld", (long long)json_integer_value(n));
        capt_str_puts(s, "</td></tr>\n");
    }
    capt_str_puts(s, "</tbody>\n</table></div>\n</section>\n");
}

static void put_charts(work *w)
{
    const capt_curve **c = capt_alloc((logs.n + 1) * sizeof *c);
    int shown = 0;
    for (int k = 0; k < CAPT_CURVE_KINDS; k++) {
        size_t points = 0;
        for (size_t i = 0; i < logs.n && w->shows[k]; i++) {
            c[i] = &w->curves[i].of[k];
            points += c[i]->n;
        }
        if (!points)
            continue;
        capt_str_puts(&w->s, shown++ ? "" : "<section>\n<h2>Training</h2>\n<div class=\"charts\">\n");
        capt_str_printf(&w->s, "<div>\n<h3>%s <small>by updates</small></h3>\n", capt_curve_title(k));
        capt_curve_svg(&w->s, capt_curve_title(k), (const char *const *)w->log_names, c, logs.n);
        capt_str_puts(&w->s, "<p class=\"dim\">");
        for (size_t i = 0; i < logs.n; i++)
            if (c[i]->n) {
                capt_str_printf(&w->s, "<span class=\"key r%zu\"></span>", i % 6);
                capt_html_text(&w->s, w->log_names[i]);
            }
        capt_str_puts(&w->s, "</p>\n</div>\n");
    }
    capt_str_puts(&w->s, shown ? "</div>\n</section>\n" : "");
    free(c);
}

static int put_page(work *w)
{
    capt_str *s = &w->s;
    capt_str_puts(s, "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
                     "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; img-src data: 'self'; style-src 'unsafe-inline'\">\n"
                     "<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\n<meta name=\"referrer\" content=\"no-referrer\">\n<title>");
    capt_html_text(s, title);
    capt_str_printf(s, "</title>\n<style>\n%s</style>\n</head>\n<body>\n<header><h1>", style);
    capt_html_text(s, title);
    capt_str_puts(s, "</h1></header>\n<main>\n");
    put_scores(w);
    put_charts(w);
    if (put_cards(w))
        return -1;
    capt_str_printf(s, "</main>\n<footer><p class=\"dim\"><small>capt-report %s</small></p></footer>\n</body>\n</html>\n", CAPT_VERSION);
    return flush(w);
}

static int write_page(work *w)
{
    w->prefix = embed ? NULL : embed_prefix(out_path, images_dir);
    capt_out *o = capt_out_open(out_path, &w->p->err);
    if (!o)
        return -1;
    w->f = capt_out_file(o);
    if (put_page(w)) {
        capt_out_abandon(o);
        return -1;
    }
    return capt_out_finish(o, &w->p->err);
}

/* --- as text: printed to stdout, which is checked at exit --- */

static void print_escaped(const char *text)
{
    capt_str s = {0};
    capt_str_puts_escaped(&s, text, strlen(text));
    fputs(s.s ? s.s : "", stdout);
    capt_str_free(&s);
}

static int width_of(const char *text)
{
    capt_str s = {0};
    capt_str_puts_escaped(&s, text, strlen(text));
    int n = 0;
    for (size_t i = 0; i < s.n; i++)
        n += ((unsigned char)s.s[i] & 0xc0) != 0x80;
    capt_str_free(&s);
    return n;
}

static void print_padded(const char *text, int width)
{
    print_escaped(text);
    printf("%*s", width - width_of(text), "");
}

static void print_scores(const work *w)
{
    int width = 8;
    for (size_t i = 0; i < w->rows.n; i++)
        width = width_of(w->rows.v[i].name) > width ? width_of(w->rows.v[i].name) : width;
    print_padded("captions", width);
    for (int m = 0; m < METRICS; m++)
        if (isfinite(w->best[m]))
            printf("  %7s", metric[m]);
    putchar('\n');
    for (size_t i = 0; i < w->rows.n; i++) {
        print_padded(w->rows.v[i].name, width);
        for (int m = 0; m < METRICS; m++) {
            const json_t *v = value_of(w, i, m);
            int wide = strlen(metric[m]) > 7 ? (int)strlen(metric[m]) : 7;
            if (v)
                printf("  %*.3f", wide, json_number_value(v));
            else if (isfinite(w->best[m]))
                printf("  %*s", wide, "-");
        }
        putchar('\n');
    }
}

static int print_captions(work *w, int *shown)
{
    const capt_hyps *h = w->hyps[0];
    int width = (int)strlen("reference");
    for (size_t i = 0; i < w->n; i++)
        width = width_of(w->names[i]) > width ? width_of(w->names[i]) : width;
    for (size_t i = 0; i < h->n && (!limit || i < (size_t)limit); i++) {
        char key[CAPT_ID_KEY];
        capt_err err = CAPT_ERR_INIT;
        capt_id_key(&h->v[i].id, key);
        const capt_caption *c = capt_captions_find(w->refs, &h->v[i].id);
        if (!c) {
            capt_fail(&err, CAPT_EDATA, "%s: no record of image %s", refs_path, key);
            if (!capt_prog_bad(w->p, &err))
                continue;
            return w->p->err.code ? -1 : capt_fail(&w->p->err, err.code, "%s", err.text);
        }
        fputs((*shown)++ ? "\n" : "", stdout);
        print_escaped(c->file ? c->file : key);
        putchar('\n');
        for (size_t k = 0; k < w->n; k++) {
            const capt_hyp *one = capt_hyps_find(w->hyps[k], &h->v[i].id);
            if (!one)
                continue;
            fputs("  ", stdout);
            print_padded(w->names[k], width + 2);
            print_escaped(one->caption);
            fputs(one->trained_on == 1 ? "  (trained on)\n" : "\n", stdout);
        }
        for (int k = 0; k < c->n_captions; k++) {
            printf("  %-*s", width + 2, k ? "" : "reference");
            print_escaped(c->captions[k]);
            putchar('\n');
        }
    }
    return 0;
}

static void print_curves(work *w, int *shown)
{
    for (size_t i = 0; i < logs.n; i++)
        for (int k = 0; k < CAPT_CURVE_KINDS; k++) {
            if (!w->shows[k])
                continue;
            capt_str head = {0};
            if (logs.n > 1) {
                capt_str_puts_escaped(&head, w->log_names[i], strlen(w->log_names[i]));
                capt_str_puts(&head, ": ");
            }
            capt_str_puts(&head, capt_curve_title(k));
            capt_str_clear(&w->s);
            capt_curve_text(&w->s, head.s, &w->curves[i].of[k], TEXT_WIDTH, TEXT_HEIGHT);
            if (w->s.n)
                printf("%s%s", (*shown)++ ? "\n" : "", w->s.s);
            capt_str_free(&head);
        }
}

static int print_text(work *w)
{
    int shown = 0;
    if (w->rows.n) {
        print_scores(w);
        shown++;
    }
    if (w->n && print_captions(w, &shown))
        return -1;
    print_curves(w, &shown);
    return 0;
}

static int choose_curves(work *w)
{
    static const char *const name[CAPT_CURVE_KINDS] = {"loss", "val-loss", "cider", "reward"};
    for (int k = 0; k < CAPT_CURVE_KINDS; k++)
        w->shows[k] = !curves;
    for (const char *s = curves; s; s++) {
        size_t n = strcspn(s, ",");
        int k = 0;
        while (k < CAPT_CURVE_KINDS && (strlen(name[k]) != n || strncmp(name[k], s, n) != 0))
            k++;
        if (k == CAPT_CURVE_KINDS)
            return capt_prog_usage(w->p, "--curves %.*s: not one of loss, val-loss, cider, reward", (int)n, s);
        w->shows[k] = 1;
        s += n;
        if (!*s)
            break;
    }
    return 0;
}

static int check_usage(capt_prog *p)
{
    if (as_text && out_path)
        return capt_prog_usage(p, "--text prints on standard output: leave --out out");
    if (as_text && !p->argc && !logs.n && !scores.n)
        return capt_prog_usage(p, "--text without hypothesis records, --scores or --log: nothing to show");
    if (as_text)
        return p->argc && !refs_path ? capt_prog_usage(p, "--refs is missing") : 0;
    if (!refs_path || !images_dir || !out_path)
        return capt_prog_usage(p, "--%s is missing", !refs_path ? "refs" : !images_dir ? "images" : "out");
    return p->argc ? 0 : capt_prog_usage(p, "no hypothesis records to show");
}

static int run(capt_prog *p)
{
    if (check_usage(p))
        return -1;
    work w = {.p = p, .n = (size_t)p->argc, .dirfd = -1};
    if (choose_curves(&w))
        return -1;
    w.hyps = capt_alloc((w.n + 1) * sizeof *w.hyps);
    w.names = capt_alloc((w.n + 1) * sizeof *w.names);
    w.curves = capt_alloc((logs.n + 1) * sizeof *w.curves);
    w.log_names = capt_alloc((logs.n + 1) * sizeof *w.log_names);
    int rc = read_all(&w);
    if (!rc)
        rc = as_text ? print_text(&w) : write_page(&w);
    for (size_t i = 0; i < w.n; i++) {
        capt_hyps_free(w.hyps[i]);
        free(w.names[i]);
    }
    for (size_t i = 0; i < logs.n; i++) {
        capt_curves_free(&w.curves[i]);
        free(w.log_names[i]);
    }
    for (size_t i = 0; i < w.rows.n; i++) {
        free(w.rows.v[i].name);
        json_decref(w.rows.v[i].o);
    }
    capt_vec_free(&w.rows);
    free(w.hyps);
    free(w.names);
    free(w.curves);
    free(w.log_names);
    free(w.prefix);
    capt_captions_free(w.refs);
    capt_str_free(&w.s);
    if (w.dirfd >= 0)
        close(w.dirfd);
    return rc;
}

static capt_prog prog = {.name = "capt-report",
                         .synopsis = "[options] --refs FILE --images DIR --out FILE.html FILE...",
                         .about = "Shows captions beside pictures and references, with scores and training curves, on one HTML page.",
                         .opts = options,
                         .groups = CAPT_G_MAXBAD,
                         .min_args = 0,
                         .max_args = -1,
                         .run = run};
CAPT_MAIN(prog)
