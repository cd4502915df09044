/* The kernels' leaves for avx2; the file name picks the compiler's flags. */
#if !defined CAPT_REAL64 && defined __AVX2__
#define ISA_TABLE capt_cpu_isa_avx2
#define ISA_NAME "avx2"
#include "backend/cpu/isa_priv.h"
#endif
