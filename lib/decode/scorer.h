/* A scorer scores next words for rows of unfinished captions. A model is one (one.c), an ensemble of scorers is one (ensemble.c); beam search and
 * sampling know nothing else. Call order: start, then rows/step/topk-or-sample over and over, end. One thread.
 *
 * Tags: what the search feeds first to the rows of an image are the ids of its tags (capt_input), then BOS, then words. All rows step together, so an image whose
 * tags are fewer is at its words while another still reads tags; the words of an image are counted from its own BOS, and nothing found for it depends on the others. */
#ifndef CAPT_DECODE_SCORER_H
#define CAPT_DECODE_SCORER_H
#include "decode/constrain.h"
#include "model/model.h"
#include "tensor/input.h"

typedef struct capt_scorer capt_scorer;
struct capt_scorer {
    const capt_vocab *vocab; /* borrowed: ids in and out are this one's */
    capt_backend *be;        /* borrowed */
    int max_t;               /* the most words, BOS included */
    int tag_t;               /* the most tokens of an image's tags; more is an error of start */
    int n_inputs;            /* members: how many capt_input start takes */
    int detail;              /* set before start: the CAPT_DETAIL_* that the caller will ask for */
    /* Room for up to `rows` rows and max_t steps, tags included, over in[0..n_inputs-1] (the same images with as many tags). */
    int (*start)(capt_scorer *s, const capt_input *in, int rows, int max_t, capt_err *err);
    /* Rows become parent[r] of the rows before; before the first step parent[r] is the row's image. */
    int (*rows)(capt_scorer *s, const int32_t *parent, int rows, capt_err *err);
    int (*step)(capt_scorer *s, const int32_t *tokens, capt_err *err); /* tokens (rows) */
    /* After a step. idx: host (rows,k), the k words of each row that rank first by log-probability plus adjustment, falling; ties: lower id first. val (rows,k): their
     * log-probabilities as they are, -INFINITY where that was added. */
    int (*topk)(capt_scorer *s, int k, const capt_adjust *adj, int n_adj, capt_real *val, int32_t *idx, capt_err *err);
    int (*sample)(capt_scorer *s, const double *u, double temperature, const int32_t *ban, int n_ban, int32_t *token, capt_real *logp, capt_err *err);
    /* After a step: log-softmax (rows,V) of this scorer's own ids, backend memory of its context, valid until the next step. */
    const capt_real *(*logp)(capt_scorer *s, capt_err *err);
    /* After a step, when detail has CAPT_DETAIL_ATTENTION: host (rows,*S), valid until the next step: the weights of the image's feature rows; *S 0: there are none to show.
     * An ensemble shows the weighted mean of its members' where all have some, of as many rows. */
    int (*attention)(capt_scorer *s, const capt_real **weights, int *S, capt_err *err);
    void (*end)(capt_scorer *s);
    void (*free)(capt_scorer *s);
    void *self;
};

/* model and encoder (NULL: the model's own, if it has one) are borrowed. */
capt_scorer *capt_scorer_model(capt_model *m, capt_encoder *encoder, capt_err *err);
/* Takes the members over, also on failure. weights NULL: equal; mode 0: mean probability, 1: mean log-probability. Members must have the same token strings and
 * specials (ids may differ and are mapped to the first one's), else an error naming a token, and read as many tokens of tags. */
capt_scorer *capt_scorer_ensemble_take(capt_scorer **members, int n, const double *weights, int mode, capt_err *err);
void capt_scorer_free(capt_scorer *s); /* NULL is fine */

/* A finished caption: ids without BOS and EOS. */
typedef struct capt_found {
    int32_t *ids;
    int n;
    double logprob;     /* sum of the log-probabilities of the words and of EOS, penalties not counted */
    int ended;          /* 1: EOS was chosen, 0: cut at max_t */
    double *word;       /* (n + ended) log-probability of each, when details were asked for */
    float *attention;   /* (n + ended, rows) weights of the feature rows as each was chosen, when they were asked for and the captioner has them */
    int attention_rows;
} capt_found;
enum { CAPT_DETAIL_WORDS = 1, CAPT_DETAIL_ATTENTION = 2 };

typedef struct capt_beam_opts {
    int beam;              /* width; 1 is greedy */
    int nbest;             /* captions an image, at most beam */
    int max_t;             /* words and EOS; 0: the scorer's */
    double length_penalty; /* captions are ranked by score / L^x, L = words + 1; 0: by score, as M2 does */
    int wu;                /* 1: by score / ((5+L)/6)^x instead (Wu et al. 2016, eq. 14) */
    int min_words;         /* EOS is not chosen before */
    int allow_unk;         /* the unknown word may be written */
    int allow_all;         /* so may padding and BOS: the whole distribution, which a gradient of log-probabilities is of */
    int no_repeat;         /* 1: no word twice running */
    int ngram;             /* N: no N words in a row twice; 0: they may */
    double ngram_penalty;  /* each earlier occurrence costs so much instead of forbidding; 0: forbidden */
    const int32_t *repeatable; /* words that may end N words twice all the same */
    int n_repeatable;
    const int32_t *not_last; /* words after which EOS is not chosen */
    int n_not_last;
    int groups;            /* diverse beam search (Vijayakumar et al. 2018): beam/groups captions each; 0 and 1: none */
    double diversity;      /* what a word costs a group for each time that groups before it chose the word at the same step */
    int detail;            /* CAPT_DETAIL_* */
    const capt_constrain *const *words; /* (n_images) the words required of an image's captions and those forbidden, or NULL: none; NULL: of no image */
} capt_beam_opts;
/* Beam search: the `beam` best of finished (score kept) and extended captions go on; an image is closed as soon as its nbest cannot change. The score is the sum of
 * log-probabilities less the penalties. out: n_images*nbest entries, the best first, ids malloc'd (absent ones have ids NULL).
 * With required words the beam is that wide for each number of their tokens that captions have, and EOS is not chosen before all stand there. Captions cut at max_t may lack
 * some: they come after those that have more. */
int capt_beam_run(capt_scorer *s, const capt_input *in, const capt_beam_opts *o, capt_found *out, capt_err *err);

typedef struct capt_sample_opts {
    int n;              /* samples an image */
    double temperature;
    int max_t;          /* words and EOS; 0: the scorer's */
    int allow_unk, allow_all; /* as in capt_beam_opts */
    int top_k;          /* draw from the k likeliest words only; 0: from all (Fan et al. 2018) */
    double top_p;       /* and only from the fewest of these that have this much of their probability together; 0 and 1: all (Holtzman et al. 2020) */
    uint64_t seed;
    int detail;         /* CAPT_DETAIL_* */
} capt_sample_opts;
/* n independent samples an image from softmax(logits/temperature), random number keyed by (seed, id_hash[image], sample, place of the word). out: n_images*n, sample-minor. */
int capt_sample_run(capt_scorer *s, const capt_input *in, const capt_sample_opts *o, const uint64_t *id_hash, capt_found *out, capt_err *err);
void capt_found_free(capt_found *f, int n); /* what they hold, not f */
#endif
