/* SPDX-License-Identifier: Apache-2.0 */
#include "checkpoint/biases.h"

#include <stdio.h>

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

void findings_add_biases(struct file_findings *findings, const char *matrix,
                         const struct bias_check *found)
{
    struct trit_finding *added =
        found->count ? findings_add(findings, TRIT_FINDING_NOT_TERNARY, matrix, NULL)
                     : NULL;

    if (!added)
        return;
    added->has_group = added->has_count = true;
    added->group = found->first;
    added->count = found->count;
    snprintf(added->expected, sizeof(added->expected), "bias %.9g", -found->scale);
    snprintf(added->got, sizeof(added->got), "bias %.9g", found->bias);
    snprintf(
        added->hint, sizeof(added->hint),
        "a weight is scale * code + bias, so it is ternary only if the bias is -scale");
}
