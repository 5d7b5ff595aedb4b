/* What this machine's processor can do. */
#ifndef KERNELS_CPU_H
#define KERNELS_CPU_H

#include <stdbool.h>

bool cpu_has_avx2(void);   /* with F16C, and an OS that keeps the registers */
bool cpu_has_avx512(void); /* F, BW, DQ, VL, VBMI, VBMI2 */
bool cpu_has_crc32c(void); /* SSE4.2's, ARMv8's instruction */

#endif
