/* Vocabularies: BPE and WordPiece ids of the public tokenizers (golden/tokens.json; every token of the published files where
 * those are at hand), words, the laws of encode and decode, refusal of damaged files; tags as text. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "base/file.h"
#include "base/json.h"
#include "base/mem.h"
#include "text/tags.h"
#include "text/vocab.h"

enum { CAP = 4096 };

static json_t *load_golden(void)
{
    capt_err err = CAPT_ERR_INIT;
    json_t *doc = capt_json_load("tests/golden/tokens.json", &err);
    if (!doc)
        fail_msg("%s", err.text);
    return doc;
}

static int32_t index_of(json_t *tokens, const char *s)
{
    size_t i;
    json_t *t;
    json_array_foreach(tokens, i, t)
        if (strcmp(json_string_value(t), s) == 0)
            return (int32_t)i;
    return -1;
}

static capt_vocab *golden_vocab(json_t *doc, const char *key)
{
    capt_err err = CAPT_ERR_INIT;
    json_t *part = json_object_get(doc, key), *tokens = json_object_get(part, "tokens"), *o;
    if (strcmp(key, "bpe") == 0) {
        int e = index_of(tokens, "<|endoftext|>");
        o = json_pack("{s:s,s:s,s:{s:i,s:i,s:i},s:O,s:O}", "type", "gpt2", "tokenizer", "gpt2-byte-bpe", "special", "pad", e, "bos", e, "eos", e,
                      "tokens", tokens, "merges", json_object_get(part, "merges"));
    } else {
        o = json_pack("{s:s,s:s,s:{s:i,s:i,s:i,s:i},s:O}", "type", "bert", "tokenizer", "bert-uncased-wordpiece", "special", "pad",
                      index_of(tokens, "[PAD]"), "bos", index_of(tokens, "[CLS]"), "eos", index_of(tokens, "[SEP]"), "unk",
                      index_of(tokens, "[UNK]"), "tokens", tokens);
    }
    capt_vocab *v = capt_vocab_from_json(o, key, &err);
    json_decref(o);
    if (!v)
        fail_msg("%s", err.text);
    return v;
}

static void check_ids(const capt_vocab *v, const char *text, json_t *want)
{
    int32_t ids[CAP];
    int n;
    capt_err err = CAPT_ERR_INIT;
    assert_int_equal(capt_vocab_encode(v, text, CAP, ids, &n, &err), 0);
    if (n != (int)json_array_size(want))
        fail_msg("\"%s\": %d ids, not %d", text, n, (int)json_array_size(want));
    for (int i = 0; i < n; i++)
        if (ids[i] != json_integer_value(json_array_get(want, (size_t)i)))
            fail_msg("\"%s\": id %d is %d (%s)", text, i, ids[i], capt_vocab_token(v, ids[i]));
    int half;
    assert_int_equal(capt_vocab_encode(v, text, n / 2, ids, &half, &err), 0);
    assert_int_equal(half, n / 2);
}

static void golden(void **state)
{
    json_t *doc = load_golden(), *o;
    size_t i;
    for (int k = 0; k < 2; k++) {
        const char *key = k ? "wordpiece" : "bpe";
        capt_vocab *v = golden_vocab(doc, key);
        json_array_foreach(json_object_get(doc, "cases"), i, o) {
            const char *text = json_string_value(json_object_get(o, "text"));
            check_ids(v, text, json_object_get(o, key));
            if (k)
                continue;
            int32_t ids[CAP]; /* bytes come back as they went in */
            int n;
            capt_str s = {0};
            capt_vocab_encode(v, text, CAP, ids, &n, NULL);
            capt_vocab_decode(v, ids, n, &s);
            assert_string_equal(s.s ? s.s : "", text);
            capt_str_free(&s);
        }
        capt_vocab_free(v);
    }
    json_decref(doc);
}

/* Any ids, whole characters or not, come out as the public tokenizers' text. */
static void golden_text(void **state)
{
    json_t *doc = load_golden(), *o, *x;
    size_t i, k;
    for (int t = 0; t < 2; t++) {
        const char *key = t ? "wordpiece" : "bpe";
        capt_vocab *v = golden_vocab(doc, key);
        json_array_foreach(json_object_get(json_object_get(doc, "texts"), key), i, o) {
            int32_t ids[16];
            capt_str s = {0};
            json_array_foreach(json_object_get(o, "ids"), k, x)
                ids[k] = (int32_t)json_integer_value(x);
            capt_str_puts(&s, "before ");
            capt_vocab_decode(v, ids, (int)k, &s);
            assert_string_equal(s.s + 7, json_string_value(json_object_get(o, "text")));
            capt_str_free(&s);
        }
        assert_int_equal(i, 120);
        capt_vocab_free(v);
    }
    json_decref(doc);
}

static capt_vocab *small(void)
{
    static const char *const words[] = {"a", "dog", "runs", "n't"};
    static const int64_t counts[] = {9, 5, 2, 1};
    capt_err err = CAPT_ERR_INIT;
    capt_vocab *v = capt_vocab_new_words(words, counts, 4, &err);
    if (!v)
        fail_msg("%s", err.text);
    return v;
}

static void words(void **state)
{
    capt_vocab *v = small();
    assert_string_equal(capt_vocab_type(v), "word");
    assert_int_equal(capt_vocab_size(v), 8);
    assert_int_equal(capt_vocab_pad(v), 0);
    assert_int_equal(capt_vocab_bos(v), 1);
    assert_int_equal(capt_vocab_eos(v), 2);
    assert_int_equal(capt_vocab_unk(v), 3);
    assert_int_equal(capt_vocab_find(v, "dog"), 5);
    assert_int_equal(capt_vocab_find(v, "do"), -1);
    assert_int_equal(capt_vocab_find(v, "dogs"), -1);
    assert_null(capt_vocab_token(v, 8));
    assert_null(capt_vocab_token(v, -1));
    static const struct { const char *text, *ids, *back; } rows[] = {
        {"A Dog, runs.", "456", "a dog runs"}, {"a cat doesn't", "4337", "a <unk> <unk> n't"}, {"", "", ""}, {" . ", "", ""},
        {"a <eos> <pad> <bos> dog", "43335", "a <unk> <unk> <unk> dog"}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        int32_t ids[16];
        int n;
        capt_str s = {0};
        assert_int_equal(capt_vocab_encode(v, rows[i].text, 16, ids, &n, NULL), 0);
        assert_int_equal(n, strlen(rows[i].ids));
        for (int k = 0; k < n; k++)
            assert_int_equal(ids[k], rows[i].ids[k] - '0');
        capt_vocab_decode(v, ids, n, &s);
        assert_string_equal(s.s ? s.s : "", rows[i].back);
        capt_str_free(&s);
    }
    int32_t ids[] = {1, 0, 4, 99, -5, 5, 2, 6};
    capt_str s = {0};
    capt_vocab_decode(v, ids, 8, &s);
    assert_string_equal(s.s, "a dog"); /* BOS, pad and wrong ids skipped, ended by EOS */
    capt_str_free(&s);
    capt_vocab_free(v);
}

/* One token is pad, BOS and EOS: skipped at the start, the end anywhere else. */
static void one_special(void **state)
{
    json_t *doc = load_golden();
    capt_vocab *v = golden_vocab(doc, "bpe");
    int32_t e = capt_vocab_eos(v), ids[64] = {e};
    int n;
    assert_int_equal(capt_vocab_pad(v), e);
    assert_int_equal(capt_vocab_unk(v), -1);
    assert_int_equal(capt_vocab_encode(v, "a dog", 60, ids + 1, &n, NULL), 0);
    ids[n + 1] = e;
    ids[n + 2] = ids[1];
    capt_str s = {0};
    capt_vocab_decode(v, ids, n + 3, &s);
    assert_string_equal(s.s, "a dog");
    capt_str_clear(&s);
    capt_vocab_encode(v, "\u00e9", 60, ids, &n, NULL);
    capt_vocab_decode(v, ids, n, &s);
    assert_string_equal(s.s, "\u00e9");
    int32_t half[] = {capt_vocab_find(v, "\u00c3"), capt_vocab_find(v, "a")}; /* byte C3 alone is not UTF-8 */
    capt_str_clear(&s);
    capt_vocab_decode(v, half, 2, &s);
    assert_string_equal(s.s, "\ufffd" "a");
    capt_str_free(&s);
    capt_vocab_free(v);
    json_decref(doc);
}

static void pieces_join(void **state)
{
    json_t *doc = load_golden();
    capt_vocab *v = golden_vocab(doc, "wordpiece");
    int32_t ids[CAP];
    int n;
    capt_str s = {0};
    capt_vocab_encode(v, "The Child\u00e9ren's dog!", CAP, ids, &n, NULL);
    capt_vocab_decode(v, ids, n, &s);
    assert_string_equal(s.s, "the childeren ' s dog!");
    assert_true(n > 6);
    capt_str_free(&s);
    capt_vocab_free(v);
    json_decref(doc);
}

static void file_and_hash(void **state)
{
    capt_vocab *v = small();
    char dir[] = "/tmp/capt-vocab.XXXXXX";
    assert_non_null(mkdtemp(dir));
    capt_str path = {0};
    capt_str_printf(&path, "%s/v.json", dir);
    capt_err err = CAPT_ERR_INIT;
    json_t *report = json_pack("{s:{s:i}}", "train", "tokens", 17);
    char hash[33];
    strcpy(hash, capt_vocab_hash(v));
    capt_vocab_set_coverage(v, report);
    json_decref(report);
    assert_int_equal(capt_vocab_save(v, path.s, &err), 0);
    capt_vocab *w = capt_vocab_load(path.s, &err);
    if (!w)
        fail_msg("%s", err.text);
    assert_string_equal(capt_vocab_hash(w), hash);
    json_t *a = capt_vocab_json(v), *b = capt_vocab_json(w);
    assert_true(json_equal(a, b));
    assert_int_equal(json_integer_value(json_object_get(json_object_get(json_object_get(b, "coverage"), "train"), "tokens")), 17);
    json_decref(a);
    json_decref(b);
    capt_vocab_free(w);
    capt_vocab_free(v);
    remove(path.s);
    remove(dir);
    capt_str_free(&path);
    json_t *o = json_loads("{\"type\":\"word\",\"tokenizer\":\"ptb-3.4.1-lower-nopunct\",\"tokens\":[\"p\",\"b\",\"e\",\"u\"],"
                           "\"special\":{\"pad\":0,\"bos\":1,\"eos\":2,\"unk\":3},\"merges\":[3]}", 0, NULL);
    v = capt_vocab_from_json(o, "v", &err); /* what the kind does not use is not looked at */
    assert_non_null(v);
    capt_vocab_free(v);
    json_decref(o);
    static const char *const other[] = {"a", "dog", "n't", "runs"};
    v = capt_vocab_new_words(other, NULL, 4, &err);
    assert_string_not_equal(capt_vocab_hash(v), hash); /* order counts */
    capt_vocab_free(v);
}

static void damaged(void **state)
{
    static const char *const rows[][2] = {
        {"[]", "a vocabulary is a JSON object"}, {"{}", "type"}, {"{\"type\":\"x\",\"tokenizer\":\"t\"}", "unknown type"},
        {"{\"type\":\"word\",\"tokenizer\":\"other\",\"tokens\":[\"a\"]}", "made with tokenizer"},
        {"{\"type\":\"word\",\"tokenizer\":\"ptb-3.4.1-lower-nopunct\",\"tokens\":[]}", "0 tokens"},
        {"{\"type\":\"word\",\"tokenizer\":\"ptb-3.4.1-lower-nopunct\",\"tokens\":[\"a\",3]}", "token 1 is not"},
        {"{\"type\":\"word\",\"tokenizer\":\"ptb-3.4.1-lower-nopunct\",\"tokens\":[\"a\",\"\"]}", "token 1 is not"},
        {"{\"type\":\"word\",\"tokenizer\":\"ptb-3.4.1-lower-nopunct\",\"tokens\":[\"a\",\"a\"]}", "there twice"},
        {"{\"type\":\"word\",\"tokenizer\":\"ptb-3.4.1-lower-nopunct\",\"tokens\":[\"a\",\"b\"],\"special\":{\"pad\":0,\"bos\":1,\"eos\":2}}", "\"eos\" is 2"},
        {"{\"type\":\"word\",\"tokenizer\":\"ptb-3.4.1-lower-nopunct\",\"tokens\":[\"a\",\"b\",\"c\"],\"special\":{\"pad\":0,\"bos\":1,\"eos\":2}}", "unk"},
        {"{\"type\":\"word\",\"tokenizer\":\"ptb-3.4.1-lower-nopunct\",\"tokens\":[\"a\",\"b\",\"c\"],\"special\":{\"pad\":0,\"bos\":1,\"eos\":1,\"unk\":2}}", "same token"},
        {"{\"type\":\"word\",\"tokenizer\":\"ptb-3.4.1-lower-nopunct\",\"tokens\":[\"a\",\"b\",\"c\",\"d\"],\"special\":{\"pad\":0,\"bos\":1,\"eos\":2,\"unk\":3},\"counts\":[1]}", "counts"},
        {"{\"type\":\"word\",\"tokenizer\":\"ptb-3.4.1-lower-nopunct\",\"tokens\":[\"a\",\"b\",\"c\",\"d\"],\"special\":{\"pad\":0,\"bos\":1,\"eos\":2,\"unk\":3},\"hash\":\"00\"}", "hash"},
        {"{\"type\":\"gpt2\",\"tokenizer\":\"gpt2-byte-bpe\",\"tokens\":[\"a\"],\"special\":{\"pad\":0,\"bos\":0,\"eos\":0}}", "merges"},
        {"{\"type\":\"gpt2\",\"tokenizer\":\"gpt2-byte-bpe\",\"tokens\":[\"a\"],\"special\":{\"pad\":0,\"bos\":0,\"eos\":0},\"merges\":[]}", "no token for byte"},
        {"{\"type\":\"bert\",\"tokenizer\":\"bert-uncased-wordpiece\",\"tokens\":[\"a\"],\"special\":{\"pad\":0,\"bos\":0,\"eos\":0}}", "unk"}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        capt_err err = CAPT_ERR_INIT;
        json_t *o = json_loads(rows[i][0], 0, NULL);
        assert_non_null(o);
        assert_null(capt_vocab_from_json(o, "v.json", &err));
        if (strncmp(err.text, "v.json: ", 8) != 0 || !strstr(err.text, rows[i][1]))
            fail_msg("row %d: %s", (int)i, err.text);
        json_decref(o);
    }
    json_t *doc = load_golden(), *part = json_object_get(doc, "bpe"); /* merges of tokens that are not there */
    static const char *const merge[] = {"q", "q zzz", "a b c", "\u0120 a"};
    for (int i = 0; i < 4; i++) {
        capt_err err = CAPT_ERR_INIT;
        json_t *m = json_deep_copy(json_object_get(part, "merges"));
        json_array_append_new(m, json_string(merge[i]));
        json_t *o = json_pack("{s:s,s:s,s:{s:i,s:i,s:i},s:O,s:o}", "type", "gpt2", "tokenizer", "gpt2-byte-bpe", "special", "pad", 0, "bos", 0, "eos",
                              0, "tokens", json_object_get(part, "tokens"), "merges", m);
        assert_null(capt_vocab_from_json(o, "v.json", &err));
        assert_non_null(strstr(err.text, "merge "));
        json_decref(o);
    }
    json_decref(doc);
}

static void tags(void **state)
{
    static const char *const tag[] = {"dog", "traffic light", "od[d]\ntag", ""};
    capt_str s = {0};
    capt_tags_text(tag, 4, &s);
    assert_string_equal(s.s, "[dog] [traffic light] [od d  tag] []");
    capt_arena *a = capt_arena_new(0);
    const char **back;
    int n, m;
    capt_err err = CAPT_ERR_INIT;
    assert_int_equal(capt_tags_parse(s.s, a, &back, &n, "t", &err), 0);
    assert_int_equal(n, 4);
    assert_string_equal(back[1], "traffic light");
    assert_int_equal(capt_tags_parse("  ", a, &back, &n, "t", &err), 0);
    assert_int_equal(n, 0);
    static const char *const wrong[] = {"dog", "[dog", "[dog] x", "[a[b]]", "]"};
    for (int i = 0; i < 5; i++) {
        capt_err e = CAPT_ERR_INIT;
        assert_int_equal(capt_tags_parse(wrong[i], a, &back, &n, "t", &e), -1);
    }
    capt_vocab *v = small();
    static const char *const known[] = {"dog", "cat", "runs a"};
    int32_t ids[8];
    assert_int_equal(capt_tags_encode(v, known, 3, 8, ids, &m, &n, &err), 0);
    assert_int_equal(m, 3);
    assert_int_equal(n, 1);
    assert_int_equal(ids[0], 5);
    assert_int_equal(ids[1], 6);
    assert_int_equal(ids[2], 4);
    assert_int_equal(capt_tags_encode(v, known, 3, 3, ids, &m, NULL, &err), 0);
    assert_int_equal(m, 3);
    assert_int_equal(capt_tags_encode(v, known, 3, 2, ids, &m, NULL, &err), 0);
    assert_int_equal(m, 1); /* no half tag */
    assert_int_equal(ids[0], 5);
    assert_int_equal(capt_tags_encode(v, known, 0, 2, ids, &m, NULL, &err), 0);
    assert_int_equal(m, 0);
    capt_vocab_free(v);
    capt_arena_free(a);
    capt_str_free(&s);
}

static char *shared_file(const char *name)
{
    const char *dir = getenv("CAPT_SHARED");
    capt_str s = {0};
    capt_str_printf(&s, "%s/data/tokenizers/%s", dir ? dir : "../shared", name);
    return s.s;
}

static void published(void **state)
{
    capt_err err = CAPT_ERR_INIT;
    char *a = shared_file("gpt2_vocab.json"), *b = shared_file("gpt2_merges.txt"), *c = shared_file("bert_base_uncased_vocab.txt");
    capt_vocab *g = capt_vocab_new_gpt2(a, b, &err), *w = capt_vocab_new_bert(c, &err);
    if (!g || !w)
        fail_msg("%s", err.text);
    assert_int_equal(capt_vocab_size(g), 50257);
    assert_int_equal(capt_vocab_eos(g), 50256);
    assert_int_equal(capt_vocab_pad(g), 50256);
    assert_int_equal(capt_vocab_size(w), 30522);
    assert_int_equal(capt_vocab_bos(w), 101);
    json_t *want = json_pack("[i,i,i,i,i,i,i]", 32, 3290, 1595, 470, 1057, 0, 25208); /* by tokenizers 0.23.3 */
    check_ids(g, "A dog doesn't run! \u00bd", want);
    json_decref(want);
    want = json_pack("[i,i,i,i,i,i,i]", 1037, 3899, 2987, 1005, 1056, 2448, 999);
    check_ids(w, "A dog doesn't run!", want);
    json_decref(want);
    capt_vocab_free(g);
    capt_vocab_free(w);
    free(a);
    free(b);
    free(c);
}

static void nothing(void **state) { (void)state; }

int main(void)
{
    cmocka_set_message_output(CM_OUTPUT_TAP);
    char *a = shared_file("gpt2_vocab.json");
    int have = capt_file_exists(a);
    free(a);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(golden), cmocka_unit_test(golden_text), cmocka_unit_test(words), cmocka_unit_test(one_special), cmocka_unit_test(pieces_join),
        cmocka_unit_test(file_and_hash), cmocka_unit_test(damaged), cmocka_unit_test(tags),
        {have ? "published" : "published # SKIP no ../shared/data/tokenizers", have ? published : nothing, NULL, NULL, NULL}};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
