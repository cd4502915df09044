/* coco-split: annotation files as published -> caption records, one image a line, checked for leaks between splits. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include "base/json.h"
#include "base/mem.h"
#include "base/str.h"
#include "common/prog.h"
#include "record/annot.h"
#include "record/karpathy.h"
#include "record/ndjson.h"

enum { KARPATHY, COCO2014, COCO2017, FLICKR8K, FLICKR30K };
static const char schemes[] = "karpathy|coco2014|coco2017|flickr8k|flickr30k";
static const char *const scheme_name[] = {"karpathy", "coco2014", "coco2017", "flickr8k", "flickr30k"};

static int scheme = -1, allow_leak, drop_leak, folders;
static const char *karpathy_file, *only;
static capt_strs instances;

static const capt_opt options[] = {
    {"scheme", CAPT_O_CHOICE, &scheme, schemes, "whose split and file layout", 0, 0, 0, 0},
    {"karpathy", CAPT_O_STR, &karpathy_file, "FILE", "dataset_coco.json: its splits for official files (--scheme karpathy), or shown beside theirs", 0, 0, 1, 0},
    {"instances", CAPT_O_STRS, &instances, "FILE", "official instances file: adds the object names as tags; may be repeated", 0, 0, 1, 0},
    {"only", CAPT_O_STR, &only, "SPLIT,..", "write these splits only", 0, 0, 0, 0},
    {"allow-leak", CAPT_O_FLAG, &allow_leak, NULL, "write images that are in a training and an evaluation split all the same", 0, 0, 0, 0},
    {"drop-leak", CAPT_O_FLAG, &drop_leak, NULL, "leave such images out of the training split", 0, 0, 0, 0},
    {"folders", CAPT_O_FLAG, &folders, NULL, "write file as folder/name (train2014/COCO_train2014_...)", 0, 0, 0, 0},
    {0}};

struct job {
    capt_prog *p;
    capt_annots *a, *lists;            /* lists: owns names of image lists */
    capt_annots *reference;            /* --karpathy */
    capt_idmap *reference_ids;
    uint32_t test[CAPT_KARPATHY_TEST]; /* ascending */
    char *dropped;                     /* one an image */
    CAPT_VEC(char *) expanded;         /* operands, folders replaced by their files */
};

static int is_coco(void)
{
    return scheme <= COCO2017;
}

/* ---- reading ---- */

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

/* The split an operand's name tells: "captions_val2017.json", "Flickr_8k.devImages.txt"; NULL if it tells none. */
static const char *split_of_file(const char *path, int *year)
{
    const char *split;
    for (const char *s = base_name(path); *s; s++) {
        *year = 0;
        if (strncmp(s, "dev", 3) == 0)
            return "val";
        if (capt_split_of_name(s, &split, year))
            return split;
    }
    return NULL;
}

/* "SPLIT=FILE" -> both; else split stays NULL. */
static const char *take_prefix(const char *operand, char split[32])
{
    size_t n = strcspn(operand, "=/.");
    split[0] = 0;
    if (operand[n] != '=' || n == 0 || n >= 32)
        return operand;
    memcpy(split, operand, n);
    split[n] = 0;
    return operand + n + 1;
}

static int add_folder(struct job *j, const char *dir)
{
    static const char *const names[] = {"Flickr8k.token.txt",  "Flickr_8k.trainImages.txt", "Flickr_8k.devImages.txt", "Flickr_8k.testImages.txt",
                                        "results_20130124.token", "train_images.txt", "val_images.txt", "test_images.txt"};
    size_t before = j->expanded.n;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        capt_str b = {0};
        capt_str_printf(&b, "%s/%s", dir, names[i]);
        struct stat st;
        if (stat(b.s, &st) == 0)
            capt_vec_push(&j->expanded, b.s);
        else
            capt_str_free(&b);
    }
    return j->expanded.n > before ? 0 : capt_fail(&j->p->err, CAPT_EDATA, "%s: no Flickr8k.token.txt or results_20130124.token in this folder", dir);
}

static int expand(struct job *j)
{
    for (int i = 0; i < j->p->argc; i++) {
        struct stat st;
        if (stat(j->p->argv[i], &st) == 0 && S_ISDIR(st.st_mode)) {
            if (add_folder(j, j->p->argv[i]))
                return -1;
        } else {
            capt_vec_push(&j->expanded, capt_strdup(j->p->argv[i]));
        }
    }
    return 0;
}

static int wrong_year(int year, const char *split)
{
    if (year == 0 || scheme > COCO2017)
        return 0;
    if (scheme == COCO2017)
        return year != 2017;
    return year != 2014 && !(year == 2015 && strcmp(split, "test") == 0);
}

/* Splits of the images an official file added: by the option, the reference file, the picture's name, its URL, the file's name. */
static int name_splits(struct job *j, size_t from, const char *path, const char *given)
{
    capt_err *err = &j->p->err;
    int file_year = 0;
    const char *file_split = split_of_file(path, &file_year);
    for (size_t i = from; i < j->a->image.n; i++) {
        capt_image *m = &j->a->image.v[i];
        const char *split = file_split, *folder = m->folder;
        int year = file_year;
        if (!capt_split_of_name(base_name(m->file), &split, &year) && folder)
            capt_split_of_name(folder, &split, &year);
        if (!folder && year) {
            char name[32];
            snprintf(name, sizeof name, "%s%d", split, year);
            const char *last = i > from ? m[-1].folder : NULL;
            m->folder = last && strcmp(last, name) == 0 ? last : capt_arena_strndup(j->a->arena, name, strlen(name));
        }
        if (given)
            split = given;
        char key[CAPT_ID_KEY];
        capt_id_key(&m->id, key);
        if (!split && scheme != KARPATHY)
            return capt_fail(err, CAPT_EDATA, "%s: image %.100s: nothing tells its split: write SPLIT=FILE", path, key);
        if (split && wrong_year(year, split))
            return capt_fail(err, CAPT_EDATA, "%s: image %.100s is of COCO %d, the scheme is %s", path, key, year, scheme_name[scheme]);
        if (scheme == KARPATHY) {
            int64_t at = capt_idmap_get(j->reference_ids, &m->id);
            if (at < 0)
                return capt_fail(err, CAPT_EDATA, "%s: image %.100s is not in %s", path, key, karpathy_file);
            split = j->reference->image.v[at].split;
        }
        m->split = split;
    }
    return 0;
}

/* Karpathy's files name their set; another one than the scheme's is a mistake. */
static int other_set(struct job *j, const char *path)
{
    static const char *const set[] = {"coco", "flickr8k", "flickr30k"}, *const of_scheme[] = {"coco", "coco", "coco", "flickr8k", "flickr30k"};
    for (size_t i = 0; j->a->dataset && i < sizeof set / sizeof *set; i++)
        if (strcmp(j->a->dataset, set[i]) == 0 && strcmp(set[i], of_scheme[scheme]) != 0)
            return capt_fail(&j->p->err, CAPT_EDATA, "%s: the data set is %s, the scheme is %s", path, set[i], scheme_name[scheme]);
    return 0;
}

static int read_json(struct job *j, const char *path, const char *given)
{
    size_t from = j->a->image.n;
    int karpathy;
    if (capt_annots_read_json(j->a, path, &karpathy, &j->p->err))
        return -1;
    if (karpathy) {
        if (scheme == COCO2014 || scheme == COCO2017)
            return capt_fail(&j->p->err, CAPT_EDATA, "%s: Karpathy's layout: --scheme karpathy reads it", path);
        return other_set(j, path);
    }
    if (scheme >= FLICKR8K)
        return capt_fail(&j->p->err, CAPT_EDATA, "%s: COCO's layout, the scheme is %s", path, scheme_name[scheme]);
    if (scheme == KARPATHY && !j->reference)
        return capt_fail(&j->p->err, CAPT_EDATA, "%s: an official file does not hold Karpathy's split: give dataset_coco.json, or --karpathy FILE", path);
    char *kept = given ? capt_arena_strndup(j->a->arena, given, strlen(given)) : NULL;
    return name_splits(j, from, path, kept);
}

/* Token files first, then the lists of names in the order given: they make the images and their order. */
static int read_lists(struct job *j, const capt_layout *layout)
{
    capt_idmap *by_id = capt_idmap_new();
    int rc = 0, lists = 0;
    for (size_t i = 0; i < j->a->image.n; i++)
        if (capt_idmap_add(by_id, &j->a->image.v[i].id, (int64_t)i) != (int64_t)i)
            rc = capt_fail(&j->p->err, CAPT_EDATA, "%s: in two token files", j->a->image.v[i].file);
    for (size_t i = 0; i < j->expanded.n && rc == 0; i++) {
        char given[32];
        int year;
        const char *path = take_prefix(j->expanded.v[i], given), *split = given[0] ? given : split_of_file(path, &year);
        if (layout[i] != CAPT_LAYOUT_NAMES)
            continue;
        lists++;
        rc = split ? capt_annots_take_names(j->a, by_id, path, split, j->lists, &j->p->err)
                   : capt_fail(&j->p->err, CAPT_EDATA, "%s: nothing tells the split of this list: write SPLIT=FILE", path);
    }
    if (rc == 0 && lists == 0)
        rc = capt_fail(&j->p->err, CAPT_EDATA, "no list of picture names tells the splits of the token file's images");
    if (rc == 0) {
        capt_idmap *named = capt_idmap_new();
        int64_t n = 0;
        for (size_t i = 0; i < j->lists->image.n; i++)
            n += capt_idmap_add(named, &j->lists->image.v[i].id, (int64_t)i) == (int64_t)i;
        if (n < (int64_t)j->a->image.n)
            capt_prog_note(j->p, "%lld images of the token file are in no list and left out", (long long)j->a->image.n - (long long)n);
        capt_idmap_free(named);
        capt_vec_free(&j->a->image);
        for (size_t i = 0; i < j->lists->image.n; i++)
            capt_vec_push(&j->a->image, j->lists->image.v[i]);
    }
    capt_idmap_free(by_id);
    return rc;
}

static int read_reference(struct job *j)
{
    int karpathy;
    j->reference = capt_annots_new();
    j->reference->skip_captions = 1;
    if (capt_annots_read_json(j->reference, karpathy_file, &karpathy, &j->p->err))
        return -1;
    if (!karpathy)
        return capt_fail(&j->p->err, CAPT_EDATA, "%s: not Karpathy's layout", karpathy_file);
    j->reference_ids = capt_idmap_new();
    for (size_t i = 0; i < j->reference->image.n; i++)
        capt_idmap_add(j->reference_ids, &j->reference->image.v[i].id, (int64_t)i);
    return 0;
}

static int read_inputs(struct job *j)
{
    if ((karpathy_file && read_reference(j)) || expand(j))
        return -1;
    capt_layout *layout = capt_alloc((j->expanded.n + 1) * sizeof *layout);
    int tokens = 0, json = 0, names = 0, rc = 0;
    for (size_t i = 0; i < j->expanded.n && rc == 0; i++) {
        char given[32];
        const char *path = take_prefix(j->expanded.v[i], given);
        rc = capt_annots_layout(path, &layout[i], &j->p->err);
        if (rc)
            break;
        if (is_coco() && layout[i] != CAPT_LAYOUT_JSON)
            rc = capt_fail(&j->p->err, CAPT_EDATA, "%s: not JSON", path);
        else if (layout[i] == CAPT_LAYOUT_JSON)
            rc = read_json(j, path, given[0] ? given : NULL);
        else if (layout[i] == CAPT_LAYOUT_TOKENS)
            rc = capt_annots_read_tokens(j->a, path, &j->p->err);
        json += layout[i] == CAPT_LAYOUT_JSON;
        tokens += layout[i] == CAPT_LAYOUT_TOKENS;
        names += layout[i] == CAPT_LAYOUT_NAMES;
    }
    if (rc == 0 && json && (tokens || names))
        rc = capt_fail(&j->p->err, CAPT_EDATA, "JSON and token files do not go together");
    if (rc == 0 && names && !tokens)
        rc = capt_fail(&j->p->err, CAPT_EDATA, "%s: a list of names, but no token file (NAME#k, tab, caption) goes with it", j->expanded.v[0]);
    if (rc == 0 && tokens)
        rc = read_lists(j, layout);
    free(layout);
    return rc;
}

static int add_tags(struct job *j)
{
    if (instances.n == 0)
        return 0;
    int rc = 0;
    capt_idmap *by_id = capt_idmap_new();
    for (size_t i = 0; i < j->a->image.n; i++)
        capt_idmap_add(by_id, &j->a->image.v[i].id, (int64_t)i);
    for (size_t i = 0; i < instances.n && rc == 0; i++)
        rc = capt_annots_read_instances(j->a, by_id, instances.v[i], &j->p->err);
    capt_idmap_free(by_id);
    return rc;
}

/* ---- leaks ---- */

static int compare_u32(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

/* An image's split in the file of --karpathy; NULL: not there. */
static const char *karpathy_split(const struct job *j, const capt_image *m)
{
    int64_t at = j->reference ? capt_idmap_get(j->reference_ids, &m->id) : -1;
    return at < 0 ? NULL : j->reference->image.v[at].split;
}

/* In the test split of Karpathy's COCO? Ids of other sets mean other pictures: a picture is COCO's when its name holds its id
 * in 12 digits and the name, its URL, folder or file tells a year. Official annotations of COCO's own schemes need not tell one
 * (in 2017 the names do not), unless their "info" describes another set. */
static int in_karpathy_test(const struct job *j, const capt_image *m)
{
    if (!m->id.is_int || m->id.i < 0 || m->id.i > UINT32_MAX || !is_coco())
        return 0;
    const char *his = karpathy_split(j, m);
    if (his && strcmp(his, "test") == 0)
        return 1;
    char tail[32];
    const char *split;
    int year = 0;
    if (!capt_split_of_name(base_name(m->file), &split, &year) && m->folder)
        capt_split_of_name(m->folder, &split, &year);
    if (year == 0 && (scheme == KARPATHY || m->foreign))
        return 0;
    int n = snprintf(tail, sizeof tail, "%012lld.", (long long)m->id.i);
    const char *dot = strrchr(m->file, '.');
    if (!dot || dot - m->file + 1 < n || memcmp(dot + 1 - n, tail, (size_t)n) != 0)
        return 0;
    uint32_t id = (uint32_t)m->id.i;
    return bsearch(&id, j->test, CAPT_KARPATHY_TEST, sizeof id, compare_u32) != NULL;
}

static int is_training(const char *split)
{
    return strcmp(split, "train") == 0 || strcmp(split, "restval") == 0;
}

static int rank(const char *split) /* of two splits, which keeps the image under --drop-leak */
{
    return strcmp(split, "test") == 0 ? 3 : strcmp(split, "val") == 0 ? 2 : is_training(split) ? 0 : 1;
}

static int check_leaks(struct job *j)
{
    capt_idmap *seen = capt_idmap_new();
    int64_t twice = 0, test = 0;
    const capt_image *first = NULL;
    int rc = 0;
    j->dropped = capt_alloc(j->a->image.n + 1);
    for (size_t i = 0; i < j->a->image.n && rc == 0; i++) {
        const capt_image *m = &j->a->image.v[i];
        int64_t at = capt_idmap_add(seen, &m->id, (int64_t)i);
        const capt_image *other = &j->a->image.v[at];
        char key[CAPT_ID_KEY];
        capt_id_key(&m->id, key);
        if (other->id.is_int != j->a->image.v[0].id.is_int)
            rc = capt_fail(&j->p->err, CAPT_EDATA, "ids are integers and strings: one kind a stream");
        else if (m->id.is_int != j->a->image.v[0].id.is_int)
            rc = capt_fail(&j->p->err, CAPT_EDATA, "image %.100s: ids are integers and strings: one kind a stream", key);
        else if (other != m && strcmp(other->split, m->split) == 0)
            rc = capt_fail(&j->p->err, CAPT_EDATA, "image %.100s is there twice (split %s)", key, m->split);
        if (other != m) {
            twice++;
            first = first ? first : m;
            j->dropped[rank(m->split) > rank(other->split) ? at : (int64_t)i] = (char)drop_leak;
        } else if (is_training(m->split) && in_karpathy_test(j, m)) {
            test++;
            first = first ? first : m;
            j->dropped[i] = (char)drop_leak;
        }
    }
    capt_idmap_free(seen);
    if (rc || (twice == 0 && test == 0))
        return rc;
    char key[CAPT_ID_KEY], what[200];
    capt_id_key(&first->id, key);
    snprintf(what, sizeof what, "%lld training images are in Karpathy's test split, %lld images are in two splits (first: %.60s)", (long long)test,
             (long long)twice, key);
    if (!allow_leak && !drop_leak)
        return capt_fail(&j->p->err, CAPT_EDATA, "leak: %s: choose --drop-leak or --allow-leak", what);
    capt_prog_warn(j->p, "leak %s: %s", drop_leak ? "dropped" : "allowed", what);
    return 0;
}

/* ---- writing ---- */

static int is_wanted(const char *split)
{
    if (!only)
        return 1;
    size_t n = strlen(split);
    for (const char *s = only; *s; s += strcspn(s, ","), s += *s == ',')
        if (strcspn(s, ",") == n && strncmp(s, split, n) == 0)
            return 1;
    return 0;
}

static int write_record(struct job *j, const capt_image *m, capt_str *line)
{
    const char *captions[CAPT_CAPTIONS_MAX], *tags[CAPT_TAGS_MAX];
    capt_str file = {0};
    capt_caption c = {.id = m->id, .split = m->split, .file = m->file};
    if (folders && m->folder) {
        capt_str_printf(&file, "%s/%s", m->folder, m->file);
        c.file = file.s;
    }
    c.n_captions = capt_annots_captions(j->a, m, captions, CAPT_CAPTIONS_MAX);
    c.captions = c.n_captions ? captions : NULL;
    c.n_tags = instances.n ? capt_annots_tags(j->a, m, tags, CAPT_TAGS_MAX) : 0;
    c.tags = instances.n ? tags : NULL;
    c.trained_on = -1;
    json_t *o = capt_record_write(&capt_kind_caption, &c, NULL);
    capt_str_clear(line);
    int rc = o ? capt_json_line(o, line) : -1;
    if (rc)
        capt_fail(&j->p->err, CAPT_EDATA, "%s: its record breaks a rule of capt-records(5): a name is too long, or not UTF-8", m->file);
    else if (line->n > CAPT_LINE_CAP)
        rc = capt_fail(&j->p->err, CAPT_EDATA, "%s: its record is longer than %zu bytes", m->file, CAPT_LINE_CAP);
    else
        fwrite(line->s, 1, line->n, stdout);
    json_decref(o);
    capt_str_free(&file);
    return rc;
}

enum { N_SPLITS = 4 };
static const char *const split_name[N_SPLITS] = {"train", "restval", "val", "test"};
struct count { const char *split; int64_t images, captions, bare, test, his[N_SPLITS]; }; /* his: in Karpathy's splits, by --karpathy */
typedef CAPT_VEC(struct count) counts;

static struct count *count_of(counts *t, const char *split)
{
    for (size_t i = 0; i < t->n; i++)
        if (strcmp(t->v[i].split, split) == 0)
            return &t->v[i];
    struct count c = {.split = split};
    capt_vec_push(t, c);
    return &t->v[t->n - 1];
}

static void count(const struct job *j, counts *t, const capt_image *m)
{
    struct count *c = count_of(t, m->split);
    const char *his = karpathy_split(j, m);
    c->images++;
    c->captions += m->n_captions;
    c->bare += m->n_captions == 0;
    c->test += in_karpathy_test(j, m);
    for (int i = 0; his && i < N_SPLITS; i++)
        c->his[i] += strcmp(his, split_name[i]) == 0;
}

/* Sizes as published, of images and captions; 0: there is no such split. Another size is another set, and its scores do not compare. */
typedef struct size { int64_t images, captions; } size;
static const size published[][N_SPLITS] = {
    {{82783, 414113}, {30504, 152634}, {5000, 25010}, {5000, 25010}}, {{82783, 414113}, {0, 0}, {40504, 202654}, {40775, 0}},
    {{118287, 591753}, {0, 0}, {5000, 25014}, {40670, 0}}, {{6000, 30000}, {0, 0}, {1000, 5000}, {1000, 5000}},
    {{29000, 145000}, {0, 0}, {1014, 5070}, {1000, 5000}}};
enum { TEST2015 = 81434 };

static int only_one_official_file(const counts *t)
{
    return (scheme == COCO2014 || scheme == COCO2017) && t->n == 1;
}

/* Of what was read, before --only and --drop-leak. */
static void compare_sizes(const struct job *j, const counts *t)
{
    for (int i = 0; i < N_SPLITS; i++) {
        size want = published[scheme][i], have = {0, 0};
        int64_t test = 0;
        for (size_t k = 0; k < t->n; k++)
            if (strcmp(t->v[k].split, split_name[i]) == 0) {
                have = (size){t->v[k].images, t->v[k].captions};
                test = t->v[k].test;
            }
        if (have.images == 0 && (want.images == 0 || only_one_official_file(t) || (scheme != KARPATHY && i == N_SPLITS - 1)))
            continue;
        if (scheme == COCO2014 && i == N_SPLITS - 1 && have.images == TEST2015)
            continue;
        if (have.images != want.images)
            capt_prog_note(j->p, "note: %s has %lld images, the published split %lld", split_name[i], (long long)have.images, (long long)want.images);
        else if (have.captions && want.captions && have.captions != want.captions)
            capt_prog_note(j->p, "note: %s has %lld captions, the published split %lld", split_name[i], (long long)have.captions, (long long)want.captions);
        else if (scheme == KARPATHY && i == N_SPLITS - 1 && test != CAPT_KARPATHY_TEST)
            capt_prog_note(j->p, "note: test has the published size, but only %lld of the published images", (long long)test);
    }
}

static void print_table(const struct job *j, const counts *t, const char *hash)
{
    const char *title = !is_coco() ? "" : j->reference ? "  Karpathy's train   restval       val      test" : "  in Karpathy's test";
    capt_prog_note(j->p, "%-10s %9s %9s %12s%s", "split", "images", "captions", "no captions", title);
    for (size_t i = 0; i < t->n; i++) {
        const struct count *c = &t->v[i];
        char more[64] = "";
        if (is_coco() && j->reference)
            snprintf(more, sizeof more, "  %16lld %9lld %9lld %9lld", (long long)c->his[0], (long long)c->his[1], (long long)c->his[2], (long long)c->test);
        else if (is_coco())
            snprintf(more, sizeof more, "  %18lld", (long long)c->test);
        capt_prog_note(j->p, "%-10.30s %9lld %9lld %12lld%s", c->split, (long long)c->images, (long long)c->captions, (long long)c->bare, more);
    }
    capt_prog_note(j->p, "split hash %s", hash);
}

static int write_all(struct job *j)
{
    counts table = {0}, read = {0};
    capt_split_hasher *stamp = capt_split_hasher_new();
    int64_t written = 0;
    capt_str line = {0};
    int rc = 0;
    for (size_t i = 0; i < j->a->image.n && rc == 0; i++) {
        const capt_image *m = &j->a->image.v[i];
        count(j, &read, m);
        if (j->dropped[i] || !is_wanted(m->split))
            continue;
        count(j, &table, m);
        rc = write_record(j, m, &line);
        capt_split_hasher_add(stamp, &m->id, m->split);
        written++;
    }
    char hash[33];
    capt_split_hasher_end(stamp, hash);
    if (rc == 0 && written == 0)
        rc = capt_fail(&j->p->err, CAPT_EDATA, "no image is left to write%s", only ? ": see --only" : "");
    if (rc == 0) {
        print_table(j, &table, hash);
        compare_sizes(j, &read);
    }
    capt_vec_free(&table);
    capt_vec_free(&read);
    capt_str_free(&line);
    return rc;
}

static int run(capt_prog *p)
{
    if (scheme < 0)
        return capt_prog_usage(p, "--scheme is missing (%s)", schemes);
    if (allow_leak && drop_leak)
        return capt_prog_usage(p, "--allow-leak and --drop-leak exclude each other");
    if (karpathy_file && !is_coco())
        return capt_prog_usage(p, "--karpathy goes with COCO's schemes");
    if (p->argc == 0)
        return capt_prog_usage(p, "no annotation file given");
    struct job *j = capt_alloc(sizeof *j);
    j->p = p;
    j->a = capt_annots_new();
    j->lists = capt_annots_new();
    capt_karpathy_test(j->test);
    int rc = read_inputs(j) || add_tags(j) || check_leaks(j) || write_all(j) ? -1 : 0;
    capt_annots_free(j->a);
    capt_annots_free(j->lists);
    capt_annots_free(j->reference);
    capt_idmap_free(j->reference_ids);
    for (size_t i = 0; i < j->expanded.n; i++)
        free(j->expanded.v[i]);
    capt_vec_free(&j->expanded);
    free(j->dropped);
    free(j);
    return rc;
}

static capt_prog prog = {
    .name = "coco-split",
    .synopsis = "--scheme karpathy|coco2014|coco2017|flickr8k|flickr30k [options] FILE...",
    .about = "Turns published annotation files into caption records and checks that no test image is trained on.",
    .opts = options,
    .max_args = -1,
    .run = run,
};
CAPT_MAIN(prog)
