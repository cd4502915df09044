/* Vocabularies: words (of the metric tokenizer), GPT-2's byte-level BPE, BERT's uncased WordPiece; one JSON file each. Read-only once made: shared by threads. */
#ifndef CAPT_TEXT_VOCAB_H
#define CAPT_TEXT_VOCAB_H
#include <jansson.h>
#include <stdint.h>
#include "base/err.h"
#include "base/str.h"

typedef struct capt_vocab capt_vocab;
capt_vocab *capt_vocab_load(const char *path, capt_err *err);
capt_vocab *capt_vocab_from_json(const json_t *o, const char *where, capt_err *err); /* borrows o */
json_t *capt_vocab_json(const capt_vocab *v);                                        /* new reference */
void capt_vocab_free(capt_vocab *v);                                                 /* NULL is fine */

const char *capt_vocab_type(const capt_vocab *v); /* "word", "gpt2", "bert" */
int capt_vocab_size(const capt_vocab *v);
int32_t capt_vocab_pad(const capt_vocab *v);
int32_t capt_vocab_bos(const capt_vocab *v);
int32_t capt_vocab_eos(const capt_vocab *v);
int32_t capt_vocab_unk(const capt_vocab *v);      /* -1: none (BPE spells everything) */
const char *capt_vocab_token(const capt_vocab *v, int32_t id);
int32_t capt_vocab_find(const capt_vocab *v, const char *token); /* -1: absent */
/* 32 hex digits over type, tokens, merges and specials: models of equal hash speak the same ids. Owned by v. */
const char *capt_vocab_hash(const capt_vocab *v);

/* Caption -> at most max ids (no BOS, no EOS); *n: how many were written. */
int capt_vocab_encode(const capt_vocab *v, const char *caption, int max, int32_t *ids, int *n, capt_err *err);
/* Appends the text of ids up to EOS, pads and BOS skipped: words joined by a blank, pieces joined to words. */
void capt_vocab_decode(const capt_vocab *v, const int32_t *ids, int n, capt_str *out);
#endif
