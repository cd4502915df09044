#include "common/run.h"
#include <errno.h>
#include <libgen.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/file.h"
#include "base/hash.h"
#include "base/mem.h"
#include "base/prov.h"
#include "base/str.h"
#include "model/import.h"

/* Can OUT be made? It need not exist. */
static int check_place(const char *out, capt_err *err)
{
    struct stat st;
    if (!stat(out, &st) && S_ISDIR(st.st_mode)) {
        errno = EISDIR;
        return capt_fail_errno(err, "%s", out);
    }
    char *copy = capt_strdup(out), *dir = dirname(copy);
    int rc = access(dir, W_OK | X_OK) ? capt_fail_errno(err, "%s", dir) : 0;
    free(copy);
    return rc;
}

int capt_run_open(capt_run *r, capt_prog *p, const char *out, int resume, double every, json_t *inputs_take, capt_session *s, capt_model **model)
{
    capt_str part = {0}, best = {0};
    capt_str_printf(&part, "%s.part", out);
    capt_str_printf(&best, "%s.best.part", out);
    *r = (capt_run){.p = p, .out = out, .part = part.s, .best = best.s, .state = {.best = -1, .lr_scale = 1}, .options = capt_prog_options(p), .inputs = inputs_take, .saved_at = capt_now(), .every = every};
    *model = NULL;
    if (check_place(out, &p->err)) /* now, not after hours of training */
        return -1;
    if (!capt_file_exists(r->part))
        return 0;
    if (!resume)
        return capt_fail(&p->err, CAPT_EDATA, "%s is left over from an unfinished run: continue it with --resume, or remove it", r->part);
    json_t *state = NULL;
    *model = capt_checkpoint_load(r->part, s->be, s->compute, &state, &p->err);
    int rc = !*model || !state ? capt_fail(&p->err, CAPT_EDATA, "%s holds no unfinished run", r->part)
                               : capt_run_state_read(state, &r->state, p->name, r->options, r->inputs, r->part, &p->err);
    json_decref(state);
    if (rc)
        return -1;
    capt_prog_note(p, "continuing %s after update %lld", r->part, (long long)r->state.step);
    return capt_prog_log(p, json_pack("{s:s, s:I, s:I}", "event", "resume", "step", (json_int_t)r->state.step, "epoch", (json_int_t)r->state.epoch));
}

int capt_run_save(capt_run *r, capt_model *m, int now)
{
    if (!now && capt_now() - r->saved_at < r->every)
        return 0;
    json_t *state = capt_run_state_json(&r->state, r->p->name, r->options, r->inputs);
    int rc = capt_checkpoint_save(r->part, m, CAPT_SAVE_OPTIMISER, state, &r->p->err);
    json_decref(state);
    r->saved_at = capt_now();
    return rc;
}

/* Writing OUT itself would begin by overwriting OUT.part, which must stay whole until OUT is there: so under a third name first. */
static int publish(capt_run *r, capt_model *m)
{
    struct stat st;
    capt_err *err = &r->p->err;
    if (!strcmp(r->out, "-") || (!stat(r->out, &st) && !S_ISREG(st.st_mode)))
        return capt_checkpoint_save(r->out, m, 0, NULL, err);
    capt_str whole = {0};
    capt_str_printf(&whole, "%s.whole", r->out);
    int rc = capt_checkpoint_save(whole.s, m, 0, NULL, err) || capt_file_publish(whole.s, r->out, err) ? -1 : 0;
    if (rc)
        unlink(whole.s);
    capt_str_free(&whole);
    return rc;
}

int capt_run_finish(capt_run *r, capt_model *m)
{
    if (m->encoder)
        capt_params_hash(&m->params, "encoder.", m->encoder_hash); /* the name its features will have */
    /* what needs memory comes before the last step, so that a run that fails has no OUT */
    json_t *end = json_pack("{s:s, s:I, s:I}", "event", "end", "step", (json_int_t)r->state.step, "epoch", (json_int_t)r->state.epoch);
    capt_str half = {0}; /* of a save that was killed */
    capt_str_printf(&half, "%s.part", r->part);
    int rc = publish(r, m);
    if (rc == 0 && unlink(r->part) && errno != ENOENT)
        rc = capt_fail_errno(&r->p->err, "%s", r->part);
    if (rc == 0) {
        unlink(half.s);
        if (r->best)
            unlink(r->best);
        rc = capt_prog_log(r->p, end);
        end = NULL;
    }
    json_decref(end);
    capt_str_free(&half);
    return rc;
}

int capt_run_judge(capt_run *r, capt_model *m, double figure)
{
    if (!(figure > r->state.best)) {
        r->state.checks_since_best++;
        r->state.checks_since_fall++;
        return 0;
    }
    r->state.best = figure;
    r->state.checks_since_best = r->state.checks_since_fall = 0;
    return capt_checkpoint_save(r->best, m, 0, NULL, &r->p->err) ? -1 : 1;
}

void capt_run_plateau(capt_run *r, int64_t patience, double factor)
{
    if (r->state.checks_since_fall < patience)
        return;
    r->state.lr_scale *= factor;
    r->state.checks_since_fall = 0;
}

int capt_run_best(capt_run *r, capt_model *m)
{
    int n = 0;
    return r->state.best < 0 ? 0 : capt_import_weights(m, r->best, 0, &n, &r->p->err);
}

void capt_run_close(capt_run *r)
{
    json_decref(r->options);
    json_decref(r->inputs);
    free(r->part);
    free(r->best);
    memset(r, 0, sizeof *r);
}

int capt_run_trains(capt_prog *p, capt_model *m, int tune, const char *stages, int recompute, double share)
{
    capt_err *err = &p->err;
    capt_str tuned = {0};
    int rc = capt_params_train(&m->params, "", 1, err) || (!tune && capt_params_train(&m->params, "encoder.", 0, err)) ? -1 : 0;
    if (tune && stages && !rc) {
        rc = capt_encoder_tune(m->encoder, stages, &tuned, err);
        if (!rc)
            capt_prog_note(p, "of the encoder %s learn%s", tuned.s, strchr(tuned.s, ',') ? "" : "s");
        capt_str_free(&tuned);
    }
    if (tune)
        m->encoder->recompute = recompute;
    for (int i = 0; i < m->params.n; i++)
        if (share > 0 && !strncmp(m->params.v[i]->name, "encoder.", 8))
            m->params.v[i]->lr_scale = share;
    return rc;
}

double capt_run_memory(void)
{
    struct rusage use;
    return getrusage(RUSAGE_SELF, &use) ? 0 : 1.024e-3 * (double)use.ru_maxrss;
}

int capt_run_inputs(json_t *inputs, const char *store, const char *init, const char *encoder, capt_err *err)
{
    char hex[33];
    const char *const file[2][2] = {{"init", init}, {"encoder", encoder && strcmp(encoder, "random") ? encoder : NULL}};
    for (int i = 0; i < 2; i++)
        if (file[i][1]) {
            capt_st *st = capt_st_open(file[i][1], err);
            if (!st)
                return -1;
            capt_st_hash(st, hex);
            capt_st_close(st);
            json_object_set_new(inputs, file[i][0], json_string(hex));
        }
    capt_store *s = store ? capt_store_open(store, err) : NULL;
    if (store && !s)
        return -1;
    if (s) {
        const capt_store_meta *m = capt_store_meta_of(s);
        json_object_set_new(inputs, "features", json_sprintf("%lld:%llx", (long long)m->count, (unsigned long long)m->checksum));
        capt_store_close(s);
    }
    return 0;
}

void capt_run_trains_on(capt_model *m, const capt_picked *recs)
{
    capt_str text = {0};
    char key[CAPT_ID_KEY];
    for (size_t i = 0; i < recs->n; i++) {
        size_t n = capt_id_key(&recs->v[i]->id, key);
        capt_str_add(&text, key, n);
        capt_str_putc(&text, '\n');
    }
    capt_idset_merge(m->trained_on, text.s, text.n);
    capt_str_free(&text);
}

int capt_run_stamp(capt_run *r, capt_model *m, const capt_session *s)
{
    char device[64];
    capt_session_device(s, device);
    json_t *entry = capt_prov_entry(r->p->name, device), *start = json_deep_copy(entry);
    json_object_set(entry, "options", r->options);
    json_object_set(entry, "inputs", r->inputs);
    json_object_update(start, entry);
    json_object_set_new(start, "event", json_string("start"));
    json_t *chain = capt_prov_append(m->provenance, entry);
    json_decref(m->provenance);
    m->provenance = chain;
    json_decref(m->options);
    m->options = json_incref(r->options);
    return capt_prog_log(r->p, start);
}

int capt_run_after_update(capt_run *r, capt_model *m)
{
    int stop = capt_prog_stopping();
    if (capt_run_save(r, m, stop))
        return -1;
    return stop ? capt_prog_stopped(r->p, r->out) : 0;
}

int capt_run_checked(capt_run *r, capt_model *m, int rc)
{
    if (!rc || r->p->err.code != CAPT_ESTOP)
        return rc;
    r->p->err = (capt_err)CAPT_ERR_INIT;
    return capt_run_after_update(r, m);
}
