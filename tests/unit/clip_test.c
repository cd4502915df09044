/* CLIP's two towers against transformers and open_clip (golden/make_clip.py): folders as they publish them, sharded or not, in half precision and bfloat16;
 * outputs, every gradient, other resolutions, and bfloat16 beside PyTorch's autocast. */
#include "encoder_rig.h"
#include <jansson.h>
#include <zlib.h>
#include "eval/clipscore.h"
#include "model/clip_text.h"

#define GOLDEN "tests/golden/"
enum { R_TEXT = 3, T_TEXT = 7, DRAWS = 32 };

/* max |a - b| / max |b| */
static double distance(const capt_real *a, const float *b, int64_t n)
{
    double d = 0, m = 0;
    for (int64_t i = 0; i < n; i++) {
        double e = fabs((double)a[i] - (double)b[i]);
        d = e > d || isnan(e) ? e : d;
        m = fabs((double)b[i]) > m ? fabs((double)b[i]) : m;
    }
    return d / m;
}

/* n floats of the golden, which must be there. */
static float *golden_of(capt_st *st, const char *name, int64_t n)
{
    const capt_st_tensor *t = capt_st_find(st, name);
    if (!t)
        fail_msg("golden lacks %s", name);
    assert_int_equal(capt_st_numel(t), n);
    assert_int_equal(t->dtype, CAPT_F32);
    float *x = malloc((size_t)n * sizeof *x);
    memcpy(x, t->data, (size_t)n * sizeof *x);
    return x;
}

static double error_of(rig *r, capt_st *st, const char *name, const capt_tensor *t)
{
    int64_t n = capt_tensor_numel(t);
    float *want = golden_of(st, name, n);
    capt_real *got = values(r, t);
    double d = distance(got, want, n);
    free(got);
    free(want);
    return d;
}

static void seed_gradient(rig *r, capt_tensor *t)
{
    int64_t n = capt_tensor_numel(t);
    capt_real *g = malloc((size_t)n * sizeof *g);
    for (int64_t i = 0; i < n; i++)
        g[i] = (capt_real)sin(0.7 * (double)i + 0.3);
    double beta;
    capt_real *to = capt_grad(r->c, t, &beta);
    r->be->upload(r->be, to, g, (size_t)n * sizeof *g);
    free(g);
}

/* "encoder.x" and "text.x" under the golden's names */
static const char *golden_name(const capt_param *p)
{
    return strncmp(p->name, "encoder.", 8) ? p->name : p->name + 8;
}

/* The error of one parameter's gradient at the elements stored, and of its weighted sum when with_sum. */
static double gradient_error(rig *r, capt_st *st, const capt_param *p, int with_sum)
{
    char name[200];
    if (!p->t.touched)
        fail_msg("%s got no gradient", p->name);
    snprintf(name, sizeof name, "grad.%s", golden_name(p));
    int64_t n = capt_tensor_numel(&p->t), stride = (n + 95) / 96, kept = (n + stride - 1) / stride;
    float *want = golden_of(st, name, kept + 2);
    capt_real *g = host_of(r, p->t.grad, n);
    double sum = 0, most = want[kept + 1], d = 0;
    for (int64_t k = 0; k < n; k++) {
        sum += (double)g[k] * sin(0.37 * (double)k + 1);
        double e = k % stride ? 0 : fabs((double)g[k] - (double)want[k / stride]);
        d = e > d || isnan(e) ? e : d;
    }
    double e = with_sum ? fabs(sum - (double)want[kept]) / sqrt((double)n) : 0;
    d = e > d || isnan(e) ? e : d;
    free(g);
    free(want);
    return d / (most > 1e-9 ? most : 1); /* the keys' biases get no gradient at all */
}

/* ---- both towers of a folder ---- */

typedef struct towers { rig r; capt_clip_text *text; capt_encoded image; capt_tensor *words; capt_st *st; } towers;

/* backend, compute type, keys laid over the image tower's and the text tower's configurations; expected: the golden's file in the folder */
static void towers_open(towers *t, const char *folder, const char *backend, capt_dtype compute, const char *image, const char *text, const char *expected)
{
    char path[100], hash[33];
    snprintf(path, sizeof path, GOLDEN "%s/%s.safetensors", folder, expected);
    t->st = open_golden(path);
    snprintf(path, sizeof path, GOLDEN "%s", folder);
    rig_open_for(&t->r, backend, compute);
    json_t *o = json_loads(image, 0, NULL), *q = json_loads(text, 0, NULL);
    t->r.e = capt_encoder_load_with(path, o, &t->r.ps, t->r.hash, NULL, &t->r.err);
    rig_ok(&t->r);
    t->text = capt_clip_text_load(path, q, &t->r.ps, hash, &t->r.err);
    if (!t->text)
        fail_msg("%s", t->r.err.text);
    assert_int_equal(strlen(hash), 32);
    json_decref(o);
    json_decref(q);
}

static void towers_run(towers *t, int64_t images)
{
    int32_t token[R_TEXT * T_TEXT], end[R_TEXT] = {0};
    const capt_st_tensor *in = capt_st_find(t->st, "in.tokens");
    assert_int_equal(capt_st_numel(in), R_TEXT * T_TEXT);
    memcpy(token, in->data, sizeof token);
    for (int r = 0; r < R_TEXT; r++)
        for (int k = 0; k < T_TEXT; k++)
            if (token[r * T_TEXT + k] > token[r * T_TEXT + end[r]])
                end[r] = k;
    t->image = encode(&t->r, images, 0);
    t->words = capt_clip_text_embed(t->r.c, t->text, R_TEXT, T_TEXT, token, end);
    if (capt_ctx_check(t->r.c, &t->r.err))
        fail_msg("%s", t->r.err.text);
}

static void towers_backward(towers *t)
{
    seed_gradient(&t->r, t->image.global);
    seed_gradient(&t->r, t->image.grid);
    seed_gradient(&t->r, t->words);
    capt_tape_backward(t->r.c);
    if (capt_ctx_check(t->r.c, &t->r.err))
        fail_msg("%s", t->r.err.text);
}

static void towers_train(towers *t, int statistics)
{
    assert_int_equal(capt_params_train(&t->r.ps, "", 1, &t->r.err), 0);
    t->r.c->recording = t->r.c->training = 1;
    assert_int_equal(t->r.e->train_bn, 0);
    t->r.e->train_bn = statistics;
}

static void towers_close(towers *t)
{
    capt_clip_text_free(t->text);
    capt_st_close(t->st);
    rig_close(&t->r);
}

static double output_error(towers *t)
{
    double g = error_of(&t->r, t->st, "out.global", t->image.global), s = error_of(&t->r, t->st, "out.grid", t->image.grid);
    return fmax(fmax(g, s), error_of(&t->r, t->st, "out.text", t->words));
}

static void golden_on(const char *backend, const char *folder, const char *expected, int64_t images, int statistics)
{
    towers t = {0};
    towers_open(&t, folder, backend, CAPT_F32, "{}", "{}", expected);
    towers_train(&t, statistics);
    towers_run(&t, images);
    double d = output_error(&t), g = 0;
    towers_backward(&t);
    int n = 0;
    for (int i = 0; i < t.r.ps.n; i++) {
        const capt_param *p = t.r.ps.v[i];
        if (p->flags & CAPT_P_BUFFER)
            continue;
        double e = gradient_error(&t.r, t.st, p, 1);
        if (e > 1e-4 || isnan(e))
            print_message("# %s: %.3g\n", p->name, e);
        g = e > g || isnan(e) ? e : g;
        n++;
    }
    assert_true(n > 50);
    print_message("# %s on %s: outputs %.2g, gradients %.2g\n", folder, backend, d, g);
    int twice = sizeof(capt_real) == sizeof(double); /* then what differs is the golden: its numbers are kept, and transformers' softmax is taken, in single precision */
    assert_true(d <= (twice ? 2e-7 : 2e-5));
    assert_true(g <= (twice ? strcmp(folder, "clip_transformers") ? 2e-7 : 4e-6 : 1e-4));
    for (int i = 0; statistics && i < t.r.ps.n; i++) {
        const capt_param *p = t.r.ps.v[i];
        char name[200];
        snprintf(name, sizeof name, "after.%s", golden_name(p));
        if (p->flags & CAPT_P_BUFFER)
            assert_true(error_of(&t.r, t.st, name, &p->t) <= 2e-5);
    }
    towers_close(&t);
}

/* A build in double has no cpu backend. */
static int is_there(const char *backend)
{
    capt_backend *be = capt_backend_open(backend, NULL, NULL);
    capt_backend_close(be);
    assert_true(be || sizeof(capt_real) == sizeof(double));
    return be != NULL;
}

static void golden(const char *folder, const char *expected, int64_t images, int statistics)
{
    static const char *const backends[] = {"ref", "guard", "cpu"};
    for (size_t i = 0; i < 3; i++)
        if (is_there(backends[i]))
            golden_on(backends[i], folder, expected, images, statistics);
}

static void golden_transformers(void **state)
{
    golden("clip_transformers", "expected", 2, 0);
}

static void golden_open_clip(void **state)
{
    golden("clip_open_clip", "expected", 2, 0);
}

static void golden_resnet(void **state)
{
    golden("clip_resnet", "expected", 4, 0);
}

static void golden_resnet_batch_statistics(void **state)
{
    golden("clip_resnet", "expected_train", 4, 1);
}

/* Other resolutions, as each library resizes the table of positions. */
static void resolutions(void **state)
{
    static const struct { const char *folder, *over, *prefix; } cases[] = {
        {"clip_transformers", "{\"resolution\":24}", "out24"},
        {"clip_transformers", "{\"resolution\":48}", "out48"},
        {"clip_open_clip", "{\"resolution\":24}", "out24"},
        {"clip_open_clip", "{\"resolution\":40}", "out40"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        towers t = {0};
        char name[40];
        towers_open(&t, cases[i].folder, "ref", CAPT_F32, cases[i].over, "{}", "expected");
        t.image = encode(&t.r, 1, 0);
        snprintf(name, sizeof name, "%s.global", cases[i].prefix);
        double d = error_of(&t.r, t.st, name, t.image.global);
        snprintf(name, sizeof name, "%s.grid", cases[i].prefix);
        d = fmax(d, error_of(&t.r, t.st, name, t.image.grid));
        if (d > 2e-5 || isnan(d))
            fail_msg("%s %s: error %.3g", cases[i].folder, cases[i].over, d);
        towers_close(&t);
    }
}

/* What the goldens can see: one constant of ours changed, one golden missed. */
static void each_constant_counts(void **state)
{
    static const struct { const char *folder, *image, *text; int images; } cases[] = {
        {"clip_transformers", "{\"heads\":1}", "{}", 2},         {"clip_transformers", "{\"mean_g\":0.458}", "{}", 2},
        {"clip_transformers", "{\"std_b\":0.276}", "{}", 2},     {"clip_transformers", "{\"activation\":\"gelu\"}", "{}", 2},
        {"clip_transformers", "{}", "{\"heads\":2}", 2},         {"clip_transformers", "{}", "{\"activation\":\"gelu\"}", 2},
        {"clip_open_clip", "{\"activation\":\"quickgelu\"}", "{}", 2}, {"clip_open_clip", "{}", "{\"activation\":\"quickgelu\"}", 2},
        {"clip_resnet", "{\"heads\":1}", "{}", 4},               {"clip_resnet", "{\"mean_r\":0.49}", "{}", 4},
        {"clip_resnet", "{}", "{\"activation\":\"gelu\"}", 4},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        towers t = {0};
        towers_open(&t, cases[i].folder, "ref", CAPT_F32, cases[i].image, cases[i].text, "expected");
        towers_run(&t, cases[i].images);
        double d = output_error(&t);
        if (d <= 2e-5)
            fail_msg("%s %s %s: error only %.3g", cases[i].folder, cases[i].image, cases[i].text, d);
        towers_close(&t);
    }
}

/* ---- bfloat16 beside PyTorch's autocast ---- */

/* Values of a parameter as make_clip.py's drawn() makes them. */
static void draw_one(capt_params *ps, capt_param *p, const char *name, uint32_t draw)
{
    int64_t n = capt_tensor_numel(&p->t);
    size_t len = strlen(name);
    capt_real *x = capt_alloc((size_t)n * sizeof *x);
    int matrix = p->t.ndim > 1 && strcmp(name, "class_embedding"), gain = len > 6 && !strcmp(name + len - 6, "weight"), variance = strstr(name, "running_var") != NULL;
    double fan = sqrt((double)(n / p->t.dim[0]));
    uint32_t key = (uint32_t)crc32(0, (const Bytef *)name, (uInt)len) ^ draw * 0x632BE5ABu;
    for (int64_t i = 0; i < n; i++) {
        uint32_t h = (uint32_t)i * 0x9E3779B1u + key;
        h = (h ^ h >> 16) * 0x85EBCA6Bu;
        h = (h ^ h >> 13) * 0xC2B2AE35u;
        h ^= h >> 16;
        double r = sqrt(3) * (h / 2147483648.0 - 1);
        x[i] = (capt_real)(float)(variance ? 0.5 + r * r : matrix ? 1.3 * r / fan : gain ? 1 + 0.2 * r : 0.2 * r);
    }
    capt_param_set(ps, p, x);
    free(x);
}

/* max |a - b| / max |b| of two tensors in their backends' memory */
static double apart(towers *a, const void *x, towers *b, const void *y, int64_t n)
{
    capt_real *got = host_of(&a->r, x, n), *want = host_of(&b->r, y, n);
    double d = 0, m = 0;
    for (int64_t i = 0; i < n; i++) {
        double e = fabs((double)got[i] - (double)want[i]);
        d = e > d || isnan(e) ? e : d;
        m = fmax(m, fabs((double)want[i]));
    }
    free(got);
    free(want);
    return d / m;
}

/* The logarithms of a tensor's errors divided by autocast's, over the draws */
typedef struct ratio { double sum; int n; } ratio;

static void add_ratio(ratio *q, capt_st *st, const char *kind, const char *name, int draw, double ours)
{
    char full[200];
    snprintf(full, sizeof full, "%s.%s", kind, name);
    float *theirs = golden_of(st, full, DRAWS), peer = theirs[draw];
    free(theirs);
    if (peer >= 1e-6f && peer <= 1) { /* else it is zero, or zero but for rounding */
        q->sum += log((ours < 1e-7 ? 1e-7 : ours) / (double)peer); /* a bias of the output has no error at all */
        q->n++;
    }
}

static void draw_all(towers *t, uint32_t draw)
{
    for (int k = 0; k < t->r.ps.n; k++)
        draw_one(&t->r.ps, t->r.ps.v[k], golden_name(t->r.ps.v[k]), draw);
    capt_params_zero_grad(&t->r.ps);
    capt_ctx_reset(t->r.c);
}

/* Every output's and every gradient's error is at most 1.25 times autocast's, in the geometric mean of 32 networks: a single draw of such small ones spreads by
 * a factor of 1.5 to 1.8 (golden/README). The error is the difference to single precision, which is a thousand times nearer. */
static void bf16_beside_autocast(void **state)
{
    static const char *const outputs[3] = {"global", "grid", "text"};
    static const struct { const char *folder; int images, tensors; } cases[] = {{"clip_transformers", 2, 62}, {"clip_open_clip", 2, 62}, {"clip_resnet", 4, 104}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases && is_there("cpu"); i++) {
        towers low = {0}, high = {0};
        char path[100];
        snprintf(path, sizeof path, GOLDEN "%s/bf16.safetensors", cases[i].folder);
        capt_st *peer = open_golden(path);
        towers_open(&low, cases[i].folder, "cpu", CAPT_BF16, "{}", "{}", "expected");
        towers_open(&high, cases[i].folder, "cpu", CAPT_F32, "{}", "{}", "expected");
        towers_train(&low, 0);
        towers_train(&high, 0);
        int n = low.r.ps.n + 3, seen = 0;
        ratio *q = capt_alloc((size_t)n * sizeof *q);
        for (int draw = 0; draw < DRAWS; draw++) {
            draw_all(&low, (uint32_t)draw);
            draw_all(&high, (uint32_t)draw);
            towers_run(&low, cases[i].images);
            towers_run(&high, cases[i].images);
            const capt_tensor *got[3] = {low.image.global, low.image.grid, low.words}, *want[3] = {high.image.global, high.image.grid, high.words};
            for (int k = 0; k < 3; k++)
                add_ratio(&q[n - 3 + k], peer, "out", outputs[k], draw, apart(&low, got[k]->data, &high, want[k]->data, capt_tensor_numel(got[k])));
            towers_backward(&low);
            towers_backward(&high);
            for (int k = 0; k < n - 3; k++) {
                const capt_param *p = low.r.ps.v[k], *h = high.r.ps.v[k];
                if (!(p->flags & CAPT_P_BUFFER))
                    add_ratio(&q[k], peer, "grad", golden_name(p), draw, apart(&low, p->t.grad, &high, h->t.grad, capt_tensor_numel(&p->t)));
            }
        }
        double worst = 0, all = 0;
        for (int k = 0; k < n; k++) {
            const char *name = k < n - 3 ? golden_name(low.r.ps.v[k]) : outputs[k - n + 3];
            double mean = q[k].n ? exp(q[k].sum / q[k].n) : 0;
            if (q[k].n < DRAWS / 2) /* the keys' biases have no gradient */
                continue;
            if (!(mean <= 1.25))
                fail_msg("%s %s: %.3g times the error of autocast", cases[i].folder, name, mean);
            worst = fmax(worst, mean);
            all += log(mean);
            seen++;
        }
        print_message("# %s: %d tensors, %.3g times the error of autocast, at most %.3g\n", cases[i].folder, seen, exp(all / seen), worst);
        assert_true(seen >= cases[i].tensors);
        free(q);
        capt_st_close(peer);
        towers_close(&high);
        towers_close(&low);
    }
}

/* ---- tokens and scores ---- */

#define MERGES GOLDEN "clip_merges.txt.gz"

static json_t *captions_golden(void)
{
    json_t *o = capt_json_load(GOLDEN "clip.json", NULL);
    assert_non_null(o);
    return o;
}

static void tokens(void **state)
{
    capt_err err = CAPT_ERR_INIT;
    json_t *o = captions_golden(), *c, *texts = json_object_get(o, "captions"), *ids = json_object_get(o, "ids");
    capt_vocab *v = capt_vocab_new_clip(MERGES, &err);
    if (!v)
        fail_msg("%s", err.text);
    size_t i;
    json_array_foreach(texts, i, c) {
        int32_t got[200];
        int n;
        assert_int_equal(capt_vocab_encode(v, json_string_value(c), 200, got, &n, &err), 0);
        const json_t *want = json_array_get(ids, i);
        int same = (size_t)n == json_array_size(want);
        for (int k = 0; same && k < n; k++)
            same = got[k] == json_integer_value(json_array_get(want, (size_t)k));
        if (!same)
            fail_msg("%s: other ids", json_string_value(c));
        if (i == 1) {
            capt_str s = {0};
            capt_vocab_decode(v, got, n, &s);
            assert_string_equal(s.s, "two dogs play in the snow , near a fence !");
            capt_str_free(&s);
        }
    }
    capt_vocab_free(v);
    json_decref(o);
}

static void refused_merges(void **state)
{
    static const struct { const char *text, *says; } cases[] = {
        {"#version\na b\nab c d\n", ":3: not two tokens"}, {"#version\nab\n", ":2: not two tokens"}, {"#version\na \xff\n", ":2: not UTF-8"},
        {"#version\na b\na b\n", "twice"}, {"#version\nzz q\n", "merge 1"},
    };
    char path[] = "/tmp/capt-clip.XXXXXX";
    close(mkstemp(path));
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        capt_err err = CAPT_ERR_INIT;
        FILE *f = fopen(path, "w");
        fputs(cases[i].text, f);
        fclose(f);
        assert_null(capt_vocab_new_clip(path, &err));
        if (!strstr(err.text, cases[i].says))
            fail_msg("%s", err.text);
    }
    unlink(path);
    assert_null(capt_vocab_new_clip(path, NULL));
}

static void scores(void **state)
{
    capt_err err = CAPT_ERR_INIT;
    json_t *o = captions_golden(), *texts = json_object_get(o, "captions"), *want = json_object_get(o, "scores");
    capt_backend *be = capt_backend_open(is_there("cpu") ? "cpu" : "ref", NULL, &err);
    capt_clipscore *c = capt_clipscore_open(GOLDEN "clip_transformers", MERGES, be, &err);
    if (!c)
        fail_msg("%s", err.text);
    assert_false(capt_clipscore_is_published(c));
    assert_int_equal(capt_clipscore_prep(c)->size, 32);
    enum { PX = 2 * 32 * 32 * 3 };
    int D = capt_clipscore_dim(c), n = (int)json_array_size(texts);
    unsigned char pixels[PX];
    for (uint32_t i = 0; i < PX; i++)
        pixels[i] = (unsigned char)(i * 2654435761u >> 13);
    const char **text = calloc((size_t)n, sizeof *text);
    float *image = calloc(2 * (size_t)D, sizeof *image), *word = calloc((size_t)n * (size_t)D, sizeof *word), *ref = calloc(4 * (size_t)D, sizeof *ref);
    for (int i = 0; i < n; i++)
        text[i] = json_string_value(json_array_get(texts, (size_t)i));
    if (capt_clipscore_images(c, pixels, 2, image, &err) || capt_clipscore_texts(c, text, n, word, &err))
        fail_msg("%s", err.text);
    int above = 0;
    for (int i = 0; i < 2 * n; i++) {
        size_t k = (size_t)(i % n), refs = 0;
        for (size_t r = 0; r < 4; r++)
            if (r != k)
                memcpy(ref + refs++ * (size_t)D, word + r * (size_t)D, (size_t)D * sizeof *ref);
        double clip = capt_clipscore_of(image + (i / n) * D, word + k * (size_t)D, D), both = capt_clipscore_with_refs(clip, word + k * (size_t)D, ref, refs, D);
        const json_t *w = json_array_get(want, (size_t)i);
        assert_true(fabs(clip - json_number_value(json_array_get(w, 0))) < 2e-6);
        assert_true(fabs(both - json_number_value(json_array_get(w, 1))) < 2e-6);
        above += clip > 0;
    }
    assert_int_equal(above, 6);
    assert_null(capt_clipscore_open(GOLDEN "clip_transformers", "/dev/null", be, &err));
    assert_non_null(strstr(err.text, "has 640 tokens, /dev/null makes 514"));
    free(image);
    free(word);
    free(ref);
    free(text);
    capt_clipscore_close(c);
    capt_backend_close(be);
    json_decref(o);
}

/* A text's vector does not depend on what else is in the batch. */
static void texts_alone(void **state)
{
    static const char *const text[] = {"a dog", "a man on a very long wave in the snow near a fence", "x"};
    capt_backend *be = capt_backend_open("ref", NULL, NULL);
    capt_clipscore *c = capt_clipscore_open(GOLDEN "clip_open_clip", MERGES, be, NULL);
    assert_non_null(c);
    size_t D = (size_t)capt_clipscore_dim(c);
    float *all = calloc(4 * D, sizeof *all), *one = all + 3 * D;
    assert_int_equal(capt_clipscore_texts(c, text, 3, all, NULL), 0);
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(capt_clipscore_texts(c, text + i, 1, one, NULL), 0);
        assert_memory_equal(one, all + i * D, D * sizeof *one);
    }
    free(all);
    capt_clipscore_close(c);
    capt_backend_close(be);
}

int main(void)
{
    cmocka_set_message_output(CM_OUTPUT_TAP);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(golden_transformers), cmocka_unit_test(golden_open_clip), cmocka_unit_test(golden_resnet),
        cmocka_unit_test(golden_resnet_batch_statistics), cmocka_unit_test(resolutions), cmocka_unit_test(each_constant_counts),
        cmocka_unit_test(bf16_beside_autocast), cmocka_unit_test(tokens), cmocka_unit_test(refused_merges), cmocka_unit_test(scores), cmocka_unit_test(texts_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
