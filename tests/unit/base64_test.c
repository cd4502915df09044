/* Base64: what RFC 4648 says, the same by every instruction set, and the place of the first wrong character. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "base/base64.h"
#include "base/mem.h"
#include "base/rng.h"

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
static uint64_t draws;

static unsigned draw(void)
{
    return (unsigned)capt_rng_u64(64, draws++);
}

/* of n bytes, into 4 ceil(n / 3) characters */
static size_t encode(const uint8_t *p, size_t n, char *s)
{
    size_t k = 0;
    for (size_t i = 0; i < n; i += 3) {
        unsigned v = (unsigned)p[i] << 16 | (i + 1 < n ? (unsigned)p[i + 1] << 8 : 0) | (i + 2 < n ? p[i + 2] : 0);
        for (int b = 0; b < 4; b++)
            s[k++] = b <= (int)(n - i) ? alphabet[v >> (18 - 6 * b) & 63] : '=';
    }
    return k;
}

/* of exact sizes, so that the sanitizers see a byte too many; and a mark behind the output for the other builds */
static long decode(int isa, const char *s, size_t n, uint8_t **out, size_t *size)
{
    char *text = capt_alloc(n ? n : 1);
    memcpy(text, s, n);
    *size = capt_base64_size(text, n);
    *out = malloc(*size + 32);
    assert_non_null(*out);
    memset(*out, 0xA5, *size + 32);
    long rc = capt_base64_decode_by(isa, text, n, *out);
    for (int i = 0; i < 32; i++)
        assert_int_equal((*out)[*size + (size_t)i], 0xA5);
    uint8_t *exact = malloc(*size ? *size : 1);
    assert_non_null(exact);
    assert_int_equal(capt_base64_decode_by(isa, text, n, exact), rc);
    if (rc < 0)
        assert_memory_equal(exact, *out, *size);
    free(exact);
    free(text);
    return rc;
}

static void vectors(void **state)
{
    (void)state;
    static const struct { const char *text; long bad; const char *bytes; } t[] = {
        {"", -1, ""}, {"Zg==", -1, "f"}, {"Zm8=", -1, "fo"}, {"Zm9v", -1, "foo"}, {"Zm9vYg==", -1, "foob"}, {"Zm9vYmE=", -1, "fooba"}, {"Zm9vYmFy", -1, "foobar"},
        {"Zg=", 2, ""}, {"Zg", 2, ""}, {"Z", 1, ""}, {"Zh==", 1, ""}, {"Zm9=", 2, ""}, {"====", 0, ""}, {"Z===", 1, ""}, {"Zg==Zg==", 2, ""}, {"Zm=v", 2, ""},
        {"Zm9v\n", 4, ""}, {" Zm9", 0, ""}, {"Zm-_", 2, ""}, {"Zm9vYg=", 6, ""}, {"Zm9vYg=v", 6, ""}, {"Z\xc3m9", 1, ""}};
    for (int isa = 0; isa < CAPT_BASE64_N; isa++)
        for (size_t i = 0; i < sizeof t / sizeof *t && capt_base64_has(isa); i++) {
            uint8_t *out;
            size_t size;
            long bad = decode(isa, t[i].text, strlen(t[i].text), &out, &size);
            if (bad != t[i].bad)
                fail_msg("\"%s\": %ld, not %ld", t[i].text, bad, t[i].bad);
            if (bad < 0) {
                assert_int_equal(size, strlen(t[i].bytes));
                assert_memory_equal(out, t[i].bytes, size);
            }
            free(out);
        }
    assert_true(capt_base64_has(CAPT_BASE64_PORTABLE));
    uint8_t one[3];
    assert_int_equal(capt_base64_decode("Zm9v", 4, one), -1);
    assert_memory_equal(one, "foo", 3);
}

static void round_trip(void **state)
{
    (void)state;
    for (size_t n = 0; n < 700; n += n < 400 ? 1 : 37) {
        uint8_t *p = capt_alloc(n + 1);
        char *s = capt_alloc(n * 2 + 8);
        for (size_t i = 0; i < n; i++)
            p[i] = (uint8_t)draw();
        size_t k = encode(p, n, s);
        for (int isa = 0; isa < CAPT_BASE64_N; isa++) {
            if (!capt_base64_has(isa))
                continue;
            uint8_t *out;
            size_t size;
            assert_int_equal(decode(isa, s, k, &out, &size), -1);
            assert_int_equal(size, n);
            assert_memory_equal(out, p, n);
            free(out);
        }
        free(p);
        free(s);
    }
}

/* every byte at every place of a text that all variants need several turns for */
static void damage(void **state)
{
    (void)state;
    uint8_t p[240];
    char s[328], bad[328];
    for (size_t i = 0; i < sizeof p; i++)
        p[i] = (uint8_t)draw();
    size_t k = encode(p, sizeof p, s);
    for (size_t i = 0; i < k; i++)
        for (int c = 0; c < 256; c++) {
            int known = c && strchr(alphabet, c);
            memcpy(bad, s, k);
            bad[i] = (char)c;
            uint8_t out[sizeof p + 3], want[sizeof p + 3];
            long rc = capt_base64_decode_by(CAPT_BASE64_PORTABLE, bad, k, want);
            if (!known && c != '=')
                assert_int_equal(rc, i);
            else if (known)
                assert_int_equal(rc, -1);
            for (int isa = 1; isa < CAPT_BASE64_N; isa++) {
                if (!capt_base64_has(isa))
                    continue;
                assert_int_equal(capt_base64_decode_by(isa, bad, k, out), rc);
                if (rc < 0)
                    assert_memory_equal(out, want, capt_base64_size(bad, k));
            }
        }
}

int main(void)
{
    cmocka_set_message_output(CM_OUTPUT_TAP);
    const struct CMUnitTest tests[] = {cmocka_unit_test(vectors), cmocka_unit_test(round_trip), cmocka_unit_test(damage)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
