#include "record/tsv.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/arena.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/id.h"
#include "base/mem.h"
#include "base/str.h"

enum { CHUNK = 4 << 20, BLOCK = 1 << 18, HEAD = CAPT_ID_MAX + 2 }; /* a block stays in the processor's cache */

struct capt_tsv {
    const char *const *paths;
    int n_files, *fd;
    CAPT_VEC(capt_tsv_row) row;
    capt_arena *keys;
    char hash[33];
};

/* A piece of a file: where its newlines are, and the name of its bytes. */
struct chunk {
    int file;
    int64_t at;
    size_t n, mark; /* mark: bytes of a byte order mark in front of the file */
    CAPT_VEC(int64_t) newline;
    char hash[33];
    capt_err err;
};

struct scan {
    capt_tsv *t;
    CAPT_VEC(struct chunk) chunk;
    char **buf; /* one a worker */
};

static int read_all(int fd, const char *path, char *to, size_t n, int64_t at, capt_err *err)
{
    for (size_t got = 0; got < n;) {
        ssize_t k = pread(fd, to + got, n - got, at + (int64_t)got);
        if (k < 0 && errno == EINTR)
            continue;
        if (k < 0)
            return capt_fail_errno(err, "%s", path);
        if (k == 0)
            return capt_fail(err, CAPT_EDATA, "%s: became shorter while it was read", path);
        got += (size_t)k;
    }
    return 0;
}

static void scan_chunk(void *arg, int64_t i, int worker)
{
    struct scan *s = arg;
    struct chunk *c = &s->chunk.v[i];
    if (!s->buf[worker])
        s->buf[worker] = capt_realloc(NULL, BLOCK);
    char *b = s->buf[worker];
    capt_hasher *h = capt_hasher_new();
    for (size_t at = 0; at < c->n && !c->err.code; at += BLOCK) {
        size_t n = c->n - at < BLOCK ? c->n - at : BLOCK;
        if (read_all(s->t->fd[c->file], s->t->paths[c->file], b, n, c->at + (int64_t)at, &c->err))
            break;
        capt_hasher_add(h, b, n);
        if (c->at + (int64_t)at == 0)
            c->mark = capt_utf8_mark(b, n);
        for (const char *p = memchr(b, '\n', n); p; p = memchr(p + 1, '\n', (size_t)(b + n - p - 1)))
            capt_vec_push(&c->newline, c->at + (int64_t)at + (p - b));
    }
    capt_hasher_end(h, c->hash);
}

static int open_files(capt_tsv *t, struct scan *s, capt_err *err)
{
    for (int f = 0; f < t->n_files; f++) {
        struct stat st;
        t->fd[f] = open(t->paths[f], O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a FIFO must not hang us */
        if (t->fd[f] < 0 || fstat(t->fd[f], &st))
            return capt_fail_errno(err, "%s", t->paths[f]);
        if (!S_ISREG(st.st_mode))
            return capt_fail(err, CAPT_EDATA, "%s: not a regular file", t->paths[f]);
        for (int64_t at = 0; at < st.st_size; at += CHUNK) {
            struct chunk c = {.file = f, .at = at, .n = st.st_size - at < CHUNK ? (size_t)(st.st_size - at) : CHUNK, .err = CAPT_ERR_INIT};
            capt_vec_push(&s->chunk, c);
        }
    }
    return 0;
}

static void add_row(capt_tsv *t, int file, int64_t line, int64_t at, int64_t end)
{
    int64_t n = end - at;
    if (n > 0)
        capt_vec_push(&t->row, ((capt_tsv_row){.file = file, .line = line, .at = at, .n = n > (int64_t)CAPT_TSV_ROW_MAX ? UINT32_MAX : (uint32_t)n}));
}

/* The pieces in the order of the files: rows, and a hash that does not depend on who read what. */
static int gather(capt_tsv *t, struct scan *s, capt_err *err)
{
    capt_hasher *h = capt_hasher_new();
    int64_t at = 0, line = 1;
    int rc = 0;
    for (size_t i = 0; i < s->chunk.n && rc == 0; i++) {
        struct chunk *c = &s->chunk.v[i];
        if (c->err.code) {
            rc = capt_fail(err, c->err.code, "%s", c->err.text);
            break;
        }
        if (c->at == 0) {
            at = (int64_t)c->mark;
            line = 1;
        }
        capt_hasher_add(h, c->hash, 32);
        for (size_t k = 0; k < c->newline.n; k++) {
            add_row(t, c->file, line++, at, c->newline.v[k]);
            at = c->newline.v[k] + 1;
        }
        if (i + 1 == s->chunk.n || s->chunk.v[i + 1].file != c->file) { /* a last line without its newline */
            add_row(t, c->file, line, at, c->at + (int64_t)c->n);
            capt_hasher_add(h, "|", 1);
        }
    }
    capt_hasher_end(h, t->hash);
    return rc;
}

static int read_keys(capt_tsv *t, capt_err *err)
{
    char head[HEAD];
    size_t kept = 0;
    for (size_t i = 0; i < t->row.n; i++) {
        capt_tsv_row *r = &t->row.v[i];
        size_t n = r->n < HEAD ? r->n : HEAD;
        if (read_all(t->fd[r->file], t->paths[r->file], head, n, r->at, err))
            return -1;
        if (n == 1 && head[0] == '\r') /* an empty line of Windows */
            continue;
        const char *tab = memchr(head, '\t', n);
        if (tab && tab > head && tab - head <= CAPT_ID_MAX && !memchr(head, 0, (size_t)(tab - head)))
            r->key = capt_arena_strndup(t->keys, head, (size_t)(tab - head));
        t->row.v[kept++] = *r;
    }
    t->row.n = kept;
    return 0;
}

/* X.lineidx of X.tsv: the offsets of its rows. */
static int check_lineidx(const capt_tsv *t, int file, capt_err *err)
{
    const char *path = t->paths[file];
    size_t n = strlen(path), have;
    if (n < 4 || strcmp(path + n - 4, ".tsv") != 0)
        return 0;
    capt_str name = {0};
    capt_str_printf(&name, "%.*s.lineidx", (int)(n - 4), path);
    char *text = capt_file_exists(name.s) ? capt_text_read(name.s, &have, err) : NULL;
    int rc = !text && capt_file_exists(name.s) ? -1 : 0;
    if (text) {
        const char *p = text;
        for (size_t i = 0; i < t->row.n && rc == 0; i++) {
            const capt_tsv_row *r = &t->row.v[i];
            if (r->file != file)
                continue;
            char *end;
            long long at = strtoll(p, &end, 10);
            if (end == p || (at != r->at && !(at == 0 && r->line == 1))) /* behind a byte order mark */
                rc = capt_fail(err, CAPT_EDATA, "%s: does not belong to %s: line %lld begins at byte %lld, which it does not say", name.s, path, (long long)r->line,
                               (long long)r->at);
            p = end;
        }
        if (rc == 0 && p[strspn(p, " \t\r\n")])
            rc = capt_fail(err, CAPT_EDATA, "%s: has more lines than %s, which is cut short", name.s, path);
    }
    free(text);
    capt_str_free(&name);
    return rc;
}

capt_tsv *capt_tsv_open(const char *const *paths, int n, capt_pool *pool, capt_err *err)
{
    capt_tsv *t = capt_alloc(sizeof *t);
    t->paths = paths;
    t->n_files = n;
    t->fd = capt_alloc((size_t)n * sizeof *t->fd);
    memset(t->fd, 0xff, (size_t)n * sizeof *t->fd);
    t->keys = capt_arena_new(1 << 16);
    struct scan s = {.t = t, .buf = capt_alloc((size_t)capt_pool_size(pool) * sizeof *s.buf)};
    int rc = open_files(t, &s, err);
    if (rc == 0) {
        capt_pool_run(pool, (int64_t)s.chunk.n, scan_chunk, &s);
        rc = gather(t, &s, err);
    }
    if (rc == 0)
        rc = read_keys(t, err);
    for (int f = 0; f < n && rc == 0; f++)
        rc = check_lineidx(t, f, err);
    for (size_t i = 0; i < s.chunk.n; i++)
        capt_vec_free(&s.chunk.v[i].newline);
    for (int i = 0; i < capt_pool_size(pool); i++)
        free(s.buf[i]);
    free(s.buf);
    capt_vec_free(&s.chunk);
    if (rc) {
        capt_tsv_close(t);
        return NULL;
    }
    return t;
}

void capt_tsv_close(capt_tsv *t)
{
    if (!t)
        return;
    for (int f = 0; f < t->n_files; f++)
        if (t->fd[f] >= 0)
            close(t->fd[f]);
    free(t->fd);
    capt_vec_free(&t->row);
    capt_arena_free(t->keys);
    free(t);
}

size_t capt_tsv_n(const capt_tsv *t) { return t->row.n; }
const capt_tsv_row *capt_tsv_at(const capt_tsv *t, size_t i) { return &t->row.v[i]; }
const char *capt_tsv_hash(const capt_tsv *t) { return t->hash; }

int capt_tsv_keep(capt_tsv *t, int file, const int64_t *lines, size_t n, const char *where, capt_err *err)
{
    size_t first = 0, rows = 0, kept = 0;
    while (first < t->row.n && t->row.v[first].file != file)
        first++;
    while (first + rows < t->row.n && t->row.v[first + rows].file == file)
        rows++;
    char *keep = capt_alloc(rows + 1);
    int rc = 0;
    for (size_t i = 0; i < n && rc == 0; i++) {
        if (lines[i] < 0 || lines[i] >= (int64_t)rows)
            rc = capt_fail(err, CAPT_EDATA, "%s: line %lld of a file of %zu rows", where, (long long)lines[i], rows);
        else
            keep[lines[i]] = 1;
    }
    for (size_t i = 0; i < t->row.n && rc == 0; i++)
        if (t->row.v[i].file != file || keep[i - first])
            t->row.v[kept++] = t->row.v[i];
    if (rc == 0)
        t->row.n = kept;
    free(keep);
    return rc;
}

void capt_tsv_where(const capt_tsv *t, size_t i, char where[400])
{
    const capt_tsv_row *r = &t->row.v[i];
    capt_str key = {0};
    if (r->key)
        capt_str_puts_escaped(&key, r->key, strlen(r->key));
    snprintf(where, 400, r->key ? "%.200s:%lld: id %.100s" : "%.200s:%lld", t->paths[r->file], (long long)r->line, key.s);
    capt_str_free(&key);
}

int capt_tsv_read(const capt_tsv *t, size_t i, capt_str *text, capt_err *err)
{
    const capt_tsv_row *r = &t->row.v[i];
    char where[400];
    if (r->n == UINT32_MAX || !r->key) {
        capt_tsv_where(t, i, where);
        return r->key ? capt_fail(err, CAPT_EDATA, "%s: the row is longer than %zu bytes", where, CAPT_TSV_ROW_MAX)
                      : capt_fail(err, CAPT_EDATA, "%s: no id of 1 to %d bytes before a tab", where, CAPT_ID_MAX);
    }
    if (text->cap < (size_t)r->n + 1 || text->cap > 2 * (size_t)r->n + (8 << 20)) { /* one long row does not hold its memory for ever */
        capt_str_free(text);
        text->cap = (size_t)r->n + r->n / 4 + 1;
        text->s = capt_realloc(NULL, text->cap);
    }
    if (read_all(t->fd[r->file], t->paths[r->file], text->s, r->n, r->at, err))
        return -1;
    text->n = r->n;
    if (text->n && text->s[text->n - 1] == '\r')
        text->n--;
    text->s[text->n] = 0;
    return 0;
}
