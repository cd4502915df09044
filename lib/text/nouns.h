/* Which words of captions are nouns, told from the captions alone: no list of nouns and no dictionary, only the closed classes of English (articles, prepositions,
 * pronouns, auxiliaries, numbers), which tell where a noun phrase begins and ends.
 *
 * Of each of the `among` most frequent words that are in no closed class, two shares are taken. How often does it stand in a noun phrase, right behind the word that opens it
 * (a, the, his, two, several, ...)? Verbs and adverbs hardly do. And how often does the phrase end with it: is it followed by a preposition, an auxiliary, the next phrase or
 * nothing, rather than by one more content word? Adjectives, and nouns that go before others (soccer), mostly are not. A word with 1 in 7 of the first, 2 in 5 of the second,
 * and 3 phrases at least is a noun; one with 1 in 7 of the first but less of the second modifies others. In a second pass words behind modifiers that an opening
 * word leads (shirt in "a red shirt") are in the phrase, too. It errs: front and air are nouns to it. */
#ifndef CAPT_TEXT_NOUNS_H
#define CAPT_TEXT_NOUNS_H
#include <stddef.h>
#include "base/arena.h"
#include "base/err.h"

typedef struct capt_noun { const char *word; size_t count; } capt_noun;
/* lines: captions as token lines of the metric tokenizer (text/ptb.h). *nouns: the nouns, the most frequent first, equals by bytes; array and words live in a. */
int capt_nouns_find(const char *const *lines, size_t n, int among, capt_arena *a, capt_noun **nouns, size_t *n_nouns, capt_err *err);
#endif
