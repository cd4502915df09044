/* Checksums and content hashes. CRC-32C (Castagnoli) for records; XXH3-128 (libxxhash) as the name of a content. */
#ifndef CAPT_BASE_HASH_H
#define CAPT_BASE_HASH_H
#include <stddef.h>
#include <stdint.h>
#include "base/err.h"

uint32_t capt_crc32c(uint32_t crc, const void *p, size_t n); /* start with 0; chainable; by the processor's instruction where there is one */
uint32_t capt_crc32c_portable(uint32_t crc, const void *p, size_t n); /* the same, in plain C */
uint64_t capt_hash64(const void *p, size_t n);               /* XXH3-64 */
typedef struct capt_hasher capt_hasher;                      /* streaming XXH3-128 */
capt_hasher *capt_hasher_new(void);
void capt_hasher_add(capt_hasher *h, const void *p, size_t n);
void capt_hasher_end(capt_hasher *h, char hex[33]); /* writes 32 hex digits, frees h */
void capt_hash_hex(const void *p, size_t n, char hex[33]);
int capt_hash_file(const char *path, char hex[33], capt_err *err);
#endif
