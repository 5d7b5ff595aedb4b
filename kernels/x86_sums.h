/* Sums of magnitudes without conversions, for the x86 files. A float's bits without the
 * sign, moved so that its exponent's lowest bit meets that of an f64, are the f64 of
 * the same magnitude scaled by a power of two: 2^-896 for f32 and bf16, 2^-1008 for
 * f16; subnormals too, since both formats let the exponent field 0 mean the least
 * exponent without the leading one. Scaling by a power of two commutes with rounding
 * (README.md says why also where f64 is subnormal), so the scaled sum is the canonical
 * one. What is lost is infinity and NaN: they become finite, but not below the sum where
 * the body looks again.
 *
 * Shift and mask run where convert and add do not: a third faster than converting. */
#ifndef KERNELS_X86_SUMS_H
#define KERNELS_X86_SUMS_H

#include <stdint.h>

#include "trit/types.h"

static const int64_t f32_mask = 0x7fffffffll << 29, bf16_mask = 0x7fffll << 45,
                     f16_mask = 0x7fffll << 42;

/* What undoes the scaling; for f16 to be applied twice: 2^1008 twice over 2^504. */
static inline double sum_unscale(enum trit_dtype dtype)
{
    return dtype == TRIT_F16 ? 0x1p504 : 0x1p896;
}

#endif
