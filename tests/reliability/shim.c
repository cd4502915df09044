/* Loaded before the C library (LD_PRELOAD) by the reliability tests: counts what a program asks of the system, lets the n-th request
 * of a kind fail, and records what it writes.
 *   SHIM_FAIL=malloc|read|write|fsync and SHIM_N=n   the n-th (from 1) fails: no memory, EIO, ENOSPC, EIO. Writes to stderr do not count
 *   SHIM_COUNT=FILE   appends "malloc N read N write N fsync N" at the end of the process
 *   SHIM_RECORD=FILE, SHIM_UNDER=DIR   appends a record for every change of a file beneath DIR; see struct op
 * System calls are caught where they enter the kernel, so that stdio's are seen too: a filter (seccomp) turns them into SIGSYS, whose
 * handler counts and then makes the call itself, from the one place the filter lets pass. Linux on x86-64. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <ucontext.h>
#include <unistd.h>
#include <dlfcn.h>

enum kind { NONE, MALLOC, READ, WRITE, FSYNC, NAMES, KINDS };
static const char *const kind_name[KINDS] = {"", "malloc", "read", "write", "fsync", ""};
static long seen[KINDS], fail_at;
static enum kind fail;
static int ready, log_fd = -1;
static char under[PATH_MAX];
static size_t n_under;
static const char *count_path;

long shim_call(long nr, long a, long b, long c, long d, long e, long f);
extern const char shim_call_end[];
__asm__(".text\n.globl shim_call\nshim_call:\n mov %rdi,%rax\n mov %rsi,%rdi\n mov %rdx,%rsi\n mov %rcx,%rdx\n mov %r8,%r10\n mov %r9,%r8\n"
        " mov 8(%rsp),%r9\n syscall\n.globl shim_call_end\nshim_call_end:\n ret\n");
#define CALL(nr, a, b, c) shim_call(nr, (long)(a), (long)(b), (long)(c), 0, 0, 0)

static int fails(enum kind k)
{
    if (!ready)
        return 0;
    long n = __atomic_add_fetch(&seen[k], 1, __ATOMIC_RELAXED);
    return k == fail && n == fail_at;
}

/* ---- memory ---- */

void *__libc_malloc(size_t n);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *p, size_t n);
void *__libc_memalign(size_t align, size_t n);

static void *none(void)
{
    errno = ENOMEM;
    return NULL;
}

void *malloc(size_t n) { return fails(MALLOC) ? none() : __libc_malloc(n); }
void *calloc(size_t n, size_t size) { return fails(MALLOC) ? none() : __libc_calloc(n, size); }
void *realloc(void *p, size_t n) { return fails(MALLOC) ? none() : __libc_realloc(p, n); }
void *aligned_alloc(size_t align, size_t n) { return fails(MALLOC) ? none() : __libc_memalign(align, n); }

int posix_memalign(void **p, size_t align, size_t n)
{
    if (fails(MALLOC))
        return ENOMEM;
    *p = __libc_memalign(align, n);
    return *p ? 0 : ENOMEM;
}

/* Threads of a program may block all signals; this one must come through. */
int pthread_sigmask(int how, const sigset_t *set, sigset_t *old)
{
    static int (*next)(int, const sigset_t *, sigset_t *);
    sigset_t mine;
    if (!next)
        next = (int (*)(int, const sigset_t *, sigset_t *))dlsym(RTLD_NEXT, "pthread_sigmask");
    if (set) {
        mine = *set;
        if (how != SIG_UNBLOCK)
            sigdelset(&mine, SIGSYS);
    }
    return next(how, set ? &mine : NULL, old);
}

/* ---- the record ---- */

/* c: 'c' create (name), 'w' write, 'd' write that is on the disk when it returns (O_DSYNC), 't' truncate to offset, 'b' a sync of
 * the file begins, 's' it is done (offset: which; other threads may have written meanwhile), 'D' sync of a folder, 'r' rename (name TAB new name), 'x' exchange of two names, 'u' unlink (name). n bytes follow: the data, or the name(s). */
struct op { char c; uint64_t inode; int64_t offset; uint32_t n; } __attribute__((packed));

static void put(char c, uint64_t inode, int64_t offset, const void *data, size_t n)
{
    struct op h = {c, inode, offset, (uint32_t)n};
    struct iovec v[2] = {{&h, sizeof h}, {(void *)data, n}};
    CALL(SYS_writev, log_fd, v, 2);
}

static int is_under(const char *path, size_t n)
{
    return n > n_under && memcmp(path, under, n_under) == 0 && path[n_under] == '/';
}

/* Inode of a descriptor of a file (or folder) under the folder, or 0. */
static uint64_t inode_of(int fd, int *folder)
{
    char link[40] = "/proc/self/fd/", path[PATH_MAX];
    char *end = link + strlen(link), digits[12];
    int k = 0;
    do
        digits[k++] = (char)('0' + fd % 10);
    while ((fd /= 10) > 0);
    while (k)
        *end++ = digits[--k];
    long n = CALL(SYS_readlink, link, path, sizeof path);
    struct stat st;
    if (n <= 0 || CALL(SYS_stat, link, &st, 0) != 0)
        return 0;
    *folder = S_ISDIR(st.st_mode);
    if (*folder ? (size_t)n != n_under || memcmp(path, under, n_under) != 0 : !S_ISREG(st.st_mode) || !is_under(path, (size_t)n))
        return 0;
    return st.st_ino;
}

static void record_name(char c, int at, const char *a, const char *b)
{
    char text[2 * PATH_MAX] = "";
    struct stat st = {0};
    (void)at;
    const char *list[2] = {a, b};
    size_t n = 0;
    for (int i = 0; i < 2 && list[i]; i++) {
        const char *base = strrchr(list[i], '/');
        base = base ? base + 1 : list[i];
        if (i)
            text[n++] = '\t';
        memcpy(text + n, base, strlen(base));
        n += strlen(base);
    }
    if (c == 'c' && CALL(SYS_stat, a, &st, 0) != 0)
        return;
    put(c, st.st_ino, 0, text, n);
}

/* A number for the sync that begins; 0: not of a file of ours. */
static int64_t record_sync(int fd)
{
    static int64_t last;
    int folder = 0;
    uint64_t inode = inode_of(fd, &folder);
    if (!inode || folder)
        return 0;
    int64_t which = __atomic_add_fetch(&last, 1, __ATOMIC_RELAXED);
    put('b', inode, which, NULL, 0);
    return which;
}

static void record(long nr, const long *a, long got, int64_t sync)
{
    int folder = 0;
    uint64_t inode;
    switch (nr) {
    case SYS_write: case SYS_pwrite64: case SYS_writev: case SYS_pwritev: {
        inode = got > 0 ? inode_of((int)a[0], &folder) : 0;
        if (!inode)
            return;
        int positioned = nr == SYS_pwrite64 || nr == SYS_pwritev;
        int64_t at = positioned ? a[3] : CALL(SYS_lseek, a[0], 0, SEEK_CUR) - got;
        char c = CALL(SYS_fcntl, a[0], F_GETFL, 0) & O_DSYNC ? 'd' : 'w';
        if (nr == SYS_write || nr == SYS_pwrite64) {
            put(c, inode, at, (const void *)a[1], (size_t)got);
            return;
        }
        const struct iovec *v = (const struct iovec *)a[1];
        for (; got > 0; at += (int64_t)v->iov_len, got -= (long)v->iov_len, v++)
            put(c, inode, at, v->iov_base, (long)v->iov_len < got ? v->iov_len : (size_t)got);
        return;
    }
    case SYS_fsync: case SYS_fdatasync:
        inode = got == 0 ? inode_of((int)a[0], &folder) : 0;
        if (inode)
            put(folder ? 'D' : 's', inode, sync, NULL, 0);
        return;
    case SYS_ftruncate:
        inode = got == 0 ? inode_of((int)a[0], &folder) : 0;
        if (inode)
            put('t', inode, a[1], NULL, 0);
        return;
    case SYS_rename:
        if (got == 0)
            record_name('r', 0, (const char *)a[0], (const char *)a[1]);
        return;
    case SYS_renameat2:
        if (got == 0)
            record_name(a[4] & RENAME_EXCHANGE ? 'x' : 'r', 0, (const char *)a[1], (const char *)a[3]);
        return;
    case SYS_unlink:
        if (got == 0)
            record_name('u', 0, (const char *)a[0], NULL);
        return;
    default: ;
    }
}

static void record_open(const long *a, long fd)
{
    int folder = 0;
    uint64_t inode = fd >= 0 && a[2] & (O_CREAT | O_TRUNC) ? inode_of((int)fd, &folder) : 0;
    if (!inode || folder)
        return;
    if (a[2] & O_CREAT)
        record_name('c', 0, (const char *)a[1], NULL); /* of one that was there already: the reader knows */
    if (a[2] & O_TRUNC)
        put('t', inode, 0, NULL, 0);
}

/* ---- system calls ---- */

static enum kind kind_of(long nr)
{
    switch (nr) {
    case SYS_read: case SYS_pread64: case SYS_readv: return READ;
    case SYS_write: case SYS_pwrite64: case SYS_writev: case SYS_pwritev: return WRITE;
    case SYS_fsync: case SYS_fdatasync: return FSYNC;
    default: return NAMES;
    }
}

static void on_call(int sig, siginfo_t *info, void *context)
{
    ucontext_t *u = context;
    greg_t *r = u->uc_mcontext.gregs;
    long nr = info->si_syscall, a[6] = {r[REG_RDI], r[REG_RSI], r[REG_RDX], r[REG_R10], r[REG_R8], r[REG_R9]};
    int saved = errno;
    enum kind k = kind_of(nr);
    (void)sig;
    if (k != NAMES && !(k == WRITE && a[0] == 2) && fails(k)) {
        r[REG_RAX] = k == WRITE ? -ENOSPC : -EIO;
    } else {
        int64_t sync = log_fd >= 0 && k == FSYNC ? record_sync((int)a[0]) : 0;
        long got = shim_call(nr, a[0], a[1], a[2], a[3], a[4], a[5]);
        if (log_fd >= 0 && nr == SYS_openat)
            record_open(a, got);
        else if (log_fd >= 0)
            record(nr, a, got, sync);
        r[REG_RAX] = got;
    }
    errno = saved;
}

#define TRAP(nr) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, nr, 0, 1), BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRAP)
#define LOAD(field) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (uint32_t)offsetof(struct seccomp_data, field))

static int install(void)
{
    uint64_t from = (uint64_t)(uintptr_t)shim_call_end;
    struct sock_filter rules[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (uint32_t)offsetof(struct seccomp_data, instruction_pointer)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)from, 0, 3),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (uint32_t)offsetof(struct seccomp_data, instruction_pointer) + 4),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)(from >> 32), 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
        LOAD(nr),
        TRAP(SYS_read), TRAP(SYS_pread64), TRAP(SYS_readv), TRAP(SYS_write), TRAP(SYS_pwrite64), TRAP(SYS_writev), TRAP(SYS_pwritev),
        TRAP(SYS_fsync), TRAP(SYS_fdatasync), TRAP(SYS_ftruncate), TRAP(SYS_rename), TRAP(SYS_renameat2), TRAP(SYS_unlink), TRAP(SYS_openat),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)};
    struct sock_fprog program = {sizeof rules / sizeof *rules, rules};
    struct sigaction act = {.sa_sigaction = on_call, .sa_flags = SA_SIGINFO | SA_NODEFER};
    return sigaction(SIGSYS, &act, NULL) || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0);
}

__attribute__((constructor)) static void begin(void)
{
    const char *kind = getenv("SHIM_FAIL"), *n = getenv("SHIM_N"), *path = getenv("SHIM_RECORD"), *dir = getenv("SHIM_UNDER");
    count_path = getenv("SHIM_COUNT");
    for (int k = MALLOC; k <= FSYNC && kind; k++)
        if (strcmp(kind, kind_name[k]) == 0)
            fail = (enum kind)k;
    fail_at = n ? atol(n) : 0;
    if (path && dir && strlen(dir) < sizeof under) {
        strcpy(under, dir);
        n_under = strlen(under);
        log_fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
    }
    if (install())
        _exit(99);
    ready = 1;
}

__attribute__((destructor)) static void end(void)
{
    ready = 0;
    if (!count_path)
        return;
    char text[200];
    size_t n = 0;
    for (int k = MALLOC; k <= FSYNC; k++) {
        char digits[24];
        int i = 0;
        long v = seen[k];
        memcpy(text + n, kind_name[k], strlen(kind_name[k]));
        n += strlen(kind_name[k]);
        text[n++] = ' ';
        do
            digits[i++] = (char)('0' + v % 10);
        while ((v /= 10) > 0);
        while (i)
            text[n++] = digits[--i];
        text[n++] = k == FSYNC ? '\n' : ' ';
    }
    long fd = shim_call(SYS_openat, AT_FDCWD, (long)count_path, O_WRONLY | O_CREAT | O_APPEND, 0666, 0, 0);
    CALL(SYS_write, fd, text, n);
    CALL(SYS_close, fd, 0, 0);
}
