/* Stores: same bytes for any order, shards and resumes; what is foreign, unfinished or not finite is refused. store_loss_test.c has what kills and damage leave. */
#include <fcntl.h>
#include <math.h>
#include <pthread.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include "base/mem.h"
#include "base/str.h"
#include "store/fingerprint.h"
#include "store_rig.h"

static void same_bytes(void **state)
{
    capt_err err = CAPT_ERR_INIT;
    make(at(0, "a"), 0, N, 1);
    make(at(1, "b"), 0, N, 7); /* another order */
    assert_same_file(names[0], names[1]);
    make(at(2, "s0"), 0, 100, 3);
    make(at(3, "s1"), 100, 250, 1);
    make(at(4, "s2"), 250, N, 1);
    const char *shards[] = {names[3], names[2], names[4]};
    assert_int_equal(capt_store_merge(shards, 3, at(5, "m"), 0, &err), 0);
    assert_same_file(names[0], names[5]);
    /* interrupted after some records, resumed */
    capt_store_meta m = meta();
    capt_store *s = capt_store_create(at(6, "r"), &m, 0, &err);
    for (int i = 0; i < 150; i++)
        put(s, i);
    capt_store_abandon(s);
    assert_null(capt_store_create(names[6], &m, 0, &err));
    assert_non_null(strstr(err.text, "--resume"));
    err.code = 0;
    s = capt_store_create(names[6], &m, 1, &err);
    assert_non_null(s);
    assert_int_equal(capt_store_count(s), 150);
    for (int i = 0; i < N; i++) {
        capt_id id = capt_id_int(i * 7 - 100);
        assert_int_equal(capt_store_has(s, &id), i < 150);
        if (i >= 150)
            put(s, i);
    }
    assert_int_equal(capt_store_finish(s, &err), 0);
    assert_same_file(names[0], names[6]);
    assert_int_equal(capt_store_is_done(names[6], &m), 1);
    m.encoder_hash = "other";
    assert_int_equal(capt_store_is_done(names[6], &m), 0);
}

/* Names in order, written at once: nothing is copied, and the bytes are those of a copy. stop: a signal after so many. */
static void make_named(const char *path, int from, int to, int stride, int stop)
{
    capt_err err = CAPT_ERR_INIT;
    capt_store_meta m = meta();
    m.int_ids = 0;
    capt_packed *p = capt_packed_new();
    capt_store *s = NULL;
    for (int run = 0; run < (stop ? 2 : 1); run++) {
        s = capt_store_create(path, &m, run, &err);
        assert_non_null(s);
        for (int k = from; k < (run == 0 && stop ? stop : to); k++) {
            int i = from + (k - from) * stride % (to - from);
            char name[16];
            snprintf(name, sizeof name, "n%04d", i);
            uint16_t global[DIM];
            float grid[ROWS * DIM * 60]; /* 28 kB: several batches */
            for (int c = 0; c < DIM; c++)
                global[c] = capt_f16_from_f32((float)(i % 50 + c));
            for (int c = 0; c < ROWS * DIM * 60; c++)
                grid[c] = (float)(i % 97) * 0.25f - (float)(c % 13);
            capt_section sec[2] = {{"global", CAPT_F16, 1, DIM, global}, {"grid", CAPT_F32, (1 + i % ROWS) * 60, DIM, grid}};
            capt_id id = capt_id_str(name);
            if (capt_store_has(s, &id))
                continue;
            assert_int_equal(capt_store_pack(s, &id, sec, 2, p, &err), 0);
            assert_int_equal(capt_store_put_packed(s, p, &err), 0);
        }
        if (run == 0 && stop)
            capt_store_abandon(s);
    }
    char sorted[80];
    snprintf(sorted, sizeof sorted, "%s.part.sorted", path);
    if (stride == 1 && !stop) /* a copy would fail here */
        assert_int_equal(mkdir(sorted, 0777), 0);
    assert_int_equal(capt_store_finish(s, &err), 0);
    rmdir(sorted);
    capt_packed_free(p);
}

static void in_order(void **state)
{
    capt_err err = CAPT_ERR_INIT;
    make_named(at(0, "i"), 0, 2 * N, 1, 0);
    make_named(at(1, "j"), 0, 2 * N, 7, 0);
    assert_same_file(names[0], names[1]);
    make_named(at(2, "k"), 0, 2 * N, 1, 200);
    assert_same_file(names[0], names[2]);
    make_named(at(3, "l"), 0, 250, 1, 0);
    make_named(at(4, "m"), 250, 2 * N, 1, 0);
    const char *shards[] = {names[4], names[3]};
    assert_int_equal(capt_store_merge(shards, 2, at(5, "n"), 0, &err), 0);
    assert_same_file(names[0], names[5]);
    capt_store *s = capt_store_open(names[0], &err);
    assert_non_null(s);
    assert_int_equal(capt_store_verify(s, 0, &err), 0);
    capt_store_close(s);
}

static void fingerprints(void **state)
{
    /* 3 x 1030: several chunks and a rest; the sums in long double, the other way round */
    enum { W = 1030 };
    static float x[3 * W];
    static uint16_t h[3 * W];
    long double sum = 0, squares = 0, norms = 0, least = 1e30L, most = 0;
    for (int i = 0; i < 3 * W; i++)
        x[i] = capt_f16_to_f32(capt_f16_from_f32(sinf((float)i) * (float)(1 + i / W)));
    for (int r = 2; r >= 0; r--) {
        long double q = 0;
        for (int c = W - 1; c >= 0; c--) {
            sum += x[r * W + c];
            q += (long double)x[r * W + c] * x[r * W + c];
        }
        squares += q;
        norms += sqrtl(q);
        least = fminl(least, sqrtl(q));
        most = fmaxl(most, sqrtl(q));
    }
    assert_int_equal(capt_feature_from_f32(x, 3 * W, CAPT_F16, h), -1);
    capt_section a = {"grid", CAPT_F32, 3, W, x}, b = {"grid", CAPT_F16, 3, W, h}, none = {"grid", CAPT_F32, 0, W, x};
    capt_moments one, other, all = {0};
    capt_moments_of(&a, &one);
    capt_moments_of(&b, &other);
    assert_memory_equal(&one, &other, sizeof one);
    assert_true(fabsl(one.sum - sum) < 1e-9 && fabsl(one.squares - squares) < 1e-9 && fabsl(one.norms - norms) < 1e-9);
    assert_true(fabsl(one.min_norm - least) < 1e-12 && fabsl(one.max_norm - most) < 1e-12);
    capt_moments_add(&all, &one);
    capt_moments_of(&none, &other);
    capt_moments_add(&all, &other);
    capt_moments_add(&all, &one);
    assert_true(all.images == 3 && all.rows == 6 && all.min_rows == 0 && all.max_rows == 3);
    json_t *j = capt_moments_json(&all, "grid", W), *k = capt_moments_json(&one, "grid", W);
    capt_str text = {0}, why = {0};
    capt_fingerprint_text(j, &text);
    assert_non_null(strstr(text.s, "0 to 3 rows (mean 2) of 1030, mean "));
    assert_int_equal(capt_fingerprint_differs(j, k, &why), 0);
    json_t *no_rows = capt_moments_json(&other, "grid", W);
    assert_true(json_is_null(json_object_get(no_rows, "mean")) && json_is_null(json_array_get(json_object_get(no_rows, "norm"), 1)));
    assert_int_equal(capt_fingerprint_differs(k, no_rows, &why), 1); /* rows an image */
    json_decref(no_rows);
    /* each of its numbers matters */
    static const struct { const char *key; double value; const char *what; } change[] = {
        {"dim", 2048, "width"}, {"mean", 1, "mean 1"}, {"sd", 100, "standard deviation"}};
    for (size_t i = 0; i < sizeof change / sizeof *change; i++) {
        json_t *l = json_deep_copy(k);
        json_object_set_new(l, change[i].key, json_real(change[i].value));
        capt_str_clear(&why);
        assert_int_equal(capt_fingerprint_differs(l, k, &why), 1);
        assert_non_null(strstr(why.s, change[i].what));
        json_decref(l);
    }
    json_t *l = json_deep_copy(k);
    json_array_set_new(json_object_get(l, "norm"), 1, json_real(1000));
    capt_str_clear(&why);
    assert_int_equal(capt_fingerprint_differs(l, k, &why), 1);
    assert_non_null(strstr(why.s, "norm of a row 1000 there"));
    json_decref(l);
    json_decref(j);
    json_decref(k);
    capt_str_free(&text);
    capt_str_free(&why);
}

/* gcc names its sanitizers by a macro, clang by a question. */
#if defined __SANITIZE_ADDRESS__ || defined __SANITIZE_THREAD__
#define SANITIZED 1
#elif defined __has_feature
#if __has_feature(address_sanitizer) || __has_feature(memory_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED 1
#endif
#endif

/* Less address space than the map would like: the bytes do not change. */
static void small_address_space(void **state)
{
#ifdef SANITIZED
    print_message("# small_address_space: not with a sanitizer, which itself takes terabytes of addresses\n");
#else
    pid_t p = fork();
    if (p == 0) {
        struct rlimit r = {(rlim_t)3 << 30, (rlim_t)3 << 30};
        setrlimit(RLIMIT_AS, &r);
        make(at(1, "small"), 0, N, 1);
        capt_store *s = capt_store_open(names[1], NULL);
        _exit(!s || capt_store_verify(s, 0, NULL));
    }
    int status;
    waitpid(p, &status, 0);
    assert_int_equal(status, 0);
    assert_same_file(at(0, "a"), at(1, "small"));
#endif
}

static void reading(void **state)
{
    capt_err err = CAPT_ERR_INIT;
    capt_store *s = capt_store_open(at(0, "a"), &err);
    assert_non_null(s);
    assert_int_equal(capt_store_count(s), N);
    assert_int_equal(capt_store_meta_of(s)->int_ids, 1);
    assert_string_equal(capt_store_meta_of(s)->encoder, "test");
    capt_feature f;
    capt_real x[ROWS * DIM];
    for (int i = 0; i < N; i++) {
        capt_id id = capt_id_int(i * 7 - 100);
        assert_int_equal(capt_store_get(s, &id, &f, &err), 1);
        assert_int_equal(f.n, 2);
        const capt_section *grid = capt_feature_section(&f, "grid"), *global = capt_feature_section(&f, "global");
        assert_int_equal((uintptr_t)grid->data % 64, 0);
        assert_int_equal((uintptr_t)global->data % 64, 0);
        assert_int_equal(grid->rows, 1 + i % ROWS);
        capt_feature_to_real(grid, x);
        assert_true(x[5] == (capt_real)(i * 0.5 + 5));
        capt_feature_to_real(global, x);
        assert_true(x[33] == (capt_real)(i + 33));
    }
    capt_id none = capt_id_int(3), text = capt_id_str("x");
    assert_int_equal(capt_store_get(s, &none, &f, &err), 0);
    assert_int_equal(capt_store_get(s, &text, &f, &err), -1);
    assert_int_equal(capt_store_verify(s, 0, NULL), 0);
    assert_int_equal(capt_store_verify(s, 1, NULL), 0);
    capt_store_iter *it = capt_store_iter_new(s, NULL);
    capt_id id;
    char last[CAPT_ID_KEY] = "", key[CAPT_ID_KEY];
    int n = 0;
    while (capt_store_iter_next(it, &id, NULL, NULL) == 1) {
        capt_id_key(&id, key);
        assert_true(strcmp(last, key) < 0);
        strcpy(last, key);
        n++;
    }
    assert_int_equal(n, N);
    capt_store_iter_free(it);
    capt_store_close(s);
}

static void *read_many(void *arg)
{
    uintptr_t bad = 0;
    for (int k = 0; k < 4 * N; k++) {
        capt_id id = capt_id_int(k * 11 % N * 7 - 100);
        capt_feature f;
        bad += capt_store_get(arg, &id, &f, NULL) != 1;
    }
    return (void *)bad;
}

static void threads(void **state)
{
    capt_store *s = capt_store_open(at(0, "a"), NULL);
    pthread_t t[4];
    for (int i = 0; i < 4; i++)
        pthread_create(&t[i], NULL, read_many, s);
    for (int i = 0; i < 4; i++) {
        void *bad;
        pthread_join(t[i], &bad);
        assert_null(bad);
    }
    capt_store_close(s);
}

static void refuses(void **state)
{
    capt_err err = CAPT_ERR_INIT;
    capt_store_meta m = meta();
    capt_store *s = capt_store_create(at(0, "bad"), &m, 0, &err);
    uint16_t global[DIM] = {0};
    float grid[DIM] = {0};
    capt_section sec[2] = {{"global", CAPT_F16, 1, DIM, global}, {"grid", CAPT_F32, 1, DIM, grid}};
    capt_id one = capt_id_int(1), text = capt_id_str("one"), two = capt_id_int(2);
    assert_int_equal(capt_store_put(s, &one, sec, 2, &err), 0);
    struct { const char *what; } cases[] = {{"already"}, {"string"}, {"NaN"}, {"NaN"}, {"the manifest has"}, {"sections"}};
    for (int i = 0; i < 6; i++) {
        err.code = 0;
        capt_section use[2] = {sec[0], sec[1]};
        global[3] = i == 2 ? 0x7c00 : 0;
        grid[39] = i == 3 ? (float)NAN : 0;
        use[1].dim = i == 4 ? DIM - 1 : DIM;
        assert_int_equal(capt_store_put(s, i == 0 ? &one : i == 1 ? &text : &two, use, i == 5 ? 1 : 2, &err), -1);
        assert_non_null(strstr(err.text, cases[i].what));
    }
    err.code = 0;
    assert_null(capt_store_create(names[0], &m, 1, &err)); /* a second writer */
    assert_non_null(strstr(err.text, "another process"));
    capt_store_abandon(s);
    err.code = 0;
    char part[80];
    snprintf(part, sizeof part, "%s.part", names[0]);
    assert_null(capt_store_open(part, &err));
    assert_non_null(strstr(err.text, "unfinished"));
    const char *twice[] = {at(1, "s1"), at(1, "s1")};
    err.code = 0;
    assert_int_equal(capt_store_merge(twice, 2, at(2, "twice"), 0, &err), -1);
    assert_non_null(strstr(err.text, "is in"));
    assert_int_equal(access(names[2], F_OK), -1);
    err.code = 0;
    assert_null(capt_store_open(dir, &err));
    assert_non_null(strstr(err.text, "not a regular file"));
}

/* Records' ids may have 511 characters, keys 511 bytes. */
static void long_ids(void **state)
{
    capt_err err = CAPT_ERR_INIT;
    capt_store_meta m = meta();
    char most[CAPT_STORE_KEY + 1], more[2 * 300 + 1];
    memset(most, 'x', sizeof most - 1);
    most[sizeof most - 1] = 0;
    for (int i = 0; i < 300; i++)
        memcpy(more + 2 * i, "\u00e9", 3);
    uint16_t global[DIM] = {0};
    float grid[DIM] = {1};
    capt_section sec[2] = {{"global", CAPT_F16, 1, DIM, global}, {"grid", CAPT_F32, 1, DIM, grid}};
    capt_id a = capt_id_str(most), b = capt_id_str(more);
    assert_int_equal(capt_id_check(more, strlen(more), "x", &err), 0);
    capt_store *s = capt_store_create(at(0, "long"), &m, 0, &err);
    assert_int_equal(capt_store_put(s, &a, sec, 2, &err), 0);
    assert_int_equal(capt_store_put(s, &b, sec, 2, &err), -1);
    assert_non_null(strstr(err.text, "at most 511 bytes, this one has 600"));
    assert_int_equal(capt_store_has(s, &b), 0);
    err.code = 0;
    assert_int_equal(capt_store_finish(s, &err), 0);
    s = capt_store_open(names[0], &err);
    capt_feature f;
    assert_int_equal(capt_store_get(s, &a, &f, &err), 1);
    assert_int_equal(capt_store_get(s, &b, &f, &err), 0);
    assert_int_equal(capt_store_has(s, &b), 0);
    capt_store_close(s);
}

static void numbers(void **state)
{
    float x[19], y[19];
    uint16_t h[19];
    for (int i = 0; i < 19; i++)
        x[i] = (float)(i - 9) * 0.3701f;
    static const capt_dtype types[] = {CAPT_F16, CAPT_BF16, CAPT_F32};
    for (int t = 0; t < 2; t++) {
        assert_int_equal(capt_feature_from_f32(x, 19, types[t], h), -1);
        capt_section s = {"x", types[t], 1, 19, h};
        capt_feature_to_f32(&s, y);
        for (int i = 0; i < 19; i++)
            assert_true(y[i] == (t ? capt_bf16_to_f32(capt_bf16_from_f32(x[i])) : capt_f16_to_f32(capt_f16_from_f32(x[i]))));
    }
    x[17] = 70000.f;
    assert_int_equal(capt_feature_from_f32(x, 19, CAPT_F16, h), 17);
    assert_int_equal(capt_feature_from_f32(x, 19, CAPT_BF16, h), -1);
    x[4] = (float)NAN;
    assert_int_equal(capt_feature_from_f32(x, 19, CAPT_F32, y), 4);
}

int main(void)
{
    cmocka_set_message_output(CM_OUTPUT_TAP);
    if (!mkdtemp(dir))
        return 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(same_bytes), cmocka_unit_test(in_order), cmocka_unit_test(fingerprints), cmocka_unit_test(small_address_space), cmocka_unit_test(reading),
        cmocka_unit_test(threads), cmocka_unit_test(refuses), cmocka_unit_test(long_ids), cmocka_unit_test(numbers)};
    return cmocka_run_group_tests(tests, NULL, clean);
}
