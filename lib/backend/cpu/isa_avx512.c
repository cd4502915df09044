/* The kernels' leaves for avx512; the file name picks the compiler's flags. */
#if !defined CAPT_REAL64 && defined __AVX512F__
#define ISA_TABLE capt_cpu_isa_avx512
#define ISA_NAME "avx512"
#include "backend/cpu/isa_priv.h"
#endif
