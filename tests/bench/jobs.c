/* Times whole jobs through the library's public calls, random weights and inputs, beside the machine's peak and, where PEER is set, beside PyTorch.
 * jobs [-k] [-t THREADS] [-s SECONDS] [START-OF-A-NAME]...
 * Each row runs in a process of its own (its peak memory is its own), once unmeasured and then for about SECONDS (default 2), at least 5 times; figures are medians,
 * the share of the peak that of each run and the peak just before and after it.
 * -k: below the row the time by kernel.
 * Training rows print their memory as a multiple of what cannot be done without; decoding of one image its weights' bytes beside the memory's read rate; scst rows
 * their time as a multiple of a cross-entropy update on as many captions, the two taking turns.
 * PEER is a command that runs Python with torch ("python3"): tests/bench/peers/torch_jobs.py then does the same job, the two taking turns, and the ratio
 * of the medians is printed (above 1: the library is faster), with the peer's own share of the peak: "void" below 35% on one thread, a peer out of form. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include "base/mem.h"
#include "decode/scorer.h"
#include "op/op.h"
#include "train/optim.h"
#include "train/scst.h"
#include "train/xe.h"

#ifndef CAPT_REAL64
#include "tests/bench/profile.h"
#include "tests/bench/peer.h"

enum kind { TRAIN, BEAM, SCST, ENCODE };
static const char *const kind_name[] = {"train", "beam", "scst", "encode"};
enum { T = 20 }; /* words, BOS included */
typedef struct row {
    const char *name;
    enum kind kind;
    int layers, width, heads, K, dim, V, images; /* K image tokens of a feature row of dim numbers; other captioners than gpt2: K rows */
    double drop, smooth;
    int uneven; /* captions of 8 to 18 words padded to T, as in Flickr8k; else all of T */
    const char *encoder;
    double gmac;       /* of an image */
    const char *model; /* NULL: gpt2 */
} row;
static const row rows[] = {
    {"train-f8k", TRAIN, 6, 384, 6, 4, 1280, 2543, 64, 0.2, 0.1, 1, NULL, 0, NULL},
    {"train-gpt2-15000", TRAIN, 12, 768, 12, 1, 512, 15000, 32, 0.1, 0, 0, NULL, 0, NULL},
    {"train-gpt2-50257", TRAIN, 12, 768, 12, 1, 512, 50257, 32, 0.1, 0, 0, NULL, 0, NULL},
    {"train-vit-15000", TRAIN, 12, 768, 12, 1, 512, 15000, 32, 0.1, 0, 0, "clip-vit", 4.41, NULL},
    {"beam5-gpt2-32", BEAM, 12, 768, 12, 1, 512, 50257, 32, 0, 0, 0, NULL, 0, NULL},
    {"beam5-gpt2-1", BEAM, 12, 768, 12, 1, 512, 50257, 1, 0, 0, 0, NULL, 0, NULL},
    {"scst-f8k", SCST, 6, 384, 6, 4, 1280, 2543, 10, 0.2, 0, 0, NULL, 0, NULL},
    {"train-attend-tell", TRAIN, 0, 512, 0, 49, 320, 2543, 64, 0.5, 0.1, 1, NULL, 0, "attend-tell"},
    {"train-transformer", TRAIN, 6, 512, 8, 49, 2048, 9491, 50, 0.1, 0, 1, NULL, 0, "transformer"},
    {"scst-transformer", SCST, 6, 512, 8, 49, 2048, 9491, 10, 0.1, 0, 0, NULL, 0, "transformer"},
    {"vit-b32", ENCODE, 0, 0, 0, 0, 0, 0, 32, 0, 0, 0, "clip-vit", 4.41, NULL},
    {"rn50", ENCODE, 0, 0, 0, 0, 0, 0, 32, 0, 0, 0, "clip-resnet", 5.79, NULL},
};
enum { SAMPLES = 5, BEAM_WIDTH = 5, PIXELS = 224 };

typedef struct job {
    const row *r;
    capt_dtype dtype;
    capt_backend *be;
    capt_model *m;
    capt_params ps; /* of an encoder alone */
    capt_encoder *e;
    capt_ctx *c;
    capt_scorer *s;
    capt_optim opt;
    capt_input in;
    int64_t step;
    int R;
    int32_t *row_image, *tokens, *targets;
    capt_real *weights;
    double words; /* carrying loss */
    uint64_t *id;
} job;

static void must(int bad, const capt_err *err)
{
    if (!bad)
        return;
    fprintf(stderr, "jobs: %s\n", err->text);
    exit(1);
}

static capt_vocab *words_vocab(int n)
{
    char **w = capt_alloc((size_t)n * sizeof *w);
    capt_err err = CAPT_ERR_INIT;
    for (int i = 0; i < n - 4; i++) {
        w[i] = capt_alloc(12);
        snprintf(w[i], 12, "w%d", i);
    }
    capt_vocab *v = capt_vocab_new_words((const char *const *)w, NULL, (size_t)(n - 4), &err);
    must(!v, &err);
    for (int i = 0; i < n - 4; i++)
        free(w[i]);
    free(w);
    return v;
}

static void job_new(job *j, capt_backend *be, const row *r, capt_dtype dtype)
{
    capt_err err = CAPT_ERR_INIT;
    *j = (job){.r = r, .be = be, .dtype = dtype, .opt = {0.9, 0.999, 1e-8, 0.01, 1, 0}, .R = r->kind == SCST ? r->images * SAMPLES : r->images};
    j->c = capt_ctx_new(be, dtype, &err);
    must(!j->c, &err);
    j->in.n_images = r->images;
    json_t *encoder = r->encoder ? json_pack("{s:s}", "type", r->encoder) : NULL;
    if (encoder) {
        size_t n = (size_t)r->images * PIXELS * PIXELS * 3;
        uint8_t *pixels = capt_alloc(n);
        for (size_t i = 0; i < n; i++)
            pixels[i] = (uint8_t)(i * 2654435761u >> 24);
        j->in.pixels = pixels;
        j->in.px = PIXELS;
    }
    if (r->kind == ENCODE) {
        capt_params_init(&j->ps, be, dtype, 1);
        j->e = capt_encoder_new(encoder, &j->ps, &err);
        json_decref(encoder);
        must(!j->e, &err);
        return;
    }
    int S = r->model ? r->K : 1; /* feature rows */
    json_t *config = json_pack("{s:s, s:s, s:i, s:i, s:i, s:i, s:f}", "type", r->model ? r->model : "gpt2", "feature", r->model ? "grid" : "global", "feature_dim", r->dim,
                               "feature_rows", S, "width", r->width, "words", T, "dropout", r->drop);
    if (r->layers)
        json_object_update_new(config, json_pack("{s:i, s:i}", "layers", r->layers, "heads", r->heads));
    if (!r->model)
        json_object_set_new(config, "tokens", json_integer(r->K));
    j->m = capt_model_new(config, words_vocab(r->V), encoder, be, dtype, 1, &err);
    json_decref(config);
    json_decref(encoder);
    must(!j->m, &err);
    if (!r->encoder) {
        size_t n = (size_t)r->images * (size_t)S * (size_t)r->dim;
        capt_real *feat = capt_alloc(n * sizeof *feat);
        for (size_t i = 0; i < n; i++)
            feat[i] = (capt_real)(i * 7919 % 2003) * (capt_real)1e-3 - 1;
        j->in.feat = feat;
        j->in.S = S;
        j->in.D = r->dim;
    }
    size_t cells = (size_t)j->R * T;
    j->row_image = capt_alloc((size_t)j->R * sizeof *j->row_image);
    j->id = capt_alloc((size_t)j->R * sizeof *j->id);
    j->tokens = capt_alloc(cells * sizeof *j->tokens);
    j->targets = capt_alloc(cells * sizeof *j->targets);
    j->weights = capt_alloc(cells * sizeof *j->weights);
    for (int q = 0; q < j->R; q++) {
        j->row_image[q] = r->kind == SCST ? q / SAMPLES : q;
        j->id[q] = (uint64_t)q;
        int len = r->uneven ? 8 + q * 7 % 11 : T;
        for (int t = 0; t < T; t++) {
            int k = q * T + t;
            j->tokens[k] = t ? 4 + (k * 7919) % (r->V - 4) : 1;
            j->targets[k] = 4 + ((k + 1) * 7919) % (r->V - 4);
            j->weights[k] = t < len;
            j->words += t < len;
        }
    }
    if (r->kind == BEAM || r->kind == SCST) {
        j->s = capt_scorer_model(j->m, NULL, &err);
        must(!j->s, &err);
    }
    if (r->kind != BEAM)
        must(capt_params_train(&j->m->params, "", 1, &err), &err);
}

static int some_reward(void *arg, const capt_rated *c, int n, double *reward, capt_err *err)
{
    for (int i = 0; i < n; i++)
        reward[i] = (double)((strlen(c[i].caption) + (size_t)c[i].image) % 7);
    return 0;
}

/* a cross-entropy update on the job's captions */
static void job_xe(job *j)
{
    capt_err err = CAPT_ERR_INIT;
    double loss;
    capt_rows b = {j->R, T, j->row_image, j->tokens, j->targets, j->weights, 0, 0, 0};
    j->c->training = 1;
    j->c->step = (uint64_t)++j->step;
    must(capt_xe_pass(j->c, j->m, NULL, &j->in, &b, j->words, j->r->smooth, 1, &loss, &err), &err);
    must(capt_optim_step(&j->opt, &j->m->params, 1e-6, NULL, &err), &err);
}

static void job_run(job *j)
{
    capt_err err = CAPT_ERR_INIT;
    j->c->training = j->r->kind == TRAIN || j->r->kind == SCST;
    j->c->step = (uint64_t)++j->step;
    switch (j->r->kind) {
    case TRAIN: job_xe(j); return;
    case SCST: {
        capt_scst_opts o = {.samples = SAMPLES, .max_t = T, .temperature = 1, .seed = 1};
        capt_scst_stats st;
        must(capt_scst_pass(j->c, j->m, NULL, j->s, &j->in, j->id, j->step, &o, some_reward, NULL, &st, &err), &err);
        must(capt_optim_step(&j->opt, &j->m->params, 1e-6, NULL, &err), &err);
        return;
    }
    case BEAM: {
        capt_beam_opts o = {.beam = BEAM_WIDTH, .nbest = 1, .max_t = T};
        capt_found *found = capt_alloc((size_t)j->r->images * sizeof *found);
        must(capt_beam_run(j->s, &j->in, &o, found, &err), &err);
        capt_found_free(found, j->r->images);
        free(found);
        return;
    }
    case ENCODE: {
        capt_encoded out;
        capt_real *y = capt_alloc((size_t)j->r->images * (size_t)j->e->global_dim * sizeof *y);
        capt_ctx_reset(j->c);
        capt_tensor *u8 = capt_ctx_upload(j->c, CAPT_U8, CAPT_DIMS(j->r->images, PIXELS, PIXELS, 3), j->in.pixels);
        capt_encode(j->c, j->e, u8, &out);
        capt_ctx_download(j->c, y, out.global->data, (size_t)j->r->images * (size_t)j->e->global_dim * sizeof *y);
        must(capt_ctx_check(j->c, &err), &err);
        free(y);
        return;
    }
    }
}

/* Operations of matrix products and attention, a multiply-add being 2. */
typedef struct work { double image, word, head; } work; /* of an image's rows; of a word, attention and all, without the head; the head's */

static work work_of(const row *r)
{
    double D = r->width, S = r->K, head = 2.0 * r->V * D;
    if (!strcmp(r->model, "attend-tell")) /* keys; LSTM, gate, attention: of width, embedding and attention alike */
        return (work){2 * S * r->dim * D, 8 * D * (2 * D + r->dim) + 2 * D * (D + r->dim) + 2 * S * (D + r->dim), head};
    double ff = 4 * D, layers = r->layers; /* transformer: rows through its encoder and to keys and values; words through its decoder */
    return (work){S * (2 * r->dim * D + layers * (2 * (4 * D * D + 2 * D * ff + 2 * D * D) + 4 * S * D)), layers * (2 * (6 * D * D + 2 * D * ff) + 4 * D * (T / 2.0 + S)), head};
}

static double operations_of(const job *j)
{
    const row *r = j->r;
    work w = work_of(r);
    double I = r->images, R = j->R, encode = I * w.image;
    if (r->kind == TRAIN)
        return 3 * (encode + R * T * w.word + j->words * w.head);
    return encode + R * T * (w.word + w.head) + 3 * (encode + R * T * (w.word + w.head)); /* sampled, then taught */
}

static double operations(const job *j)
{
    const row *r = j->r;
    if (r->model)
        return operations_of(j);
    double D = r->width, block = 24.0 * r->layers * D * D, head = 2.0 * r->V * D, S = r->K + T, I = r->images, map = 2.0 * I * r->K * D * r->dim;
    double forward = S * block + r->layers * 2.0 * S * S * D, steps = T * (block + head) + r->layers * 2.0 * S * S * D; /* of a row; half the square of attention is masked */
    switch (r->kind) {
    case TRAIN: return 3 * (I * forward + j->words * head + map + 2e9 * r->gmac * I);
    case SCST: return I * SAMPLES * (steps + 3 * (forward + T * head)) + I * r->K * block + 4 * map;
    case BEAM: return I * (BEAM_WIDTH * (T - 1.0) / T + 1.0 / T) * steps + I * r->K * block + map;
    default: return 2e9 * r->gmac * I;
    }
}

/* Bytes a training run of a captioner cannot do without: weights, both moments, gradients, the matrices packed for both directions, and the activations that the
 * backward pass reads: of a block's token the layer norms' inputs and outputs, queries, keys and values, attention's output, the inner layer before and after
 * its activation (16 widths); of a word the gradient by its logits. */
static double needed_bytes(const job *j)
{
    const row *r = j->r;
    double packed = 0, D = r->width, size = j->dtype == CAPT_BF16 && strcmp(j->be->isa, "portable") != 0 ? 2 : 4;
    for (int i = 0; i < j->m->params.n; i++)
        if (j->m->params.v[i]->flags & CAPT_P_MATRIX)
            packed += 2 * size * (double)capt_tensor_numel(&j->m->params.v[i]->t);
    double left = pairs_of_bf16(j->be) ? size : 4; /* of the logits' gradients */
    return 16.0 * (double)capt_params_count(&j->m->params, "") + packed + 4 * (double)j->R * (r->K + T) * D * (16.0 * r->layers + 3) + j->words * r->V * left;
}

/* Bytes that decoding one image reads: the packed matrices, once a step. */
static double read_bytes(const job *j)
{
    const row *r = j->r;
    double D = r->width, size = j->dtype == CAPT_BF16 && strncmp(j->be->isa, "portable", 8) != 0 ? 2 : 4;
    return T * size * (12.0 * r->layers * D * D + (double)r->V * D);
}

/* What a run is counted in. */
static double units(const job *j, const char **name)
{
    *name = j->r->kind == TRAIN ? "words" : "images";
    return j->r->kind == TRAIN ? j->words : j->r->images;
}

static void run_row(const row *r, capt_dtype dtype, double seconds, int by_kernel)
{
    enum { LEAST = 5 };
    capt_err err = CAPT_ERR_INIT;
    const char *type = dtype == CAPT_BF16 ? "bf16" : "f32", *unit;
    char line[600];
    snprintf(line, sizeof line,
             "{\"kind\":\"%s\",\"dtype\":\"%s\",\"threads\":%d,\"layers\":%d,\"width\":%d,\"heads\":%d,\"K\":%d,\"dim\":%d,\"V\":%d,"
             "\"images\":%d,\"drop\":%g,\"smooth\":%g,\"uneven\":%d,\"encoder\":\"%s\",\"T\":%d}",
             kind_name[r->kind], type, n_thread, r->layers, r->width, r->heads, r->K, r->dim, r->V, r->images, r->drop, r->smooth, r->uneven, r->encoder ? r->encoder : "", T);
    peer p;
    int with_peer = !r->model && peer_start(&p, "tests/bench/peers/torch_jobs.py", 1, (const char *const[]){line});
    capt_pool *pool = capt_pool_new(n_thread, &err);
    capt_backend *be = pool ? capt_backend_cpu_new(pool, &err) : NULL;
    must(!be, &err);
    job j;
    job_new(&j, be, r, dtype);
    job_run(&j);
    if (r->kind == SCST)
        job_xe(&j);
    if (with_peer)
        peer_ask(&p, "warm");
    if (by_kernel)
        profile_start(be);
    timed mine = {.n = 0}, theirs = {.n = 0};
    double xe[MOST_RUNS], sum = 0, ops = operations(&j);
    int n = 0, bf16 = dtype == CAPT_BF16;
    while (n < MOST_RUNS && (n < LEAST || sum < seconds)) {
        double before = measure_peak(be, bf16), t0 = now();
        job_run(&j);
        double t = now() - t0;
        timed_add(&mine, t, ops, before, measure_peak(be, bf16));
        sum += t;
        if (r->kind == SCST && !by_kernel) {
            t0 = now();
            job_xe(&j);
            xe[n] = now() - t0;
        }
        if (with_peer) {
            before = measure_peak(be, bf16);
            t = peer_ask(&p, "run");
            timed_add(&theirs, t, ops, before, measure_peak(be, bf16));
        }
        n++;
    }
    double t = middle(mine.t, n), top = middle(mine.peak, n), count = units(&j, &unit);
    struct rusage use;
    getrusage(RUSAGE_SELF, &use);
    printf("%-17s %-4s %d  %8.4f s  %8.1f %-6s/s  %6.1f GF/s", r->name, type, n_thread, t, count / t, unit, ops / t * 1e-9);
    if (top > 0)
        printf(" %3.0f%% of %.0f", 100 * middle(mine.share, n), top);
    printf("  %5ld MB", use.ru_maxrss / 1024);
    if (r->kind == TRAIN && !r->encoder && !r->model)
        printf(" (%.2f of what it needs)", 1024.0 * (double)use.ru_maxrss / needed_bytes(&j));
    if (r->kind == SCST && !by_kernel)
        printf("  %.2f cross-entropy updates", t / middle(xe, n));
    if (r->kind == BEAM && r->images == 1) {
        double memory = measure_read(be), rate = read_bytes(&j) / t * 1e-9;
        printf("  reads %.1f GB/s, %.0f%% of %.1f", rate, 100 * rate / memory, memory);
    }
    if (with_peer) {
        double other = middle(theirs.t, n), share = 100 * middle(theirs.share, n);
        char about[200];
        printf("  | %s  %8.4f s  %8.1f /s  %5.0f MB  %3.0f%%%s  ratio %.2f", peer_text(&p, "about", about, sizeof about), other, count / other, peer_ask(&p, "memory"), share,
               n_thread == 1 && share < 35 && r->images > 1 ? " void" : "", other / t);
        peer_stop(&p);
    }
    printf("  (%d)\n", n);
    if (by_kernel)
        profile_print(sum, top);
    fflush(stdout);
    _exit(0);
}

int main(int argc, char **argv)
{
    double seconds = 2;
    int first = argc, by_kernel = 0;
    for (int i = 1; i < argc; i++)
        if (strcmp(argv[i], "-k") == 0)
            by_kernel = 1;
        else if (strcmp(argv[i], "-t") == 0 && i + 1 < argc)
            n_thread = atoi(argv[++i]);
        else if (strcmp(argv[i], "-s") == 0 && i + 1 < argc)
            seconds = atof(argv[++i]);
        else {
            first = i;
            break;
        }
    printf("job, type, threads, %s time of a run, rate, operations, share of the peak measured around each, peak memory, the peer (runs)\n", n_thread == 1 ? "processor" : "wall");
    fflush(stdout);
    int bad = 0;
    for (size_t k = 0; k < sizeof rows / sizeof *rows; k++)
        for (int b = 0; b < 2; b++) {
            char name[100];
            int wanted = first == argc;
            snprintf(name, sizeof name, "%s-%s", rows[k].name, b ? "bf16" : "f32");
            for (int i = first; i < argc; i++)
                wanted |= strncmp(name, argv[i], strlen(argv[i])) == 0;
            if (!wanted)
                continue;
            pid_t pid = fork();
            if (pid == 0)
                run_row(&rows[k], b ? CAPT_BF16 : CAPT_F32, seconds, by_kernel);
            int status = 0;
            waitpid(pid, &status, 0);
            bad |= status != 0;
        }
    return bad;
}
#else
int main(void)
{
    fprintf(stderr, "jobs: the cpu backend is single precision\n");
    return 1;
}
#endif
