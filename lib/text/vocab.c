/* Vocabularies: the file, checks, lookups and makers. What differs between kinds is in word.c, bpe.c, wordpiece.c. */
#include "text/vocab.h"
#include <stdlib.h>
#include <string.h>
#include "base/file.h"
#include "base/hash.h"
#include "base/json.h"
#include "base/mem.h"
#include "text/ptb.h"
#include "text/vocab_priv.h"

enum { MAX_TOKENS = 1 << 22 };

static const capt_vocab_kind kinds[] = {
#define CAPT_VOCAB_KIND(x, type, tokenizer) {type, tokenizer, capt_vocab_##x##_prepare, capt_vocab_##x##_encode, capt_vocab_##x##_decode},
#include "text/vocab.def"
#undef CAPT_VOCAB_KIND
};

void capt_vocab_free(capt_vocab *v)
{
    if (!v)
        return;
    json_decref(v->json);
    free(v->tokens);
    free(v->slot);
    free(v->merge);
    free(v->text);
    free(v->text_at);
    free(v);
}

int32_t capt_vocab_find_n(const capt_vocab *v, const char *token, size_t n)
{
    for (size_t i = capt_hash64(token, n) & v->mask; v->slot[i]; i = (i + 1) & v->mask) {
        const char *t = v->tokens[v->slot[i] - 1];
        if (memcmp(t, token, strnlen(t, n)) == 0 && strlen(t) == n)
            return v->slot[i] - 1;
    }
    return -1;
}

static int read_tokens(capt_vocab *v, const char *where, capt_err *err)
{
    json_t *list = capt_json_array(v->json, "tokens", where, err), *t;
    if (!list)
        return -1;
    size_t n = json_array_size(list), i, slots = 16;
    if (n == 0 || n > MAX_TOKENS)
        return capt_fail(err, CAPT_EDATA, "%s: %zu tokens (1 to %d are possible)", where, n, MAX_TOKENS);
    while (slots < 2 * n)
        slots *= 2;
    v->tokens = capt_alloc(n * sizeof *v->tokens);
    v->slot = capt_alloc(slots * sizeof *v->slot);
    v->mask = slots - 1;
    json_array_foreach(list, i, t) {
        const char *s = json_string_value(t);
        if (!s || !*s || strlen(s) != json_string_length(t))
            return capt_fail(err, CAPT_EDATA, "%s: token %zu is not a string of one or more characters", where, i);
        if (capt_vocab_find_n(v, s, strlen(s)) >= 0)
            return capt_fail(err, CAPT_EDATA, "%s: token %zu, \"%.60s\", is there twice", where, i, s);
        size_t k = capt_hash64(s, strlen(s)) & v->mask;
        while (v->slot[k])
            k = (k + 1) & v->mask;
        v->tokens[i] = s;
        v->slot[k] = (int32_t)i + 1;
        v->n = (int32_t)i + 1;
    }
    return 0;
}

static int special(const capt_vocab *v, const json_t *o, const char *key, int required, int32_t *id, const char *where, capt_err *err)
{
    int64_t x = -1;
    if ((required || json_object_get(o, key)) && capt_json_int(o, key, &x, where, err))
        return -1;
    if (x < (required ? 0 : -1) || x >= v->n)
        return capt_fail(err, CAPT_EDATA, "%s: special \"%s\" is %lld, not one of the %d tokens", where, key, (long long)x, v->n);
    *id = (int32_t)x;
    return 0;
}

static void add_field(capt_hasher *h, const char *s) { capt_hasher_add(h, s, strlen(s) + 1); }

static void make_hash(capt_vocab *v)
{
    capt_hasher *h = capt_hasher_new();
    add_field(h, v->kind->type);
    add_field(h, v->kind->tokenizer);
    for (int32_t i = 0; i < v->n; i++)
        add_field(h, v->tokens[i]);
    add_field(h, "");
    size_t i;
    json_t *m;
    json_array_foreach(v->merge ? json_object_get(v->json, "merges") : NULL, i, m)
        add_field(h, json_string_value(m));
    add_field(h, "");
    capt_str s = {0};
    capt_str_printf(&s, "%d %d %d %d", (int)v->pad, (int)v->bos, (int)v->eos, (int)v->unk);
    add_field(h, s.s);
    capt_str_free(&s);
    capt_hasher_end(h, v->hash);
}

static int check(capt_vocab *v, const char *where, capt_err *err)
{
    const char *type, *tokenizer, *hash;
    if (capt_json_str(v->json, "type", &type, where, err) || capt_json_str(v->json, "tokenizer", &tokenizer, where, err))
        return -1;
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (strcmp(kinds[i].type, type) == 0)
            v->kind = &kinds[i];
    if (!v->kind)
        return capt_fail(err, CAPT_EDATA, "%s: unknown type of vocabulary \"%.60s\"", where, type);
    if (strcmp(tokenizer, v->kind->tokenizer) != 0)
        return capt_fail(err, CAPT_EDATA, "%s: made with tokenizer \"%.60s\"; this is \"%s\"", where, tokenizer, v->kind->tokenizer);
    if (read_tokens(v, where, err))
        return -1;
    json_t *s = capt_json_object(v->json, "special", where, err);
    if (!s || special(v, s, "pad", 1, &v->pad, where, err) || special(v, s, "bos", 1, &v->bos, where, err) ||
        special(v, s, "eos", 1, &v->eos, where, err) || special(v, s, "unk", 0, &v->unk, where, err))
        return -1;
    json_t *counts = json_object_get(v->json, "counts");
    if (counts && (!json_is_array(counts) || json_array_size(counts) != (size_t)v->n))
        return capt_fail(err, CAPT_EDATA, "%s: \"counts\" is not a list of %d numbers", where, v->n);
    if (v->kind->prepare(v, v->json, where, err))
        return -1;
    make_hash(v);
    if (json_object_get(v->json, "hash")) {
        if (capt_json_str(v->json, "hash", &hash, where, err))
            return -1;
        if (strcmp(hash, v->hash) != 0)
            return capt_fail(err, CAPT_EDATA, "%s: the hash of the contents is %s, the file says \"%.40s\"", where, v->hash, hash);
    }
    json_object_set_new(v->json, "hash", json_string(v->hash));
    return 0;
}

capt_vocab *capt_vocab_from_json(const json_t *o, const char *where, capt_err *err)
{
    if (!json_is_object(o))
        return capt_fail(err, CAPT_EDATA, "%s: a vocabulary is a JSON object", where), NULL;
    capt_vocab *v = capt_alloc(sizeof *v);
    v->json = json_deep_copy(o);
    v->unk = -1;
    if (check(v, where, err)) {
        capt_vocab_free(v);
        return NULL;
    }
    return v;
}

capt_vocab *capt_vocab_load(const char *path, capt_err *err)
{
    json_t *o = capt_json_load(path, err);
    if (!o)
        return NULL;
    capt_vocab *v = capt_vocab_from_json(o, path, err);
    json_decref(o);
    return v;
}

/* A copy, so that a holder's changes reach nobody's vocabulary. */
json_t *capt_vocab_json(const capt_vocab *v)
{
    return json_deep_copy(v->json);
}

int capt_vocab_save(const capt_vocab *v, const char *path, capt_err *err)
{
    capt_str line = {0};
    capt_out *o = capt_out_open(path, err);
    if (!o)
        return -1;
    int bad = capt_json_line(v->json, &line);
    if (bad)
        capt_fail(err, CAPT_EDATA, "%s: the vocabulary is not UTF-8", path);
    else
        fwrite(line.s, 1, line.n, capt_out_file(o)); /* finish reports a failed write */
    if (!bad && line.n && line.s[line.n - 1] != '\n')
        fputc('\n', capt_out_file(o));
    capt_str_free(&line);
    if (!bad)
        return capt_out_finish(o, err);
    capt_out_abandon(o);
    return -1;
}

const char *capt_vocab_type(const capt_vocab *v) { return v->kind->type; }
int capt_vocab_size(const capt_vocab *v) { return v->n; }
int32_t capt_vocab_pad(const capt_vocab *v) { return v->pad; }
int32_t capt_vocab_bos(const capt_vocab *v) { return v->bos; }
int32_t capt_vocab_eos(const capt_vocab *v) { return v->eos; }
int32_t capt_vocab_unk(const capt_vocab *v) { return v->unk; }
const char *capt_vocab_token(const capt_vocab *v, int32_t id) { return id >= 0 && id < v->n ? v->tokens[id] : NULL; }
int32_t capt_vocab_find(const capt_vocab *v, const char *token) { return capt_vocab_find_n(v, token, strlen(token)); }
const char *capt_vocab_hash(const capt_vocab *v) { return v->hash; }
void capt_vocab_set_coverage(capt_vocab *v, const json_t *coverage)
{
    json_object_set_new(v->json, "coverage", json_deep_copy(coverage));
}

int capt_vocab_encode(const capt_vocab *v, const char *caption, int max, int32_t *ids, int *n, capt_err *err)
{
    *n = 0;
    return v->kind->encode(v, caption, max, ids, n, err);
}

void capt_vocab_decode(const capt_vocab *v, const int32_t *ids, int n, capt_str *out)
{
    int32_t *plain = capt_alloc((size_t)(n > 0 ? n : 1) * sizeof *plain);
    int k = 0;
    for (int i = 0; i < n; i++) {
        int32_t id = ids[i];
        int is_bos = id == v->bos && (i == 0 || v->bos != v->eos);
        if (id == v->eos && !is_bos)
            break;
        if (!is_bos && id != v->pad && id >= 0 && id < v->n)
            plain[k++] = id;
    }
    v->kind->decode(v, plain, k, out);
    free(plain);
}

static capt_vocab *finish(const char *type, const char *tokenizer, json_t *special_ids, json_t *tokens, const char *key, json_t *more,
                          const char *where, capt_err *err)
{
    json_t *o = json_pack("{s:s,s:s,s:o,s:o}", "type", type, "tokenizer", tokenizer, "special", special_ids, "tokens", tokens);
    if (more)
        json_object_set_new(o, key, more);
    capt_vocab *v = capt_vocab_from_json(o, where, err);
    json_decref(o);
    return v;
}

capt_vocab *capt_vocab_new_words(const char *const *words, const int64_t *counts, size_t n, capt_err *err)
{
    json_t *tokens = json_pack("[s,s,s,s]", "<pad>", "<bos>", "<eos>", "<unk>");
    json_t *c = counts ? json_pack("[i,i,i,i]", 0, 0, 0, 0) : NULL;
    for (size_t i = 0; i < n; i++) {
        json_array_append_new(tokens, json_string(words[i]));
        if (c)
            json_array_append_new(c, json_integer(counts[i]));
    }
    return finish("word", CAPT_PTB_ID, json_pack("{s:i,s:i,s:i,s:i}", "pad", 0, "bos", 1, "eos", 2, "unk", 3), tokens, "counts", c, "words", err);
}

/* Lines of a text file, without empty ones at its end, as a JSON list; from the line numbered skip. */
static json_t *read_lines(const char *path, size_t skip, capt_err *err)
{
    size_t n;
    char *s = capt_text_read(path, &n, err);
    if (!s)
        return NULL;
    json_t *list = json_array();
    size_t line = 0;
    for (char *p = s, *end; p < s + n; p = end + 1, line++) {
        end = memchr(p, '\n', (size_t)(s + n - p));
        if (!end)
            end = s + n;
        size_t len = (size_t)(end - p);
        if (len && p[len - 1] == '\r')
            len--;
        if (line < skip || (len == 0 && end + 1 >= s + n))
            continue;
        if (json_array_append_new(list, json_stringn(p, len))) {
            capt_fail(err, CAPT_EDATA, "%s:%zu: not UTF-8", path, line + 1);
            json_decref(list);
            list = NULL;
            break;
        }
    }
    free(s);
    return list;
}

capt_vocab *capt_vocab_new_bert(const char *vocab_path, capt_err *err)
{
    static const char *const name[] = {"[PAD]", "[CLS]", "[SEP]", "[UNK]"}, *const key[] = {"pad", "bos", "eos", "unk"};
    json_t *tokens = read_lines(vocab_path, 0, err), *t, *s = json_object();
    size_t i;
    if (!tokens) {
        json_decref(s);
        return NULL;
    }
    json_int_t at[4] = {-1, -1, -1, -1};
    json_array_foreach(tokens, i, t)
        for (int k = 0; k < 4; k++)
            if (strcmp(json_string_value(t), name[k]) == 0)
                at[k] = (json_int_t)i;
    for (int k = 0; k < 4; k++) {
        json_object_set_new(s, key[k], json_integer(at[k]));
        if (at[k] < 0) {
            capt_fail(err, CAPT_EDATA, "%s: no %s: not a vocabulary of BERT", vocab_path, name[k]);
            json_decref(s);
            json_decref(tokens);
            return NULL;
        }
    }
    return finish("bert", "bert-uncased-wordpiece", s, tokens, NULL, NULL, vocab_path, err);
}

/* {"token":id,...} with ids 0..n-1 -> the list of tokens. */
static json_t *tokens_by_id(const json_t *o, const char *path, capt_err *err)
{
    size_t n = json_object_size(o);
    const char **by_id = capt_alloc((n + 1) * sizeof *by_id), *key;
    json_t *id, *list = NULL;
    if (!json_is_object(o) || n == 0) {
        capt_fail(err, CAPT_EDATA, "%s: not an object of tokens and their numbers", path);
        goto end;
    }
    json_object_foreach((json_t *)(uintptr_t)o, key, id) {
        json_int_t i = json_is_integer(id) ? json_integer_value(id) : -1;
        if (i < 0 || (size_t)i >= n || by_id[i]) {
            capt_fail(err, CAPT_EDATA, "%s: the number of token \"%.60s\" is out of range or there twice", path, key);
            goto end;
        }
        by_id[i] = key;
    }
    list = json_array();
    for (size_t i = 0; i < n; i++)
        json_array_append_new(list, json_string(by_id[i]));
end:
    free(by_id);
    return list;
}

capt_vocab *capt_vocab_new_gpt2(const char *vocab_path, const char *merges_path, capt_err *err)
{
    json_t *o = capt_json_load(vocab_path, err), *tokens = o ? tokens_by_id(o, vocab_path, err) : NULL;
    json_t *merges = tokens ? read_lines(merges_path, 0, err) : NULL, *end = o ? json_object_get(o, "<|endoftext|>") : NULL;
    capt_vocab *v = NULL;
    if (merges && json_array_size(merges) && strncmp(json_string_value(json_array_get(merges, 0)), "#version", 8) == 0)
        json_array_remove(merges, 0);
    if (merges && !end) {
        capt_fail(err, CAPT_EDATA, "%s: no <|endoftext|>: not a vocabulary of GPT-2", vocab_path);
    } else if (merges) {
        json_int_t e = json_integer_value(end);
        v = finish("gpt2", "gpt2-byte-bpe", json_pack("{s:I,s:I,s:I}", "pad", e, "bos", e, "eos", e), json_incref(tokens), "merges",
                   json_incref(merges), merges_path, err);
    }
    json_decref(o);
    json_decref(tokens);
    json_decref(merges);
    return v;
}
