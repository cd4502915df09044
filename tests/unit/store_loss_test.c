/* Stores after kills, losses of power and damage: what is sure to be there goes on, the rest is refused. */
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include "base/mem.h"
#include "base/str.h"
#include "store_rig.h"

/* puts what s, of names[0], does not have, and finishes it: the same file as one made at once */
static void complete(capt_store *s)
{
    for (int i = N; i-- > 0;) {
        capt_id id = capt_id_int(i * 7 - 100);
        if (!capt_store_has(s, &id))
            put(s, i);
    }
    assert_int_equal(capt_store_finish(s, NULL), 0);
    assert_same_file(at(1, "a"), names[0]);
}

static void killed(void **state)
{
    pid_t p = fork();
    if (p == 0) {
        capt_store_meta m = meta();
        capt_store *s = capt_store_create(at(0, "k"), &m, 0, NULL);
        for (int i = 0; i < 200; i++)
            put(s, i);
        _exit(0); /* nothing is closed; the batch under way is lost, and one that was not yet synced may be */
    }
    waitpid(p, NULL, 0);
    capt_err err = CAPT_ERR_INIT;
    capt_store_meta m = meta();
    m.dtype = CAPT_BF16;
    assert_null(capt_store_create(at(0, "k"), &m, 1, &err));
    assert_non_null(strstr(err.text, "other options"));
    err.code = 0;
    m.dtype = CAPT_F16;
    capt_store *s = capt_store_create(names[0], &m, 1, &err);
    assert_true(capt_store_count(s) == 128 || capt_store_count(s) == 192);
    complete(s);
}

/* LMDB's two first pages came to the disk, and what they name did not: the newest anchor names what there is. */
static void power_lost(void **state)
{
    pid_t p = fork();
    if (p == 0) {
        capt_store_meta m = meta();
        capt_store *s = capt_store_create(at(0, "lost"), &m, 0, NULL);
        for (int i = 0; i < N; i++)
            put(s, i);
        _exit(0);
    }
    waitpid(p, NULL, 0);
    char part[80];
    size_t n, page = (size_t)sysconf(_SC_PAGESIZE);
    snprintf(part, sizeof part, "%s.part", at(0, "lost"));
    char *whole = capt_file_read(part, 0, &n, NULL);
    assert_non_null(whole);
    uint64_t txn = 0, last = 0, entries = 0;
    for (size_t i = 0; i < 2; i++) {
        const char *anchor = whole + i * page + 2048, *meta_page = anchor + 16; /* LMDB's: entries at 104, last page at 120 */
        uint64_t t;
        memcpy(&t, anchor + 8, 8);
        if (memcmp(anchor, "CPTANCHR", 8) == 0 && t > txn) {
            txn = t;
            memcpy(&entries, meta_page + 104, 8);
            memcpy(&last, meta_page + 120, 8);
        }
    }
    assert_true(entries >= 129 && (last + 1) * page <= n);
    for (size_t i = 0; i < 2; i++) { /* two transactions ahead, with pages that are not there */
        uint64_t ahead = txn + 1 + ((txn + 1 + i) & 1), far = last + 1000;
        memcpy(whole + i * page + 16 + 120, &far, 8);
        memcpy(whole + i * page + 16 + 128, &ahead, 8);
    }
    FILE *f = fopen(part, "wb");
    fwrite(whole, 1, (last + 1) * page, f);
    fclose(f);
    free(whole);
    capt_err err = CAPT_ERR_INIT;
    capt_store_meta m = meta();
    capt_store *s = capt_store_create(names[0], &m, 1, &err);
    if (!s)
        fail_msg("%s", err.text);
    assert_int_equal(capt_store_count(s), entries - 1);
    complete(s);
}

/* What a loss of power leaves before anything was stored is begun again; what is not of a store is left alone. */
static void barely_begun(void **state)
{
    size_t n, k;
    char *whole = capt_file_read(at(0, "a"), 0, &n, NULL), part[80];
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    capt_store_meta m = meta();
    snprintf(part, sizeof part, "%s.part", at(1, "begun"));
    for (int i = 0; i < 6; i++) { /* pages of zeros, one of the two first pages, a cut one, text */
        char begin[4 * 65536] = {0};
        size_t size = 3 * page;
        if (i == 1)
            memcpy(begin, whole, page);
        if (i == 2)
            memcpy(begin + page, whole + page, page);
        if (i == 3) {
            memcpy(begin, whole, page);
            size = page / 2;
        }
        if (i > 3)
            memset(begin + (i == 4 ? 0 : page), 'x', page);
        FILE *f = fopen(part, "wb");
        fwrite(begin, 1, size, f);
        fclose(f);
        capt_err err = CAPT_ERR_INIT;
        capt_store *s = capt_store_create(names[1], &m, 1, &err);
        if (i > 3) {
            assert_null(s);
            char *left = capt_file_read(part, 0, &k, NULL);
            assert_int_equal(k, size);
            assert_memory_equal(left, begin, size);
            free(left);
            continue;
        }
        if (!s)
            fail_msg("%d: %s", i, err.text);
        for (int r = 0; r < N; r++)
            put(s, r);
        assert_int_equal(capt_store_finish(s, &err), 0);
        assert_same_file(names[0], names[1]);
    }
    free(whole);
}

/* 0 whole, 1 refused with a message, 2 died by a signal (LMDB follows damaged page pointers). */
static int verdict(const char *path)
{
    pid_t p = fork();
    if (p == 0) {
        int null = open("/dev/null", O_WRONLY);
        dup2(null, 2);
        alarm(10);
        capt_store *s = capt_store_open(path, NULL);
        _exit(!s || capt_store_verify(s, 0, NULL));
    }
    int status;
    waitpid(p, &status, 0);
    return WIFSIGNALED(status) || WEXITSTATUS(status) > 1 ? 2 : WEXITSTATUS(status);
}

static void damage(void **state)
{
    size_t n;
    char *x = capt_file_read(at(0, "a"), 0, &n, NULL);
    const char *path = at(1, "damaged");
    for (int i = 0; i < 40; i++) { /* cut anywhere: refused, no signal */
        size_t cut = (n - 1) * (size_t)i / 40;
        FILE *f = fopen(path, "wb");
        fwrite(x, 1, cut, f);
        fclose(f);
        assert_int_equal(verdict(path), 1);
    }
    unsigned seed = 1;
    for (int i = 0; i < 60; i++) { /* one bit of a payload: always noticed */
        capt_store *s = capt_store_open(names[0], NULL);
        capt_id id = capt_id_int(i * 7 - 100);
        capt_feature f;
        capt_store_get(s, &id, &f, NULL);
        char mark[64];
        memcpy(mark, f.section[1].data, sizeof mark);
        capt_store_close(s);
        char *found = memmem(x, n, mark, sizeof mark);
        assert_non_null(found);
        size_t off = (size_t)(found - x) + (size_t)(rand_r(&seed) % 160);
        x[off] ^= (char)(1 << rand_r(&seed) % 8);
        FILE *o = fopen(path, "wb");
        fwrite(x, 1, n, o);
        fclose(o);
        assert_int_equal(verdict(path), 1);
        free(x);
        x = capt_file_read(names[0], 0, &n, NULL);
    }
    free(x);
}

static int whole(void **state)
{
    if (!mkdtemp(dir))
        return -1;
    make(at(0, "a"), 0, N, 1);
    return 0;
}

int main(void)
{
    cmocka_set_message_output(CM_OUTPUT_TAP);
    const struct CMUnitTest tests[] = {cmocka_unit_test(killed), cmocka_unit_test(power_lost), cmocka_unit_test(barely_begun), cmocka_unit_test(damage)};
    return cmocka_run_group_tests(tests, whole, clean);
}
