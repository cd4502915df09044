/* Encoding and decoding of captions beside PyPI's tokenizers, one thread, processor time; counts the captions whose ids or text differ.
 * tokens [-s SECONDS] FOLDER CAPTIONS
 * FOLDER holds gpt2_vocab.json, gpt2_merges.txt and bert_base_uncased_vocab.txt; CAPTIONS is a text, a caption a line. Each row runs once unmeasured
 * and then for about SECONDS (default 2), at least three times; figures are medians.
 * PEER is a command that runs Python with tokenizers: tests/bench/peers/tokenizers_jobs.py then does the same in turns, and the ratio of the medians
 * is printed (above 1: the library is faster), with the number of captions that are encoded, or come back, otherwise. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/file.h"
#include "base/mem.h"
#include "text/vocab.h"
#include "tests/bench/measure.h"
#include "tests/bench/peer.h"

enum { MOST = 200, CAP = 1 << 16 };
static const char *const type_name[] = {"gpt2", "bert"}, *const way_name[] = {"encode", "decode"};

typedef struct job {
    capt_vocab *v;
    char **line; /* (n) */
    size_t n;
    CAPT_VEC(int32_t) ids;
    size_t *at; /* (n+1): ids of line i are at[i] .. at[i+1]-1 */
    capt_str out;
} job;

static void must(int bad, const capt_err *err)
{
    if (!bad)
        return;
    fprintf(stderr, "tokens: %s\n", err->text);
    exit(1);
}

static void encode_all(job *j)
{
    static int32_t ids[CAP];
    capt_err err = CAPT_ERR_INIT;
    j->ids.n = 0;
    for (size_t i = 0; i < j->n; i++) {
        int n;
        must(capt_vocab_encode(j->v, j->line[i], CAP, ids, &n, &err), &err);
        j->at[i] = j->ids.n;
        for (int k = 0; k < n; k++)
            capt_vec_push(&j->ids, ids[k]);
    }
    j->at[j->n] = j->ids.n;
}

static void decode_all(job *j)
{
    for (size_t i = 0; i < j->n; i++) {
        capt_str_clear(&j->out);
        capt_vocab_decode(j->v, j->ids.v + j->at[i], (int)(j->at[i + 1] - j->at[i]), &j->out);
    }
}

/* Ids and text of each caption, for the peer to compare with its own. */
static void dump(job *j, const char *path)
{
    FILE *f = fopen(path, "w");
    for (size_t i = 0; f && i < j->n; i++) {
        capt_str_clear(&j->out);
        capt_vocab_decode(j->v, j->ids.v + j->at[i], (int)(j->at[i + 1] - j->at[i]), &j->out);
        for (size_t k = j->at[i]; k < j->at[i + 1]; k++)
            fprintf(f, k > j->at[i] ? " %d" : "%d", (int)j->ids.v[k]);
        fprintf(f, "\t%s\n", j->out.s);
    }
    if (!f || fclose(f) != 0) {
        perror(path);
        exit(1);
    }
}

static void run_row(job *j, int type, int way, double seconds, peer *p)
{
    double mine[MOST], theirs[MOST], sum = 0;
    int n = 0;
    (way ? decode_all : encode_all)(j);
    if (p)
        peer_ask(p, way_name[way]);
    while (n < MOST && (n < 3 || sum < seconds)) {
        double t0 = now();
        (way ? decode_all : encode_all)(j);
        mine[n] = now() - t0;
        sum += mine[n];
        if (p)
            theirs[n] = peer_ask(p, way_name[way]);
        n++;
    }
    double t = middle(mine, n);
    printf("%s-%s  %8.4f s  %9.0f captions/s", type_name[type], way_name[way], t, (double)j->n / t);
    if (p) {
        double other = middle(theirs, n);
        printf("  | peer %8.4f s  %9.0f captions/s  ratio %.2f", other, (double)j->n / other, other / t);
    }
    printf("  (%d)\n", n);
    fflush(stdout);
}

static void compare(job *j, peer *p)
{
    char path[] = "/tmp/capt-tokens.XXXXXX";
    int fd = mkstemp(path);
    if (fd < 0) {
        perror(path);
        exit(1);
    }
    close(fd);
    dump(j, path);
    capt_str ask = {0};
    capt_str_printf(&ask, "compare %s", path);
    double ids = peer_ask(p, ask.s), text = peer_ask(p, "text");
    printf("captions with other ids %.0f, with another text %.0f, of %zu\n", ids, text, j->n);
    capt_str_free(&ask);
    remove(path);
}

static void read_captions(job *j, const char *path)
{
    capt_err err = CAPT_ERR_INIT;
    size_t n, lines = 0;
    char *s = capt_file_read(path, 0, &n, &err);
    must(!s, &err);
    for (size_t i = 0; i < n; i++)
        lines += s[i] == '\n';
    j->line = capt_alloc((lines + 1) * sizeof *j->line);
    j->at = capt_alloc((lines + 2) * sizeof *j->at);
    for (char *end; j->n < lines; s = end + 1) {
        end = strchr(s, '\n');
        *end = 0;
        j->line[j->n++] = s;
    }
}

int main(int argc, char **argv)
{
    double seconds = 2;
    int a = 1;
    if (argc > 2 && strcmp(argv[1], "-s") == 0) {
        seconds = atof(argv[2]);
        a = 3;
    }
    if (argc - a != 2) {
        fprintf(stderr, "usage: tokens [-s SECONDS] FOLDER CAPTIONS\n");
        return 2;
    }
    job j = {0};
    read_captions(&j, argv[a + 1]);
    for (int type = 0; type < 2; type++) {
        capt_err err = CAPT_ERR_INIT;
        capt_str vocab = {0}, merges = {0};
        capt_str_printf(&vocab, "%s/%s", argv[a], type ? "bert_base_uncased_vocab.txt" : "gpt2_vocab.json");
        capt_str_printf(&merges, "%s/gpt2_merges.txt", argv[a]);
        j.v = type ? capt_vocab_new_bert(vocab.s, &err) : capt_vocab_new_gpt2(vocab.s, merges.s, &err);
        must(!j.v, &err);
        peer p;
        int with_peer = peer_start(&p, "tests/bench/peers/tokenizers_jobs.py", 3, (const char *const[]){type_name[type], argv[a], argv[a + 1]});
        for (int way = 0; way < 2; way++)
            run_row(&j, type, way, seconds, with_peer ? &p : NULL);
        if (with_peer) {
            compare(&j, &p);
            peer_stop(&p);
        }
        capt_vocab_free(j.v);
        capt_str_free(&vocab);
        capt_str_free(&merges);
    }
    return 0;
}
