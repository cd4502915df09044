/* Files: whole reads, maps, and outputs that appear only when complete. "-" is stdin or stdout where said so. */
#ifndef CAPT_BASE_FILE_H
#define CAPT_BASE_FILE_H
#include <stddef.h>
#include <stdio.h>
#include "base/err.h"

/* What messages call a path: "-" is "stdin" or "stdout". */
const char *capt_input_name(const char *path);
const char *capt_output_name(const char *path);
/* Whole file ("-": stdin) as malloc'd bytes with a NUL behind them; max 0: no limit, else an error above it. */
char *capt_file_read(const char *path, size_t max, size_t *n, capt_err *err);
/* A text to be held whole, of at most 1 GiB; a byte order mark in front is left out. */
char *capt_text_read(const char *path, size_t *n, capt_err *err);
typedef struct capt_map { const unsigned char *p; size_t n; } capt_map;
int capt_map_open(capt_map *m, const char *path, capt_err *err); /* read-only, private; regular files only */
void capt_map_close(capt_map *m);

/* An output that appears under its name only when complete: writes PATH.part, then fsync, rename, fsync of the folder.
 * path "-" writes stdout. An existing PATH is replaced. finish returns -1 if any write failed (PATH is then untouched and
 * PATH.part removed) and frees o in every case; abandon removes PATH.part and frees o. */
typedef struct capt_out capt_out;
capt_out *capt_out_open(const char *path, capt_err *err);
FILE *capt_out_file(capt_out *o);
int capt_out_finish(capt_out *o, capt_err *err);
void capt_out_abandon(capt_out *o);
/* fsync(path), rename(path, to), fsync of the folder. On failure path is there, and under `to` what was there before, if anything: the two files exchange
 * their names, and the older one is removed, as path, once the folder is synced; a program killed in between leaves it so. Where names cannot be
 * exchanged, an older file is replaced for good before the folder is synced: then the new one stays and path is gone. */
int capt_file_publish(const char *path, const char *to, capt_err *err);
/* 0, or -1 where a device, pipe or folder has the name: for outputs that cannot be written in place, before the work begins. publish refuses
 * devices and pipes too. */
int capt_file_replaceable(const char *path, capt_err *err);
int capt_file_sync_dir(const char *path, capt_err *err); /* fsync of the folder path lies in: makes its name last */
int capt_file_exists(const char *path);
/* Opens a regular file beneath the open folder dirfd for reading: no "..", no absolute name, no escaping links, no FIFOs
 * (openat2 RESOLVE_BENEATH, with a textual check on old kernels). dirfd AT_FDCWD: name is the user's own word and may lead anywhere, but to a regular
 * file. Returns a descriptor or -1. */
int capt_open_beneath(int dirfd, const char *name, capt_err *err);
#endif
