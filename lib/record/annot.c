#include "record/annot.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/json.h"
#include "record/jsonfile.h"
#include "record/ndjson.h"

capt_annots *capt_annots_new(void)
{
    capt_annots *a = capt_alloc(sizeof *a);
    a->arena = capt_arena_new(1 << 20);
    capt_str_add(&a->text, "\0\0\0\0", 4);                    /* offset 0 is nobody's */
    capt_vec_push(&a->tag, ((struct capt_tag_node){0, 0, 0})); /* nor is tag 0 */
    return a;
}

void capt_annots_free(capt_annots *a)
{
    if (!a)
        return;
    capt_vec_free(&a->image);
    capt_vec_free(&a->tag);
    capt_vec_free(&a->category);
    capt_str_free(&a->text);
    capt_arena_free(a->arena);
    free(a);
}

static const char *keep(capt_annots *a, const char *s)
{
    return capt_arena_strndup(a->arena, s, strlen(s));
}

/* Split and folder names are few: one copy each. */
static const char *keep_once(capt_annots *a, const char *s, const char *last)
{
    return last && strcmp(s, last) == 0 ? last : keep(a, s);
}

static int add_caption(capt_annots *a, capt_image *m, const char *s, const char *where, capt_err *err)
{
    size_t at = a->text.n, n = strlen(s);
    if (a->skip_captions)
        return 0;
    if (at + n + 5 > UINT32_MAX)
        return capt_fail(err, CAPT_EDATA, "%s: more than 4 GiB of captions", where);
    if (m->n_captions == CAPT_CAPTIONS_MAX)
        return capt_fail(err, CAPT_EDATA, "%s: more than %d captions of one image", where, CAPT_CAPTIONS_MAX);
    if (n > CAPT_CAPTION_CHARS)
        return capt_fail(err, CAPT_EDATA, "%s: the caption is longer than %d bytes", where, CAPT_CAPTION_CHARS);
    capt_str_add(&a->text, "\0\0\0\0", 4);
    capt_str_add(&a->text, s, n + 1);
    uint32_t here = (uint32_t)at;
    if (m->last)
        memcpy(a->text.s + m->last, &here, 4);
    else
        m->first = here;
    m->last = here;
    m->n_captions++;
    return 0;
}

int capt_annots_captions(const capt_annots *a, const capt_image *m, const char **out, int max)
{
    int n = 0;
    uint32_t at = m->first;
    while (at && n < max) {
        out[n++] = a->text.s + at + 4;
        memcpy(&at, a->text.s + at, 4);
    }
    return n;
}

/* ---- JSON ---- */

struct reading {
    capt_annots *a;
    capt_idmap *by_id; /* images of this file */
    size_t from;       /* its first image */
    uint32_t listed;   /* images whose own entry was met */
    int karpathy, official, disordered, foreign;
    const char *split, *folder; /* the last ones */
};

static int read_karpathy(struct reading *r, const json_t *v, const char *where, capt_err *err)
{
    capt_annots *a = r->a;
    const char *file, *split;
    if (capt_json_str(v, "filename", &file, where, err) || capt_json_str(v, "split", &split, where, err))
        return -1;
    capt_image m = {.file = keep(a, file), .split = keep_once(a, split, r->split), .order = r->listed++};
    r->split = m.split;
    const char *folder = json_string_value(json_object_get(v, "filepath"));
    if (folder)
        r->folder = m.folder = keep_once(a, folder, r->folder);
    int64_t id;
    if (json_object_get(v, "cocoid")) {
        if (capt_json_int(v, "cocoid", &id, where, err))
            return -1;
        m.id = capt_id_int(id);
    } else if (capt_id_from_file(file, &m.id, a->arena, err)) {
        return -1;
    }
    const json_t *sentences = capt_json_array(v, "sentences", where, err);
    if (!sentences)
        return -1;
    for (size_t i = 0; i < json_array_size(sentences); i++) {
        const char *raw;
        if (capt_json_str(json_array_get(sentences, i), "raw", &raw, where, err) || add_caption(a, &m, raw, where, err))
            return -1;
    }
    capt_vec_push(&a->image, m);
    return 0;
}

/* The image of that id in this file; made when an annotation comes before its image. */
static capt_image *image_of(struct reading *r, const capt_id *id)
{
    capt_annots *a = r->a;
    int64_t at = capt_idmap_get(r->by_id, id);
    if (at < 0) {
        at = (int64_t)a->image.n;
        capt_image m = {.id = capt_id_dup(id, a->arena), .order = UINT32_MAX};
        capt_vec_push(&a->image, m);
        capt_idmap_add(r->by_id, &m.id, at);
    }
    return &a->image.v[at];
}

int capt_split_of_name(const char *s, const char **split, int *year)
{
    static const char *const names[] = {"train", "val", "test"};
    if (strncmp(s, "COCO_", 5) == 0)
        s += 5;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        size_t n = strlen(names[i]);
        if (strncmp(s, names[i], n) != 0)
            continue;
        *split = names[i];
        *year = 0;
        for (s += n; *s >= '0' && *s <= '9' && *year < 10000; s++)
            *year = *year * 10 + *s - '0';
        return 1;
    }
    return 0;
}

/* "http://images.cocodataset.org/train2017/000000000009.jpg" -> "train2017". */
static const char *folder_of_url(struct reading *r, const char *url)
{
    const char *end = strrchr(url, '/'), *from = end;
    if (!end)
        return NULL;
    while (from > url && from[-1] != '/')
        from--;
    char name[32];
    if (end - from < 1 || end - from >= (long)sizeof name)
        return NULL;
    snprintf(name, sizeof name, "%.*s", (int)(end - from), from);
    const char *split;
    int year;
    if (!capt_split_of_name(name, &split, &year) || year == 0)
        return NULL;
    r->folder = keep_once(r->a, name, r->folder);
    return r->folder;
}

static int read_official(struct reading *r, const json_t *v, const char *where, capt_err *err)
{
    capt_id id;
    const char *file;
    if (!json_object_get(v, "id"))
        return capt_fail(err, CAPT_EDATA, "%s: \"id\" is missing", where);
    if (capt_id_from_json(json_object_get(v, "id"), &id, where, err) || capt_json_str(v, "file_name", &file, where, err))
        return -1;
    capt_image *m = image_of(r, &id);
    if (m->order != UINT32_MAX) {
        char key[CAPT_ID_KEY];
        capt_id_key(&id, key);
        return capt_fail(err, CAPT_EDATA, "%s: image %.100s is there twice", where, key);
    }
    r->disordered |= (size_t)(m - r->a->image.v) - r->from != r->listed;
    m->order = r->listed++;
    m->file = keep(r->a, file);
    const char *url = json_string_value(json_object_get(v, "coco_url"));
    if (url)
        m->folder = folder_of_url(r, url);
    return 0;
}

static int read_annotation(struct reading *r, const json_t *v, const char *where, capt_err *err)
{
    capt_id id;
    const char *caption;
    if (!json_object_get(v, "image_id"))
        return capt_fail(err, CAPT_EDATA, "%s: \"image_id\" is missing", where);
    if (capt_id_from_json(json_object_get(v, "image_id"), &id, where, err) || capt_json_str(v, "caption", &caption, where, err))
        return -1;
    return add_caption(r->a, image_of(r, &id), caption, where, err);
}

static int by_order(const void *x, const void *y)
{
    const capt_image *a = x, *b = y;
    return (a->order > b->order) - (a->order < b->order);
}

static int read_piece(struct reading *r, const char *key, const json_t *v, const char *where, capt_err *err)
{
    if (!json_is_object(v))
        return capt_fail(err, CAPT_EDATA, "%s: not an object", where);
    int karpathy = strcmp(key, "images") == 0 && json_object_get(v, "sentences") != NULL;
    r->karpathy |= karpathy;
    r->official |= !karpathy;
    if (r->karpathy && r->official)
        return capt_fail(err, CAPT_EDATA, "%s: neither Karpathy's layout nor COCO's: %s", where, "one image has \"sentences\", another has not");
    if (karpathy)
        return read_karpathy(r, v, where, err);
    return strcmp(key, "images") == 0 ? read_official(r, v, where, err) : read_annotation(r, v, where, err);
}

static int take_piece(struct reading *r, const capt_jsonfile *f, const char *key, const json_t *v, capt_err *err)
{
    const char *where = capt_jsonfile_where(f);
    if (strcmp(key, "info") == 0) {
        const char *set = json_string_value(json_object_get(v, "description"));
        r->foreign = set && *set && !strstr(set, "COCO");
        return 0;
    }
    if (*key == 0 || capt_jsonfile_is_element(f))
        return read_piece(r, key, v, where, err);
    if (strcmp(key, "dataset") != 0)
        return capt_fail(err, CAPT_EDATA, "%s: not a list", where);
    r->a->dataset = json_is_string(v) ? keep(r->a, json_string_value(v)) : NULL;
    return 0;
}

int capt_annots_read_json(capt_annots *a, const char *path, int *is_karpathy, capt_err *err)
{
    static const char *const keys[] = {"info", "images", "annotations", "dataset", NULL}, *const unread[] = {"tokens", "sentids", "segmentation", NULL};
    capt_jsonfile *f = capt_jsonfile_open(path, keys, unread, 0, err);
    if (!f)
        return -1;
    struct reading r = {.a = a, .by_id = capt_idmap_new(), .from = a->image.n};
    int got;
    do {
        const char *key;
        json_t *v = NULL;
        got = capt_jsonfile_next(f, &key, &v, err);
        if (got == 1 && take_piece(&r, f, key, v, err))
            got = -1;
        json_decref(v);
    } while (got == 1);
    capt_jsonfile_close(f);
    if (got == 0 && r.listed == 0)
        got = capt_fail(err, CAPT_EDATA, "%s: no \"images\": neither Karpathy's dataset layout nor COCO's annotations", path);
    if (got == 0 && r.listed != a->image.n - r.from) {
        const capt_image *m = a->image.v + r.from;
        while (m->order != UINT32_MAX)
            m++;
        char id[CAPT_ID_KEY];
        capt_id_key(&m->id, id);
        got = capt_fail(err, CAPT_EDATA, "%s: annotations of image %.100s, which is not among \"images\"", path, id);
    }
    for (size_t i = r.from; i < a->image.n; i++)
        a->image.v[i].foreign = (uint32_t)r.foreign;
    if (r.disordered && got == 0)
        qsort(a->image.v + r.from, a->image.n - r.from, sizeof *a->image.v, by_order);
    capt_idmap_free(r.by_id);
    if (is_karpathy)
        *is_karpathy = r.karpathy;
    return got;
}

/* ---- token files and lists of names ---- */

int capt_annots_layout(const char *path, capt_layout *l, capt_err *err)
{
    *l = CAPT_LAYOUT_JSON;
    if (strcmp(path, "-") == 0)
        return 0;
    FILE *f = fopen(path, "rbe");
    if (!f)
        return capt_fail_errno(err, "%s", path);
    char head[4096];
    size_t n = fread(head, 1, sizeof head - 1, f);
    int failed = ferror(f) ? capt_fail_errno(err, "%s", path) : 0;
    fclose(f);
    head[n] = 0;
    const char *s = head + capt_utf8_mark(head, n);
    s += strspn(s, " \t\r\n");
    if (!failed && s == head + n && n + 1 < sizeof head)
        failed = capt_fail(err, CAPT_EDATA, "%s: the file is empty", path);
    size_t line = strcspn(s, "\n");
    const char *hash = memchr(s, '#', line), *tab = memchr(s, '\t', line);
    if (*s != '{' && *s != '[')
        *l = hash && tab && hash < tab ? CAPT_LAYOUT_TOKENS : CAPT_LAYOUT_NAMES;
    return failed;
}

static int read_token_line(struct reading *r, const char *s, size_t n, const char *where, capt_err *err)
{
    const char *tab = memchr(s, '\t', n), *hash = tab;
    if (memchr(s, 0, n) || capt_utf8_check(s, n) >= 0)
        return capt_fail(err, CAPT_EDATA, "%s: not UTF-8 text", where);
    while (hash && hash > s && *hash != '#')
        hash--;
    size_t digits = hash ? strspn(hash + (*hash == '#'), "0123456789") : 0;
    if (!hash || hash == s || digits == 0 || digits > 4 || hash + 1 + digits != tab)
        return capt_fail(err, CAPT_EDATA, "%s: not NAME#number TAB caption", where);
    char file[1024];
    if (hash - s >= (long)sizeof file)
        return capt_fail(err, CAPT_EDATA, "%s: the name is too long", where);
    snprintf(file, sizeof file, "%.*s", (int)(hash - s), s);
    capt_id id;
    if (capt_id_from_file(file, &id, r->a->arena, err))
        return capt_err_prefix(err, "%s", where);
    size_t before = r->a->image.n;
    capt_image *m = image_of(r, &id);
    if (r->a->image.n != before) {
        m->file = keep(r->a, file);
        m->order = 0;
    }
    if (strcmp(m->file, file) != 0)
        return capt_fail(err, CAPT_EDATA, "%s: \"%.100s\" and \"%.100s\" have the same id", where, m->file, file);
    int number = atoi(hash + 1);
    if (number < 32 && m->order >> number & 1)
        return capt_fail(err, CAPT_EDATA, "%s: caption %d of \"%.100s\" is there twice", where, number, file);
    m->order |= number < 32 ? (uint32_t)1 << number : 0;
    if (n && s[n - 1] == '\r')
        n--;
    char *caption = capt_strndup(tab + 1, n > (size_t)(tab + 1 - s) ? n - (size_t)(tab + 1 - s) : 0);
    int rc = add_caption(r->a, m, caption, where, err);
    free(caption);
    return rc;
}

int capt_annots_read_tokens(capt_annots *a, const char *path, capt_err *err)
{
    capt_ndjson *in = capt_ndjson_new(&path, 1, 0);
    struct reading r = {.a = a, .by_id = capt_idmap_new(), .from = a->image.n};
    const char *s;
    size_t n;
    int got = capt_ndjson_line(in, &s, &n, err);
    while (got == 1) {
        if (strspn(s, " \t\r") < n && read_token_line(&r, s, n, capt_ndjson_where(in), err))
            got = -1;
        else
            got = capt_ndjson_line(in, &s, &n, err);
    }
    capt_idmap_free(r.by_id);
    capt_ndjson_free(in);
    return got;
}

int capt_annots_take_names(const capt_annots *a, const capt_idmap *by_id, const char *path, const char *split, capt_annots *to, capt_err *err)
{
    capt_ndjson *in = capt_ndjson_new(&path, 1, 0);
    const char *s, *kept = keep(to, split);
    size_t n;
    int got = capt_ndjson_line(in, &s, &n, err);
    for (; got == 1; got = capt_ndjson_line(in, &s, &n, err)) {
        char name[1024];
        size_t k = strspn(s, " \t"), m = n > k ? n - k : 0;
        while (m && strchr(" \t\r", s[k + m - 1]))
            m--;
        if (m == 0)
            continue;
        snprintf(name, sizeof name, "%.*s", (int)(m < sizeof name ? m : sizeof name - 1), s + k);
        capt_id id = capt_id_str(name), stem;
        int64_t at = capt_idmap_get(by_id, &id);
        if (at < 0 && capt_id_from_file(name, &stem, to->arena, err) == 0)
            at = capt_idmap_get(by_id, &stem);
        if (at < 0) {
            got = capt_fail(err, CAPT_EDATA, "%s: %.200s has no captions in the token file", capt_ndjson_where(in), name);
            break;
        }
        capt_image image = a->image.v[at];
        image.split = kept;
        capt_vec_push(&to->image, image);
    }
    capt_ndjson_free(in);
    return got;
}

/* ---- object names ---- */

static int add_object(capt_annots *a, const capt_idmap *by_id, const json_t *v, const char *where, capt_err *err)
{
    capt_id id;
    int64_t category;
    double area = 0;
    if (!json_object_get(v, "image_id"))
        return capt_fail(err, CAPT_EDATA, "%s: \"image_id\" is missing", where);
    if (capt_id_from_json(json_object_get(v, "image_id"), &id, where, err) || capt_json_int(v, "category_id", &category, where, err))
        return -1;
    if (json_object_get(v, "area") && capt_json_num(v, "area", &area, where, err))
        return -1;
    if (category < INT32_MIN || category > INT32_MAX)
        return capt_fail(err, CAPT_EDATA, "%s: \"category_id\" is out of range", where);
    int64_t at = capt_idmap_get(by_id, &id);
    if (at < 0)
        return 0;
    uint32_t *link = &a->image.v[at].tags;
    while (*link) {
        struct capt_tag_node *t = &a->tag.v[*link];
        if (t->category == category) {
            t->area = fmaxf(t->area, (float)area);
            return 0;
        }
        link = &t->next;
    }
    *link = (uint32_t)a->tag.n;
    struct capt_tag_node t = {0, (int32_t)category, (float)area};
    capt_vec_push(&a->tag, t);
    return 0;
}

static const char *category_name(const capt_annots *a, int64_t id)
{
    for (size_t i = 0; i < a->category.n; i++)
        if (a->category.v[i].id == id)
            return a->category.v[i].name;
    return NULL;
}

static int add_category(capt_annots *a, const json_t *v, const char *where, capt_err *err)
{
    struct capt_category c;
    if (capt_json_int(v, "id", &c.id, where, err) || capt_json_str(v, "name", &c.name, where, err))
        return -1;
    const char *known = category_name(a, c.id);
    if (known && strcmp(known, c.name) != 0)
        return capt_fail(err, CAPT_EDATA, "%s: category %lld is \"%.50s\" here and \"%.50s\" before", where, (long long)c.id, c.name, known);
    if (known)
        return 0;
    c.name = keep(a, c.name);
    capt_vec_push(&a->category, c);
    return 0;
}

int capt_annots_read_instances(capt_annots *a, const capt_idmap *by_id, const char *path, capt_err *err)
{
    static const char *const keys[] = {"annotations", "categories", NULL}, *const unread[] = {"segmentation", "bbox", "keypoints", NULL};
    capt_jsonfile *f = capt_jsonfile_open(path, keys, unread, 0, err);
    if (!f)
        return -1;
    int got;
    do {
        const char *key;
        json_t *v = NULL;
        got = capt_jsonfile_next(f, &key, &v, err);
        const char *where = capt_jsonfile_where(f);
        if (got == 1 && *key && !capt_jsonfile_is_element(f))
            got = capt_fail(err, CAPT_EDATA, "%s: not a list", where);
        else if (got == 1 && (strcmp(key, "categories") == 0 ? add_category(a, v, where, err) : add_object(a, by_id, v, where, err)))
            got = -1;
        json_decref(v);
    } while (got == 1);
    capt_jsonfile_close(f);
    for (size_t i = 1; i < a->tag.n && got == 0; i++)
        if (!category_name(a, a->tag.v[i].category))
            got = capt_fail(err, CAPT_EDATA, "%s: category %d has no name", path, a->tag.v[i].category);
    return got;
}

int capt_annots_tags(const capt_annots *a, const capt_image *m, const char **out, int max)
{
    const struct capt_tag_node *node[CAPT_TAGS_MAX];
    int n = 0;
    for (uint32_t at = m->tags; at && n < max && n < CAPT_TAGS_MAX; at = a->tag.v[at].next) {
        int k = n++;
        for (; k > 0 && node[k - 1]->area < a->tag.v[at].area; k--)
            node[k] = node[k - 1];
        node[k] = &a->tag.v[at];
    }
    for (int i = 0; i < n; i++)
        out[i] = category_name(a, node[i]->category);
    return n;
}
