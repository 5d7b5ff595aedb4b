/* SPDX-License-Identifier: Apache-2.0 */
/* What one ISA exports: the operations as written in body.h, in its vocabulary. */
#ifndef KERNELS_TABLE_H
#define KERNELS_TABLE_H

#include "kernels/kernels.h"

struct kernels {
    const char *name;
    void (*ternarize)(const struct ternarize_job *job, struct ternary_counts *counts);
    void (*verify)(const struct verify_job *job, struct ternary_counts *counts,
                   struct ternary_check *check);
    int (*unpack)(const struct unpack_job *job, uint64_t *bad, bool *lost);
};

extern const struct kernels kernels_portable;
#if defined(__x86_64__)
extern const struct kernels kernels_avx2, kernels_avx512;
#elif defined(__aarch64__)
extern const struct kernels kernels_neon;
#endif

#endif
