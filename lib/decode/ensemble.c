#include <stdlib.h>
#include <string.h>
#include "base/mem.h"
#include "decode/scorer.h"

typedef struct ensemble {
    capt_scorer **member;
    int n, mode, rows, V;
    double *weight;
    int32_t **map;      /* host (V): the member's id of the first one's id; NULL: the same ids */
    int32_t **d_perm;   /* the same in backend memory */
    capt_backend *be;
    capt_ctx *c;        /* memory of the mixed result */
    const capt_real **logp;
    int32_t *tokens;
    capt_real *weights; /* host: the members' mean attention */
} ensemble;

static int each_start(capt_scorer *s, const capt_input *in, int rows, int max_t, capt_err *err)
{
    ensemble *e = s->self;
    for (int i = 0; i < e->n; i++) {
        e->member[i]->detail = s->detail;
        for (int k = 0; k < in->n_images; k++)
            if (capt_input_tags(&in[i], k) != capt_input_tags(in, k))
                return capt_fail(err, CAPT_EDATA, "model %d reads %d tokens of an image's tags, the first one %d", i + 1, capt_input_tags(&in[i], k), capt_input_tags(in, k));
        if (e->member[i]->start(e->member[i], &in[i], rows, max_t, err))
            return capt_err_prefix(err, "model %d", i + 1);
    }
    free(e->tokens);
    e->tokens = capt_alloc((size_t)rows * sizeof *e->tokens);
    return 0;
}

static int each_rows(capt_scorer *s, const int32_t *parent, int rows, capt_err *err)
{
    ensemble *e = s->self;
    e->rows = rows;
    for (int i = 0; i < e->n; i++)
        if (e->member[i]->rows(e->member[i], parent, rows, err))
            return -1;
    return 0;
}

static int each_step(capt_scorer *s, const int32_t *tokens, capt_err *err)
{
    ensemble *e = s->self;
    for (int i = 0; i < e->n; i++) {
        for (int r = 0; r < e->rows; r++)
            e->tokens[r] = e->map[i] ? e->map[i][tokens[r]] : tokens[r];
        if (e->member[i]->step(e->member[i], e->tokens, err))
            return -1;
    }
    return 0;
}

static int gather_logp(ensemble *e, capt_err *err)
{
    capt_ctx_reset(e->c);
    for (int i = 0; i < e->n; i++) {
        e->logp[i] = e->member[i]->logp(e->member[i], err);
        if (!e->logp[i])
            return -1;
    }
    return 0;
}

static int mixed_topk(capt_scorer *s, int k, const capt_adjust *adj, int n_adj, capt_real *val, int32_t *idx, capt_err *err)
{
    ensemble *e = s->self;
    if (gather_logp(e, err))
        return -1;
    size_t n = (size_t)e->rows * (size_t)k;
    capt_real *dv = capt_ctx_bytes(e->c, n * sizeof *dv);
    int32_t *di = capt_ctx_bytes(e->c, n * sizeof *di);
    if (!capt_ctx_bad(e->c))
        e->be->mix_topk(e->be, dv, di, e->logp, (const int32_t *const *)e->d_perm, e->weight, e->n, e->mode, adj, n_adj, k, e->rows, e->V);
    capt_ctx_download(e->c, val, dv, n * sizeof *val);
    capt_ctx_download(e->c, idx, di, n * sizeof *idx);
    return capt_ctx_check(e->c, err);
}

static int no_sample(capt_scorer *s, const double *u, double temperature, const int32_t *ban, int n_ban, int32_t *token, capt_real *logp, capt_err *err)
{
    return capt_fail(err, CAPT_EUSAGE, "an ensemble searches, it does not sample");
}

static const capt_real *no_logp(capt_scorer *s, capt_err *err)
{
    capt_fail(err, CAPT_EUSAGE, "an ensemble cannot be a member of another");
    return NULL;
}

/* The members' mean, if all look at as many rows: they then read the same grid or the same regions. */
static int mean_attention(capt_scorer *s, const capt_real **weights, int *S, capt_err *err)
{
    ensemble *e = s->self;
    *weights = NULL;
    *S = 0;
    for (int i = 0; i < e->n; i++) {
        const capt_real *w;
        int n;
        if (e->member[i]->attention(e->member[i], &w, &n, err))
            return -1;
        if (n == 0 || (i && n != *S)) {
            *S = 0;
            return 0;
        }
        *S = n;
        size_t all = (size_t)e->rows * (size_t)n;
        e->weights = capt_realloc(e->weights, (all + 1) * sizeof *e->weights);
        for (size_t k = 0; k < all; k++)
            e->weights[k] = (i ? e->weights[k] : 0) + (capt_real)e->weight[i] * w[k];
    }
    *weights = e->weights;
    return 0;
}

static void each_end(capt_scorer *s)
{
    ensemble *e = s->self;
    for (int i = 0; i < e->n; i++)
        e->member[i]->end(e->member[i]);
}

static void ensemble_free(capt_scorer *s)
{
    ensemble *e = s->self;
    for (int i = 0; i < e->n; i++) {
        capt_scorer_free(e->member[i]);
        free(e->map[i]);
        if (e->d_perm[i])
            e->be->free(e->be, e->d_perm[i]);
    }
    capt_ctx_free(e->c);
    free(e->member);
    free(e->map);
    free(e->d_perm);
    free(e->weight);
    free(e->logp);
    free(e->tokens);
    free(e->weights);
    free(e);
    free(s);
}

/* The member's id for each of the first one's: *map stays NULL when they agree. */
static int match_vocab(const capt_vocab *a, const capt_vocab *b, int number, int32_t **map, capt_err *err)
{
    int V = capt_vocab_size(a);
    for (int i = 0; i < capt_vocab_size(b); i++)
        if (capt_vocab_find(a, capt_vocab_token(b, i)) < 0)
            return capt_fail(err, CAPT_EDATA, "model %d has the token \"%s\", which the first one lacks", number, capt_vocab_token(b, i));
    int32_t *m = capt_alloc((size_t)V * sizeof *m);
    int same = 1;
    for (int i = 0; i < V; i++) {
        m[i] = capt_vocab_find(b, capt_vocab_token(a, i));
        if (m[i] < 0) {
            capt_fail(err, CAPT_EDATA, "model %d does not have the token \"%s\" of the first one", number, capt_vocab_token(a, i));
            free(m);
            return -1;
        }
        same &= m[i] == i;
    }
    int ua = capt_vocab_unk(a), ub = capt_vocab_unk(b);
    if (m[capt_vocab_bos(a)] != capt_vocab_bos(b) || m[capt_vocab_eos(a)] != capt_vocab_eos(b) || (ua < 0 ? ub >= 0 : m[ua] != ub)) {
        free(m);
        return capt_fail(err, CAPT_EDATA, "model %d marks begin, end or unknown by other tokens than the first one", number);
    }
    if (same) {
        free(m);
        m = NULL;
    }
    *map = m;
    return 0;
}

capt_scorer *capt_scorer_ensemble_take(capt_scorer **members, int n, const double *weights, int mode, capt_err *err)
{
    ensemble *e = capt_alloc(sizeof *e);
    capt_scorer *s = capt_alloc(sizeof *s);
    *s = (capt_scorer){.vocab = members[0]->vocab, .be = members[0]->be, .max_t = members[0]->max_t, .tag_t = members[0]->tag_t, .n_inputs = n, .start = each_start, .rows = each_rows, .step = each_step, .topk = mixed_topk,
                       .sample = no_sample, .logp = no_logp, .attention = mean_attention, .end = each_end, .free = ensemble_free, .self = e};
    size_t z = (size_t)n;
    e->n = n;
    e->mode = mode;
    e->V = capt_vocab_size(s->vocab);
    e->member = capt_alloc(z * sizeof *e->member);
    memcpy(e->member, members, z * sizeof *e->member);
    e->map = capt_alloc(z * sizeof *e->map);
    e->d_perm = capt_alloc(z * sizeof *e->d_perm);
    e->weight = capt_alloc(z * sizeof *e->weight);
    e->logp = capt_alloc(z * sizeof *e->logp);
    e->be = members[0]->be;
    e->c = capt_ctx_new(e->be, CAPT_F32, err);
    double sum = 0;
    for (int i = 0; i < n; i++)
        sum += weights ? weights[i] : 1;
    int bad = !e->c;
    if (!(sum > 0))
        bad = capt_fail(err, CAPT_EUSAGE, "ensemble weights sum to %g", sum);
    for (int i = 0; i < n && !bad; i++) {
        e->weight[i] = (weights ? weights[i] : 1) / sum;
        if (members[i]->max_t < s->max_t)
            s->max_t = members[i]->max_t;
        if (members[i]->be != e->be)
            bad = capt_fail(err, CAPT_EDATA, "the models of an ensemble are on different devices");
        else if (members[i]->tag_t != s->tag_t)
            bad = capt_fail(err, CAPT_EDATA, "model %d reads %d tokens of tags, the first one %d: the models of an ensemble read the same", i + 1, members[i]->tag_t, s->tag_t);
        else if (match_vocab(s->vocab, members[i]->vocab, i + 1, &e->map[i], err))
            bad = 1;
        else if (e->map[i]) {
            e->d_perm[i] = e->be->alloc(e->be, (size_t)e->V * sizeof(int32_t));
            if (e->d_perm[i])
                e->be->upload(e->be, e->d_perm[i], e->map[i], (size_t)e->V * sizeof(int32_t));
            else
                bad = capt_fail(err, CAPT_ENOMEM, "no memory for the ensemble");
        }
    }
    if (bad) {
        ensemble_free(s);
        return NULL;
    }
    return s;
}
