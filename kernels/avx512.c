/* The vocabulary in AVX-512 (F, BW, DQ, VL, VBMI, VBMI2). */
#if defined(__x86_64__)

#include <immintrin.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "kernels/table.h"

typedef __m512 vf;
typedef struct {
    __m512d a, b;
} vd;
typedef struct {
    __mmask16 m[4];
} vm;
typedef __m512i vb;
typedef struct {
    uint64_t nonzeros, negatives;
} vt;
typedef uint64_t vn;

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

static inline vf vf_abs(vf v)
{
    return _mm512_abs_ps(v);
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
    return 0;
}

static inline uint64_t join64(const __mmask16 m[4])
{
    return (uint64_t)_mm512_kunpackd(_mm512_kunpackw(m[3], m[2]),
                                     _mm512_kunpackw(m[1], m[0]));
}

static inline vn vn_add(vn count, const vf w[4], vf low, vf high)
{
    const __m512i l = _mm512_castps_si512(low);
    const __m512i range = _mm512_sub_epi32(_mm512_castps_si512(high), l);
    __mmask16 near[4];
    for (int k = 0; k < 4; k++) { /* bits order as the magnitudes do */
        __m512i a = _mm512_castps_si512(_mm512_abs_ps(w[k]));
        near[k] = _mm512_cmple_epu32_mask(_mm512_sub_epi32(a, l), range);
    }
    return count + (uint64_t)__builtin_popcountll(join64(near));
}

static inline uint32_t vn_total(vn count)
{
    return (uint32_t)count;
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

static inline uint64_t signs64(const vf w[4])
{
    __mmask16 minus[4];
    for (int k = 0; k < 4; k++)
        minus[k] = _mm512_movepi32_mask(_mm512_castps_si512(w[k]));
    return join64(minus);
}

static inline vb vb_codes(const vf w[4], vm m)
{
    const uint64_t beyond = join64(m.m), below = beyond & signs64(w);
    __m512i c = _mm512_mask_blend_epi8(beyond, _mm512_set1_epi8(1), _mm512_set1_epi8(2));
    return _mm512_maskz_mov_epi8(~below, c);
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
    return (vt){0, 0};
}

static inline vt vt_add_masks(vt tally, uint64_t beyond, uint64_t below)
{
    tally.nonzeros += (uint64_t)__builtin_popcountll(beyond);
    tally.negatives += (uint64_t)__builtin_popcountll(below);
    return tally;
}

static inline vt vt_add(vt tally, vb c)
{
    return vt_add_masks(tally, _mm512_cmpneq_epu8_mask(c, _mm512_set1_epi8(1)),
                        _mm512_testn_epi8_mask(c, c));
}

static inline vt vt_add_unit(vt tally, const vf w[4], vm m, vb c)
{
    (void)c;
    return vt_add_masks(tally, join64(m.m), join64(m.m) & signs64(w));
}

static inline void vt_counts(vt tally, size_t seen, uint64_t *negatives,
                             uint64_t *positives)
{
    (void)seen;
    *negatives = tally.negatives;
    *positives = tally.nonzeros - tally.negatives;
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
