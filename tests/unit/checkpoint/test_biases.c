/* SPDX-License-Identifier: Apache-2.0 */
#include "checkpoint/biases.h"

#include <math.h>

#include "tests/lib/check.h"

CASE(negated, "biases equal -scales, and the sign of zero does not matter")
{
    const float scales[] = {1, 0.5f, 0, 0}, biases[] = {-1, -0.5f, 0, -0.0f};

    CHECK_EQ(bias_check(TRIT_F32, scales, biases, sizeof(scales)).count, 0);
    CHECK_EQ(bias_check(TRIT_F32, scales, biases, 0).count, 0);
}

CASE(others,
     "the first bias that differs is reported with its scale, and all are counted")
{
    const float scales[] = {1, 2, 3, NAN, INFINITY, 1};
    const float biases[] = {-1, 2, -3, NAN, -INFINITY, 0};
    const struct bias_check found = bias_check(TRIT_F32, scales, biases, sizeof(scales));

    CHECK_EQ(found.count, 3);
    CHECK_EQ(found.first, 1);
    CHECK(found.scale == 2 && found.bias == 2);
}

CASE(halves, "f16 and bf16 biases are compared in their own bits")
{
    const uint16_t scales[] = {0x3c00, 0x3f80}, biases[] = {0xbc00, 0xbf80};
    const uint16_t wrong[] = {0xbc00, 0xbf81};

    CHECK_EQ(bias_check(TRIT_F16, scales, biases, sizeof(scales)).count, 0);
    CHECK_EQ(bias_check(TRIT_BF16, scales, biases, sizeof(scales)).count, 0);
    CHECK_EQ(bias_check(TRIT_F16, scales, wrong, sizeof(scales)).first, 1);
    CHECK(bias_check(TRIT_F16, scales, wrong, sizeof(scales)).scale == 1.875);
    CHECK(bias_check(TRIT_BF16, scales, wrong, sizeof(scales)).scale == 1);
}
