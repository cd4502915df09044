/* An encoder with everything around it, for the tests of encoders. */
#ifndef CAPT_TESTS_ENCODER_RIG_H
#define CAPT_TESTS_ENCODER_RIG_H
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/bf16.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/rng.h"
#include "model/checkpoint.h"
#include "model/import.h"
#include "op/op.h"

typedef struct rig {
    capt_backend *be;
    capt_params ps;
    capt_ctx *c;
    capt_encoder *e;
    char hash[33];
    capt_err err;
} rig;

static inline void rig_open_for(rig *r, const char *backend, capt_dtype compute)
{
    memset(r, 0, sizeof *r);
    r->be = capt_backend_open(backend, NULL, &r->err);
    if (!r->be)
        fail_msg("%s", r->err.text);
    capt_params_init(&r->ps, r->be, compute, 3);
    r->c = capt_ctx_new(r->be, compute, &r->err);
}

static inline void rig_open(rig *r, const char *backend)
{
    rig_open_for(r, backend, CAPT_F32);
}

static inline void rig_new(rig *r, const char *backend, const char *config)
{
    rig_open(r, backend);
    json_t *o = json_loads(config, 0, NULL);
    r->e = capt_encoder_new(o, &r->ps, &r->err);
    json_decref(o);
}

static inline void rig_load_on(rig *r, const char *backend, const char *path, const char *over)
{
    rig_open(r, backend);
    json_t *o = json_loads(over, 0, NULL);
    r->e = capt_encoder_load_with(path, o, &r->ps, r->hash, NULL, &r->err);
    json_decref(o);
}

static inline void rig_load(rig *r, const char *path, const char *over)
{
    rig_load_on(r, "ref", path, over);
}

static inline void rig_ok(const rig *r)
{
    if (!r->e || r->err.code)
        fail_msg("%s", r->err.text);
}

static inline void rig_close(rig *r)
{
    capt_encoder_free(r->e);
    capt_ctx_free(r->c);
    capt_params_free(&r->ps);
    capt_backend_close(r->be);
}

/* Batch of the goldens' formula; first shifts it. */
static inline capt_encoded encode(rig *r, int64_t I, uint32_t first)
{
    int64_t R = r->e->size, n = I * R * R * 3;
    uint8_t *u8 = malloc((size_t)n);
    for (uint32_t i = 0; i < n; i++)
        u8[i] = (uint8_t)((i + first) * 2654435761u >> 13);
    capt_encoded out;
    capt_tensor *t = capt_ctx_upload(r->c, CAPT_U8, 4, (const int64_t[]){I, R, R, 3}, u8);
    capt_encode(r->c, r->e, t, &out);
    free(u8);
    if (capt_ctx_check(r->c, &r->err))
        fail_msg("%s", r->err.text);
    return out;
}

static inline capt_real *host_of(rig *r, const void *data, int64_t n)
{
    capt_real *x = malloc((size_t)n * sizeof *x);
    if (capt_ctx_download(r->c, x, data, (size_t)n * sizeof *x))
        fail_msg("download");
    return x;
}

static inline capt_real *values(rig *r, const capt_tensor *t)
{
    return host_of(r, t->data, capt_tensor_numel(t));
}

static inline capt_st *open_golden(const char *path)
{
    capt_err err = CAPT_ERR_INIT;
    capt_st *st = capt_st_open(path, &err);
    if (!st)
        fail_msg("%s", err.text);
    return st;
}

#endif
