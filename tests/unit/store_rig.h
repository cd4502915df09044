/* A folder of small stores, for the tests of stores. */
#ifndef CAPT_TESTS_STORE_RIG_H
#define CAPT_TESTS_STORE_RIG_H
#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>
#include "base/bf16.h"
#include "base/file.h"
#include "store/store.h"

static char dir[] = "/tmp/capt-store-test.XXXXXX";
static char names[16][64];
enum { N = 300, ROWS = 3, DIM = 40 };

static inline const char *at(int i, const char *name)
{
    snprintf(names[i], sizeof names[i], "%s/%s", dir, name);
    return names[i];
}

static inline capt_store_meta meta(void)
{
    capt_store_meta m = {.int_ids = -1, .dtype = CAPT_F16, .n_sections = 2, .encoder = "test", .encoder_hash = "00ff"};
    m.section[0] = (capt_store_section){"global", CAPT_F16, 1, DIM};
    m.section[1] = (capt_store_section){"grid", CAPT_F32, 0, DIM};
    return m;
}

static inline void put(capt_store *s, int i)
{
    uint16_t global[DIM];
    float grid[ROWS * DIM];
    for (int k = 0; k < DIM; k++)
        global[k] = capt_f16_from_f32((float)(i + k));
    for (int k = 0; k < ROWS * DIM; k++)
        grid[k] = (float)i * 0.5f + (float)k;
    capt_section sec[2] = {{"global", CAPT_F16, 1, DIM, global}, {"grid", CAPT_F32, 1 + i % ROWS, DIM, grid}};
    capt_id id = capt_id_int(i * 7 - 100);
    capt_err err = CAPT_ERR_INIT;
    if (capt_store_put(s, &id, sec, 2, &err))
        fail_msg("%s", err.text);
}

static inline void make(const char *path, int from, int to, int stride)
{
    capt_err err = CAPT_ERR_INIT;
    capt_store_meta m = meta();
    capt_store *s = capt_store_create(path, &m, 0, &err);
    if (!s)
        fail_msg("%s", err.text);
    for (int k = from; k < to; k++)
        put(s, from + (k - from) * stride % (to - from));
    if (capt_store_finish(s, &err))
        fail_msg("%s", err.text);
}

static inline void assert_same_file(const char *a, const char *b)
{
    size_t n, m;
    char *x = capt_file_read(a, 0, &n, NULL), *y = capt_file_read(b, 0, &m, NULL);
    assert_non_null(x);
    assert_non_null(y);
    assert_int_equal(n, m);
    assert_memory_equal(x, y, n);
    free(x);
    free(y);
}

/* Removes the folder. */
static inline int clean(void **state)
{
    DIR *d = opendir(dir);
    for (struct dirent *e = readdir(d); e; e = readdir(d)) {
        char path[400];
        snprintf(path, sizeof path, "%s/%s", dir, e->d_name);
        unlink(path);
    }
    closedir(d);
    return rmdir(dir);
}
#endif
