#include "base/hash.h"
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <xxhash.h>
#include "base/mem.h"

#define T1(c) ((c) & 1 ? (c) >> 1 ^ 0x82F63B78u : (c) >> 1)
#define T4(c) T1(T1(T1(T1((uint32_t)(c)))))
/* CRC of the 16 nibbles, reflected polynomial 0x1EDC6F41 */
static const uint32_t nibble[16] = {T4(0), T4(1), T4(2),  T4(3),  T4(4),  T4(5),  T4(6),  T4(7),
                                    T4(8), T4(9), T4(10), T4(11), T4(12), T4(13), T4(14), T4(15)};

static uint32_t crc_table(uint32_t crc, const unsigned char *p, size_t n)
{
    for (; n; n--, p++) {
        crc ^= *p;
        crc = crc >> 4 ^ nibble[crc & 15];
        crc = crc >> 4 ^ nibble[crc & 15];
    }
    return crc;
}

#ifdef __x86_64__
__attribute__((target("sse4.2"))) static uint32_t crc_sse42(uint32_t crc, const unsigned char *p, size_t n)
{
    uint64_t c = crc, x;
    for (; n >= 8; n -= 8, p += 8) {
        memcpy(&x, p, 8);
        c = __builtin_ia32_crc32di(c, x);
    }
    crc = (uint32_t)c;
    for (; n; n--, p++)
        crc = __builtin_ia32_crc32qi(crc, *p);
    return crc;
}
#endif

uint32_t capt_crc32c(uint32_t crc, const void *p, size_t n)
{
#ifdef __x86_64__
    if (__builtin_cpu_supports("sse4.2"))
        return ~crc_sse42(~crc, p, n);
#endif
    return ~crc_table(~crc, p, n);
}

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
        abort();
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
