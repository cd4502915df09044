/* coco-score: caption records and references in, scores out. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "base/arena.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/prov.h"
#include "common/prog.h"
#include "metric/metric.h"
#include "record/any.h"
#include "record/score.h"
#include "text/ptb.h"

enum { MAX_METRICS = 16, MAX_FILES = 2, SHOWN = 5, FEW_IMAGES = 50 };
enum { TOK_PTB, TOK_NONE };

static const char *refs_path, *split = "test", *metrics = "bleu,rouge,cider", *df_path, *write_df, *per_image;
static int as_json, subset, tokenize, keep_first, collapse, df_eos;

/* The images of one hypothesis file, in the order of the references, and their scores. */
typedef struct answers {
    const char *path;
    capt_hyps *hyps;
    const capt_caption **image; /* (n) */
    const capt_hyp **hyp;       /* (n) */
    size_t n, n_refs, n_breaks, n_empty, n_dropped;
    size_t *ref_at;                 /* (n+1) */
    const char **hyp_line, **ref_line; /* tokenized: (n), (n_refs) */
    capt_metric_out out[MAX_METRICS];
    json_t *signature;
} answers;

typedef struct work {
    capt_prog *p;
    const capt_metric *metric[MAX_METRICS];
    int n_metrics;
    const char *splits[64];
    size_t n_splits;
    capt_captions *refs;
    capt_df *df; /* from --df, or NULL */
    capt_arena *arena;
    capt_pool *pool;
    answers a[MAX_FILES];
    int n_files;
} work;

static const char *tokenizer_id(void)
{
    return tokenize == TOK_PTB ? CAPT_PTB_ID : "none";
}

/* The comma-separated words of s, in the arena; usage error above max. */
static int split_list(work *w, const char *s, const char **v, size_t max, size_t *n)
{
    for (*n = 0;; s++) {
        size_t len = strcspn(s, ",");
        if (*n == max)
            return capt_prog_usage(w->p, "more than %zu names in a list", max);
        if (len)
            v[(*n)++] = capt_arena_strndup(w->arena, s, len);
        s += len;
        if (!*s)
            return *n ? 0 : capt_prog_usage(w->p, "an empty list of names");
    }
}

static int parse_options(work *w)
{
    const char *name[MAX_METRICS];
    size_t n;
    if (split_list(w, split, w->splits, sizeof w->splits / sizeof *w->splits, &w->n_splits) ||
        split_list(w, metrics, name, MAX_METRICS, &n))
        return -1;
    if (w->n_splits == 1 && !strcmp(w->splits[0], "all"))
        w->n_splits = 0;
    for (size_t i = 0; i < n; i++) {
        if (capt_metric_find(name[i]))
            continue;
        capt_str known = {0};
        for (const capt_metric *m = capt_metrics; m->name; m++)
            capt_str_printf(&known, "%s%s", known.n ? ", " : "", m->name);
        capt_prog_usage(w->p, "--metrics %s: not one of %s", name[i], known.s);
        capt_str_free(&known);
        return -1;
    }
    for (const capt_metric *m = capt_metrics; m->name; m++)
        for (size_t i = 0; i < n; i++)
            if (!strcmp(m->name, name[i])) {
                w->metric[w->n_metrics++] = m;
                break;
            }
    if (!w->p->argc && !write_df)
        return capt_prog_usage(w->p, "no hypotheses: name a FILE");
    if (per_image && w->p->argc != 1)
        return capt_prog_usage(w->p, "--per-image takes one hypothesis file");
    return 0;
}

static int in_split(const work *w, const capt_caption *c)
{
    int in = !c->split || !w->n_splits; /* layouts without splits: all of the file */
    for (size_t i = 0; i < w->n_splits && !in; i++)
        in = !strcmp(c->split, w->splits[i]);
    return in;
}

/* Up to SHOWN ids and their number, for a message. */
typedef struct id_list { capt_str s; size_t n; } id_list;

static void id_add(id_list *l, const capt_id *id)
{
    char key[CAPT_ID_KEY];
    capt_id_key(id, key);
    if (l->n++ < SHOWN)
        capt_str_printf(&l->s, "%s%.80s", l->n > 1 ? ", " : "", key);
}

static int id_fail(work *w, id_list *l, const char *path, const char *what, const char *advice)
{
    int rc = 0;
    if (l->n)
        rc = capt_fail(&w->p->err, CAPT_EDATA, "%s: %zu %s: %s%s%s", path, l->n, what, l->s.s,
                       l->n > SHOWN ? ", ..." : "", advice);
    capt_str_free(&l->s);
    return rc;
}

/* Joins hypotheses and references: fills image, hyp, n, n_refs. */
static int join(work *w, answers *a)
{
    id_list unknown = {{0}, 0}, other = {{0}, 0}, missing = {{0}, 0}, bare = {{0}, 0};
    if (a->hyps->int_ids != w->refs->int_ids)
        return capt_fail(&w->p->err, CAPT_EDATA, "%s: its ids are %s, those of %s are %s", a->path,
                         a->hyps->int_ids ? "integers" : "strings", refs_path,
                         w->refs->int_ids ? "integers" : "strings");
    for (size_t i = 0; i < a->hyps->n; i++) {
        const capt_caption *c = capt_captions_find(w->refs, &a->hyps->v[i].id);
        if (!c)
            id_add(&unknown, &a->hyps->v[i].id);
        else if (!in_split(w, c))
            id_add(&other, &a->hyps->v[i].id);
    }
    a->image = capt_arena_alloc(w->arena, w->refs->n * sizeof *a->image);
    a->hyp = capt_arena_alloc(w->arena, w->refs->n * sizeof *a->hyp);
    for (size_t i = 0; i < w->refs->n; i++) {
        const capt_caption *c = &w->refs->v[i];
        if (!in_split(w, c))
            continue;
        const capt_hyp *h = capt_hyps_find(a->hyps, &c->id);
        if (!h && c->n_captions)
            id_add(&missing, &c->id);
        if (h && !c->n_captions)
            id_add(&bare, &c->id);
        if (!h)
            continue;
        a->image[a->n] = c;
        a->hyp[a->n++] = h;
        a->n_refs += (size_t)c->n_captions;
    }
    if (subset)
        missing.n = 0;
    int rc = id_fail(w, &unknown, a->path, "images are not among the references", "");
    rc |= id_fail(w, &other, a->path, "images are in another split than --split names", "");
    rc |= id_fail(w, &bare, refs_path, "images have no references", "");
    rc |= id_fail(w, &missing, a->path, "images have no hypothesis", " (--subset scores the others)");
    return rc;
}

/* s with every line break made a blank: LF silently, as the official scorer does; the others would shift its lines, so they
 * are counted. */
static const char *one_line(work *w, const char *s, size_t *n_breaks)
{
    char *c = capt_arena_strndup(w->arena, s, strlen(s)), *to = c;
    for (const char *p = c; *p;) {
        int wide = !strncmp(p, "\xe2\x80\xa8", 3) || !strncmp(p, "\xe2\x80\xa9", 3);
        int odd = wide || *p == '\r' || *p == '\v' || *p == '\f';
        *n_breaks += (size_t)odd;
        *to++ = odd || *p == '\n' ? ' ' : *p;
        p += wide ? 3 : 1;
    }
    *to = 0;
    return c;
}

/* Equal neighbouring words become one. */
static const char *without_repeats(work *w, const char *s)
{
    capt_str b = {0};
    const char *last = NULL;
    size_t n_last = 0;
    while (*s) {
        size_t n = strcspn(s, " ");
        if (n && !(last && n == n_last && !memcmp(s, last, n))) {
            if (b.n)
                capt_str_putc(&b, ' ');
            capt_str_add(&b, s, n);
        }
        if (n) {
            last = s;
            n_last = n;
        }
        s += n + (s[n] == ' ');
    }
    const char *out = capt_arena_strndup(w->arena, b.s ? b.s : "", b.n);
    capt_str_free(&b);
    return out;
}

/* The number of tokens that the official tokenizer reports for these captions: with punctuation and line ends. */
static int count_tokens(work *w, const char **text, size_t n, const char *what)
{
    capt_str in = {0}, out = {0};
    size_t tokens = 0;
    for (size_t i = 0; i < n; i++) {
        if (i)
            capt_str_putc(&in, '\n');
        capt_str_puts(&in, text[i]);
    }
    int rc = capt_ptb_lex(in.s ? in.s : "", in.n, &out, &w->p->err);
    for (size_t i = 0; !rc && i < out.n; i++)
        tokens += out.s[i] == ' ' || (out.s[i] == '\n' && i && out.s[i - 1] != '\n') ? 1 : 0;
    if (!rc)
        capt_prog_detail(w->p, "%zu tokens in %s", tokens + n - 1, what);
    capt_str_free(&in);
    capt_str_free(&out);
    return rc;
}

static const char **tokenized(work *w, const char **text, size_t n, const char *what)
{
    const char **out = text;
    if (tokenize == TOK_NONE)
        return out;
    if (capt_ptb_lines(text, n, w->arena, &out, NULL, &w->p->err))
        return NULL;
    return w->p->verbose && count_tokens(w, text, n, what) ? NULL : out;
}

/* References of n images: offsets and token lines, tokenized in one run as the official scorer does. */
static const char **reference_lines(work *w, const capt_caption *const *image, size_t n, size_t n_refs, size_t *at,
                                    size_t *n_breaks)
{
    const char **text = capt_arena_alloc(w->arena, (n_refs + 1) * sizeof *text);
    at[0] = 0;
    for (size_t i = 0; i < n; i++) {
        at[i + 1] = at[i];
        for (int k = 0; k < image[i]->n_captions; k++)
            text[at[i + 1]++] = one_line(w, image[i]->captions[k], n_breaks);
    }
    return tokenized(w, text, n_refs, refs_path);
}

static int prepare(work *w, answers *a)
{
    a->ref_at = capt_arena_alloc(w->arena, (a->n + 1) * sizeof *a->ref_at);
    a->ref_line = reference_lines(w, a->image, a->n, a->n_refs, a->ref_at, &a->n_breaks);
    const char **text = capt_arena_alloc(w->arena, (a->n + 1) * sizeof *text);
    for (size_t i = 0; i < a->n; i++) {
        text[i] = one_line(w, a->hyp[i]->caption, &a->n_breaks);
        if (collapse)
            text[i] = without_repeats(w, text[i]);
    }
    a->hyp_line = tokenized(w, text, a->n, a->path);
    if (!a->ref_line || !a->hyp_line)
        return -1;
    size_t trained = 0, refs_empty = 0;
    for (size_t i = 0; i < a->n; i++) {
        a->n_empty += !a->hyp_line[i][strspn(a->hyp_line[i], " ")];
        trained += a->hyp[i]->trained_on == 1;
    }
    for (size_t i = 0; i < a->n_refs; i++)
        refs_empty += !a->ref_line[i][strspn(a->ref_line[i], " ")];
    if (a->n_empty == a->n)
        return capt_fail(&w->p->err, CAPT_EDATA, "%s: all %zu captions are empty: nothing to score", a->path, a->n);
    if (refs_empty == a->n_refs)
        return capt_fail(&w->p->err, CAPT_EDATA, "%s: all references are empty: nothing to score against", refs_path);
    if (a->n_empty)
        capt_prog_warn(w->p, "%s: %zu of %zu captions are empty", a->path, a->n_empty, a->n);
    if (a->n_breaks)
        capt_prog_warn(w->p, "%s: %zu line breaks inside captions or references read as blanks", a->path, a->n_breaks);
    if (trained)
        capt_prog_warn(w->p, "%s: %zu of %zu captions are of images the model was trained on", a->path, trained, a->n);
    if (a->n_dropped)
        capt_prog_warn(w->p, "%s: %zu captions of images captioned before were dropped", a->path, a->n_dropped);
    return 0;
}

static void describe(work *w, answers *a)
{
    int lo = a->image[0]->n_captions, hi = lo;
    for (size_t i = 0; i < a->n; i++) {
        lo = a->image[i]->n_captions < lo ? a->image[i]->n_captions : lo;
        hi = a->image[i]->n_captions > hi ? a->image[i]->n_captions : hi;
    }
    capt_str s = {0};
    capt_str_printf(&s, "images:%zu|refs:%d", a->n, lo);
    if (hi > lo)
        capt_str_printf(&s, "-%d", hi);
    capt_str_printf(&s, "|split:%s|subset:%s|dup:%s|tok:%s|collapse:%s", split, subset ? "yes" : "no",
                    keep_first ? "first" : "error", tokenizer_id(), collapse ? "yes" : "no");
    if (w->df)
        capt_str_printf(&s, "|df:%.8s,N=%llu%s", capt_df_source(w->df), (unsigned long long)capt_df_images(w->df),
                        capt_df_eos(w->df) ? ",eos" : "");
    else
        capt_str_printf(&s, "|df:corpus,N=%zu", a->n);
    capt_str_printf(&s, "|version:%s", capt_version());
    a->signature = json_stringn(s.s, s.n);
    capt_str_free(&s);
}

static int score(work *w, answers *a)
{
    capt_metric_in in = {a->n, a->hyp_line, a->ref_line, a->ref_at, w->df, w->pool};
    capt_df *own = NULL;
    for (int m = 0; m < w->n_metrics; m++) {
        if (!in.df && !strncmp(w->metric[m]->name, "cider", 5)) { /* once for both kinds */
            if (a->n < FEW_IMAGES)
                capt_prog_warn(w->p, "%s: CIDEr takes its n-gram weights from these %zu images alone; give --df FILE",
                               a->path, a->n);
            in.df = own = capt_df_new(a->ref_line, a->ref_at, a->n, 0, tokenizer_id(), NULL, &w->p->err);
            if (!own)
                return -1;
        }
        if (w->metric[m]->fn(&in, &a->out[m], &w->p->err)) {
            capt_df_free(own);
            return capt_err_prefix(&w->p->err, "%s: %s", a->path, w->metric[m]->name);
        }
    }
    capt_df_free(own);
    describe(w, a);
    return 0;
}

/* --write-df: document frequencies of all references in the split. */
static int make_df(work *w)
{
    const capt_caption **image = capt_arena_alloc(w->arena, (w->refs->n + 1) * sizeof *image);
    size_t n = 0, n_refs = 0, n_breaks = 0;
    capt_hasher *h = capt_hasher_new();
    for (size_t i = 0; i < w->refs->n; i++)
        if (in_split(w, &w->refs->v[i]) && w->refs->v[i].n_captions) {
            image[n] = &w->refs->v[i];
            n_refs += (size_t)image[n++]->n_captions;
        }
    size_t *at = capt_arena_alloc(w->arena, (n + 1) * sizeof *at);
    const char **line = reference_lines(w, image, n, n_refs, at, &n_breaks);
    for (size_t i = 0; line && i < n; i++) {
        char key[CAPT_ID_KEY];
        capt_hasher_add(h, key, capt_id_key(&image[i]->id, key) + 1);
        for (size_t k = at[i]; k < at[i + 1]; k++)
            capt_hasher_add(h, line[k], strlen(line[k]) + 1);
    }
    char source[33];
    capt_hasher_end(h, source);
    if (!line)
        return -1;
    if (n_breaks)
        capt_prog_warn(w->p, "%s: %zu line breaks inside references read as blanks", refs_path, n_breaks);
    if (!n)
        return capt_fail(&w->p->err, CAPT_EDATA, "%s: no references in split %s", refs_path, split);
    capt_df *df = capt_df_new(line, at, n, df_eos, tokenizer_id(), source, &w->p->err);
    int rc = df ? capt_df_write(df, write_df, &w->p->err) : -1;
    if (!rc)
        capt_prog_note(w->p, "%s: %llu n-grams of %zu images", write_df, (unsigned long long)capt_df_ngrams(df), n);
    capt_df_free(df);
    return rc;
}

static json_t *as_object(work *w, const answers *a)
{
    json_t *o = json_object();
    json_object_set_new(o, "n", json_integer((json_int_t)a->n));
    for (int m = 0; m < w->n_metrics; m++)
        for (int k = 0; k < a->out[m].n_score; k++)
            json_object_set_new(o, a->out[m].score[k].key, json_real(a->out[m].score[k].value));
    json_object_set(o, "signature", a->signature);
    json_object_set_new(o, "meteor", json_string("absent"));
    for (int m = 0; m < w->n_metrics; m++)
        if (a->out[m].n_score == 4) {
            const int64_t *g = a->out[m].guess, *c = a->out[m].correct;
            json_object_set_new(o, "bleu_counts",
                                json_pack("{s:I,s:I,s:[IIII],s:[IIII]}", "testlen", (json_int_t)a->out[m].testlen,
                                          "reflen", (json_int_t)a->out[m].reflen, "guess", (json_int_t)g[0],
                                          (json_int_t)g[1], (json_int_t)g[2], (json_int_t)g[3], "correct",
                                          (json_int_t)c[0], (json_int_t)c[1], (json_int_t)c[2], (json_int_t)c[3]));
        }
    return o;
}

static void put_json(work *w, const answers *a)
{
    capt_str s = {0};
    json_t *o = as_object(w, a);
    capt_json_line(o, &s);
    fwrite(s.s, 1, s.n, stdout);
    if (s.n && s.s[s.n - 1] != '\n')
        putchar('\n');
    json_decref(o);
    capt_str_free(&s);
}

static void put_table(work *w)
{
    const answers *a = w->a, *b = w->n_files == 2 ? &w->a[1] : NULL;
    capt_str name = {0};
    for (int f = 0; f < w->n_files; f++) {
        capt_str_clear(&name);
        capt_str_puts_escaped(&name, w->a[f].path, strlen(w->a[f].path));
        printf("%s%s: %zu images, %zu references\n", b ? f ? "B  " : "A  " : "", name.s, w->a[f].n, w->a[f].n_refs);
    }
    capt_str_free(&name);
    if (b)
        printf("\n%-12s%10s%10s%10s\n", "", "A", "B", "B - A");
    for (int m = 0; m < w->n_metrics; m++)
        for (int k = 0; k < a->out[m].n_score; k++) {
            double x = a->out[m].score[k].value;
            printf("%-12s%10.4f", a->out[m].score[k].key, x);
            if (b)
                printf("%10.4f%+10.4f", b->out[m].score[k].value, b->out[m].score[k].value - x);
            putchar('\n');
        }
    for (int f = 0; f < w->n_files; f++)
        for (int m = 0; m < w->n_metrics; m++)
            if (w->a[f].out[m].n_score == 4) {
                const capt_metric_out *o = &w->a[f].out[m];
                printf("%slengths %lld to %lld, n-grams correct %lld %lld %lld %lld of %lld %lld %lld %lld\n",
                       b ? f ? "B: " : "A: " : "", (long long)o->testlen, (long long)o->reflen,
                       (long long)o->correct[0], (long long)o->correct[1], (long long)o->correct[2],
                       (long long)o->correct[3], (long long)o->guess[0], (long long)o->guess[1], (long long)o->guess[2],
                       (long long)o->guess[3]);
            }
    printf("%s\n", json_string_value(a->signature));
}

static int put_per_image(work *w, const answers *a)
{
    capt_out *out = capt_out_open(per_image, &w->p->err);
    if (!out)
        return -1;
    capt_str s = {0};
    for (size_t i = 0; i < a->n; i++) {
        json_t *o = json_object();
        json_object_set_new(o, "id", capt_id_json(&a->hyp[i]->id));
        json_object_set_new(o, "caption", json_string(a->hyp[i]->caption));
        for (int m = 0; m < w->n_metrics; m++)
            for (int k = 0; k < a->out[m].n_score; k++)
                json_object_set_new(o, a->out[m].score[k].key, json_real(a->out[m].score[k].each[i]));
        if (a->hyp[i]->trained_on >= 0)
            json_object_set_new(o, "trained_on", json_boolean(a->hyp[i]->trained_on));
        capt_str_clear(&s);
        capt_json_line(o, &s);
        if (s.n && s.s[s.n - 1] != '\n')
            capt_str_putc(&s, '\n');
        fwrite(s.s, 1, s.n, capt_out_file(out)); /* a failed write shows at finish */
        json_decref(o);
    }
    capt_str_free(&s);
    return capt_out_finish(out, &w->p->err);
}

static int open_df(work *w)
{
    w->df = capt_df_open(df_path, &w->p->err);
    if (w->df && strcmp(capt_df_tokenizer(w->df), tokenizer_id()))
        return capt_fail(&w->p->err, CAPT_EDATA, "%s: made with tokenizer %s, not %s", df_path,
                         capt_df_tokenizer(w->df), tokenizer_id());
    return w->df ? 0 : -1;
}

static int same_images(work *w)
{
    const answers *a = &w->a[0], *b = &w->a[1];
    if (w->n_files == 2 && (a->n != b->n || memcmp(a->image, b->image, a->n * sizeof(*a->image))))
        return capt_fail(&w->p->err, CAPT_EDATA, "%s and %s caption different images", a->path, b->path);
    return 0;
}

static int work_all(work *w)
{
    capt_prog *p = w->p;
    int n_std = !strcmp(refs_path, "-");
    for (int f = 0; f < p->argc; f++)
        n_std += !strcmp(p->argv[f], "-");
    if (n_std > 1)
        return capt_prog_usage(p, "standard input can be read only once");
    w->pool = capt_pool_new((int)p->threads, &p->err);
    if (!w->pool || capt_captions_read_any(refs_path, &w->refs, &p->err) || (df_path && open_df(w)))
        return -1;
    for (int f = 0; f < p->argc; f++) {
        answers *a = &w->a[w->n_files++];
        a->path = p->argv[f];
        if (capt_hyps_read_any(a->path, keep_first, &a->n_dropped, &a->hyps, &p->err) || join(w, a) || prepare(w, a))
            return -1;
    }
    if (same_images(w) || (write_df && make_df(w)))
        return -1;
    for (int f = 0; f < w->n_files; f++)
        if (score(w, &w->a[f]))
            return -1;
    if (per_image && put_per_image(w, &w->a[0]))
        return -1;
    int stdout_taken = (per_image && !strcmp(per_image, "-")) || (write_df && !strcmp(write_df, "-"));
    for (int f = 0; as_json && !stdout_taken && f < w->n_files; f++)
        put_json(w, &w->a[f]);
    if (!as_json && !stdout_taken && w->n_files)
        put_table(w);
    return 0;
}

static int run(capt_prog *p)
{
    work w = {.p = p, .arena = capt_arena_new(1 << 20)};
    int rc = parse_options(&w) || work_all(&w) ? -1 : 0;
    for (int f = 0; f < w.n_files; f++) {
        for (int m = 0; m < w.n_metrics; m++)
            capt_metric_out_free(&w.a[f].out[m]);
        json_decref(w.a[f].signature);
        capt_hyps_free(w.a[f].hyps);
    }
    capt_captions_free(w.refs);
    capt_df_free(w.df);
    capt_pool_free(w.pool);
    capt_arena_free(w.arena);
    return rc;
}

static const capt_opt options[] = {
    {"refs", CAPT_O_STR, &refs_path, "FILE", "references: caption records, COCO annotations or Karpathy JSON", 0, 0, 1, 1},
    {"split", CAPT_O_STR, &split, "NAME,..", "splits to score; all: every image; files without splits count whole", 0, 0, 0, 0},
    {"metrics", CAPT_O_STR, &metrics, "LIST", "some of bleu, rouge, cider, cider-plain", 0, 0, 0, 0},
    {"df", CAPT_O_STR, &df_path, "FILE", "n-gram document frequencies for CIDEr, made by --write-df", 0, 0, 1, 0},
    {"write-df", CAPT_O_STR, &write_df, "FILE", "write the document frequencies of the references in the split", 0, 0, 1, 0},
    {"df-eos", CAPT_O_FLAG, &df_eos, NULL, "--write-df: the end of a sentence counts as a word", 0, 0, 0, 0},
    {"per-image", CAPT_O_STR, &per_image, "FILE", "write one score record an image", 0, 0, 1, 0},
    {"json", CAPT_O_FLAG, &as_json, NULL, "print one JSON object instead of a table", 0, 0, 1, 0},
    {"subset", CAPT_O_FLAG, &subset, NULL, "score only the images that have a hypothesis", 0, 0, 0, 0},
    {"tokenize", CAPT_O_CHOICE, &tokenize, "ptb|none", "none: captions are tokens joined by blanks already", 0, 0, 0, 0},
    {"dup", CAPT_O_CHOICE, &keep_first, "error|first", "two hypotheses for one image: refuse, or take the first", 0, 0, 0, 0},
    {"collapse-repeats", CAPT_O_FLAG, &collapse, NULL, "make equal neighbouring words of a hypothesis one", 0, 0, 0, 0},
    {0}};

static capt_prog prog = {.name = "coco-score",
                         .synopsis = "[options] --refs FILE HYPOTHESES [HYPOTHESES]",
                         .about = "Scores captions with BLEU, ROUGE-L and CIDEr as the official caption scorer does.",
                         .opts = options,
                         .groups = CAPT_G_THREADS,
                         .min_args = 0,
                         .max_args = MAX_FILES,
                         .run = run};
CAPT_MAIN(prog)
