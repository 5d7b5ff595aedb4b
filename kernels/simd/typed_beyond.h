/* SPDX-License-Identifier: Apache-2.0 */
/* A template (typed.h): magnitudes of 16 bits as f32 whose sums do not round. NUMERICS.md,
 * "What is beyond the threshold", says for which. */

#if ELEMENT_BYTES == 2

/* The even and the odd ones of a vector of keys as f32, divided by BEYOND_SCALE. A key of
 * f16 has to be shifted left by 13, one of bf16 by 16. */
static inline void exact_parts(f32v to[2], keyv keys)
{
    const u32v even = (u32v)keys << 16, odd = (u32v)keys & 0xffff0000u;
    const int right = ELEMENT_INFINITY == ELEMENT_INFINITY_f16 ? 3 : 0;
    to[0] = (f32v)(even >> right);
    to[1] = (f32v)(odd >> right);
}

#endif
