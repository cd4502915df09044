#include "base/id.h"
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/hash.h"
#include "base/mem.h"
#include "base/str.h"

int capt_id_check(const char *s, size_t n, const char *where, capt_err *err)
{
    size_t length = 0;
    for (size_t i = 0; i < n; i++)
        length += ((unsigned char)s[i] & 0xc0) != 0x80;
    if (n == 0 || n >= CAPT_ID_KEY || length > CAPT_ID_MAX)
        return capt_fail(err, CAPT_EDATA, "%s: an id has 1 to %d characters, not %zu", where, CAPT_ID_MAX, length);
    for (size_t i = 0; i < n; i++)
        if ((unsigned char)s[i] < 0x20 || s[i] == 0x7f)
            return capt_fail(err, CAPT_EDATA, "%s: the id holds a control character", where);
    if (capt_utf8_check(s, n) >= 0)
        return capt_fail(err, CAPT_EDATA, "%s: the id is not UTF-8", where);
    return 0;
}

int capt_id_from_json(const json_t *j, capt_id *id, const char *where, capt_err *err)
{
    if (json_is_integer(j)) {
        *id = capt_id_int(json_integer_value(j));
        return 0;
    }
    if (!json_is_string(j))
        return capt_fail(err, CAPT_EDATA, "%s: \"id\" is neither an integer nor a string", where);
    *id = capt_id_str(json_string_value(j));
    return capt_id_check(id->s, json_string_length(j), where, err);
}

json_t *capt_id_json(const capt_id *id)
{
    return id->is_int ? json_integer(id->i) : json_string(id->s);
}

size_t capt_id_key(const capt_id *id, char key[CAPT_ID_KEY])
{
    if (id->is_int)
        return (size_t)snprintf(key, CAPT_ID_KEY, "%" PRId64, id->i);
    size_t n = strnlen(id->s, CAPT_ID_KEY - 1);
    memcpy(key, id->s, n);
    key[n] = 0;
    return n;
}

int capt_id_parse(const char *s, int is_int, capt_id *id, capt_err *err)
{
    if (!is_int) {
        *id = capt_id_str(s);
        return capt_id_check(s, strlen(s), s, err);
    }
    char *end;
    errno = 0;
    long long v = strtoll(s, &end, 10);
    *id = capt_id_int(v);
    char text[CAPT_ID_KEY];
    capt_id_key(id, text);
    if (errno || *end || end == s || strcmp(text, s) != 0)
        return capt_fail(err, CAPT_EDATA, "id \"%.100s\" is not an integer", s);
    return 0;
}

int capt_id_from_key(const void *key, size_t n, int is_int, char buf[CAPT_ID_KEY], capt_id *id, capt_err *err)
{
    if (capt_id_check(key, n, "key", err))
        return -1;
    memcpy(buf, key, n);
    buf[n] = 0;
    return capt_id_parse(buf, is_int, id, err);
}

int capt_id_cmp(const capt_id *a, const capt_id *b)
{
    if (a->is_int != b->is_int)
        return b->is_int - a->is_int;
    if (a->is_int)
        return (a->i > b->i) - (a->i < b->i);
    return strcmp(a->s, b->s);
}

uint64_t capt_id_hash(const capt_id *id)
{
    return id->is_int ? capt_hash64(&id->i, sizeof id->i) : capt_hash64(id->s, strlen(id->s));
}

capt_id capt_id_dup(const capt_id *id, capt_arena *a)
{
    return id->is_int ? *id : capt_id_str(capt_arena_strndup(a, id->s, strlen(id->s)));
}

int capt_id_from_file(const char *name, capt_id *id, capt_arena *a, capt_err *err)
{
    const char *slash = strrchr(name, '/'), *base = slash ? slash + 1 : name, *dot = strrchr(base, '.');
    size_t n = dot && dot > base ? (size_t)(dot - base) : strlen(base);
    *id = capt_id_str(capt_arena_strndup(a, base, n));
    return capt_id_check(base, n, name, err);
}

/* 16 bytes a slot: a set of 123,287 images is no weight. tagged is value * 2 + is_int; -1: free. */
struct slot {
    union { int64_t i; const char *s; } id;
    int64_t tagged;
};
struct capt_idmap { struct slot *slot; size_t n, size; }; /* size: a power of two */

static capt_id id_of(const struct slot *s)
{
    return s->tagged & 1 ? capt_id_int(s->id.i) : capt_id_str(s->id.s);
}

static struct slot *find(const capt_idmap *m, const capt_id *id)
{
    size_t i = capt_id_hash(id) & (m->size - 1);
    for (;; i = (i + 1) & (m->size - 1)) {
        struct slot *s = &m->slot[i];
        if (s->tagged < 0)
            return s;
        capt_id is = id_of(s);
        if (capt_id_cmp(&is, id) == 0)
            return s;
    }
}

static void resize(capt_idmap *m, size_t size)
{
    struct slot *old = m->slot;
    size_t n = m->size;
    m->slot = capt_alloc(size * sizeof *m->slot);
    m->size = size;
    for (size_t i = 0; i < size; i++)
        m->slot[i].tagged = -1;
    for (size_t i = 0; i < n; i++) {
        if (old[i].tagged < 0)
            continue;
        capt_id id = id_of(&old[i]);
        *find(m, &id) = old[i];
    }
    free(old);
}

capt_idmap *capt_idmap_new(void)
{
    capt_idmap *m = capt_alloc(sizeof *m);
    resize(m, 64);
    return m;
}

void capt_idmap_free(capt_idmap *m)
{
    if (m)
        free(m->slot);
    free(m);
}

int64_t capt_idmap_add(capt_idmap *m, const capt_id *id, int64_t value)
{
    if (m->n * 2 >= m->size)
        resize(m, m->size * 2);
    struct slot *s = find(m, id);
    if (s->tagged < 0) {
        if (id->is_int)
            s->id.i = id->i;
        else
            s->id.s = id->s;
        s->tagged = value * 2 + (id->is_int != 0);
        m->n++;
    }
    return s->tagged >> 1;
}

int64_t capt_idmap_get(const capt_idmap *m, const capt_id *id)
{
    const struct slot *s = find(m, id);
    return s->tagged < 0 ? -1 : s->tagged >> 1;
}
