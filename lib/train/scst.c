#include "train/scst.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "base/mem.h"
#include "base/str.h"

/* Of captions found by a beam: n rewards less their mean. */
static void advantage_mean(const double *reward, int n, double *a)
{
    double sum = 0;
    for (int i = 0; i < n; i++)
        sum += reward[i];
    for (int i = 0; i < n; i++)
        a[i] = reward[i] - sum / n;
}

void capt_advantage_loo(const double *reward, int n, double *a)
{
    double sum = 0;
    for (int i = 0; i < n; i++)
        sum += reward[i];
    for (int i = 0; i < n; i++)
        a[i] = n > 1 ? reward[i] - (sum - reward[i]) / (n - 1) : reward[i];
}

/* Its words; padding and BOS, which a text does not show, as the unknown word: nobody else says them either, and they must not come free. */
static char *text_of(const capt_vocab *v, const capt_found *f)
{
    capt_str text = {0};
    int32_t *ids = capt_alloc(((size_t)f->n + 1) * sizeof *ids), unk = capt_vocab_unk(v);
    for (int t = 0; t < f->n; t++)
        ids[t] = unk >= 0 && (f->ids[t] == capt_vocab_pad(v) || f->ids[t] == capt_vocab_bos(v)) ? unk : f->ids[t];
    capt_vocab_decode(v, ids, f->n, &text);
    free(ids);
    return text.s ? text.s : capt_strdup("");
}

/* Rewards of the captions there are among n, `each` of an image */
static int rate(const capt_vocab *v, const capt_found *f, int n, int each, capt_reward_fn *reward, void *arg, double *r, capt_err *err)
{
    capt_rated *c = capt_alloc(((size_t)n + 1) * sizeof *c);
    double *got = capt_alloc(((size_t)n + 1) * sizeof *got);
    int m = 0, rc = 0, k = 0;
    for (int i = 0; i < n; i++)
        if (f[i].ids)
            c[m++] = (capt_rated){i / each, f[i].ended, text_of(v, &f[i])};
    rc = reward(arg, c, m, got, err);
    for (int i = 0; i < m && !rc; i++)
        if (isnan(got[i]))
            rc = capt_fail(err, CAPT_EDATA, "the reward of \"%s\" cannot be told", c[i].caption);
    for (int i = 0; i < n && !rc; i++)
        if (f[i].ids)
            r[i] = got[k++];
    for (int i = 0; i < m; i++)
        free((char *)c[i].caption);
    free(c);
    free(got);
    return rc ? -1 : 0;
}

int capt_scst_pass(capt_ctx *c, capt_model *m, capt_encoder *encoder, capt_scorer *s, const capt_input *in, const uint64_t *id_hash, int64_t step, const capt_scst_opts *o,
                   capt_reward_fn *reward, void *arg, capt_scst_stats *st, capt_err *err)
{
    int I = in->n_images, n = o->samples, R = I * n, rc = -1;
    size_t rows = (size_t)R;
    memset(st, 0, sizeof *st);
    capt_found *found = capt_alloc(rows * sizeof *found), *greedy = capt_alloc((size_t)I * sizeof *greedy);
    double *r = capt_alloc(rows * sizeof *r), *a = capt_alloc(rows * sizeof *a), *base = capt_alloc((size_t)I * sizeof *base);
    int32_t *row_image = capt_alloc(rows * sizeof *row_image), *tokens = NULL, *targets = NULL;
    capt_real *weights = NULL;
    uint64_t seed = o->seed * 0x9e3779b97f4a7c15u + (uint64_t)step;
    /* Padding, BOS and the unknown word too: where samples never have a word, its probability, which the gradient knows, is held by nothing. Adam makes steps of full
     * size of the smallest gradient, so the word wanders until it has most of the probability. */
    capt_beam_opts beam = {.beam = n, .nbest = n, .max_t = o->max_t, .allow_all = 1};
    capt_sample_opts draws = {.n = n, .temperature = o->temperature, .max_t = o->max_t, .allow_all = 1, .seed = seed};
    int mean = o->baseline == CAPT_BASELINE_BEAM_MEAN;
    if (mean ? capt_beam_run(s, in, &beam, found, err) : capt_sample_run(s, in, &draws, id_hash, found, err))
        goto end;
    if (rate(m->vocab, found, R, n, reward, arg, r, err))
        goto end;
    if (o->baseline == CAPT_BASELINE_GREEDY) {
        capt_beam_opts b = {.beam = 1, .nbest = 1, .max_t = o->max_t};
        if (capt_beam_run(s, in, &b, greedy, err) || rate(m->vocab, greedy, I, 1, reward, arg, base, err))
            goto end;
    }
    int T = 1, total = 0;
    for (int i = 0; i < I; i++) {
        int there = 0; /* a beam may find fewer: they are the last */
        for (int k = 0; k < n && found[i * n + k].ids; k++, there++) {
            capt_found *f = &found[i * n + k];
            int len = capt_input_tags(in, i) + f->n + f->ended;
            T = len > T ? len : T;
            st->words += f->n + f->ended;
            st->eos_rate += f->ended;
            st->reward += r[i * n + k];
        }
        total += there;
        if (mean)
            advantage_mean(r + i * n, there, a + i * n);
        else
            capt_advantage_loo(r + i * n, there, a + i * n);
        for (int k = 0; k < n && o->baseline == CAPT_BASELINE_GREEDY; k++)
            a[i * n + k] = r[i * n + k] - base[i];
    }
    size_t cells = rows * (size_t)T;
    tokens = capt_alloc(cells * sizeof *tokens);
    targets = capt_alloc(cells * sizeof *targets);
    weights = capt_alloc(cells * sizeof *weights);
    double a_sum = 0, a_sq = 0;
    for (int q = 0; q < R; q++) {
        const capt_found *f = &found[q];
        int m_words = f->n, len = f->n + f->ended, tags = capt_input_tags(in, q / n);
        row_image[q] = q / n;
        a_sum += a[q];
        a_sq += a[q] * a[q];
        for (int t = -tags; t < T - tags; t++) { /* the tags are read, too, but carry no loss */
            size_t k = (size_t)q * (size_t)T + (size_t)(tags + t);
            tokens[k] = t < 0 ? in->tags[in->tag_at[q / n] + tags + t] : t == 0 ? capt_vocab_bos(m->vocab) : t <= m_words ? f->ids[t - 1] : capt_vocab_pad(m->vocab);
            targets[k] = t >= 0 && t < m_words ? f->ids[t] : capt_vocab_eos(m->vocab);
            weights[k] = t >= 0 && t < len ? (capt_real)a[q] : 0;
        }
    }
    double all = total ? total : 1;
    st->reward /= all;
    st->eos_rate /= all;
    st->length = (double)st->words / all;
    st->baseline = st->reward - a_sum / all;
    st->advantage_sd = sqrt(fmax(0, a_sq / all - (a_sum / all) * (a_sum / all)));
    double norm = o->fixed_steps ? (double)total * (o->max_t ? o->max_t : m->max_t) : (double)st->words;
    capt_rows b = {R, T, row_image, tokens, targets, weights, 0, 0, 0};
    rc = capt_xe_pass(c, m, encoder, in, &b, norm > 0 ? norm : 1, 0, 1, &st->loss, err);
end:
    capt_found_free(found, R);
    capt_found_free(greedy, I);
    free(found);
    free(greedy);
    free(r);
    free(a);
    free(base);
    free(row_image);
    free(tokens);
    free(targets);
    free(weights);
    return rc;
}
