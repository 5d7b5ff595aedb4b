/* SPDX-License-Identifier: Apache-2.0 */
#include "kernels/ternary/packing.h"

static const struct packing packings[] = {
    [TRIT_ENCODING_INT8] = {ORDER_BYTES, 1, 1, 0, -1},
    [TRIT_ENCODING_PQ2_0] = {ORDER_LSB, 128, 34, 2, 0},
    [TRIT_ENCODING_Q2_0] = {ORDER_LSB, 64, 18, 2, 0},
    [TRIT_ENCODING_PTQ1_0] = {ORDER_BASE3, 128, 28, 0, 26},
    [TRIT_ENCODING_TQ1_0] = {ORDER_BASE3, 256, 54, 0, 52},
    [TRIT_ENCODING_TQ2_0] = {ORDER_PLANES, 256, 66, 0, 64},
    [TRIT_ENCODING_MLX_2BIT] = {ORDER_LSB, 64, 16, 0, -1},
    [TRIT_ENCODING_I2_S] = {ORDER_PLANES_R, 128, 32, 0, -1},
};

enum { PACKINGS = sizeof(packings) / sizeof(packings[0]) };

const struct packing *packing_of(enum trit_encoding encoding)
{
    return (size_t)encoding < PACKINGS && packings[encoding].bytes ? &packings[encoding]
                                                                   : NULL;
}
