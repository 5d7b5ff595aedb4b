/* SPDX-License-Identifier: Apache-2.0 */
/* What this machine's processor can do. */
#ifndef KERNELS_CPU_H
#define KERNELS_CPU_H

#include <stdbool.h>
#include <stddef.h>

bool cpu_has_avx2(void);   /* with F16C, and an OS that keeps the registers */
bool cpu_has_avx512(void); /* F, BW, DQ, VL, VBMI, VBMI2 */
bool cpu_has_crc32c(void); /* SSE4.2's, ARMv8's instruction */

/* How to prefetch a run that comes from memory, for vectors of so many bytes. On AMD's
 * processors (Zen 4) a second prefetch of a line is a loss: it takes the buffers that
 * misses wait in. Of 1 GiB of f32 to dense, one thread, they do 17 to 19 GB/s with their
 * own policy and 11 to 15 with the others'. */
struct prefetch_policy {
    size_t ahead_bytes; /* distance of the prefetch into L2; 0: none */
    bool near;          /* prefetch again into L1, NEAR_BYTES ahead */
    size_t turn_groups; /* groups emitted, then summed, in alternation */
};
struct prefetch_policy prefetch_policy(size_t vector_bytes);

#endif
