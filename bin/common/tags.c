#include "common/tags.h"
#include <stdlib.h>
#include <string.h>
#include "base/hash.h"
#include "base/mem.h"
#include "text/tags.h"

capt_captions *prog_tags_open(capt_prog *p, const char *path, const capt_captions *records)
{
    capt_captions *file;
    if (capt_captions_read(&path, 1, NULL, &file, &p->err))
        return NULL;
    int ints = records ? records->int_ids : 1;
    if (file->n && (!records || records->n) && file->int_ids != ints) {
        capt_fail(&p->err, CAPT_EDATA, "%s: ids are %s, those of the images are %s", path, file->int_ids ? "integers" : "strings", ints ? "integers" : "strings");
        capt_captions_free(file);
        return NULL;
    }
    return file;
}

int prog_tags_fit(capt_prog *p, const char *path, const capt_model *m, const char *model_path)
{
    if (path && !m->tag_t)
        return capt_fail(&p->err, CAPT_EDATA, "%s reads no tags: leave --tags out", model_path);
    if (!path && m->tag_t)
        return capt_fail(&p->err, CAPT_EDATA, "%s reads tags before the words: give --tags FILE (the records themselves, if they have them)", model_path);
    return 0;
}

int prog_tags_note(capt_prog *p, const char *what, const capt_picked *recs, const capt_model *m)
{
    size_t with = 0, leaked = 0;
    int64_t tokens = 0, unknown = 0;
    int32_t *ids = capt_alloc((size_t)m->tag_t * sizeof *ids);
    int rc = 0;
    for (size_t i = 0; i < recs->n && !rc; i++) {
        int n = 0, lost = 0;
        rc = capt_tags_encode(m->vocab, recs->v[i]->tags, recs->v[i]->n_tags, m->tag_t, ids, &n, &lost, &p->err);
        with += n > 0;
        tokens += n;
        unknown += lost;
        leaked += recs->v[i]->trained_on == 1;
    }
    free(ids);
    if (rc || !recs->n)
        return rc;
    if (leaked && strcmp(what, "training "))
        capt_prog_warn(p, "the tagger of %zu of the %zu %simages was trained on them", leaked, recs->n, what);
    (with ? capt_prog_note : capt_prog_warn)(p, "%zu of %zu %simages have tags (%zu without), %lld tokens; %lld words of tags are not in the vocabulary", with, recs->n, what, recs->n - with,
                                             (long long)tokens, (long long)unknown);
    return 0;
}

static void add_trained_on(capt_str *ids, const capt_captions *recs)
{
    for (size_t i = 0; recs && i < recs->n; i++) {
        char key[CAPT_ID_KEY];
        if (recs->v[i].trained_on != 1)
            continue;
        capt_str_add(ids, key, capt_id_key(&recs->v[i].id, key));
        capt_str_putc(ids, '\n');
    }
}

void prog_tags_past(capt_model *m, const capt_captions *file, const capt_captions *records)
{
    capt_str ids = {0};
    add_trained_on(&ids, file);
    add_trained_on(&ids, records);
    if (ids.n)
        capt_idset_merge(m->trained_on, ids.s, ids.n);
    capt_str_free(&ids);
}

void prog_tags_input(json_t *inputs, const capt_picked *train, const capt_picked *val)
{
    const capt_picked *const part[2] = {train, val};
    capt_hasher *h = capt_hasher_new();
    char hex[33];
    for (int k = 0; k < 2; k++)
        for (size_t i = 0; i < part[k]->n; i++) {
            char key[CAPT_ID_KEY];
            const capt_caption *rec = part[k]->v[i];
            capt_hasher_add(h, key, capt_id_key(&rec->id, key) + 1);
            for (int t = 0; t < rec->n_tags; t++)
                capt_hasher_add(h, rec->tags[t], strlen(rec->tags[t]) + 1);
            capt_hasher_add(h, "", 1);
        }
    capt_hasher_end(h, hex);
    json_object_set_new(inputs, "tags", json_string(hex));
}
