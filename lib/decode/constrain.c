#include "decode/constrain.h"
#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include "base/mem.h"
#include "base/str.h"

typedef struct phrase { int32_t *ids; int n, word, first; } phrase; /* first: at the beginning of a caption only */
typedef CAPT_VEC(phrase) phrases;

struct capt_constrain {
    phrases require, forbid;
    int n_words, all;
    int *length;           /* (n_words) tokens of each word: of its longer phrase */
    unsigned char *begins; /* (V) 1: the token is no continuation of the word before */
};

static int is_blank_first(const char *token)
{
    return !strncmp(token, "\u0120", strlen("\u0120")); /* how GPT-2 writes the blank before a word */
}

static int begins_word(const capt_vocab *v, const char *token)
{
    unsigned char c = (unsigned char)*token;
    if (!strcmp(capt_vocab_type(v), "gpt2"))
        return is_blank_first(token) || (c < 0x80 && !isalnum(c));
    return strcmp(capt_vocab_type(v), "bert") != 0 || strncmp(token, "##", 2) != 0;
}

enum { MOST = 64 };

static int encode(const capt_vocab *v, const char *text, int32_t *ids, const char *word, capt_err *err)
{
    int n = 0;
    if (capt_vocab_encode(v, text, MOST, ids, &n, err))
        return -1;
    for (int i = 0; i < n; i++)
        if (ids[i] == capt_vocab_unk(v))
            return capt_fail(err, CAPT_EDATA, "\"%s\" is not in the model's vocabulary", word);
    return n;
}

static void add(phrases *to, const int32_t *ids, int n, int word, int first)
{
    phrase p = {capt_alloc((size_t)n * sizeof *p.ids), n, word, first};
    memcpy(p.ids, ids, (size_t)n * sizeof *ids);
    capt_vec_push(to, p);
}

/* The phrases of a word: GPT-2 writes a word behind another with the blank before it. */
static int add_word(phrases *to, const capt_vocab *v, const char *word, int number, capt_err *err)
{
    int32_t ids[MOST];
    int blank = !strcmp(capt_vocab_type(v), "gpt2");
    for (int first = blank; first >= 0; first--) {
        capt_str text = {0};
        capt_str_printf(&text, first < blank ? " %s" : "%s", word);
        int n = encode(v, text.s, ids, word, err);
        capt_str_free(&text);
        if (n < 0)
            return -1;
        if (n == 0)
            return capt_fail(err, CAPT_EDATA, "\"%s\" is no word", word);
        if (n > CAPT_REQUIRED_MOST)
            return capt_fail(err, CAPT_EDATA, "\"%s\" has more than %d tokens", word, CAPT_REQUIRED_MOST);
        add(to, ids, n, number, first);
    }
    return 0;
}

capt_constrain *capt_constrain_new(const capt_vocab *v, const char *const *require, int n_require, const char *const *forbid, int n_forbid, capt_err *err)
{
    capt_constrain *c = capt_alloc(sizeof *c);
    int V = capt_vocab_size(v), rc = 0;
    c->begins = capt_alloc((size_t)V + 1);
    c->length = capt_alloc(((size_t)n_require + 1) * sizeof *c->length);
    for (int i = 0; i < V; i++)
        c->begins[i] = (unsigned char)begins_word(v, capt_vocab_token(v, i));
    for (int i = 0; i < n_require && !rc; i++) {
        int twice = 0;
        for (int k = 0; k < i; k++)
            twice |= !strcmp(require[k], require[i]);
        if (!twice)
            rc = add_word(&c->require, v, require[i], c->n_words++, err);
    }
    for (int i = 0; i < n_forbid && !rc; i++)
        rc = add_word(&c->forbid, v, forbid[i], i, err);
    for (size_t i = 0; i < c->require.n; i++) {
        const phrase *p = &c->require.v[i];
        if (p->n > c->length[p->word])
            c->length[p->word] = p->n;
    }
    for (int i = 0; i < c->n_words; i++)
        c->all += c->length[i];
    if (!rc && c->all > CAPT_REQUIRED_MOST)
        rc = capt_fail(err, CAPT_EDATA, "the required words have %d tokens, more than %d", c->all, CAPT_REQUIRED_MOST);
    if (!rc)
        return c;
    capt_constrain_free(c);
    return NULL;
}

void capt_constrain_free(capt_constrain *c)
{
    if (!c)
        return;
    for (size_t i = 0; i < c->require.n; i++)
        free(c->require.v[i].ids);
    for (size_t i = 0; i < c->forbid.n; i++)
        free(c->forbid.v[i].ids);
    capt_vec_free(&c->require);
    capt_vec_free(&c->forbid);
    free(c->length);
    free(c->begins);
    free(c);
}

int capt_constrain_all(const capt_constrain *c)
{
    return c->all;
}

int capt_constrain_choices(const capt_constrain *c)
{
    int n = 0;
    for (size_t i = 0; i < c->require.n; i++)
        n += c->require.v[i].n;
    return n;
}

/* The first m tokens of p are the last m of the caption. */
static int stands(const phrase *p, int m, const int32_t *ids, int n)
{
    return m <= n && (!p->first || m == n) && !memcmp(ids + n - m, p->ids, (size_t)m * sizeof *ids);
}

static int is_met(const capt_constrain *c, int word, const int32_t *ids, int n)
{
    for (size_t i = 0; i < c->require.n; i++) {
        const phrase *p = &c->require.v[i];
        for (int end = p->n; p->word == word && end <= n; end++)
            if (stands(p, p->n, ids, end) && (end == n || c->begins[ids[end]]))
                return 1;
    }
    return 0;
}

/* The longest beginning of an unmet word with which the caption ends */
static int begun(const phrase *p, const int32_t *ids, int n)
{
    int m = p->n - 1;
    while (m > 0 && !stands(p, m, ids, n))
        m--;
    return m;
}

int capt_constrain_covered(const capt_constrain *c, const int32_t *ids, int n)
{
    int have = 0, most = 0;
    for (int w = 0; w < c->n_words; w++) {
        int met = is_met(c, w, ids, n);
        have += met ? c->length[w] : 0;
        for (size_t i = 0; i < c->require.n && !met; i++)
            if (c->require.v[i].word == w && begun(&c->require.v[i], ids, n) > most)
                most = begun(&c->require.v[i], ids, n);
    }
    return have + most;
}

int capt_constrain_next(const capt_constrain *c, const int32_t *ids, int n, int32_t *wanted)
{
    int k = 0;
    for (int w = 0; w < c->n_words; w++) {
        int met = is_met(c, w, ids, n);
        for (size_t i = 0; i < c->require.n && !met; i++) {
            const phrase *p = &c->require.v[i];
            for (int m = 0; m < p->n && p->word == w; m++) {
                int seen = !stands(p, m, ids, n);
                for (int j = 0; j < k && !seen; j++)
                    seen = wanted[j] == p->ids[m];
                if (!seen)
                    wanted[k++] = p->ids[m];
            }
        }
    }
    return k;
}

void capt_constrain_forbidden(const capt_constrain *c, const int32_t *ids, int n, void (*fn)(void *arg, int32_t token), void *arg)
{
    for (size_t i = 0; i < c->forbid.n; i++) {
        const phrase *p = &c->forbid.v[i];
        if (stands(p, p->n - 1, ids, n))
            fn(arg, p->ids[p->n - 1]);
    }
}
