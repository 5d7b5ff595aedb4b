/* Sums of magnitudes in AVX2, and the totals of four groups at once: each step of the
 * canonical tree joins two vectors of several groups' lanes into one. */
#ifndef KERNELS_AVX2_SUMS_H
#define KERNELS_AVX2_SUMS_H

#include <immintrin.h>
#include <stddef.h>

#include "kernels/block.h"
#include "kernels/x86_sums.h"

/* f32: v[0], v[1]: even and odd lanes of the first eight; v[2], v[3]: of the second.
 * 16-bit types: v[i]: lanes i, i + 4, i + 8, i + 12. */
typedef struct {
    __m256d v[4];
} vs;

static inline vs vs_zero(void)
{
    const __m256d z = _mm256_setzero_pd();
    return (vs){{z, z, z, z}};
}

static inline __m256d masked256(__m256i bits, int64_t mask)
{
    return _mm256_castsi256_pd(_mm256_and_si256(bits, _mm256_set1_epi64x(mask)));
}

/* Four 16-bit elements in each 64 bits. */
static inline vs vs_add_16bit(vs sum, const uint8_t *p, int first, int64_t mask)
{
    const __m256i x = _mm256_loadu_si256((const __m256i *)(const void *)p);
    sum.v[0] = _mm256_add_pd(sum.v[0], masked256(_mm256_slli_epi64(x, first), mask));
    sum.v[1] = _mm256_add_pd(sum.v[1], masked256(_mm256_slli_epi64(x, first - 16), mask));
    sum.v[2] = _mm256_add_pd(sum.v[2], masked256(_mm256_slli_epi64(x, first - 32), mask));
    sum.v[3] = _mm256_add_pd(sum.v[3], masked256(_mm256_srli_epi64(x, 48 - first), mask));
    return sum;
}

static inline vs vs_add(vs sum, const uint8_t *p, enum trit_dtype dtype)
{
    if (dtype == TRIT_BF16)
        return vs_add_16bit(sum, p, 45, bf16_mask);
    if (dtype == TRIT_F16)
        return vs_add_16bit(sum, p, 42, f16_mask);
    for (int k = 0; k < 4; k += 2) {
        const __m256i x = _mm256_loadu_si256((const __m256i *)(const void *)(p + 16 * k));
        sum.v[k] = _mm256_add_pd(sum.v[k], masked256(_mm256_slli_epi64(x, 29), f32_mask));
        sum.v[k + 1] =
            _mm256_add_pd(sum.v[k + 1], masked256(_mm256_srli_epi64(x, 3), f32_mask));
    }
    return sum;
}

static inline void vs_keep(struct partial *to, vs sum)
{
    for (size_t k = 0; k < 4; k++)
        _mm256_store_pd(to->lane + 4 * k, sum.v[k]);
}

/* x's halves added below, y's above. */
static inline __m256d join_halves(__m256d x, __m256d y)
{
    return _mm256_add_pd(_mm256_permute2f128_pd(x, y, 0x20),
                         _mm256_permute2f128_pd(x, y, 0x31));
}

/* Neighbouring lanes added, x's and y's in turn. */
static inline __m256d join_lanes(__m256d x, __m256d y)
{
    return _mm256_add_pd(_mm256_unpacklo_pd(x, y), _mm256_unpackhi_pd(x, y));
}

static inline __m256d four_lanes(const struct partial *from, size_t k)
{
    return _mm256_load_pd(from->lane + 4 * k);
}

/* Even or odd lanes of four groups of f32: +8, +4, +2. */
static inline __m256d four_halves(const struct partial from[4], size_t k)
{
    __m256d v[4];
    for (size_t g = 0; g < 4; g++)
        v[g] = _mm256_add_pd(four_lanes(&from[g], k), four_lanes(&from[g], k + 2));
    return join_lanes(join_halves(v[0], v[2]), join_halves(v[1], v[3]));
}

/* One class of lanes of four groups of a 16-bit type: +8, +4. */
static inline __m256d four_classes(const struct partial from[4], size_t k)
{
    return join_lanes(join_halves(four_lanes(&from[0], k), four_lanes(&from[2], k)),
                      join_halves(four_lanes(&from[1], k), four_lanes(&from[3], k)));
}

static inline __m256d four_totals(const struct partial from[4], enum trit_dtype dtype)
{
    if (dtype == TRIT_F32)
        return _mm256_add_pd(four_halves(from, 0), four_halves(from, 1));
    return _mm256_add_pd(_mm256_add_pd(four_classes(from, 0), four_classes(from, 2)),
                         _mm256_add_pd(four_classes(from, 1), four_classes(from, 3)));
}

static inline struct totals vs_totals(double to[BLOCK_GROUPS],
                                      const struct partial from[BLOCK_GROUPS],
                                      double limit, enum trit_dtype dtype)
{
    const __m256d unscale = _mm256_set1_pd(sum_unscale(dtype));
    const __m256d zero = _mm256_setzero_pd(), below = _mm256_set1_pd(limit);
    struct totals totals = {0, true};
    for (size_t g = 0; g < BLOCK_GROUPS; g += 4) {
        __m256d sums = _mm256_mul_pd(four_totals(from + g, dtype), unscale);
        if (dtype == TRIT_F16)
            sums = _mm256_mul_pd(sums, unscale);
        totals.below &= _mm256_movemask_pd(_mm256_cmp_pd(sums, below, _CMP_LT_OQ)) == 0xf;
        totals.zeros |=
            (uint32_t)_mm256_movemask_pd(_mm256_cmp_pd(sums, zero, _CMP_EQ_OQ)) << g;
        _mm256_storeu_pd(to + g, sums);
    }
    return totals;
}

#endif
