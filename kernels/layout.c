/* SPDX-License-Identifier: Apache-2.0 */
/* Names and shapes of element types and encodings. */
#include <string.h>

#include "kernels/kernels.h"

size_t dtype_bytes(enum trit_dtype dtype)
{
    switch (dtype) {
    case TRIT_F32:
        return 4;
    case TRIT_F16:
    case TRIT_BF16:
        return 2;
    case TRIT_I8:
    case TRIT_U8:
        return 1;
    case TRIT_DTYPE_UNSPECIFIED:
        break;
    }
    return 0;
}

static const struct {
    const char *name;
    struct encoding_layout layout;
} encodings[] = {
    [TRIT_ENCODING_DENSE] = {"dense", {1, 0, SCALES_FOLDED, 0, 0, 0, false}},
    [TRIT_ENCODING_INT8] = {"int8", {1, 1, SCALES_F32, 0, 0, 0, false}},
    [TRIT_ENCODING_PQ2_0] = {"pq2_0", {128, 34, SCALES_IN_BLOCK, 0, 0, 0, false}},
    [TRIT_ENCODING_Q2_0] = {"q2_0", {64, 18, SCALES_IN_BLOCK, 0, 0, 0, false}},
    [TRIT_ENCODING_PTQ1_0] = {"ptq1_0", {128, 28, SCALES_IN_BLOCK, 0, 26, 0, false}},
    [TRIT_ENCODING_TQ1_0] = {"tq1_0", {256, 54, SCALES_IN_BLOCK, 0, 52, 0, false}},
    [TRIT_ENCODING_TQ2_0] = {"tq2_0", {256, 66, SCALES_IN_BLOCK, 0, 64, 0, false}},
    [TRIT_ENCODING_MLX_2BIT] = {"mlx_2bit", {64, 16, SCALES_F16, 128, 0, 0, false}},
    [TRIT_ENCODING_I2_S] = {"i2_s", {128, 32, SCALES_TENSOR, 0, 0, 32, false}},
    [TRIT_ENCODING_HF_BITNET] = {"hf_bitnet", {4, 1, SCALES_TENSOR, 0, 0, 0, true}},
};

enum { ENCODINGS = sizeof(encodings) / sizeof(encodings[0]) };

const struct encoding_layout *encoding_layout(enum trit_encoding encoding)
{
    return (size_t)encoding < ENCODINGS ? &encodings[encoding].layout : NULL;
}

enum trit_dtype encoding_scales_dtype(enum trit_encoding encoding)
{
    const struct encoding_layout *layout = encoding_layout(encoding);

    if (!layout)
        return TRIT_DTYPE_UNSPECIFIED;
    switch (layout->scales) {
    case SCALES_F32:
        return TRIT_F32;
    case SCALES_F16:
        return TRIT_F16;
    case SCALES_TENSOR:
        return layout->tail_bytes ? TRIT_DTYPE_UNSPECIFIED : TRIT_F32;
    case SCALES_FOLDED:
    case SCALES_IN_BLOCK:
        break;
    }
    return TRIT_DTYPE_UNSPECIFIED;
}

const char *encoding_name(enum trit_encoding encoding)
{
    return (size_t)encoding < ENCODINGS ? encodings[encoding].name : "unknown";
}

bool encoding_by_name(const char *name, enum trit_encoding *encoding)
{
    for (size_t i = 0; i < ENCODINGS; i++)
        if (strcmp(name, encodings[i].name) == 0) {
            *encoding = (enum trit_encoding)i;
            return true;
        }
    return false;
}
