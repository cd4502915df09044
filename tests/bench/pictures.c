/* From JPEG bytes to what an encoder reads, one thread, processor time, beside Pillow.
 * pictures [-s SECONDS] FOLDER
 * FOLDER holds *.jpg files. Rows: decode (JPEG -> RGB), resize (RGB -> 224 x 224 by CLIP's preprocessing: short side, bicubic, centre), jpeg (both), tensor (both,
 * and normalised to floats). A run does all files; medians of about SECONDS (default 5) of runs, at least 5.
 * PEER is a command that runs Python with Pillow ("/usr/bin/python3"): tests/bench/peers/pillow_jobs.py then does the same, run by run in turns, and the ratio of
 * the medians is printed (above 1: the library is faster), with the bytes of the jpeg row that differ, and by how much at most. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/file.h"
#include "base/mem.h"
#include "base/str.h"
#include "image/jpeg.h"
#include "image/prep.h"
#include "tests/bench/measure.h"
#include "tests/bench/peer.h"

enum { SIZE = 224, MOST = 400, LEAST = 5 };
enum row { DECODE, RESIZE, JPEG, TENSOR, ROWS };
static const char *const row_name[ROWS] = {"decode", "resize", "jpeg", "tensor"};

typedef struct picture { char *data; size_t n; capt_image im; } picture;
static CAPT_VEC(picture) pictures;
static unsigned char out[SIZE * SIZE * 3];
static capt_real real[SIZE * SIZE * 3];

static void must(int bad, const capt_err *err)
{
    if (!bad)
        return;
    fprintf(stderr, "pictures: %s\n", err->text);
    exit(1);
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static void load(const char *folder)
{
    capt_err err = CAPT_ERR_INIT;
    CAPT_VEC(char *) name = {0};
    DIR *d = opendir(folder);
    must(!d && capt_fail_errno(&err, "%s", folder), &err);
    for (struct dirent *e = readdir(d); e; e = readdir(d)) {
        size_t n = strlen(e->d_name);
        if (n > 4 && !strcmp(e->d_name + n - 4, ".jpg")) {
            char *copy = capt_strdup(e->d_name);
            capt_vec_push(&name, copy);
        }
    }
    closedir(d);
    must(name.n == 0 && capt_fail(&err, CAPT_EDATA, "%s: no *.jpg", folder), &err);
    qsort(name.v, name.n, sizeof *name.v, by_name);
    for (size_t i = 0; i < name.n; i++) {
        capt_str path = {0};
        picture p = {0};
        capt_str_printf(&path, "%s/%s", folder, name.v[i]);
        p.data = capt_file_read(path.s, 1 << 28, &p.n, &err);
        must(!p.data || capt_jpeg_decode(p.data, p.n, NULL, path.s, &p.im, &err), &err);
        capt_vec_push(&pictures, p);
        capt_str_free(&path);
        free(name.v[i]);
    }
    capt_vec_free(&name);
}

static void run(enum row r, capt_backend *be)
{
    static const float mean[3] = CAPT_CLIP_MEAN, std[3] = CAPT_CLIP_STD;
    capt_err err = CAPT_ERR_INIT;
    capt_prep prep = capt_prep_clip(SIZE);
    for (size_t i = 0; i < pictures.n; i++) {
        const picture *p = &pictures.v[i];
        capt_image im = p->im;
        if (r != RESIZE)
            must(capt_jpeg_decode(p->data, p->n, NULL, "picture", &im, &err), &err);
        if (r != DECODE)
            must(capt_prep_run(&prep, &im, out, &err), &err);
        if (r == TENSOR)
            be->pixels(be, real, out, SIZE * SIZE, mean, std);
        if (r != RESIZE)
            capt_image_free(&im);
    }
}

/* Differences from the peer's file of preprocessed pictures, in the same order. */
static void compare(const char *path)
{
    capt_err err = CAPT_ERR_INIT;
    capt_prep prep = capt_prep_clip(SIZE);
    FILE *f = fopen(path, "rb");
    must(!f && capt_fail_errno(&err, "%s", path), &err);
    int64_t differ = 0, far = 0, files = 0;
    int most = 0;
    for (size_t i = 0; i < pictures.n; i++) {
        static unsigned char theirs[sizeof out];
        must(fread(theirs, 1, sizeof theirs, f) != sizeof theirs && capt_fail(&err, CAPT_EDATA, "%s is short", path), &err);
        must(capt_prep_run(&prep, &pictures.v[i].im, out, &err), &err);
        files += memcmp(out, theirs, sizeof out) != 0;
        for (size_t k = 0; k < sizeof out; k++) {
            int d = abs(out[k] - theirs[k]);
            differ += d > 0;
            far += d > 1;
            most = d > most ? d : most;
        }
    }
    fclose(f);
    remove(path);
    printf("of %zu pictures %lld differ, of their bytes %.4f%% by one level or more, %.4f%% by more, %d at most\n", pictures.n, (long long)files,
           100.0 * (double)differ / ((double)pictures.n * sizeof out), 100.0 * (double)far / ((double)pictures.n * sizeof out), most);
}

int main(int argc, char **argv)
{
    double seconds = 5;
    const char *folder = NULL;
    for (int i = 1; i < argc; i++)
        if (!strcmp(argv[i], "-s") && i + 1 < argc)
            seconds = atof(argv[++i]);
        else
            folder = argv[i];
    if (!folder) {
        fprintf(stderr, "usage: pictures [-s SECONDS] FOLDER\n");
        return 2;
    }
    capt_err err = CAPT_ERR_INIT;
    load(folder);
    capt_pool *pool = capt_pool_new(1, &err);
    capt_backend *be = pool ? capt_backend_cpu_new(pool, &err) : NULL;
    must(!be, &err);
    peer p;
    char line[200];
    int with_peer = peer_start(&p, "tests/bench/peers/pillow_jobs.py", 1, (const char *const[]){folder});
    printf("row, processor time of a picture, pictures/s%s (%zu pictures%s%s)\n", with_peer ? " | the peer's, ratio" : "", pictures.n, with_peer ? ", " : "",
           with_peer ? peer_text(&p, "about", line, sizeof line) : "");
    for (enum row r = 0; r < ROWS; r++) {
        double mine[MOST], theirs[MOST], sum = 0, count = (double)pictures.n;
        int n = 0;
        run(r, be);
        if (with_peer)
            peer_ask(&p, row_name[r]);
        for (; n < MOST && (n < LEAST || sum < seconds); n++) {
            double t0 = now();
            run(r, be);
            mine[n] = now() - t0;
            sum += mine[n];
            if (with_peer)
                theirs[n] = peer_ask(&p, row_name[r]);
        }
        double t = middle(mine, n) / count;
        printf("%-7s %8.3f ms %7.0f/s", row_name[r], 1e3 * t, 1 / t);
        if (with_peer) {
            double other = middle(theirs, n) / count;
            if (other > 0)
                printf("  | %8.3f ms %7.0f/s  ratio %.2f", 1e3 * other, 1 / other, other / t);
        }
        printf("  (%d)\n", n);
        fflush(stdout);
    }
    if (with_peer) {
        char path[200];
        snprintf(path, sizeof path, "%s", peer_text(&p, "save", line, sizeof line));
        compare(path);
        peer_stop(&p);
    }
    return 0;
}
