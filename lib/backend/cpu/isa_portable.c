/* The leaves for the compiler's base instruction set; at level cblas the drivers call OpenBLAS's cblas_sgemm in place of this tile. */
#ifndef CAPT_REAL64
#define ISA_TABLE capt_cpu_isa_portable
#define ISA_NAME "portable"
#include "backend/cpu/isa_priv.h"
#endif
