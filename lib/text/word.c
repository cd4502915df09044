/* Word vocabularies: the metric tokenizer on one caption at a time, punctuation dropped. */
#include <string.h>
#include "text/ptb.h"
#include "text/vocab_priv.h"

int capt_vocab_word_prepare(capt_vocab *v, const json_t *o, const char *where, capt_err *err)
{
    if (v->unk < 0)
        return capt_fail(err, CAPT_EDATA, "%s: a vocabulary of words needs a special \"unk\"", where);
    if (v->bos == v->eos || v->pad == v->eos || v->pad == v->bos || v->unk == v->eos || v->unk == v->pad || v->unk == v->bos)
        return capt_fail(err, CAPT_EDATA, "%s: two specials of a vocabulary of words are the same token", where);
    return 0;
}

int capt_vocab_word_encode(const capt_vocab *v, const char *s, int max, int32_t *ids, int *n, capt_err *err)
{
    capt_str words = {0};
    if (capt_ptb_words(s, strlen(s), &words, err))
        return -1;
    const char *p = words.s, *end = words.s + words.n;
    while (p < end && *n < max) {
        const char *e = memchr(p, ' ', (size_t)(end - p));
        if (!e)
            e = end;
        int32_t id = capt_vocab_find_n(v, p, (size_t)(e - p));
        /* a caption can hold "<eos>" as a word */
        ids[(*n)++] = id < 0 || id == v->pad || id == v->bos || id == v->eos ? v->unk : id;
        p = e + 1;
    }
    capt_str_free(&words);
    return 0;
}

void capt_vocab_word_decode(const capt_vocab *v, const int32_t *ids, int n, capt_str *out)
{
    for (int i = 0; i < n; i++) {
        if (i)
            capt_str_putc(out, ' ');
        capt_str_puts(out, v->tokens[ids[i]]);
    }
}
