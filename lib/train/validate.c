#include "train/validate.h"
#include <stdlib.h>
#include "base/arena.h"
#include "base/mem.h"
#include "metric/metric.h"
#include "text/ptb.h"

int capt_validate_loss(capt_ctx *c, capt_model *m, capt_encoder *encoder, const capt_dataset *d, int batch, int (*stop)(void), double *loss, capt_err *err)
{
    capt_batch b = {0};
    int64_t n = capt_dataset_batches(d, batch), words = 0;
    double sum = 0;
    int rc = 0, training = c->training;
    c->training = 0;
    for (int64_t i = 0; i < n && !rc; i++) {
        double one = 0;
        if (stop && stop()) {
            rc = capt_fail(err, CAPT_ESTOP, "stopped after %lld of %lld validation batches", (long long)i, (long long)n);
            break;
        }
        rc = capt_dataset_batch(d, batch, 0, i, 0, &b, err);
        capt_rows rows = {b.R, b.T, b.row_image, b.tokens, b.targets, b.weights, 0, 0, 0};
        rc = rc || capt_xe_pass(c, m, encoder, &b.image.in, &rows, 1, 0, 0, &one, err);
        sum += one;
        words += b.n_words;
    }
    c->training = training;
    capt_batch_free(&b);
    *loss = words ? sum / (double)words : 0;
    return rc ? -1 : 0;
}

int capt_validate_cider(capt_scorer *s, capt_source *source, const capt_caption *const *recs, size_t n, int batch, int beam, int (*stop)(void), double *cider, char **sample, capt_err *err)
{
    capt_arena *a = capt_arena_new(0);
    const char **refs = NULL, **hyps = capt_alloc((n + 1) * sizeof *hyps), **hyp_lines = NULL, **ref_lines = NULL;
    size_t *at = capt_alloc((n + 1) * sizeof *at), total = 0;
    capt_loaded in = {0};
    capt_found *found = capt_alloc((size_t)batch * sizeof *found);
    capt_str text = {0};
    int rc = -1;
    for (size_t i = 0; i < n; i++)
        total += (size_t)recs[i]->n_captions;
    refs = capt_alloc((total + 1) * sizeof *refs);
    total = 0;
    for (size_t i = 0; i < n; i++) {
        at[i] = total;
        for (int k = 0; k < recs[i]->n_captions; k++)
            refs[total++] = recs[i]->captions[k];
    }
    at[n] = total;
    capt_beam_opts o = {.beam = beam, .nbest = 1};
    for (size_t i = 0; i < n; i += (size_t)batch) {
        int k = n - i < (size_t)batch ? (int)(n - i) : batch;
        if (stop && stop()) {
            capt_fail(err, CAPT_ESTOP, "stopped after %zu of %zu validation images", i, n);
            goto end;
        }
        if (capt_source_load(source, recs + i, k, NULL, &in, err) || capt_beam_run(s, &in.in, &o, found, err))
            goto end;
        for (int j = 0; j < k; j++) {
            capt_str_clear(&text);
            capt_vocab_decode(s->vocab, found[j].ids, found[j].n, &text);
            hyps[i + (size_t)j] = capt_arena_strndup(a, text.s ? text.s : "", text.n);
        }
        capt_found_free(found, k);
    }
    if (capt_ptb_lines(refs, total, a, &ref_lines, NULL, err) || capt_ptb_lines(hyps, n, a, &hyp_lines, NULL, err))
        goto end;
    capt_metric_in mi = {.n = n, .hyps = hyp_lines, .refs = ref_lines, .ref_at = at};
    capt_metric_out out = {0};
    const capt_metric *m = capt_metric_find("cider");
    if (m->fn(&mi, &out, err))
        goto end;
    *cider = out.score[0].value;
    capt_metric_out_free(&out);
    if (sample)
        *sample = capt_strdup(n ? hyps[0] : "");
    rc = 0;
end:
    capt_str_free(&text);
    capt_loaded_free(&in);
    free(found);
    free(refs);
    free(hyps);
    free(at);
    capt_arena_free(a);
    return rc;
}
