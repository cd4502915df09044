/* A small vocabulary of words, for tests of models. Include cmocka.h first. */
#ifndef CAPT_TESTS_VOCAB_RIG_H
#define CAPT_TESTS_VOCAB_RIG_H
#include "text/vocab.h"

/* n tokens: pad, bos, eos, unk, wa, wb, ..., wz, w26, ... */
static inline capt_vocab *small_vocab(int n)
{
    json_t *tokens = json_pack("[s,s,s,s]", "<pad>", "<bos>", "<eos>", "<unk>");
    for (int i = 0; i < n - 4; i++)
        json_array_append_new(tokens, i < 26 ? json_sprintf("w%c", 'a' + i) : json_sprintf("w%d", i));
    json_t *o = json_pack("{s:s, s:s, s:{s:i, s:i, s:i, s:i}, s:o}", "type", "word", "tokenizer", "ptb-3.4.1-lower-nopunct", "special", "pad", 0, "bos", 1, "eos", 2, "unk", 3,
                          "tokens", tokens);
    capt_err err = CAPT_ERR_INIT;
    capt_vocab *v = capt_vocab_from_json(o, "test", &err);
    if (!v)
        fail_msg("%s", err.text);
    json_decref(o);
    return v;
}
#endif
