/* SPDX-License-Identifier: Apache-2.0 */
/* Part of body.h: scales and codes that dense elements cannot hold. */

/* A stored scale as an element type holds it. */
INLINE float scale_rounded_f32(float stored)
{
    return stored;
}

INLINE float scale_rounded_f16(float stored)
{
    return f16_widen(f16_narrow(stored));
}

INLINE float scale_rounded_bf16(float stored)
{
    return bf16_widen(bf16_narrow(stored));
}

/* The rule of scale_lost (kernels/half.c), of a scale and what the type holds. */
INLINE bool scale_lost_as(float stored, float held)
{
    return stored != 0.0f && isfinite(stored) && (held == 0.0f || !isfinite(held));
}

/* The first of n codes that is not -1, 0 or +1; if the scale is lost, the first that is
 * not 0. */
static size_t first_refused(const int8_t *t, size_t n, bool lost)
{
    size_t k = 0;
    while (k < n && (lost ? t[k] == 0 : t[k] >= -1 && t[k] <= 1))
        k++;
    return k;
}
