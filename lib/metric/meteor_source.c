/* Where METEOR's data lie: a tree, a jar (a zip archive), or WordNet's own files. */
#include <minizip/unzip.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include "base/hash.h"
#include "base/mem.h"
#include "metric/meteor_priv.h"

enum { MAX_MEMBER = 64 << 20 };

static const char *const member[METEOR_TEXTS] = {"synonym/english.synsets", "synonym/english.exceptions",
                                                 "function/english.words", "nonbreaking/english.prefixes"};
/* WordNet's files: senses, then irregular forms in METEOR's order. */
enum { WN_FILES = 5 };
static const char *const wordnet[WN_FILES] = {"index.sense", "adj.exc", "adv.exc", "noun.exc", "verb.exc"};
static const char *const debian = "/usr/share/wordnet";

/* For sources without these two lists. The function words are METEOR's (function/english.words, LGPL-2.1: Denkowski and
 * Lavie; a list of frequent words); of the prefixes those that lower-case text can meet. */
static const char function_words[] =
    "the , . to of and a in that for \" is on 's it with was as said at he by be from have has are his but an this not i "
    "will \xe2\x80\x99 they ) -rrb- ( -lrb- who their had we which were been more or s its would about new one after you : "
    "also up when there than $ all out her people she year two - can if last first \xe2\x80\x9c over other \xe2\x80\x9d "
    "into some what so -- no time years could ? ' 't \xe2\x80\x94";
static const char prefixes[] = "v\nvs\nrev\npp #NUMERIC_ONLY#\n";

static char *path_of(const char *a, const char *b)
{
    capt_str s = {0};
    capt_str_printf(&s, "%s/%s", a, b);
    return s.s;
}

static int has(const char *folder, const char *name)
{
    char *p = path_of(folder, name);
    int yes = capt_file_exists(p);
    free(p);
    return yes;
}

const char *capt_meteor_wordnet(void)
{
    for (int i = 0; i < WN_FILES; i++)
        if (!has(debian, wordnet[i]))
            return NULL;
    return debian;
}

static char *first_of(const char *folder, const char *const *names, const char *with)
{
    for (; *names; names++) {
        char *p = **names ? path_of(folder, *names) : capt_strdup(folder);
        if (with ? has(p, with) : capt_file_exists(p))
            return p;
        free(p);
    }
    return NULL;
}

static void find_in_folder(meteor_source *s, const char *path)
{
    static const char *const trees[] = {"", "resources", "src/resources", NULL},
                      *const jars[] = {"meteor-1.5.jar", "meteor.jar", "meteor/meteor-1.5.jar", NULL},
                      *const tables[] = {"data/paraphrase-en.gz", "paraphrase-en.gz", "meteor/data/paraphrase-en.gz", NULL};
    s->place = first_of(path, trees, member[METEOR_SYNSETS]);
    if (!s->place) {
        s->kind = METEOR_JAR;
        s->place = first_of(path, jars, NULL);
    }
    if (!s->place && has(path, wordnet[0])) {
        s->kind = METEOR_WORDNET;
        s->place = capt_strdup(path);
    }
    s->table = first_of(path, tables, NULL);
}

static int add_hash(capt_hasher *h, const char *path, capt_err *err)
{
    char hex[33];
    int rc = capt_hash_file(path, hex, err);
    capt_hasher_add(h, hex, sizeof hex);
    return rc;
}

static int add_folder(capt_hasher *h, const meteor_source *s, const char *const *names, int n, int need, capt_err *err)
{
    int rc = 0;
    for (int i = 0; i < n && !rc; i++) {
        char *p = path_of(s->place, names[i]);
        if (i < need || capt_file_exists(p))
            rc = add_hash(h, p, err);
        else
            capt_hasher_add(h, "", 1);
        free(p);
    }
    return rc;
}

int meteor_source_find(meteor_source *s, const char *path, capt_err *err)
{
    *s = (meteor_source){.kind = METEOR_TREE};
    struct stat st;
    if (stat(path, &st) != 0)
        return capt_fail_errno(err, "%s", path);
    if (S_ISDIR(st.st_mode)) {
        find_in_folder(s, path);
    } else {
        static const char *const beside[] = {"data/paraphrase-en.gz", "paraphrase-en.gz", NULL};
        const char *slash = strrchr(path, '/');
        char *folder = slash ? capt_strndup(path, (size_t)(slash - path)) : capt_strdup(".");
        s->kind = METEOR_JAR;
        s->place = capt_strdup(path);
        s->table = first_of(*folder ? folder : "/", beside, NULL);
        free(folder);
    }
    if (!s->place) {
        meteor_source_free(s);
        return capt_fail(err, CAPT_EDATA, "%s: no METEOR data in this folder: neither %s, meteor-1.5.jar nor %s", path,
                         member[0], wordnet[0]);
    }
    capt_hasher *h = capt_hasher_new();
    int rc = s->kind == METEOR_JAR       ? add_hash(h, s->place, err)
             : s->kind == METEOR_WORDNET ? add_folder(h, s, wordnet, WN_FILES, WN_FILES, err)
                                         : add_folder(h, s, member, METEOR_TEXTS, 2, err);
    capt_hasher_add(h, s->table ? "table" : "none", 5);
    if (!rc && s->table)
        rc = add_hash(h, s->table, err);
    capt_hasher_end(h, s->id);
    if (rc)
        meteor_source_free(s);
    return rc;
}

void meteor_source_free(meteor_source *s)
{
    free(s->place);
    free(s->table);
    s->place = s->table = NULL;
}

void meteor_texts_free(meteor_text t[METEOR_TEXTS])
{
    for (int i = 0; i < METEOR_TEXTS; i++) {
        free(t[i].s);
        capt_str_free(&t[i].name);
    }
}

static int read_member(unzFile zip, const char *name, meteor_text *t, capt_err *err)
{
    unz_file_info info;
    if (unzLocateFile(zip, name, 1) != UNZ_OK)
        return capt_fail(err, CAPT_EDATA, "%s: not in the archive", t->name.s);
    if (unzGetCurrentFileInfo(zip, &info, NULL, 0, NULL, 0, NULL, 0) != UNZ_OK || info.uncompressed_size > MAX_MEMBER ||
        unzOpenCurrentFile(zip) != UNZ_OK)
        return capt_fail(err, CAPT_EDATA, "%s: the archive is damaged", t->name.s);
    t->n = info.uncompressed_size;
    t->s = capt_alloc(t->n + 1);
    int got = unzReadCurrentFile(zip, t->s, (unsigned)t->n);
    int closed = unzCloseCurrentFile(zip); /* compares the checksum */
    if (got < 0 || (size_t)got != t->n || closed != UNZ_OK)
        return capt_fail(err, CAPT_EDATA, "%s: the archive is damaged", t->name.s);
    return 0;
}

static int read_jar(const meteor_source *s, meteor_text t[METEOR_TEXTS], capt_err *err)
{
    unzFile zip = unzOpen(s->place);
    if (!zip)
        return capt_fail(err, CAPT_EDATA, "%s: not a jar (zip archive), or cut short", s->place);
    int rc = 0;
    for (int i = 0; i < METEOR_TEXTS && !rc; i++) {
        capt_str_printf(&t[i].name, "%s: %s", s->place, member[i]);
        rc = read_member(zip, member[i], &t[i], err);
    }
    unzClose(zip);
    return rc;
}

/* "lemma%type:..:..:: offset n n": METEOR's offsets are those of the original WordNet 3.0, Debian's data files were made
 * again: adjectives from 1681478 on lie one byte further, some verbs 18. */
static int senses(const char *path, meteor_text *t, capt_err *err)
{
    size_t n;
    char *s = capt_file_read(path, MAX_MEMBER, &n, err);
    capt_str out = {0};
    long line = 0;
    for (char *p = s; p && *p;) {
        char *end = p + strcspn(p, "\n"), *type = memchr(p, '%', (size_t)(end - p));
        char *off = type ? memchr(type, ' ', (size_t)(end - type)) : NULL;
        line++;
        if (!off || *end != '\n' || type == p || type[1] < '1' || type[1] > '5' || off[1] < '0' || off[1] > '9') {
            capt_fail(err, CAPT_EDATA, "%s:%ld: not a line of WordNet's sense index", path, line);
            capt_str_free(&out);
            break;
        }
        long v = strtol(off, NULL, 10);
        if ((type[1] == '3' || type[1] == '5') && v >= 1681478)
            v -= 1;
        if (type[1] == '2' && v >= 613036 && v <= 2422681)
            v -= 18;
        capt_str_add(&out, p, (size_t)(type - p));
        capt_str_printf(&out, "\n%ld\n", v);
        p = end + 1;
    }
    free(s);
    if (s && !line)
        return capt_fail(err, CAPT_EDATA, "%s: the file is empty", path);
    t->s = out.s;
    t->n = out.n;
    return out.s ? 0 : -1;
}

/* Lines "inflected base..." made pairs of lines "base", "inflected". */
static int irregular(const char *path, capt_str *out, capt_err *err)
{
    size_t n;
    char *s = capt_file_read(path, MAX_MEMBER, &n, err), *rest;
    if (!s)
        return -1;
    for (char *l = strtok_r(s, "\n", &rest); l; l = strtok_r(NULL, "\n", &rest)) {
        char *more, *form = strtok_r(l, " ", &more), *base;
        for (base = form ? strtok_r(NULL, " ", &more) : NULL; base; base = strtok_r(NULL, " ", &more))
            capt_str_printf(out, "%s\n%s\n", base, form);
    }
    free(s);
    return 0;
}

static int read_wordnet(const meteor_source *s, meteor_text t[METEOR_TEXTS], capt_err *err)
{
    capt_str exc = {0};
    int rc = 0;
    for (int i = 0; i < WN_FILES && !rc; i++) {
        char *p = path_of(s->place, wordnet[i]);
        capt_str_puts(&t[i != 0].name, i > 1 ? "" : p);
        rc = i ? irregular(p, &exc, err) : senses(p, &t[METEOR_SYNSETS], err);
        free(p);
    }
    t[METEOR_EXCEPTIONS].s = exc.s;
    t[METEOR_EXCEPTIONS].n = exc.n;
    return rc;
}

static int read_tree(const meteor_source *s, meteor_text t[METEOR_TEXTS], capt_err *err)
{
    for (int i = 0; i < METEOR_TEXTS; i++) {
        capt_str_printf(&t[i].name, "%s/%s", s->place, member[i]);
        if (i > METEOR_EXCEPTIONS && !capt_file_exists(t[i].name.s))
            continue;
        t[i].s = capt_file_read(t[i].name.s, MAX_MEMBER, &t[i].n, err);
        if (!t[i].s)
            return -1;
    }
    return 0;
}

/* The texts that the source has not. */
static void complete(meteor_text t[METEOR_TEXTS])
{
    if (!t[METEOR_FUNCTION].s) {
        t[METEOR_FUNCTION].s = capt_strdup(function_words);
        t[METEOR_FUNCTION].n = sizeof function_words - 1;
    }
    if (!t[METEOR_PREFIXES].s) {
        t[METEOR_PREFIXES].s = capt_strdup(prefixes);
        t[METEOR_PREFIXES].n = sizeof prefixes - 1;
    }
}

int meteor_source_read(const meteor_source *s, meteor_text t[METEOR_TEXTS], capt_err *err)
{
    memset(t, 0, METEOR_TEXTS * sizeof *t);
    int rc = s->kind == METEOR_JAR       ? read_jar(s, t, err)
             : s->kind == METEOR_WORDNET ? read_wordnet(s, t, err)
                                         : read_tree(s, t, err);
    if (!rc)
        complete(t);
    return rc;
}
