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

float f32_rounded_to(enum trit_dtype dtype, float value)
{
    if (dtype == TRIT_F16)
        return f16_to_f32(f32_to_f16(value));
    return dtype == TRIT_BF16 ? bf16_to_f32(f32_to_bf16(value)) : value;
}

bool scale_lost(enum trit_dtype dtype, float scale)
{
    float held = f32_rounded_to(dtype, scale);

    return scale != 0 && isfinite(scale) && (held == 0 || !isfinite(held));
}
