/* Faults of captions that can be counted without references. */
#ifndef CAPT_METRIC_HEALTH_H
#define CAPT_METRIC_HEALTH_H
#include <stddef.h>

typedef struct capt_health {
    size_t n;            /* captions */
    size_t bad_endings;  /* captions that end in a word of capt_bad_endings */
    size_t unk;          /* words "unk" or "<unk>" */
    size_t repeated;     /* captions in which a pair of neighbouring words comes twice */
    size_t empty, words;
} capt_health;

/* Words after which a sentence should not end (the list by which Luo's captioners forbid the end); ends with NULL. */
extern const char *const capt_bad_endings[];
capt_health capt_health_of(const char *const *lines, size_t n); /* tokenized lines */
#endif
