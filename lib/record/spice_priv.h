/* Inside of SPICE: tuples as text, and their comparison by synonyms. */
#ifndef CAPT_RECORD_SPICE_PRIV_H
#define CAPT_RECORD_SPICE_PRIV_H
#include "base/mem.h"
#include "record/spice.h"

enum { SPICE_BETWEEN = 0x1f }; /* between the words of a tuple */
typedef CAPT_VEC(char *) spice_tuples;

/* Counts the distinct tuples cand against ref (in the order of the references), which become one graph. */
capt_tuple_counts spice_graph_count(const spice_tuples *cand, const spice_tuples *ref, const capt_synsets *syn);
#endif
