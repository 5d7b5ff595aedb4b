/* SPDX-License-Identifier: Apache-2.0 */
/* The vocabulary of products in AVX2 with FMA: each vector is two halves. */
#if defined(__x86_64__)

#include <immintrin.h>
#include <stddef.h>
#include <stdint.h>

typedef struct {
    __m256 a, b;
} f32x16;
typedef struct {
    __m256i a, b;
} i32x16;

enum {
    F32_TILES = 2,
    F32_MANY_TILES = 1,
    F32_MANY = 4,
    INT8_TILES = 2,
    INT8_MANY_TILES = 2,
    INT8_MANY = 2,
};

static inline f32x16 f32x16_load(const float *p)
{
    return (f32x16){_mm256_loadu_ps(p), _mm256_loadu_ps(p + 8)};
}

static inline void f32x16_store(float *p, f32x16 v)
{
    _mm256_storeu_ps(p, v.a);
    _mm256_storeu_ps(p + 8, v.b);
}

static inline f32x16 f32x16_splat(float x)
{
    return (f32x16){_mm256_set1_ps(x), _mm256_set1_ps(x)};
}

static inline f32x16 f32x16_zero(void)
{
    return (f32x16){_mm256_setzero_ps(), _mm256_setzero_ps()};
}

static inline f32x16 f32x16_add(f32x16 x, f32x16 y)
{
    return (f32x16){_mm256_add_ps(x.a, y.a), _mm256_add_ps(x.b, y.b)};
}

static inline f32x16 f32x16_mul(f32x16 x, f32x16 y)
{
    return (f32x16){_mm256_mul_ps(x.a, y.a), _mm256_mul_ps(x.b, y.b)};
}

static inline f32x16 f32x16_fma(f32x16 x, f32x16 y, f32x16 z)
{
    return (f32x16){_mm256_fmadd_ps(x.a, y.a, z.a), _mm256_fmadd_ps(x.b, y.b, z.b)};
}

static inline f32x16 f32x16_of_i32(i32x16 words)
{
    return (f32x16){_mm256_cvtepi32_ps(words.a), _mm256_cvtepi32_ps(words.b)};
}

/* Fours of rows within each 128 bits, then the 128 bits themselves. */
static inline __attribute__((always_inline)) void turn8(__m256 v[8])
{
    __m256 fours[8];
    for (int b = 0; b < 8; b += 4) {
        const __m256d low0 = _mm256_castps_pd(_mm256_unpacklo_ps(v[b], v[b + 1]));
        const __m256d high0 = _mm256_castps_pd(_mm256_unpackhi_ps(v[b], v[b + 1]));
        const __m256d low1 = _mm256_castps_pd(_mm256_unpacklo_ps(v[b + 2], v[b + 3]));
        const __m256d high1 = _mm256_castps_pd(_mm256_unpackhi_ps(v[b + 2], v[b + 3]));
        fours[b] = _mm256_castpd_ps(_mm256_unpacklo_pd(low0, low1));
        fours[b + 1] = _mm256_castpd_ps(_mm256_unpackhi_pd(low0, low1));
        fours[b + 2] = _mm256_castpd_ps(_mm256_unpacklo_pd(high0, high1));
        fours[b + 3] = _mm256_castpd_ps(_mm256_unpackhi_pd(high0, high1));
    }
    for (int j = 0; j < 4; j++) {
        v[j] = _mm256_permute2f128_ps(fours[j], fours[4 + j], 0x20);
        v[4 + j] = _mm256_permute2f128_ps(fours[j], fours[4 + j], 0x31);
    }
}

/* Quarter by quarter; the two off the diagonal change places. */
static inline __attribute__((always_inline)) void f32x16_transpose(f32x16 v[16])
{
    for (int half = 0; half < 2; half++) {
        __m256 a[8], b[8];
        for (int i = 0; i < 8; i++) {
            a[i] = v[8 * half + i].a;
            b[i] = v[8 * half + i].b;
        }
        turn8(a);
        turn8(b);
        for (int i = 0; i < 8; i++) {
            v[8 * half + i].a = a[i];
            v[8 * half + i].b = b[i];
        }
    }
    for (int i = 0; i < 8; i++) {
        const __m256 upper = v[i].b;
        v[i].b = v[8 + i].a;
        v[8 + i].a = upper;
    }
}

/* Of eight rows: from the lower half by three bits, from the upper, by the fourth. */
static inline __m256 pick8(f32x16 table, __m256i words)
{
    const __m256 low = _mm256_permutevar8x32_ps(table.a, words);
    const __m256 high = _mm256_permutevar8x32_ps(table.b, words);
    return _mm256_blendv_ps(low, high, _mm256_castsi256_ps(_mm256_slli_epi32(words, 28)));
}

static inline f32x16 f32x16_lookup(f32x16 table, i32x16 words)
{
    return (f32x16){pick8(table, words.a), pick8(table, words.b)};
}

static inline i32x16 i32x16_load(const uint8_t *p)
{
    const __m256i *at = (const __m256i *)(const void *)p;
    return (i32x16){_mm256_load_si256(at), _mm256_load_si256(at + 1)};
}

static inline i32x16 i32x16_splat(int32_t word)
{
    return (i32x16){_mm256_set1_epi32(word), _mm256_set1_epi32(word)};
}

static inline i32x16 i32x16_shr(i32x16 v, int n)
{
    return (i32x16){_mm256_srli_epi32(v.a, n), _mm256_srli_epi32(v.b, n)};
}

static inline i32x16 i32x16_unpack_row(uint32_t word)
{
    const __m256i places = _mm256_setr_epi32(0, 8, 16, 24, 2, 10, 18, 26);
    const __m256i all = _mm256_set1_epi32((int)word);
    return (i32x16){_mm256_srlv_epi32(all, places),
                    _mm256_srlv_epi32(_mm256_srli_epi32(all, 4), places)};
}

enum {
    /* Of the sums of 16 bits: a unit adds at most 4 * 2 * 2 * 127 in magnitude; where
     * codes are 4 fold, two products of twice 4 * 2 * 127. */
    UNITS_MAX = 32767 / (4 * 2 * 2 * 127),
    ROW_UNITS_MAX = 32767 / (2 * 2 * 4 * 2 * 127),
};

static inline __m256i four_of(const int8_t *q)
{
    return _mm256_set1_epi32(_mm_cvtsi128_si32(_mm_loadu_si32(q)));
}

static inline __attribute__((always_inline)) void
add_dots(i32x16 *dots, const uint8_t *codes, uint64_t tile_bytes, const int8_t *q,
         uint64_t q_stride, uint64_t units, const size_t tiles, const size_t many)
{
    const __m256i mask = _mm256_set1_epi8(3), ones = _mm256_set1_epi16(1);
    i32x16 sums[8];
    for (size_t i = 0; i < tiles * many; i++)
        sums[i] = i32x16_splat(0);
    for (uint64_t u = 0; u < units; u++, codes += 64, q += 16) {
        for (size_t t = 0; t < tiles; t++)
            _mm_prefetch((const char *)codes + t * tile_bytes + 1024, _MM_HINT_T0);
        for (size_t t = 0; t < tiles; t++) {
            const i32x16 words = i32x16_load(codes + t * tile_bytes);
            for (int k = 0; k < 4; k++) {
                const i32x16 places = i32x16_shr(words, 2 * k);
                const __m256i a = _mm256_and_si256(places.a, mask);
                const __m256i b = _mm256_and_si256(places.b, mask);
                for (size_t n = 0; n < many; n++) {
                    const __m256i x = four_of(q + n * q_stride + 4 * k);
                    i32x16 *sum = &sums[t * many + n];
                    sum->a = _mm256_add_epi16(sum->a, _mm256_maddubs_epi16(a, x));
                    sum->b = _mm256_add_epi16(sum->b, _mm256_maddubs_epi16(b, x));
                }
            }
        }
    }
    for (size_t i = 0; i < tiles * many; i++) {
        dots[i].a = _mm256_add_epi32(dots[i].a, _mm256_madd_epi16(sums[i].a, ones));
        dots[i].b = _mm256_add_epi32(dots[i].b, _mm256_madd_epi16(sums[i].b, ones));
    }
}

/* One half of a unit and one row of x: every other code is taken where it stands, 4 fold,
 * into a sum of its own, which saves half of the shifts. */
struct row_sums {
    __m256i codes, fours;
};

static inline __attribute__((always_inline)) struct row_sums
row_dots(struct row_sums sums, __m256i words, const __m256i x[4])
{
    const __m256i once = _mm256_set1_epi8(3), four_fold = _mm256_set1_epi8(12);
    for (int k = 0; k < 4; k += 2) {
        sums.codes = _mm256_add_epi16(
            sums.codes, _mm256_maddubs_epi16(_mm256_and_si256(words, once), x[k]));
        sums.fours = _mm256_add_epi16(
            sums.fours,
            _mm256_maddubs_epi16(_mm256_and_si256(words, four_fold), x[k + 1]));
        words = _mm256_srli_epi16(words, 4);
    }
    return sums;
}

/* Together, in 32 bits; what is 4 fold is a multiple of 4. */
static inline __m256i row_total(struct row_sums sums)
{
    const __m256i ones = _mm256_set1_epi16(1);
    return _mm256_add_epi32(_mm256_madd_epi16(sums.codes, ones),
                            _mm256_srai_epi32(_mm256_madd_epi16(sums.fours, ones), 2));
}

static inline __attribute__((always_inline)) void
add_row_dots(i32x16 *dots, const uint8_t *codes, uint64_t tile_bytes, const int8_t *q,
             uint64_t units, const size_t tiles)
{
    const __m256i zero = _mm256_setzero_si256();
    struct row_sums a[INT8_TILES], b[INT8_TILES];
    for (size_t t = 0; t < tiles; t++)
        a[t] = b[t] = (struct row_sums){zero, zero};
    for (uint64_t u = 0; u < units; u++, codes += 64, q += 16) {
        const __m256i x[4] = {four_of(q), four_of(q + 4), four_of(q + 8),
                              four_of(q + 12)};
        for (size_t t = 0; t < tiles; t++) {
            _mm_prefetch((const char *)codes + t * tile_bytes + 1024, _MM_HINT_T0);
            const i32x16 words = i32x16_load(codes + t * tile_bytes);
            a[t] = row_dots(a[t], words.a, x);
            b[t] = row_dots(b[t], words.b, x);
        }
    }
    for (size_t t = 0; t < tiles; t++) {
        dots[t].a = _mm256_add_epi32(dots[t].a, row_total(a[t]));
        dots[t].b = _mm256_add_epi32(dots[t].b, row_total(b[t]));
    }
}

static inline __attribute__((always_inline)) void
i32x16_dot_i8(i32x16 *dots, const uint8_t *codes, uint64_t tile_bytes, const int8_t *q,
              uint64_t q_stride, uint64_t units, const size_t tiles, const size_t many)
{
    const uint64_t most = many == 1 ? ROW_UNITS_MAX : UNITS_MAX;
    while (units > 0) {
        const uint64_t some = units < most ? units : most;
        if (many == 1)
            add_row_dots(dots, codes, tile_bytes, q, some, tiles);
        else
            add_dots(dots, codes, tile_bytes, q, q_stride, some, tiles, many);
        codes += some * 64;
        q += some * 16;
        units -= some;
    }
}

#include "kernels/linear/body.h"

const struct linear_table linear_avx2 = LINEAR_TABLE;

#else
typedef int linear_no_avx2_here;
#endif
