/* The small data of golden/meteor.json as a METEOR tree in a fresh folder. */
#ifndef METEOR_GOLDEN_H
#define METEOR_GOLDEN_H
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <zlib.h>
#include "base/json.h"
#include "metric/meteor.h"

static inline char *golden_lines(const json_t *array)
{
    capt_str s = {0};
    size_t i;
    json_t *x;
    json_array_foreach((json_t *)array, i, x)
        capt_str_printf(&s, "%s\n", json_string_value(x));
    return s.s;
}

static inline void golden_write(const char *folder, const char *name, const char *text)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *f = fopen(path, "wb");
    if (!f || fputs(text, f) < 0 || fclose(f))
        abort();
}

static inline void golden_gzip(const char *folder, const char *name, const char *text)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    gzFile f = gzopen(path, "wb");
    if (!f || gzputs(f, text) < 0 || gzclose(f) != Z_OK)
        abort();
}

/* Into an existing folder; table 0: no paraphrases. */
static inline void golden_tree(const char *folder, const json_t *doc, int table)
{
    static const char *const dir[] = {"synonym", "data"};
    char path[4096];
    for (int i = 0; i < 2; i++) {
        snprintf(path, sizeof path, "%s/%s", folder, dir[i]);
        mkdir(path, 0777);
    }
    char *s = golden_lines(json_object_get(doc, "synsets")), *e = golden_lines(json_object_get(doc, "exceptions")),
         *t = golden_lines(json_object_get(doc, "table"));
    golden_write(folder, "synonym/english.synsets", s);
    golden_write(folder, "synonym/english.exceptions", e);
    if (table)
        golden_gzip(folder, "data/paraphrase-en.gz", t);
    free(s);
    free(e);
    free(t);
}
#endif
