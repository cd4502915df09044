/* See health.h. */
#include "metric/health.h"
#include <string.h>
#include "metric/ngram.h"

const char *const capt_bad_endings[] = {"a", "an", "the", "in", "for", "at", "of", "with", "before", "after", "on", "upon",
                                        "near", "to", "is", "are", "am", NULL};

static int is_word(const capt_sent *s, size_t i, const char *w)
{
    size_t n = s->at[i + 1] - s->at[i] - 1;
    return n == strlen(w) && !memcmp(s->text + s->at[i], w, n);
}

capt_health capt_health_of(const char *const *lines, size_t n)
{
    capt_health h = {.n = n};
    capt_sent s = {0};
    for (size_t i = 0; i < n; i++) {
        capt_sent_set(&s, lines[i], 0, 0);
        h.words += s.n_words;
        h.empty += !s.n_words;
        for (size_t k = 0; k < s.n_words; k++)
            h.unk += is_word(&s, k, "unk") || is_word(&s, k, "<unk>");
        for (const char *const *w = capt_bad_endings; s.n_words && *w; w++)
            h.bad_endings += is_word(&s, s.n_words - 1, *w);
        int twice = 0;
        for (size_t k = 0; k < s.grams.n; k++)
            twice |= s.grams.gram[k].n == 2 && s.grams.gram[k].count > 1;
        h.repeated += twice;
    }
    capt_sent_free(&s);
    return h;
}
