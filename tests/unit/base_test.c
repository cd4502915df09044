/* The base library: known answers, limits, and what must fail. */
#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "base/arena.h"
#include "base/bf16.h"
#include "base/hash.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/prov.h"
#include "base/rng.h"
#include "base/str.h"

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
    const struct CMUnitTest tests[] = {cmocka_unit_test(errors), cmocka_unit_test(philox), cmocka_unit_test(random_numbers), cmocka_unit_test(hashes), cmocka_unit_test(half_floats), cmocka_unit_test(utf8), cmocka_unit_test(strings), cmocka_unit_test(memory), cmocka_unit_test(json), cmocka_unit_test(provenance)};
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests_name("base", tests, NULL, NULL);
}
