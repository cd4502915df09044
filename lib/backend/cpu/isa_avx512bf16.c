/* The kernels' leaves for avx512bf16; the file name picks the compiler's flags. */
#if !defined CAPT_REAL64 && defined __AVX512BF16__
#define ISA_TABLE capt_cpu_isa_avx512bf16
#define ISA_NAME "avx512bf16"
#include "backend/cpu/isa_priv.h"
#endif
