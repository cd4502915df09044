/* The safetensors reader against hostile headers, and the writer through it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/bf16.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/str.h"
#include "base/hash.h"
#include "tensor/safetensors.h"

#define T(name, type, shape, b, e) "\"" name "\":{\"dtype\":\"" type "\",\"shape\":[" shape "],\"data_offsets\":[" #b "," #e "]}"

/* header length + header + n zero bytes; free(3) */
static unsigned char *make(const char *header, size_t n_data, size_t *n)
{
    size_t len = strlen(header);
    unsigned char *p = capt_alloc(8 + len + n_data);
    for (int i = 0; i < 8; i++)
        p[i] = (unsigned char)((uint64_t)len >> (8 * i));
    memcpy(p + 8, header, len);
    *n = 8 + len + n_data;
    return p;
}

static const struct { const char *header; size_t n_data; const char *says; } cases[] = { /* says NULL: is read */
    {"{}", 0, NULL},
    {"{}      ", 0, NULL},
    {"{" T("a", "F32", "2,3", 0, 24) "," T("b", "U8", "4", 24, 28) "}", 28, NULL},
    {"{" T("b", "U8", "4", 24, 28) "," T("a", "F32", "2,3", 0, 24) "}", 28, NULL},
    {"{" T("a", "F32", "", 0, 4) "}", 4, NULL},
    {"{" T("a", "F32", "1,1,1,1,1,1,1,1", 0, 4) "}", 4, NULL},
    {"{" T("e", "F32", "0,7", 0, 0) "," T("a", "BOOL", "3", 0, 3) "," T("z", "I64", "0", 3, 3) "}", 3, NULL},
    {"{\"__metadata__\":{\"format\":\"pt\"}," T("a", "BF16", "3", 0, 6) "}", 6, NULL},
    {"", 0, "bad JSON"},
    {"[]", 0, "not an object"},
    {"{\"a\":1}", 0, "missing or malformed"},
    {"{\"__metadata__\":{\"n\":1}}", 0, "is not a string"},
    {"{\"__metadata__\":[]}", 0, "is not an object"},
    {"{" T("a", "F32", "1", 0, 4) "," T("a", "F32", "1", 4, 8) "}", 8, "duplicate"},
    {"{" T("a", "F8", "1", 0, 1) "}", 1, "dtype F8 is not known"},
    {"{" T("a", "F32", "-1", 0, 4) "}", 4, "impossible shape"},
    {"{" T("a", "F32", "-1,-1", 0, 4) "}", 4, "impossible shape"},
    {"{" T("a", "F32", "4294967296,4294967296", 0, 0) "}", 0, "impossible shape"},
    {"{" T("a", "F32", "9223372036854775807", 0, 0) "}", 0, "impossible shape"},
    {"{" T("a", "U8", "9223372036854775807,2", 0, 0) "}", 0, "impossible shape"},
    {"{" T("a", "F32", "1.0", 0, 4) "}", 4, "not an integer"},
    {"{" T("a", "F32", "1,1,1,1,1,1,1,1,1", 0, 4) "}", 4, "9 dimensions"},
    {"{" T("a", "F32", "2", 0, 4) "}", 4, "its shape needs 8"},
    {"{" T("a", "F32", "1", 0, 8) "}", 4, "outside the file"},
    {"{" T("a", "F32", "1", 4, 0) "}", 4, "outside the file"},
    {"{" T("a", "F32", "1", -4, 0) "}", 4, "outside the file"},
    {"{" T("a", "F32", "1", 4, 8) "}", 8, "leave a hole"},
    {"{" T("a", "F32", "1", 0, 4) "," T("b", "F32", "1", 8, 12) "}", 12, "leave a hole"},
    {"{" T("a", "F32", "2", 0, 8) "," T("b", "F32", "2", 4, 12) "}", 12, "overlap"},
    {"{" T("a", "F32", "1", 0, 4) "," T("b", "F32", "1", 0, 4) "}", 4, "overlap"},
    {"{" T("a", "F32", "1", 0, 4) "}", 5, "1 bytes after the last tensor"},
    {"{}", 1, "1 bytes after the last tensor"},
    {"{\"a\":[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]}", 0, "nested deeper"},
};

static void headers(void **state)
{
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        size_t n;
        unsigned char *p = make(cases[i].header, cases[i].n_data, &n);
        capt_err err = CAPT_ERR_INIT;
        capt_st *st = capt_st_parse(p, n, "x.safetensors", &err);
        if (!cases[i].says && !st)
            fail_msg("%s: %s", cases[i].header, err.text);
        if (cases[i].says && (st || err.code != CAPT_EDATA || !strstr(err.text, cases[i].says) || strncmp(err.text, "x.safetensors:", 14) != 0))
            fail_msg("%s: \"%s\", not \"%s\"", cases[i].header, st ? "read" : err.text, cases[i].says);
        capt_st_close(st);
        for (size_t cut = 0; !cases[i].says && cut < n; cut++) /* every shorter file is refused */
            assert_null(capt_st_parse(p, cut, "cut", NULL));
        free(p);
    }
}

static void lengths(void **state)
{
    static const struct { unsigned char b[20]; size_t n; const char *says; } raw[] = {
        {{0}, 0, "the file is empty"}, {{2, 0, 0}, 3, "not a safetensors"}, {{255, 255, 255, 255, 255, 255, 255, 127}, 16, "not a safetensors"},
        {{255, 255, 255, 255, 255, 255, 255, 255}, 16, "not a safetensors"}, {"PK\3\4", 16, "pickle"}, {{0x80, 2, 'c'}, 16, "pickle"},
        {"version https://", 16, "Git LFS"}, {{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 8, 0, 0, 0, 0, 0, 0xde, 0xc0, 0xef, 0xbe}, 20, "a feature store"},
    };
    for (size_t i = 0; i < sizeof raw / sizeof *raw; i++) {
        capt_err err = CAPT_ERR_INIT;
        assert_null(capt_st_parse(raw[i].b, raw[i].n, "x", &err));
        if (!strstr(err.text, raw[i].says))
            fail_msg("%d: %s", (int)i, err.text);
    }
    size_t n = (16 << 20) + 64; /* a header over the limit is not even parsed */
    unsigned char *p = capt_alloc(n);
    memset(p, ' ', n);
    memcpy(p, "\1\0\0\1\0\0\0\0{}", 10);
    capt_err err = CAPT_ERR_INIT;
    assert_null(capt_st_parse(p, n, "x", &err));
    assert_non_null(strstr(err.text, "header of 16777217 bytes"));
    free(p);
}

static char dir[] = "/tmp/capt_st_XXXXXX", path[128], other[128];

static int ramp(void *arg, size_t offset, void *buf, size_t n, capt_err *err)
{
    for (size_t i = 0; i < n / 4; i++)
        ((int32_t *)buf)[i] = (int32_t)(offset / 4 + i);
    return arg ? capt_fail(err, CAPT_EIO, "source failed") : 0;
}

static void write_one(const char *to, int backwards)
{
    static const float f[6] = {1, -2.5f, 3, 4, 5, 6};
    static const double d[1] = {0.1};
    static const uint8_t u[5] = {1, 2, 3, 4, 255};
    static const uint16_t h[2] = {0x3c00, 0xc000}, b[1] = {0x3fc0};
    capt_st_writer *w = capt_st_writer_new();
    const struct { const char *name; capt_dtype t; int ndim; int64_t dim[2]; const void *p; } all[] = {
        {"z.bytes", CAPT_U8, 1, {5}, u}, {"a.f32", CAPT_F32, 2, {2, 3}, f}, {"f64", CAPT_F64, 0, {0}, d}, {"half", CAPT_F16, 1, {2}, h},
        {"bf16", CAPT_BF16, 1, {1}, b}, {"empty", CAPT_F32, 2, {0, 4}, NULL},
    };
    for (size_t n = sizeof all / sizeof *all, j = 0; j < n; j++) {
        size_t i = backwards ? n - 1 - j : j;
        assert_int_equal(capt_st_writer_add(w, all[i].name, all[i].t, all[i].ndim, all[i].dim, all[i].p, NULL), 0);
    }
    assert_int_equal(capt_st_writer_add_from(w, "ramp", CAPT_I32, 2, (int64_t[]){700, 1000}, ramp, NULL, NULL), 0);
    assert_int_equal(capt_st_writer_meta(w, "config", "{\"a\":\"b\"}", NULL), 0);
    capt_err err = CAPT_ERR_INIT;
    if (capt_st_writer_finish(w, to, &err))
        fail_msg("%s", err.text);
}

static void round_trip(void **state)
{
    write_one(path, 0);
    write_one(other, 1);
    capt_map a, b;
    assert_int_equal(capt_map_open(&a, path, NULL), 0);
    assert_int_equal(capt_map_open(&b, other, NULL), 0);
    assert_int_equal(a.n, b.n);
    assert_memory_equal(a.p, b.p, a.n);
    assert_int_equal((a.p[0] + 8) % 64, 0);
    capt_map_close(&a);
    capt_map_close(&b);

    capt_err err = CAPT_ERR_INIT;
    capt_st *st = capt_st_open(path, &err);
    if (!st)
        fail_msg("%s", err.text);
    assert_int_equal(capt_st_n(st), 7);
    assert_string_equal(capt_st_at(st, 0)->name, "a.f32");
    assert_string_equal(capt_st_meta(st, "config"), "{\"a\":\"b\"}");
    assert_null(capt_st_meta(st, "absent"));
    assert_null(capt_st_find(st, "absent"));
    for (size_t i = 0; i < capt_st_n(st); i++)
        assert_int_equal((uintptr_t)capt_st_at(st, i)->data % capt_dtype_size(capt_st_at(st, i)->dtype), 0);
    const capt_st_tensor *t = capt_st_find(st, "a.f32");
    assert_int_equal(t->ndim, 2);
    assert_int_equal(t->dim[1], 3);
    assert_int_equal(t->dim[2], 1);
    float f[8];
    capt_st_to_f32(t, f);
    assert_true(f[1] == -2.5f && f[5] == 6);
    capt_st_to_f32(capt_st_find(st, "half"), f);
    assert_true(f[0] == 1 && f[1] == -2);
    capt_st_to_f32(capt_st_find(st, "bf16"), f);
    assert_true(f[0] == 1.5f);
    capt_st_to_f32(capt_st_find(st, "f64"), f);
    assert_true(f[0] == 0.1f);
    capt_st_to_f32(capt_st_find(st, "z.bytes"), f);
    assert_true(f[4] == 255);
    assert_int_equal(((const int32_t *)capt_st_find(st, "ramp")->data)[699999], 699999);
    assert_int_equal(capt_st_numel(capt_st_find(st, "empty")), 0);
    capt_st_close(st);
}

/* What was left reads as before: a file's pages come back, memory of the caller's is not touched. */
static void left(void **state)
{
    write_one(path, 0);
    capt_err err = CAPT_ERR_INIT;
    capt_map m;
    assert_int_equal(capt_map_open(&m, path, &err), 0);
    unsigned char *copy = malloc(m.n);
    memcpy(copy, m.p, m.n);
    for (int memory = 0; memory < 2; memory++) {
        capt_st *st = memory ? capt_st_parse(copy, m.n, "copy", &err) : capt_st_open(path, &err);
        if (!st)
            fail_msg("%s", err.text);
        for (size_t i = 0; i < capt_st_n(st); i++) {
            assert_int_equal(capt_st_at(st, i)->mapped, !memory);
            capt_st_leave(capt_st_at(st, i));
        }
        const int32_t *ramp = capt_st_find(st, "ramp")->data;
        for (int i = 0; i < 700000; i++)
            assert_int_equal(ramp[i], i);
        capt_st_close(st);
    }
    assert_memory_equal(copy, m.p, m.n);
    free(copy);
    capt_map_close(&m);
}

static void writer_refuses(void **state)
{
    static const int64_t neg = -1, one = 1;
    capt_err err = CAPT_ERR_INIT;
    capt_st_writer *w = capt_st_writer_new();
    assert_int_equal(capt_st_writer_add(w, "a", CAPT_F32, 1, &neg, "", NULL), -1);
    assert_int_equal(capt_st_writer_add(w, "__metadata__", CAPT_F32, 1, &one, "", NULL), -1);
    assert_int_equal(capt_st_writer_add(w, "\xff", CAPT_F32, 1, &one, "", NULL), -1);
    assert_int_equal(capt_st_writer_meta(w, "k", "\xff", NULL), -1);
    assert_int_equal(capt_st_writer_add(w, "a", CAPT_F32, 1, &one, "....", NULL), 0);
    assert_int_equal(capt_st_writer_add(w, "a", CAPT_F32, 1, &one, "....", NULL), 0);
    assert_int_equal(capt_st_writer_finish(w, path, &err), -1);
    assert_non_null(strstr(err.text, "\"a\": twice"));

    unlink(path);
    w = capt_st_writer_new();
    assert_int_equal(capt_st_writer_add_from(w, "a", CAPT_I32, 1, &one, ramp, w, NULL), 0);
    err.code = 0;
    assert_int_equal(capt_st_writer_finish(w, path, &err), -1);
    assert_string_equal(err.text, "source failed");
    assert_false(capt_file_exists(path)); /* nothing under the final name */
    w = capt_st_writer_new();
    assert_int_equal(capt_st_writer_add(w, "a", CAPT_F32, 1, &one, "....", NULL), 0);
    assert_int_equal(capt_st_writer_finish(w, "/dev/full", NULL), -1);
}

static void put(const char *to, const char *text)
{
    FILE *f = fopen(to, "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
}

/* A folder stands for the index, or else the file, in it; all of its files have a name together. */
static void folder(const char *index, const char *text)
{
    capt_err err = CAPT_ERR_INIT;
    char file[160], whole[33], one[33];
    put(index, text);
    capt_st *st = capt_st_open(dir, &err);
    if (!st)
        fail_msg("%s", err.text);
    assert_int_equal(capt_st_n(st), 2);
    capt_st_hash(st, whole);
    capt_st_close(st);
    unlink(index);
    assert_null(capt_st_open(dir, &err));
    assert_non_null(strstr(err.text, "a folder without model.safetensors.index.json"));
    snprintf(file, sizeof file, "%s/1.safetensors", dir);
    assert_int_equal(capt_hash_file(file, one, NULL), 0);
    assert_string_not_equal(whole, one);
    for (int i = 0; i < 2; i++) {
        char name[160];
        snprintf(name, sizeof name, "%s/%s", dir, i ? "model.safetensors" : "open_clip_model.safetensors");
        assert_int_equal(link(file, name), 0);
        st = capt_st_open(dir, NULL);
        assert_non_null(st);
        assert_int_equal(capt_st_n(st), 1);
        capt_st_hash(st, whole);
        assert_string_equal(whole, one);
        capt_st_close(st);
        unlink(name);
    }
}

/* A pickle is refused with a command for what it is: a dictionary of tensors, or a program that holds them. */
static void pickles(void **state)
{
    static const struct { const char *text, *says; } kinds[] = {
        {"PK\3\4....archive/data.pkl", "torch.load("},
        {"PK\3\4....archive/data.pkl....archive/constants.pkl", "torch.jit.load("},
        {"\x80\2}q\1.", "torch.load("},
    };
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        put(other, kinds[i].text);
        capt_err err = CAPT_ERR_INIT;
        assert_null(capt_st_open(other, &err));
        if (!strstr(err.text, kinds[i].says) || !strstr(err.text, "pickle") || strchr(err.text, '\n'))
            fail_msg("%s", err.text);
    }
}

static void sharded(void **state)
{
    static const struct { const char *index, *says; } indexes[] = {
        {"{\"weight_map\":{\"a\":\"1.safetensors\",\"b\":\"2.safetensors\"}}", NULL},
        {"{\"weight_map\":{\"a\":\"1.safetensors\",\"b\":\"1.safetensors\"}}", "\"b\" is not in 1.safetensors"},
        {"{\"weight_map\":{\"a\":\"../1.safetensors\"}}", "no file beside"},
        {"{\"weight_map\":{\"a\":7}}", "no file beside"},
        {"{\"weight_map\":{\"a\":\"3.safetensors\"}}", "3.safetensors"},
        {"{\"weight_map\":{\"a\":\"1.safetensors\",\"b\":\"4.safetensors\"}}", "twice"},
        {"{}", "weight_map"},
    };
    static const char *const names[] = {"1", "2", "4"}, *const tensors[] = {"a", "b", "a"};
    static const int64_t one = 1;
    char file[160], index[160];
    for (int i = 0; i < 3; i++) {
        capt_st_writer *w = capt_st_writer_new();
        assert_int_equal(capt_st_writer_add(w, tensors[i], CAPT_U8, 1, &one, "x", NULL), 0);
        snprintf(file, sizeof file, "%s/%s.safetensors", dir, names[i]);
        assert_int_equal(capt_st_writer_finish(w, file, NULL), 0);
    }
    snprintf(index, sizeof index, "%s/model.safetensors.index.json", dir);
    for (size_t i = 0; i < sizeof indexes / sizeof *indexes; i++) {
        put(index, indexes[i].index);
        capt_err err = CAPT_ERR_INIT;
        capt_st *st = capt_st_open(index, &err);
        if ((st != NULL) != (indexes[i].says == NULL) || (!st && !strstr(err.text, indexes[i].says)))
            fail_msg("%s: %s", indexes[i].index, err.text);
        if (st)
            assert_int_equal(capt_st_n(st), 2);
        capt_st_close(st);
    }
    folder(index, indexes[0].index);
    for (int i = 0; i < 3; i++) {
        snprintf(file, sizeof file, "%s/%s.safetensors", dir, names[i]);
        unlink(file);
    }
    unlink(index);
}

static int setup(void **state)
{
    if (!mkdtemp(dir))
        return -1;
    snprintf(path, sizeof path, "%s/m.safetensors", dir);
    snprintf(other, sizeof other, "%s/n.safetensors", dir);
    return 0;
}

static int teardown(void **state)
{
    unlink(path);
    unlink(other);
    return rmdir(dir); /* nothing may be left */
}

int main(void)
{
    cmocka_set_message_output(CM_OUTPUT_TAP);
    const struct CMUnitTest tests[] = {cmocka_unit_test(headers), cmocka_unit_test(lengths), cmocka_unit_test(round_trip), cmocka_unit_test(left),
                                       cmocka_unit_test(writer_refuses), cmocka_unit_test(sharded), cmocka_unit_test(pickles)};
    return cmocka_run_group_tests(tests, setup, teardown);
}
