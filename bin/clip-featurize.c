/* Images + CLIP weights -> feature store. A batch is decoded and preprocessed by the pool's threads where the encoding of those before it leaves them free,
 * encoded on all of them, and stored by a thread of its own; several batches are under way at once, and they pass each station in order. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>
#include "base/mem.h"
#include "base/prov.h"
#include "base/str.h"
#include "common/session.h"
#include "data/ahead.h"
#include "store/store.h"

enum { GRID, GLOBAL, BOTH };
static const capt_dtype dtypes[] = {CAPT_F16, CAPT_BF16, CAPT_F32};

static const char *weights, *images, *store, *shard, *split = "all";
static int features = GRID, dtype, preprocess = -1, resume, exif_rotate, tolerate, compute;
static int64_t batch = 8, resolution, max_pixels = CAPT_MAX_PIXELS;

static const capt_opt options[] = {
    {"weights", CAPT_O_STR, &weights, "FILE", "CLIP weights (safetensors, public names) or a checkpoint with an encoder", 0, 0, 1, 1},
    {"images", CAPT_O_STR, &images, "DIR", "folder the records' files are in", 0, 0, 1, 1},
    {"store", CAPT_O_STR, &store, "OUT", "feature store to write; OUT.part while unfinished", 0, 0, 1, 1},
    {"features", CAPT_O_CHOICE, &features, "grid|global|both", "one vector a cell, one an image, or both", 0, 0, 0, 0},
    {"dtype", CAPT_O_CHOICE, &dtype, "f16|bf16|f32", "number format in the store", 0, 0, 0, 0},
    {"preprocess", CAPT_O_CHOICE, &preprocess, CAPT_PREP_MODES, "clip: resize the short side, crop the centre; stretch: resize both (default: the weights')", 0, 0, 0, 0},
    {"resolution", CAPT_O_INT, &resolution, "PX", "side of the input; positional tables are resized; 0: the weights' own", 0, 4096, 0, 0},
    {"compute", CAPT_O_CHOICE, &compute, CAPT_COMPUTE_NAMES, "what matrix products read", 0, 0, 0, 0},
    {"batch", CAPT_O_INT, &batch, "N", "images encoded at once", 1, 4096, 1, 0},
    {"shard", CAPT_O_STR, &shard, "I/N", "only records I, I+N, I+2N, ... (from 0); merge with capt-store", 0, 0, 1, 0},
    {"split", CAPT_O_STR, &split, "LIST", "splits to encode; all: every record; records without a split are in each", 0, 0, 1, 0},
    {"resume", CAPT_O_FLAG, &resume, NULL, "continue OUT.part; done already: nothing happens", 0, 0, 1, 0},
    {"max-pixels", CAPT_O_INT, &max_pixels, "N", "refuse images of more pixels", 1, 4e9, 1, 0},
    {"exif-rotate", CAPT_O_FLAG, &exif_rotate, NULL, "turn images as their EXIF orientation says", 0, 0, 0, 0},
    {"tolerate-warnings", CAPT_O_FLAG, &tolerate, NULL, "accept truncated and corrupt JPEG data as far as it goes", 0, 0, 0, 0},
    {NULL}
};

typedef struct job job;

/* One batch on its way: read by the pool, encoded by the main thread, stored by the writer. */
typedef struct part {
    capt_ahead_batch *in;
    capt_real *real;           /* the sections of the encoded images, one section behind the other */
} part;

struct job {
    capt_prog *p;
    capt_captions *list;
    capt_picked all; /* those of --split */
    int dir;
    capt_prep prep;
    capt_source *source;
    capt_ahead *ahead;
    capt_encoder *e;
    capt_ctx *c;
    capt_store *out;
    capt_store_meta meta;
    capt_idset *trained_on; /* images the encoder was trained on */
    const capt_caption **todo;
    size_t n_todo;
    /* the ring of batches: number k is in part k % n_parts; written <= encoded <= n_batches under the lock */
    part *parts;
    int64_t n_parts, n_batches, encoded, written;
    int closing, failed; /* nothing more will be encoded; nothing more will be written */
    pthread_mutex_t lock;
    pthread_cond_t moved;
    /* the writer's, which also has p->err and p's messages meanwhile */
    capt_err trouble;
    float *single;         /* one section of one image */
    void *bytes[2];        /* the sections of one image */
    double first;          /* when the first batch was stored */
};

static int encode(job *j, part *b, capt_err *err)
{
    capt_ctx *c = j->c;
    if (b->in->good == 0)
        return 0;
    capt_ctx_reset(c);
    capt_encoded out;
    capt_tensor *u8 = capt_ctx_upload(c, CAPT_U8, 4, (const int64_t[]){b->in->good, j->prep.size, j->prep.size, 3}, b->in->loaded[0].in.pixels);
    if (!capt_ctx_bad(c))
        capt_encode(c, j->e, u8, &out);
    if (capt_ctx_check(c, err))
        return -1;
    capt_real *to = b->real;
    for (int s = 0; s < j->meta.n_sections; s++) {
        const capt_tensor *t = strcmp(j->meta.section[s].name, "grid") ? out.global : out.grid;
        int64_t numel = capt_tensor_numel(t);
        if (capt_ctx_download(c, to, t->data, (size_t)numel * sizeof *to))
            return capt_ctx_check(c, err);
        to += numel;
    }
    return 0;
}

/* ---- the writer: what became of each record, in their order ---- */

static int refused(job *j, const capt_caption *rec, capt_err *err)
{
    char key[CAPT_ID_KEY];
    capt_id_key(&rec->id, key);
    if (rec->file) /* an error without a file names the id */
        capt_err_prefix(err, "id %s", key);
    if (capt_prog_bad(j->p, err) == 0)
        return 0;
    const capt_err *why = err->code ? err : &j->p->err; /* it was skipped, but --errors could not be written */
    return capt_fail(&j->trouble, why->code, "%s", why->text);
}

/* Encoded image i: section s of it to j->bytes[s]. */
static int convert(job *j, int s, int64_t i, const capt_caption *rec, const capt_real *from, capt_err *err)
{
    const capt_store_section *sec = &j->meta.section[s];
    int64_t n = (int64_t)(sec->rows ? sec->rows : 1) * sec->dim;
    for (int64_t k = 0; k < n; k++)
        j->single[k] = (float)from[i * n + k];
    int64_t bad = capt_feature_from_f32(j->single, n, sec->dtype, j->bytes[s]);
    if (bad < 0)
        return 0;
    return capt_fail(err, CAPT_EDATA, "%s: row %lld, column %lld of \"%s\" is %g, no finite %s number", rec->file, (long long)(bad / sec->dim),
                     (long long)(bad % sec->dim), sec->name, (double)j->single[bad], capt_dtype_name(sec->dtype));
}

static int write_part(job *j, part *b)
{
    capt_ahead_batch *in = b->in;
    int64_t at = 0; /* among the encoded ones */
    for (int i = 0; i < in->n; i++)
        if (in->err[i].code) {
            if (refused(j, in->rec[i], &in->err[i]))
                return -1;
            in->rec[i] = NULL;
        }
    for (int i = 0; i < in->n; i++) {
        capt_section sec[2];
        const capt_real *real = b->real;
        int bad = 0;
        if (!in->rec[i])
            continue;
        for (int s = 0; s < j->meta.n_sections && !bad; s++) {
            const capt_store_section *m = &j->meta.section[s];
            sec[s] = (capt_section){.dtype = m->dtype, .rows = m->rows, .dim = m->dim, .data = j->bytes[s]};
            memcpy(sec[s].name, m->name, sizeof m->name);
            bad = convert(j, s, at, in->rec[i], real, &in->err[i]);
            real += (int64_t)in->good * (m->rows ? m->rows : 1) * m->dim;
        }
        at++;
        if (bad ? refused(j, in->rec[i], &in->err[i]) : capt_store_put(j->out, &in->rec[i]->id, sec, j->meta.n_sections, &j->trouble))
            return -1;
    }
    return 0;
}

/* The time all will take is known once the second batch is through: the first one also pays for memory and packed weights. */
static void tell_time(job *j, int64_t stored)
{
    if (stored == 1)
        j->first = capt_now();
    if (stored != 2 || j->n_batches < 3)
        return;
    char left[32];
    double rate = (double)batch / (capt_now() - j->first);
    size_t n = j->n_todo - 2 * (size_t)batch;
    capt_time_text((double)n / rate, left);
    capt_prog_note(j->p, "%.3g images/s, the other %zu will take about %s", rate, n, left);
}

static void *writer(void *arg)
{
    job *j = arg;
    capt_progress g;
    capt_progress_start(&g, j->p, "images", (int64_t)j->n_todo);
    pthread_mutex_lock(&j->lock);
    for (;;) {
        while (j->written == j->encoded && !j->closing)
            pthread_cond_wait(&j->moved, &j->lock);
        if (j->written == j->encoded)
            break;
        int64_t k = j->written;
        pthread_mutex_unlock(&j->lock);
        int bad = write_part(j, &j->parts[k % j->n_parts]);
        size_t done = (size_t)(k + 1) * (size_t)batch;
        if (!bad) {
            tell_time(j, k + 1);
            capt_progress_at(&g, (int64_t)(done < j->n_todo ? done : j->n_todo), NULL);
        }
        pthread_mutex_lock(&j->lock);
        j->failed = bad;
        j->written += !bad;
        pthread_cond_signal(&j->moved);
        if (bad)
            break;
    }
    pthread_mutex_unlock(&j->lock);
    capt_progress_end(&g);
    return NULL;
}

/* ---- the main thread ---- */

/* Below which number batches may be begun, -1 after an error of the writer; waits for it while batch k may not be. */
static int64_t room(job *j, int64_t k)
{
    pthread_mutex_lock(&j->lock);
    while (j->written + j->n_parts <= k && !j->failed)
        pthread_cond_wait(&j->moved, &j->lock);
    int64_t n = j->failed ? -1 : j->written + j->n_parts;
    pthread_mutex_unlock(&j->lock);
    return n;
}

static int all_batches(job *j)
{
    pthread_t th;
    sigset_t every, old; /* signals are the main thread's */
    sigfillset(&every);
    pthread_sigmask(SIG_SETMASK, &every, &old);
    int rc = pthread_create(&th, NULL, writer, j);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    if (rc)
        return capt_fail(&j->p->err, CAPT_EIO, "the writing thread cannot be started: %s", strerror(rc));
    int64_t k = 0;
    capt_err err = CAPT_ERR_INIT;
    while (k < j->n_batches && !rc && (k == 0 || !capt_prog_stopping())) {
        int64_t upto = room(j, k);
        if (upto < 0)
            break;
        capt_ahead_begin(j->ahead, upto);
        part *b = &j->parts[k++ % j->n_parts];
        b->in = capt_ahead_take(j->ahead);
        rc = encode(j, b, &err);
        if (rc)
            break;
        pthread_mutex_lock(&j->lock);
        j->encoded++;
        pthread_cond_signal(&j->moved);
        pthread_mutex_unlock(&j->lock);
    }
    pthread_mutex_lock(&j->lock);
    j->closing = 1;
    pthread_cond_signal(&j->moved);
    pthread_mutex_unlock(&j->lock);
    pthread_join(th, NULL);
    if (j->failed || rc) { /* what the writer met belongs to earlier records */
        j->p->err = j->failed ? j->trouble : err;
        return -1;
    }
    return j->written < j->n_batches ? capt_prog_stopped(j->p, store) : 0;
}

/* ---- set-up ---- */

static int skip_bad(void *arg, capt_err *err)
{
    return capt_prog_bad(arg, err);
}

static int read_records(job *j)
{
    capt_read_opts o = {.bad = skip_bad, .bad_arg = j->p};
    if (capt_captions_read((const char *const *)j->p->argv, (size_t)j->p->argc, &o, &j->list, &j->p->err))
        return -1;
    return capt_pick_some(j->p, j->list, split, &j->all);
}

static void add_section(job *j, const char *name, int rows, int dim)
{
    capt_store_section *s = &j->meta.section[j->meta.n_sections++];
    snprintf(s->name, sizeof s->name, "%s", name);
    s->dtype = dtypes[dtype];
    s->rows = rows;
    s->dim = dim;
}

static int load_encoder(job *j, capt_params *ps, char hash[33])
{
    capt_prog *p = j->p;
    json_t *over = json_object(), *prep = NULL;
    if (resolution)
        json_object_set_new(over, "resolution", json_integer(resolution));
    if (preprocess >= 0)
        json_object_set_new(over, "preprocess", json_string(preprocess == CAPT_PREP_CLIP ? "clip" : "stretch"));
    j->e = capt_encoder_load_with(weights, over, ps, hash, &prep, &p->err);
    json_decref(over);
    int rc = j->e ? capt_prep_from_json(prep, &j->prep, weights, &p->err) : -1;
    json_decref(prep);
    if (rc || capt_checkpoint_history(weights, j->trained_on, &j->meta.provenance, &p->err))
        return -1;
    preprocess = (int)j->prep.mode; /* what is recorded is what was done, asked for or not */
    resolution = j->prep.size;
    return 0;
}

static void describe(job *j, const capt_session *s, char hash[33])
{
    capt_store_meta *m = &j->meta;
    m->int_ids = j->all.n ? j->list->int_ids : -1;
    m->dtype = dtypes[dtype];
    if (features != GLOBAL)
        add_section(j, "grid", j->e->grid_rows, j->e->grid_dim);
    if (features != GRID)
        add_section(j, "global", 1, j->e->global_dim);
    m->encoder = j->e->type->name;
    m->encoder_hash = hash;
    m->preprocess = capt_prep_json(&j->prep);
    if (exif_rotate)
        json_object_set_new(m->preprocess, "exif_rotate", json_true());
    size_t n;
    m->trained_on = capt_idset_text(j->trained_on, &n);
    char name[64];
    capt_session_device(s, name);
    json_t *entry = capt_prov_entry(j->p->name, name), *past = m->provenance;
    json_object_set_new(entry, "options", capt_prog_options(j->p));
    json_object_set_new(entry, "encoder", json_string(hash));
    m->provenance = capt_prov_append(past, entry);
    json_decref(past);
}

static void pick(job *j, int64_t first, int64_t step)
{
    j->todo = capt_alloc((j->all.n + 1) * sizeof *j->todo);
    for (size_t i = (size_t)first; i < j->all.n; i += (size_t)step)
        if (!capt_store_has(j->out, &j->all.v[i]->id))
            j->todo[j->n_todo++] = j->all.v[i];
}

/* What it will take, before it starts. */
static void estimate(job *j)
{
    capt_section s[2] = {0};
    capt_str what = {0};
    for (int i = 0; i < j->meta.n_sections; i++) {
        const capt_store_section *m = &j->meta.section[i];
        s[i] = (capt_section){.dtype = m->dtype, .rows = m->rows, .dim = m->dim};
        memcpy(s[i].name, m->name, sizeof m->name);
        capt_str_printf(&what, "%s%s %dx%d", i ? " + " : "", m->name, m->rows, m->dim);
    }
    double bytes = (double)j->n_todo * (double)((capt_feature_size(s, j->meta.n_sections, 2048) + 16 + 4095) / 4096 * 4096);
    const char *unit = bytes < 1e9 ? "MB" : "GB";
    capt_prog_note(j->p, "%zu images (%lld stored before), %s %s: about %.3g %s", j->n_todo, (long long)capt_store_count(j->out), what.s,
                   capt_dtype_name(j->meta.dtype), bytes / (bytes < 1e9 ? 1e6 : 1e9), unit);
    capt_str_free(&what);
    struct statvfs v;
    char *path = capt_alloc(strlen(store) + 6);
    sprintf(path, "%s.part", store);
    if (statvfs(path, &v) == 0 && (double)v.f_bavail * (double)v.f_frsize < 2 * bytes)
        capt_prog_warn(j->p, "%s: %.3g GB are free, writing and sorting needs about %.3g GB", store, (double)v.f_bavail * (double)v.f_frsize / 1e9, 2 * bytes / 1e9);
    free(path);
}

/* One batch being encoded, one being stored, one read, and more to read where there are more threads than images in a batch. */
static int buffers(job *j)
{
    capt_err *err = &j->p->err;
    size_t n = (size_t)batch, most = 0, all = 0;
    for (int i = 0; i < j->meta.n_sections; i++) {
        size_t k = (size_t)j->meta.section[i].rows * (size_t)j->meta.section[i].dim;
        most = k > most ? k : most;
        all += k;
        j->bytes[i] = capt_alloc(k * sizeof(float));
    }
    j->single = capt_alloc(most * sizeof *j->single);
    j->n_parts = 3 + capt_pool_size(j->c->be->pool) / batch;
    j->ahead = capt_ahead_new(j->c->be->pool, &j->source, 1, j->todo, j->n_todo, 0, (int)batch, (int)j->n_parts, err);
    if (!j->ahead)
        return -1;
    j->n_batches = capt_ahead_batches(j->ahead);
    if (j->n_parts > j->n_batches)
        j->n_parts = j->n_batches;
    j->parts = capt_alloc((size_t)j->n_parts * sizeof *j->parts);
    for (int64_t i = 0; i < j->n_parts; i++) {
        j->parts[i].real = capt_try_alloc64(n * all * sizeof *j->parts[i].real, err);
        if (!j->parts[i].real)
            return -1;
    }
    return 0;
}

static void free_buffers(job *j)
{
    capt_ahead_free(j->ahead);
    for (int64_t i = 0; j->parts && i < j->n_parts; i++)
        free(j->parts[i].real);
    free(j->parts);
    free(j->single);
    free(j->bytes[0]);
    free(j->bytes[1]);
}

static int log_event(job *j, const char *event)
{
    return capt_prog_log(j->p, json_pack("{s:s, s:I, s:I, s:I, s:s, s:s}", "event", event, "images", (json_int_t)j->n_todo, "stored",
                                         (json_int_t)capt_store_count(j->out), "skipped", (json_int_t)capt_prog_n_bad(j->p), "backend", j->c->be->name,
                                         "isa", j->c->be->isa));
}

static int with_store(job *j, int64_t first, int64_t step)
{
    capt_prog *p = j->p;
    if (resume && capt_store_is_done(store, &j->meta)) {
        capt_prog_note(p, "%s: complete already", store);
        return 0;
    }
    capt_prog_catch();
    j->out = capt_store_create(store, &j->meta, resume, &p->err);
    if (!j->out)
        return -1;
    pick(j, first, step);
    estimate(j);
    int rc = buffers(j) ? -1 : log_event(j, "start");
    if (rc == 0)
        rc = all_batches(j);
    if (rc == 0)
        rc = log_event(j, "end");
    if (rc) {
        capt_store_abandon(j->out);
        return -1;
    }
    int64_t n = capt_store_count(j->out);
    rc = capt_store_finish(j->out, &p->err);
    if (rc == 0)
        capt_prog_note(p, "%s: %lld images", store, (long long)n);
    return rc;
}

static int run(capt_prog *p)
{
    job j = {.p = p, .dir = -1, .trained_on = capt_idset_new()};
    int64_t first = 0, step = 1;
    if (capt_shard_parse(p, shard, &first, &step)) {
        capt_idset_free(j.trained_on);
        return -1;
    }
    pthread_mutex_init(&j.lock, NULL);
    pthread_cond_init(&j.moved, NULL);
    capt_session dev = {0};
    capt_params ps = {0};
    char hash[33];
    int rc = read_records(&j);
    if (rc == 0) {
        j.dir = open(images, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        rc = j.dir < 0 ? capt_fail_errno(&p->err, "%s", images) : 0;
    }
    if (rc == 0)
        rc = capt_session_open(&dev, p, compute);
    if (rc == 0) {
        capt_params_init(&ps, dev.be, dev.compute, 0);
        j.c = capt_ctx_new(dev.be, dev.compute, &p->err);
        rc = j.c ? load_encoder(&j, &ps, hash) : -1;
    }
    if (rc == 0) {
        capt_jpeg_limits limits = {.max_pixels = max_pixels, .exif_rotate = exif_rotate, .tolerate_warnings = tolerate};
        j.source = capt_source_images(j.dir, &j.prep, &limits, NULL);
        describe(&j, &dev, hash);
        rc = with_store(&j, first, step);
    }
    free_buffers(&j);
    capt_source_free(j.source);
    capt_idset_free(j.trained_on);
    json_decref(j.meta.preprocess);
    json_decref(j.meta.provenance);
    capt_encoder_free(j.e);
    capt_params_free(&ps);
    capt_ctx_free(j.c);
    capt_session_close(&dev);
    if (j.dir >= 0)
        close(j.dir);
    capt_captions_free(j.list);
    free(j.all.v);
    free(j.todo);
    pthread_mutex_destroy(&j.lock);
    pthread_cond_destroy(&j.moved);
    return rc;
}

static capt_prog prog = {
    .name = "clip-featurize",
    .synopsis = "[options] --weights FILE --images DIR --store OUT [FILE]",
    .about = "Encodes the images that caption records name and writes their features to a store.",
    .opts = options,
    .groups = CAPT_G_DEVICE | CAPT_G_THREADS | CAPT_G_LOG | CAPT_G_MAXBAD,
    .max_args = -1,
    .run = run,
};
CAPT_MAIN(prog)
