/* The vocabulary in AVX2 and F16C. */
#if defined(__x86_64__)

#include <immintrin.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "kernels/avx2_sums.h"
#include "kernels/half.h"
#include "kernels/table.h"

enum { VECTOR_BYTES = 32 };

typedef struct {
    __m256 a, b;
} vf;
typedef struct {
    __m256d a, b, c, d;
} vd;
typedef struct {
    __m256i r[8]; /* 16-bit types: the first four */
} vu;
typedef struct {
    __m256i half, s;
    __m256i shift, end; /* low <= key <= high where key + shift < end, with sign */
} vk;
typedef struct {
    __m256i m[8]; /* all ones or none, as wide as the elements */
} vm;
typedef __m256i vx;
typedef struct {
    __m256i a, b; /* bytes */
} vc;
typedef struct {
    uint64_t negatives, positives;
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

/* ---- units ------------------------------------------------------------------------- */

static inline int vectors_of(enum trit_dtype dtype)
{
    return dtype == TRIT_F32 ? 8 : 4;
}

static inline vu vu_load(const uint8_t *p, enum trit_dtype dtype)
{
    vu u;
    for (int i = 0; i < vectors_of(dtype); i++)
        u.r[i] = load256(p + 32 * i);
    return u;
}

static inline void vu_store(uint8_t *p, vu u, enum trit_dtype dtype)
{
    for (int i = 0; i < vectors_of(dtype); i++)
        store256(p + 32 * i, u.r[i]);
}

static inline void vu_stream(uint8_t *p, vu u, enum trit_dtype dtype)
{
    for (int i = 0; i < vectors_of(dtype); i++)
        _mm256_stream_si256((__m256i *)(void *)(p + 32 * i), u.r[i]);
}

static inline void vu_fence(void)
{
    _mm_sfence();
}

static inline vu vu_of(const vf v[4])
{
    vu u;
    for (int k = 0; k < 4; k++) {
        u.r[2 * k] = _mm256_castps_si256(v[k].a);
        u.r[2 * k + 1] = _mm256_castps_si256(v[k].b);
    }
    return u;
}

static inline vf vf_at(vu u, size_t k)
{
    return (vf){_mm256_castsi256_ps(u.r[2 * k]), _mm256_castsi256_ps(u.r[2 * k + 1])};
}

static inline __m256i greater(__m256i a, __m256i b, enum trit_dtype dtype)
{
    return dtype == TRIT_F32 ? _mm256_cmpgt_epi32(a, b) : _mm256_cmpgt_epi16(a, b);
}

static inline __m256i equal(__m256i a, __m256i b, enum trit_dtype dtype)
{
    return dtype == TRIT_F32 ? _mm256_cmpeq_epi32(a, b) : _mm256_cmpeq_epi16(a, b);
}

static inline __m256i sum_of(__m256i a, __m256i b, enum trit_dtype dtype)
{
    return dtype == TRIT_F32 ? _mm256_add_epi32(a, b) : _mm256_add_epi16(a, b);
}

static inline __m256i sign_bits(enum trit_dtype dtype)
{
    return dtype == TRIT_F32 ? _mm256_set1_epi32(INT32_MIN)
                             : _mm256_set1_epi16(INT16_MIN);
}

static inline __m256i keys_of(__m256i bits, enum trit_dtype dtype)
{
    return _mm256_andnot_si256(sign_bits(dtype), bits);
}

/* A key less low, moved to where the signed order begins, is at most high - low. */
static inline vk vk_of(const struct keys *keys, size_t g, enum trit_dtype dtype)
{
    const __m256i one = dtype == TRIT_F32 ? _mm256_set1_epi32(1) : _mm256_set1_epi16(1);
    const __m256i low = _mm256_set1_epi32((int)keys->low[g]);
    const __m256i shift = dtype == TRIT_F32 ? _mm256_sub_epi32(sign_bits(dtype), low)
                                            : _mm256_sub_epi16(sign_bits(dtype), low);
    const __m256i high = _mm256_set1_epi32((int)keys->high[g]);
    return (vk){
        .half = _mm256_set1_epi32((int)keys->half[g]),
        .s = _mm256_set1_epi32((int)keys->s[g]),
        .shift = shift,
        .end = sum_of(high, sum_of(shift, one, dtype), dtype),
    };
}

static inline vm vu_beyond(vu u, vk k, enum trit_dtype dtype)
{
    vm m;
    for (int i = 0; i < vectors_of(dtype); i++)
        m.m[i] = greater(keys_of(u.r[i], dtype), k.half, dtype);
    return m;
}

static inline vu vu_dense(vu u, vk k, enum trit_dtype dtype)
{
    const vm m = vu_beyond(u, k, dtype);
    for (int i = 0; i < vectors_of(dtype); i++)
        u.r[i] = _mm256_or_si256(_mm256_and_si256(m.m[i], k.s),
                                 _mm256_and_si256(u.r[i], sign_bits(dtype)));
    return u;
}

static inline vm vu_is(vu u, vk k, enum trit_dtype dtype)
{
    vm m;
    for (int i = 0; i < vectors_of(dtype); i++)
        m.m[i] = equal(keys_of(u.r[i], dtype), k.s, dtype);
    return m;
}

static inline vx vx_zero(void)
{
    return _mm256_setzero_si256();
}

static inline vx vx_add(vx x, vu u, vm m, vk k, enum trit_dtype dtype)
{
    (void)k;
    for (int i = 0; i < vectors_of(dtype); i++)
        x = _mm256_or_si256(x, _mm256_andnot_si256(m.m[i], keys_of(u.r[i], dtype)));
    return x;
}

static inline bool vx_none(vx x)
{
    return _mm256_testz_si256(x, x);
}

static inline vu vu_union(vu acc, vu u, enum trit_dtype dtype)
{
    for (int i = 0; i < vectors_of(dtype); i++)
        acc.r[i] = _mm256_or_si256(acc.r[i], u.r[i]);
    return acc;
}

static inline void vu_keep(struct partial *to, vu acc, enum trit_dtype dtype)
{
    __m256i bits = acc.r[0];
    for (int i = 1; i < vectors_of(dtype); i++)
        bits = _mm256_or_si256(bits, acc.r[i]);
    store256(to->lane, keys_of(bits, dtype));
}

/* The halves of two groups joined, the quarters of four: as sums are. */
static inline __m256i halves_of(const struct partial *from, size_t x, size_t y)
{
    const __m256i a = load256(from[x].lane), b = load256(from[y].lane);
    return _mm256_or_si256(_mm256_permute2x128_si256(a, b, 0x20),
                           _mm256_permute2x128_si256(a, b, 0x31));
}

static inline __m256 quarters_of(const struct partial *from, size_t g)
{
    const __m256i x = halves_of(from, g, g + 4), y = halves_of(from, g + 1, g + 5);
    return _mm256_castsi256_ps(
        _mm256_or_si256(_mm256_unpacklo_epi64(x, y), _mm256_unpackhi_epi64(x, y)));
}

static inline void vu_unions(uint32_t to[BLOCK_GROUPS],
                             const struct partial from[BLOCK_GROUPS],
                             enum trit_dtype dtype)
{
    for (size_t g = 0; g < BLOCK_GROUPS; g += 8) {
        const __m256 x = quarters_of(from + g, 0), y = quarters_of(from + g, 2);
        __m256i bits = _mm256_castps_si256(
            _mm256_or_ps(_mm256_shuffle_ps(x, y, 0x88), _mm256_shuffle_ps(x, y, 0xdd)));
        if (dtype != TRIT_F32)
            bits = _mm256_and_si256(_mm256_or_si256(bits, _mm256_srli_epi32(bits, 16)),
                                    _mm256_set1_epi32(0xffff));
        store256(to + g, bits);
    }
}

/* ---- codes ------------------------------------------------------------------------- */

/* -t: beyond is -1, and psign negates where the element is negative. */
static inline __m256i minus_trits(vu u, vm m, int i, enum trit_dtype dtype)
{
    return dtype == TRIT_F32 ? _mm256_sign_epi32(m.m[i], u.r[i])
                             : _mm256_sign_epi16(m.m[i], u.r[i]);
}

/* Undoes what two packs do to the order of 32-bit pieces. */
static inline __m256i unscramble(__m256i v)
{
    return _mm256_permutevar8x32_epi32(v, _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7));
}

static inline __m256i codes256(vu u, vm m, int i, enum trit_dtype dtype)
{
    __m256i t[4];
    for (int k = 0; k < vectors_of(dtype) / 2; k++)
        t[k] = minus_trits(u, m, i + k, dtype);
    const __m256i bytes =
        dtype == TRIT_F32
            ? unscramble(_mm256_packs_epi16(_mm256_packs_epi32(t[0], t[1]),
                                            _mm256_packs_epi32(t[2], t[3])))
            : _mm256_permute4x64_epi64(_mm256_packs_epi16(t[0], t[1]), 0xd8);
    return _mm256_sub_epi8(_mm256_set1_epi8(1), bytes);
}

static inline vc vu_codes(vu u, vm m, vk k, enum trit_dtype dtype)
{
    (void)k;
    return (vc){codes256(u, m, 0, dtype), codes256(u, m, vectors_of(dtype) / 2, dtype)};
}

static inline vc vc_load(const uint8_t *p)
{
    return (vc){load256(p), load256(p + 32)};
}

static inline void vc_store(uint8_t *p, vc c)
{
    store256(p, c.a);
    store256(p + 32, c.b);
}

static inline void vc_trits(uint8_t *p, vc c)
{
    const __m256i minus_one = _mm256_set1_epi8(-1);
    store256(p, _mm256_add_epi8(c.a, minus_one));
    store256(p + 32, _mm256_add_epi8(c.b, minus_one));
}

/* c0 + 4 c1 + 16 c2 + 64 c3 in each 32-bit lane. */
static inline __m256i quads256(__m256i c)
{
    __m256i pairs = _mm256_maddubs_epi16(c, _mm256_set1_epi16(0x0401));
    return _mm256_madd_epi16(pairs, _mm256_set1_epi32(0x00100001));
}

static inline void vc_pack2(uint8_t *p, vc c)
{
    __m256i words = _mm256_packus_epi32(quads256(c.a), quads256(c.b));
    __m256i bytes = unscramble(_mm256_packus_epi16(words, words));
    _mm_storeu_si128((__m128i *)(void *)p, _mm256_castsi256_si128(bytes));
}

static inline vt vt_zero(void)
{
    return (vt){0, 0};
}

/* A bit for each byte's highest. */
static inline uint64_t top_bits(__m256i a, __m256i b)
{
    return (uint32_t)_mm256_movemask_epi8(a) | (uint64_t)(uint32_t)_mm256_movemask_epi8(b)
                                                   << 32;
}

static inline vt vt_add(vt tally, vc c)
{
    const __m256i zero = _mm256_setzero_si256();
    const uint64_t negative =
        top_bits(_mm256_cmpeq_epi8(c.a, zero), _mm256_cmpeq_epi8(c.b, zero));
    const uint64_t positive =
        top_bits(_mm256_slli_epi16(c.a, 6), _mm256_slli_epi16(c.b, 6));
    tally.negatives += (uint64_t)__builtin_popcountll(negative);
    tally.positives += (uint64_t)__builtin_popcountll(positive);
    return tally;
}

/* Half a unit's elements as bytes in some order, their signs kept. */
static inline __m256i narrowed(const __m256i *r, enum trit_dtype dtype)
{
    return dtype == TRIT_F32 ? _mm256_packs_epi16(_mm256_packs_epi32(r[0], r[1]),
                                                  _mm256_packs_epi32(r[2], r[3]))
                             : _mm256_packs_epi16(r[0], r[1]);
}

static inline vt vt_see(vt tally, vu u, vm m, vk k, enum trit_dtype dtype)
{
    const int half = vectors_of(dtype) / 2;
    const uint64_t beyond = top_bits(narrowed(m.m, dtype), narrowed(m.m + half, dtype));
    const uint64_t minus = top_bits(narrowed(u.r, dtype), narrowed(u.r + half, dtype));
    (void)k;
    tally.negatives += (uint64_t)__builtin_popcountll(beyond & minus);
    tally.positives += (uint64_t)__builtin_popcountll(beyond & ~minus);
    return tally;
}

static inline void vt_counts(vt tally, size_t seen, uint64_t *negatives,
                             uint64_t *positives)
{
    (void)seen;
    *positives = tally.positives;
    *negatives = tally.negatives;
}

static inline vn vn_zero(void)
{
    return _mm256_setzero_si256();
}

static inline vn vn_add(vn n, vu u, vk k, enum trit_dtype dtype)
{
    __m256i minus = _mm256_setzero_si256();
    for (int i = 0; i < vectors_of(dtype); i++)
        minus = sum_of(
            minus, greater(k.end, sum_of(keys_of(u.r[i], dtype), k.shift, dtype), dtype),
            dtype);
    if (dtype != TRIT_F32)
        minus = _mm256_madd_epi16(minus, _mm256_set1_epi16(1));
    return _mm256_sub_epi32(n, minus);
}

static inline uint32_t vn_total(vn count)
{
    __m128i x =
        _mm_add_epi32(_mm256_castsi256_si128(count), _mm256_extracti128_si256(count, 1));
    x = _mm_add_epi32(x, _mm_shuffle_epi32(x, 0x4e));
    x = _mm_add_epi32(x, _mm_shuffle_epi32(x, 0xb1));
    return (uint32_t)_mm_cvtsi128_si32(x);
}

/* ---- f64 ------------------------------------------------------------------------------
 */

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

static inline vd vd_splat(double x)
{
    const __m256d v = _mm256_set1_pd(x);
    return (vd){v, v, v, v};
}

static inline vd vd_load(const double *p)
{
    return (vd){_mm256_loadu_pd(p), _mm256_loadu_pd(p + 4), _mm256_loadu_pd(p + 8),
                _mm256_loadu_pd(p + 12)};
}

static inline vf vd_narrow(vd v)
{
    return (vf){_mm256_set_m128(_mm256_cvtpd_ps(v.b), _mm256_cvtpd_ps(v.a)),
                _mm256_set_m128(_mm256_cvtpd_ps(v.d), _mm256_cvtpd_ps(v.c))};
}

static inline vd vd_div(vd x, vd y)
{
    return (vd){_mm256_div_pd(x.a, y.a), _mm256_div_pd(x.b, y.b), _mm256_div_pd(x.c, y.c),
                _mm256_div_pd(x.d, y.d)};
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
