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

/* Whether f16 holds the value as 0 or as a normal number. */
static bool is_plain_f16(float value)
{
    const uint32_t a = float_bits(value) & 0x7fffffffu;

    return (a == 0) | (a - 0x38800000u < 0x477ff000u - 0x38800000u);
}

/* Such a value needs no change of format. */
static float plain_rounded_to_f16(float value)
{
    const uint32_t bits = float_bits(value), a = bits & 0x7fffffffu;

    return float_of_bits((bits & 0x80000000u) |
                         ((a + 0xfff + (a >> 13 & 1)) & 0xffffe000u));
}

static float rounded_to_f16(float value)
{
    return is_plain_f16(value) ? plain_rounded_to_f16(value)
                               : f16_widen(f16_narrow(value));
}

float f32_rounded_to(enum trit_dtype dtype, float value)
{
    if (dtype == TRIT_F16)
        return rounded_to_f16(value);
    return dtype == TRIT_BF16 ? bf16_to_f32(f32_to_bf16(value)) : value;
}

/* In two loops without branches, of which the compiler makes vectors. */
static bool round_plain(float *values, size_t count)
{
    uint32_t others = 0;

    for (size_t i = 0; i < count; i++)
        others |= !is_plain_f16(values[i]);
    if (others)
        return false;
    for (size_t i = 0; i < count; i++)
        values[i] = plain_rounded_to_f16(values[i]);
    return true;
}

void f32_round_each(enum trit_dtype dtype, float *values, size_t count)
{
    if (dtype == TRIT_F16 && round_plain(values, count))
        return;
    for (size_t i = 0; i < count; i++)
        values[i] = f32_rounded_to(dtype, values[i]);
}

bool scale_lost(enum trit_dtype dtype, float scale)
{
    float held = f32_rounded_to(dtype, scale);

    return scale != 0 && isfinite(scale) && (held == 0 || !isfinite(held));
}
