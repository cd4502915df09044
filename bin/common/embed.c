#include "common/embed.h"
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/file.h"
#include "base/html.h"
#include "base/mem.h"

enum { IMAGE_MAX = 16 << 20 };

char *embed_prefix(const char *to, const char *dir)
{
    if (!strcmp(to, "-"))
        return NULL;
    const char *slash = strrchr(to, '/');
    char *folder = slash ? capt_strndup(to, slash == to ? 1 : (size_t)(slash - to)) : capt_strdup(".");
    char *room = capt_alloc(2 * PATH_MAX); /* memory that realpath lacks would look like a folder that is none */
    char *page = realpath(folder, room), *images = realpath(dir, room + PATH_MAX);
    capt_str s = {0};
    for (int up = 0; page && images && up < 2 && !s.s; up++) {
        size_t n = strlen(page);
        if (n > 1 && !strncmp(images, page, n) && (!images[n] || images[n] == '/')) {
            capt_str_puts(&s, up ? "../" : "");
            capt_str_puts(&s, images[n] ? images + n + 1 : "");
            if (s.n && s.s[s.n - 1] != '/')
                capt_str_putc(&s, '/');
        }
        char *last = strrchr(page, '/');
        if (last)
            *last = 0;
    }
    free(folder);
    free(room);
    return s.s;
}

static const char *media_type(const unsigned char *p, size_t n)
{
    if (n >= 3 && !memcmp(p, "\xff\xd8\xff", 3))
        return "image/jpeg";
    if (n >= 8 && !memcmp(p, "\x89PNG\r\n\x1a\n", 8))
        return "image/png";
    if (n >= 6 && (!memcmp(p, "GIF87a", 6) || !memcmp(p, "GIF89a", 6)))
        return "image/gif";
    if (n >= 12 && !memcmp(p, "RIFF", 4) && !memcmp(p + 8, "WEBP", 4))
        return "image/webp";
    return NULL;
}

int embed_picture(capt_str *out, int dirfd, const char *prefix, const char *file, capt_err *err)
{
    int fd = capt_open_beneath(dirfd, file, err);
    struct stat st;
    if (fd < 0)
        return -1;
    if (fstat(fd, &st)) {
        capt_fail_errno(err, "%s", file);
        close(fd);
        return -1;
    }
    size_t want = prefix ? 12 : (size_t)st.st_size, n = 0;
    unsigned char *p = want <= IMAGE_MAX ? capt_try_alloc(want + 1, err) : NULL;
    ssize_t got = p ? 1 : 0;
    while (n < want && got > 0) {
        got = read(fd, p + n, want - n);
        n += got > 0 ? (size_t)got : 0;
    }
    int rc = err->code ? -1 : got < 0 ? capt_fail_errno(err, "%s", file) : 0;
    close(fd);
    const char *type = rc || !p ? NULL : media_type(p, n);
    if (!rc && !p)
        rc = capt_fail(err, CAPT_EDATA, "%s: more than %d MB", file, IMAGE_MAX >> 20);
    else if (!rc && !type)
        rc = capt_fail(err, CAPT_EDATA, "%s: neither JPEG nor PNG, GIF or WebP", file);
    if (!rc && prefix) {
        capt_str path = {0};
        capt_str_puts(&path, prefix);
        capt_str_puts(&path, file);
        capt_html_path(out, path.s);
        capt_str_free(&path);
    } else if (!rc) {
        capt_str_printf(out, "data:%s;base64,", type);
        capt_html_base64(out, p, n);
    }
    free(p);
    return rc;
}
