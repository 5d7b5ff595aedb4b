/* SPDX-License-Identifier: Apache-2.0 */
/* A template (typed.h): sums of magnitudes without conversions.
 *
 * The key of an element, moved so that its exponent's lowest bit meets that of an f64, is
 * the f64 of the same magnitude divided by SUM_SCALE, a power of two. This holds for
 * subnormals too, because both formats let the exponent field 0 mean the least exponent
 * without the leading one. Scaling by a power of two commutes with rounding (NUMERICS.md
 * says why also where the f64 is subnormal), so the scaled sum is the canonical one. Only
 * infinity and NaN are lost: they become finite, but at least SUM_FINITE, and the body
 * checks the elements of such a sum.
 *
 * Shift and mask use other execution ports than convert and add: this is a third faster
 * than converting. */

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "even elements are low halves");

/* Adds the magnitudes of 16 elements that fill whole vectors. A word of 64 bits has n
 * elements, n = 2 or 4: v[n*i + k] sums elements k, k + n, ... of the i-th vector. */
static inline abs_sum abs_sum_add_vectors(abs_sum sum, const uint8_t *p)
{
    const u64v mask = (u64v){0} + (ELEMENT_KEY << SUM_SHIFT);
    for (size_t i = 0; (i + 1) * VECTOR_BYTES <= LANES * ELEMENT_BYTES; i++) {
        u64v x = *(const u64v_unaligned *)(const void *)(p + i * VECTOR_BYTES);
#if ELEMENT_BYTES == 4
        OPTIMIZER_BARRIER(x); /* else gcc loads it for each use */
        sum.v[2 * i] += (f64v)(x << SUM_SHIFT & mask);
        sum.v[2 * i + 1] += (f64v)(x >> (32 - SUM_SHIFT) & mask);
#else
        sum.v[4 * i] += (f64v)(x << SUM_SHIFT & mask);
        sum.v[4 * i + 1] += (f64v)(x << (SUM_SHIFT - 16) & mask);
        sum.v[4 * i + 2] += (f64v)(x << (SUM_SHIFT - 32) & mask);
        sum.v[4 * i + 3] += (f64v)(x >> (48 - SUM_SHIFT) & mask);
#endif
    }
    return sum;
}
