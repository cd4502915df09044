/* The one thread pool. capt_pool_run splits work over tasks 0..n-1, taken in order by whoever is free; it returns when all
 * are done. Tasks must write disjoint outputs, so results never depend on the number of threads. A run inside a run is
 * executed by the calling worker alone. Errors travel in the caller's own structures. */
#ifndef CAPT_BASE_THREAD_H
#define CAPT_BASE_THREAD_H
#include <stdint.h>
#include "base/err.h"

typedef struct capt_pool capt_pool;
capt_pool *capt_pool_new(int threads, capt_err *err); /* 0: one a usable CPU */
void capt_pool_free(capt_pool *p);
int capt_pool_size(const capt_pool *p); /* NULL pool: 1 */
/* worker is 0..size-1 (for scratch memory). pool NULL: runs here. */
void capt_pool_run(capt_pool *p, int64_t n, void (*fn)(void *arg, int64_t task, int worker), void *arg);

/* Tasks beside the runs, such as reading what the runs will work on next: begun now, taken first come first served by the workers that no run has work
 * for, and by whoever waits for them. The struct is the caller's and is left alone between begin and the return of wait; wait once for each begin, before
 * the pool is freed. On a pool of one thread, and without a pool, wait does them all. A task must not wait for others. */
typedef struct capt_tasks {
    void (*fn)(void *arg, int64_t task, int worker);
    void *arg;
    int64_t n, taken, done;
    struct capt_tasks *after;
} capt_tasks;
void capt_pool_begin(capt_pool *p, capt_tasks *t, int64_t n, void (*fn)(void *arg, int64_t task, int worker), void *arg);
void capt_pool_wait(capt_pool *p, capt_tasks *t);
int capt_cpu_count(void); /* SLURM_CPUS_PER_TASK, else sched_getaffinity */
#endif
