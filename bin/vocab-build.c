/* vocab-build: caption records -> a vocabulary, and how much of each split it covers. */
#include <stdlib.h>
#include <string.h>
#include "base/arena.h"
#include "base/hash.h"
#include "base/mem.h"
#include "common/prog.h"
#include "record/caption.h"
#include "text/ptb.h"
#include "text/vocab.h"

enum { WORD, GPT2, BERT };
enum { MAX_SPLITS = 32, N_SPECIAL = 4, LONG = 20 /* inputs of a captioner, BOS among them */ };

static int type = WORD;
static int64_t size = 15000, min_count = 1;
static const char *source, *merges, *out_path = "-";

static const capt_opt options[] = {
    {"type", CAPT_O_CHOICE, &type, "word|gpt2|bert", "Kind of vocabulary: words counted here, GPT-2's byte pairs, BERT's word pieces.", 0, 0, 0, 1},
    {"size", CAPT_O_INT, &size, "N", "word: how many words at most, the most frequent ones; four specials come on top.", 1, (1 << 22) - N_SPECIAL, 0, 0},
    {"min-count", CAPT_O_INT, &min_count, "N", "word: how often a word must occur in the training captions.", 1, 1 << 30, 0, 0},
    {"source", CAPT_O_STR, &source, "FILE", "gpt2: the published vocab.json; bert: vocab.txt.", 0, 0, 0, 0},
    {"merges", CAPT_O_STR, &merges, "FILE", "gpt2: the published merges.txt.", 0, 0, 0, 0},
    {"out", CAPT_O_STR, &out_path, "FILE", "The vocabulary (JSON); - is standard output.", 0, 0, 1, 0},
    {0}};

typedef struct word { const char *s; int64_t count; } word;
typedef struct words { /* open addressing: index + 1 */
    word *v;
    size_t n, cap, mask;
    uint32_t *slot;
    capt_arena *arena;
} words;

/* A split: what is known of it when all records have passed. w: its words, of a word vocabulary. */
typedef struct part { char *split; int64_t images, captions, tokens, known, longer; int longest; words w; } part;

typedef struct work {
    capt_prog *p;
    capt_vocab *v; /* NULL while words are counted */
    part part[MAX_SPLITS];
    int n;
    capt_str line;
    int32_t *ids;
} work;
enum { MAX_IDS = 1 << 16 };

static void words_grow(words *w)
{
    size_t slots = w->mask ? (w->mask + 1) * 2 : 4096;
    w->slot = capt_realloc(w->slot, slots * sizeof *w->slot);
    memset(w->slot, 0, slots * sizeof *w->slot);
    w->mask = slots - 1;
    for (size_t i = 0; i < w->n; i++) {
        size_t k = capt_hash64(w->v[i].s, strlen(w->v[i].s)) & w->mask;
        while (w->slot[k])
            k = (k + 1) & w->mask;
        w->slot[k] = (uint32_t)i + 1;
    }
}

static void words_add(words *w, const char *s, size_t n, int64_t count)
{
    if (2 * w->n >= w->mask)
        words_grow(w);
    size_t k = capt_hash64(s, n) & w->mask;
    for (; w->slot[k]; k = (k + 1) & w->mask) {
        word *x = &w->v[w->slot[k] - 1];
        if (strncmp(x->s, s, n) == 0 && !x->s[n]) {
            x->count += count;
            return;
        }
    }
    if (w->n == w->cap) {
        w->cap = w->cap ? 2 * w->cap : 4096;
        w->v = capt_realloc(w->v, w->cap * sizeof *w->v);
    }
    if (!w->arena)
        w->arena = capt_arena_new(0);
    w->v[w->n] = (word){capt_arena_strndup(w->arena, s, n), count};
    w->slot[k] = (uint32_t)++w->n;
}

static void words_free(words *w)
{
    free(w->v);
    free(w->slot);
    capt_arena_free(w->arena);
}

/* Falling count, then bytes. */
static int by_count(const void *a, const void *b)
{
    const word *x = a, *y = b;
    return x->count != y->count ? (x->count < y->count ? 1 : -1) : strcmp(x->s, y->s);
}

static int is_train(const part *t)
{
    return strcmp(t->split, "train") == 0 || strcmp(t->split, "restval") == 0;
}

static int is_special(const char *s)
{
    return !strcmp(s, "<pad>") || !strcmp(s, "<bos>") || !strcmp(s, "<eos>") || !strcmp(s, "<unk>");
}

static part *part_of(work *w, const char *split)
{
    const char *name = split ? split : "(none)";
    for (int i = 0; i < w->n; i++)
        if (strcmp(w->part[i].split, name) == 0)
            return &w->part[i];
    if (w->n == MAX_SPLITS)
        return NULL;
    w->part[w->n].split = capt_strdup(name);
    return &w->part[w->n++];
}

/* Counts a caption's tokens: *n, and those the vocabulary has; words are kept until it is known which these are. */
static int count_tokens(work *w, part *t, const char *caption, int *n, capt_err *err)
{
    *n = 0;
    if (w->v) {
        if (capt_vocab_encode(w->v, caption, MAX_IDS, w->ids, n, err))
            return -1;
        for (int j = 0; j < *n; j++)
            t->known += w->ids[j] != capt_vocab_unk(w->v);
        return 0;
    }
    capt_str_clear(&w->line);
    if (capt_ptb_words(caption, strlen(caption), &w->line, err))
        return -1;
    for (const char *p = w->line.s, *e; p < w->line.s + w->line.n; p = e + 1, ++*n) {
        e = strchrnul(p, ' ');
        words_add(&t->w, p, (size_t)(e - p), 1);
    }
    return 0;
}

static int each_record(void *arg, const capt_caption *c, capt_err *err)
{
    work *w = arg;
    part *t = part_of(w, c->split);
    if (!t)
        return capt_fail(err, CAPT_EDATA, "more than %d different splits", MAX_SPLITS);
    t->images++;
    for (int k = 0; k < c->n_captions; k++) {
        int n;
        if (count_tokens(w, t, c->captions[k], &n, err))
            return -1;
        t->captions++;
        t->tokens += n;
        t->longer += n >= LONG;
        t->longest = n > t->longest ? n : t->longest;
    }
    return 0;
}

/* How many words and which share of the training tokens each threshold would keep. */
static void print_thresholds(const capt_prog *p, const words *w, int64_t total)
{
    static const int at[] = {1, 2, 3, 4, 5, 6, 10, 20};
    capt_prog_note(p, "%8s %10s %10s", "count >=", "words", "of tokens");
    for (size_t i = 0; i < sizeof at / sizeof *at; i++) {
        int64_t sum = 0;
        size_t n = 0;
        for (; n < w->n && w->v[n].count >= at[i]; n++)
            sum += w->v[n].count;
        capt_prog_note(p, "%8d %10zu %9.3f%%", at[i], n, total ? 100.0 * (double)sum / (double)total : 0.0);
    }
}

static capt_vocab *build_words(capt_prog *p, const work *from)
{
    words w = {0};
    capt_vocab *v = NULL;
    const char **s = NULL;
    int64_t *counts = NULL, total = 0;
    size_t n = 0;
    for (int i = 0; i < from->n; i++)
        for (size_t k = 0; is_train(&from->part[i]) && k < from->part[i].w.n; k++)
            words_add(&w, from->part[i].w.v[k].s, strlen(from->part[i].w.v[k].s), from->part[i].w.v[k].count);
    if (w.n)
        qsort(w.v, w.n, sizeof *w.v, by_count);
    for (size_t i = 0; i < w.n; i++)
        total += w.v[i].count;
    s = capt_alloc((w.n + 1) * sizeof *s);
    counts = capt_alloc((w.n + 1) * sizeof *counts);
    for (size_t i = 0; i < w.n && w.v[i].count >= min_count && (int64_t)n < size; i++)
        if (!is_special(w.v[i].s)) {
            s[n] = w.v[i].s;
            counts[n++] = w.v[i].count;
        }
    if (w.n == 0) {
        capt_prog_fail_inputs(p, 0, "no captions in split train or restval");
    } else if (n == 0) {
        capt_fail(&p->err, CAPT_EDATA, "none of %zu words occurs %lld times in the training captions", w.n, (long long)min_count);
    } else {
        print_thresholds(p, &w, total);
        capt_prog_note(p, "%zu of %zu words kept, %zu tokens with the specials", n, w.n, n + N_SPECIAL);
        v = capt_vocab_new_words(s, counts, n, &p->err);
    }
    free(s);
    free(counts);
    words_free(&w);
    return v;
}

/* The tokens of a split that a vocabulary of words has. */
static void count_known(const capt_vocab *v, part *t)
{
    for (size_t k = 0; k < t->w.n; k++)
        if (!is_special(t->w.v[k].s) && capt_vocab_find(v, t->w.v[k].s) >= 0)
            t->known += t->w.v[k].count;
}

static void report_cover(const capt_prog *p, capt_vocab *v, const work *w)
{
    json_t *report = json_object();
    capt_prog_note(p, "%-10s %8s %9s %10s %9s %8s %9s", "split", "images", "captions", "tokens", "unknown", "longest", "over 19");
    for (int i = 0; i < w->n; i++) {
        const part *t = &w->part[i];
        capt_prog_note(p, "%-10s %8lld %9lld %10lld %8.4f%% %8d %8.3f%%", t->split, (long long)t->images, (long long)t->captions, (long long)t->tokens,
                       t->tokens ? 100.0 * (double)(t->tokens - t->known) / (double)t->tokens : 0.0, t->longest,
                       t->captions ? 100.0 * (double)t->longer / (double)t->captions : 0.0);
        json_object_set_new(report, t->split, json_pack("{s:I,s:I,s:I,s:I}", "images", (json_int_t)t->images, "captions", (json_int_t)t->captions,
                                                        "tokens", (json_int_t)t->tokens, "known", (json_int_t)t->known));
    }
    capt_vocab_set_coverage(v, report);
    json_decref(report);
}

/* Public files by the hash of their bytes (base/hash.h), with the SHA-256 they are published under. */
enum { GPT2_VOCAB, GPT2_MERGES, BERT_VOCAB };
static const struct { const char *what, *hash, *sha256; } known[] = {
    {"vocab.json of GPT-2", "907aa883a1f3f2504594f2ded8b31025", "196139668be63f3b5d6574427317ae82f612a97c5d1cdaf36ed2256dbf636783"},
    {"merges.txt of GPT-2", "5caa565dbb3b366be1a102e27c272620", "1ce1664773c50f3e0cc8842619a93edc4624525b728b188a9e0be33b7726adc5"},
    {"vocab.txt of BERT, uncased", "4ebd318f06b4db41a857f65d9522027c", "07eced375cec144d27c900241f3e339478dec958f92fddbc551f295c992038a3"},
};

static int compare_file(const capt_prog *p, const char *path, int i, capt_err *err)
{
    char hash[33];
    if (capt_hash_file(path, hash, err))
        return -1;
    if (strcmp(hash, known[i].hash) == 0)
        capt_prog_note(p, "%s: the published %s, byte for byte (SHA-256 %s)", path, known[i].what, known[i].sha256);
    else
        capt_prog_note(p, "note: %s is not the published %s (SHA-256 %s): models of that vocabulary do not fit", path, known[i].what, known[i].sha256);
    return 0;
}

static capt_vocab *wrap(capt_prog *p)
{
    if (type == GPT2) {
        if (compare_file(p, source, GPT2_VOCAB, &p->err) || compare_file(p, merges, GPT2_MERGES, &p->err))
            return NULL;
        return capt_vocab_new_gpt2(source, merges, &p->err);
    }
    return compare_file(p, source, BERT_VOCAB, &p->err) ? NULL : capt_vocab_new_bert(source, &p->err);
}

static int bad_record(void *arg, capt_err *err)
{
    return capt_prog_bad(arg, err);
}

static int run(capt_prog *p)
{
    if (type != WORD && !source)
        return capt_prog_usage(p, "--type %s needs --source FILE", type == GPT2 ? "gpt2" : "bert");
    if (type == GPT2 && !merges)
        return capt_prog_usage(p, "--type gpt2 needs --merges FILE");
    if ((type == WORD && source) || (type != GPT2 && merges))
        return capt_prog_usage(p, "--%s does not go with --type %s", source && type == WORD ? "source" : "merges", type == WORD ? "word" : "bert");
    work w = {.p = p, .v = type == WORD ? NULL : wrap(p)};
    int bad = type != WORD && !w.v ? -1 : 0, counted = type == WORD || p->argc;
    if (!bad && counted) {
        capt_read_opts o = {.bad = bad_record, .bad_arg = p};
        w.ids = w.v ? capt_alloc(MAX_IDS * sizeof *w.ids) : NULL;
        bad = capt_captions_each((const char *const *)p->argv, (size_t)p->argc, &o, each_record, &w, &p->err);
    }
    if (!bad && type == WORD) {
        w.v = build_words(p, &w);
        bad = w.v ? 0 : -1;
        for (int i = 0; i < w.n && w.v; i++)
            count_known(w.v, &w.part[i]);
    }
    if (!bad && counted)
        report_cover(p, w.v, &w);
    if (!bad)
        bad = capt_vocab_save(w.v, out_path, &p->err);
    if (!bad)
        capt_prog_note(p, "%s vocabulary of %d tokens, hash %s", capt_vocab_type(w.v), capt_vocab_size(w.v), capt_vocab_hash(w.v));
    for (int i = 0; i < w.n; i++) {
        words_free(&w.part[i].w);
        free(w.part[i].split);
    }
    capt_str_free(&w.line);
    free(w.ids);
    capt_vocab_free(w.v);
    return bad;
}

static capt_prog prog = {
    .name = "vocab-build",
    .synopsis = "--type word|gpt2|bert [options] [FILE]",
    .about = "Makes a vocabulary from caption records, or from a published one, and prints how much of each split it covers.",
    .opts = options,
    .groups = CAPT_G_MAXBAD,
    .max_args = 1,
    .run = run,
};
CAPT_MAIN(prog)
