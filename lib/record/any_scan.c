/* The published JSON layouts, read straight from their bytes: no tree is built, unwanted members are stepped over by their
 * brackets and strings. Whatever is out of the ordinary (unknown layout, bad JSON, a wrong type, an id given twice) makes
 * it give up, and the general reader, which also words the errors, starts anew. */
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "base/mem.h"
#include "record/any_priv.h"

typedef struct scan {
    const char *p, *end;
    capt_arena *a;
    const char *last; /* split name of the image before */
} scan;

typedef struct span { const char *s; size_t n; int escaped; } span; /* between the quotes */

static int peek(scan *c)
{
    while (c->p < c->end && (*c->p == ' ' || *c->p == '\n' || *c->p == '\r' || *c->p == '\t'))
        c->p++;
    return c->p < c->end ? (unsigned char)*c->p : -1;
}

static int eat(scan *c, int ch)
{
    int is = peek(c) == ch;
    c->p += is;
    return is;
}

static int string(scan *c, span *s)
{
    if (!eat(c, '"'))
        return 0;
    *s = (span){c->p, 0, 0};
    for (; c->p < c->end; c->p++) {
        if (*c->p == '"') {
            s->n = (size_t)(c->p++ - s->s);
            return 1;
        }
        if ((unsigned char)*c->p < 0x20)
            return 0;
        if (*c->p == '\\') {
            s->escaped = 1;
            c->p++;
        }
    }
    return 0;
}

static int skip(scan *c)
{
    long depth = 0;
    span s;
    do {
        int ch = peek(c);
        if (ch < 0)
            return 0;
        if (ch == '"') {
            if (!string(c, &s))
                return 0;
        } else if (ch == '{' || ch == '[') {
            depth++;
            c->p++;
        } else if (ch == '}' || ch == ']') {
            depth--;
            c->p++;
        } else if (depth && (ch == ',' || ch == ':')) {
            c->p++;
        } else {
            const char *from = c->p;
            while (c->p < c->end && !strchr(",:]}[{\" \t\r\n", *c->p))
                c->p++;
            if (c->p == from)
                return 0;
        }
    } while (depth > 0);
    return depth == 0;
}

static int is(const span *s, const char *word)
{
    return s->n == strlen(word) && !memcmp(s->s, word, s->n);
}

/* The string in the arena; NULL: too long or not a string after all. */
static const char *text(scan *c, const span *s, size_t max)
{
    if (s->n > max)
        return NULL;
    if (!s->escaped)
        return capt_arena_strndup(c->a, s->s, s->n);
    json_t *j = json_loadb(s->s - 1, s->n + 2, JSON_DECODE_ANY, NULL);
    const char *t = j ? capt_arena_strndup(c->a, json_string_value(j), json_string_length(j)) : NULL;
    json_decref(j);
    return t;
}

static int id(scan *c, capt_id *to)
{
    int ch = peek(c);
    if (ch == '"') {
        span s;
        const char *t = string(c, &s) ? text(c, &s, CAPT_ID_MAX) : NULL;
        *to = capt_id_str(t);
        return t && capt_id_check(t, strlen(t), "", NULL) == 0;
    }
    int64_t v = 0;
    const char *from = c->p, *digits = from + (ch == '-');
    for (c->p = digits; c->p < c->end && *c->p >= '0' && *c->p <= '9'; c->p++)
        v = c->p - digits < 18 ? v * 10 + (*c->p - '0') : 0;
    size_t n = (size_t)(c->p - digits);
    *to = capt_id_int(ch == '-' ? -v : v);
    return n >= 1 && n <= 18 && !(n > 1 && *digits == '0') && c->p < c->end && strchr(",]} \t\r\n", *c->p);
}

/* The next key of an object into key: 1; 0 at its end; -1 give up. */
static int next_key(scan *c, int *first, span *key)
{
    if (eat(c, '}'))
        return 0;
    if (!*first && !eat(c, ','))
        return -1;
    *first = 0;
    return string(c, key) && !key->escaped && eat(c, ':') ? 1 : -1;
}

/* At the next element of an array: 1; 0 at its end; -1 give up. */
static int next_item(scan *c, int *first)
{
    if (eat(c, ']'))
        return 0;
    if (!*first && !eat(c, ','))
        return -1;
    *first = 0;
    return peek(c) == ']' ? -1 : 1;
}

static int is_end(scan *c)
{
    return peek(c) < 0;
}

/* An object with an id and a string: {"image_id","caption"}, {"id","file_name"}. other: a member that must not be there. */
static int pair(scan *c, const char *id_key, const char *text_key, const char *other, capt_id *to, const char **s, size_t max)
{
    int first = 1, got, n_id = 0, n_text = 0;
    span key, v;
    if (!eat(c, '{'))
        return 0;
    for (got = next_key(c, &first, &key); got == 1; got = next_key(c, &first, &key)) {
        if (is(&key, id_key)) {
            n_id++;
            if (!id(c, to))
                return 0;
        } else if (is(&key, text_key)) {
            n_text++;
            *s = string(c, &v) ? text(c, &v, max) : NULL;
            if (!*s)
                return 0;
        } else if ((other && (!*other || is(&key, other))) || !skip(c)) {
            return 0;
        }
    }
    return got == 0 && n_id == 1 && n_text <= 1;
}

int any_scan_hyps(const char *s, size_t n, capt_arena *a, int (*keep)(void *, const void *), void *arg)
{
    scan c = {s, s + n, a, NULL};
    int first = 1, got;
    if (!eat(&c, '['))
        return 0;
    for (got = next_item(&c, &first); got == 1; got = next_item(&c, &first)) {
        capt_hyp h = {.logprob = NAN, .trained_on = -1};
        if (!pair(&c, "image_id", "caption", "", &h.id, &h.caption, CAPT_CAPTION_CHARS) || !h.caption || !keep(arg, &h))
            return 0;
    }
    return got == 0 && is_end(&c);
}

/* ---- references ---- */

typedef struct note { const char *caption; capt_id id; uint32_t image; } note;
typedef struct refs {
    scan c;
    CAPT_VEC(capt_caption) image;
    CAPT_VEC(note) note;
    int n_images, n_annotations; /* members of that name */
    int karpathy;
} refs;

static int sentences(refs *r, capt_caption *m)
{
    scan *c = &r->c;
    const char *v[CAPT_CAPTIONS_MAX];
    int first = 1, got, n = 0;
    if (!eat(c, '['))
        return 0;
    for (got = next_item(c, &first); got == 1; got = next_item(c, &first)) {
        int first_key = 1, k, n_raw = 0;
        span key, raw;
        if (n == CAPT_CAPTIONS_MAX || !eat(c, '{'))
            return 0;
        for (k = next_key(c, &first_key, &key); k == 1; k = next_key(c, &first_key, &key)) {
            if (!is(&key, "raw")) {
                if (!skip(c))
                    return 0;
                continue;
            }
            v[n] = !n_raw++ && string(c, &raw) ? text(c, &raw, CAPT_CAPTION_CHARS) : NULL;
            if (!v[n])
                return 0;
        }
        if (k < 0 || n_raw != 1)
            return 0;
        n++;
    }
    m->captions = capt_arena_alloc(c->a, (size_t)n * sizeof *v + 1);
    memcpy(m->captions, v, (size_t)n * sizeof *v);
    m->n_captions = n;
    return got == 0;
}

static int karpathy_image(refs *r, capt_caption *m)
{
    scan *c = &r->c;
    int first = 1, got, n[4] = {0};
    span key, v;
    if (!eat(c, '{'))
        return 0;
    for (got = next_key(c, &first, &key); got == 1; got = next_key(c, &first, &key)) {
        int ok;
        if (is(&key, "filename")) {
            m->file = !n[0]++ && string(c, &v) ? text(c, &v, 4096) : NULL;
            ok = m->file != NULL;
        } else if (is(&key, "split")) {
            ok = !n[1]++ && string(c, &v) && !v.escaped && v.n <= 64;
            m->split = ok && c->last && is(&v, c->last) ? c->last : ok ? text(c, &v, 64) : NULL;
            c->last = m->split;
        } else if (is(&key, "cocoid")) {
            ok = !n[2]++ && id(c, &m->id);
        } else if (is(&key, "sentences")) {
            ok = !n[3]++ && sentences(r, m);
        } else {
            ok = skip(c);
        }
        if (!ok)
            return 0;
    }
    return got == 0 && n[0] && n[1] && n[3] && (n[2] || capt_id_from_file(m->file, &m->id, c->a, NULL) == 0);
}

static int official_image(refs *r, capt_caption *m)
{
    return pair(&r->c, "id", "file_name", "sentences", &m->id, &m->file, 4096);
}

static int images(refs *r)
{
    int first = 1, got;
    if (r->n_images++ || !eat(&r->c, '['))
        return 0;
    const char *from = r->c.p;
    capt_caption try = {0};
    r->karpathy = peek(&r->c) == '{' && !official_image(r, &try);
    r->c.p = from;
    for (got = next_item(&r->c, &first); got == 1; got = next_item(&r->c, &first)) {
        capt_caption m = {0};
        if (r->karpathy ? !karpathy_image(r, &m) : !official_image(r, &m))
            return 0;
        capt_vec_push(&r->image, m);
    }
    return got == 0;
}

static int annotations(refs *r)
{
    int first = 1, got;
    if (r->n_annotations++ || !eat(&r->c, '['))
        return 0;
    for (got = next_item(&r->c, &first); got == 1; got = next_item(&r->c, &first)) {
        note x = {0};
        if (!pair(&r->c, "image_id", "caption", NULL, &x.id, &x.caption, CAPT_CAPTION_CHARS) || !x.caption)
            return 0;
        capt_vec_push(&r->note, x);
    }
    return got == 0;
}

/* Gives the images of the official layout their captions, in the order of the annotations. */
static int distribute(refs *r)
{
    capt_idmap *at = capt_idmap_new();
    int ok = r->n_images && (r->karpathy ? !r->n_annotations : r->n_annotations);
    for (size_t i = 0; ok && !r->karpathy && i < r->image.n; i++)
        ok = capt_idmap_add(at, &r->image.v[i].id, (int64_t)i) == (int64_t)i;
    for (size_t i = 0; ok && i < r->note.n; i++) {
        int64_t k = capt_idmap_get(at, &r->note.v[i].id);
        ok = k >= 0 && r->image.v[k].n_captions++ < CAPT_CAPTIONS_MAX;
        r->note.v[i].image = (uint32_t)(k < 0 ? 0 : k);
    }
    for (size_t i = 0; ok && !r->karpathy && i < r->image.n; i++) {
        capt_caption *m = &r->image.v[i];
        m->captions = capt_arena_alloc(r->c.a, (size_t)m->n_captions * sizeof *m->captions + 1);
        m->n_captions = 0;
    }
    for (size_t i = 0; ok && i < r->note.n; i++) {
        capt_caption *m = &r->image.v[r->note.v[i].image];
        m->captions[m->n_captions++] = r->note.v[i].caption;
    }
    capt_idmap_free(at);
    return ok;
}

int any_scan_captions(const char *s, size_t n, capt_arena *a, int (*keep)(void *, const void *), void *arg)
{
    refs r = {.c = {s, s + n, a, NULL}};
    int first = 1, got = -1;
    span key;
    if (eat(&r.c, '{'))
        for (got = next_key(&r.c, &first, &key); got == 1; got = next_key(&r.c, &first, &key))
            if (is(&key, "images") ? !images(&r) : is(&key, "annotations") ? !annotations(&r) : !skip(&r.c)) {
                got = -1;
                break;
            }
    int ok = got == 0 && is_end(&r.c) && distribute(&r);
    for (size_t i = 0; ok && i < r.image.n; i++)
        ok = keep(arg, &r.image.v[i]);
    capt_vec_free(&r.image);
    capt_vec_free(&r.note);
    return ok;
}
