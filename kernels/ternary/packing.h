/* SPDX-License-Identifier: Apache-2.0 */
/* The packed formats: where a block has its codes and its scale, and in what order.
 * Byte layouts are drawn in FORMATS.md. */
#ifndef KERNELS_PACKING_H
#define KERNELS_PACKING_H

#include <stddef.h>
#include <stdint.h>

#include "trit/types.h"

enum code_order {
    ORDER_BYTES,    /* one int8 for each element */
    ORDER_LSB,      /* four in a byte, in sequence, least significant first */
    ORDER_PLANES,   /* of 128: byte m has m, 32+m, 64+m, 96+m, lowest first */
    ORDER_PLANES_R, /* the same, highest first */
    ORDER_BASE3,    /* five in a byte, in stages of strided digits */
};

enum {
    BLOCK_ELEMENTS_MAX = 256,
    PLANE_ELEMENTS = 128, /* of an ORDER_PLANES step */
};

struct packing {
    enum code_order order;
    uint16_t elements, bytes; /* of a block */
    uint16_t codes_at;
    int16_t scale_at; /* offset of the f16 in the block; -1: the scales are elsewhere */
};

/* NULL for dense, and for HF_BITNET, whose order needs the whole tensor (interleave.h). */
const struct packing *packing_of(enum trit_encoding encoding);

#endif
