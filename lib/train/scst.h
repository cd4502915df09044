/* Self-critical sequence training (Rennie et al. 2017) with the leave-one-out baseline (Luo 2020, arXiv 2003.09971): n samples an image, reward CIDEr-D against the
 * image's references, of captions that may have the unknown word, advantage A_i = r_i - mean of the other samples' rewards; the gradient is that of -(sum over samples and words, EOS included, of A log p) / words. */
#ifndef CAPT_TRAIN_SCST_H
#define CAPT_TRAIN_SCST_H
#include "decode/scorer.h"
#include "train/xe.h"

typedef enum capt_baseline { CAPT_BASELINE_LOO, CAPT_BASELINE_GREEDY, CAPT_BASELINE_BEAM_MEAN } capt_baseline;
#define CAPT_BASELINE_NAMES "loo|greedy|beam-mean"

/* A caption to be rewarded. image: index into the batch; ended: it was not cut. */
typedef struct capt_rated { int image, ended; const char *caption; } capt_rated;
/* Rewards (n) of all captions of an update; NaN: one that cannot be told, which is an error. 0, or -1 and err. Called from one thread. */
typedef int capt_reward_fn(void *arg, const capt_rated *c, int n, double *reward, capt_err *err);

/* fixed_steps: the loss is divided by captions x the most steps there are, as the meshed-memory transformer's code does, not by the words. */

typedef struct capt_scst_opts { int samples, max_t; capt_baseline baseline; double temperature; uint64_t seed; int fixed_steps; } capt_scst_opts;
typedef struct capt_scst_stats {
    double reward, baseline, advantage_sd, length, eos_rate, loss;
    int64_t words;
} capt_scst_stats;
/* Samples (tape off, no dropout; beam-mean: the `samples` best captions of a beam that wide, and their mean reward as the baseline), rewards, then one teacher-forced pass that adds the gradient. n_ids: 64-bit hash of each image's id. step: number of the update. */
int capt_scst_pass(capt_ctx *c, capt_model *m, capt_encoder *encoder, capt_scorer *s, const capt_input *in, const uint64_t *id_hash, int64_t step, const capt_scst_opts *o,
                   capt_reward_fn *reward, void *arg, capt_scst_stats *st, capt_err *err);
/* Advantages of n samples of one image by leave-one-out; n 1: the reward itself. */
void capt_advantage_loo(const double *reward, int n, double *a);
#endif
