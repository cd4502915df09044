/* Fuzz target of record streams: caption, hypothesis and tag records, training logs, each strict and skipping bad lines; and each line as
 * a record of any kind: what is read can be written, and is read again. */
#include "fuzz.h"
#include "base/mem.h"
#include "record/caption.h"
#include "record/curve.h"
#include "record/ndjson.h"

static int skip(void *arg, capt_err *err)
{
    ++*(int *)arg;
    *err = (capt_err)CAPT_ERR_INIT;
    return 0;
}

static void any_kind(const json_t *o, capt_arena *a)
{
    for (int i = 0; capt_kind_at(i); i++) {
        const capt_kind *k = capt_kind_at(i);
        capt_err err = CAPT_ERR_INIT;
        void *rec = capt_alloc(k->size);
        capt_arena_reset(a);
        if (!capt_record_read(k, o, rec, a, "fuzz", &err)) {
            json_t *w = capt_record_write(k, rec, o);
            if (!w || capt_record_read(k, w, rec, a, "again", &err))
                abort();
            json_decref(w);
        }
        free(rec);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    char path[64], hex[33];
    int fd = fuzz_file(p, n, path), bad = 0;
    const char *paths[] = {path};
    capt_read_opts lenient = {.cap = 4096, .bad = skip, .bad_arg = &bad};
    for (int i = 0; i < 2; i++) {
        const capt_read_opts *o = i ? &lenient : NULL;
        capt_err err[3] = {CAPT_ERR_INIT, CAPT_ERR_INIT, CAPT_ERR_INIT};
        capt_captions *c = NULL;
        capt_hyps *h = NULL;
        capt_taglist *t = NULL;
        int ok[3] = {!capt_captions_read(paths, 1, o, &c, &err[0]), !capt_hyps_read(paths, 1, o, &h, &err[1]), !capt_tags_read(paths, 1, o, &t, &err[2])};
        for (int k = 0; k < 3; k++)
            if (ok[k] != (err[k].code == CAPT_OK))
                abort();
        if (ok[0]) {
            capt_split_hash(c->v, c->n, hex);
            for (size_t k = 0; k < c->n; k++)
                if (capt_captions_find(c, &c->v[k].id) != &c->v[k])
                    abort();
        }
        capt_captions_free(ok[0] ? c : NULL);
        capt_hyps_free(ok[1] ? h : NULL);
        capt_tags_free(ok[2] ? t : NULL);
    }
    capt_ndjson *in = capt_ndjson_new(paths, 1, 4096);
    capt_arena *a = capt_arena_new(0);
    json_t *o = NULL;
    for (capt_err e = CAPT_ERR_INIT; capt_ndjson_next(in, &o, &e) != 0 && !capt_ndjson_failed(in); e = (capt_err)CAPT_ERR_INIT, o = NULL) {
        if (o)
            any_kind(o, a);
        json_decref(o);
    }
    capt_arena_free(a);
    capt_ndjson_free(in);
    capt_curves curves = {0};
    capt_err err = CAPT_ERR_INIT;
    if (!capt_curves_read(path, &curves, &err))
        capt_curves_free(&curves);
    close(fd);
    return 0;
}
