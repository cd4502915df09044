/* See spice.h. */
#include "record/spice.h"
#include <stdlib.h>
#include <string.h>
#include <unicase.h>
#include "base/file.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/str.h"
#include "record/join.h"
#include "record/jsonfile.h"
#include "record/ndjson.h"
#include "record/spice_priv.h"

/* Number of the image that o is about; marks it seen. */
static int64_t image_of(const json_t *o, const capt_idmap *by_id, char *seen, const char *where, capt_err *err)
{
    const json_t *j = json_object_get(o, "image_id") ? json_object_get(o, "image_id") : json_object_get(o, "id");
    capt_id id;
    char key[CAPT_ID_KEY];
    if (!j)
        return capt_fail(err, CAPT_EDATA, "%s: \"image_id\" is missing", where);
    if (capt_id_from_json(j, &id, where, err))
        return -1;
    int64_t at = capt_idmap_get(by_id, &id);
    capt_id_key(&id, key);
    if (at < 0)
        return capt_fail(err, CAPT_EDATA, "%s: image %.80s is not among those scored", where, key);
    if (seen[at])
        return capt_fail(err, CAPT_EDATA, "%s: image %.80s is there twice", where, key);
    seen[at] = 1;
    return at;
}

static int all_seen(const char *path, const capt_id *const *ids, size_t n, const char *seen, capt_err *err)
{
    capt_id_list missing = {{0}, 0};
    for (size_t i = 0; i < n; i++)
        if (!seen[i])
            capt_id_list_add(&missing, ids[i]);
    return capt_id_list_fail(&missing, path, "is missing", "are missing", "", err);
}

static int read_score(const json_t *v, const char *where, double *f, capt_err *err)
{
    const json_t *scores = capt_json_object(v, "scores", where, err);
    const json_t *all = scores ? capt_json_object(scores, "All", where, err) : NULL;
    if (!all || capt_json_num(all, "f", f, where, err))
        return -1;
    return *f >= 0 && *f <= 1 ? 0 : capt_fail(err, CAPT_EDATA, "%s: \"f\" is not between 0 and 1", where);
}

int capt_spice_read_output(const char *path, const capt_idmap *by_id, const capt_id *const *ids, size_t n, double *f, capt_err *err)
{
    capt_jsonfile *j = capt_jsonfile_open(path, NULL, NULL, 0, err);
    if (!j)
        return -1;
    char *seen = capt_alloc(n + 1);
    int got;
    do {
        const char *key;
        json_t *v = NULL;
        got = capt_jsonfile_next(j, &key, &v, err);
        if (got == 1) {
            int64_t at = image_of(v, by_id, seen, capt_jsonfile_where(j), err);
            if (at < 0 || read_score(v, capt_jsonfile_where(j), &f[at], err))
                got = -1;
        }
        json_decref(v);
    } while (got == 1);
    capt_jsonfile_close(j);
    if (!got)
        got = all_seen(path, ids, n, seen, err);
    free(seen);
    return got;
}

/* One tuple as text: its words with SPICE_BETWEEN between them. */
static int add_tuple(const json_t *t, spice_tuples *to, const char *where, capt_err *err)
{
    size_t n = json_array_size(t);
    if (n < 1 || n > 3)
        return capt_fail(err, CAPT_EDATA, "%s: a tuple is an array of one to three words", where);
    capt_str s = {0};
    for (size_t i = 0; i < n; i++) {
        const char *w = json_string_value(json_array_get(t, i));
        if (!w || !*w) {
            capt_str_free(&s);
            return capt_fail(err, CAPT_EDATA, "%s: a word of a tuple is not a string or empty", where);
        }
        size_t m = 0;
        uint8_t *low = u8_tolower((const uint8_t *)w, strlen(w), "en", NULL, NULL, &m);
        if (!low)
            capt_no_memory();
        size_t skip = n == 3 && i == 1 && m > 3 && !memcmp(low, "be ", 3) ? 3 : 0;
        if (i)
            capt_str_putc(&s, SPICE_BETWEEN);
        for (size_t k = skip; k < m; k++)
            capt_str_putc(&s, low[k] == ' ' ? '_' : (char)low[k]);
        free(low);
    }
    capt_vec_push(to, capt_strdup(s.s));
    capt_str_free(&s);
    return 0;
}

static int add_tuples(const json_t *list, int deep, spice_tuples *to, const char *where, capt_err *err)
{
    size_t i;
    json_t *t;
    json_array_foreach(list, i, t) {
        int nested = deep && json_is_array(t) && (!json_array_size(t) || json_is_array(json_array_get(t, 0)));
        if (nested ? add_tuples(t, 0, to, where, err) : add_tuple(t, to, where, err))
            return -1;
    }
    return 0;
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static void make_set(spice_tuples *s)
{
    size_t n = 0;
    if (s->n)
        qsort(s->v, s->n, sizeof *s->v, by_text);
    for (size_t i = 0; i < s->n; i++) {
        if (n && !strcmp(s->v[n - 1], s->v[i]))
            free(s->v[i]);
        else
            s->v[n++] = s->v[i];
    }
    s->n = n;
}

static void tuples_free(spice_tuples *s)
{
    for (size_t i = 0; i < s->n; i++)
        free(s->v[i]);
    capt_vec_free(s);
}

static int count_tuples(const json_t *o, const char *where, const capt_synsets *syn, capt_tuple_counts *c, capt_err *err)
{
    const json_t *cand = capt_json_array(o, "tuples", where, err), *ref = cand ? capt_json_array(o, "refs", where, err) : NULL;
    spice_tuples a = {0}, b = {0};
    int rc = ref && !add_tuples(cand, 0, &a, where, err) && !add_tuples(ref, 1, &b, where, err) ? 0 : -1;
    if (!rc) {
        make_set(&a);
        if (!syn)
            make_set(&b);
    }
    if (!rc && syn) {
        *c = spice_graph_count(&a, &b, syn);
    } else if (!rc) {
        *c = (capt_tuple_counts){0, (int64_t)a.n, (int64_t)b.n};
        for (size_t i = 0; i < a.n; i++)
            c->right += b.n && bsearch(&a.v[i], b.v, b.n, sizeof *b.v, by_text) != NULL;
    }
    tuples_free(&a);
    tuples_free(&b);
    return rc;
}

int capt_spice_read_tuples(const char *path, const capt_idmap *by_id, const capt_id *const *ids, size_t n,
                           const capt_synsets *syn, capt_tuple_counts *c, capt_err *err)
{
    capt_ndjson *in = capt_ndjson_new(&path, 1, 0);
    char *seen = capt_alloc(n + 1);
    int got;
    do {
        json_t *o = NULL;
        got = capt_ndjson_next(in, &o, err);
        if (got == 1) {
            int64_t at = image_of(o, by_id, seen, capt_ndjson_where(in), err);
            if (at < 0 || count_tuples(o, capt_ndjson_where(in), syn, &c[at], err))
                got = -1;
        }
        json_decref(o);
    } while (got == 1);
    capt_ndjson_free(in);
    if (!got)
        got = all_seen(path, ids, n, seen, err);
    free(seen);
    return got;
}

double capt_tuple_f1(const capt_tuple_counts *c)
{
    return c->right ? 2.0 * (double)c->right / (double)(c->n_cand + c->n_ref) : 0;
}

int capt_spice_write_input(const char *path, const capt_id *const *ids, const char *const *hyps, const char *const *refs,
                           const size_t *ref_at, size_t n, capt_err *err)
{
    capt_out *out = capt_out_open(path, err);
    if (!out)
        return -1;
    FILE *f = capt_out_file(out);
    capt_str s = {0};
    for (size_t i = 0; i < n; i++) {
        json_t *list = json_array(), *o = json_object();
        for (size_t r = ref_at[i]; r < ref_at[i + 1]; r++)
            json_array_append_new(list, json_string(refs[r]));
        json_object_set_new(o, "image_id", capt_id_json(ids[i]));
        json_object_set_new(o, "test", json_string(hyps[i]));
        json_object_set_new(o, "refs", list);
        capt_str_clear(&s);
        capt_json_line(o, &s);
        fprintf(f, "%s%.*s", i ? ",\n" : "[", (int)(s.n ? s.n - 1 : 0), s.s); /* a failed write shows at finish */
        json_decref(o);
    }
    fputs("]\n", f);
    capt_str_free(&s);
    return capt_out_finish(out, err);
}
