/* A stream of pictures to captions as a user runs it: capt-beam with a GPT-2 small over the 49 cells of a ViT-B/32, beam 5, 20 words, start to end.
 * captions [-t THREADS] [-n PICTURES] [-b BATCH] [-r ROUNDS] FOLDER WORK
 * FOLDER holds *.jpg files, taken round and round until there are PICTURES (default 64). The weights, random and of the right shapes, are written to the folder WORK
 * (made if it is not there), where they are not there yet: captioner.ckpt (f32, 50,257 words) and encoder.safetensors (halves, public names), 680 MB. PEER is a command that runs Python with
 * torch and Pillow ("python3"): tests/bench/peers/torch_captions.py then does the same with the same weights. Rows f32 and bf16 in turns with the peer's; medians of
 * ROUNDS (default 3): wall and processor seconds of the whole program, of that until the weights are there, pictures/s from then on, and most memory. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/bf16.h"
#include "base/mem.h"
#include "base/str.h"
#include "model/checkpoint.h"
#include "tests/bench/measure.h"

enum { WORDS = 50257, MOST = 20, COLUMNS = 6 };

static void must(int bad, const capt_err *err)
{
    if (!bad)
        return;
    fprintf(stderr, "captions: %s\n", err->text);
    exit(1);
}

static capt_vocab *words(void)
{
    char **w = capt_alloc(WORDS * sizeof *w);
    capt_err err = CAPT_ERR_INIT;
    for (int i = 0; i < WORDS - 4; i++) {
        w[i] = capt_alloc(12);
        snprintf(w[i], 12, "w%d", i);
    }
    capt_vocab *v = capt_vocab_new_words((const char *const *)w, NULL, WORDS - 4, &err);
    must(!v, &err);
    for (int i = 0; i < WORDS - 4; i++)
        free(w[i]);
    free(w);
    return v;
}

static void write_captioner(const char *path, capt_backend *be)
{
    capt_err err = CAPT_ERR_INIT;
    json_t *config = json_pack("{s:s, s:s, s:i, s:i, s:i}", "type", "gpt2", "feature", "grid", "feature_dim", 768, "feature_rows", 49, "tokens", 0);
    capt_model *m = capt_model_new(config, words(), NULL, be, CAPT_F32, 1, &err);
    must(!m || capt_checkpoint_save(path, m, 0, NULL, &err), &err);
    capt_model_free(m);
    json_decref(config);
}

/* (rows,a,b) -> (rows,b,a), as halves */
static uint16_t *halves(const capt_real *x, int64_t rows, int64_t a, int64_t b)
{
    uint16_t *h = capt_alloc((size_t)(rows * a * b) * sizeof *h);
    for (int64_t r = 0; r < rows; r++)
        for (int64_t i = 0; i < a; i++)
            for (int64_t j = 0; j < b; j++)
                h[(r * b + j) * a + i] = capt_f16_from_f32((float)x[(r * a + i) * b + j]);
    return h;
}

static void write_encoder(const char *path, capt_backend *be)
{
    capt_err err = CAPT_ERR_INIT;
    capt_params ps;
    capt_params_init(&ps, be, CAPT_F32, 2);
    json_t *config = json_pack("{s:s}", "type", "clip-vit");
    capt_encoder *e = capt_encoder_new(config, &ps, &err);
    must(!e, &err);
    capt_st_writer *w = capt_st_writer_new();
    CAPT_VEC(void *) kept = {0};
    for (int i = 0; i < ps.n; i++) {
        const capt_param *p = ps.v[i];
        const char *ours = strchr(p->name, '.') + 1;
        int64_t n = capt_tensor_numel(&p->t), d[4] = {p->t.dim[0], p->t.dim[1], p->t.dim[2], p->t.dim[3]};
        int ndim = p->t.ndim;
        capt_real *x = capt_alloc((size_t)n * sizeof *x);
        capt_param_get(&ps, p, x);
        uint16_t *h;
        if (ndim == 4) { /* (N,kh,kw,C) -> (N,C,kh,kw) */
            h = halves(x, d[0], d[1] * d[2], d[3]);
            d[3] = d[2], d[2] = d[1], d[1] = p->t.dim[3];
        } else if (!strcmp(ours, "proj")) {
            h = halves(x, 1, d[0], d[1]);
            d[0] = p->t.dim[1], d[1] = p->t.dim[0];
        } else {
            h = halves(x, 1, 1, n);
            if (!strcmp(ours, "class_embedding"))
                ndim = 1, d[0] = n;
        }
        char name[120];
        snprintf(name, sizeof name, "visual.%s", ours);
        must(capt_st_writer_add(w, name, CAPT_F16, ndim, d, h, &err), &err);
        capt_vec_push(&kept, h);
        free(x);
    }
    must(capt_st_writer_finish(w, path, &err), &err);
    for (size_t i = 0; i < kept.n; i++)
        free(kept.v[i]);
    capt_vec_free(&kept);
    capt_encoder_free(e);
    capt_params_free(&ps);
    json_decref(config);
}

/* In a process of its own: a program started later counts the memory of the one it is forked from. */
static void write_weights(const char *captioner, const char *encoder)
{
    capt_err err = CAPT_ERR_INIT;
    int status = 0;
    pid_t pid = fork();
    if (pid == 0) {
        capt_backend *be = capt_backend_cpu_new(NULL, &err);
        must(!be, &err);
        if (access(captioner, R_OK))
            write_captioner(captioner, be);
        if (access(encoder, R_OK))
            write_encoder(encoder, be);
        capt_backend_close(be);
        exit(0);
    }
    if (waitpid(pid, &status, 0) != pid || status)
        exit(1);
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static void write_records(const char *path, const char *folder, int n)
{
    capt_err err = CAPT_ERR_INIT;
    CAPT_VEC(char *) name = {0};
    DIR *d = opendir(folder);
    must(!d && capt_fail_errno(&err, "%s", folder), &err);
    for (struct dirent *e = readdir(d); e; e = readdir(d))
        if (strlen(e->d_name) > 4 && !strcmp(e->d_name + strlen(e->d_name) - 4, ".jpg")) {
            char *copy = capt_strdup(e->d_name);
            capt_vec_push(&name, copy);
        }
    closedir(d);
    must(name.n == 0 && capt_fail(&err, CAPT_EDATA, "%s: no *.jpg", folder), &err);
    qsort(name.v, name.n, sizeof *name.v, by_name);
    FILE *f = fopen(path, "w");
    must(!f && capt_fail_errno(&err, "%s", path), &err);
    for (int i = 0; i < n; i++)
        fprintf(f, "{\"id\":%d,\"file\":\"%s\",\"split\":\"test\"}\n", i + 1, name.v[(size_t)i % name.n]);
    must(fclose(f) && capt_fail_errno(&err, "%s", path), &err);
    for (size_t i = 0; i < name.n; i++)
        free(name.v[i]);
    capt_vec_free(&name);
}

static double wall(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* Runs a program whose standard error says "ready after X s, Y s of processor time"; col: wall, processor, ready (wall, processor), pictures/s, MiB. */
static void measure(char *const *argv, int n, const char *said, double col[COLUMNS])
{
    double t0 = wall();
    pid_t pid = fork();
    if (pid == 0) {
        dup2(open(said, O_WRONLY | O_CREAT | O_TRUNC, 0666), 2);
        dup2(open("/dev/null", O_WRONLY), 1);
        execvp(argv[0], argv);
        _exit(127);
    }
    struct rusage u;
    int status = 0;
    if (wait4(pid, &status, 0, &u) != pid || status) {
        fprintf(stderr, "captions: %s failed, see %s\n", argv[0], said);
        exit(1);
    }
    col[0] = wall() - t0;
    col[1] = (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) + 1e-6 * (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec);
    char line[400];
    FILE *f = fopen(said, "r");
    while (f && fgets(line, sizeof line, f)) {
        const char *at = strstr(line, "ready after ");
        if (at && sscanf(at, "ready after %lf s, %lf s", &col[2], &col[3]) != 2)
            col[2] = col[3] = 0;
    }
    if (f)
        fclose(f);
    col[4] = n / (col[0] - col[2]);
    col[5] = (double)u.ru_maxrss / 1024;
}

int main(int argc, char **argv)
{
    int n = 64, batch = 32, rounds = 3, k;
    n_thread = 2;
    while ((k = getopt(argc, argv, "t:n:b:r:")) != -1) {
        int v = atoi(optarg ? optarg : "0");
        *(k == 't' ? &n_thread : k == 'n' ? &n : k == 'b' ? &batch : &rounds) = v;
    }
    if (argc - optind != 2 || n_thread < 1 || n < 1 || batch < 1 || rounds < 1 || rounds > MOST) {
        fprintf(stderr, "usage: captions [-t THREADS] [-n PICTURES] [-b BATCH] [-r ROUNDS] FOLDER WORK\n");
        return 2;
    }
    const char *folder = argv[optind], *work = argv[optind + 1], *peer = getenv("PEER");
    char captioner[400], encoder[400], records[400], out[400], said[400], threads[20], images[20], command[1000];
    snprintf(captioner, sizeof captioner, "%s/captioner.ckpt", work);
    snprintf(encoder, sizeof encoder, "%s/encoder.safetensors", work);
    snprintf(records, sizeof records, "%s/records.ndjson", work);
    snprintf(out, sizeof out, "%s/captions.ndjson", work);
    snprintf(said, sizeof said, "%s/said", work);
    snprintf(threads, sizeof threads, "%d", n_thread);
    snprintf(images, sizeof images, "%d", batch);
    snprintf(command, sizeof command, "exec %s tests/bench/peers/torch_captions.py \"$@\"", peer ? peer : "");
    capt_err err = CAPT_ERR_INIT;
    must(mkdir(work, 0777) && errno != EEXIST && capt_fail_errno(&err, "%s", work), &err);
    write_weights(captioner, encoder);
    write_records(records, folder, n);
    printf("%d pictures, %d threads, batches of %d, medians of %d: wall and processor s, ready after (wall, processor s), pictures/s from then on, MiB\n", n, n_thread, batch, rounds);
    static const char *const type[] = {"f32", "bf16"};
    for (int c = 0; c < 2; c++) {
        double col[2][COLUMNS][MOST], one[COLUMNS];
        char *const mine[] = {"build/release/bin/capt-beam", "-v", "--model", captioner, "--encoder", encoder, "--images", (char *)(uintptr_t)folder, "--beam", "5", "--max-words", "20",
                              "--compute", (char *)(uintptr_t)type[c], "--threads", threads, "--batch", images, "--out", out, records, NULL};
        char *const theirs[] = {"sh", "-c", command, "sh", captioner, encoder, (char *)(uintptr_t)folder, records, (char *)(uintptr_t)type[c], threads, images, NULL};
        int sides = peer && *peer ? 2 : 1;
        for (int r = 0; r < rounds; r++)
            for (int side = 0; side < sides; side++) {
                measure(side ? theirs : mine, n, said, one);
                for (k = 0; k < COLUMNS; k++)
                    col[side][k][r] = one[k];
            }
        for (int side = 0; side < sides; side++) {
            printf("%-4s %-9s", type[c], side ? "PyTorch" : "capt-beam");
            for (k = 0; k < COLUMNS; k++)
                printf(" %9.2f", middle(col[side][k], rounds));
            printf("\n");
        }
    }
    return 0;
}
