/* The vocabulary in AVX2 and F16C. */
#if defined(__x86_64__)

#include <immintrin.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "kernels/table.h"
#include "kernels/x86_sums.h"

typedef struct {
    __m256 a, b;
} vf;
typedef struct {
    __m256d a, b, c, d;
} vd;
typedef struct {
    __m256 m[8];
} vm;
typedef struct {
    __m256i a, b;
} vb;
typedef struct {
    __m256i sum, positives; /* of u64; the latter counts by twos */
} vt;
typedef __m256i vn;

static inline __m256i load256(const void *p)
{
    return _mm256_loadu_si256((const __m256i *)p);
}

static inline void store256(void *p, __m256i v)
{
    _mm256_storeu_si256((__m256i *)p, v);
}

static inline __m256 magnitude(__m256 v)
{
    return _mm256_andnot_ps(_mm256_set1_ps(-0.0f), v);
}

static inline __m256 bf16_to_ps(const uint8_t *p)
{
    __m128i half = _mm_loadu_si128((const __m128i *)(const void *)p);
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(half), 16));
}

static inline __m256 f16_to_ps(const uint8_t *p)
{
    return _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)(const void *)p));
}

static inline vf vf_load(const uint8_t *p, enum trit_dtype dtype)
{
    if (dtype == TRIT_F16)
        return (vf){f16_to_ps(p), f16_to_ps(p + 16)};
    if (dtype == TRIT_BF16)
        return (vf){bf16_to_ps(p), bf16_to_ps(p + 16)};
    return (vf){_mm256_castsi256_ps(load256(p)), _mm256_castsi256_ps(load256(p + 32))};
}

static inline void vf_store(uint8_t *p, vf v, enum trit_dtype dtype)
{
    __m256i a = _mm256_castps_si256(v.a), b = _mm256_castps_si256(v.b);
    if (dtype == TRIT_F16) {
        __m128i low = _mm256_cvtps_ph(v.a, _MM_FROUND_TO_NEAREST_INT);
        __m128i high = _mm256_cvtps_ph(v.b, _MM_FROUND_TO_NEAREST_INT);
        store256(p, _mm256_set_m128i(high, low));
    } else if (dtype == TRIT_BF16) {
        __m256i top =
            _mm256_packus_epi32(_mm256_srli_epi32(a, 16), _mm256_srli_epi32(b, 16));
        store256(p, _mm256_permute4x64_epi64(top, 0xd8));
    } else {
        store256(p, a);
        store256(p + 32, b);
    }
}

static inline void vf_stream(uint8_t *p, vf v)
{
    _mm256_stream_si256((__m256i *)(void *)p, _mm256_castps_si256(v.a));
    _mm256_stream_si256((__m256i *)(void *)(p + 32), _mm256_castps_si256(v.b));
}

static inline void vf_fence(void)
{
    _mm_sfence();
}

static inline vf vf_splat(float x)
{
    return (vf){_mm256_set1_ps(x), _mm256_set1_ps(x)};
}

static inline __m256 top256(__m256 acc, __m256 v)
{
    return _mm256_castsi256_ps(
        _mm256_max_epu32(_mm256_castps_si256(acc), _mm256_castps_si256(magnitude(v))));
}

static inline vf vf_top(vf acc, vf v)
{
    return (vf){top256(acc.a, v.a), top256(acc.b, v.b)};
}

static inline float vf_top_of(vf v)
{
    __m256i all = _mm256_castps_si256(top256(v.a, v.b));
    __m128i x =
        _mm_max_epu32(_mm256_castsi256_si128(all), _mm256_extracti128_si256(all, 1));
    x = _mm_max_epu32(x, _mm_shuffle_epi32(x, 0x4e));
    x = _mm_max_epu32(x, _mm_shuffle_epi32(x, 0xb1));
    return _mm_cvtss_f32(_mm_castsi128_ps(x));
}

static inline vm vm_beyond(const vf w[4], vf h)
{
    vm m;
    for (int k = 0; k < 4; k++) {
        m.m[2 * k] = _mm256_cmp_ps(magnitude(w[k].a), h.a, _CMP_GT_OQ);
        m.m[2 * k + 1] = _mm256_cmp_ps(magnitude(w[k].b), h.b, _CMP_GT_OQ);
    }
    return m;
}

static inline __m256 dense256(__m256 w, __m256 beyond, __m256 s)
{
    return _mm256_or_ps(_mm256_and_ps(beyond, s),
                        _mm256_and_ps(w, _mm256_set1_ps(-0.0f)));
}

static inline vf vf_dense(vf w, vm m, size_t k, vf s)
{
    return (vf){dense256(w.a, m.m[2 * k], s.a), dense256(w.b, m.m[2 * k + 1], s.b)};
}

static inline bool vf_equal(const vf a[4], const vf b[4])
{
    __m256 all = _mm256_cmp_ps(a[0].a, b[0].a, _CMP_EQ_OQ);
    for (int k = 0; k < 4; k++) {
        all = _mm256_and_ps(all, _mm256_cmp_ps(a[k].a, b[k].a, _CMP_EQ_OQ));
        all = _mm256_and_ps(all, _mm256_cmp_ps(a[k].b, b[k].b, _CMP_EQ_OQ));
    }
    return _mm256_movemask_ps(all) == 0xff;
}

static inline __m256i exact256(__m256 w, __m256 s)
{
    __m256i a = _mm256_castps_si256(magnitude(w));
    return _mm256_or_si256(_mm256_cmpeq_epi32(a, _mm256_castps_si256(s)),
                           _mm256_cmpeq_epi32(a, _mm256_setzero_si256()));
}

static inline bool vf_exact(const vf w[4], vf s)
{
    __m256i all = _mm256_set1_epi32(-1);
    for (int k = 0; k < 4; k++)
        all = _mm256_and_si256(
            all, _mm256_and_si256(exact256(w[k].a, s.a), exact256(w[k].b, s.b)));
    return _mm256_movemask_epi8(all) == -1;
}

static inline vn vn_zero(void)
{
    return _mm256_setzero_si256();
}

/* low <= a <= high of bits that order as the magnitudes do: a - low, moved to where the
 * signed order begins, is at most high - low. */
static inline vn near256(vn count, __m256 w, __m256i shift, __m256i end)
{
    __m256i a = _mm256_castps_si256(magnitude(w));
    return _mm256_sub_epi32(count, _mm256_cmpgt_epi32(end, _mm256_add_epi32(a, shift)));
}

static inline vn vn_add(vn count, const vf w[4], vf low, vf high)
{
    const __m256i first = _mm256_set1_epi32(INT32_MIN), l = _mm256_castps_si256(low.a);
    const __m256i shift = _mm256_sub_epi32(first, l);
    const __m256i end = _mm256_add_epi32(_mm256_castps_si256(high.a),
                                         _mm256_add_epi32(shift, _mm256_set1_epi32(1)));
    for (int k = 0; k < 4; k++) {
        count = near256(count, w[k].a, shift, end);
        count = near256(count, w[k].b, shift, end);
    }
    return count;
}

static inline uint32_t vn_total(vn count)
{
    __m128i x =
        _mm_add_epi32(_mm256_castsi256_si128(count), _mm256_extracti128_si256(count, 1));
    x = _mm_add_epi32(x, _mm_shuffle_epi32(x, 0x4e));
    x = _mm_add_epi32(x, _mm_shuffle_epi32(x, 0xb1));
    return (uint32_t)_mm_cvtsi128_si32(x);
}

static inline vd vd_zero(void)
{
    __m256d z = _mm256_setzero_pd();
    return (vd){z, z, z, z};
}

static inline vd vd_widen(vf v)
{
    return (vd){_mm256_cvtps_pd(_mm256_castps256_ps128(v.a)),
                _mm256_cvtps_pd(_mm256_extractf128_ps(v.a, 1)),
                _mm256_cvtps_pd(_mm256_castps256_ps128(v.b)),
                _mm256_cvtps_pd(_mm256_extractf128_ps(v.b, 1))};
}

static inline vd vd_add(vd x, vd y)
{
    return (vd){_mm256_add_pd(x.a, y.a), _mm256_add_pd(x.b, y.b), _mm256_add_pd(x.c, y.c),
                _mm256_add_pd(x.d, y.d)};
}

static inline vd vd_sub(vd x, vd y)
{
    return (vd){_mm256_sub_pd(x.a, y.a), _mm256_sub_pd(x.b, y.b), _mm256_sub_pd(x.c, y.c),
                _mm256_sub_pd(x.d, y.d)};
}

static inline vd vd_mul(vd x, vd y)
{
    return (vd){_mm256_mul_pd(x.a, y.a), _mm256_mul_pd(x.b, y.b), _mm256_mul_pd(x.c, y.c),
                _mm256_mul_pd(x.d, y.d)};
}

static inline double vd_total(vd acc)
{
    __m256d four =
        _mm256_add_pd(_mm256_add_pd(acc.a, acc.c), _mm256_add_pd(acc.b, acc.d));
    __m128d two =
        _mm_add_pd(_mm256_castpd256_pd128(four), _mm256_extractf128_pd(four, 1));
    return _mm_cvtsd_f64(_mm_add_sd(two, _mm_unpackhi_pd(two, two)));
}

typedef vs256 vs;

static inline vs vs_zero(void)
{
    return vs256_zero();
}

static inline vs vs_add(vs sum, const uint8_t *p, enum trit_dtype dtype)
{
    return dtype == TRIT_F32    ? vs256_add_f32(sum, p)
           : dtype == TRIT_BF16 ? vs256_add_bf16(sum, p)
                                : vs256_add_f16(sum, p);
}

static inline double vs_total(vs sum, enum trit_dtype dtype)
{
    return vs256_total(sum, dtype);
}

/* -t of eight lanes: beyond is -1, and psignd negates where w < 0. */
static inline __m256i minus_trits(__m256 w, __m256 beyond)
{
    return _mm256_sign_epi32(_mm256_castps_si256(beyond), _mm256_castps_si256(w));
}

/* Undoes what two packs do to the order of 32-bit pieces. */
static inline __m256i unscramble(__m256i v)
{
    return _mm256_permutevar8x32_epi32(v, _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7));
}

static inline __m256i codes256(const vf w[2], const __m256 m[4])
{
    __m256i low =
        _mm256_packs_epi32(minus_trits(w[0].a, m[0]), minus_trits(w[0].b, m[1]));
    __m256i high =
        _mm256_packs_epi32(minus_trits(w[1].a, m[2]), minus_trits(w[1].b, m[3]));
    return _mm256_sub_epi8(_mm256_set1_epi8(1),
                           unscramble(_mm256_packs_epi16(low, high)));
}

static inline vb vb_codes(const vf w[4], vm m)
{
    return (vb){codes256(w, m.m), codes256(w + 2, m.m + 4)};
}

static inline vb vb_load(const uint8_t *p)
{
    return (vb){load256(p), load256(p + 32)};
}

static inline void vb_store(uint8_t *p, vb c)
{
    store256(p, c.a);
    store256(p + 32, c.b);
}

static inline vb vb_less_one(vb c)
{
    const __m256i minus_one = _mm256_set1_epi8(-1);
    return (vb){_mm256_add_epi8(c.a, minus_one), _mm256_add_epi8(c.b, minus_one)};
}

/* c0 + 4 c1 + 16 c2 + 64 c3 in each 32-bit lane. */
static inline __m256i quads256(__m256i c)
{
    __m256i pairs = _mm256_maddubs_epi16(c, _mm256_set1_epi16(0x0401));
    return _mm256_madd_epi16(pairs, _mm256_set1_epi32(0x00100001));
}

static inline void vb_pack2(uint8_t *p, vb c)
{
    __m256i words = _mm256_packus_epi32(quads256(c.a), quads256(c.b));
    __m256i bytes = unscramble(_mm256_packus_epi16(words, words));
    _mm_storeu_si128((__m128i *)(void *)p, _mm256_castsi256_si128(bytes));
}

static inline vt vt_zero(void)
{
    return (vt){_mm256_setzero_si256(), _mm256_setzero_si256()};
}

static inline vt vt_add(vt tally, vb c)
{
    const __m256i zero = _mm256_setzero_si256(), two = _mm256_set1_epi8(2);
    __m256i sum = _mm256_add_epi8(c.a, c.b); /* at most 4 in a byte */
    __m256i positives =
        _mm256_add_epi8(_mm256_and_si256(c.a, two), _mm256_and_si256(c.b, two));
    tally.sum = _mm256_add_epi64(tally.sum, _mm256_sad_epu8(sum, zero));
    tally.positives = _mm256_add_epi64(tally.positives, _mm256_sad_epu8(positives, zero));
    return tally;
}

static inline uint64_t total256(__m256i v)
{
    __m128i x = _mm_add_epi64(_mm256_castsi256_si128(v), _mm256_extracti128_si256(v, 1));
    x = _mm_add_epi64(x, _mm_unpackhi_epi64(x, x));
    return (uint64_t)_mm_cvtsi128_si64(x);
}

/* The codes' sum is seen + positives - negatives. */
static inline void vt_counts(vt tally, size_t seen, uint64_t *negatives,
                             uint64_t *positives)
{
    *positives = total256(tally.positives) / 2;
    *negatives = seen + *positives - total256(tally.sum);
}

#include "kernels/body.h"

const struct kernels kernels_avx2 = {
    "avx2",
    ternarize_groups,
    verify_groups,
    unpack_groups,
};

#else
typedef int kernels_no_avx2_here;
#endif
