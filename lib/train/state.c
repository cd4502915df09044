#include "train/state.h"
#include <stdlib.h>
#include <string.h>
#include "base/json.h"

json_t *capt_run_state_json(const capt_run_state *s, const char *program, const json_t *options, const json_t *inputs)
{
    return json_pack("{s:s, s:O, s:O, s:I, s:I, s:I, s:I, s:f, s:I, s:f, s:I}", "program", program, "options", (json_t *)options, "inputs", (json_t *)inputs, "epoch", (json_int_t)s->epoch,
                     "index", (json_int_t)s->index, "step", (json_int_t)s->step, "adam_t", (json_int_t)s->adam_t, "best", s->best, "checks_since_best",
                     (json_int_t)s->checks_since_best, "lr_scale", s->lr_scale, "checks_since_fall", (json_int_t)s->checks_since_fall);
}

/* The first key whose values differ. */
static int same(const json_t *was, const json_t *is, const char *path, const char *what, capt_err *err)
{
    const char *key;
    json_t *v;
    json_object_foreach((json_t *)is, key, v)
        if (!json_equal(v, json_object_get(was, key))) {
            char *a = json_dumps(json_object_get(was, key), JSON_ENCODE_ANY | JSON_COMPACT), *b = json_dumps(v, JSON_ENCODE_ANY | JSON_COMPACT);
            int rc = capt_fail(err, CAPT_EDATA, "%s was started with %s %s = %s, now it is %s", path, what, key, a ? a : "none", b ? b : "none");
            free(a);
            free(b);
            return rc;
        }
    json_object_foreach((json_t *)was, key, v)
        if (!json_object_get(is, key))
            return capt_fail(err, CAPT_EDATA, "%s was started with %s %s, now without", path, what, key);
    return 0;
}

int capt_run_state_read(const json_t *j, capt_run_state *s, const char *program, const json_t *options, const json_t *inputs, const char *path, capt_err *err)
{
    const char *name;
    if (capt_json_str(j, "program", &name, path, err))
        return -1;
    if (strcmp(name, program))
        return capt_fail(err, CAPT_EDATA, "%s was started by %s, not %s", path, name, program);
    if (same(json_object_get(j, "options"), options, path, "option", err) || same(json_object_get(j, "inputs"), inputs, path, "input", err))
        return -1;
    if (capt_json_int(j, "epoch", &s->epoch, path, err) || capt_json_int(j, "index", &s->index, path, err) || capt_json_int(j, "step", &s->step, path, err) ||
        capt_json_int(j, "adam_t", &s->adam_t, path, err) || capt_json_num(j, "best", &s->best, path, err) ||
        capt_json_int(j, "checks_since_best", &s->checks_since_best, path, err) || capt_json_num(j, "lr_scale", &s->lr_scale, path, err) ||
        capt_json_int(j, "checks_since_fall", &s->checks_since_fall, path, err))
        return -1;
    const int64_t cursor[] = {s->epoch, s->index, s->step, s->adam_t, s->checks_since_best, s->checks_since_fall};
    for (size_t i = 0; i < sizeof cursor / sizeof *cursor; i++)
        if (cursor[i] < 0 || cursor[i] > INT64_MAX >> 24) /* products with an epoch's batches stay in range */
            return capt_fail(err, CAPT_EDATA, "%s: its cursor is damaged (epoch %lld, batch %lld, update %lld)", path, (long long)s->epoch, (long long)s->index, (long long)s->step);
    return 0;
}
