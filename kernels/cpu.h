/* SPDX-License-Identifier: Apache-2.0 */
/* What this machine's processor can do. */
#ifndef KERNELS_CPU_H
#define KERNELS_CPU_H

#include <stdbool.h>
#include <stddef.h>

bool cpu_has_avx2(void);   /* with F16C, and an OS that keeps the registers */
bool cpu_has_avx512(void); /* F, BW, DQ, VL, VBMI, VBMI2 */
bool cpu_has_crc32c(void); /* SSE4.2's, ARMv8's instruction */

/* How a run that comes from memory is best read by vectors of so many bytes. AMD's (Zen
 * 4) have little use for being asked twice: that takes the buffers that misses wait in.
 * From 1 GiB, one thread, the others' way gave 11 to 15 GB/s of f32 to dense, theirs 17
 * to 19. */
struct prefetch_policy {
    size_t ahead_bytes; /* what is asked for into L2 is so far ahead; 0: nothing is */
    bool near;          /* and once more, nearer, on its way to L1 */
    size_t turn_groups; /* summed, then emitted, in turn */
};
struct prefetch_policy prefetch_policy(size_t vector_bytes);

#endif
