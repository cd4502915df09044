#include "record/outcome.h"

static const capt_field bleu_fields[] = {
    {"testlen", CAPT_T_INT, 1, offsetof(capt_bleu_counts, testlen), 0, 0, 0, NULL, "Words of the captions."},
    {"reflen", CAPT_T_INT, 1, offsetof(capt_bleu_counts, reflen), 0, 0, 0, NULL, "Words of the closest references."},
    {"guess", CAPT_T_NUMS, 1, offsetof(capt_bleu_counts, guess), offsetof(capt_bleu_counts, n_guess), 0, 4, NULL, "n-grams of the captions, n from 1."},
    {"correct", CAPT_T_NUMS, 1, offsetof(capt_bleu_counts, correct), offsetof(capt_bleu_counts, n_correct), 0, 4, NULL, "Those that a reference has."},
    {0}};
static const capt_kind bleu_kind = {"bleu_counts", "What BLEU is computed from.", sizeof(capt_bleu_counts), bleu_fields};

#define HEALTH(name, doc) {#name, CAPT_T_NUM, 1, offsetof(capt_health_record, name), 0, 0, 0, NULL, doc}
static const capt_field health_fields[] = {
    HEALTH(mean_length, "Words a caption."),
    HEALTH(bad_endings, "Share of captions that end as no sentence does."),
    HEALTH(unk_rate, "Share of words that are the unknown one."),
    HEALTH(repeated_bigrams, "Share of captions with a word pair twice."),
    HEALTH(empty, "Share of captions without a word."),
    {0}};
static const capt_kind health_kind = {"health", "Faults that need no references.", sizeof(capt_health_record), health_fields};

#define AT(m) offsetof(capt_total, m)
static const capt_field total_fields[] = {
    {"n", CAPT_T_INT, 1, AT(n), 0, 0, 0, NULL, "Images."},
#define CAPT_SCORE_OF(member, key, doc) {key, CAPT_T_NUM, 0, AT(member), 0, 0, 0, NULL, doc},
#include "record/scores.def"
#undef CAPT_SCORE_OF
    {"signature", CAPT_T_STR, 1, AT(signature), 0, 1000, 0, NULL, "What the numbers depend on: images, split, tokenizer, versions."},
    {"meteor", CAPT_T_STR, 1, AT(meteor_data), 0, 16, 0, NULL, "full, nopara (without the paraphrase table) or absent."},
    {"bleu_counts", CAPT_T_OBJ, 0, AT(bleu_counts), 0, 0, 0, &bleu_kind, "What BLEU is computed from."},
    {"meteor_stats", CAPT_T_NUMS, 0, AT(meteor_stats), AT(n_meteor_stats), 0, 100, NULL, "What METEOR is computed from, in the order of its own program."},
    {"health", CAPT_T_OBJ, 1, AT(health), 0, 0, 0, &health_kind, "Faults that need no references."},
    {0}};
const capt_kind capt_kind_total = {"total", "The scores of one file of hypotheses, as coco-score --json prints them.", sizeof(capt_total), total_fields};
#undef AT

#define AT(m) offsetof(capt_score_difference, m)
static const capt_field one_fields[] = {
    {"diff", CAPT_T_NUM, 1, AT(diff), 0, 0, 0, NULL, "The second file's score less the first's."},
    {"interval", CAPT_T_NUMS, 0, AT(interval), AT(n_interval), 0, 2, NULL, "Between these lie 95 of 100 resampled differences."},
    {"p", CAPT_T_NUM, 0, AT(p), 0, 0, 0, NULL, "Probability of a difference as large if there were none."},
    {0}};
static const capt_kind one_kind = {"score_difference", "How far two scores are apart.", sizeof(capt_score_difference), one_fields};
#undef AT

static const capt_field each_fields[] = {
#define CAPT_SCORE_OF(member, key, doc) {key, CAPT_T_OBJ, 0, offsetof(capt_score_differences, member), 0, 0, 0, &one_kind, doc},
#include "record/scores.def"
#undef CAPT_SCORE_OF
    {0}};
static const capt_kind each_kind = {"score_differences", "A difference a score.", sizeof(capt_score_differences), each_fields};

#define AT(m) offsetof(capt_difference, m)
static const capt_field difference_fields[] = {
    {"difference", CAPT_T_OBJ, 1, AT(difference), 0, 0, 0, &each_kind, "By the names of the scores."},
    {"resamples", CAPT_T_INT, 1, AT(resamples), 0, 0, 0, NULL, "Of the paired bootstrap."},
    {"seed", CAPT_T_INT, 1, AT(seed), 0, 0, 0, NULL, "Of its random numbers."},
    {0}};
const capt_kind capt_kind_difference = {"difference", "What is between two files of hypotheses, the last line of coco-score --json.", sizeof(capt_difference),
                                        difference_fields};
#undef AT

static const capt_field error_fields[] = {
    {"error", CAPT_T_STR, 1, offsetof(capt_skipped, error), 0, 10000, 0, NULL, "Where the record is and what is wrong with it; control characters escaped."},
    {0}};
const capt_kind capt_kind_error = {"error", "A record that was skipped, a line of --errors.", sizeof(capt_skipped), error_fields};
