/* The pool of threads: every task once, errors and waits, sets of tasks beside a run. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <sched.h>
#include <stdlib.h>
#include <unistd.h>
#include <cmocka.h>
#include "base/thread.h"

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

static void nothing(void *arg, int64_t task, int worker) { }

static void both(void *arg, int64_t task, int worker)
{
    _Atomic int *here = arg;
    ++*here;
    for (int i = 0; *here < 2; i++)
        if (i > 10000) /* there may be one processor */
            sched_yield();
}

/* A pool may end right behind a run, while a worker that still looks for work finds out that the run is over. */
static void pool_ends_behind_a_run(void **state)
{
    for (int r = 0; r < 3000; r++) {
        capt_pool *p = capt_pool_new(2, NULL);
        _Atomic int here = 0;
        capt_pool_run(p, 2, both, &here);
        capt_pool_run(p, 2 + r % 8, nothing, NULL);
        capt_pool_free(p);
    }
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

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(pool), cmocka_unit_test(pool_waits), cmocka_unit_test(pool_ends_behind_a_run), cmocka_unit_test(pool_beside), cmocka_unit_test(pool_beside_overlaps)};
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests_name("thread", tests, NULL, NULL);
}
