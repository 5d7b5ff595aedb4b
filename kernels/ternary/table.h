/* SPDX-License-Identifier: Apache-2.0 */
/* What one ISA exports: the operations of body.h, one for each element type. */
#ifndef KERNELS_TABLE_H
#define KERNELS_TABLE_H

#include "kernels/kernels.h"

typedef void ternarize_fn(const struct ternarize_job *job, struct ternary_counts *counts);
typedef void verify_fn(const struct verify_job *job, struct ternary_counts *counts,
                       struct ternary_check *check);
typedef int unpack_fn(const struct unpack_job *job, struct unpack_refusal *refused);
/* Adds how often each 2-bit code of `from` became each of `to`, of FLIPS_BLOCK bytes each;
 * code 3 is not counted. */
typedef void count_flips_fn(const uint8_t *from, const uint8_t *to, size_t blocks,
                            uint64_t table[9]);
enum { FLIPS_BLOCK = 64 };

enum { ELEMENT_TYPES = TRIT_BF16 + 1 }; /* entries of a table indexed by dtype */

struct kernels {
    const char *name;
    ternarize_fn *ternarize[ELEMENT_TYPES]; /* latents of the dtype */
    verify_fn *verify_dense[ELEMENT_TYPES]; /* dense claims of the dtype */
    verify_fn *verify_packed;
    unpack_fn *unpack[ELEMENT_TYPES]; /* to the dtype */
    count_flips_fn *count_flips;
};

extern const struct kernels kernels_portable;
#if defined(__x86_64__)
extern const struct kernels kernels_avx2, kernels_avx512;
#elif defined(__aarch64__)
extern const struct kernels kernels_neon;
#endif

#endif
