/* SPDX-License-Identifier: Apache-2.0 */
/* The vocabulary of the products in AVX2 with FMA. */
#if defined(__x86_64__)

#include <immintrin.h>
#include <stddef.h>
#include <stdint.h>

#include "kernels/simd/avx2_lookup.h"
#include "kernels/simd/vector_transpose.h"

enum {
    /* How many units a sum of 16 bits can hold: a unit adds at most 4 * 2 * 2 * 127 in
     * magnitude. If the codes are multiplied by 4, it adds two products of twice 4 * 2 *
     * 127. */
    UNITS_MAX = 32767 / (4 * 2 * 2 * 127),
    ROW_UNITS_MAX = 32767 / (2 * 2 * 4 * 2 * 127),
};

/* Four columns of q in every lane. */
static inline __m256i four_of(const int8_t *q)
{
    return _mm256_set1_epi32(_mm_cvtsi128_si32(_mm_loadu_si32(q)));
}

/* Sums of 16 bits, with the products of the codes under the mask. */
static inline __m256i add_products(__m256i sums, __m256i words, int mask, __m256i x)
{
    const __m256i codes = _mm256_and_si256(words, _mm256_set1_epi8((char)mask));
    return _mm256_add_epi16(sums, _mm256_maddubs_epi16(codes, x));
}

/* Keeps gcc from adding only after an unrolled loop, with all products in memory until
 * then. */
#define IN_ORDER(a, b) __asm__("" : "+x"(a), "+x"(b))

/* Adds pairs of 16-bit sums into 32-bit sums. */
static inline i32v total(__m256i sums)
{
    return (i32v)_mm256_madd_epi16(sums, _mm256_set1_epi16(1));
}

static inline __attribute__((always_inline)) void
add_dots(i32x16 *dots, const uint8_t *codes, const int8_t *q, uint64_t q_stride,
         uint64_t units, const size_t many)
{
    __m256i sums[INT8_MANY][2];
    for (size_t n = 0; n < many; n++)
        sums[n][0] = sums[n][1] = _mm256_setzero_si256();
    for (uint64_t u = 0; u < units; u++, codes += 64, q += 16) {
        const i32x16 words = i32x16_load(codes);
        for (int k = 0; k < 4; k++) {
            const i32x16 places = i32x16_shr(words, 2 * k);
            for (size_t n = 0; n < many; n++) {
                const __m256i x = four_of(q + n * q_stride + 4 * k);
                for (size_t half = 0; half < 2; half++)
                    sums[n][half] =
                        add_products(sums[n][half], (__m256i)places.v[half], 3, x);
                IN_ORDER(sums[n][0], sums[n][1]);
            }
        }
    }
    for (size_t n = 0; n < many; n++)
        for (size_t half = 0; half < 2; half++)
            dots[n].v[half] += total(sums[n][half]);
}

/* One row of x, at most ROW_UNITS_MAX units of a tile. Every other code is multiplied in
 * place, as 4 times the code, into sums of its own, which are shifted at the end. This
 * saves half of the shifts. */
static inline __attribute__((always_inline)) void
add_row_dots(i32x16 *dots, const uint8_t *codes, const int8_t *q, const uint64_t units)
{
    __m256i sums[2], fours[2];
    sums[0] = sums[1] = fours[0] = fours[1] = _mm256_setzero_si256();
#pragma GCC unroll 8
    for (uint64_t u = 0; u < units; u++, codes += 64, q += 16) {
        const __m256i x[4] = {four_of(q), four_of(q + 4), four_of(q + 8),
                              four_of(q + 12)};
        for (size_t half = 0; half < 2; half++) {
            const __m256i *at = (const __m256i *)(const void *)codes + half;
            const __m256i low = _mm256_load_si256(at);
            const __m256i high = _mm256_srli_epi16(low, 4);
            sums[half] = add_products(sums[half], low, 3, x[0]);
            fours[half] = add_products(fours[half], low, 12, x[1]);
            sums[half] = add_products(sums[half], high, 3, x[2]);
            fours[half] = add_products(fours[half], high, 12, x[3]);
            IN_ORDER(sums[half], fours[half]);
        }
    }
    for (size_t half = 0; half < 2; half++)
        dots->v[half] +=
            total(_mm256_add_epi16(sums[half], _mm256_srai_epi16(fours[half], 2)));
}

static inline __attribute__((always_inline)) void
i32x16_dot_i8(i32x16 *dots, const uint8_t *codes, uint64_t tile_bytes, const int8_t *q,
              uint64_t q_stride, uint64_t units, const size_t tiles, const size_t many)
{
    const uint64_t most = many == 1 ? ROW_UNITS_MAX : UNITS_MAX;
    (void)tile_bytes, (void)tiles; /* one */
    for (; units > 0; codes += most * 64, q += most * 16) {
        const uint64_t some = units < most ? units : most;
        if (many > 1)
            add_dots(dots, codes, q, q_stride, some, many);
        else if (some == most)
            add_row_dots(dots, codes, q, most);
        else
            add_row_dots(dots, codes, q, some);
        units -= some;
    }
}

#include "kernels/linear/body.h"

const struct linear_table linear_avx2 = LINEAR_TABLE;

#else
typedef int linear_no_avx2_here;
#endif
