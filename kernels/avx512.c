/* The vocabulary in AVX-512 (F, BW, DQ, VL, VBMI, VBMI2) and BMI2. */
#if defined(__x86_64__)

#include <immintrin.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "kernels/avx512_sums.h"
#include "kernels/half.h"
#include "kernels/table.h"

enum { VECTOR_BYTES = 64 };

typedef __m512 vf;
typedef struct {
    __m512d a, b;
} vd;
typedef struct {
    __m512i r[4]; /* 16-bit types: the first two */
} vu;
typedef struct {
    __m512i half, low, range, s;
} vk;
typedef struct {
    __mmask32 m[4]; /* one for each of the unit's vectors */
} vm;
typedef __m512i vx;
typedef struct {
    uint64_t beyond, positive; /* a bit an element */
} vc;
typedef struct {
    uint64_t nonzeros, positives;
} vt;
typedef struct {
    __m512i lanes;
    uint64_t count;
} vn;

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

/* ---- units ------------------------------------------------------------------------- */

static inline int vectors_of(enum trit_dtype dtype)
{
    return dtype == TRIT_F32 ? 4 : 2;
}

static inline vu vu_load(const uint8_t *p, enum trit_dtype dtype)
{
    vu u;
    for (int k = 0; k < vectors_of(dtype); k++)
        u.r[k] = _mm512_loadu_si512(p + 64 * k);
    return u;
}

static inline void vu_store(uint8_t *p, vu u, enum trit_dtype dtype)
{
    for (int k = 0; k < vectors_of(dtype); k++)
        _mm512_storeu_si512(p + 64 * k, u.r[k]);
}

static inline void vu_stream(uint8_t *p, vu u, enum trit_dtype dtype)
{
    for (int k = 0; k < vectors_of(dtype); k++)
        _mm512_stream_si512((__m512i *)(void *)(p + 64 * k), u.r[k]);
}

static inline void vu_fence(void)
{
    _mm_sfence();
}

static inline vu vu_of(const vf v[4])
{
    vu u;
    for (int k = 0; k < 4; k++)
        u.r[k] = _mm512_castps_si512(v[k]);
    return u;
}

static inline vf vf_at(vu u, size_t k)
{
    return _mm512_castsi512_ps(u.r[k]);
}

static inline vk vk_of(const struct keys *keys, size_t g, enum trit_dtype dtype)
{
    const __m512i low = _mm512_set1_epi32((int)keys->low[g]);
    const __m512i high = _mm512_set1_epi32((int)keys->high[g]);
    return (vk){
        .half = _mm512_set1_epi32((int)keys->half[g]),
        .low = low,
        .range =
            dtype == TRIT_F32 ? _mm512_sub_epi32(high, low) : _mm512_sub_epi16(high, low),
        .s = _mm512_set1_epi32((int)keys->s[g]),
    };
}

static inline __m512i sign_bits(enum trit_dtype dtype)
{
    return dtype == TRIT_F32 ? _mm512_set1_epi32(INT32_MIN)
                             : _mm512_set1_epi16(INT16_MIN);
}

static inline __m512i keys_of(__m512i bits, enum trit_dtype dtype)
{
    return _mm512_andnot_si512(sign_bits(dtype), bits);
}

static inline vm vu_beyond(vu u, vk k, enum trit_dtype dtype)
{
    vm m;
    for (int i = 0; i < vectors_of(dtype); i++) {
        const __m512i keys = keys_of(u.r[i], dtype);
        m.m[i] = dtype == TRIT_F32 ? _mm512_cmpgt_epi32_mask(keys, k.half)
                                   : _mm512_cmpgt_epi16_mask(keys, k.half);
    }
    return m;
}

static inline vu vu_dense(vu u, vk k, enum trit_dtype dtype)
{
    const vm m = vu_beyond(u, k, dtype);
    for (int i = 0; i < vectors_of(dtype); i++) {
        const __m512i s = dtype == TRIT_F32
                              ? _mm512_maskz_mov_epi32((__mmask16)m.m[i], k.s)
                              : _mm512_maskz_mov_epi16(m.m[i], k.s);
        /* (u and sign) or s */
        u.r[i] = _mm512_ternarylogic_epi32(u.r[i], sign_bits(dtype), s, 0xea);
    }
    return u;
}

static inline vm vu_is(vu u, vk k, enum trit_dtype dtype)
{
    vm m;
    for (int i = 0; i < vectors_of(dtype); i++) {
        const __m512i keys = keys_of(u.r[i], dtype);
        m.m[i] = dtype == TRIT_F32 ? _mm512_cmpeq_epi32_mask(keys, k.s)
                                   : _mm512_cmpeq_epi16_mask(keys, k.s);
    }
    return m;
}

static inline vx vx_zero(void)
{
    return _mm512_setzero_si512();
}

static inline vx vx_add(vx x, vu u, vm m, vk k, enum trit_dtype dtype)
{
    for (int i = 0; i < vectors_of(dtype); i++) {
        const __m512i keys = keys_of(u.r[i], dtype);
        x = _mm512_or_si512(
            x, dtype == TRIT_F32
                   ? _mm512_mask_sub_epi32(keys, (__mmask16)m.m[i], keys, k.s)
                   : _mm512_mask_sub_epi16(keys, m.m[i], keys, k.s));
    }
    return x;
}

static inline bool vx_none(vx x)
{
    return _mm512_test_epi32_mask(x, x) == 0;
}

static inline vu vu_union(vu acc, vu u, enum trit_dtype dtype)
{
    for (int i = 0; i < vectors_of(dtype); i++)
        acc.r[i] = _mm512_or_si512(acc.r[i], u.r[i]);
    return acc;
}

static inline void vu_keep(struct partial *to, vu acc, enum trit_dtype dtype)
{
    __m512i bits = _mm512_or_si512(acc.r[0], acc.r[1]);
    if (dtype == TRIT_F32)
        bits = _mm512_or_si512(bits, _mm512_or_si512(acc.r[2], acc.r[3]));
    _mm512_store_si512(to->lane, keys_of(bits, dtype));
}

/* The halves of two groups joined, the quarters of four, and so on: as sums are. */
static inline __m512i halves_of(const struct partial *from, size_t x, size_t y)
{
    const __m512i a = _mm512_load_si512(from[x].lane),
                  b = _mm512_load_si512(from[y].lane);
    return _mm512_or_si512(_mm512_shuffle_i32x4(a, b, 0x44),
                           _mm512_shuffle_i32x4(a, b, 0xee));
}

static inline __m512i quarters_of(const struct partial *from, size_t g)
{
    const __m512i x = halves_of(from, g, g + 4), y = halves_of(from, g + 8, g + 12);
    return _mm512_or_si512(_mm512_shuffle_i32x4(x, y, 0x88),
                           _mm512_shuffle_i32x4(x, y, 0xdd));
}

static inline __m512 eighths_of(const struct partial *from, size_t g)
{
    const __m512i x = quarters_of(from, g), y = quarters_of(from, g + 1);
    return _mm512_castsi512_ps(
        _mm512_or_si512(_mm512_unpacklo_epi64(x, y), _mm512_unpackhi_epi64(x, y)));
}

static inline void vu_unions(uint32_t to[BLOCK_GROUPS],
                             const struct partial from[BLOCK_GROUPS],
                             enum trit_dtype dtype)
{
    const __m512 x = eighths_of(from, 0), y = eighths_of(from, 2);
    __m512i bits = _mm512_castps_si512(
        _mm512_or_ps(_mm512_shuffle_ps(x, y, 0x88), _mm512_shuffle_ps(x, y, 0xdd)));
    if (dtype != TRIT_F32)
        bits = _mm512_and_si512(_mm512_or_si512(bits, _mm512_srli_epi32(bits, 16)),
                                _mm512_set1_epi32(0xffff));
    _mm512_storeu_si512(to, bits);
}

/* ---- codes, as two bits an element in general registers ---------------------------- */

/* Keeps the compiler from joining masks where they are: that takes the ports that the
 * comparisons wait for. */
static inline uint64_t moved(__mmask32 m)
{
    uint64_t bits = m;
    __asm__("" : "+r"(bits));
    return bits;
}

static inline uint64_t joined(const __mmask32 m[4], enum trit_dtype dtype)
{
    if (dtype != TRIT_F32)
        return moved(m[0]) | moved(m[1]) << 32;
    return (moved(m[0]) | moved(m[1]) << 16) | (moved(m[2]) | moved(m[3]) << 16) << 32;
}

static inline vc vu_codes(vu u, vm m, vk k, enum trit_dtype dtype)
{
    __mmask32 positive[4];
    for (int i = 0; i < vectors_of(dtype); i++)
        positive[i] = dtype == TRIT_F32 ? _mm512_cmpgt_epi32_mask(u.r[i], k.half)
                                        : _mm512_cmpgt_epi16_mask(u.r[i], k.half);
    return (vc){joined(m.m, dtype), joined(positive, dtype)};
}

static inline vc vc_load(const uint8_t *p)
{
    const __m512i c = _mm512_loadu_si512(p);
    return (vc){_mm512_cmpneq_epi8_mask(c, _mm512_set1_epi8(1)),
                _mm512_cmpeq_epi8_mask(c, _mm512_set1_epi8(2))};
}

/* 0, 1, 2 or, `less` one, the trits. */
static inline __m512i code_bytes512(vc c, int8_t less)
{
    const __m512i one = _mm512_set1_epi8((char)(1 - less));
    const __m512i codes =
        _mm512_mask_sub_epi8(one, c.beyond & ~c.positive, one, _mm512_set1_epi8(1));
    return _mm512_mask_add_epi8(codes, c.positive, one, _mm512_set1_epi8(1));
}

static inline void vc_store(uint8_t *p, vc c)
{
    _mm512_storeu_si512(p, code_bytes512(c, 0));
}

static inline void vc_trits(uint8_t *p, vc c)
{
    _mm512_storeu_si512(p, code_bytes512(c, 1));
}

/* A code's low bit is set where it is 1, its high bit where it is 2. */
static inline void vc_pack2(uint8_t *p, vc c)
{
    const uint64_t low = 0x5555555555555555, high = 0xaaaaaaaaaaaaaaaa;
    const uint64_t words[2] = {
        _pdep_u64(~c.beyond, low) | _pdep_u64(c.positive, high),
        _pdep_u64(~c.beyond >> 32, low) | _pdep_u64(c.positive >> 32, high),
    };
    memcpy(p, words, sizeof words);
}

static inline vt vt_zero(void)
{
    return (vt){0, 0};
}

static inline vt vt_add(vt tally, vc c)
{
    tally.nonzeros += (uint64_t)_mm_popcnt_u64(c.beyond);
    tally.positives += (uint64_t)_mm_popcnt_u64(c.positive);
    return tally;
}

static inline vt vt_see(vt tally, vu u, vm m, vk k, enum trit_dtype dtype)
{
    return vt_add(tally, vu_codes(u, m, k, dtype));
}

static inline void vt_counts(vt tally, size_t seen, uint64_t *negatives,
                             uint64_t *positives)
{
    (void)seen;
    *positives = tally.positives;
    *negatives = tally.nonzeros - tally.positives;
}

static inline vn vn_zero(void)
{
    return (vn){_mm512_setzero_si512(), 0};
}

/* low <= key <= high as one comparison without sign. */
static inline vn vn_add(vn n, vu u, vk k, enum trit_dtype dtype)
{
    const __m512i minus_one = _mm512_set1_epi32(-1);
    for (int i = 0; i < vectors_of(dtype); i++) {
        const __m512i keys = keys_of(u.r[i], dtype);
        if (dtype == TRIT_F32) {
            const __mmask16 near =
                _mm512_cmple_epu32_mask(_mm512_sub_epi32(keys, k.low), k.range);
            n.lanes = _mm512_mask_sub_epi32(n.lanes, near, n.lanes, minus_one);
        } else {
            n.count += (uint64_t)_mm_popcnt_u32(
                _mm512_cmple_epu16_mask(_mm512_sub_epi16(keys, k.low), k.range));
        }
    }
    return n;
}

static inline uint64_t vn_total(vn n)
{
    return n.count + (uint32_t)_mm512_reduce_add_epi32(n.lanes);
}

/* ---- f64 ------------------------------------------------------------------------------
 */

static inline vd vd_zero(void)
{
    return (vd){_mm512_setzero_pd(), _mm512_setzero_pd()};
}

static inline vd vd_widen(vf v)
{
    return (vd){_mm512_cvtps_pd(_mm512_castps512_ps256(v)),
                _mm512_cvtps_pd(_mm512_extractf32x8_ps(v, 1))};
}

static inline vd vd_splat(double x)
{
    return (vd){_mm512_set1_pd(x), _mm512_set1_pd(x)};
}

static inline vd vd_load(const double *p)
{
    return (vd){_mm512_loadu_pd(p), _mm512_loadu_pd(p + 8)};
}

static inline vf vd_narrow(vd v)
{
    return _mm512_insertf32x8(_mm512_castps256_ps512(_mm512_cvtpd_ps(v.a)),
                              _mm512_cvtpd_ps(v.b), 1);
}

static inline vd vd_div(vd x, vd y)
{
    return (vd){_mm512_div_pd(x.a, y.a), _mm512_div_pd(x.b, y.b)};
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
