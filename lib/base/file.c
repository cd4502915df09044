#include "base/file.h"
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <linux/openat2.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "base/mem.h"
#include "base/str.h"

static int is_dash(const char *path)
{
    return path[0] == '-' && !path[1];
}

const char *capt_input_name(const char *path)
{
    return is_dash(path) ? "stdin" : path;
}

const char *capt_output_name(const char *path)
{
    return is_dash(path) ? "stdout" : path;
}

char *capt_file_read(const char *path, size_t max, size_t *n, capt_err *err)
{
    int dash = is_dash(path), fd = dash ? 0 : open(path, O_RDONLY | O_CLOEXEC);
    const char *name = capt_input_name(path);
    *n = 0;
    if (fd < 0) {
        capt_fail_errno(err, "%s", name);
        return NULL;
    }
    struct stat st;
    size_t cap = 65536, len = 0;
    char *s = NULL;
    if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size > 0)
        cap = (size_t)st.st_size + 1; /* one more, to see the end at once */
    if (max && cap > max + 1)
        capt_fail(err, CAPT_EDATA, "%s: larger than %zu bytes", name, max);
    else
        s = capt_try_alloc(cap + 1, err);
    while (s) {
        ssize_t got = read(fd, s + len, cap - len);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0) {
            capt_fail_errno(err, "%s", name);
            free(s);
            s = NULL;
            break;
        }
        if (got == 0)
            break;
        len += (size_t)got;
        if (max && len > max) {
            capt_fail(err, CAPT_EDATA, "%s: larger than %zu bytes", name, max);
            free(s);
            s = NULL;
            break;
        }
        if (len == cap) {
            cap *= 2;
            char *t = realloc(s, cap + 1);
            if (!t) {
                capt_fail(err, CAPT_ENOMEM, "%s: out of memory (%zu bytes)", name, cap);
                free(s);
            }
            s = t;
        }
    }
    if (!dash)
        close(fd);
    if (s) {
        s[len] = 0;
        *n = len;
    }
    return s;
}

char *capt_text_read(const char *path, size_t *n, capt_err *err)
{
    char *s = capt_file_read(path, (size_t)1 << 30, n, err);
    size_t mark = s ? capt_utf8_mark(s, *n) : 0;
    if (mark) {
        *n -= mark;
        memmove(s, s + mark, *n + 1);
    }
    return s;
}

int capt_map_open(capt_map *m, const char *path, capt_err *err)
{
    *m = (capt_map){0};
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return capt_fail_errno(err, "%s", path);
    struct stat st;
    int rc = 0;
    if (fstat(fd, &st) != 0) {
        rc = capt_fail_errno(err, "%s", path);
    } else if (!S_ISREG(st.st_mode)) {
        rc = capt_fail(err, CAPT_EDATA, "%s: not a regular file", path);
    } else if (st.st_size > 0) {
        void *p = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
        if (p == MAP_FAILED)
            rc = capt_fail_errno(err, "%s", path);
        else
            *m = (capt_map){p, (size_t)st.st_size};
    }
    close(fd);
    return rc;
}

void capt_map_close(capt_map *m)
{
    if (m->p)
        munmap((void *)m->p, m->n);
    *m = (capt_map){0};
}

struct capt_out {
    char *path, *part; /* part NULL: stdout, a device or a pipe, written in place */
    FILE *f;
};

capt_out *capt_out_open(const char *path, capt_err *err)
{
    capt_out *o = capt_alloc(sizeof *o);
    struct stat st;
    o->path = capt_strdup(capt_output_name(path));
    if (is_dash(path)) {
        o->f = stdout;
        return o;
    }
    if (stat(path, &st) == 0 && S_ISDIR(st.st_mode)) {
        errno = EISDIR;
    } else if (stat(path, &st) == 0 && !S_ISREG(st.st_mode)) {
        o->f = fopen(path, "we");
    } else {
        capt_str part = {0};
        capt_str_printf(&part, "%s.part", path);
        o->part = part.s;
        o->f = fopen(o->part, "we");
    }
    if (o->f)
        return o;
    capt_fail_errno(err, "%s", o->part ? o->part : path);
    free(o->path);
    free(o->part);
    free(o);
    return NULL;
}

FILE *capt_out_file(capt_out *o)
{
    return o->f;
}

static void out_free(capt_out *o)
{
    free(o->path);
    free(o->part);
    free(o);
}

/* Reason of a failed write to a file that is given up, from another try. */
static int why_it_fails(FILE *f)
{
    static const char zeros[1 << 16];
    clearerr(f);
    errno = 0;
    fwrite(zeros, 1, sizeof zeros, f);
    if (errno == 0)
        fflush(f);
    return errno ? errno : EIO;
}

int capt_out_finish(capt_out *o, capt_err *err)
{
    int rc = 0, was_bad = ferror(o->f);
    errno = 0;
    if (fflush(o->f) != 0 || was_bad) {
        if (errno == 0) /* the failed write came earlier and its reason is gone: ask once more */
            errno = why_it_fails(o->f);
        rc = capt_fail_errno(err, "%s", o->path);
    }
    if (o->f != stdout && fclose(o->f) != 0 && rc == 0)
        rc = capt_fail_errno(err, "%s", o->path);
    if (rc == 0 && o->part)
        rc = capt_file_publish(o->part, o->path, err);
    if (rc != 0 && o->part)
        unlink(o->part);
    out_free(o);
    return rc;
}

void capt_out_abandon(capt_out *o)
{
    if (!o)
        return;
    if (o->f != stdout)
        fclose(o->f);
    if (o->part)
        unlink(o->part);
    out_free(o);
}

static int sync_path(const char *path, int flags, capt_err *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | flags);
    if (fd < 0)
        return capt_fail_errno(err, "%s", path);
    int rc = 0;
    if (fsync(fd) != 0 && errno != EINVAL && errno != EROFS) /* not every file system can */
        rc = capt_fail_errno(err, "%s", path);
    close(fd);
    return rc;
}

int capt_file_sync_dir(const char *path, capt_err *err)
{
    char *copy = capt_strdup(path);
    int rc = sync_path(dirname(copy), O_DIRECTORY, err);
    free(copy);
    return rc;
}

/* 1: the two regular files have taken each other's names, in one step. 0: there are no two such files, or names cannot be exchanged here. */
static int exchange(const char *path, const char *to)
{
    struct stat st;
    return lstat(to, &st) == 0 && S_ISREG(st.st_mode) && renameat2(AT_FDCWD, path, AT_FDCWD, to, RENAME_EXCHANGE) == 0;
}

int capt_file_replaceable(const char *path, capt_err *err)
{
    struct stat st;
    if (stat(path, &st) == 0 && !S_ISREG(st.st_mode))
        return capt_fail(err, CAPT_EDATA, "%s: not a regular file", path);
    return 0;
}

int capt_file_publish(const char *path, const char *to, capt_err *err)
{
    struct stat st;
    if (stat(to, &st) == 0 && !S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode)) /* an empty folder may be replaced by another; rename refuses the rest */
        return capt_fail(err, CAPT_EDATA, "%s: not a regular file", to);
    if (sync_path(path, 0, err) != 0)
        return -1;
    char *copy = capt_strdup(to), *folder = dirname(copy);
    int exchanged = exchange(path, to), replaced = !exchanged && capt_file_exists(to);
    int rc = !exchanged && rename(path, to) ? capt_fail_errno(err, "%s", to) : 0;
    if (rc == 0 && sync_path(folder, O_DIRECTORY, err) != 0) { /* nothing new stands under the name unless it is sure to stay, */
        rc = -1;
        if (replaced) /* but where the older file cannot come back, the new one is better than none */
            capt_err_prefix(err, "%s is written, but its name may not last", to);
        else if (!exchanged || !exchange(path, to))
            (void)rename(to, path);
    } else if (exchanged) {
        (void)unlink(path);
    }
    free(copy);
    return rc;
}

int capt_file_exists(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0;
}

static int has_dotdot(const char *name)
{
    for (const char *p = name; p; p = strchr(p, '/')) {
        p += *p == '/';
        if (p[0] == '.' && p[1] == '.' && (!p[2] || p[2] == '/'))
            return 1;
    }
    return 0;
}

/* For kernels before 5.6: opens, then compares where the descriptor really is with where the folder is. */
static int open_and_compare(int dirfd, const char *name, int flags)
{
    char link[64], dir[4096], file[4096];
    int fd = openat(dirfd, name, flags);
    if (fd < 0)
        return -1;
    snprintf(link, sizeof link, "/proc/self/fd/%d", dirfd);
    char cwd[4096];
    ssize_t nd = dirfd == AT_FDCWD ? (getcwd(cwd, sizeof cwd) ? (ssize_t)strlen(strcpy(dir, cwd)) : -1)
                                   : readlink(link, dir, sizeof dir - 1);
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t nf = readlink(link, file, sizeof file - 1);
    if (nd > 0 && nf > nd && memcmp(dir, file, (size_t)nd) == 0 && (file[nd] == '/' || dir[nd - 1] == '/'))
        return fd;
    close(fd);
    errno = EXDEV;
    return -1;
}

int capt_open_beneath(int dirfd, const char *name, capt_err *err)
{
    int anywhere = dirfd == AT_FDCWD;
    if (!*name || (!anywhere && (*name == '/' || has_dotdot(name))))
        return capt_fail(err, CAPT_EDATA, "%s: not a plain relative file name", name);
    int flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY; /* NONBLOCK: a FIFO must not hang us */
    struct open_how how = {.flags = (uint64_t)flags, .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS};
    int fd = anywhere ? open(name, flags) : (int)syscall(SYS_openat2, dirfd, name, &how, sizeof how);
    if (fd < 0 && !anywhere && (errno == ENOSYS || errno == EPERM))
        fd = open_and_compare(dirfd, name, flags);
    if (fd < 0 && errno == EXDEV)
        return capt_fail(err, CAPT_EDATA, "%s: leads out of its folder", name);
    if (fd < 0)
        return capt_fail_errno(err, "%s", name);
    struct stat st;
    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) {
        close(fd);
        return capt_fail(err, CAPT_EDATA, "%s: not a regular file", name);
    }
    int fl = fcntl(fd, F_GETFL);
    if (fl >= 0)
        fcntl(fd, F_SETFL, fl & ~O_NONBLOCK);
    return fd;
}
