#include "data/import.h"
#include <stdlib.h>
#include "base/mem.h"

enum { SLOTS = 128 };
#define ROUND_BYTES ((size_t)32 << 20)

struct slot {
    int64_t image;
    int stored, failed;
    capt_packed *packed;
    capt_str text;
    capt_err err;
};

struct round { struct slot slot[SLOTS]; int n; };

struct run {
    const capt_intake *in;
    const capt_import_hooks *hooks;
    capt_store *s;
    struct round round[2], *loading, *writing;
    capt_err write_err;
};

static void write_round(struct run *r)
{
    for (int i = 0; i < r->writing->n && !r->write_err.code; i++) {
        struct slot *s = &r->writing->slot[i];
        if (s->failed || (!s->stored && capt_store_put_packed(r->s, s->packed, &r->write_err)))
            continue;
        if (s->text.n && r->hooks->text(r->hooks->arg, s->text.s, s->text.n))
            capt_fail_errno(&r->write_err, "writing what goes with the images");
    }
}

/* Task 0 writes the round before, so that a sync of the disk and the decoding of the next round go on at once. */
static void task(void *arg, int64_t t, int worker)
{
    struct run *r = arg;
    if (t == 0) {
        write_round(r);
        return;
    }
    struct slot *s = &r->loading->slot[t - 1];
    capt_loading to = {.stored = s->stored, .text = &s->text};
    s->err = (capt_err)CAPT_ERR_INIT;
    capt_str_clear(&s->text);
    s->failed = r->in->load(r->in->arg, s->image, worker, &to, &s->err) ||
                (!s->stored && capt_store_pack(r->s, r->in->id(r->in->arg, s->image), to.section, to.n, s->packed, &s->err));
}

/* The next images, as many as their input's bytes allow, one at least. */
static int64_t gather(struct run *r, int64_t at, int resume)
{
    size_t bytes = 0;
    for (r->loading->n = 0; at < r->in->n && r->loading->n < SLOTS; at++) {
        int stored = resume && capt_store_has(r->s, r->in->id(r->in->arg, at));
        if (stored && !r->in->has_text)
            continue;
        size_t more = r->in->bytes(r->in->arg, at);
        if (r->loading->n && bytes + more > ROUND_BYTES)
            break;
        bytes += more;
        struct slot *s = &r->loading->slot[r->loading->n++];
        s->image = at;
        s->stored = stored;
        if (!s->packed)
            s->packed = capt_packed_new();
    }
    return at;
}

static int go(struct run *r, int resume, capt_pool *pool, capt_err *err)
{
    int64_t at = 0, done = 0;
    int stop = 0;
    do {
        done = at;
        stop = r->hooks->round(r->hooks->arg, done);
        if (stop)
            r->loading->n = 0; /* what is loaded is written, nothing more is */
        else
            at = gather(r, at, resume);
        capt_pool_run(pool, 1 + r->loading->n, task, r);
        if (r->write_err.code)
            return capt_fail(err, r->write_err.code, "%s", r->write_err.text);
        for (int i = 0; i < r->loading->n; i++) {
            struct slot *s = &r->loading->slot[i];
            if (s->failed && r->hooks->bad(r->hooks->arg, &s->err))
                return err->code ? -1 : capt_fail(err, s->err.code, "%s", s->err.text);
        }
        struct round *full = r->loading;
        r->loading = r->writing;
        r->writing = full;
    } while (!stop && r->writing->n);
    return stop;
}

int capt_import_run(const capt_intake *in, const capt_import_hooks *hooks, capt_store *s, int resume, capt_pool *pool, capt_err *err)
{
    struct run *r = capt_alloc(sizeof *r);
    r->in = in;
    r->hooks = hooks;
    r->s = s;
    r->loading = &r->round[0];
    r->writing = &r->round[1];
    int rc = go(r, resume, pool, err);
    for (int k = 0; k < 2; k++)
        for (int i = 0; i < SLOTS; i++) {
            capt_packed_free(r->round[k].slot[i].packed);
            capt_str_free(&r->round[k].slot[i].text);
        }
    free(r);
    return rc ? (rc < 0 ? -1 : 1) : 0;
}
