/* Replays files through a fuzz target: TARGET [-m N] FILE-or-FOLDER...
 * Each file as it is, then N damaged forms of it, the same ones every time. */
#include <dirent.h>
#include <string.h>
#include "base/file.h"
#include "base/mem.h"
#include "base/rng.h"
#include "base/str.h"
#include "fuzz.h"

static const char *const word[] = {"9223372036854775808", "-1", "1e999", "null", "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[", "\"", "\\ud800", "\xff\xfe", "}", "4294967297"};

/* One to four changes. buf has room for 64 more bytes than n; returns the new length. */
static size_t damage(uint8_t *buf, size_t n, uint64_t key)
{
    uint64_t at = 0;
    for (int left = 1 + (int)(capt_rng_u64(key, at++) % 4); left > 0 && n; left--) {
        size_t i = capt_rng_u64(key, at++) % n, j = capt_rng_u64(key, at++) % n, k = capt_rng_u64(key, at++) % 24;
        if (capt_rng_u64(key, at++) % 2 && i > 256) /* heads matter most */
            i %= 256;
        k = k > n - i ? n - i : k;
        k = k > n - j ? n - j : k;
        const char *w = word[capt_rng_u64(key, at++) % (sizeof word / sizeof *word)];
        switch (capt_rng_u64(key, at++) % 7) {
        case 0: buf[i] ^= (uint8_t)(1u << capt_rng_u64(key, at++) % 8); break;
        case 1: buf[i] = (uint8_t)capt_rng_u64(key, at++); break;
        case 2: memset(buf + i, capt_rng_u64(key, at++) % 2 ? 0xff : 0, k); break;
        case 3: n = i; break;
        case 4: memmove(buf + i, buf + i + k, n - i - k); n -= k; break;
        case 5: memmove(buf + i, buf + j, k); break;
        default: memcpy(buf + i, w, strlen(w) < n - i ? strlen(w) : n - i);
        }
    }
    return n;
}

static int replay(const char *path, int damaged)
{
    capt_err err = CAPT_ERR_INIT;
    size_t n;
    char *s = capt_file_read(path, 0, &n, &err);
    if (!s) {
        fprintf(stderr, "%s\n", err.text);
        return -1;
    }
    for (int i = 0; i <= damaged; i++) {
        uint8_t *copy = capt_alloc(n + 1); /* of the very size, so that the sanitizer sees a read behind the end */
        memcpy(copy, s, n);
        size_t m = i ? damage(copy, n, capt_rng_key(n, 0, (uint64_t)i, 0)) : n;
        uint8_t *exact = capt_alloc(m ? m : 1);
        memcpy(exact, copy, m);
        free(copy);
        LLVMFuzzerTestOneInput(exact, m);
        free(exact);
    }
    free(s);
    return 0;
}

int main(int argc, char **argv)
{
    int damaged = 0, files = 0;
    for (int i = 1; i < argc; i++) {
        if (!strcmp(argv[i], "-m") && i + 1 < argc) {
            damaged = atoi(argv[++i]);
            continue;
        }
        DIR *d = opendir(argv[i]);
        for (struct dirent *e = d ? readdir(d) : NULL; e; e = readdir(d)) {
            if (e->d_name[0] == '.')
                continue;
            capt_str path = {0};
            capt_str_printf(&path, "%s/%s", argv[i], e->d_name);
            int bad = replay(path.s, damaged);
            capt_str_free(&path);
            if (bad)
                return 1;
            files++;
        }
        if (d)
            closedir(d);
        else if (replay(argv[i], damaged))
            return 1;
        else
            files++;
    }
    printf("%d files replayed, %d forms each\n", files, damaged + 1);
    return files ? 0 : 1;
}
