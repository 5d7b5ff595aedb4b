/* SPDX-License-Identifier: Apache-2.0 */
/* What this machine's processor can do. */
#ifndef KERNELS_CPU_H
#define KERNELS_CPU_H

#include <stdbool.h>
#include <stddef.h>

bool cpu_has_avx2(void);     /* with F16C, and an OS that keeps the registers */
bool cpu_has_avx512(void);   /* F, BW, DQ, VL, VBMI, VBMI2 */
bool cpu_has_avx_vnni(void); /* as far as the C library says so */
bool cpu_has_crc32c(void);   /* SSE4.2's, ARMv8's instruction */
bool cpu_has_vpclmulqdq(
    void); /* with AVX-512 F; asked for each checksum, so it is cheap */

/* How to prefetch a run that comes from memory; `vector_bytes` is the width of the
 * kernels' vectors. On AMD Zen 4 a second prefetch of a line slows reading down, because
 * it occupies the buffers that cache misses need. So AMD has a policy of its own. With
 * it, one Zen 4 thread projects 1 GiB of f32 to dense at 17 to 19 GB/s; with the policy
 * for other processors it reaches 11 to 15 GB/s. */
struct prefetch_policy {
    size_t ahead_bytes; /* distance of the prefetch into L2; 0: no prefetch */
    bool near; /* prefetch again into L1, NEAR_BYTES ahead. Loops that load lines in
                           order then have distances of their own (NEAR_IN_ORDER_BYTES) */
    size_t turn_groups; /* groups to emit or to verify, then to sum, in alternation */
    /* The same, of 16-bit elements, and of 32-bit elements to base 3. */
    size_t turn_groups_16bit, turn_groups_base3;
};
struct prefetch_policy prefetch_policy(size_t vector_bytes);

#endif
