/* SPDX-License-Identifier: Apache-2.0 */
/* The 16-bit float formats, bit by bit. Widening is exact; narrowing rounds once,
 * to nearest even, in integers: the thread's rounding mode plays no part. */
#ifndef KERNELS_HALF_H
#define KERNELS_HALF_H

#include <stdint.h>
#include <string.h>

static inline uint32_t float_bits(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof(bits));
    return bits;
}

static inline float float_of_bits(uint32_t bits)
{
    float value;
    memcpy(&value, &bits, sizeof(value));
    return value;
}

static inline float bf16_widen(uint16_t bits)
{
    return float_of_bits((uint32_t)bits << 16);
}

static inline uint16_t bf16_narrow(float value)
{
    uint32_t bits = float_bits(value);
    if ((bits & 0x7fffffffu) > 0x7f800000u)
        return (uint16_t)(bits >> 16 | 0x40); /* stays a NaN */
    return (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

static inline float f16_widen(uint16_t bits)
{
    uint32_t sign = (uint32_t)(bits & 0x8000) << 16;
    uint32_t exponent = bits >> 10 & 0x1f, mantissa = bits & 0x3ff;
    if (exponent == 31) /* infinity, NaN (made quiet, as the instructions do) */
        return float_of_bits(sign | 0x7f800000u | mantissa << 13 |
                             (mantissa ? 1u << 22 : 0));
    if (exponent == 0) { /* zero, subnormal: mantissa * 2^-24, exact */
        if (mantissa == 0)
            return float_of_bits(sign);
        uint32_t shift = (uint32_t)__builtin_clz(mantissa) - 21; /* to bit 10 */
        return float_of_bits(sign | (113 - shift) << 23 |
                             (mantissa << shift & 0x3ff) << 13);
    }
    return float_of_bits(sign | (exponent + 112) << 23 | mantissa << 13);
}

static inline uint16_t f16_narrow(float value)
{
    uint32_t bits = float_bits(value), sign = bits >> 16 & 0x8000, a = bits & 0x7fffffffu;
    if (a > 0x7f800000u) /* NaN: quiet, payload cut */
        return (uint16_t)(sign | 0x7e00 | (a >> 13 & 0x3ff));
    if (a >= 0x477ff000u) /* 65520 and above round to infinity */
        return (uint16_t)(sign | 0x7c00);
    if (a < 0x38800000u) {    /* below 2^-14: a multiple of 2^-24 */
        if (a <= 0x33000000u) /* up to 2^-25, whose tie goes to the even 0 */
            return (uint16_t)sign;
        uint32_t shift = 126 - (a >> 23), mantissa = (a & 0x7fffff) | 0x800000;
        uint32_t half = 1u << (shift - 1), kept = mantissa >> shift;
        uint32_t rest = mantissa & ((1u << shift) - 1);
        return (uint16_t)(sign | (kept + (rest > half || (rest == half && (kept & 1)))));
    }
    return (uint16_t)(sign | (a - 0x38000000u + 0xfff + (a >> 13 & 1)) >> 13);
}

#endif
