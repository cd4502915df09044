/* Base64 (RFC 4648, standard alphabet) at memory speed, strictly: whole quadruples, '=' only where a last one needs it, no
 * blanks, unused bits zero. So every sequence of bytes has exactly one text, of 4 ceil(bytes / 3) characters. Reentrant. */
#ifndef CAPT_BASE_BASE64_H
#define CAPT_BASE_BASE64_H
#include <stddef.h>

/* Bytes that n characters hold: 3 n / 4, less one for each '=' at the end. Looks at the last two alone. */
size_t capt_base64_size(const char *s, size_t n);
/* Decodes n characters into capt_base64_size(s, n) bytes of out, and touches none behind them. Returns -1, or the offset of
 * the first character that is wrong (n: the text ends within a quadruple); out then holds anything. */
long capt_base64_decode(const char *s, size_t n, void *out);

/* The same by one instruction set, for tests; equal in every bit. has: whether this machine can. */
enum { CAPT_BASE64_PORTABLE, CAPT_BASE64_AVX2, CAPT_BASE64_AVX512VBMI, CAPT_BASE64_N };
int capt_base64_has(int isa);
long capt_base64_decode_by(int isa, const char *s, size_t n, void *out);
#endif
