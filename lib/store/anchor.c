/* How the writer goes on while the disk is still at the batch before.
 *
 * LMDB's own way is to write a transaction's pages, wait for the disk, and write the page that makes them count; nothing happens meanwhile. Here it
 * does not sync (MDB_NOSYNC), and a thread beside does: it syncs the file after each transaction, and then notes in an anchor that this one is on the
 * disk. What LMDB's two first pages say after a loss of power may be ahead of the rest of the file; a resumed run therefore goes back to the newest
 * anchor first. The transaction it names is whole: T takes no page that T-2 or a later one uses (LMDB reuses what T-2 and those before it had freed),
 * and T is not committed before the anchor of T-2 is on the disk, because one sync is under way at a time.
 *
 * An anchor lies in the first page of a part (even transactions) or in the second, in bytes that LMDB never writes, within a sector of 512 bytes:
 *   0 "CPTANCHR"  8 u64 transaction  16 what LMDB wrote behind the header of this page  256 u32 CRC-32C of these 256 bytes
 * in the machine's own byte order, as all of the file. A finished store has zeros there. */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <fcntl.h>
#include <unistd.h>
#include "base/hash.h"
#include "base/mem.h"
#include "store/store_priv.h"

enum { PAGE_HEADER = 16, META = 240, META_PAGE_SIZE = 24, META_TXN = 128, AT = 2048 };

struct anchor { char magic[8]; uint64_t txn; unsigned char meta[META]; uint32_t crc; };
static const char magic[8] = {'C', 'P', 'T', 'A', 'N', 'C', 'H', 'R'};

struct capt_syncer {
    int fd, direct; /* the part; direct: what is written is on the disk when the write is done */
    const char *path;
    size_t page;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    int busy, stop, trouble; /* trouble: errno of a sync */
    struct anchor anchor;
};

/* Of the database in fd; 0: none has been begun there. */
static size_t page_size(int fd)
{
    uint32_t n = 0, known = 0;
    if (pread(fd, &known, sizeof known, PAGE_HEADER) != sizeof known || known != CAPT_STORE_LMDB)
        return 0;
    if (pread(fd, &n, sizeof n, PAGE_HEADER + META_PAGE_SIZE) != sizeof n || n < AT + sizeof(struct anchor) || n > 65536 || (n & (n - 1)))
        return 0;
    return n;
}

static uint32_t crc_of(const struct anchor *a) { return capt_crc32c(0, a, offsetof(struct anchor, crc)); }

static off_t place(const capt_syncer *y, uint64_t txn) { return (off_t)((txn & 1) * y->page); }

static int sync_to_anchor(capt_syncer *y)
{
    if (fdatasync(y->fd))
        return errno;
    ssize_t n = pwrite(y->direct, &y->anchor, sizeof y->anchor, place(y, y->anchor.txn) + AT);
    return n == sizeof y->anchor ? 0 : n < 0 ? errno : EIO;
}

static void *run(void *arg)
{
    capt_syncer *y = arg;
    pthread_mutex_lock(&y->lock);
    for (;;) {
        while (!y->busy && !y->stop)
            pthread_cond_wait(&y->changed, &y->lock);
        if (!y->busy)
            break;
        pthread_mutex_unlock(&y->lock);
        int trouble = sync_to_anchor(y);
        pthread_mutex_lock(&y->lock);
        if (!y->trouble) /* what a failed sync left out, a later one does not bring */
            y->trouble = trouble;
        y->busy = 0;
        pthread_cond_broadcast(&y->changed);
    }
    pthread_mutex_unlock(&y->lock);
    return NULL;
}

capt_syncer *capt_syncer_new(int fd, const char *path, capt_err *err)
{
    capt_syncer *y = capt_alloc(sizeof *y);
    y->fd = fd;
    y->path = path;
    y->page = page_size(fd);
    y->direct = open(path, O_WRONLY | O_DSYNC | O_CLOEXEC);
    sigset_t all, before;
    sigfillset(&all);
    pthread_mutex_init(&y->lock, NULL);
    pthread_cond_init(&y->changed, NULL);
    int rc = 0;
    if (y->direct < 0)
        rc = capt_fail_errno(err, "%s", path);
    else if (!y->page)
        rc = capt_fail(err, CAPT_EIO, "%s: its first page cannot be read", path);
    if (rc == 0) {
        pthread_sigmask(SIG_SETMASK, &all, &before); /* signals are the program's threads' */
        if (pthread_create(&y->thread, NULL, run, y))
            rc = capt_fail(err, CAPT_EIO, "%s: no thread could be started", path);
        pthread_sigmask(SIG_SETMASK, &before, NULL);
    }
    if (rc == 0)
        return y;
    if (y->direct >= 0)
        close(y->direct);
    free(y);
    return NULL;
}

static int idle(capt_syncer *y, capt_err *err) /* under the lock */
{
    while (y->busy)
        pthread_cond_wait(&y->changed, &y->lock);
    return y->trouble ? capt_store_fail_write(y->path, y->trouble, "sync", err) : 0;
}

int capt_syncer_wait(capt_syncer *y, capt_err *err)
{
    pthread_mutex_lock(&y->lock);
    int rc = idle(y, err);
    pthread_mutex_unlock(&y->lock);
    return rc;
}

int capt_syncer_begin(capt_syncer *y, uint64_t txn, capt_err *err)
{
    pthread_mutex_lock(&y->lock);
    int rc = idle(y, err);
    if (rc == 0) {
        struct anchor *a = &y->anchor;
        uint64_t there;
        memset(a, 0, sizeof *a);
        memcpy(a->magic, magic, sizeof a->magic);
        a->txn = txn;
        if (pread(y->fd, a->meta, META, place(y, txn) + PAGE_HEADER) != META)
            rc = capt_fail_errno(err, "%s", y->path);
        memcpy(&there, a->meta + META_TXN, sizeof there);
        if (rc == 0 && there != txn)
            rc = capt_fail(err, CAPT_EIO, "%s: transaction %llu is not where it was to be", y->path, (unsigned long long)txn);
        a->crc = crc_of(a);
        y->busy = rc == 0;
        pthread_cond_broadcast(&y->changed);
    }
    pthread_mutex_unlock(&y->lock);
    return rc;
}

int capt_syncer_forget(capt_syncer *y, capt_err *err)
{
    static const struct anchor none;
    for (uint64_t i = 0; i < 2; i++)
        if (pwrite(y->fd, &none, sizeof none, place(y, i) + AT) != sizeof none)
            return capt_fail_errno(err, "%s", y->path);
    return 0;
}

void capt_syncer_free(capt_syncer *y)
{
    if (!y)
        return;
    pthread_mutex_lock(&y->lock);
    y->stop = 1;
    pthread_cond_broadcast(&y->changed);
    pthread_mutex_unlock(&y->lock);
    pthread_join(y->thread, NULL);
    pthread_mutex_destroy(&y->lock);
    pthread_cond_destroy(&y->changed);
    close(y->direct);
    free(y);
}

int capt_anchor_restore(int fd, const char *path, capt_err *err)
{
    size_t page = page_size(fd);
    struct anchor a, best = {.txn = 0};
    for (uint64_t i = 0; i < 2 && page; i++)
        if (pread(fd, &a, sizeof a, (off_t)(i * page) + AT) == sizeof a && memcmp(a.magic, magic, sizeof magic) == 0 && a.crc == crc_of(&a) &&
            (a.txn & 1) == i && a.txn > best.txn)
            best = a;
    for (uint64_t i = 0; i < 2 && best.txn; i++) /* in both pages: the next transaction is again the one behind it */
        if (pwrite(fd, best.meta, META, (off_t)(i * page) + PAGE_HEADER) != META)
            return capt_fail_errno(err, "%s", path);
    return 0;
}
