/* Inside vocabularies. */
#ifndef CAPT_TEXT_VOCAB_PRIV_H
#define CAPT_TEXT_VOCAB_PRIV_H
#include "text/vocab.h"

typedef struct capt_vocab_kind {
    const char *type, *tokenizer;
    int (*prepare)(capt_vocab *v, const json_t *o, const char *where, capt_err *err);
    int (*encode)(const capt_vocab *v, const char *caption, int max, int32_t *ids, int *n, capt_err *err);
    void (*decode)(const capt_vocab *v, const int32_t *ids, int n, capt_str *out); /* ids of ordinary tokens and unk only */
} capt_vocab_kind;

typedef struct vocab_merge { uint64_t pair; int32_t rank, id; } vocab_merge; /* pair: left << 32 | right, + 1 (0: free) */

struct capt_vocab {
    const capt_vocab_kind *kind;
    json_t *json;        /* the file's object, with the hash */
    const char **tokens; /* of json */
    int32_t n, pad, bos, eos, unk;
    int32_t *slot;       /* open addressing: id + 1 by hash of the token, 0: free */
    size_t mask;
    char hash[33];
    vocab_merge *merge;  /* gpt2: open addressing by pair */
    size_t merge_mask;
    int32_t byte_end[256]; /* clip: at the end of a word */
    int32_t byte_id[256]; /* gpt2 */
    char *text;           /* gpt2: what token i spells is text[text_at[i]] .. text[text_at[i+1]-1] */
    size_t *text_at;      /* (n+1) */
};

int32_t capt_vocab_find_n(const capt_vocab *v, const char *token, size_t n);

/* Byte-pair encoding, shared by gpt2 and clip (bpe.c). alphabet: the printable characters that stand for the 256 bytes in the files. bytes: the ids of the
 * bytes' tokens with tail behind each. merges: reads "merges". merge: merges n ids in place and returns how many are left; rank is scratch of n. kind: what
 * the patterns tell characters apart by. */
enum { CAPT_BPE_LETTER, CAPT_BPE_NUMBER, CAPT_BPE_SPACE, CAPT_BPE_OTHER };
void capt_bpe_alphabet(uint32_t out[256]);
int capt_bpe_bytes(const capt_vocab *v, const char *tail, int32_t id[256], const char *where, capt_err *err);
int capt_bpe_merges(capt_vocab *v, const json_t *o, const char *where, capt_err *err);
int capt_bpe_merge(const capt_vocab *v, int32_t *id, int32_t *rank, int n);
int capt_bpe_kind(int32_t c);

#define CAPT_VOCAB_KIND(x, type, tokenizer)                                                            \
    int capt_vocab_##x##_prepare(capt_vocab *v, const json_t *o, const char *where, capt_err *err);    \
    int capt_vocab_##x##_encode(const capt_vocab *v, const char *s, int max, int32_t *ids, int *n, capt_err *err); \
    void capt_vocab_##x##_decode(const capt_vocab *v, const int32_t *ids, int n, capt_str *out);
#include "text/vocab.def"
#undef CAPT_VOCAB_KIND
#endif
