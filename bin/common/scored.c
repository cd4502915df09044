/* See scored.h. */
#include "common/scored.h"
#include <math.h>
#include <string.h>
#include "base/file.h"
#include "base/json.h"
#include "base/str.h"

static int is_bleu(const capt_metric_out *o)
{
    return !strcmp(o->score[0].key, "Bleu_1");
}

static double share(size_t k, size_t n)
{
    return n ? (double)k / (double)n : 0;
}

static json_t *health_object(const capt_health *h)
{
    return json_pack("{s:f,s:f,s:f,s:f,s:f}", "mean_length", share(h->words, h->n), "bad_endings", share(h->bad_endings, h->n),
                     "unk_rate", share(h->unk, h->words), "repeated_bigrams", share(h->repeated, h->n), "empty",
                     share(h->empty, h->n));
}

void scored_note_health(const capt_prog *p, const scored *s)
{
    const capt_health *h = s->health;
    capt_prog_note(p, "%s: %.2f words a caption; %.2f%% bad endings, %.2f%% with a repeated bigram, %.2f%% empty; %.2f%% of words unknown",
                   s->path, share(h->words, h->n), 100 * share(h->bad_endings, h->n), 100 * share(h->repeated, h->n),
                   100 * share(h->empty, h->n), 100 * share(h->unk, h->words));
}

static json_t *meteor_stats(const int64_t *stats)
{
    json_t *v = json_array();
    for (int k = 0; k < CAPT_METEOR_STATS; k++)
        json_array_append_new(v, json_integer((json_int_t)stats[k]));
    return v;
}

/* METEOR's part of a; NULL: none. */
static const capt_metric_out *meteor_of(const scored *a)
{
    for (int m = 0; m < a->n_out; m++)
        if (a->out[m].meteor_each)
            return &a->out[m];
    return NULL;
}

void scored_detail_meteor(const capt_prog *p, const scored *s)
{
    const capt_metric_out *o = meteor_of(s);
    if (!o)
        return;
    const int64_t *x = o->meteor, *y = x + CAPT_METEOR_MODULES;
    capt_prog_detail(p, "%s: METEOR: words %lld of %lld, function words %lld of %lld; content and function words matched: "
                     "exact %lld %lld, stem %lld %lld, synonym %lld %lld, paraphrase %lld %lld; %lld chunks",
                     s->path, (long long)x[0], (long long)x[1], (long long)x[2], (long long)x[3], (long long)y[0],
                     (long long)y[2], (long long)y[4], (long long)y[6], (long long)y[8], (long long)y[10], (long long)y[12],
                     (long long)y[14], (long long)x[CAPT_METEOR_CHUNKS]);
}

/* A value or difference of s. */
static json_t *number(const capt_metric_score *s, double v)
{
    return s->count ? json_integer((json_int_t)v) : json_real(v);
}

static json_t *as_object(const scored *a)
{
    const capt_metric_out *meteor = meteor_of(a);
    json_t *o = json_object();
    json_object_set_new(o, "n", json_integer((json_int_t)a->n));
    for (int m = 0; m < a->n_out; m++)
        for (int k = 0; k < a->out[m].n_score; k++)
            json_object_set_new(o, a->out[m].score[k].key, number(&a->out[m].score[k], a->out[m].score[k].value));
    json_object_set_new(o, "signature", json_string(a->signature));
    json_object_set_new(o, "meteor", json_string(!meteor ? "absent" : strcmp(meteor->score[0].key, "METEOR") ? "nopara" : "full"));
    for (int m = 0; m < a->n_out; m++)
        if (is_bleu(&a->out[m])) {
            const int64_t *g = a->out[m].guess, *c = a->out[m].correct;
            json_object_set_new(o, "bleu_counts",
                                json_pack("{s:I,s:I,s:[IIII],s:[IIII]}", "testlen", (json_int_t)a->out[m].testlen,
                                          "reflen", (json_int_t)a->out[m].reflen, "guess", (json_int_t)g[0],
                                          (json_int_t)g[1], (json_int_t)g[2], (json_int_t)g[3], "correct",
                                          (json_int_t)c[0], (json_int_t)c[1], (json_int_t)c[2], (json_int_t)c[3]));
        }
    if (meteor)
        json_object_set_new(o, "meteor_stats", meteor_stats(meteor->meteor));
    json_object_set_new(o, "health", health_object(a->health));
    return o;
}

/* Writes one line and frees o. */
static void put_line(json_t *o, FILE *f)
{
    capt_str s = {0};
    capt_json_line(o, &s);
    fwrite(s.s, 1, s.n, f); /* a failed write shows when f is closed */
    json_decref(o);
    capt_str_free(&s);
}

void scored_put_json(const scored *s)
{
    put_line(as_object(s), stdout);
}

void scored_put_difference(const scored s[2], const scored_interval *iv, int64_t resamples, int64_t seed)
{
    const scored *a = s;
    json_t *o = json_object(), *d = json_object();
    json_object_set_new(o, "difference", d);
    json_object_set_new(o, "resamples", json_integer((json_int_t)resamples));
    json_object_set_new(o, "seed", json_integer((json_int_t)seed));
    for (int m = 0; m < a->n_out; m++)
        for (int k = 0; k < a->out[m].n_score; k++) {
            const capt_interval *v = &iv[m][k];
            json_t *x = json_pack("{s:o}", "diff", number(&a->out[m].score[k], v->diff));
            if (!isnan(v->lo)) {
                json_object_set_new(x, "interval", json_pack("[ff]", v->lo, v->hi));
                json_object_set_new(x, "p", json_real(v->p));
            }
            json_object_set_new(d, a->out[m].score[k].key, x);
        }
    put_line(o, stdout);
}

static const char *plural(size_t n)
{
    return n == 1 ? "" : "s";
}

static void put_value(const capt_metric_score *s)
{
    printf("%10.*f", s->count ? 0 : 4, s->value);
}

static void put_lengths(const capt_metric_out *o, const char *who)
{
    printf("%slengths %lld to %lld, ratio %.4f; n-grams correct", who, (long long)o->testlen, (long long)o->reflen,
           o->reflen ? (double)o->testlen / (double)o->reflen : 0);
    for (int n = 0; n < CAPT_NGRAM_MAX; n++)
        printf(" %lld/%lld", (long long)o->correct[n], (long long)o->guess[n]);
    putchar('\n');
}

void scored_put_table(const scored *s, int n_files, const scored_interval *iv)
{
    const scored *a = s, *b = n_files == 2 ? &s[1] : NULL;
    capt_str name = {0};
    for (int f = 0; f < n_files; f++) {
        capt_str_clear(&name);
        capt_str_puts_escaped(&name, s[f].path, strlen(s[f].path));
        printf("%s%s: %zu image%s, %zu reference%s\n", b ? f ? "B  " : "A  " : "", name.s, s[f].n, plural(s[f].n), s[f].n_refs,
               plural(s[f].n_refs));
    }
    capt_str_free(&name);
    if (b)
        printf("\n%-20s%10s%10s%10s%s", "", "A", "B", "B - A", !isnan(iv[0][0].lo) ? "   95% interval          p" : "");
    putchar('\n');
    for (int m = 0; m < a->n_out; m++)
        for (int k = 0; k < a->out[m].n_score; k++) {
            printf("%-20s", a->out[m].score[k].key);
            put_value(&a->out[m].score[k]);
            if (b) {
                put_value(&b->out[m].score[k]);
                printf("%+10.*f", a->out[m].score[k].count ? 0 : 4, iv[m][k].diff);
            }
            if (b && !isnan(iv[m][k].lo))
                printf("   %+.4f %+.4f   %.4f", iv[m][k].lo, iv[m][k].hi, iv[m][k].p);
            putchar('\n');
        }
    putchar('\n');
    for (int f = 0; f < n_files; f++)
        for (int m = 0; m < s[f].n_out; m++)
            if (is_bleu(&s[f].out[m]))
                put_lengths(&s[f].out[m], b ? f ? "B: " : "A: " : "");
    printf("%s\n", a->signature);
}

int scored_put_images(const char *path, const scored *a, capt_err *err)
{
    capt_out *out = capt_out_open(path, err);
    if (!out)
        return -1;
    for (size_t i = 0; i < a->n; i++) {
        const capt_hyp *h = a->hyp[i];
        json_t *o = json_object();
        json_object_set_new(o, "id", capt_id_json(&h->id));
        json_object_set_new(o, "caption", json_string(h->caption));
        for (int m = 0; m < a->n_out; m++)
            for (int k = 0; k < a->out[m].n_score; k++) {
                const capt_metric_score *s = &a->out[m].score[k];
                if (s->each && !isnan(s->each[i]))
                    json_object_set_new(o, s->key, json_real(s->each[i]));
            }
        if (meteor_of(a))
            json_object_set_new(o, "meteor_stats", meteor_stats(meteor_of(a)->meteor_each[i]));
        if (h->trained_on >= 0)
            json_object_set_new(o, "trained_on", json_boolean(h->trained_on));
        put_line(o, capt_out_file(out));
    }
    return capt_out_finish(out, err);
}

void scored_warn_odd(const capt_prog *p, const char *path, const char *what, const capt_odd *odd)
{
    if (odd->breaks)
        capt_prog_warn(p, "%s: %zu line breaks inside %s read as blanks", path, odd->breaks, what);
    if (odd->controls)
        capt_prog_warn(p, "%s: %zu control characters inside %s read as blanks", path, odd->controls, what);
    if (odd->c1)
        capt_prog_warn(p, "%s: %zu control characters U+0080 to U+009F inside %s read as Windows-1252", path, odd->c1, what);
}
