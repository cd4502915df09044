/* What passes without gradients keep in step memory: not what they have done with. What the backend keeps of what it is given back. */
#include "encoder_rig.h"
#include "vocab_rig.h"
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define VIT "{\"type\":\"clip-vit\",\"resolution\":64,\"patch\":8,\"width\":256,\"layers\":2,\"output_dim\":16}"
#define RESNET "{\"type\":\"clip-resnet\",\"resolution\":64,\"width\":4,\"layers1\":1,\"layers2\":1,\"layers3\":1,\"layers4\":1,\"output_dim\":16}"

/* Features of I images of a pass that is recorded whole, or of one that is not; *peak: its step memory. */
static capt_real *features(const char *config, int64_t I, int recorded, size_t *n, size_t *peak)
{
    rig r;
    rig_new(&r, sizeof(capt_real) > 4 ? "ref" : "cpu", config);
    rig_ok(&r);
    assert_int_equal(capt_params_train(&r.ps, "encoder.", recorded, &r.err), 0);
    r.c->recording = recorded;
    capt_encoded out = encode(&r, I, 0);
    assert_int_equal(out.global->dim[0], I);
    assert_int_equal(out.grid->dim[0], I);
    assert_int_equal(r.c->last != NULL, recorded);
    size_t global = (size_t)capt_tensor_numel(out.global), grid = (size_t)capt_tensor_numel(out.grid);
    capt_real *x = values(&r, out.global), *y = values(&r, out.grid), *all = capt_alloc((global + grid) * sizeof *all);
    memcpy(all, x, global * sizeof *all);
    memcpy(all + global, y, grid * sizeof *all);
    free(x);
    free(y);
    *n = global + grid;
    *peak = capt_ctx_peak(r.c);
    rig_close(&r);
    return all;
}

/* Images go through an encoder some at a time: the bits are those of all at once, and for six parts as much again is held as for one, beside pixels and features (twice,
 * because of how step memory grows). */
static void some_images_at_a_time(void **state)
{
    static const struct { const char *config; int64_t part; } k[] = {{VIT, 3}, {RESNET, 50}};
    for (size_t i = 0; i < 2; i++) {
        size_t n, whole, parts, one;
        capt_real *a = features(k[i].config, k[i].part, 0, &n, &one);
        free(a);
        a = features(k[i].config, 6 * k[i].part - 1, 1, &n, &whole);
        capt_real *b = features(k[i].config, 6 * k[i].part - 1, 0, &n, &parts);
        assert_memory_equal(a, b, n * sizeof *a);
        if (parts > 2 * (one + (size_t)(6 * k[i].part) * 64 * 64 * 3 + n * sizeof *a))
            fail_msg("encoder %zu: %zu bytes for a part, %zu for six", i, one, parts);
        free(a);
        free(b);
    }
}

/* Step memory of the prefill of 8 images of 64 rows. */
static size_t prefill(const char *type, int layers)
{
    enum { I = 8, S = 64, D = 64 };
    capt_err err = CAPT_ERR_INIT;
    capt_backend *be = capt_backend_open("ref", NULL, &err);
    json_t *config = json_pack("{s:s, s:s, s:i, s:i, s:i, s:i, s:i}", "type", type, "feature", "grid", "feature_rows", S, "feature_dim", D, "width", D, "layers", layers, "heads", 4);
    if (!strcmp(type, "gpt2"))
        json_object_set_new(config, "tokens", json_integer(0));
    capt_model *m = capt_model_new(config, small_vocab(12), NULL, be, CAPT_F32, 1, &err);
    capt_ctx *c = m ? capt_ctx_new(be, CAPT_F32, &err) : NULL;
    if (!c)
        fail_msg("%s", err.text);
    capt_real *x = capt_alloc((size_t)I * S * D * sizeof *x);
    capt_feat f = {capt_ctx_upload(c, CAPT_F32, 3, (const int64_t[]){I, S, D}, x), NULL};
    capt_state *s = m->type->prefill(c, m, &f, I, 5);
    if (capt_ctx_check(c, &err))
        fail_msg("%s", err.text);
    size_t peak = capt_ctx_peak(c);
    capt_state_free(s);
    free(x);
    capt_ctx_free(c);
    capt_model_free(m);
    json_decref(config);
    capt_backend_close(be);
    return peak;
}

/* Of the blocks that read an image one is in memory, however many there are. */
static void one_block_at_a_time(void **state)
{
    static const char *const type[] = {"gpt2", "transformer"};
    for (size_t i = 0; i < 2; i++) {
        size_t two = prefill(type[i], 2), eight = prefill(type[i], 8);
        if (two != eight)
            fail_msg("%s: %zu bytes for 2 layers, %zu for 8", type[i], two, eight);
    }
}

#ifndef CAPT_REAL64
#ifdef __SANITIZE_ADDRESS__
enum { FREED_IS_GONE = 0 }; /* it keeps that for a while */
#else
enum { FREED_IS_GONE = 1 }; /* pieces of this size are maps of their own */
#endif
enum { MB = 1 << 20 };

static int mapped(void *p)
{
    unsigned char in;
    return mincore((void *)((uintptr_t)p & ~((uintptr_t)sysconf(_SC_PAGESIZE) - 1)), 1, &in) == 0;
}

/* A large piece given back serves the next of its size or down to half of it, one at a time; none is held any more when a larger one is made. */
static void pieces_given_back(void **state)
{
    capt_backend *be = capt_backend_open("cpu", NULL, NULL);
    char *p = be->alloc(be, 96 * MB), *q;
    memset(p, 1, 96 * MB);
    be->free(be, p);
    be->free(be, NULL);
    assert_ptr_equal(be->alloc(be, 96 * MB), p);
    q = be->alloc(be, 48 * MB);
    assert_non_null(q);
    assert_ptr_not_equal(q, p);
    be->free(be, p);
    assert_ptr_equal(be->alloc(be, 48 * MB), p);
    be->free(be, q);
    be->free(be, p);
    assert_ptr_equal(be->alloc(be, 48 * MB), q); /* the smallest that serves */
    be->free(be, q);
    q = be->alloc(be, 40 * MB);
    if (FREED_IS_GONE)
        assert_true(mapped(p));
    char *large = be->alloc(be, 97 * MB);
    assert_non_null(large);
    if (FREED_IS_GONE)
        assert_false(mapped(p));
    be->free(be, q);
    be->free(be, large);
    assert_int_equal(be->check(be, NULL), 0);
    assert_null(be->alloc(be, SIZE_MAX - MB));
    assert_int_equal(be->check(be, NULL), -1);
    capt_backend_close(be);
}

#ifdef __SANITIZE_ADDRESS__
/* what the sanitizer says to a process that reads *p: nothing, or "use-after-poison" */
static const char *verdict(const volatile char *p)
{
    static char said[1 << 16];
    int fd[2], status;
    assert_int_equal(pipe(fd), 0);
    pid_t child = fork();
    if (child == 0) {
        dup2(fd[1], STDERR_FILENO);
        (void)*p;
        _exit(0);
    }
    close(fd[1]);
    FILE *f = fdopen(fd[0], "r");
    said[fread(said, 1, sizeof said - 1, f)] = 0;
    fclose(f);
    assert_int_equal(waitpid(child, &status, 0), child);
    if (status != 0 && strstr(said, "use-after-poison"))
        return "use-after-poison";
    return status == 0 ? said : "something else";
}

/* Who reads a large piece that was given back, or behind what was asked for of one that serves again, is caught as with any other memory. */
static void sanitizer_sees_them(void **state)
{
    capt_backend *be = capt_backend_open("cpu", NULL, NULL);
    char *p = be->alloc(be, 96 * MB);
    assert_string_equal(verdict(p), "");
    be->free(be, p);
    assert_string_equal(verdict(p), "use-after-poison");
    assert_string_equal(verdict(p + 96 * MB - 1), "use-after-poison");
    assert_ptr_equal(be->alloc(be, 90 * MB), p);
    assert_string_equal(verdict(p), "");
    assert_string_equal(verdict(p + 90 * MB - 1), "");
    assert_string_equal(verdict(p + 90 * MB), "use-after-poison");
    be->free(be, p);
    capt_backend_close(be);
}
#endif
#endif

int main(void)
{
    cmocka_set_message_output(CM_OUTPUT_TAP);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(some_images_at_a_time),
        cmocka_unit_test(one_block_at_a_time),
#ifndef CAPT_REAL64
        cmocka_unit_test(pieces_given_back),
#ifdef __SANITIZE_ADDRESS__
        cmocka_unit_test(sanitizer_sees_them),
#endif
#endif
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
