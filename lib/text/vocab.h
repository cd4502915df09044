/* Vocabularies: words (of the metric tokenizer), GPT-2's byte-level BPE, BERT's uncased WordPiece, CLIP's byte-level BPE. One JSON file each:
 *   {"type","tokenizer","special":{"pad","bos","eos"[,"unk"]},"tokens":[..][,"merges":["a b",..]][,"counts":[..]]
 *    [,"coverage":{..}],"hash"}
 * type is a row of vocab.def. Read-only once made: shared by threads. Strings returned are owned by the vocabulary. */
#ifndef CAPT_TEXT_VOCAB_H
#define CAPT_TEXT_VOCAB_H
#include <jansson.h>
#include <stddef.h>
#include <stdint.h>
#include "base/err.h"
#include "base/str.h"

typedef struct capt_vocab capt_vocab;
capt_vocab *capt_vocab_load(const char *path, capt_err *err);
/* Checks everything: types, ranges of the specials, tokens unique, merges spelled by tokens, the hash if there is one. */
capt_vocab *capt_vocab_from_json(const json_t *o, const char *where, capt_err *err); /* borrows o */
json_t *capt_vocab_json(const capt_vocab *v);                                        /* new reference */
int capt_vocab_save(const capt_vocab *v, const char *path, capt_err *err);           /* "-": stdout */
void capt_vocab_free(capt_vocab *v);                                                 /* NULL is fine */

const char *capt_vocab_type(const capt_vocab *v); /* "word", "gpt2", "bert", "clip" */
int capt_vocab_size(const capt_vocab *v);
int32_t capt_vocab_pad(const capt_vocab *v);
int32_t capt_vocab_bos(const capt_vocab *v);
int32_t capt_vocab_eos(const capt_vocab *v);
int32_t capt_vocab_unk(const capt_vocab *v); /* -1: none (bytes spell everything) */
const char *capt_vocab_token(const capt_vocab *v, int32_t id); /* NULL: no such id. GPT-2's are in its printable alphabet */
int32_t capt_vocab_find(const capt_vocab *v, const char *token); /* -1: absent */
/* 32 hex digits over type, tokens, merges and specials: models of equal hash speak the same ids. */
const char *capt_vocab_hash(const capt_vocab *v);

/* Caption -> at most max ids, no BOS, no EOS; *n: how many were written. A caption's own "<eos>" or "[SEP]" is never the
 * special token. Word: unknown words are unk. GPT-2: the text as it is, without a leading blank, as ClipCap trains. */
int capt_vocab_encode(const capt_vocab *v, const char *caption, int max, int32_t *ids, int *n, capt_err *err);
/* Appends the text of ids up to EOS; pads, BOS (GPT-2, whose specials are one token: only at the start) and ids out of range
 * are skipped. Words joined by a blank; WordPiece pieces joined to words, and . ? ! , to the word before; GPT-2's bytes,
 * U+FFFD where they are not UTF-8. Ids and text of the latter two are those of PyPI's tokenizers 0.23.3 (decoding without
 * skip_special_tokens, so that [UNK] stays; a NUL, which no caption holds, is a blank). */
void capt_vocab_decode(const capt_vocab *v, const int32_t *ids, int n, capt_str *out);

/* Makers. words: without specials, which become ids 0 <pad>, 1 <bos>, 2 <eos>, 3 <unk>; counts may be NULL. */
capt_vocab *capt_vocab_new_words(const char *const *words, const int64_t *counts, size_t n, capt_err *err);
/* GPT-2's published vocab.json and merges.txt; BERT's vocab.txt. */
capt_vocab *capt_vocab_new_gpt2(const char *vocab_path, const char *merges_path, capt_err *err);
capt_vocab *capt_vocab_new_bert(const char *vocab_path, capt_err *err);
/* CLIP's published merges (bpe_simple_vocab_16e6.txt, gzip or plain): bytes, bytes at a word's end, the merges, begin and end of text. */
capt_vocab *capt_vocab_new_clip(const char *merges_path, capt_err *err);
/* Adds a report of how much of a text the vocabulary covers ({split:{"tokens","known"}}); not part of the hash. */
void capt_vocab_set_coverage(capt_vocab *v, const json_t *coverage); /* borrows */
#endif
