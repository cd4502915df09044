/* See join.h. */
#include "record/join.h"
#include <string.h>

enum { SHOWN = 5 };

int capt_in_splits(const capt_splits *s, const capt_caption *c)
{
    int in = !c->split || !s->n;
    for (size_t i = 0; i < s->n && !in; i++)
        in = !strcmp(c->split, s->v[i]);
    return in;
}

void capt_id_list_add(capt_id_list *l, const capt_id *id)
{
    char key[CAPT_ID_KEY];
    capt_id_key(id, key);
    if (l->n++ < SHOWN)
        capt_str_printf(&l->s, "%s%.80s", l->n > 1 ? ", " : "", key);
}

int capt_id_list_fail(capt_id_list *l, const char *path, const char *one, const char *many, const char *advice, capt_err *err)
{
    int rc = 0;
    if (l->n)
        rc = capt_fail(err, CAPT_EDATA, "%s: %zu image%s %s: %s%s%s", path, l->n, l->n == 1 ? "" : "s", l->n == 1 ? one : many, l->s.s,
                       l->n > SHOWN ? ", ..." : "", advice);
    capt_str_free(&l->s);
    return rc;
}

int capt_join_make(capt_join *j, const capt_captions *refs, const char *refs_name, const capt_hyps *hyps, const char *hyps_name,
                   const capt_splits *splits, int subset, capt_arena *a, capt_err *err)
{
    capt_id_list unknown = {{0}, 0}, other = {{0}, 0}, missing = {{0}, 0}, bare = {{0}, 0};
    *j = (capt_join){0};
    if (hyps->int_ids != refs->int_ids)
        return capt_fail(err, CAPT_EDATA, "%s: its ids are %s, those of %s are %s", hyps_name,
                         hyps->int_ids ? "integers" : "strings", refs_name, refs->int_ids ? "integers" : "strings");
    for (size_t i = 0; i < hyps->n; i++) {
        const capt_caption *c = capt_captions_find(refs, &hyps->v[i].id);
        if (!c)
            capt_id_list_add(&unknown, &hyps->v[i].id);
        else if (!capt_in_splits(splits, c))
            capt_id_list_add(&other, &hyps->v[i].id);
    }
    j->image = capt_arena_alloc(a, (refs->n + 1) * sizeof *j->image);
    j->hyp = capt_arena_alloc(a, (refs->n + 1) * sizeof *j->hyp);
    j->by_id = capt_idmap_new();
    for (size_t i = 0; i < refs->n; i++) {
        const capt_caption *c = &refs->v[i];
        if (!capt_in_splits(splits, c))
            continue;
        const capt_hyp *h = capt_hyps_find(hyps, &c->id);
        if (!h && c->n_captions && !subset)
            capt_id_list_add(&missing, &c->id);
        if (h && !c->n_captions)
            capt_id_list_add(&bare, &c->id);
        if (!h)
            continue;
        capt_idmap_add(j->by_id, &c->id, (int64_t)j->n);
        j->image[j->n] = c;
        j->hyp[j->n++] = h;
        j->n_refs += (size_t)c->n_captions;
    }
    int rc = capt_id_list_fail(&unknown, hyps_name, "is not among the references", "are not among the references", "", err);
    rc |= capt_id_list_fail(&other, hyps_name, "is in another split than --split names", "are in another split than --split names", "", err);
    rc |= capt_id_list_fail(&bare, refs_name, "has no references", "have no references", "", err);
    rc |= capt_id_list_fail(&missing, hyps_name, "has no hypothesis", "have no hypothesis", " (--subset scores the others)", err);
    return rc;
}

void capt_join_free(capt_join *j)
{
    capt_idmap_free(j->by_id);
    j->by_id = NULL;
}
