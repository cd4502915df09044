/* METEOR 1.5 for English (Denkowski and Lavie: Meteor Universal, WMT 2014; options -l en -norm, task rank): exact, stem,
 * synonym and paraphrase matches, a beam search for the alignment, one score from content and function words, and chunks.
 * All 23 statistics equal the public program's; a score from them does up to the last digit of pow().
 *
 * capt_meteor: the data the metric needs (synonyms, irregular forms, function words, paraphrases), read at run time from
 *   - the folder of a METEOR 1.5 tree (its root, or the one with synonym/, function/ and nonbreaking/),
 *   - meteor-1.5.jar, or a folder that holds it, as the installed Python package pycocoevalcap does,
 *   - the folder of WordNet 3.0's index.sense and *.exc as Debian has it (wordnet-base, wordnet-sense-index): no paraphrases.
 * The paraphrase table is data/paraphrase-en.gz beside the others; without it all works but the paraphrase module.
 * Read-only once opened: shared by any number of threads. */
#ifndef CAPT_METRIC_METEOR_H
#define CAPT_METRIC_METEOR_H
#include <stddef.h>
#include <stdint.h>
#include "base/err.h"

typedef struct capt_meteor capt_meteor;

/* cache: a folder for the data in a form that is mapped in milliseconds, named by the hash of what it was made from; made
 * when missing, made again when damaged; NULL, or one that cannot be written: none is kept. Takes seconds without it.
 * NULL + err: no data there, or damaged. */
capt_meteor *capt_meteor_open(const char *path, const char *cache, capt_err *err);
void capt_meteor_close(capt_meteor *m); /* NULL is fine */
int capt_meteor_full(const capt_meteor *m);         /* 1: with paraphrases */
const char *capt_meteor_id(const capt_meteor *m);   /* 32 hex digits: the hash of the source */
/* The synsets of a word (n bytes, lower case, '_' inside of several words) and of its base forms, irregular or regular, as
 * METEOR takes them: offsets without part of speech. *ids is malloc'd, ascending, distinct; returns how many. */
size_t capt_meteor_synsets(const capt_meteor *m, const char *word, size_t n, uint32_t **ids);
/* Where the packages of Debian put WordNet; NULL when it is not there. */
const char *capt_meteor_wordnet(void);

/* Statistics of a hypothesis (t) and a reference (r): words, function words; for exact, stem, synonym and paraphrase matches
 * the content words and function words of both sides that they cover; chunks; words covered by any match. */
enum {
    CAPT_METEOR_TLEN, CAPT_METEOR_RLEN, CAPT_METEOR_TFUNC, CAPT_METEOR_RFUNC,
    CAPT_METEOR_MODULES, /* 4 times: t content, r content, t function, r function */
    CAPT_METEOR_CHUNKS = CAPT_METEOR_MODULES + 16, CAPT_METEOR_TMATCHED, CAPT_METEOR_RMATCHED,
    CAPT_METEOR_STATS
};
/* The score of statistics, of one pair or summed (then perfect one-chunk pairs count no chunk), 0..1. */
double capt_meteor_value(const int64_t stats[CAPT_METEOR_STATS]);
#endif
