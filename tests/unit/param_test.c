/* Parameters whose values are lent by a file: the same numbers as copies, on every backend, until they are trained or set. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>
#include "base/bf16.h"
#include "nn/param.h"
#include "op/op.h"

enum { N = 96, K = 64, ROWS = 5, MOST = N * K };
static const char *const backends[] = {"ref", "guard", "cpu"};
static const capt_dtype types[] = {CAPT_F32, CAPT_F16, CAPT_BF16};

typedef struct fixture {
    capt_backend *be;
    capt_params ps;
    capt_param *p;
    capt_err err;
    capt_real want[MOST]; /* the values */
    char memory[MOST * 4];
    capt_st_tensor t[3];
} fixture;

/* A parameter of N x K numbers of that type in `parts` tensors; shift: bytes by which they lie off their alignment. */
static void open_fixture(fixture *f, const char *backend, capt_dtype type, unsigned flags, int parts, size_t shift)
{
    memset(f, 0, sizeof *f);
    f->be = capt_backend_open(backend, NULL, &f->err);
    assert_non_null(f->be);
    capt_params_init(&f->ps, f->be, CAPT_F32, 1);
    f->ps.blank = 1;
    capt_param_new(&f->ps, flags, CAPT_INIT_ZERO, 0, CAPT_DIMS(N, K), "w");
    f->p = capt_param_find(&f->ps, "w");
    size_t size = capt_dtype_size(type), each = MOST / (size_t)parts;
    const capt_st_tensor *part[3];
    for (size_t i = 0; i < MOST; i++) {
        float x = (float)((int)((uint32_t)i * 2654435761u >> 22) - 512) / 64; /* exact in each type but bf16 */
        uint16_t h = type == CAPT_F16 ? capt_f16_from_f32(x) : capt_bf16_from_f32(x);
        memcpy(f->memory + shift + i * size, type == CAPT_F32 ? (void *)&x : (void *)&h, size);
        f->want[i] = (capt_real)(type == CAPT_BF16 ? capt_bf16_to_f32(h) : x);
    }
    for (int i = 0; i < parts; i++) {
        f->t[i] = (capt_st_tensor){.name = "w", .dtype = type, .ndim = 2, .dim = {N / parts, K, 1, 1, 1, 1, 1, 1}, .data = f->memory + shift + (size_t)i * each * size, .bytes = each * size};
        part[i] = &f->t[i];
    }
    capt_param_lend(&f->ps, f->p, parts, part);
    assert_int_equal(f->ps.err.code, CAPT_OK);
    assert_true(f->p->loaded);
}

static void close_fixture(fixture *f)
{
    capt_params_free(&f->ps);
    capt_backend_close(f->be);
}

static void same_values(fixture *f, const capt_real *want)
{
    capt_real *got = calloc(MOST, sizeof *got);
    capt_param_get(&f->ps, f->p, got);
    assert_memory_equal(got, want, MOST * sizeof *got);
    free(got);
}

/* x w^T and, through the other packed form, y w */
static void products(fixture *f, capt_real *y, capt_real *dx)
{
    capt_backend *be = f->be;
    static capt_real x[ROWS * K], dy[ROWS * N];
    for (int i = 0; i < ROWS * K; i++)
        x[i] = (capt_real)(i % 7 - 3);
    for (int i = 0; i < ROWS * N; i++)
        dy[i] = (capt_real)(i % 5 - 2);
    capt_real *a = be->alloc(be, sizeof x), *b = be->alloc(be, sizeof dy), *c = be->alloc(be, sizeof dy), *d = be->alloc(be, sizeof x);
    be->upload(be, a, x, sizeof x);
    be->upload(be, c, dy, sizeof dy);
    be->linear_fwd(be, b, NULL, a, f->p->t.data, f->p->t.wp, NULL, ROWS, N, K, CAPT_MAP_none, CAPT_F32);
    be->linear_bwd_x(be, d, 0, c, f->p->t.data, f->p->t.wp, ROWS, N, K, CAPT_F32);
    be->download(be, y, b, sizeof dy);
    be->download(be, dx, d, sizeof x);
    be->free(be, a), be->free(be, b), be->free(be, c), be->free(be, d);
}

static void lent_is_copied(void **state)
{
    static fixture f, g;
    for (size_t b = 0; b < 3; b++)
        for (size_t t = 0; t < 3; t++)
            for (int v = 0; v < 8; v++) {
                unsigned flags = v & 1 ? CAPT_P_MATRIX | CAPT_P_ROWS : CAPT_P_MATRIX;
                open_fixture(&f, backends[b], types[t], flags, v & 2 ? 3 : 1, v & 4 ? 1 : 0);
                open_fixture(&g, backends[b], CAPT_F32, flags, 1, 0);
                capt_param_set(&g.ps, g.p, f.want);
                same_values(&f, f.want);
                char here[33], there[33];
                capt_params_hash(&f.ps, "", here);
                capt_params_hash(&g.ps, "", there);
                assert_string_equal(here, there);
                capt_real y[2][ROWS * N], dx[2][ROWS * K];
                products(&f, y[0], dx[0]);
                products(&g, y[1], dx[1]);
                assert_memory_equal(y[0], y[1], sizeof y[0]);
                assert_memory_equal(dx[0], dx[1], sizeof dx[0]);
                if (flags & CAPT_P_ROWS)
                    assert_non_null(f.p->t.data); /* its rows are gathered */
                close_fixture(&f);
                close_fixture(&g);
            }
}

/* What lies in the file is never written to. */
static void changes_are_its_own(void **state)
{
    static fixture f;
    static char before[sizeof f.memory];
    static capt_real twice[MOST];
    for (size_t b = 0; b < 3; b++)
        for (size_t t = 0; t < 3; t++)
            for (int set = 0; set < 2; set++) {
                open_fixture(&f, backends[b], types[t], CAPT_P_MATRIX, 1, 0);
                memcpy(before, f.memory, sizeof before);
                capt_real y[2][ROWS * N], dx[ROWS * K];
                products(&f, y[0], dx);
                for (int i = 0; i < MOST; i++)
                    twice[i] = 2 * f.want[i];
                if (set) {
                    capt_param_set(&f.ps, f.p, twice);
                } else {
                    assert_int_equal(capt_params_train(&f.ps, "", 1, &f.err), 0);
                    same_values(&f, f.want);
                    f.be->axpby(f.be, f.p->t.data, 1, f.p->t.data, 1, MOST);
                    f.be->weight_update(f.be, f.p->t.wp, f.p->t.data);
                }
                same_values(&f, twice);
                products(&f, y[1], dx);
                for (int i = 0; i < ROWS * N; i++)
                    assert_true(y[1][i] == 2 * y[0][i]);
                assert_memory_equal(f.memory, before, sizeof before);
                close_fixture(&f);
            }
}

/* Running statistics are written by the encoder, small ones are not worth a page. */
static void buffers_are_copied(void **state)
{
    static fixture f;
    open_fixture(&f, "cpu", CAPT_F32, CAPT_P_BUFFER, 1, 0);
    assert_ptr_not_equal(f.p->t.data, f.memory);
    same_values(&f, f.want);
    close_fixture(&f);
    open_fixture(&f, "cpu", CAPT_F32, 0, 1, 0);
    assert_ptr_equal(f.p->t.data, f.memory); /* and a large one is read where it lies */
    close_fixture(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(lent_is_copied), cmocka_unit_test(changes_are_its_own), cmocka_unit_test(buffers_are_copied)};
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests_name("param", tests, NULL, NULL);
}
