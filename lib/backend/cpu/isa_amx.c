/* The kernels' leaves for amx: those for avx512bf16 but the tile of bf16 pairs; the file name picks the compiler's flags. */
#if !defined CAPT_REAL64 && defined __AVX512BF16__
#define ISA_TABLE capt_cpu_isa_amx
#define ISA_NAME "amx"
#define ISA_AMX
#include "backend/cpu/isa_priv.h"
#endif
