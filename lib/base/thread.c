#include "base/thread.h"
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "base/mem.h"

/* How long a worker without work, and a caller whose workers still run, look again before sleeping in the kernel:
 * about the time of one small task, because waking a sleeper costs as much. */
enum { SPIN_NS = 30000 };

/* A run is published by `open` and `gen`. A worker announces itself in `busy` before it looks at `open`; the caller closes
 * `open` before it looks at `busy`. So (sequential consistency) whoever saw an open run is waited for, and a worker that is
 * still asleep when the tasks are gone is not. `sleepers` against `gen`, and `waiting` against `busy`, pair the same way.
 *
 * Tasks beside the runs are long (a picture to decode), so their list has the mutex; `beside` counts those nobody has taken, for workers that look
 * without it. A worker among them is not busy: a run that is published meanwhile goes on without it. */
struct capt_pool {
    int size, spin;
    pthread_t *th;
    struct worker *worker;
    pthread_mutex_t run, m; /* run: one caller at a time */
    pthread_cond_t work, done, beside_done;
    capt_tasks *first, *last; /* with tasks that nobody has taken */
    void (*fn)(void *arg, int64_t task, int worker);
    void *arg;
    int64_t n;
    _Alignas(64) atomic_int_fast64_t next;
    _Alignas(64) atomic_uint gen;
    atomic_int open, busy, sleepers, waiting, stop;
    atomic_int_fast64_t beside;
};

struct worker {
    capt_pool *p;
    int id;
};

/* the pool and place of the task this thread is in: how a run inside a run is recognised */
static _Thread_local const capt_pool *here;
static _Thread_local int here_id;

static int64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * (int64_t)1000000000 + t.tv_nsec;
}

static void relax(void)
{
    for (int i = 0; i < 16; i++)
#ifdef __x86_64__
        __builtin_ia32_pause();
#else
        atomic_signal_fence(memory_order_seq_cst);
#endif
}

static void take_tasks(capt_pool *p, int id)
{
    const capt_pool *pool0 = here;
    int id0 = here_id;
    here = p;
    here_id = id;
    for (;;) {
        int64_t i = atomic_fetch_add(&p->next, 1);
        if (i >= p->n)
            break;
        p->fn(p->arg, i, id);
    }
    here = pool0;
    here_id = id0;
}

/* Does one task beside the runs, of t or (NULL) the first there is; 0: there was none. */
static int take_beside(capt_pool *p, capt_tasks *t, int id)
{
    pthread_mutex_lock(&p->m);
    t = t ? t : p->first;
    if (!t || t->taken == t->n) {
        pthread_mutex_unlock(&p->m);
        return 0;
    }
    int64_t i = t->taken++;
    atomic_fetch_sub(&p->beside, 1);
    if (t->taken == t->n) {
        capt_tasks **at = &p->first, *before = NULL;
        for (; *at != t; at = &before->after)
            before = *at;
        *at = t->after;
        if (p->last == t)
            p->last = before;
    }
    pthread_mutex_unlock(&p->m);
    const capt_pool *pool0 = here;
    int id0 = here_id;
    here = p;
    here_id = id;
    t->fn(t->arg, i, id);
    here = pool0;
    here_id = id0;
    pthread_mutex_lock(&p->m);
    if (++t->done == t->n) /* from here on it is the caller's again */
        pthread_cond_broadcast(&p->beside_done);
    pthread_mutex_unlock(&p->m);
    return 1;
}

static int idle(capt_pool *p, unsigned seen)
{
    return atomic_load(&p->gen) == seen && atomic_load(&p->beside) == 0 && !atomic_load(&p->stop); /* stop: its gen may be taken for that of a run just over */
}

static void *worker_main(void *arg)
{
    struct worker *w = arg;
    capt_pool *p = w->p;
    unsigned seen = 0;
    for (;;) {
        if (p->spin && idle(p, seen))
            for (int64_t end = now_ns() + SPIN_NS; idle(p, seen) && now_ns() < end;)
                relax();
        if (idle(p, seen)) {
            pthread_mutex_lock(&p->m);
            atomic_fetch_add(&p->sleepers, 1);
            while (idle(p, seen))
                pthread_cond_wait(&p->work, &p->m);
            atomic_fetch_sub(&p->sleepers, 1);
            pthread_mutex_unlock(&p->m);
        }
        if (atomic_load(&p->stop))
            return NULL;
        if (atomic_load(&p->gen) == seen) { /* runs come first */
            take_beside(p, NULL, w->id);
            continue;
        }
        atomic_fetch_add(&p->busy, 1);
        seen = atomic_load(&p->gen);
        if (atomic_load(&p->open))
            take_tasks(p, w->id);
        if (atomic_fetch_sub(&p->busy, 1) == 1 && atomic_load(&p->waiting)) {
            pthread_mutex_lock(&p->m);
            pthread_cond_signal(&p->done);
            pthread_mutex_unlock(&p->m);
        }
    }
}

static void wake(capt_pool *p, int64_t want)
{
    atomic_fetch_add(&p->gen, 1);
    int asleep = atomic_load(&p->sleepers);
    if (asleep == 0)
        return;
    pthread_mutex_lock(&p->m);
    if (want >= asleep)
        pthread_cond_broadcast(&p->work);
    else
        while (want-- > 0)
            pthread_cond_signal(&p->work);
    pthread_mutex_unlock(&p->m);
}

capt_pool *capt_pool_new(int threads, capt_err *err)
{
    int cpus = capt_cpu_count();
    if (threads < 0 || threads > 4096) {
        capt_fail(err, CAPT_EUSAGE, "%d threads: want 0 to 4096", threads);
        return NULL;
    }
    capt_pool *p = NULL;
    if (posix_memalign((void **)&p, 64, sizeof *p) != 0)
        capt_no_memory();
    memset(p, 0, sizeof *p);
    int size = threads ? threads : cpus;
    p->size = 1;
    p->spin = size <= cpus; /* with more threads than CPUs a spinning one takes the place of a working one */
    p->th = capt_alloc(sizeof *p->th * (size_t)size);
    p->worker = capt_alloc(sizeof *p->worker * (size_t)size);
    pthread_mutex_init(&p->run, NULL);
    pthread_mutex_init(&p->m, NULL);
    pthread_cond_init(&p->work, NULL);
    pthread_cond_init(&p->done, NULL);
    pthread_cond_init(&p->beside_done, NULL);
    sigset_t all, old; /* signals belong to the program's own threads */
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    int rc = 0;
    for (int i = 1; i < size && rc == 0; i++) {
        p->worker[i] = (struct worker){p, i};
        rc = pthread_create(&p->th[i], NULL, worker_main, &p->worker[i]);
        if (rc == 0)
            p->size++;
    }
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    if (rc != 0) {
        capt_fail(err, CAPT_EIO, "cannot start %d threads: %s", size, strerror(rc));
        capt_pool_free(p);
        return NULL;
    }
    return p;
}

void capt_pool_free(capt_pool *p)
{
    if (!p)
        return;
    atomic_store(&p->stop, 1);
    wake(p, p->size);
    for (int i = 1; i < p->size; i++)
        pthread_join(p->th[i], NULL);
    pthread_cond_destroy(&p->work);
    pthread_cond_destroy(&p->done);
    pthread_cond_destroy(&p->beside_done);
    pthread_mutex_destroy(&p->m);
    pthread_mutex_destroy(&p->run);
    free(p->th);
    free(p->worker);
    free(p);
}

int capt_pool_size(const capt_pool *p)
{
    return p ? p->size : 1;
}

static void wait_for_workers(capt_pool *p)
{
    if (p->spin && atomic_load(&p->busy) > 0)
        for (int64_t end = now_ns() + SPIN_NS; atomic_load(&p->busy) > 0 && now_ns() < end;)
            relax();
    if (atomic_load(&p->busy) == 0)
        return;
    pthread_mutex_lock(&p->m);
    atomic_store(&p->waiting, 1);
    while (atomic_load(&p->busy) > 0)
        pthread_cond_wait(&p->done, &p->m);
    atomic_store(&p->waiting, 0);
    pthread_mutex_unlock(&p->m);
}

void capt_pool_run(capt_pool *p, int64_t n, void (*fn)(void *arg, int64_t task, int worker), void *arg)
{
    if (!p || here == p) {
        int id = p ? here_id : 0;
        for (int64_t i = 0; i < n; i++)
            fn(arg, i, id);
        return;
    }
    if (n <= 0)
        return;
    pthread_mutex_lock(&p->run);
    p->fn = fn;
    p->arg = arg;
    p->n = n;
    atomic_store(&p->next, 0);
    if (p->size == 1 || n == 1) {
        take_tasks(p, 0);
    } else {
        atomic_store(&p->open, 1);
        wake(p, n - 1);
        take_tasks(p, 0);
        atomic_store(&p->open, 0);
        wait_for_workers(p);
    }
    pthread_mutex_unlock(&p->run);
}

void capt_pool_begin(capt_pool *p, capt_tasks *t, int64_t n, void (*fn)(void *arg, int64_t task, int worker), void *arg)
{
    *t = (capt_tasks){.fn = fn, .arg = arg, .n = n};
    if (!p || p->size == 1 || n <= 0)
        return;
    pthread_mutex_lock(&p->m);
    if (p->first)
        p->last->after = t;
    else
        p->first = t;
    p->last = t;
    atomic_fetch_add(&p->beside, n);
    if (atomic_load(&p->sleepers) > 0)
        pthread_cond_broadcast(&p->work);
    pthread_mutex_unlock(&p->m);
}

void capt_pool_wait(capt_pool *p, capt_tasks *t)
{
    int id = p && here == p ? here_id : 0;
    if (!p || p->size == 1) {
        for (; t->taken < t->n; t->done = ++t->taken)
            t->fn(t->arg, t->taken, id);
        return;
    }
    while (take_beside(p, t, id)) {
    }
    pthread_mutex_lock(&p->m);
    while (t->done < t->n)
        pthread_cond_wait(&p->beside_done, &p->m);
    pthread_mutex_unlock(&p->m);
}

int capt_cpu_count(void)
{
    const char *s = getenv("SLURM_CPUS_PER_TASK");
    if (s) {
        char *end;
        long n = strtol(s, &end, 10);
        if (n >= 1 && n <= 4096 && !*end)
            return (int)n;
    }
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) == 0) {
        int n = CPU_COUNT(&set);
        return n < 1 ? 1 : n;
    }
    return 1;
}
