/* Fuzz target of the vocabularies of others: GPT-2's vocab.json and merges.txt (behind a line "---"), BERT's vocab.txt. */
#include <string.h>
#include "base/mem.h"
#include "base/str.h"
#include "fuzz.h"
#include "text/vocab.h"

static void use(capt_vocab *v)
{
    int32_t ids[64];
    int k;
    capt_err err = CAPT_ERR_INIT;
    if (!v)
        return;
    if (capt_vocab_encode(v, "A dog's caf\u00e9, running!", 64, ids, &k, &err))
        abort();
    for (int i = 0; i < k; i++)
        if (ids[i] < 0 || ids[i] >= capt_vocab_size(v))
            abort();
    capt_str s = {0};
    capt_vocab_decode(v, ids, k, &s);
    capt_str_free(&s);
    json_t *o = capt_vocab_json(v);
    capt_vocab *again = capt_vocab_from_json(o, "fuzz", &err);
    if (!again || strcmp(capt_vocab_hash(v), capt_vocab_hash(again)))
        abort();
    capt_vocab_free(again);
    json_decref(o);
    capt_vocab_free(v);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    char a[64], b[64];
    const uint8_t *cut = n ? memmem(p, n, "---\n", 4) : NULL;
    size_t first = cut ? (size_t)(cut - p) : n, second = cut ? n - first - 4 : 0;
    int fa = fuzz_file(p, first, a), fb = fuzz_file(cut ? cut + 4 : p, second, b);
    capt_err err[2] = {CAPT_ERR_INIT, CAPT_ERR_INIT};
    capt_vocab *v = capt_vocab_new_gpt2(a, b, &err[0]);
    if (!v != (err[0].code != CAPT_OK))
        abort();
    use(v);
    v = capt_vocab_new_bert(a, &err[1]);
    if (!v != (err[1].code != CAPT_OK))
        abort();
    use(v);
    close(fa);
    close(fb);
    return 0;
}
