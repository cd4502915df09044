/* Records: tables, streams, lists, schemas; hostile lines; large JSON files in pieces; .npy files. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>
#include "base/file.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/str.h"
#include "record/annot.h"
#include "record/caption.h"
#include "record/jsonfile.h"
#include "record/karpathy.h"
#include "record/log.h"
#include "record/ndjson.h"
#include "record/score.h"
#include "tensor/npy.h"

static char path[] = "/tmp/capt-record-test.XXXXXX";

static const char *file_of(const void *s, size_t n)
{
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(s, 1, n, f), n);
    fclose(f);
    return path;
}

/* What reading one text gives: the number of records, or -1 and the error. */
static long read_captions(const char *s, size_t n, const capt_read_opts *o, capt_err *err)
{
    const char *p = file_of(s, n);
    capt_captions *c;
    err->code = 0;
    if (capt_captions_read(&p, 1, o, &c, err))
        return -1;
    long k = (long)c->n;
    capt_captions_free(c);
    return k;
}

static int has_captions(void *arg, const capt_caption *c, capt_err *err)
{
    return c->n_captions ? 0 : capt_fail(err, CAPT_EDATA, "no captions");
}

static void good_records(void **state)
{
    static const char text[] = "{\"id\":391895,\"file\":\"a.jpg\",\"split\":\"test\",\"captions\":[\"A man .\",\"\\u00e9\\n\"],\"tags\":[\"person\"],\"x\":{\"y\":1}}\n"
                               "\n{\"id\":-5,\"captions\":[]}\r\n{\"id\":7,\"split\":\"train\"}";
    capt_err err = CAPT_ERR_INIT;
    const char *p = file_of(text, strlen(text));
    capt_captions *c;
    assert_int_equal(capt_captions_read(&p, 1, NULL, &c, &err), 0);
    assert_int_equal(c->n, 3);
    assert_int_equal(c->int_ids, 1);
    assert_int_equal(c->v[0].n_captions, 2);
    assert_string_equal(c->v[0].captions[1], "\xc3\xa9\n");
    assert_string_equal(c->v[0].tags[0], "person");
    assert_non_null(c->v[1].captions);
    assert_null(c->v[2].captions);
    assert_null(c->v[2].file);
    capt_id id = capt_id_int(7), none = capt_id_str("7");
    assert_ptr_equal(capt_captions_find(c, &id), &c->v[2]);
    assert_null(capt_captions_find(c, &none));
    capt_captions_free(c);
    capt_read_opts o = {.check = has_captions};
    assert_int_equal(read_captions(text, strlen(text), &o, &err), -1);
    assert_non_null(strstr(err.text, ":3: no captions"));
}

static void round_trip(void **state)
{
    static const struct { const char *kind, *text; } cases[] = {
        {"caption", "{\"id\":1,\"file\":\"a\",\"split\":\"val\",\"captions\":[\"x\"],\"tags\":[],\"z\":[1,{\"q\":null}]}\n"},
        {"caption", "{\"id\":\"\xc3\xa9 b\",\"captions\":[]}\n"},
        {"hypothesis", "{\"id\":\"a\",\"caption\":\"c\",\"logprob\":-2.5,\"model\":\"00\",\"trained_on\":false,\"candidates\":[{\"caption\":\"c\",\"logprob\":-2.5},{\"caption\":\"d\"}]}\n"},
        {"tag", "{\"id\":2,\"tags\":[\"dog\",\"cat\"],\"scores\":[0.5,0.25]}\n"},
        {"score", "{\"id\":2,\"Bleu_1\":0.5,\"CIDEr\":1.25,\"trained_on\":true}\n"},
        {"log", "{\"ts\":1.5,\"step\":3,\"loss\":2.0,\"samples\":[\"a dog\"],\"extra\":true}\n"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const capt_kind *k = capt_kind_find(cases[i].kind);
        assert_non_null(k);
        capt_err err = CAPT_ERR_INIT;
        capt_arena *a = capt_arena_new(0);
        json_t *o = capt_json_parse(cases[i].text, strlen(cases[i].text), "x:1", &err);
        void *rec = capt_alloc(k->size);
        assert_int_equal(capt_record_read(k, o, rec, a, "x:1", &err), 0);
        json_t *w = capt_record_write(k, rec, o);
        capt_str b = {0};
        assert_int_equal(capt_json_line(w, &b), 0);
        assert_string_equal(b.s, cases[i].text);
        capt_str_free(&b);
        json_decref(w);
        json_decref(o);
        free(rec);
        capt_arena_free(a);
    }
}

static void hostile_lines(void **state)
{
    static const struct { const char *text, *want; } cases[] = {
        {"{\"id\":1}\nnot json\n", ":2: bad JSON at column "},
        {"[1]\n", ":1: not a JSON object"},
        {"{\"id\":1,\"captions\":[\"cut", ":1: "},
        {"{\"file\":\"a\"}\n", ":1: \"id\" is missing"},
        {"{\"id\":1}\n{\"id\":\"1\"}\n", ":2: the id is a string, but the ids before are integers"},
        {"{\"id\":\"a\"}\n{\"id\":1}\n", ":2: the id is an integer"},
        {"{\"id\":1}\n{\"id\":2}\n{\"id\":1}\n", ":3: id 1 was already given at"},
        {"{\"id\":1,\"id\":2}\n", "duplicate"},
        {"{\"id\":1.0}\n", "neither an integer nor a string"},
        {"{\"id\":1e3}\n", "neither an integer nor a string"},
        {"{\"id\":12345678901234567890}\n", ":1: "},
        {"{\"id\":\"\"}\n", "1 to 511 characters"},
        {"{\"id\":\"a\\u0000b\"}\n", ":1: "},
        {"{\"id\":\"a\\nb\"}\n", "control character"},
        {"{\"id\":1,\"x\":1e999}\n", ":1: "},
        {"{\"id\":1,\"x\":NaN}\n", ":1: "},
        {"{\"id\":1,\"captions\":\"a\"}\n", "\"captions\" is not an array"},
        {"{\"id\":1,\"captions\":[1]}\n", "\"captions\" is not a string"},
        {"{\"id\":1,\"captions\":null}\n", "\"captions\" is not an array"},
        {"{\"id\":1,\"split\":7}\n", "\"split\" is not a string"},
        {"{\"id\":1,\"file\":\"\xff\"}\n", ":1: byte 17 is not UTF-8"},
        {"{\"id\":1,\"file\":\"\xed\xa0\x80\"}\n", "not UTF-8"},
        {"{\"id\":1}\n\xef\xbb\xbf{\"id\":2}\n", ":2: "},
    };
    capt_err err = CAPT_ERR_INIT;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_int_equal(read_captions(cases[i].text, strlen(cases[i].text), NULL, &err), -1);
        if (!strstr(err.text, cases[i].want) || !strstr(err.text, path))
            fail_msg("case %zu: %s", i, err.text);
    }
    static const char nul[] = "{\"id\":1}\n{\"id\":2,\"file\":\"a\0b\"}\n";
    assert_int_equal(read_captions(nul, sizeof nul - 1, NULL, &err), -1);
    /* long and deep: refused before anything is built */
    static const struct { const char *unit; size_t times; const char *want; } large[] = {
        {"0,", (size_t)10 << 20, "longer than 1048576 bytes"}, {"[", 500000, "nested deeper"}, {"{\"a\":", 100000, "nested deeper"}};
    for (size_t i = 0; i < sizeof large / sizeof *large; i++) {
        capt_str b = {0};
        capt_str_puts(&b, "{\"id\":1}\n{\"id\":2,\"x\":[");
        for (size_t k = 0; k < large[i].times; k++)
            capt_str_puts(&b, large[i].unit);
        capt_str_puts(&b, "0]}\n");
        assert_int_equal(read_captions(b.s, b.n, NULL, &err), -1);
        assert_non_null(strstr(err.text, ":2: "));
        if (!strstr(err.text, large[i].want))
            fail_msg("%s", err.text);
        capt_str_free(&b);
    }
    assert_int_equal(read_captions("", 0, NULL, &err), 0);
    assert_int_equal(read_captions("\xef\xbb\xbf", 3, NULL, &err), 0);
    assert_int_equal(read_captions("\xef\xbb\xbf{\"id\":1}\n", 12, NULL, &err), 1); /* a byte order mark */
    const char *missing = "/nonexistent/x.ndjson", *dir = "/tmp";
    capt_captions *c;
    err.code = 0;
    assert_int_equal(capt_captions_read(&missing, 1, NULL, &c, &err), -1);
    assert_int_equal(err.code, CAPT_EIO);
    err.code = 0;
    assert_int_equal(capt_captions_read(&dir, 1, NULL, &c, &err), -1);
}

static int tolerate(void *arg, capt_err *err)
{
    int *left = arg;
    if (err->code == CAPT_EIO || --*left < 0)
        return -1;
    err->code = 0;
    return 0;
}

static void bad_records_skipped(void **state)
{
    static const char text[] = "{\"id\":1}\nx\n{\"id\":2}\n{\"id\":1}\n{\"id\":\"a\"}\n{\"id\":3}\n";
    int left = 3;
    capt_read_opts o = {.bad = tolerate, .bad_arg = &left};
    capt_err err = CAPT_ERR_INIT;
    assert_int_equal(read_captions(text, strlen(text), &o, &err), 3);
    assert_int_equal(left, 0);
    left = 2;
    assert_int_equal(read_captions(text, strlen(text), &o, &err), -1);
}

static void ids(void **state)
{
    char key[CAPT_ID_KEY], buf[CAPT_ID_KEY];
    static const int64_t values[] = {0, 1, -1, 391895, INT64_MAX, INT64_MIN};
    capt_idmap *m = capt_idmap_new();
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        capt_id id = capt_id_int(values[i]), back;
        size_t n = capt_id_key(&id, key);
        assert_int_equal(capt_id_from_key(key, n, 1, buf, &back, NULL), 0);
        assert_int_equal(back.i, values[i]);
        assert_int_equal(capt_idmap_add(m, &id, (int64_t)i), (int64_t)i);
        assert_int_equal(capt_idmap_add(m, &id, 99), (int64_t)i);
    }
    for (int64_t i = 1000; i < 3000; i++) {
        capt_id id = capt_id_int(i);
        capt_idmap_add(m, &id, i);
    }
    for (int64_t i = 1000; i < 3001; i++) {
        capt_id id = capt_id_int(i);
        assert_int_equal(capt_idmap_get(m, &id), i < 3000 ? i : -1);
    }
    capt_idmap_free(m);
    static const char *const bad[] = {"", "01", "+1", "1x", " 1", "-0", "9223372036854775808"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        capt_id id;
        assert_int_equal(capt_id_parse(bad[i], 1, &id, NULL), -1);
    }
    capt_id a = capt_id_int(2), b = capt_id_int(10), c = capt_id_str("10"), d = capt_id_str("2");
    assert_true(capt_id_cmp(&a, &b) < 0 && capt_id_cmp(&c, &d) < 0 && capt_id_cmp(&b, &c) < 0 && capt_id_cmp(&c, &c) == 0);
    capt_arena *arena = capt_arena_new(0);
    capt_id f;
    assert_int_equal(capt_id_from_file("x/y.z/a.b.jpg", &f, arena, NULL), 0);
    assert_string_equal(f.s, "a.b");
    assert_int_equal(capt_id_from_file("x/", &f, arena, NULL), -1);
    capt_arena_free(arena);
}

static void split_hash(void **state)
{
    capt_caption a[] = {{.id = capt_id_int(1), .split = "train"}, {.id = capt_id_int(12), .split = "val"}, {.id = capt_id_int(3), .split = "train"}};
    capt_caption b[] = {a[2], a[0], a[1]}, c[] = {a[0], a[1], a[1]};
    c[2].split = "test";
    char x[33], y[33];
    capt_split_hash(a, 3, x);
    capt_split_hash(b, 3, y);
    assert_string_equal(x, y);
    capt_split_hash(c, 3, y);
    assert_string_not_equal(x, y);
    assert_int_equal(strlen(x), 32);
}

static void schemas(void **state)
{
    for (int i = 0; capt_kind_at(i); i++) {
        json_t *s = capt_record_schema(capt_kind_at(i));
        assert_non_null(s);
        assert_string_equal(json_string_value(json_object_get(s, "type")), "object");
        const char *key;
        json_t *v;
        json_object_foreach(json_object_get(s, "properties"), key, v)
            assert_non_null(json_object_get(v, "description"));
        json_decref(s);
    }
    assert_null(capt_kind_find("nothing"));
}

static void json_pieces(void **state)
{
    static const struct { const char *text; int n; const char *want; } cases[] = {
        {"{\"info\":{\"a\":[1,2]},\"images\":[{\"id\":1},{\"id\":2}],\"x\":\"y\",\"skip\":[1,[2]],\"n\":-1.5e3 ,\"images2\":[]}", 5, NULL},
        {" [1, \"a]\\\"\", {\"b\":[]}, null]\n", 4, NULL},
        {"{}", 0, NULL},
        {"[]", 0, NULL},
        {"", 0, "the file is empty"},
        {"7", 0, "'{' or '[' is expected"},
        {"{\"images\":[{\"id\":1},", 1, "images[1]: the file ends in the middle"},
        {"{\"images\":[1,]}", 1, "a value is expected"},
        {"{\"images\":[1 2]}", 1, "',' or ']'"},
        {"{\"images\":[{\"id\":tru}]}", 0, "images[0]: bad JSON"},
        {"{\"a\":1,\"a\":2}", 1, "twice"},
        {"{\"a\" 1}", 0, "':' is expected"},
        {"{\"a\":1} x", 1, "the end is expected, not 'x'"},
        {"{\"a\":1}\n{\"a\":2}\n", 1, "a record a line"},
        {"[{\"a\":1,\"a\":1}]", 0, "duplicate"},
    };
    static const char *const keys[] = {"info", "images", "x", "n", "a", "", NULL};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        capt_err err = CAPT_ERR_INIT;
        capt_jsonfile *f = capt_jsonfile_open(file_of(cases[i].text, strlen(cases[i].text)), keys, NULL, 0, &err);
        int n = 0, got;
        do {
            const char *key;
            json_t *v = NULL;
            got = capt_jsonfile_next(f, &key, &v, &err);
            n += got == 1;
            json_decref(v);
        } while (got == 1);
        capt_jsonfile_close(f);
        if (n != cases[i].n || (got == 0) != (cases[i].want == NULL) || (got < 0 && !strstr(err.text, cases[i].want)))
            fail_msg("case %zu: %d pieces, %s", i, n, err.text);
    }
    capt_err err = CAPT_ERR_INIT;
    capt_jsonfile *f = capt_jsonfile_open(file_of("[\"aaaaaaaaaaaaaaa\"]", 19), NULL, NULL, 10, &err);
    const char *key;
    json_t *v;
    assert_int_equal(capt_jsonfile_next(f, &key, &v, &err), -1);
    assert_non_null(strstr(err.text, "longer than 10 bytes"));
    capt_jsonfile_close(f);
}

/* Members that are not to be read come as null, whatever they hold; the block of the file ends anywhere in them. */
static void json_unread(void **state)
{
    static const char *const unread[] = {"t", "u", NULL};
    capt_err err = CAPT_ERR_INIT;
    capt_str b = {0};
    size_t n[] = {0, 1, 2, 3, 65500, 65520, 65530, 65536, 131070}, total = sizeof n / sizeof *n;
    capt_str_puts(&b, "\xef\xbb\xbf{\"a\":[");
    for (size_t i = 0; i < total; i++) {
        capt_str_puts(&b, i ? ",{\"t\" : [\"" : "{\"t\" : [\"");
        for (size_t k = 0; k < n[i]; k++)
            capt_str_puts(&b, k % 7 ? "]" : "\\\"");
        capt_str_puts(&b, "\",{\"u\":1}], \"u\":-1e5, \"x\":{\"u\":\"}\",\"y\":[\"u\",\"t\"]}, \"u2\":\"u\"}");
    }
    capt_str_puts(&b, "],\"b\":{\"t\":7}}");
    capt_jsonfile *f = capt_jsonfile_open(file_of(b.s, b.n), NULL, unread, 200, &err);
    json_t *want = json_loads("{\"t\":null,\"u\":null,\"x\":{\"u\":null,\"y\":[\"u\",\"t\"]},\"u2\":\"u\"}", 0, NULL), *v;
    const char *key;
    for (size_t i = 0; i < total; i++) {
        assert_int_equal(capt_jsonfile_next(f, &key, &v, &err), 1);
        assert_string_equal(key, "a");
        assert_true(json_equal(v, want) && capt_jsonfile_is_element(f));
        json_decref(v);
    }
    assert_int_equal(capt_jsonfile_next(f, &key, &v, &err), 1);
    assert_true(json_is_null(json_object_get(v, "t")) && !capt_jsonfile_is_element(f));
    json_decref(v);
    assert_int_equal(capt_jsonfile_next(f, &key, &v, &err), 0);
    capt_jsonfile_close(f);
    json_decref(want);
    for (size_t cut = 4; cut < 60; cut++) { /* the end of the file anywhere */
        capt_err e = CAPT_ERR_INIT;
        f = capt_jsonfile_open(file_of(b.s, cut), NULL, unread, 0, &e);
        int got = capt_jsonfile_next(f, &key, &v, &e);
        if (got == 1)
            json_decref(v);
        while (got == 1) {
            got = capt_jsonfile_next(f, &key, &v, &e);
            if (got == 1)
                json_decref(v);
        }
        assert_int_equal(got, -1);
        capt_jsonfile_close(f);
    }
    capt_str_free(&b);
}

static void annotations_first(void **state) /* and images in another order than their annotations */
{
    static const char text[] = "{\"annotations\":[{\"image_id\":2,\"caption\":\"b\"},{\"image_id\":1,\"caption\":\"a\"},{\"image_id\":2,\"caption\":\"c\"}],"
                               "\"images\":[{\"id\":1,\"file_name\":\"1.jpg\"},{\"id\":2,\"file_name\":\"2.jpg\"},{\"id\":3,\"file_name\":\"3.jpg\"}]}";
    capt_annots *a = capt_annots_new();
    capt_err err = CAPT_ERR_INIT;
    int karpathy;
    assert_int_equal(capt_annots_read_json(a, file_of(text, strlen(text)), &karpathy, &err), 0);
    assert_int_equal(karpathy, 0);
    assert_int_equal(a->image.n, 3);
    static const int want[] = {1, 2, 0};
    for (int i = 0; i < 3; i++) {
        const char *c[4];
        assert_int_equal(a->image.v[i].id.i, i + 1);
        assert_int_equal(capt_annots_captions(a, &a->image.v[i], c, 4), want[i]);
        if (i == 1)
            assert_string_equal(c[1], "c");
    }
    capt_annots_free(a);
}

static void karpathy_ids(void **state)
{
    uint32_t id[CAPT_KARPATHY_TEST];
    capt_karpathy_test(id);
    uint64_t sum = 0;
    int known = 0;
    for (int i = 0; i < CAPT_KARPATHY_TEST; i++) {
        assert_true(i == 0 || id[i] > id[i - 1]);
        sum += id[i];
        known += id[i] == 391895 || id[i] == 60623 || id[i] == 483108;
    }
    assert_int_equal(known, 3);
    assert_int_equal(sum, 1446347644);
}

static void npy(void **state)
{
    static const float x[6] = {1, 2.5f, -3, 4, 0.1f, 6};
    static const double d[6] = {1, 2.5, -3, 4, 0.1, 1e300};
    int64_t shape[2] = {2, 3};
    capt_err err = CAPT_ERR_INIT;
    capt_npy a;
    float y[4];
    assert_int_equal(capt_npy_write(path, CAPT_F32, 2, shape, x, &err), 0);
    assert_int_equal(capt_npy_open(&a, path, &err), 0);
    assert_true(a.ndim == 2 && a.shape[0] == 2 && a.shape[1] == 3 && a.n == 6 && a.dtype == CAPT_F32);
    capt_npy_f32(&a, 2, 4, y);
    assert_memory_equal(y, x + 2, sizeof y);
    capt_npy_close(&a);
    assert_int_equal(capt_npy_write(path, CAPT_F64, 2, shape, d, &err), 0);
    assert_int_equal(capt_npy_open(&a, path, &err), 0);
    capt_npy_f32(&a, 2, 4, y);
    assert_true(y[2] == 0.1f && isinf(y[3]));
    capt_npy_close(&a);
    static const struct { const char *header, *want; } cases[] = {
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (1,), }", NULL},
        {"{\"shape\":(1,1), 'fortran_order': False, 'descr': '<f4'}", NULL},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (), }", NULL},
        {"{'descr': '<f4', 'fortran_order': True, 'shape': (1,), }", "Fortran"},
        {"{'descr': '<i4', 'fortran_order': False, 'shape': (1,), }", "<i4"},
        {"{'descr': '>f4', 'fortran_order': False, 'shape': (1,), }", ">f4"},
        {"{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (1,), }", "structured"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (2,), }", "does not match"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999999999,), }", "does not match"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (4294967296,4294967296), }", "does not match"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (-1,), }", "damaged"},
        {"{'descr': '<f4', 'fortran_order': False}", "damaged"},
        {"{'descr': '<f4'", "damaged"},
        {"", "damaged"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        capt_str b = {0};
        size_t n = strlen(cases[i].header);
        capt_str_add(&b, "\x93NUMPY\1\0", 8);
        capt_str_putc(&b, (int)n);
        capt_str_putc(&b, 0);
        capt_str_puts(&b, cases[i].header);
        capt_str_add(&b, "\0\0\200\077", 4);
        err.code = 0;
        int rc = capt_npy_open(&a, file_of(b.s, b.n), &err);
        if (rc == 0) {
            capt_npy_f32(&a, 0, 1, y);
            assert_true(y[0] == 1);
            capt_npy_close(&a);
        }
        if ((rc == 0) != (cases[i].want == NULL) || (rc && !strstr(err.text, cases[i].want)))
            fail_msg("case %zu: %s", i, err.text);
        for (size_t cut = 0; cut < b.n && i == 0; cut++)
            assert_int_equal(capt_npy_open(&a, file_of(b.s, cut), NULL), -1);
        capt_str_free(&b);
    }
}

static int clean(void **state)
{
    return unlink(path);
}

struct taken { long n, most; int64_t sum; };

static int take_some(void *arg, const capt_caption *c, capt_err *err)
{
    struct taken *t = arg;
    t->sum += c->id.i * (c->n_captions ? (int64_t)strlen(c->captions[0]) : 1);
    return ++t->n < t->most ? 0 : capt_fail(err, CAPT_EDATA, "enough");
}

static int ignore(void *arg, capt_err *err)
{
    ++*(int *)arg;
    *err = (capt_err)CAPT_ERR_INIT;
    return 0;
}

/* Records that are taken one by one: the same rules, and the place of an id that was met before, in whichever file. */
static void one_by_one(void **state)
{
    static const char text[] = "{\"id\":1,\"captions\":[\"ab\"]}\n\n{\"id\":20}\n{\"id\":300,\"captions\":[\"abc\"]}\n";
    const char *p[] = {file_of(text, strlen(text)), NULL};
    struct taken t = {.most = 9};
    capt_err err = CAPT_ERR_INIT;
    assert_int_equal(capt_captions_each(p, 1, NULL, take_some, &t, &err), 0);
    assert_int_equal(t.n, 3);
    assert_int_equal(t.sum, 1 * 2 + 20 + 300 * 3);
    int skipped = 0;
    capt_read_opts o = {.bad = ignore, .bad_arg = &skipped};
    t = (struct taken){.most = 2};
    assert_int_equal(capt_captions_each(p, 1, &o, take_some, &t, &err), -1); /* no bad record: nothing skips it */
    assert_string_equal(err.text, "enough");
    assert_int_equal(t.n, 2);
    assert_int_equal(skipped, 0);
    char more[] = "/tmp/capt-record-test.XXXXXX", want[200];
    int fd = mkstemp(more);
    assert_true(fd >= 0 && write(fd, "{\"id\":4}\n{\"id\":20}\n", 19) == 19);
    close(fd);
    p[1] = more;
    t = (struct taken){.most = 9};
    err = (capt_err)CAPT_ERR_INIT;
    assert_int_equal(capt_captions_each(p, 2, NULL, take_some, &t, &err), -1);
    snprintf(want, sizeof want, "%s:2: id 20 was already given at %s:3", more, path);
    assert_string_equal(err.text, want);
    t = (struct taken){.most = 9};
    assert_int_equal(capt_captions_each(p, 2, &o, take_some, &t, &err), 0);
    assert_int_equal(t.n, 4);
    assert_int_equal(skipped, 1);
    unlink(more);
}

int main(void)
{
    cmocka_set_message_output(CM_OUTPUT_TAP);
    int fd = mkstemp(path);
    if (fd < 0)
        return 1;
    close(fd);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_records),        cmocka_unit_test(round_trip), cmocka_unit_test(hostile_lines), cmocka_unit_test(bad_records_skipped),
        cmocka_unit_test(ids),                 cmocka_unit_test(split_hash), cmocka_unit_test(schemas),       cmocka_unit_test(json_pieces),
        cmocka_unit_test(json_unread), cmocka_unit_test(annotations_first), cmocka_unit_test(karpathy_ids), cmocka_unit_test(npy),           cmocka_unit_test(one_by_one)};
    return cmocka_run_group_tests(tests, NULL, clean);
}
