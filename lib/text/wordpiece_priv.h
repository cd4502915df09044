/* Classes of characters above U+007F in BERT's tokenizer. */
#ifndef CAPT_TEXT_WORDPIECE_PRIV_H
#define CAPT_TEXT_WORDPIECE_PRIV_H
#include <stddef.h>
#include <stdint.h>

int wordpiece_is_dropped(uint32_t c); /* control, format and private characters, U+FFFD */
int wordpiece_is_mark(uint32_t c);    /* non-spacing: accents, once characters are decomposed */
int wordpiece_is_punctuation(uint32_t c);
int wordpiece_is_space(uint32_t c);
int wordpiece_is_ideograph(uint32_t c); /* a word of its own */
uint32_t wordpiece_newer_lower(uint32_t c); /* lower case of letters that a Unicode library may lack; 0: ask the library */
#endif
