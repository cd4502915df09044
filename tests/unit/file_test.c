/* Files: whole or not at all, and never out of their folder. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <cmocka.h>
#include "base/file.h"
#include "base/hash.h"

static char *write_text(const char *path, const char *text)
{
    FILE *f = fopen(path, "w");
    fputs(text, f);
    fclose(f);
    return (char *)path;
}

static void assert_content(const char *path, const char *want)
{
    size_t n;
    char *s = capt_file_read(path, 0, &n, NULL);
    assert_non_null(s);
    assert_int_equal(n, strlen(want));
    assert_string_equal(s, want);
    free(s);
}

/* The n-th fsync from now fails, as on a disk that is breaking; 0: none does. In place of the C library's. */
static int fsync_fails, exchange_fails;
int fsync(int fd)
{
    if (fsync_fails > 0 && --fsync_fails == 0) {
        errno = EIO;
        return -1;
    }
    return (int)syscall(SYS_fsync, fd);
}

/* As on a file system that cannot exchange names. */
int renameat2(int d, const char *from, int e, const char *to, unsigned flags)
{
    if (exchange_fails) {
        errno = EINVAL;
        return -1;
    }
    return (int)syscall(SYS_renameat2, d, from, e, to, flags);
}

static int write_out(const char *path, const char *text, capt_err *e)
{
    *e = (capt_err)CAPT_ERR_INIT;
    capt_out *o = capt_out_open(path, e);
    assert_non_null(o);
    fputs(text, capt_out_file(o));
    return capt_out_finish(o, e);
}

/* A failing sync of the file or of its folder loses nothing that was there before. */
static void published(void **state)
{
    char dir[] = "/tmp/capt-base.XXXXXX";
    capt_err e;
    assert_non_null(mkdtemp(dir));
    assert_int_equal(chdir(dir), 0);
    for (int n = 1; n <= 2; n++) { /* nothing there: nothing after */
        fsync_fails = n;
        assert_int_equal(write_out("out", "new", &e), -1);
        assert_int_equal(e.code, CAPT_EIO);
        assert_false(capt_file_exists("out") || capt_file_exists("out.part"));
    }
    assert_int_equal(write_out("out", "first", &e), 0);
    for (int n = 1; n <= 2; n++) { /* an older file stays */
        fsync_fails = n;
        assert_int_equal(write_out("out", "new", &e), -1);
        assert_content("out", "first");
        assert_false(capt_file_exists("out.part"));
    }
    assert_int_equal(write_out("out", "second", &e), 0);
    assert_content("out", "second");
    assert_false(capt_file_exists("out.part"));
    exchange_fails = 1;
    fsync_fails = 1;
    assert_int_equal(write_out("out", "third", &e), -1);
    assert_content("out", "second");
    fsync_fails = 2;
    assert_int_equal(write_out("out", "third", &e), -1);
    assert_string_equal(e.text, "out is written, but its name may not last: .: Input/output error");
    assert_content("out", "third");
    fsync_fails = 2;
    assert_int_equal(write_out("other", "new", &e), -1);
    assert_false(capt_file_exists("other"));
    exchange_fails = 0;
    unlink("out");
    assert_int_equal(chdir("/"), 0);
    assert_int_equal(rmdir(dir), 0);
}

static void files(void **state)
{
    char dir[] = "/tmp/capt-base.XXXXXX";
    assert_non_null(mkdtemp(dir));
    assert_int_equal(chdir(dir), 0);
    capt_err e = CAPT_ERR_INIT;
    capt_out *o = capt_out_open("out", &e);
    assert_non_null(o);
    fputs("new", capt_out_file(o));
    assert_false(capt_file_exists("out"));
    assert_true(capt_file_exists("out.part"));
    assert_int_equal(capt_out_finish(o, &e), 0);
    assert_false(capt_file_exists("out.part"));
    assert_content("out", "new");

    o = capt_out_open("out", &e);
    fputs("half", capt_out_file(o));
    capt_out_abandon(o);
    assert_false(capt_file_exists("out.part"));
    assert_content("out", "new");

    struct rlimit was, small;
    getrlimit(RLIMIT_FSIZE, &was);
    small = (struct rlimit){100, was.rlim_max};
    signal(SIGXFSZ, SIG_IGN);
    o = capt_out_open("out", &e);
    setrlimit(RLIMIT_FSIZE, &small);
    for (int i = 0; i < 10000; i++)
        fputs("text", capt_out_file(o));
    assert_int_equal(capt_out_finish(o, &e), -1);
    setrlimit(RLIMIT_FSIZE, &was);
    assert_string_equal(e.text, "out: File too large");
    assert_false(capt_file_exists("out.part"));
    assert_content("out", "new");
    e = (capt_err)CAPT_ERR_INIT;

    o = capt_out_open("/dev/full", &e);
    fputs("x", capt_out_file(o));
    assert_int_equal(capt_out_finish(o, &e), -1);
    assert_string_equal(e.text, "/dev/full: disk full");
    e = (capt_err)CAPT_ERR_INIT;
    assert_null(capt_out_open("no/such", &e));
    assert_string_equal(e.text, "no/such.part: No such file or directory");
    e = (capt_err)CAPT_ERR_INIT;
    assert_null(capt_out_open(".", &e));

    size_t n;
    assert_null(capt_file_read("out", 2, &n, NULL));
    char *s = capt_file_read("out", 3, &n, NULL);
    assert_int_equal(n, 3);
    free(s);
    assert_null(capt_file_read(".", 0, &n, NULL));
    capt_map m;
    assert_int_equal(capt_map_open(&m, "out", NULL), 0);
    assert_memory_equal(m.p, "new", 3);
    capt_map_close(&m);
    assert_int_equal(mkfifo("fifo", 0600), 0);
    assert_int_equal(capt_map_open(&m, "fifo", NULL), -1);

    write_text("secret", "s");
    assert_int_equal(mkdir("in", 0700), 0);
    write_text("in/a", "a");
    assert_int_equal(symlink("../secret", "in/up") | symlink("a", "in/b") | symlink("/etc/passwd", "in/abs") | mkfifo("in/fifo", 0600), 0);
    int d = open("in", O_RDONLY | O_DIRECTORY);
    static const struct {
        const char *name;
        int fine;
    } t[] = {{"a", 1}, {"b", 1}, {"./a", 1}, {"up", 0}, {"abs", 0}, {"../secret", 0}, {"./../in/a", 0}, {"/etc/passwd", 0}, {"fifo", 0},
             {"", 0}, {".", 0}, {"none", 0}};
    for (size_t i = 0; i < sizeof t / sizeof *t; i++) {
        int fd = capt_open_beneath(d, t[i].name, NULL);
        assert_int_equal(fd >= 0, t[i].fine);
        if (fd >= 0)
            close(fd);
    }
    close(d);
    char hex[33], hex2[33];
    assert_int_equal(capt_hash_file("out", hex, NULL), 0);
    capt_hash_hex("new", 3, hex2);
    assert_string_equal(hex, hex2);
    assert_int_equal(capt_hash_file("none", hex, NULL), -1);
    static const char *const made[] = {"out", "secret", "fifo", "in/a", "in/b", "in/up", "in/abs", "in/fifo"};
    for (size_t i = 0; i < 8; i++)
        unlink(made[i]);
    rmdir("in");
    assert_int_equal(chdir("/"), 0);
    assert_int_equal(rmdir(dir), 0); /* nothing else was left */
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(published), cmocka_unit_test(files)};
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests_name("file", tests, NULL, NULL);
}
