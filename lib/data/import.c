#include "data/import.h"
#include <pthread.h>
#include <stdlib.h>
#include "base/mem.h"

enum { SLOTS = 64 };
#define IN_FLIGHT ((size_t)16 << 20) /* bytes of input between its loading and the store */

struct slot {
    int64_t image;
    size_t bytes;
    int stored, failed, loaded;
    capt_packed *packed;
    capt_str text;
    capt_err err;
};

/* Images get slots in their order; loaded ones are written in that order by whichever worker finds the oldest of them loaded, one at a time. So an image
 * is most often written by the worker that loaded it just now, with its numbers still in the processor's cache. */
struct run {
    const capt_intake *in;
    const capt_import_hooks *hooks;
    capt_store *s;
    char *stored; /* of each image, with resume; else NULL */
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct slot slot[SLOTS]; /* number k at k % SLOTS */
    int64_t next, taken, written; /* image; numbers of slots */
    size_t bytes;
    capt_packed *spare[SLOTS]; /* the last one used is taken first */
    int n_spare, writing, stop, bad;
    capt_err err; /* ends the run */
};

/* ---- under the lock ---- */

static int may_take(struct run *r)
{
    while (r->next < r->in->n && r->stored && r->stored[r->next] && !r->in->has_text)
        r->next++;
    if (r->next == r->in->n || r->taken - r->written == SLOTS)
        return 0;
    return r->taken == r->written || r->bytes + r->in->bytes(r->in->arg, r->next) <= IN_FLIGHT;
}

static struct slot *take(struct run *r)
{
    struct slot *s = &r->slot[r->taken++ % SLOTS];
    s->image = r->next++;
    s->bytes = r->in->bytes(r->in->arg, s->image);
    s->stored = r->stored && r->stored[s->image];
    s->loaded = 0;
    s->packed = r->n_spare ? r->spare[--r->n_spare] : capt_packed_new();
    r->bytes += s->bytes;
    return s;
}

static void give_back(struct run *r, struct slot *s)
{
    r->spare[r->n_spare++] = s->packed;
    s->packed = NULL;
    r->bytes -= s->bytes;
    r->written++;
}

static int oldest_loaded(const struct run *r) { return r->written < r->taken && r->slot[r->written % SLOTS].loaded; }
static int over(const struct run *r) { return r->err.code || r->bad; }

/* ---- one image ---- */

static void load(struct run *r, struct slot *s, int worker)
{
    capt_loading to = {.stored = s->stored, .text = &s->text};
    s->err = (capt_err)CAPT_ERR_INIT;
    capt_str_clear(&s->text);
    s->failed = r->in->load(r->in->arg, s->image, worker, &to, &s->err) ||
                (!s->stored && capt_store_pack(r->s, r->in->id(r->in->arg, s->image), to.section, to.n, s->packed, &s->err));
}

static void write_one(struct run *r, struct slot *s, capt_err *err)
{
    if (s->failed) {
        r->bad = r->hooks->bad(r->hooks->arg, &s->err) != 0;
        if (r->bad)
            capt_fail(err, s->err.code, "%s", s->err.text);
    } else if ((s->stored || capt_store_put_packed(r->s, s->packed, err) == 0) && s->text.n && r->hooks->text(r->hooks->arg, s->text.s, s->text.n)) {
        capt_fail_errno(err, "writing what goes with the images");
    }
}

static void write_loaded(struct run *r) /* the lock is let go of in between */
{
    r->writing = 1;
    while (oldest_loaded(r) && !over(r)) {
        struct slot *s = &r->slot[r->written % SLOTS];
        capt_err err = CAPT_ERR_INIT;
        pthread_mutex_unlock(&r->lock);
        write_one(r, s, &err);
        int stop = r->hooks->round(r->hooks->arg, s->image + 1);
        pthread_mutex_lock(&r->lock);
        r->err = err;
        r->stop |= stop;
        give_back(r, s);
        pthread_cond_broadcast(&r->changed);
    }
    r->writing = 0;
}

/* What one worker does until there is nothing more for it: whoever loads the last image or is writing then writes the rest. */
static void work(void *arg, int64_t task, int worker)
{
    struct run *r = arg;
    pthread_mutex_lock(&r->lock);
    while (!over(r)) {
        if (oldest_loaded(r) && !r->writing) {
            write_loaded(r);
        } else if (!r->stop && may_take(r)) {
            struct slot *s = take(r);
            pthread_mutex_unlock(&r->lock);
            load(r, s, worker);
            pthread_mutex_lock(&r->lock);
            s->loaded = 1;
        } else if (r->stop || r->next == r->in->n) {
            break;
        } else {
            pthread_cond_wait(&r->changed, &r->lock);
        }
    }
    pthread_cond_broadcast(&r->changed);
    pthread_mutex_unlock(&r->lock);
}

int capt_import_run(const capt_intake *in, const capt_import_hooks *hooks, capt_store *s, int resume, capt_pool *pool, capt_err *err)
{
    struct run *r = capt_alloc(sizeof *r);
    r->in = in;
    r->hooks = hooks;
    r->s = s;
    r->err = (capt_err)CAPT_ERR_INIT;
    pthread_mutex_init(&r->lock, NULL);
    pthread_cond_init(&r->changed, NULL);
    if (resume) {
        r->stored = capt_alloc((size_t)in->n + 1);
        for (int64_t i = 0; i < in->n; i++)
            r->stored[i] = (char)capt_store_has(s, in->id(in->arg, i));
    }
    r->stop = hooks->round(hooks->arg, 0);
    if (!r->stop)
        capt_pool_run(pool, capt_pool_size(pool), work, r);
    int rc = r->err.code || r->bad ? -1 : r->stop ? 1 : 0;
    if (r->err.code && !err->code)
        capt_fail(err, r->err.code, "%s", r->err.text);
    for (int k = 0; k < SLOTS; k++) {
        capt_packed_free(r->slot[k].packed);
        capt_str_free(&r->slot[k].text);
    }
    while (r->n_spare)
        capt_packed_free(r->spare[--r->n_spare]);
    pthread_mutex_destroy(&r->lock);
    pthread_cond_destroy(&r->changed);
    free(r->stored);
    free(r);
    return rc;
}
