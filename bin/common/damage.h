/* Reading files that may be damaged: LMDB follows the page numbers in a store wherever they lead, and a map of a file that is cut
 * short under way ends by SIGBUS. */
#ifndef CAPT_DAMAGE_H
#define CAPT_DAMAGE_H
#include "common/prog.h"

/* Runs fn(arg, path, err) in a child process and returns what it returned, with its error; a child that ends otherwise, by a signal
 * or by an assertion, is an error as well: "PATH: damaged: ...". */
int prog_in_child(int (*fn)(void *arg, const char *path, capt_err *err), void *arg, const char *path, capt_err *err);
/* From now on SIGSEGV, SIGBUS, SIGABRT and SIGFPE end the program with exit status 1 and a message that names its operands but the
 * first. For subcommands that do nothing but read what these name. */
void prog_catch_damage(const capt_prog *p);
#endif
