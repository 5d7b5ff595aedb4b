/* SPDX-License-Identifier: Apache-2.0 */
#include "kernels/half.h"

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
