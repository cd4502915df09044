/* clip-featurize beside its two parts alone: reading (JPEG -> pixels) and encoding (pixels -> features), all on the same threads.
 * featurize [-t THREADS] [-b BATCH] [-n IMAGES] [-r ROUNDS] WEIGHTS FOLDER
 * FOLDER holds *.jpg files, taken round and round until there are IMAGES (default 1000). The three take turns; the program's time is from its log, between
 * "start" (weights are there) and "end". Wall and processor seconds, medians of ROUNDS (default 3). Reading and encoding share the same processors, so that the
 * whole cannot beat the sum of both where each uses all of them: the last figure is how near it comes. */
#include <dirent.h>
#include <fcntl.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/mem.h"
#include "base/str.h"
#include "image/jpeg.h"
#include "image/prep.h"
#include "model/checkpoint.h"
#include "op/op.h"
#include "tests/bench/measure.h"

enum { MOST = 50, PROGRAM = 2 };

typedef struct bench {
    capt_pool *pool;
    capt_params ps;
    capt_encoder *e;
    capt_ctx *c;
    capt_prep prep;
    CAPT_VEC(char *) name;
    int dir, n, batch;
    uint8_t *pixels; /* (n,R,R,3) */
    capt_err *err;   /* (n) */
} bench;

static void must(int bad, const capt_err *err)
{
    if (!bad)
        return;
    fprintf(stderr, "featurize: %s\n", err->text);
    exit(1);
}

static void read_one(void *arg, int64_t i, int worker)
{
    bench *b = arg;
    capt_image im = {0};
    (void)worker;
    if (capt_image_load(b->dir, b->name.v[(size_t)i % b->name.n], NULL, &im, &b->err[i]) == 0)
        capt_prep_run(&b->prep, &im, b->pixels + (size_t)i * (size_t)b->e->size * (size_t)b->e->size * 3, &b->err[i]);
    capt_image_free(&im);
}

static void read_all(bench *b)
{
    capt_pool_run(b->pool, b->n, read_one, b);
    for (int i = 0; i < b->n; i++)
        must(b->err[i].code, &b->err[i]);
}

static void encode_all(bench *b)
{
    capt_err err = CAPT_ERR_INIT;
    int64_t R = b->e->size, cells = (int64_t)b->e->grid_rows * b->e->grid_dim;
    capt_real *grid = capt_alloc((size_t)(b->batch * cells) * sizeof *grid);
    for (int at = 0; at < b->n; at += b->batch) {
        int n = b->n - at < b->batch ? b->n - at : b->batch;
        capt_encoded out;
        capt_ctx_reset(b->c);
        capt_encode(b->c, b->e, capt_ctx_upload(b->c, CAPT_U8, CAPT_DIMS(n, R, R, 3), b->pixels + (size_t)(at * R * R * 3)), &out);
        capt_ctx_download(b->c, grid, out.grid->data, (size_t)(n * cells) * sizeof *grid);
        must(capt_ctx_check(b->c, &err), &err);
    }
    free(grid);
}

/* Seconds between the first and the last record of a log, which is removed. */
static double logged(const char *path)
{
    char line[2000];
    double first = 0, last = 0;
    FILE *f = fopen(path, "r");
    while (f && fgets(line, sizeof line, f)) {
        json_t *o = json_loads(line, 0, NULL);
        last = json_number_value(json_object_get(o, "ts"));
        first = first > 0 ? first : last;
        json_decref(o);
    }
    if (f)
        fclose(f);
    remove(path);
    return last - first;
}

static double whole(const bench *b, const char *weights, const char *folder, const char *scratch)
{
    char log[300], store[300], records[300], threads[20], batch[20];
    snprintf(log, sizeof log, "%s/log", scratch);
    snprintf(store, sizeof store, "%s/store", scratch);
    snprintf(records, sizeof records, "%s/records", scratch);
    snprintf(threads, sizeof threads, "%d", n_thread);
    snprintf(batch, sizeof batch, "%d", b->batch);
    FILE *f = fopen(records, "w");
    for (int i = 0; f && i < b->n; i++)
        fprintf(f, "{\"id\":%d,\"file\":\"%s\"}\n", i + 1, b->name.v[(size_t)i % b->name.n]);
    if (f)
        fclose(f);
    pid_t pid = fork();
    if (pid == 0) {
        execl("build/release/bin/clip-featurize", "clip-featurize", "--quiet", "--weights", weights, "--images", folder, "--store", store, "--threads", threads, "--batch", batch,
              "--log", log, records, (char *)NULL);
        _exit(127);
    }
    int status = 0;
    waitpid(pid, &status, 0);
    remove(store);
    remove(records);
    if (status) {
        fprintf(stderr, "featurize: clip-featurize failed\n");
        exit(1);
    }
    return logged(log);
}

static double processor(int who)
{
    struct rusage u;
    getrusage(who, &u);
    return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) + 1e-6 * (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec);
}

static double wall(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

int main(int argc, char **argv)
{
    static const char *const title[3] = {"reading alone", "encoding alone", "clip-featurize"};
    bench b = {.n = 1000, .batch = 8};
    int rounds = 3, k;
    n_thread = 2;
    while ((k = getopt(argc, argv, "t:b:n:r:")) != -1) {
        int v = atoi(optarg ? optarg : "0");
        *(k == 't' ? &n_thread : k == 'b' ? &b.batch : k == 'n' ? &b.n : &rounds) = v;
    }
    if (argc - optind != 2 || n_thread < 1 || b.batch < 1 || b.n < 1 || rounds < 1 || rounds > MOST) {
        fprintf(stderr, "usage: featurize [-t THREADS] [-b BATCH] [-n IMAGES] [-r ROUNDS] WEIGHTS FOLDER\n");
        return 2;
    }
    const char *weights = argv[optind], *folder = argv[optind + 1];
    capt_err err = CAPT_ERR_INIT;
    char hash[33], scratch[] = "/tmp/capt-featurize.XXXXXX";
    json_t *prep = NULL;
    must(!mkdtemp(scratch) && capt_fail_errno(&err, "%s", scratch), &err);
    b.dir = open(folder, O_RDONLY | O_DIRECTORY);
    DIR *d = b.dir < 0 ? NULL : opendir(folder);
    must(!d && capt_fail_errno(&err, "%s", folder), &err);
    for (struct dirent *e = readdir(d); e; e = readdir(d))
        if (strlen(e->d_name) > 4 && !strcmp(e->d_name + strlen(e->d_name) - 4, ".jpg")) {
            char *copy = capt_strdup(e->d_name);
            capt_vec_push(&b.name, copy);
        }
    closedir(d);
    must(b.name.n == 0 && capt_fail(&err, CAPT_EDATA, "%s: no *.jpg", folder), &err);
    b.pool = capt_pool_new(n_thread, &err);
    capt_backend *be = b.pool ? capt_backend_cpu_new(b.pool, &err) : NULL;
    must(!be, &err);
    capt_params_init(&b.ps, be, CAPT_F32, 0);
    b.e = capt_encoder_load(weights, &b.ps, hash, &prep, &err);
    must(!b.e || capt_prep_from_json(prep, &b.prep, weights, &err), &err);
    b.c = capt_ctx_new(be, CAPT_F32, &err);
    b.pixels = capt_try_alloc64((size_t)b.n * (size_t)b.e->size * (size_t)b.e->size * 3, &err);
    must(!b.c || !b.pixels, &err);
    b.err = capt_alloc((size_t)b.n * sizeof *b.err);
    double t[3][MOST], cpu[3][MOST], share[MOST], sum[MOST];
    for (int r = 0; r < rounds; r++) {
        for (k = 0; k < 3; k++) {
            int who = k == PROGRAM ? RUSAGE_CHILDREN : RUSAGE_SELF;
            double t0 = wall(), c0 = processor(who);
            if (k == PROGRAM)
                t[k][r] = whole(&b, weights, folder, scratch);
            else {
                (k ? encode_all : read_all)(&b);
                t[k][r] = wall() - t0;
            }
            cpu[k][r] = processor(who) - c0;
        }
        share[r] = fmax(t[0][r], t[1][r]) / t[2][r];
        sum[r] = (t[0][r] + t[1][r]) / t[2][r];
    }
    rmdir(scratch);
    printf("%s, %d images of %zu files, %d threads, batches of %d: medians of %d rounds\n", b.e->type->name, b.n, b.name.n, n_thread, b.batch, rounds);
    for (k = 0; k < 3; k++) {
        double s = middle(t[k], rounds);
        printf("%-15s %8.2f s wall %8.2f s processor %8.1f images/s\n", title[k], s, middle(cpu[k], rounds), b.n / s);
    }
    printf("of the speed of the slower part alone %.0f%%; of what both parts one behind the other would take %.0f%%\n", 100 * middle(share, rounds), 100 / middle(sum, rounds));
    return 0;
}
