/* Errors. A function that can fail takes a capt_err and returns 0, or -1 (NULL) after filling it in.
 * The first error wins: a second capt_fail on the same object changes nothing. The text names the place
 * ("refs.ndjson:17: \"caption\" is missing") and carries no final newline. err may be NULL: the caller
 * then learns only that something failed. No ownership, no locking: one object a thread. */
#ifndef CAPT_BASE_ERR_H
#define CAPT_BASE_ERR_H
#include <stdarg.h>

#define CAPT_PRINTF(a, b) __attribute__((format(printf, a, b)))

enum {
    CAPT_OK = 0,
    CAPT_EDATA,   /* a file, record, tensor or option value from outside is wrong */
    CAPT_EIO,     /* the system refused: open, read, write, disk full */
    CAPT_ENOMEM,  /* out of memory */
    CAPT_EDEVICE, /* a device or backend cannot do it */
    CAPT_EUSAGE,  /* wrong command line */
    CAPT_ESTOP    /* stopped by a signal after writing a checkpoint */
};

typedef struct capt_err {
    int code; /* CAPT_OK until something failed */
    char text[1000];
} capt_err;

#define CAPT_ERR_INIT {0, ""}

/* Records an error; returns -1 so that callers can write `return capt_fail(...)`. */
int capt_fail(capt_err *err, int code, const char *fmt, ...) CAPT_PRINTF(3, 4);
int capt_vfail(capt_err *err, int code, const char *fmt, va_list ap);
/* The same with ": strerror(errno)" appended; ENOSPC and EDQUOT read "disk full". */
int capt_fail_errno(capt_err *err, const char *fmt, ...) CAPT_PRINTF(2, 3);
/* Puts "prefix: " in front of a recorded error's text (once more context is known). Returns -1. */
int capt_err_prefix(capt_err *err, const char *fmt, ...) CAPT_PRINTF(2, 3);
/* Exit status of a code: 0, 1, 2 or 75. */
int capt_err_exit(int code);
#endif
