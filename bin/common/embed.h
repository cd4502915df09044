/* Pictures of an HTML page: linked where they lie near it, else their bytes in it. */
#ifndef CAPT_COMMON_EMBED_H
#define CAPT_COMMON_EMBED_H
#include "base/err.h"
#include "base/str.h"

/* The way from the page at `page` to pictures in `dir` when they lie in the page's folder or beside it; NULL otherwise, and when the page is standard output. */
char *embed_prefix(const char *page, const char *dir);
/* Appends the value of src for the picture `file` in the open folder dirfd: prefix and name, or with prefix NULL its bytes. The file must lie beneath the folder and be a JPEG,
 * PNG, GIF or WebP picture of at most 16 MB in either case. */
int embed_picture(capt_str *out, int dirfd, const char *prefix, const char *file, capt_err *err);
#endif
