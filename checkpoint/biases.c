/* SPDX-License-Identifier: Apache-2.0 */
#include "checkpoint/biases.h"

#include "checkpoint/decode.h"

struct bias_check bias_check(enum trit_dtype dtype, const void *scales,
                             const void *biases, uint64_t bytes)
{
    const uint64_t groups = bytes / dtype_bytes(dtype);
    struct bias_check found = {.count = 0};

    for (uint64_t i = 0; i < groups; i++) {
        const float scale = float_at(dtype, scales, i), bias = float_at(dtype, biases, i);

        if (bias == -scale)
            continue;
        if (found.count++ == 0) {
            found.first = i;
            found.scale = (double)scale;
            found.bias = (double)bias;
        }
    }
    return found;
}
