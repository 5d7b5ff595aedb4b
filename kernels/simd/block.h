/* SPDX-License-Identifier: Apache-2.0 */
/* What a vocabulary and the body share: the measures of a block, and a block's sums and
 * thresholds as they stand in memory. */
#ifndef KERNELS_BLOCK_H
#define KERNELS_BLOCK_H

#include <stdbool.h>
#include <stdint.h>

enum {
    LANES = 16,         /* the canonical order sums in 16 strided f64 lanes */
    UNIT = 64,          /* elements per step of an emitting pass */
    BLOCK_BYTES = 8192, /* of input whose scales are found at once; three fit in L1 */
    BLOCK_GROUPS = 16,  /* at most, in a block: the lanes of the scales' math */
    NEIGHBOURS = 2,     /* groups summed side by side */
    NEAR_BYTES = 1024,  /* software prefetch distance, into L1 */
    DRAM_RUN_BYTES = 1 << 20, /* runs from here on may not be in L2 */
    PACKED_BYTES = UNIT / 4,  /* of 2-bit codes per unit */
};

/* The lanes of a group's sum, in the vocabulary's own order and scale. */
struct partial {
    _Alignas(64) double lane[LANES];
};

/* What the totals of a block's sums are like: bit g of `zeros` where that of group g is
 * 0; whether all are below the limit. */
struct totals {
    uint32_t zeros;
    bool below;
};

/* Thresholds and scales of a block's groups as bits of the elements' type; those of
 * 16-bit types stand twice. */
struct keys {
    uint32_t half[BLOCK_GROUPS], low[BLOCK_GROUPS], high[BLOCK_GROUPS], s[BLOCK_GROUPS];
};

#endif
