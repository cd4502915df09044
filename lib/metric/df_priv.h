/* Inside of capt_df, shared by df.c, df_build.c, cider.c and their test. */
#ifndef CAPT_METRIC_DF_PRIV_H
#define CAPT_METRIC_DF_PRIV_H
#include "base/file.h"
#include "metric/cider.h"

typedef struct df_slot { uint64_t key; uint32_t df, check; } df_slot;

typedef struct df_header {
    char magic[8];
    uint32_t version, flags; /* flags bit 0: eos */
    char tokenizer[32], source[33], zero[7];
    uint64_t n_images, n_ngrams, n_slots, seed, hash; /* hash: XXH3-64 of slots, seeded with the header's */
    char reserved[128];
} df_header;
_Static_assert(sizeof(df_header) == 256 && sizeof(df_slot) == 16, "df file layout");

enum { DF_WEIGHTS = 1024, DF_DELTAS = 64 };
typedef struct df_weight { double idf, square; } df_weight; /* of an n-gram that occurs once, and its power of 2 */

struct capt_df {
    df_header h;
    const df_slot *slot; /* (n_slots) in own or map */
    df_slot *own;
    double log_n; /* log of the number of images */
    /* Logarithms and powers that come up again and again. */
    df_weight weight[DF_WEIGHTS]; /* by document frequency */
    double penalty[DF_DELTAS];    /* CIDEr-D's, by the difference of lengths */
    capt_map map;
};

df_weight df_weight_of(const capt_df *df, uint32_t d);
double df_penalty(const capt_df *df, double delta);

/* Asks for the memory that a look-up will read: look-ups in a large table wait for memory, many at once wait together. */
void df_prefetch(const capt_df *df, uint64_t key);
uint32_t df_lookup(const capt_df *df, uint64_t key, uint64_t check);
/* Where the search for a key begins. */
static inline size_t df_home(uint64_t key, uint64_t n_slots)
{
    return (size_t)(((unsigned __int128)key * n_slots) >> 64);
}
/* Counts the references of df->h.n_images images into df's table; key_bits of each key are kept, 64 but in a test that makes
 * keys clash. 0, or -1 + err. */
int df_build(capt_df *df, const char *const *refs, const size_t *at, int key_bits, capt_pool *pool, capt_err *err);
/* capt_df_new with only key_bits of each key. */
capt_df *df_new(const char *const *refs, const size_t *at, size_t n, int eos, int key_bits, capt_pool *pool, capt_err *err);
#endif
