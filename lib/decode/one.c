#include <stdlib.h>
#include "base/mem.h"
#include "decode/scorer.h"

typedef struct one {
    capt_model *m;
    capt_encoder *encoder;
    capt_ctx *c;
    capt_state *state;
    capt_tensor *hidden; /* (rows,D) of the last step */
    capt_real *weights;  /* host copy of its attention */
} one;

static int one_start(capt_scorer *s, const capt_input *in, int rows, int max_t, capt_err *err)
{
    one *o = s->self;
    s->end(s);
    if (capt_input_most_tags(in) > s->tag_t)
        return capt_fail(err, CAPT_EDATA, "an image has %d tokens of tags, the model reads %d", capt_input_most_tags(in), s->tag_t);
    capt_feat f = {NULL, NULL};
    capt_ctx_reset(o->c);
    if (in->feat) {
        f.x = capt_ctx_upload(o->c, CAPT_F32, CAPT_DIMS(in->n_images, in->S, in->D), in->feat);
        f.len = in->len;
    } else {
        if (!o->encoder)
            return capt_fail(err, CAPT_EDATA, "the model was given images but has no encoder");
        f.x = capt_encode_for(o->c, o->encoder, o->m, in->pixels, in->n_images, in->px);
    }
    if (!capt_ctx_bad(o->c))
        o->state = o->m->type->prefill(o->c, o->m, &f, rows, max_t);
    if (o->state)
        o->state->show = (s->detail & CAPT_DETAIL_ATTENTION) != 0;
    return capt_ctx_check(o->c, err);
}

static int one_rows(capt_scorer *s, const int32_t *parent, int rows, capt_err *err)
{
    one *o = s->self;
    capt_state_rows(o->state, parent, rows);
    return capt_ctx_check(o->c, err);
}

static int one_step(capt_scorer *s, const int32_t *tokens, capt_err *err)
{
    one *o = s->self;
    capt_ctx_reset(o->c);
    o->hidden = o->m->type->step(o->c, o->m, o->state, tokens);
    return capt_ctx_check(o->c, err);
}

static int one_topk(capt_scorer *s, int k, const capt_adjust *adj, int n_adj, capt_real *val, int32_t *idx, capt_err *err)
{
    one *o = s->self;
    capt_ctx *c = o->c;
    capt_tensor *w = o->m->head_w, *b = o->m->head_b;
    int64_t R = o->state->rows;
    size_t n = (size_t)R * (size_t)k;
    capt_real *dv = capt_ctx_bytes(c, n * sizeof *dv);
    int32_t *di = capt_ctx_bytes(c, n * sizeof *di);
    if (!capt_ctx_bad(c))
        c->be->head_topk(c->be, dv, di, o->hidden->data, w->data, w->wp, b ? b->data : NULL, adj, n_adj, k, R, (int)w->dim[0], (int)w->dim[1], c->compute);
    capt_ctx_download(c, val, dv, n * sizeof *val);
    capt_ctx_download(c, idx, di, n * sizeof *idx);
    return capt_ctx_check(c, err);
}

static int one_sample(capt_scorer *s, const double *u, double temperature, const int32_t *ban, int n_ban, int32_t *token, capt_real *logp, capt_err *err)
{
    one *o = s->self;
    capt_ctx *c = o->c;
    capt_tensor *w = o->m->head_w, *b = o->m->head_b;
    size_t R = (size_t)o->state->rows;
    capt_real *dl = capt_ctx_bytes(c, R * sizeof *dl);
    int32_t *dt = capt_ctx_bytes(c, R * sizeof *dt);
    if (!capt_ctx_bad(c))
        c->be->head_sample(c->be, dt, dl, o->hidden->data, w->data, w->wp, b ? b->data : NULL, u, temperature, ban, n_ban, (int64_t)R, (int)w->dim[0], (int)w->dim[1],
                           c->compute);
    capt_ctx_download(c, token, dt, R * sizeof *token);
    capt_ctx_download(c, logp, dl, R * sizeof *logp);
    return capt_ctx_check(c, err);
}

static const capt_real *one_logp(capt_scorer *s, capt_err *err)
{
    one *o = s->self;
    capt_ctx *c = o->c;
    capt_tensor *w = o->m->head_w, *b = o->m->head_b;
    capt_tensor *y = capt_ctx_real(c, o->state->rows, w->dim[0]);
    if (!capt_ctx_bad(c))
        c->be->head_logits(c->be, y->data, o->hidden->data, w->data, w->wp, b ? b->data : NULL, o->state->rows, (int)w->dim[0], (int)w->dim[1], c->compute);
    return capt_ctx_check(c, err) ? NULL : y->data;
}

static int one_attention(capt_scorer *s, const capt_real **weights, int *S, capt_err *err)
{
    one *o = s->self;
    const capt_tensor *a = o->state->attention;
    size_t n = a ? (size_t)capt_tensor_numel(a) : 0;
    *S = a ? (int)a->dim[1] : 0;
    o->weights = capt_realloc(o->weights, (n + 1) * sizeof *o->weights);
    *weights = o->weights;
    if (a)
        capt_ctx_download(o->c, o->weights, a->data, n * sizeof *o->weights);
    return capt_ctx_check(o->c, err);
}

static void one_end(capt_scorer *s)
{
    one *o = s->self;
    capt_state_free(o->state);
    o->state = NULL;
    o->hidden = NULL;
}

static void one_free(capt_scorer *s)
{
    one *o = s->self;
    one_end(s);
    capt_ctx_free(o->c);
    free(o->weights);
    free(o);
    free(s);
}

capt_scorer *capt_scorer_model(capt_model *m, capt_encoder *encoder, capt_err *err)
{
    one *o = capt_alloc(sizeof *o);
    capt_scorer *s = capt_alloc(sizeof *s);
    *s = (capt_scorer){.vocab = m->vocab, .be = m->params.be, .max_t = m->max_t, .tag_t = m->tag_t, .n_inputs = 1, .start = one_start, .rows = one_rows, .step = one_step, .topk = one_topk, .sample = one_sample,
                       .logp = one_logp, .attention = one_attention, .end = one_end, .free = one_free, .self = o};
    o->m = m;
    o->encoder = encoder ? encoder : m->encoder;
    o->c = capt_ctx_new(m->params.be, m->params.compute, err);
    if (!o->c) {
        free(o);
        free(s);
        return NULL;
    }
    return s;
}

void capt_scorer_free(capt_scorer *s)
{
    if (s)
        s->free(s);
}

void capt_found_free(capt_found *f, int n)
{
    for (int i = 0; i < n; i++) {
        free(f[i].ids);
        free(f[i].word);
        free(f[i].attention);
        f[i] = (capt_found){0};
    }
}
