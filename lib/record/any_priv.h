/* The quick readers of any.c. keep is given each record in order (strings in the arena) and returns 0 to give up. They
 * return 1, or 0 when the bytes are not the plain published layout: then nothing of what was kept counts. s is UTF-8. */
#ifndef CAPT_RECORD_ANY_PRIV_H
#define CAPT_RECORD_ANY_PRIV_H
#include <stddef.h>
#include "record/caption.h"

int any_scan_captions(const char *s, size_t n, capt_arena *a, int (*keep)(void *, const void *), void *arg);
int any_scan_hyps(const char *s, size_t n, capt_arena *a, int (*keep)(void *, const void *), void *arg);
#endif
