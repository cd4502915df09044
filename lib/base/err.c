#include "base/err.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>

int capt_vfail(capt_err *err, int code, const char *fmt, va_list ap)
{
    if (!err || err->code != CAPT_OK)
        return -1;
    err->code = code;
    vsnprintf(err->text, sizeof err->text, fmt, ap);
    return -1;
}

int capt_fail(capt_err *err, int code, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    capt_vfail(err, code, fmt, ap);
    va_end(ap);
    return -1;
}

int capt_fail_errno(capt_err *err, const char *fmt, ...)
{
    int e = errno;
    if (!err || err->code != CAPT_OK)
        return -1;
    va_list ap;
    va_start(ap, fmt);
    capt_vfail(err, e == ENOMEM ? CAPT_ENOMEM : CAPT_EIO, fmt, ap);
    va_end(ap);
    char buf[160];
    const char *why = e == ENOSPC || e == EDQUOT ? "disk full" : strerror_r(e, buf, sizeof buf);
    size_t n = strlen(err->text);
    snprintf(err->text + n, sizeof err->text - n, ": %s", why);
    return -1;
}

int capt_err_prefix(capt_err *err, const char *fmt, ...)
{
    if (!err || err->code == CAPT_OK)
        return -1;
    char old[sizeof err->text];
    memcpy(old, err->text, sizeof old);
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(err->text, sizeof err->text, fmt, ap);
    va_end(ap);
    size_t n = strlen(err->text);
    snprintf(err->text + n, sizeof err->text - n, ": %s", old);
    return -1;
}

int capt_err_exit(int code)
{
    switch (code) {
    case CAPT_OK: return 0;
    case CAPT_EUSAGE: return 2;
    case CAPT_ESTOP: return 75; /* EX_TEMPFAIL: run me again */
    default: return 1;
    }
}
