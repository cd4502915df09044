/* GPT-2's weights in and out: a word's row as the mean of its pieces', and the prefix decoder in transformers' layout. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/json.h"
#include "base/mem.h"
#include "model/checkpoint.h"
#include "model/export.h"
#include "model/import.h"

enum { D = 8 };
static char dir[] = "/tmp/exchange_test.XXXXXX";
static const char *const words[] = {"a", "dog", "surfboard", "don't"};

static const char *in(const char *name)
{
    static char s[4][200];
    static int k;
    k = (k + 1) % 4;
    snprintf(s[k], sizeof s[k], "%s/%s", dir, name);
    return s[k];
}

static capt_vocab *word_vocab(void)
{
    capt_vocab *v = capt_vocab_new_words(words, NULL, 4, NULL);
    assert_non_null(v);
    return v;
}

static capt_model *model(capt_backend *be, capt_vocab *v, uint64_t seed)
{
    capt_err err = CAPT_ERR_INIT;
    json_t *config = json_pack("{s:s, s:s, s:i, s:i, s:i, s:i, s:i}", "type", "gpt2", "feature", "global", "feature_dim", 5, "feature_rows", 1, "width", D, "layers", 2,
                               "heads", 2);
    capt_model *m = capt_model_new(config, v, NULL, be, CAPT_F32, seed, &err);
    if (!m)
        fail_msg("%s", err.text);
    json_decref(config);
    return m;
}

static capt_real *get(const capt_model *m, const char *name)
{
    const capt_param *p = capt_param_find(&m->params, name);
    assert_non_null(p);
    capt_real *x = calloc((size_t)capt_tensor_numel(&p->t), sizeof *x);
    capt_param_get(&m->params, p, x);
    return x;
}

static void put(const char *name, const char *text)
{
    FILE *f = fopen(in(name), "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
}

/* vocab.json and merges.txt of the tokenizer's golden; the number of tokens */
static int put_bpe(capt_vocab **bpe)
{
    json_t *doc = capt_json_load("tests/golden/tokens.json", NULL), *part = json_object_get(doc, "bpe"), *ids = json_object(), *t;
    size_t i;
    json_array_foreach(json_object_get(part, "tokens"), i, t)
        json_object_set_new(ids, json_string_value(t), json_integer((json_int_t)i));
    int n = (int)i;
    char *text = json_dumps(ids, JSON_COMPACT);
    put("vocab.json", text);
    free(text);
    FILE *f = fopen(in("merges.txt"), "w");
    json_array_foreach(json_object_get(part, "merges"), i, t)
        fprintf(f, "%s\n", json_string_value(t));
    fclose(f);
    json_decref(ids);
    json_decref(doc);
    *bpe = capt_vocab_new_gpt2(in("vocab.json"), in("merges.txt"), NULL);
    assert_non_null(*bpe);
    return n;
}

/* Every row of the embedding, from a file whose row i is i, i + 1/8, ... */
static void pieces(void **state)
{
    capt_err err = CAPT_ERR_INIT;
    capt_vocab *bpe;
    int rows = put_bpe(&bpe), n = 0, many = 0;
    float *x = calloc((size_t)rows * D, sizeof *x), wpe[D] = {0};
    for (int i = 0; i < rows * D; i++)
        x[i] = (float)i / 8;
    capt_st_writer *w = capt_st_writer_new();
    assert_int_equal(capt_st_writer_add(w, "transformer.wte.weight", CAPT_F32, 2, (const int64_t[]){rows, D}, x, &err), 0);
    assert_int_equal(capt_st_writer_add(w, "transformer.wpe.weight", CAPT_F32, 2, (const int64_t[]){1, D}, wpe, &err), 0);
    assert_int_equal(capt_st_writer_finish(w, in("model.safetensors"), &err), 0);
    capt_backend *be = capt_backend_open("ref", NULL, NULL);
    capt_model *m = model(be, word_vocab(), 3);
    if (capt_import_weights(m, dir, 2, &n, &err))
        fail_msg("%s", err.text);
    assert_int_equal(n, 1);
    capt_real *got = get(m, "wte.weight");
    for (int i = 0; i < 8; i++) {
        int32_t ids[40] = {capt_vocab_eos(bpe)};
        int k = 1;
        char text[40];
        if (i > 3) {
            snprintf(text, sizeof text, " %s", words[i - 4]);
            assert_int_equal(capt_vocab_encode(bpe, text, 40, ids, &k, &err), 0);
        }
        many += k > 1;
        for (int d = 0; d < D; d++) {
            double want = 0;
            for (int p = 0; p < k; p++)
                want += (double)x[ids[p] * D + d] / k;
            assert_true(fabs((double)got[i * D + d] - want) < 1e-4);
        }
    }
    assert_true(many > 0);
    unlink(in("vocab.json"));
    assert_int_equal(capt_import_weights(m, dir, 2, &n, &err), -1);
    assert_non_null(strstr(err.text, "vocab.json and merges.txt beside"));
    unlink(in("merges.txt"));
    unlink(in("model.safetensors"));
    free(got);
    free(x);
    capt_vocab_free(bpe);
    capt_model_free(m);
    capt_backend_close(be);
}

/* What is written in transformers' layout is read back as public weights with the same bits, and the map is the checkpoint's. */
static void round_trip(void **state)
{
    capt_err err = CAPT_ERR_INIT;
    capt_backend *be = capt_backend_open("ref", NULL, NULL);
    capt_model *m = model(be, word_vocab(), 3), *q = model(be, word_vocab(), 4);
    int n = 0;
    assert_int_equal(capt_checkpoint_save(in("m.ckpt"), m, 0, NULL, &err), 0);
    capt_st *st = capt_st_open(in("m.ckpt"), &err);
    if (!st || capt_export_gpt2(st, "m.ckpt", in("out"), &err) || capt_import_gpt2(q, in("out"), 0, &n, &err))
        fail_msg("%s", err.text);
    assert_int_equal(n, m->params.n - 2);
    capt_st *map = capt_st_open(in("out/prefix.safetensors"), &err);
    for (int i = 0; i < m->params.n; i++) {
        const capt_param *p = m->params.v[i];
        size_t all = (size_t)capt_tensor_numel(&p->t);
        capt_real *a = get(m, p->name), *b = get(q, p->name);
        int mapped = !strncmp(p->name, "prefix.", 7);
        if (mapped)
            capt_st_to_real(capt_st_find(map, p->name + 7), b);
        for (size_t k = 0; k < all; k++)
            if ((float)a[k] != (float)b[k])
                fail_msg("%s differs", p->name);
        free(a);
        free(b);
    }
    json_t *o = capt_json_load(in("out/config.json"), &err);
    assert_int_equal(json_integer_value(json_object_get(o, "n_layer")), 2);
    assert_int_equal(json_integer_value(json_object_get(o, "vocab_size")), 8);
    assert_string_equal(json_string_value(json_object_get(o, "activation_function")), "gelu_new");
    json_decref(o);
    capt_st_close(map);
    capt_st_close(st);
    st = capt_st_open(in("out"), &err);
    assert_int_equal(capt_export_gpt2(st, "out", in("again"), &err), -1);
    assert_non_null(strstr(err.text, "not a checkpoint"));
    capt_st_close(st);
    static const char *const left[] = {"out/model.safetensors", "out/prefix.safetensors", "out/config.json", "out/capt.json", "m.ckpt"};
    for (int i = 0; i < 5; i++)
        assert_int_equal(unlink(in(left[i])), 0);
    assert_int_equal(rmdir(in("out")), 0);
    capt_model_free(m);
    capt_model_free(q);
    capt_backend_close(be);
}

static int set_up(void **state) { return mkdtemp(dir) ? 0 : -1; }
static int tear_down(void **state) { return rmdir(dir); }

int main(void)
{
    cmocka_set_message_output(CM_OUTPUT_TAP);
    const struct CMUnitTest tests[] = {cmocka_unit_test(pieces), cmocka_unit_test(round_trip)};
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
