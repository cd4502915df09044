/* Which files an operand of an import stands for. */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include "base/file.h"
#include "base/mem.h"
#include "data/detector.h"

static int ends(const char *s, const char *end)
{
    size_t n = strlen(s), k = strlen(end);
    return n >= k && strcmp(s + n - k, end) == 0;
}

static const char *join(capt_detector_files *f, const char *dir, const char *name)
{
    capt_str b = {0};
    if (*name == '/' || !*dir)
        capt_str_puts(&b, name);
    else
        capt_str_printf(&b, "%s/%s", dir, name);
    const char *s = capt_arena_strndup(f->arena, b.s, b.n);
    capt_str_free(&b);
    return s;
}

static void add_features(capt_detector_files *f, const char *path, const char *lines)
{
    capt_vec_push(&f->features, path);
    capt_vec_push(&f->lines, lines);
}

/* "key: value" lines; what is nested or quoted is not written by these tools. NULL: not there. */
static const char *yaml_value(capt_detector_files *f, const char *text, const char *key)
{
    size_t n = strlen(key);
    for (const char *s = text; *s; s += strcspn(s, "\n"), s += *s == '\n') {
        if (strncmp(s, key, n) != 0 || s[n] != ':')
            continue;
        const char *v = s + n + 1 + strspn(s + n + 1, " \t\"'");
        size_t k = strcspn(v, "\r\n#");
        while (k && strchr(" \t\"'", v[k - 1]))
            k--;
        return k ? capt_arena_strndup(f->arena, v, k) : NULL;
    }
    return NULL;
}

static int add_yaml(capt_detector_files *f, const char *path, capt_err *err)
{
    size_t n;
    char *text = capt_text_read(path, &n, err);
    if (!text)
        return -1;
    const char *slash = strrchr(path, '/'), *dir = slash ? capt_arena_strndup(f->arena, path, (size_t)(slash - path)) : "";
    if (slash == path)
        dir = "/";
    const char *features = yaml_value(f, text, "feature"), *label = yaml_value(f, text, "label"), *hw = yaml_value(f, text, "hw"), *lines = yaml_value(f, text, "linelist");
    free(text);
    if (!features)
        return capt_fail(err, CAPT_EDATA, "%s: no line \"feature: FILE.tsv\"", path);
    add_features(f, join(f, dir, features), lines ? join(f, dir, lines) : "");
    if (label)
        capt_vec_push(&f->objects, join(f, dir, label));
    if (hw)
        capt_vec_push(&f->sizes, join(f, dir, hw));
    return 0;
}

/* Numbers in names by value: chunk 2 before chunk 10. */
static int natural(const void *x, const void *y)
{
    const char *a = *(const char *const *)x, *b = *(const char *const *)y;
    while (*a && *b) {
        if (isdigit((unsigned char)*a) && isdigit((unsigned char)*b)) {
            char *ea, *eb;
            unsigned long long m = strtoull(a, &ea, 10), n = strtoull(b, &eb, 10);
            if (m != n)
                return m < n ? -1 : 1;
            if (ea - a != eb - b)
                return ea - a < eb - b ? -1 : 1;
            a = ea;
            b = eb;
        } else if (*a != *b) {
            return (unsigned char)*a < (unsigned char)*b ? -1 : 1;
        } else {
            a++;
            b++;
        }
    }
    return (unsigned char)*a - (unsigned char)*b;
}

/* A shard of a TSV file: x.tsv, x.tsv.0 */
static int is_tsv(const char *name)
{
    const char *t = strstr(name, ".tsv");
    return t && (!t[4] || (t[4] == '.' && t[5] && strspn(t + 5, "0123456789") == strlen(t + 5)));
}

static int is_features(const char *name)
{
    return ends(name, "feature.tsv") || ends(name, "features.tsv");
}

static int is_objects(const char *name)
{
    return ends(name, "predictions.tsv") || ends(name, "label.tsv");
}

static int is_sizes(const char *name)
{
    return strcmp(name, "hw.tsv") == 0 || ends(name, ".hw.tsv") || ends(name, "_hw.tsv");
}

static int add_folder(capt_detector_files *f, const char *dir, int depth, capt_err *err);

/* A folder's TSV files by their names; without one of features the predictions hold them, and without these all files do. */
static void add_by_names(capt_detector_files *f, const char *dir, const capt_strlist *tsv)
{
    int features = 0, objects = 0;
    for (size_t i = 0; i < tsv->n; i++) {
        features += is_features(tsv->v[i]);
        objects += is_objects(tsv->v[i]);
    }
    for (size_t i = 0; i < tsv->n; i++) {
        const char *name = tsv->v[i], *path = join(f, dir, name);
        if (is_sizes(name))
            capt_vec_push(&f->sizes, path);
        else if (features ? is_features(name) : objects ? is_objects(name) : 1)
            add_features(f, path, "");
        else if (is_objects(name))
            capt_vec_push(&f->objects, path);
    }
}

static int read_folder(capt_detector_files *f, const char *dir, capt_strlist *tsv, capt_strlist *yaml, capt_strlist *sub, capt_err *err)
{
    DIR *d = opendir(dir);
    if (!d)
        return capt_fail_errno(err, "%s", dir);
    for (struct dirent *e = readdir(d); e; e = readdir(d)) {
        struct stat st;
        const char *name = e->d_name;
        if (name[0] == '.' || stat(join(f, dir, name), &st))
            continue;
        const char *copy = capt_arena_strndup(f->arena, name, strlen(name));
        if (S_ISDIR(st.st_mode))
            capt_vec_push(sub, copy);
        else if (ends(name, ".yaml"))
            capt_vec_push(yaml, copy);
        else if (is_tsv(name))
            capt_vec_push(tsv, copy);
    }
    closedir(d);
    capt_strlist *all[] = {tsv, yaml, sub};
    for (int i = 0; i < 3; i++)
        if (all[i]->n)
            qsort(all[i]->v, all[i]->n, sizeof *all[i]->v, natural);
    return 0;
}

static int add_folder(capt_detector_files *f, const char *dir, int depth, capt_err *err)
{
    capt_strlist tsv = {0}, yaml = {0}, sub = {0};
    int rc = read_folder(f, dir, &tsv, &yaml, &sub, err);
    if (rc == 0 && yaml.n > 1)
        rc = capt_fail(err, CAPT_EDATA, "%s: %zu .yaml files (%s, %s..): name one", dir, yaml.n, yaml.v[0], yaml.v[1]);
    else if (rc == 0 && yaml.n)
        rc = add_yaml(f, join(f, dir, yaml.v[0]), err);
    else if (rc == 0 && tsv.n)
        add_by_names(f, dir, &tsv);
    else
        for (size_t i = 0; i < sub.n && depth < 3 && rc == 0; i++)
            rc = add_folder(f, join(f, dir, sub.v[i]), depth + 1, err);
    free((void *)tsv.v);
    free((void *)yaml.v);
    free((void *)sub.v);
    return rc;
}

int capt_detector_find(capt_detector_files *f, const char *operand, capt_err *err)
{
    struct stat st;
    if (!f->arena)
        f->arena = capt_arena_new(0);
    if (stat(operand, &st))
        return capt_fail_errno(err, "%s", operand);
    if (!S_ISDIR(st.st_mode)) {
        if (ends(operand, ".yaml"))
            return add_yaml(f, operand, err);
        add_features(f, capt_arena_strndup(f->arena, operand, strlen(operand)), "");
        return 0;
    }
    size_t before = f->features.n;
    if (add_folder(f, operand, 0, err))
        return -1;
    return f->features.n > before ? 0 : capt_fail(err, CAPT_EDATA, "%s: no .tsv file of features in this folder or those in it", operand);
}

void capt_detector_files_free(capt_detector_files *f)
{
    free((void *)f->features.v);
    free((void *)f->objects.v);
    free((void *)f->sizes.v);
    free((void *)f->lines.v);
    capt_arena_free(f->arena);
    *f = (capt_detector_files){0};
}
