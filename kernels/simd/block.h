/* SPDX-License-Identifier: Apache-2.0 */
/* What the vocabulary and the body share: the sizes of a block, and its sums and
 * thresholds as they are in memory. */
#ifndef KERNELS_BLOCK_H
#define KERNELS_BLOCK_H

#include <stdbool.h>
#include <stdint.h>

enum {
    FREQUENT_LEN = 128, /* of a group: loops are compiled for it on their own */
    LANES = 16,         /* the canonical order sums in 16 strided f64 lanes */
    UNIT = 64,          /* elements per step of an emitting pass */
    BLOCK_BYTES =
        8192,          /* input whose scales are found together; three blocks fit in L1 */
    BLOCK_GROUPS = 16, /* most groups in a block: the lanes of the scales' arithmetic */
    LINE_BYTES = 64,   /* of the caches */
    NEAR_BYTES = 768,  /* software prefetch distance, into L1 */
    NEAR_IN_ORDER_BYTES = 2048, /* where lines are loaded in order: into L1 */
    FAR_IN_ORDER_BYTES = 5632,  /* the same into L2 */
    DRAM_RUN_BYTES = 1 << 20,   /* runs from here on may not be in L2 */
    PACKED_BYTES = UNIT / 4,    /* of 2-bit codes per unit */
    /* Magnitudes kept as f64 between the passes of a report's sums: 16 KB of L1. */
    WIDENED_MAX = 2048,
    SURVEY_MAX = 512,  /* elements of a group, and its divisor, where a survey is exact */
    INTEGER_MAX = 128, /* the same where it may sum f32 as integers of 32 bits */
};

/* The lanes of a group's sum, in the vocabulary's own order and scale. */
struct partial {
    _Alignas(64) double lane[LANES];
};

/* About the totals of a block's sums. */
struct totals {
    uint32_t zeros; /* bit g: the total of group g is 0 */
    bool below;     /* all totals are below the limit */
};

/* Thresholds and scales of a block's groups as raw bits of the element type; a 16-bit
 * value is replicated into both halves of the word. */
struct keys {
    uint32_t half[BLOCK_GROUPS], low[BLOCK_GROUPS], high[BLOCK_GROUPS], s[BLOCK_GROUPS];
};

#endif
