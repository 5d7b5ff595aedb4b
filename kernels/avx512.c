/* The vocabulary in AVX-512 (F, BW, DQ, VL, VBMI, VBMI2). */
#if defined(__x86_64__)

#include <immintrin.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "kernels/table.h"
#include "kernels/x86_sums.h"

typedef __m512 vf;
typedef struct {
    __m512d a, b;
} vd;
typedef struct {
    __mmask16 m[4];
} vm;
typedef __m512i vb;
typedef struct {
    __m512i sum, positives; /* of u64; the latter counts by twos */
} vt;
typedef __m512i vn;

static inline vf vf_load(const uint8_t *p, enum trit_dtype dtype)
{
    if (dtype == TRIT_F16)
        return _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)(const void *)p));
    if (dtype == TRIT_BF16) {
        __m256i half = _mm256_loadu_si256((const __m256i *)(const void *)p);
        return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(half), 16));
    }
    return _mm512_loadu_ps(p);
}

static inline void vf_store(uint8_t *p, vf v, enum trit_dtype dtype)
{
    __m256i *half = (__m256i *)(void *)p;
    if (dtype == TRIT_F16)
        _mm256_storeu_si256(half, _mm512_cvtps_ph(v, _MM_FROUND_TO_NEAREST_INT));
    else if (dtype == TRIT_BF16)
        _mm256_storeu_si256(
            half, _mm512_cvtepi32_epi16(_mm512_srli_epi32(_mm512_castps_si512(v), 16)));
    else
        _mm512_storeu_ps(p, v);
}

static inline void vf_stream(uint8_t *p, vf v)
{
    _mm512_stream_ps((float *)(void *)p, v);
}

static inline void vf_fence(void)
{
    _mm_sfence();
}

static inline vf vf_splat(float x)
{
    return _mm512_set1_ps(x);
}

static inline vf vf_top(vf acc, vf v)
{
    return _mm512_castsi512_ps(_mm512_max_epu32(_mm512_castps_si512(acc),
                                                _mm512_castps_si512(_mm512_abs_ps(v))));
}

static inline float vf_top_of(vf v)
{
    uint32_t top = _mm512_reduce_max_epu32(_mm512_castps_si512(v));
    float value;
    memcpy(&value, &top, sizeof value);
    return value;
}

static inline vm vm_beyond(const vf w[4], vf h)
{
    vm m;
    for (int k = 0; k < 4; k++)
        m.m[k] = _mm512_cmp_ps_mask(_mm512_abs_ps(w[k]), h, _CMP_GT_OQ);
    return m;
}

static inline vf vf_dense(vf w, vm m, size_t k, vf s)
{
    return _mm512_or_ps(_mm512_maskz_mov_ps(m.m[k], s),
                        _mm512_and_ps(w, _mm512_set1_ps(-0.0f)));
}

static inline bool vf_equal(const vf a[4], const vf b[4])
{
    unsigned differ = 0;
    for (int k = 0; k < 4; k++)
        differ |= _mm512_cmp_ps_mask(a[k], b[k], _CMP_NEQ_UQ);
    return !differ;
}

static inline bool vf_exact(const vf w[4], vf s)
{
    unsigned odd = 0;
    for (int k = 0; k < 4; k++) {
        __m512i a = _mm512_castps_si512(_mm512_abs_ps(w[k]));
        __mmask16 some = _mm512_test_epi32_mask(a, a);
        odd |= _mm512_mask_cmpneq_epi32_mask(some, a, _mm512_castps_si512(s));
    }
    return !odd;
}

static inline vn vn_zero(void)
{
    return _mm512_setzero_si512();
}

/* low <= a <= high of bits that order as the magnitudes do. */
static inline vn vn_add(vn count, const vf w[4], vf low, vf high)
{
    const __m512i l = _mm512_castps_si512(low), minus_one = _mm512_set1_epi32(-1);
    const __m512i range = _mm512_sub_epi32(_mm512_castps_si512(high), l);
    for (int k = 0; k < 4; k++) {
        __m512i a = _mm512_castps_si512(_mm512_abs_ps(w[k]));
        __mmask16 near = _mm512_cmple_epu32_mask(_mm512_sub_epi32(a, l), range);
        count = _mm512_mask_sub_epi32(count, near, count, minus_one);
    }
    return count;
}

static inline uint32_t vn_total(vn count)
{
    return (uint32_t)_mm512_reduce_add_epi32(count);
}

static inline vd vd_zero(void)
{
    return (vd){_mm512_setzero_pd(), _mm512_setzero_pd()};
}

static inline vd vd_widen(vf v)
{
    return (vd){_mm512_cvtps_pd(_mm512_castps512_ps256(v)),
                _mm512_cvtps_pd(_mm512_extractf32x8_ps(v, 1))};
}

static inline vd vd_add(vd x, vd y)
{
    return (vd){_mm512_add_pd(x.a, y.a), _mm512_add_pd(x.b, y.b)};
}

static inline vd vd_sub(vd x, vd y)
{
    return (vd){_mm512_sub_pd(x.a, y.a), _mm512_sub_pd(x.b, y.b)};
}

static inline vd vd_mul(vd x, vd y)
{
    return (vd){_mm512_mul_pd(x.a, y.a), _mm512_mul_pd(x.b, y.b)};
}

static inline double vd_total(vd acc)
{
    __m512d eight = _mm512_add_pd(acc.a, acc.b);
    __m256d four =
        _mm256_add_pd(_mm512_castpd512_pd256(eight), _mm512_extractf64x4_pd(eight, 1));
    __m128d two =
        _mm_add_pd(_mm256_castpd256_pd128(four), _mm256_extractf128_pd(four, 1));
    return _mm_cvtsd_f64(_mm_add_sd(two, _mm_unpackhi_pd(two, two)));
}

/* f32: even and odd elements of sixteen; 16-bit elements as in AVX2. */
typedef struct {
    __m512d even, odd;
    vs256 halves;
} vs;

static inline vs vs_zero(void)
{
    return (vs){_mm512_setzero_pd(), _mm512_setzero_pd(), vs256_zero()};
}

static inline vs vs_add(vs sum, const uint8_t *p, enum trit_dtype dtype)
{
    if (dtype == TRIT_F32) {
        const __m512i x = _mm512_loadu_si512(p), mask = _mm512_set1_epi64(f32_mask);
        const __m512i even = _mm512_and_si512(_mm512_slli_epi64(x, 29), mask);
        const __m512i odd = _mm512_and_si512(_mm512_srli_epi64(x, 3), mask);
        sum.even = _mm512_add_pd(sum.even, _mm512_castsi512_pd(even));
        sum.odd = _mm512_add_pd(sum.odd, _mm512_castsi512_pd(odd));
        return sum;
    }
    sum.halves =
        dtype == TRIT_BF16 ? vs256_add_bf16(sum.halves, p) : vs256_add_f16(sum.halves, p);
    return sum;
}

static inline double vs_total(vs sum, enum trit_dtype dtype)
{
    if (dtype != TRIT_F32)
        return vs256_total(sum.halves, dtype);
    return vs256_total(
        (vs256){_mm512_castpd512_pd256(sum.even), _mm512_extractf64x4_pd(sum.even, 1),
                _mm512_castpd512_pd256(sum.odd), _mm512_extractf64x4_pd(sum.odd, 1)},
        dtype);
}

/* Codes by packing, as in AVX2: masks cost more to join than 32-bit trits to narrow. */
static inline __m512i trits512(vf w, __mmask16 beyond)
{
    __m512i sign = _mm512_srai_epi32(_mm512_castps_si512(w), 31); /* 0, -1 */
    return _mm512_maskz_or_epi32(beyond, sign, _mm512_set1_epi32(1));
}

static inline vb vb_codes(const vf w[4], vm m)
{
    const __m512i order =
        _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
    __m512i low = _mm512_packs_epi32(trits512(w[0], m.m[0]), trits512(w[1], m.m[1]));
    __m512i high = _mm512_packs_epi32(trits512(w[2], m.m[2]), trits512(w[3], m.m[3]));
    __m512i t = _mm512_permutexvar_epi32(order, _mm512_packs_epi16(low, high));
    return _mm512_add_epi8(t, _mm512_set1_epi8(1));
}

static inline vb vb_load(const uint8_t *p)
{
    return _mm512_loadu_si512(p);
}

static inline void vb_store(uint8_t *p, vb c)
{
    _mm512_storeu_si512(p, c);
}

static inline vb vb_less_one(vb c)
{
    return _mm512_add_epi8(c, _mm512_set1_epi8(-1));
}

static inline void vb_pack2(uint8_t *p, vb c)
{
    __m512i pairs = _mm512_maddubs_epi16(c, _mm512_set1_epi16(0x0401));
    __m512i quads = _mm512_madd_epi16(pairs, _mm512_set1_epi32(0x00100001));
    _mm_storeu_si128((__m128i *)(void *)p, _mm512_cvtepi32_epi8(quads));
}

static inline vt vt_zero(void)
{
    return (vt){_mm512_setzero_si512(), _mm512_setzero_si512()};
}

static inline vt vt_add(vt tally, vb c)
{
    const __m512i zero = _mm512_setzero_si512();
    __m512i positives = _mm512_and_si512(c, _mm512_set1_epi8(2));
    tally.sum = _mm512_add_epi64(tally.sum, _mm512_sad_epu8(c, zero));
    tally.positives = _mm512_add_epi64(tally.positives, _mm512_sad_epu8(positives, zero));
    return tally;
}

/* The codes' sum is seen + positives - negatives. */
static inline void vt_counts(vt tally, size_t seen, uint64_t *negatives,
                             uint64_t *positives)
{
    *positives = (uint64_t)_mm512_reduce_add_epi64(tally.positives) / 2;
    *negatives = seen + *positives - (uint64_t)_mm512_reduce_add_epi64(tally.sum);
}

#include "kernels/body.h"

const struct kernels kernels_avx512 = {
    "avx512",
    ternarize_groups,
    verify_groups,
    unpack_groups,
};

#else
typedef int kernels_no_avx512_here;
#endif
