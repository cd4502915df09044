/* The price of CIDEr-D as a reward, by the calls that capt-scst makes: reward REFS HYPOTHESES
 * Each image gets five captions, its own and those of the next four images; one thread, processor time, medians of 9 rounds
 * over all images. Printed: a hypothesis scored, its tokens read before that, an image's references prepared, and the
 * document frequencies counted. */
#include <stdio.h>
#include "base/mem.h"
#include "metric/metric.h"
#include "record/any.h"
#include "record/join.h"
#include "tests/bench/measure.h"
#include "text/ptb.h"

enum { SAMPLES = 5, ROUNDS = 9 };

typedef struct set {
    size_t n;
    const char **hyp, **line, **ref;
    size_t *at;
    capt_df *df;
    capt_cider_refs **refs;
    capt_cider_scratch *scratch;
} set;

static int read_set(set *s, const char *refs_path, const char *hyps_path, capt_arena *a, capt_err *err)
{
    capt_captions *refs; /* lists and join live as long as the process */
    capt_hyps *hyps;
    capt_splits all = {.n = 0};
    capt_join j;
    if (capt_captions_read_any(refs_path, &refs, err) || capt_hyps_read_any(hyps_path, 0, NULL, &hyps, err) ||
        capt_join_make(&j, refs, refs_path, hyps, hyps_path, &all, 0, a, err))
        return -1;
    s->n = j.n;
    s->hyp = capt_arena_alloc(a, j.n * sizeof *s->hyp);
    s->at = capt_arena_alloc(a, (j.n + 1) * sizeof *s->at);
    const char **text = capt_arena_alloc(a, j.n_refs * sizeof *text);
    s->at[0] = 0;
    for (size_t i = 0; i < j.n; i++) {
        s->hyp[i] = j.hyp[i]->caption;
        s->at[i + 1] = s->at[i];
        for (int k = 0; k < j.image[i]->n_captions; k++)
            text[s->at[i + 1]++] = j.image[i]->captions[k];
    }
    s->refs = capt_arena_alloc(a, j.n * sizeof *s->refs);
    s->scratch = capt_cider_scratch_new();
    return capt_ptb_lines(text, j.n_refs, a, &s->ref, NULL, err) || capt_ptb_lines(s->hyp, j.n, a, &s->line, NULL, err) ? -1 : 0;
}

enum { COUNT, PREPARE, READ, SCORE, PARTS };
static void round_of(set *s, double t[PARTS], double *sum)
{
    capt_str words = {0};
    double t0 = now();
    capt_df_free(s->df);
    s->df = capt_df_new(s->ref, s->at, s->n, 1, CAPT_PTB_ID, NULL, NULL, NULL);
    t[COUNT] = now() - t0;
    t0 = now();
    for (size_t i = 0; i < s->n; i++) {
        capt_cider_refs_free(s->refs[i]);
        s->refs[i] = capt_cider_refs_new(s->df, s->ref + s->at[i], s->at[i + 1] - s->at[i]);
    }
    t[PREPARE] = now() - t0;
    t0 = now();
    for (size_t i = 0; i < SAMPLES * s->n; i++) {
        capt_str_clear(&words);
        capt_ptb_words(s->hyp[i % s->n], strlen(s->hyp[i % s->n]), &words, NULL);
    }
    t[READ] = now() - t0;
    t0 = now();
    for (size_t i = 0; i < s->n; i++)
        for (size_t k = 0; k < SAMPLES; k++)
            *sum += capt_cider_score_end(s->df, s->refs[i], s->line[(i + k) % s->n], 1, s->scratch);
    t[SCORE] = now() - t0;
    capt_str_free(&words);
}

int main(int argc, char **argv)
{
    capt_err err = CAPT_ERR_INIT;
    capt_arena *a = capt_arena_new(1 << 20);
    set s = {0};
    double t[PARTS][ROUNDS], sum = 0;
    if (argc != 3) {
        fprintf(stderr, "usage: reward REFS HYPOTHESES\n");
        return 2;
    }
    if (read_set(&s, argv[1], argv[2], a, &err)) {
        fprintf(stderr, "reward: %s\n", err.text);
        return 1;
    }
    for (int r = 0; r < ROUNDS; r++) {
        double one[PARTS];
        round_of(&s, one, &sum);
        for (int p = 0; p < PARTS; p++)
            t[p][r] = one[p];
    }
    for (int p = 0; p < PARTS; p++)
        qsort(t[p], ROUNDS, sizeof **t, cmp);
    double n = (double)s.n;
    enum { MID = ROUNDS / 2 };
    printf("reward, %zu images, %.1f references: %.2f us a hypothesis; its tokens %.2f us; an image's references %.2f us; "
           "document frequencies %.1f ms (mean %.3f)\n",
           s.n, (double)s.at[s.n] / n, 1e6 * t[SCORE][MID] / n / SAMPLES, 1e6 * t[READ][MID] / n / SAMPLES,
           1e6 * t[PREPARE][MID] / n, 1e3 * t[COUNT][MID], sum / n / SAMPLES / ROUNDS);
    return 0;
}
