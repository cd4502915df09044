#include "base/hash.h"
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <xxhash.h>
#include "base/mem.h"

uint64_t capt_hash64(const void *p, size_t n)
{
    return XXH3_64bits(p, n);
}

static void to_hex(XXH128_hash_t h, char hex[33])
{
    snprintf(hex, 33, "%016llx%016llx", (unsigned long long)h.high64, (unsigned long long)h.low64);
}

struct capt_hasher {
    XXH3_state_t *x;
};

capt_hasher *capt_hasher_new(void)
{
    capt_hasher *h = capt_alloc(sizeof *h);
    h->x = XXH3_createState();
    if (!h->x)
        capt_no_memory();
    XXH3_128bits_reset(h->x);
    return h;
}

void capt_hasher_add(capt_hasher *h, const void *p, size_t n)
{
    if (n)
        XXH3_128bits_update(h->x, p, n);
}

void capt_hasher_end(capt_hasher *h, char hex[33])
{
    to_hex(XXH3_128bits_digest(h->x), hex);
    XXH3_freeState(h->x);
    free(h);
}

void capt_hash_hex(const void *p, size_t n, char hex[33])
{
    to_hex(XXH3_128bits(p, n), hex);
}

int capt_hash_file(const char *path, char hex[33], capt_err *err)
{
    hex[0] = 0;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return capt_fail_errno(err, "%s", path);
    size_t cap = 1 << 18;
    char *buf = capt_alloc(cap);
    capt_hasher *h = capt_hasher_new();
    ssize_t n;
    do {
        n = read(fd, buf, cap);
        if (n > 0)
            capt_hasher_add(h, buf, (size_t)n);
    } while (n > 0);
    if (n < 0)
        capt_fail_errno(err, "%s", path);
    capt_hasher_end(h, hex);
    free(buf);
    close(fd);
    if (n < 0)
        hex[0] = 0;
    return n < 0 ? -1 : 0;
}
