/* Detectors' rows: files of any shape by rows, what each layout says, types and widths by bytes, geometry, and JSON that is cut
 * around its base64. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>
#include "base/mem.h"
#include "record/regions.h"
#include "record/tsv.h"

static char path[] = "/tmp/capt-regions-test.XXXXXX";

static void put(const char *s, size_t n)
{
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(s, 1, n, f), n);
    assert_int_equal(fclose(f), 0);
}

static void files(void **state)
{
    (void)state;
    capt_err err = CAPT_ERR_INIT;
    const char *paths[] = {path, path};
    static const char text[] = "a\t1\n\nbc\t2\r\n\r\n\tx\nno tab\nd\t";
    put(text, sizeof text - 1);
    capt_tsv *t = capt_tsv_open(paths, 2, NULL, &err);
    assert_non_null(t);
    static const struct { const char *key, *text; int line; } want[] = {{"a", "a\t1", 1}, {"bc", "bc\t2", 3}, {NULL, NULL, 5}, {NULL, NULL, 6}, {"d", "d\t", 7}};
    assert_int_equal(capt_tsv_n(t), 10);
    capt_str s = {0};
    for (size_t i = 0; i < 10; i++) {
        const capt_tsv_row *r = capt_tsv_at(t, i);
        assert_int_equal(r->file, i / 5);
        assert_int_equal(r->line, want[i % 5].line);
        err = (capt_err)CAPT_ERR_INIT;
        assert_int_equal(capt_tsv_read(t, i, &s, &err), want[i % 5].key ? 0 : -1);
        if (want[i % 5].key) {
            assert_string_equal(r->key, want[i % 5].key);
            assert_string_equal(s.s, want[i % 5].text);
        }
    }
    char where[400], hash[33];
    capt_tsv_where(t, 6, where);
    assert_non_null(strstr(where, ":3: id bc"));
    strcpy(hash, capt_tsv_hash(t));
    int64_t keep[] = {4, 0};
    assert_int_equal(capt_tsv_keep(t, 1, keep, 2, "list", &err), 0);
    assert_int_equal(capt_tsv_n(t), 7);
    assert_string_equal(capt_tsv_at(t, 5)->key, "a");
    keep[0] = 2;
    err = (capt_err)CAPT_ERR_INIT;
    assert_int_equal(capt_tsv_keep(t, 1, keep, 2, "list", &err), -1);
    capt_tsv_close(t);
    put("a\t1\n\nbc\t2\r\n\r\n\tx\nno tab\nd\t?", sizeof text);
    t = capt_tsv_open(paths, 2, NULL, &err);
    assert_string_not_equal(capt_tsv_hash(t), hash);
    capt_tsv_close(t);
    put("", 0);
    t = capt_tsv_open(paths, 1, NULL, &err);
    assert_int_equal(capt_tsv_n(t), 0);
    capt_tsv_close(t);
    capt_str_free(&s);
}

/* rows over the borders of blocks and chunks, by one thread and by three */
static void borders(void **state)
{
    (void)state;
    enum { SIZE = 9 << 20 };
    capt_err err = CAPT_ERR_INIT;
    const char *paths[] = {path};
    char *s = malloc(SIZE), hash[33] = "";
    assert_non_null(s);
    memset(s, 'x', SIZE);
    static const int ends[] = {(1 << 18) - 1, 1 << 18, (4 << 20) - 2, (4 << 20) - 1, 4 << 20, (8 << 20) - 1, SIZE - 1};
    enum { ROWS = sizeof ends / sizeof *ends };
    int begin = 0;
    for (int i = 0; i < ROWS; i++) {
        if (ends[i] > begin) {
            s[begin] = (char)('a' + i);
            s[begin + (ends[i] - begin > 1)] = '\t';
        }
        s[ends[i]] = '\n';
        begin = ends[i] + 1;
    }
    put(s, SIZE);
    for (int threads = 1; threads <= 3; threads += 2) {
        capt_pool *pool = capt_pool_new(threads, &err);
        capt_tsv *t = capt_tsv_open(paths, 1, pool, &err);
        assert_non_null(t);
        size_t k = 0;
        begin = 0;
        for (int i = 0; i < ROWS; i++) {
            if (ends[i] > begin) {
                assert_int_equal(capt_tsv_at(t, k)->at, begin);
                assert_int_equal(capt_tsv_at(t, k)->n, ends[i] - begin);
                assert_int_equal(capt_tsv_at(t, k)->line, i + 1);
                k++;
            }
            begin = ends[i] + 1;
        }
        assert_int_equal(capt_tsv_n(t), k);
        if (threads == 1)
            strcpy(hash, capt_tsv_hash(t));
        assert_string_equal(capt_tsv_hash(t), hash);
        capt_tsv_close(t);
        capt_pool_free(pool);
    }
    free(s);
}

#define ONES "AACAPwAAgD8AAIA/" /* 1 1 1 */

static void layouts(void **state)
{
    (void)state;
    static const struct { const char *row; capt_regions_form guess; int n, dim; const char *error; } t[] = {
        {"7\t10\t20\t1\tAACAPwAAgD8AAABAAAAAQA==\t" ONES, CAPT_REGIONS_BUTD, 1, 3, NULL},
        {"7\t10\t20\t3\tAACAPwAAgD8AAABAAAAAQA==\t" ONES, CAPT_REGIONS_BUTD, 3, 1, "the boxes have 24 characters, 12 numbers of f32 have 64"},
        {"7\t1\t" ONES, CAPT_REGIONS_VINVL, 1, 3, NULL},
        {"7\t+1\t" ONES, CAPT_REGIONS_VINVL, 0, 0, "the number of boxes is \"+1\""},
        {"7\t{\"num_boxes\": 3, \"features\": \"" ONES "\"}", CAPT_REGIONS_VINVL, 3, 1, NULL},
        {"7\t{ \"features\" : \"" ONES "\",\"x\":[{\"features\":\"" ONES "\"}], \"num_boxes\":1}", CAPT_REGIONS_VINVL, 1, 3, NULL},
        {"7\t{\"note\":\"\\\"features\\\":\\\\\", \"num_boxes\":1, \"features\":\"" ONES "\"}", CAPT_REGIONS_VINVL, 1, 3, NULL},
        {"7\t{\"num_boxes\":1,\"features\":\"" ONES, CAPT_REGIONS_NONE, 0, 0, NULL},
        {"7\t{\"objects\":[{\"rect\":[1,1,2,2.5],\"class\":\"dog\",\"conf\":0.5,\"feature\":\"" ONES "\"}]}", CAPT_REGIONS_SGB, 1, 3, NULL},
        {"7\t{\"objects\":[{\"rect\":[1,1,2,2.5],\"class\":\"dog\",\"conf\":0.5,\"feature\":\"\\/AAAAAA\"}]}", CAPT_REGIONS_SGB, 1, 3, "wrong in base64"},
        {"7\tcaption", CAPT_REGIONS_NONE, 0, 0, NULL},
        {"7", CAPT_REGIONS_NONE, 0, 0, NULL},
        {"1\t2\t3\t4\t5\t6\t7", CAPT_REGIONS_NONE, 0, 0, NULL}};
    capt_arena *a = capt_arena_new(0);
    for (size_t i = 0; i < sizeof t / sizeof *t; i++) {
        capt_err err = CAPT_ERR_INIT;
        capt_regions r;
        capt_dtype dtype = CAPT_N_DTYPE;
        int dim = 0;
        size_t n = strlen(t[i].row);
        assert_int_equal(capt_regions_guess(t[i].row, n), t[i].guess);
        if (!t[i].guess)
            continue;
        int rc = capt_regions_parse(t[i].guess, t[i].row, n, a, &r, "x", &err);
        if (rc == 0)
            rc = capt_regions_shape(&r, &dim, &dtype, "x", &err);
        float x[16], boxes[16];
        if (rc == 0 && (capt_regions_features(&r, dim, dtype, x, x, "x", &err) || capt_regions_boxes(&r, boxes, "x", &err) < 0))
            rc = -1;
        if (!t[i].error) {
            assert_int_equal(rc, 0);
            assert_int_equal(r.n, t[i].n);
            assert_int_equal(dim, t[i].dim);
            assert_true(x[0] == 1 && x[r.n * dim - 1] == 1);
        } else if (!strstr(err.text, t[i].error)) {
            fail_msg("row %zu: \"%s\", not \"%s\"", i, err.text, t[i].error);
        }
    }
    capt_arena_free(a);
}

static void shapes(void **state)
{
    (void)state;
    /* bytes a box -> type and width, as found and as told */
    static const struct { size_t each; int told, dim; capt_dtype dtype; } t[] = {
        {8192, 0, 2048, CAPT_F32}, {8216, 0, 2054, CAPT_F32}, {4096, 0, 2048, CAPT_F16}, {4108, 0, 2054, CAPT_F16}, {4108, 1027, 1027, CAPT_F32},
        {4096, 1024, 1024, CAPT_F32}, {40, 0, 10, CAPT_F32}, {42, 0, 21, CAPT_F16}, {40, 20, 20, CAPT_F16}, {40, 19, 0, CAPT_F32}, {41, 0, 0, CAPT_F32}};
    static char text[3 * 8216 * 2];
    memset(text, 'A', sizeof text);
    for (size_t i = 0; i < sizeof t / sizeof *t; i++) {
        capt_err err = CAPT_ERR_INIT;
        capt_regions r = {.n = 3, .features = {text, t[i].each * 4}}; /* 3 boxes: whole triples of bytes */
        capt_dtype dtype;
        int dim = t[i].told, rc = capt_regions_shape(&r, &dim, &dtype, "x", &err);
        assert_int_equal(rc, t[i].dim ? 0 : -1);
        if (rc == 0)
            assert_true(dim == t[i].dim && dtype == t[i].dtype);
    }
}

static void geometry(void **state)
{
    (void)state;
    float wh[2][8] = {{9, 9, .25f, .5f, .5f, 1, .25f, .5f}, {0, 0, 0, 0, 1, .5f, 1, .5f}}, hw[2][8], none[8] = {0}, square[8] = {9, 9, 0, 0, .5f, .5f, .5f, .5f};
    memcpy(hw, wh, sizeof hw);
    capt_geometry_swap(hw[0], 2, 8);
    assert_true(hw[0][6] == .5f && hw[0][7] == .25f && hw[1][6] == .5f);
    assert_int_equal(capt_geometry_orders(wh[0], 2, 8, CAPT_F32), CAPT_ORDER_WH);
    assert_int_equal(capt_geometry_orders(hw[0], 2, 8, CAPT_F32), CAPT_ORDER_HW);
    assert_int_equal(capt_geometry_orders(square, 1, 8, CAPT_F32), 3);
    assert_int_equal(capt_geometry_orders(none, 1, 8, CAPT_F32), 0); /* zeros are no box */
    assert_int_equal(capt_geometry_orders(wh[0], 2, 6, CAPT_F32), 0);
    wh[0][6] += .001f; /* as float16 rounds */
    assert_int_equal(capt_geometry_orders(wh[0], 1, 8, CAPT_F32), 0);
    assert_int_equal(capt_geometry_orders(wh[0], 1, 8, CAPT_F16), CAPT_ORDER_WH);
    wh[0][6] = NAN;
    assert_int_equal(capt_geometry_orders(wh[0], 1, 8, CAPT_F16), 0);
    static const int fits[][5] = {{0, 0, 0, 4, 1}, {1, 4, 0, 2, 1}, {1, 0, 4, 2, 2}, {4, 1, 0, 1, 0}, {4, 0, 0, 0, 0}, {0, 0, 1, 9, 2}, {0, 0, 0, 0, 0}};
    for (size_t i = 0; i < sizeof fits / sizeof *fits; i++)
        assert_int_equal(capt_geometry_decide(fits[i]), fits[i][4]);
}

static void beside(void **state)
{
    (void)state;
    capt_err err = CAPT_ERR_INIT;
    capt_arena *a = capt_arena_new(0);
    capt_regions r = {0};
    int w = 0, h = 0;
    static const char list[] = "[{\"class\":\"a\",\"conf\":1,\"rect\":[0,0,1,1]},{\"class\":\"b\"}]", object[] = "{\"image_w\":3,\"image_h\":4,\"objects\":[]}";
    assert_int_equal(capt_objects_parse(list, sizeof list - 1, a, &r, "x", &err), 0);
    assert_true(r.n_objects == 2 && r.w == 0 && r.object[0].conf == 1 && isnan(r.object[1].conf) && isnan(r.object[1].rect[0]));
    assert_int_equal(capt_objects_parse(object, sizeof object - 1, a, &r, "x", &err), 0);
    assert_true(r.n_objects == 0 && r.w == 3 && r.h == 4);
    static const char *const sizes[] = {"[{\"height\":4,\"width\":3}]", "{\"width\":3,\"height\":4}"};
    for (int i = 0; i < 2; i++)
        assert_true(capt_size_parse(sizes[i], strlen(sizes[i]), &w, &h, "x", &err) == 0 && w == 3 && h == 4);
    static const char *const bad[] = {"[]", "[{\"height\":0,\"width\":3}]", "{\"width\":3}", "3", "[{\"height\":4.0,\"width\":3}]", "{\"width\":1048577,\"height\":1}", ""};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        err = (capt_err)CAPT_ERR_INIT;
        assert_int_equal(capt_size_parse(bad[i], strlen(bad[i]), &w, &h, "x", &err), -1);
        assert_int_not_equal(err.code, CAPT_OK);
    }
    capt_arena_free(a);
}

static int clean(void **state)
{
    (void)state;
    return unlink(path);
}

int main(void)
{
    cmocka_set_message_output(CM_OUTPUT_TAP);
    int fd = mkstemp(path);
    if (fd < 0)
        return 1;
    close(fd);
    const struct CMUnitTest tests[] = {cmocka_unit_test(files), cmocka_unit_test(borders), cmocka_unit_test(layouts), cmocka_unit_test(shapes),
                                       cmocka_unit_test(geometry), cmocka_unit_test(beside)};
    return cmocka_run_group_tests(tests, NULL, clean);
}
