/* Training runs that end badly, and what a checkpoint brings along. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>
#include <cmocka.h>
#include "base/file.h"
#include "common/run.h"

static char dir[] = "/tmp/capt-run-XXXXXX", out[64], part[80];

static capt_vocab *small_vocab(void)
{
    const char *const words[] = {"a", "dog"};
    capt_err err = CAPT_ERR_INIT;
    capt_vocab *v = capt_vocab_new_words(words, NULL, 2, &err);
    assert_non_null(v);
    return v;
}

static json_t *small_config(int width)
{
    return json_pack("{s:s, s:s, s:i, s:i, s:i, s:i, s:i}", "type", "gpt2", "feature", "global", "feature_dim", 4, "width", width, "layers", 1, "heads", 2, "words", 4);
}

static capt_model *small_model(capt_backend *be)
{
    capt_err err = CAPT_ERR_INIT;
    json_t *config = small_config(8);
    capt_model *m = capt_model_new(config, small_vocab(), NULL, be, CAPT_F32, 1, &err);
    json_decref(config);
    if (!m)
        fail_msg("%s", err.text);
    return m;
}

static capt_backend *backend(void)
{
    capt_err err = CAPT_ERR_INIT;
    capt_backend *be = capt_backend_open("ref", NULL, &err);
    assert_non_null(be);
    return be;
}

/* The last write fails (a full disk): the unfinished run is still there to be continued; when there is room again it ends. */
static void full_disk_at_the_end(void **state)
{
    capt_backend *be = backend();
    capt_model *m = small_model(be), *again;
    capt_prog p = {.name = "test", .quiet = 1};
    capt_run r = {.p = &p, .out = out, .part = part, .options = json_object(), .inputs = json_object()};
    assert_int_equal(capt_run_save(&r, m, 1), 0);
    struct rlimit was, small;
    getrlimit(RLIMIT_FSIZE, &was);
    small = was;
    small.rlim_cur = 1000;
    signal(SIGXFSZ, SIG_IGN);
    setrlimit(RLIMIT_FSIZE, &small);
    int rc = capt_run_finish(&r, m);
    setrlimit(RLIMIT_FSIZE, &was);
    assert_int_equal(rc, -1);
    assert_false(capt_file_exists(out));
    capt_err err = CAPT_ERR_INIT;
    json_t *st = NULL;
    again = capt_checkpoint_load(part, be, CAPT_F32, &st, &err);
    if (!again)
        fail_msg("%s", err.text);
    assert_non_null(st);
    json_decref(st);
    capt_model_free(again);
    p.err = (capt_err)CAPT_ERR_INIT;
    assert_int_equal(capt_run_finish(&r, m), 0);
    assert_true(capt_file_exists(out));
    assert_false(capt_file_exists(part));
    unlink(out);
    json_decref(r.options);
    json_decref(r.inputs);
    capt_model_free(m);
    capt_backend_close(be);
}

/* A configuration that asks for more numbers than its file holds takes no memory. */
static void large_configuration(void **state)
{
    capt_backend *be = backend();
    static const int width[] = {16, 16384};
    for (int i = 0; i < 2; i++) {
        capt_err err = CAPT_ERR_INIT;
        json_t *config = small_config(width[i]);
        struct rusage before, after;
        getrusage(RUSAGE_SELF, &before);
        assert_null(capt_model_blank(config, small_vocab(), NULL, be, CAPT_F32, 1000, &err));
        getrusage(RUSAGE_SELF, &after);
        assert_true(after.ru_maxrss - before.ru_maxrss < 64 << 10);
        assert_int_equal(err.code, CAPT_EDATA);
        assert_non_null(strstr(err.text, "more than the 1000 numbers"));
        json_decref(config);
    }
    json_t *config = small_config(8);
    capt_err err = CAPT_ERR_INIT;
    capt_model *m = capt_model_blank(config, small_vocab(), NULL, be, CAPT_F32, 10000, &err);
    assert_non_null(m);
    capt_model_free(m);
    json_decref(config);
    capt_backend_close(be);
}

/* Weights that are taken over bring the ids they were trained on, and their history, once. */
static void past(void **state)
{
    capt_backend *be = backend();
    capt_err err = CAPT_ERR_INIT;
    capt_model *a = small_model(be), *b = small_model(be);
    capt_idset_add(a->trained_on, "7", 1);
    capt_idset_add(a->trained_on, "8", 1);
    a->provenance = json_pack("[{s:s},{s:s}]", "program", "x", "program", "y");
    b->provenance = json_pack("[{s:s}]", "program", "y");
    capt_idset_add(b->trained_on, "8", 1);
    assert_int_equal(capt_checkpoint_save(out, a, 0, NULL, &err), 0);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(capt_checkpoint_past(out, b, &err), 0);
        assert_int_equal(capt_idset_count(b->trained_on), 2);
        assert_true(capt_idset_has(b->trained_on, "7", 1));
        assert_int_equal(json_array_size(b->provenance), 2);
    }
    unlink(out);
    capt_model_free(a);
    capt_model_free(b);
    capt_backend_close(be);
}

/* A cursor no run can have is refused, and a run over other features. */
static void cursors(void **state)
{
    static const struct { int64_t epoch, index, step; const char *features; int rc; } row[] = {
        {1, 2, 3, "x", 0}, {-1, 2, 3, "x", -1}, {1, -2, 3, "x", -1}, {1, 2, -3, "x", -1}, {INT64_MAX, 2, 3, "x", -1}, {1, 2, 3, "y", -1}};
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        capt_err err = CAPT_ERR_INIT;
        json_t *options = json_object(), *was = json_pack("{s:s}", "features", row[i].features), *is = json_pack("{s:s}", "features", "x");
        capt_run_state s = {.epoch = row[i].epoch, .index = row[i].index, .step = row[i].step}, t;
        json_t *j = capt_run_state_json(&s, "p", options, was);
        assert_int_equal(capt_run_state_read(j, &t, "p", options, is, "f", &err), row[i].rc);
        json_decref(j);
        json_decref(options);
        json_decref(was);
        json_decref(is);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(full_disk_at_the_end), cmocka_unit_test(large_configuration), cmocka_unit_test(past), cmocka_unit_test(cursors)};
    cmocka_set_message_output(CM_OUTPUT_TAP);
    if (!mkdtemp(dir))
        return 1;
    snprintf(out, sizeof out, "%s/m.ckpt", dir);
    snprintf(part, sizeof part, "%s.part", out);
    int rc = cmocka_run_group_tests(tests, NULL, NULL);
    rmdir(dir);
    return rc;
}
