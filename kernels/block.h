/* What a vocabulary and the body share: the measures of a block, and a block's sums and
 * thresholds as they stand in memory. */
#ifndef KERNELS_BLOCK_H
#define KERNELS_BLOCK_H

#include <stdint.h>

enum {
    LANES = 16,              /* the canonical order sums in 16 strided f64 lanes */
    UNIT = 64,               /* elements per step of an emitting pass */
    BLOCK_BYTES = 8192,      /* of input between the two passes: stays in L1 */
    BLOCK_GROUPS = 16,       /* at most, in a block: the lanes of the scales' math */
    AHEAD_BYTES = 1536,      /* software prefetch distance */
    PACKED_BYTES = UNIT / 4, /* of 2-bit codes per unit */
};

/* The lanes of a group's sum, in the vocabulary's own order and scale. */
struct partial {
    _Alignas(64) double lane[LANES];
};

/* Thresholds and scales of a block's groups as bits of the elements' type; those of
 * 16-bit types stand twice. */
struct keys {
    uint32_t half[BLOCK_GROUPS], low[BLOCK_GROUPS], high[BLOCK_GROUPS], s[BLOCK_GROUPS];
};

#endif
