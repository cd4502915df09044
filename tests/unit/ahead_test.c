/* Inputs read ahead: every record once and in order for any sizes and threads, errors where they belong, and nothing running behind the end. */
#include <malloc.h>
#include <semaphore.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>
#include "base/mem.h"
#include "data/ahead.h"

enum { N = 47, DIM = 8 };
static char dir[] = "/tmp/capt-ahead-test.XXXXXX";
static char path[2][64];
static capt_store *store[2];
static capt_source *source[2];
static capt_caption record[N];
static const capt_caption *all[N];

/* Not in the first store: the first record, two in a row, the last; and in the second these are not there */
static int lacks(int s, int i)
{
    return s ? i == 5 || i == 17 : i == 0 || i == 16 || i == 17 || i == N - 1;
}

static float value(int s, int i, int k)
{
    return (float)(1000 * s + i) + 0.125f * (float)k;
}

static int setup(void **state)
{
    capt_err err = CAPT_ERR_INIT;
    mallopt(M_PERTURB, 0x5a); /* what is freed does not look well any more */
    if (!mkdtemp(dir))
        return -1;
    for (int s = 0; s < 2; s++) {
        snprintf(path[s], sizeof path[s], "%s/%d", dir, s);
        capt_store_meta m = {.int_ids = -1, .dtype = CAPT_F32, .n_sections = 1, .encoder = "test", .encoder_hash = "00ff"};
        m.section[0] = (capt_store_section){"global", CAPT_F32, 1, DIM};
        capt_store *w = capt_store_create(path[s], &m, 0, &err);
        for (int i = 0; i < N && w; i++) {
            float x[DIM];
            for (int k = 0; k < DIM; k++)
                x[k] = value(s, i, k);
            record[i].id = capt_id_int(i);
            all[i] = &record[i];
            capt_section sec = {"global", CAPT_F32, 1, DIM, x};
            if (!lacks(s, i) && capt_store_put(w, &record[i].id, &sec, 1, &err))
                break;
        }
        if (!w || capt_store_finish(w, &err))
            fail_msg("%s", err.text);
        store[s] = capt_store_open(path[s], &err);
        source[s] = store[s] ? capt_source_store(store[s], "global", 1, &err) : NULL;
        if (!source[s])
            fail_msg("%s", err.text);
    }
    return 0;
}

static int teardown(void **state)
{
    for (int s = 0; s < 2; s++) {
        capt_source_free(source[s]);
        capt_store_close(store[s]);
        unlink(path[s]);
    }
    return rmdir(dir);
}

static capt_pool *pool_of(int threads)
{
    capt_err err = CAPT_ERR_INIT;
    capt_pool *p = threads ? capt_pool_new(threads, &err) : NULL;
    if (threads && !p)
        fail_msg("%s", err.text);
    return p;
}

/* Is b the records from..from+n-1 from n_sources sources, with the errors that belong there? */
static void check(const capt_ahead_batch *b, int from, int n, int n_sources)
{
    int good = 0;
    assert_int_equal(b->n, n);
    for (int i = 0; i < n; i++) {
        int bad = lacks(0, from + i) || (n_sources > 1 && lacks(1, from + i));
        assert_ptr_equal(b->rec[i], all[from + i]);
        assert_int_equal(b->err[i].code, bad ? CAPT_EDATA : CAPT_OK);
        if (bad) {
            char want[40];
            snprintf(want, sizeof want, "image %d is not in the store", from + i);
            assert_string_equal(b->err[i].text, want);
            continue;
        }
        for (int s = 0; s < n_sources; s++)
            for (int k = 0; k < DIM; k++)
                assert_true(b->loaded[s].in.feat[good * DIM + k] == (capt_real)value(s, from + i, k));
        good++;
    }
    assert_int_equal(b->good, good);
    for (int s = 0; s < n_sources; s++)
        assert_int_equal(b->loaded[s].in.n_images, good);
}

static void whole(capt_pool *pool, int n_sources, int n, int first, int batch, int depth)
{
    capt_err err = CAPT_ERR_INIT;
    capt_ahead *a = capt_ahead_new(pool, source, n_sources, all, (size_t)n, first, batch, depth, &err);
    if (!a)
        fail_msg("%s", err.text);
    int64_t batches = capt_ahead_batches(a);
    int done = 0;
    for (int64_t k = 0; k < batches; k++) {
        int most = k == 0 && first ? first : batch, size = n - done < most ? n - done : most;
        assert_true(size > 0);
        capt_ahead_begin(a, k + depth);
        capt_ahead_begin(a, k); /* they have been begun: nothing happens */
        check(capt_ahead_take(a), done, size, n_sources);
        done += size;
    }
    assert_int_equal(done, n);
    capt_ahead_begin(a, batches + depth); /* there are no more */
    capt_ahead_free(a);
}

static void order_and_errors(void **state)
{
    static const int threads[] = {0, 1, 2, 5}, first[] = {0, 1, 6, 100}, batch[] = {1, 2, 5, 16, N, 100};
    for (size_t t = 0; t < sizeof threads / sizeof *threads; t++) {
        capt_pool *pool = pool_of(threads[t]);
        for (size_t f = 0; f < sizeof first / sizeof *first; f++)
            for (size_t b = 0; b < sizeof batch / sizeof *batch; b++)
                for (int depth = 1; depth <= 4; depth++)
                    whole(pool, 1 + (int)b % 2, N, first[f], batch[b], depth);
        capt_pool_free(pool);
    }
}

/* One record, which cannot be loaded; and none */
static void little(void **state)
{
    capt_pool *pool = pool_of(2);
    whole(pool, 1, 1, 0, 4, 2);
    whole(pool, 2, 0, 1, 4, 2);
    capt_err err = CAPT_ERR_INIT;
    capt_ahead *a = capt_ahead_new(pool, source, 1, all, 0, 0, 4, 2, &err);
    assert_non_null(a);
    assert_int_equal(capt_ahead_batches(a), 0);
    capt_ahead_free(a);
    capt_ahead_free(NULL);
    capt_pool_free(pool);
}

struct gate {
    sem_t inside, open;
};

static void stand(void *arg, int64_t task, int worker)
{
    struct gate *g = arg;
    sem_post(&g->inside);
    while (sem_wait(&g->open))
        ;
}

static void count(void *arg, int64_t task, int worker)
{
    __atomic_add_fetch((int *)arg, 1, __ATOMIC_RELAXED);
}

/* The pool's other thread is busy with something else: take loads the batch itself, and free what else was begun, so that nobody comes to it later. */
static void ended_early(void **state)
{
    for (int taken = 0; taken < 3; taken++) {
        capt_err err = CAPT_ERR_INIT;
        capt_pool *pool = pool_of(2);
        struct gate g;
        sem_init(&g.inside, 0, 0);
        sem_init(&g.open, 0, 0);
        capt_tasks busy, later;
        capt_pool_begin(pool, &busy, 1, stand, &g);
        while (sem_wait(&g.inside))
            ;
        capt_ahead *a = capt_ahead_new(pool, source, 2, all, N, 3, 8, 3, &err);
        assert_non_null(a);
        capt_ahead_begin(a, 3);
        for (int k = 0; k < taken; k++)
            check(capt_ahead_take(a), k ? 3 + 8 * (k - 1) : 0, k ? 8 : 3, 2);
        capt_ahead_free(a);
        int counted = 0;
        capt_pool_begin(pool, &later, 100, count, &counted);
        sem_post(&g.open);
        capt_pool_wait(pool, &busy);
        capt_pool_wait(pool, &later);
        assert_int_equal(counted, 100);
        capt_pool_free(pool);
        sem_destroy(&g.inside);
        sem_destroy(&g.open);
    }
    /* and with threads that are in the middle of it */
    capt_pool *pool = pool_of(4);
    for (int k = 0; k < 50; k++) {
        capt_err err = CAPT_ERR_INIT;
        capt_ahead *a = capt_ahead_new(pool, source, 1, all, N, 0, 10, 4, &err);
        assert_non_null(a);
        capt_ahead_begin(a, 4);
        if (k % 2)
            check(capt_ahead_take(a), 0, 10, 1);
        capt_ahead_free(a);
    }
    capt_pool_free(pool);
}

/* Pictures so large that no memory holds a batch of them */
static void no_room(void **state)
{
    capt_err err = CAPT_ERR_INIT;
    capt_prep prep = {.size = 1 << 30};
    capt_source *two[2] = {source[0], capt_source_images(-1, &prep, NULL, NULL)};
    assert_null(capt_ahead_new(NULL, two, 2, all, N, 0, 4, 2, &err));
    assert_int_equal(err.code, CAPT_ENOMEM);
    capt_source_free(two[1]);
}

int main(void)
{
    cmocka_set_message_output(CM_OUTPUT_TAP);
    const struct CMUnitTest tests[] = {cmocka_unit_test(order_and_errors), cmocka_unit_test(little), cmocka_unit_test(ended_early), cmocka_unit_test(no_room)};
    return cmocka_run_group_tests(tests, setup, teardown);
}
