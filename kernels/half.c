/* SPDX-License-Identifier: Apache-2.0 */
#include "kernels/half.h"

#include <math.h>

#include "kernels/kernels.h"

float f16_to_f32(uint16_t bits)
{
    return f16_widen(bits);
}

uint16_t f32_to_f16(float value)
{
    return f16_narrow(value);
}

float bf16_to_f32(uint16_t bits)
{
    return bf16_widen(bits);
}

uint16_t f32_to_bf16(float value)
{
    return bf16_narrow(value);
}

/* A value that f16 holds as 0 or as a normal number needs no change of format. */
static float rounded_to_f16(float value)
{
    const uint32_t bits = float_bits(value), a = bits & 0x7fffffffu;

    if (a == 0 || (a >= 0x38800000u && a < 0x477ff000u))
        return float_of_bits((bits & 0x80000000u) |
                             ((a + 0xfff + (a >> 13 & 1)) & 0xffffe000u));
    return f16_widen(f16_narrow(value));
}

float f32_rounded_to(enum trit_dtype dtype, float value)
{
    if (dtype == TRIT_F16)
        return rounded_to_f16(value);
    return dtype == TRIT_BF16 ? bf16_to_f32(f32_to_bf16(value)) : value;
}

bool scale_lost(enum trit_dtype dtype, float scale)
{
    float held = f32_rounded_to(dtype, scale);

    return scale != 0 && isfinite(scale) && (held == 0 || !isfinite(held));
}
