/* Pictures named on the command line, as records. */
#ifndef CAPT_COMMON_PICTURES_H
#define CAPT_COMMON_PICTURES_H
#include "base/arena.h"
#include "common/prog.h"
#include "record/caption.h"

/* Operands are JPEG files, in their order, or folders, whose *.jpg and *.jpeg come by name; ids are 1, 2, ... , "file" the name as given. The records and
 * names live in a. An operand that is not there, and a folder without pictures, is an error naming it. Returns the records, *n of them, or NULL. */
const capt_caption **prog_pictures(capt_prog *p, capt_arena *a, size_t *n);
#endif
