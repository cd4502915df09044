/* The base library: known answers, limits, and what must fail. */
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <cmocka.h>
#include "base/arena.h"
#include "base/bf16.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/prov.h"
#include "base/rng.h"
#include "base/str.h"
#include "base/thread.h"

static void errors(void **state)
{
    capt_err e = CAPT_ERR_INIT;
    errno = ENOSPC;
    assert_int_equal(capt_fail_errno(&e, "out%d", 7), -1);
    assert_string_equal(e.text, "out7: disk full");
    assert_int_equal(e.code, CAPT_EIO);
    capt_fail(&e, CAPT_EUSAGE, "second");
    assert_string_equal(e.text, "out7: disk full");
    capt_err_prefix(&e, "merge");
    assert_string_equal(e.text, "merge: out7: disk full");
    e = (capt_err)CAPT_ERR_INIT;
    errno = ENOENT;
    capt_fail_errno(&e, "f");
    assert_string_equal(e.text, "f: No such file or directory");
    assert_int_equal(capt_fail(NULL, CAPT_EDATA, "x"), -1);
    static const int exits[][2] = {{CAPT_OK, 0}, {CAPT_EDATA, 1}, {CAPT_EIO, 1}, {CAPT_ENOMEM, 1}, {CAPT_EDEVICE, 1}, {CAPT_EUSAGE, 2}, {CAPT_ESTOP, 75}};
    for (size_t i = 0; i < 7; i++)
        assert_int_equal(capt_err_exit(exits[i][0]), exits[i][1]);
}

/* Random123 1.09, examples/kat_vectors, philox4x32 10 */
static void philox(void **state)
{
    static const struct {
        uint64_t key, lo, hi;
        uint32_t want[4];
    } kat[] = {
        {0, 0, 0, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
        {~0ull, ~0ull, ~0ull, {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
        {0x299f31d0a4093822, 0x85a308d3243f6a88, 0x0370734413198a2e, {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
    };
    for (size_t i = 0; i < 3; i++) {
        uint32_t w[4];
        capt_philox(kat[i].key, kat[i].lo, kat[i].hi, w);
        assert_memory_equal(w, kat[i].want, sizeof w);
    }
}

static void random_numbers(void **state)
{
    uint64_t key = capt_rng_key(1, CAPT_RNG_SAMPLE, 2, 3);
    assert_int_not_equal(key, capt_rng_key(1, CAPT_RNG_SAMPLE, 3, 2));
    assert_int_not_equal(key, capt_rng_key(1, CAPT_RNG_SAMPLE, 2, 4));
    assert_int_not_equal(key, capt_rng_key(1, CAPT_RNG_LABEL, 2, 3));
    assert_int_not_equal(key, capt_rng_key(2, CAPT_RNG_SAMPLE, 2, 3));
    enum { N = 100000 };
    double mean = 0, var = 0, mean_n = 0, var_n = 0;
    int count[7] = {0};
    for (uint64_t i = 0; i < N; i++) {
        double u = capt_rng_u01(key, i), z = capt_rng_normal(key, i);
        assert_true(u > 0 && u < 1);
        mean += u / N;
        var += (u - 0.5) * (u - 0.5) / N;
        mean_n += z / N;
        var_n += z * z / N;
        count[capt_rng_below(key, i, 7)]++;
    }
    assert_true(fabs(mean - 0.5) < 0.005 && fabs(var - 1.0 / 12) < 0.002);
    assert_true(fabs(mean_n) < 0.015 && fabs(var_n - 1) < 0.02);
    for (int i = 0; i < 7; i++)
        assert_true(abs(count[i] - N / 7) < 500);
}

static void hashes(void **state)
{
    assert_int_equal(capt_crc32c(0, "123456789", 9), 0xe3069283u);
    assert_int_equal(capt_crc32c(capt_crc32c(0, "1234", 4), "56789", 5), 0xe3069283u);
    unsigned char iscsi[32]; /* RFC 3720, B.4: 32 bytes of zeroes, of ones, increasing */
    memset(iscsi, 0, 32);
    assert_int_equal(capt_crc32c(0, iscsi, 32), 0x8a9136aau);
    memset(iscsi, 0xff, 32);
    assert_int_equal(capt_crc32c(0, iscsi, 32), 0x62a8ab43u);
    for (int i = 0; i < 32; i++)
        iscsi[i] = (unsigned char)i;
    assert_int_equal(capt_crc32c(0, iscsi, 32), 0x46dd794eu);
    unsigned char big[8000]; /* both forms, at lengths around their blocks, from unaligned starts, in two pieces */
    for (size_t i = 0; i < sizeof big; i++)
        big[i] = (unsigned char)(i * 2654435761u >> 13);
    for (size_t n = 0; n < 6400; n += n < 40 ? 1 : 251)
        for (size_t from = 0; from < 9; from += 4) {
            uint32_t slow = 0xffffffffu;
            for (size_t i = 0; i < n; i++) {
                slow ^= big[from + i];
                for (int bit = 0; bit < 8; bit++)
                    slow = slow >> 1 ^ (slow & 1 ? 0x82f63b78u : 0);
            }
            assert_int_equal(capt_crc32c(0, big + from, n), ~slow);
            assert_int_equal(capt_crc32c_portable(0, big + from, n), ~slow);
            assert_int_equal(capt_crc32c(capt_crc32c(0, big + from, n / 3), big + from + n / 3, n - n / 3), ~slow);
        }
    char a[33], b[33];
    capt_hash_hex("", 0, a);
    assert_string_equal(a, "99aa06d3014798d86001c324468d497f"); /* XXH3-128 of nothing */
    capt_hash_hex("hello world", 11, a);
    capt_hasher *h = capt_hasher_new();
    capt_hasher_add(h, "hello", 5);
    capt_hasher_add(h, " world", 6);
    capt_hasher_end(h, b);
    assert_string_equal(a, b);
    assert_int_equal(capt_hash64("", 0), 0x2d06800538d394c2ull);
}

static void half_floats(void **state)
{
    for (uint32_t h = 0; h < 65536; h++) { /* every half comes back; NaN stays NaN */
        float f = capt_f16_to_f32((uint16_t)h);
        uint16_t back = capt_f16_from_f32(f);
        if ((h & 0x7fff) > 0x7c00)
            assert_true(isnan(f) && (back & 0x7fff) > 0x7c00);
        else
            assert_int_equal(back, h);
        float g = capt_bf16_to_f32((uint16_t)h);
        if (!isnan(g))
            assert_int_equal(capt_bf16_from_f32(g), h);
    }
    static const struct {
        float f;
        uint16_t h;
    } t[] = {{1, 0x3c00}, {-2, 0xc000}, {65504, 0x7bff}, {65519.99f, 0x7bff}, {65520, 0x7c00}, {1e30f, 0x7c00},
             {1 + 0x1p-11f, 0x3c00}, {1 + 3 * 0x1p-11f, 0x3c02}, {0x1p-24f, 1}, {0x1p-25f, 0}, {0x1.8p-25f, 1},
             {3 * 0x1p-25f, 2}, {0x1p-14f, 0x0400}, {0x1.ffap-15f, 0x03ff}, {0x1.ffcp-15f, 0x0400}, {-0.0f, 0x8000}};
    for (size_t i = 0; i < sizeof t / sizeof *t; i++)
        assert_int_equal(capt_f16_from_f32(t[i].f), t[i].h);
    assert_int_equal(capt_bf16_from_f32(1 + 0x1p-8f), 0x3f80);     /* ties to even */
    assert_int_equal(capt_bf16_from_f32(1 + 3 * 0x1p-8f), 0x3f82);
    assert_true(isnan(capt_bf16_to_f32(capt_bf16_from_f32(NAN))));
}

static void utf8(void **state)
{
    static const struct {
        const char *s;
        long at;
    } t[] = {{"", -1}, {"abc", -1}, {"\xc3\xa9", -1}, {"\xe2\x82\xac", -1}, {"\xf0\x9f\x98\x80", -1}, {"\xf4\x8f\xbf\xbf", -1},
             {"a\x80", 1}, {"\xc0\x80", 0}, {"\xc1\xbf", 0}, {"\xe0\x9f\xbf", 0}, {"\xed\xa0\x80", 0}, {"\xf0\x8f\xbf\xbf", 0},
             {"\xf4\x90\x80\x80", 0}, {"\xf5\x80\x80\x80", 0}, {"ok\xe2\x82", 2}, {"\xc3", 0}, {"\xff", 0}, {"\xef\xbf\xbf", -1}};
    for (size_t i = 0; i < sizeof t / sizeof *t; i++)
        assert_int_equal(capt_utf8_check(t[i].s, strlen(t[i].s)), t[i].at);
    static const uint32_t edge[] = {1, 0x7f, 0x80, 0x7ff, 0x800, 0xd7ff, 0xe000, 0xffff, 0x10000, 0x10ffff};
    for (size_t i = 0; i < 10; i++) {
        capt_str b = {0};
        capt_utf8_put(&b, edge[i]);
        const char *p = b.s;
        assert_int_equal(capt_utf8_next(&p, b.s + b.n), edge[i]);
        assert_ptr_equal(p, b.s + b.n);
        capt_str_free(&b);
    }
}

static void strings(void **state)
{
    capt_str b = {0};
    capt_str_clear(&b);
    assert_string_equal(b.s, "");
    for (int i = 0; i < 1000; i++)
        capt_str_printf(&b, "%d,", i);
    assert_int_equal(b.n, strlen(b.s));
    assert_int_equal(b.n, 3890);
    capt_str_clear(&b);
    const char *raw = "a\tb\n\x1b[31m\x7f\xc3\xa9\xc2\x9b\xff";
    capt_str_puts_escaped(&b, raw, strlen(raw));
    assert_string_equal(b.s, "a\\x09b\\x0A\\x1B[31m\\x7F\xc3\xa9\\xC2\\x9B\\xFF");
    capt_str_free(&b);
    CAPT_VEC(int) v = {0};
    for (int i = 0; i < 100; i++)
        capt_vec_push(&v, i);
    assert_int_equal(v.n, 100);
    assert_int_equal(v.v[99], 99);
    capt_vec_free(&v);
}

static void memory(void **state)
{
    size_t n;
    assert_int_equal(capt_mul_size(SIZE_MAX, 2, &n), -1);
    assert_int_equal(capt_mul_size(6, 7, &n), 0);
    assert_int_equal(n, 42);
    capt_err e = CAPT_ERR_INIT;
    assert_null(capt_try_alloc64(SIZE_MAX - 8, &e));
    assert_int_equal(e.code, CAPT_ENOMEM);
    capt_arena *a = capt_arena_new(1024);
    char *first = capt_arena_strndup(a, "hello, world", 5);
    for (int round = 0; round < 2; round++) {
        for (size_t i = 0; i < 500; i++) {
            unsigned char *p = capt_arena_alloc(a, i * 7);
            assert_int_equal((uintptr_t)p % 16, 0);
            for (size_t k = 0; k < i * 7; k++)
                assert_int_equal(p[k], 0);
            memset(p, 0xaa, i * 7);
        }
        if (round == 0)
            assert_string_equal(first, "hello");
        capt_arena_reset(a);
    }
    capt_arena_free(a);
}

static void json(void **state)
{
    static const struct {
        const char *text, *error; /* NULL: fine */
    } t[] = {
        {"{\"a\":[1,2.5,\"x\"]}", NULL},
        {"{\"a\":1,\"a\":2}", "duplicate"},
        {"{\"a\":1} x", "end of file expected"},
        {"{\"a\":", "bad JSON at column 5"},
        {"{\n\"a\":", "bad JSON at line 2, column 4"},
        {"[99999999999999999999]", "too big"},
        {"[\"\\u0000\"]", "bad JSON"},
        {"[\"\xff\"]", "bad JSON"},
        {"", "bad JSON"},
        {"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]", NULL},
        {"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]", "deeper than 32"},
        {"[\"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[\\\"[[[[[[\"]", NULL},
    };
    for (size_t i = 0; i < sizeof t / sizeof *t; i++) {
        capt_err e = CAPT_ERR_INIT;
        json_t *j = capt_json_parse(t[i].text, strlen(t[i].text), "f.ndjson:3", &e);
        assert_int_equal(j == NULL, t[i].error != NULL);
        if (!j) {
            assert_non_null(strstr(e.text, t[i].error));
            assert_ptr_equal(strstr(e.text, "f.ndjson:3: "), e.text);
        }
        json_decref(j);
    }
    size_t n = 20 << 20;
    char *deep = malloc(n);
    memset(deep, '[', n);
    assert_null(capt_json_parse(deep, n, "x", NULL));
    free(deep);

    const char *s = "{\"z\":\"a/\xc3\xa9\",\"i\":7,\"d\":0.1,\"l\":[],\"o\":{}}";
    capt_err e = CAPT_ERR_INIT;
    json_t *o = capt_json_parse(s, strlen(s), "w", &e);
    const char *str;
    int64_t i;
    double d;
    assert_int_equal(capt_json_str(o, "z", &str, "w", &e) | capt_json_int(o, "i", &i, "w", &e) | capt_json_num(o, "i", &d, "w", &e), 0);
    assert_int_equal(i, 7);
    assert_true(d == 7);
    assert_non_null(capt_json_array(o, "l", "w", &e));
    assert_non_null(capt_json_object(o, "o", "w", &e));
    assert_int_equal(capt_json_int(o, "d", &i, "w", &e), -1);
    assert_string_equal(e.text, "w: \"d\" is not an integer");
    e = (capt_err)CAPT_ERR_INIT;
    assert_null(capt_json_array(o, "none", "w", &e));
    assert_string_equal(e.text, "w: \"none\" is missing");
    capt_str line = {0};
    assert_int_equal(capt_json_line(o, &line), 0);
    assert_string_equal(line.s, "{\"z\":\"a/\xc3\xa9\",\"i\":7,\"d\":0.10000000000000001,\"l\":[],\"o\":{}}\n");
    capt_str_free(&line);
    json_decref(o);
}

static char *write_text(const char *path, const char *text)
{
    FILE *f = fopen(path, "w");
    fputs(text, f);
    fclose(f);
    return (char *)path;
}

static void assert_content(const char *path, const char *want)
{
    size_t n;
    char *s = capt_file_read(path, 0, &n, NULL);
    assert_non_null(s);
    assert_int_equal(n, strlen(want));
    assert_string_equal(s, want);
    free(s);
}

/* The n-th fsync from now fails, as on a disk that is breaking; 0: none does. In place of the C library's. */
static int fsync_fails, exchange_fails;
int fsync(int fd)
{
    if (fsync_fails > 0 && --fsync_fails == 0) {
        errno = EIO;
        return -1;
    }
    return (int)syscall(SYS_fsync, fd);
}

/* As on a file system that cannot exchange names. */
int renameat2(int d, const char *from, int e, const char *to, unsigned flags)
{
    if (exchange_fails) {
        errno = EINVAL;
        return -1;
    }
    return (int)syscall(SYS_renameat2, d, from, e, to, flags);
}

static int write_out(const char *path, const char *text, capt_err *e)
{
    *e = (capt_err)CAPT_ERR_INIT;
    capt_out *o = capt_out_open(path, e);
    assert_non_null(o);
    fputs(text, capt_out_file(o));
    return capt_out_finish(o, e);
}

/* A failing sync of the file or of its folder loses nothing that was there before. */
static void published(void **state)
{
    char dir[] = "/tmp/capt-base.XXXXXX";
    capt_err e;
    assert_non_null(mkdtemp(dir));
    assert_int_equal(chdir(dir), 0);
    for (int n = 1; n <= 2; n++) { /* nothing there: nothing after */
        fsync_fails = n;
        assert_int_equal(write_out("out", "new", &e), -1);
        assert_int_equal(e.code, CAPT_EIO);
        assert_false(capt_file_exists("out") || capt_file_exists("out.part"));
    }
    assert_int_equal(write_out("out", "first", &e), 0);
    for (int n = 1; n <= 2; n++) { /* an older file stays */
        fsync_fails = n;
        assert_int_equal(write_out("out", "new", &e), -1);
        assert_content("out", "first");
        assert_false(capt_file_exists("out.part"));
    }
    assert_int_equal(write_out("out", "second", &e), 0);
    assert_content("out", "second");
    assert_false(capt_file_exists("out.part"));
    exchange_fails = 1;
    fsync_fails = 1;
    assert_int_equal(write_out("out", "third", &e), -1);
    assert_content("out", "second");
    fsync_fails = 2;
    assert_int_equal(write_out("out", "third", &e), -1);
    assert_string_equal(e.text, "out is written, but its name may not last: .: Input/output error");
    assert_content("out", "third");
    fsync_fails = 2;
    assert_int_equal(write_out("other", "new", &e), -1);
    assert_false(capt_file_exists("other"));
    exchange_fails = 0;
    unlink("out");
    assert_int_equal(chdir("/"), 0);
    assert_int_equal(rmdir(dir), 0);
}

static void files(void **state)
{
    char dir[] = "/tmp/capt-base.XXXXXX";
    assert_non_null(mkdtemp(dir));
    assert_int_equal(chdir(dir), 0);
    capt_err e = CAPT_ERR_INIT;
    capt_out *o = capt_out_open("out", &e);
    assert_non_null(o);
    fputs("new", capt_out_file(o));
    assert_false(capt_file_exists("out"));
    assert_true(capt_file_exists("out.part"));
    assert_int_equal(capt_out_finish(o, &e), 0);
    assert_false(capt_file_exists("out.part"));
    assert_content("out", "new");

    o = capt_out_open("out", &e);
    fputs("half", capt_out_file(o));
    capt_out_abandon(o);
    assert_false(capt_file_exists("out.part"));
    assert_content("out", "new");

    struct rlimit was, small;
    getrlimit(RLIMIT_FSIZE, &was);
    small = (struct rlimit){100, was.rlim_max};
    signal(SIGXFSZ, SIG_IGN);
    o = capt_out_open("out", &e);
    setrlimit(RLIMIT_FSIZE, &small);
    for (int i = 0; i < 10000; i++)
        fputs("text", capt_out_file(o));
    assert_int_equal(capt_out_finish(o, &e), -1);
    setrlimit(RLIMIT_FSIZE, &was);
    assert_string_equal(e.text, "out: File too large");
    assert_false(capt_file_exists("out.part"));
    assert_content("out", "new");
    e = (capt_err)CAPT_ERR_INIT;

    o = capt_out_open("/dev/full", &e);
    fputs("x", capt_out_file(o));
    assert_int_equal(capt_out_finish(o, &e), -1);
    assert_string_equal(e.text, "/dev/full: disk full");
    e = (capt_err)CAPT_ERR_INIT;
    assert_null(capt_out_open("no/such", &e));
    assert_string_equal(e.text, "no/such.part: No such file or directory");
    e = (capt_err)CAPT_ERR_INIT;
    assert_null(capt_out_open(".", &e));

    size_t n;
    assert_null(capt_file_read("out", 2, &n, NULL));
    char *s = capt_file_read("out", 3, &n, NULL);
    assert_int_equal(n, 3);
    free(s);
    assert_null(capt_file_read(".", 0, &n, NULL));
    capt_map m;
    assert_int_equal(capt_map_open(&m, "out", NULL), 0);
    assert_memory_equal(m.p, "new", 3);
    capt_map_close(&m);
    assert_int_equal(mkfifo("fifo", 0600), 0);
    assert_int_equal(capt_map_open(&m, "fifo", NULL), -1);

    write_text("secret", "s");
    assert_int_equal(mkdir("in", 0700), 0);
    write_text("in/a", "a");
    assert_int_equal(symlink("../secret", "in/up") | symlink("a", "in/b") | symlink("/etc/passwd", "in/abs") | mkfifo("in/fifo", 0600), 0);
    int d = open("in", O_RDONLY | O_DIRECTORY);
    static const struct {
        const char *name;
        int fine;
    } t[] = {{"a", 1}, {"b", 1}, {"./a", 1}, {"up", 0}, {"abs", 0}, {"../secret", 0}, {"./../in/a", 0}, {"/etc/passwd", 0}, {"fifo", 0},
             {"", 0}, {".", 0}, {"none", 0}};
    for (size_t i = 0; i < sizeof t / sizeof *t; i++) {
        int fd = capt_open_beneath(d, t[i].name, NULL);
        assert_int_equal(fd >= 0, t[i].fine);
        if (fd >= 0)
            close(fd);
    }
    close(d);
    char hex[33], hex2[33];
    assert_int_equal(capt_hash_file("out", hex, NULL), 0);
    capt_hash_hex("new", 3, hex2);
    assert_string_equal(hex, hex2);
    assert_int_equal(capt_hash_file("none", hex, NULL), -1);
    static const char *const made[] = {"out", "secret", "fifo", "in/a", "in/b", "in/up", "in/abs", "in/fifo"};
    for (size_t i = 0; i < 8; i++)
        unlink(made[i]);
    rmdir("in");
    assert_int_equal(chdir("/"), 0);
    assert_int_equal(rmdir(dir), 0); /* nothing else was left */
}

struct job {
    capt_pool *p;
    int inner;
    _Atomic int hits[1000];
    _Atomic int wrong;
};

static void touch(void *arg, int64_t task, int worker)
{
    struct job *j = arg;
    j->hits[task]++;
    if (worker < 0 || worker >= capt_pool_size(j->p))
        j->wrong++;
    if (j->inner) {
        struct job *in = calloc(1, sizeof *in);
        in->p = j->p;
        capt_pool_run(j->p, 10, touch, in);
        for (int i = 0; i < 10; i++)
            j->wrong += in->hits[i] != 1;
        free(in);
    }
}

static void slow(void *arg, int64_t task, int worker)
{
    usleep(task ? 400 : 1);
    ((struct job *)arg)->hits[task]++;
}

static void pool_waits(void **state)
{
    capt_pool *p = capt_pool_new(3, NULL);
    struct job *j = calloc(1, sizeof *j);
    for (int r = 1; r <= 50; r++) {
        capt_pool_run(p, 3, slow, j);
        for (int i = 0; i < 3; i++)
            assert_int_equal(j->hits[i], r); /* at once: a run returns when all is done */
    }
    free(j);
    capt_pool_free(p);
}

static void pool(void **state)
{
    static const int sizes[] = {1, 2, 3, 8};
    for (int s = 0; s < 5; s++) {
        capt_pool *p = s < 4 ? capt_pool_new(sizes[s], NULL) : NULL;
        assert_int_equal(capt_pool_size(p), s < 4 ? sizes[s] : 1);
        struct job *j = calloc(1, sizeof *j);
        j->p = p;
        int rounds = 3000;
        for (int r = 0; r < rounds; r++) {
            j->inner = r % 100 == 0;
            capt_pool_run(p, 1 + r % 40, touch, j);
            if (r % 500 == 0)
                usleep(200); /* lets the workers fall asleep */
        }
        int want = 0, got = 0;
        for (int r = 0; r < rounds; r++)
            want += 1 + r % 40;
        for (int i = 0; i < 1000; i++)
            got += j->hits[i];
        assert_int_equal(got, want);
        assert_int_equal(j->hits[0], rounds);
        assert_int_equal(j->wrong, 0);
        capt_pool_run(p, 0, touch, j);
        assert_int_equal(j->hits[0], rounds);
        free(j);
        capt_pool_free(p);
    }
    assert_null(capt_pool_new(-1, NULL));
    assert_true(capt_cpu_count() >= 1);
}

/* Several sets beside runs, waited for in another order; a set of none; nothing is done twice, nothing is left when wait returns. */
static void pool_beside(void **state)
{
    static const int sizes[] = {1, 2, 4};
    for (int s = 0; s < 4; s++) {
        capt_pool *p = s < 3 ? capt_pool_new(sizes[s], NULL) : NULL;
        for (int r = 0; r < 200; r++) {
            struct job *j = calloc(4, sizeof *j);
            capt_tasks t[3];
            for (int i = 0; i < 4; i++)
                j[i].p = p;
            j[0].inner = 1;
            for (int i = 0; i < 3; i++)
                capt_pool_begin(p, &t[i], i * 7 + r % 2, r % 50 ? touch : slow, &j[i]);
            for (int k = 0; k < 5; k++)
                capt_pool_run(p, 20, touch, &j[3]);
            for (int i = 0; i < 3; i++) {
                int at = (i + r) % 3;
                capt_pool_wait(p, &t[at]);
                for (int k = 0; k < 1000; k++)
                    assert_int_equal(j[at].hits[k], k < at * 7 + r % 2);
                assert_int_equal(j[at].wrong, 0);
            }
            for (int k = 0; k < 20; k++)
                assert_int_equal(j[3].hits[k], 5);
            free(j);
        }
        capt_pool_free(p);
    }
}

static struct meeting { capt_pool *p; _Atomic int begun; } meeting;

static void meet(void *arg, int64_t task, int worker)
{
    meeting.begun = 1;
}

static void wait_for_it(void *arg, int64_t task, int worker)
{
    for (int i = 0; task == 0 && !meeting.begun && i < 20000; i++)
        usleep(500);
}

/* A worker that has nothing to do in a run takes the task beside it: while task 0 of the run waits for it, so it is not put off to wait. */
static void pool_beside_overlaps(void **state)
{
    meeting.p = capt_pool_new(2, NULL);
    capt_tasks t;
    capt_pool_begin(meeting.p, &t, 1, meet, NULL);
    capt_pool_run(meeting.p, 2, wait_for_it, NULL);
    assert_true(meeting.begun);
    capt_pool_wait(meeting.p, &t);
    capt_pool_free(meeting.p);
}

static void provenance(void **state)
{
    json_t *one = capt_prov_append(NULL, capt_prov_entry("coco-toy", NULL));
    json_t *two = capt_prov_append(one, capt_prov_entry("capt-train", "cpu avx2"));
    assert_int_equal(json_array_size(one), 1);
    assert_int_equal(json_array_size(two), 2);
    assert_string_equal(json_string_value(json_object_get(json_array_get(two, 1), "backend")), "cpu avx2");
    assert_string_equal(json_string_value(json_object_get(json_array_get(two, 0), "version")), capt_version());
    json_decref(one);
    json_decref(two);
}

int main(void)
{
    cmocka_set_message_output(CM_OUTPUT_TAP);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(errors),  cmocka_unit_test(philox), cmocka_unit_test(random_numbers), cmocka_unit_test(hashes),
        cmocka_unit_test(half_floats), cmocka_unit_test(utf8), cmocka_unit_test(strings), cmocka_unit_test(memory),
        cmocka_unit_test(json),    cmocka_unit_test(published), cmocka_unit_test(files),  cmocka_unit_test(pool), cmocka_unit_test(pool_waits), cmocka_unit_test(pool_beside), cmocka_unit_test(pool_beside_overlaps),           cmocka_unit_test(provenance),
    };
    return cmocka_run_group_tests_name("base", tests, NULL, NULL);
}
