/* The vocabulary in AVX-512 (F, BW, DQ, VL, VBMI, VBMI2) and BMI2. Its shape differs from
 * the others' where comparisons end in mask registers, and codes in general ones. */
#if defined(__x86_64__)

#include <immintrin.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "kernels/half.h"
#include "kernels/table.h"

enum { VECTOR_BYTES = 64 };

#include "kernels/avx512_totals.h"

typedef struct {
    __mmask32 m[UNIT_VECTORS]; /* one for each of the unit's vectors */
} vm;
typedef iv vx;
typedef struct {
    uint64_t negative, positive; /* a bit an element */
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
    if (dtype == TRIT_F32)
        return (vf){{_mm512_loadu_ps(p)}};
    const __m256i half = _mm256_loadu_si256((const __m256i *)(const void *)p);
    if (dtype == TRIT_F16)
        return (vf){{_mm512_cvtph_ps(half)}};
    return (vf){
        {_mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(half), 16))}};
}

static inline void vf_store(uint8_t *p, vf v, enum trit_dtype dtype)
{
    __m256i *half = (__m256i *)(void *)p;
    if (dtype == TRIT_F16)
        _mm256_storeu_si256(half, _mm512_cvtps_ph(v.v[0], _MM_FROUND_TO_NEAREST_INT));
    else if (dtype == TRIT_BF16)
        _mm256_storeu_si256(half, _mm512_cvtepi32_epi16(_mm512_srli_epi32(
                                      _mm512_castps_si512(v.v[0]), 16)));
    else
        _mm512_storeu_ps(p, v.v[0]);
}

static inline void vu_stream(uint8_t *p, vu u, enum trit_dtype dtype)
{
    for (size_t k = 0; k < vectors_of(dtype); k++)
        _mm512_stream_si512((__m512i *)(void *)(p + 64 * k), (__m512i)u.r[k]);
}

static inline void vu_fence(void)
{
    _mm_sfence();
}

static inline dv dv_low(fv v)
{
    return _mm512_cvtps_pd(_mm512_castps512_ps256(v));
}

static inline dv dv_high(fv v)
{
    return _mm512_cvtps_pd(_mm512_extractf32x8_ps(v, 1));
}

static inline fv fv_of(dv low, dv high)
{
    return _mm512_insertf32x8(_mm512_castps256_ps512(_mm512_cvtpd_ps(low)),
                              _mm512_cvtpd_ps(high), 1);
}

static inline fv fv_as_f16(fv v)
{
    return _mm512_cvtph_ps(_mm512_cvtps_ph(v, _MM_FROUND_TO_NEAREST_INT));
}

/* ---- comparisons ------------------------------------------------------------------- */

static inline __mmask32 greater(__m512i a, __m512i b, enum trit_dtype dtype)
{
    return dtype == TRIT_F32 ? _mm512_cmpgt_epi32_mask(a, b)
                             : _mm512_cmpgt_epi16_mask(a, b);
}

static inline __m512i unit_keys(vu u, size_t i, enum trit_dtype dtype)
{
    return (__m512i)keys_of(u.r[i], dtype);
}

static inline vm vu_beyond(vu u, vk k, enum trit_dtype dtype)
{
    vm m;
    for (size_t i = 0; i < vectors_of(dtype); i++)
        m.m[i] = greater(unit_keys(u, i, dtype), (__m512i)k.half, dtype);
    return m;
}

static inline vu vu_dense(vu u, vk k, enum trit_dtype dtype)
{
    const vm m = vu_beyond(u, k, dtype);
    const __m512i sign = (__m512i)sign_bits(dtype), all = (__m512i)k.s;
    for (size_t i = 0; i < vectors_of(dtype); i++) {
        const __m512i s = dtype == TRIT_F32
                              ? _mm512_maskz_mov_epi32((__mmask16)m.m[i], all)
                              : _mm512_maskz_mov_epi16(m.m[i], all);
        /* (u and sign) or s */
        u.r[i] = (iv)_mm512_ternarylogic_epi32((__m512i)u.r[i], sign, s, 0xea);
    }
    return u;
}

static inline vm vu_is(vu u, vk k, enum trit_dtype dtype)
{
    vm m;
    for (size_t i = 0; i < vectors_of(dtype); i++) {
        const __m512i keys = unit_keys(u, i, dtype), s = (__m512i)k.s;
        m.m[i] = dtype == TRIT_F32 ? _mm512_cmpeq_epi32_mask(keys, s)
                                   : _mm512_cmpeq_epi16_mask(keys, s);
    }
    return m;
}

static inline vx vx_zero(void)
{
    return splat(0);
}

static inline vx vx_add(vx x, vu u, vm m, vk k, enum trit_dtype dtype)
{
    for (size_t i = 0; i < vectors_of(dtype); i++) {
        const __m512i keys = unit_keys(u, i, dtype), s = (__m512i)k.s;
        x |= (iv)(dtype == TRIT_F32
                      ? _mm512_mask_sub_epi32(keys, (__mmask16)m.m[i], keys, s)
                      : _mm512_mask_sub_epi16(keys, m.m[i], keys, s));
    }
    return x;
}

static inline bool vx_none(vx x)
{
    return _mm512_test_epi32_mask((__m512i)x, (__m512i)x) == 0;
}

static inline vn vn_zero(void)
{
    return (vn){_mm512_setzero_si512(), 0};
}

static inline vn vn_add(vn n, vu u, vk k, enum trit_dtype dtype)
{
    const __m512i minus_one = _mm512_set1_epi32(-1), end = (__m512i)k.end;
    for (size_t i = 0; i < vectors_of(dtype); i++) {
        const iv keys = keys_of(u.r[i], dtype);
        const __mmask32 near = greater(end, (__m512i)sum_of(keys, k.shift, dtype), dtype);
        if (dtype == TRIT_F32)
            n.lanes = _mm512_mask_sub_epi32(n.lanes, (__mmask16)near, n.lanes, minus_one);
        else
            n.count += (uint64_t)_mm_popcnt_u32(near);
    }
    return n;
}

static inline uint64_t vn_total(vn n)
{
    return n.count + (uint32_t)_mm512_reduce_add_epi32(n.lanes);
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

/* As numbers without sign, elements exceed half with a sign where they are below -half:
 * no key is needed. */
static inline vc vu_codes(vu u, vm m, vk k, enum trit_dtype dtype)
{
    const __m512i half = (__m512i)k.half, minus = (__m512i)(k.half | sign_bits(dtype));
    __mmask32 negative[UNIT_VECTORS], positive[UNIT_VECTORS];
    (void)m;
    for (size_t i = 0; i < vectors_of(dtype); i++) {
        const __m512i x = (__m512i)u.r[i];
        positive[i] = greater(x, half, dtype);
        negative[i] = dtype == TRIT_F32 ? _mm512_cmpgt_epu32_mask(x, minus)
                                        : _mm512_cmpgt_epu16_mask(x, minus);
    }
    return (vc){joined(negative, dtype), joined(positive, dtype)};
}

static inline vc vc_load(const uint8_t *p)
{
    const __m512i c = _mm512_loadu_si512(p);
    return (vc){_mm512_cmpeq_epi8_mask(c, _mm512_setzero_si512()),
                _mm512_cmpeq_epi8_mask(c, _mm512_set1_epi8(2))};
}

/* 0, 1, 2 or, `less` one, the trits. */
static inline __m512i code_bytes512(vc c, int8_t less)
{
    const __m512i one = _mm512_set1_epi8((char)(1 - less));
    const __m512i codes = _mm512_mask_sub_epi8(one, c.negative, one, _mm512_set1_epi8(1));
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
    const uint64_t zeros = ~(c.negative | c.positive);
    const uint64_t words[2] = {
        _pdep_u64(zeros, low) | _pdep_u64(c.positive, high),
        _pdep_u64(zeros >> 32, low) | _pdep_u64(c.positive >> 32, high),
    };
    memcpy(p, words, sizeof words);
}

static inline vt vt_zero(void)
{
    return (vt){0, 0};
}

static inline vt vt_add(vt tally, vc c)
{
    tally.nonzeros += (uint64_t)_mm_popcnt_u64(c.negative | c.positive);
    tally.positives += (uint64_t)_mm_popcnt_u64(c.positive);
    return tally;
}

/* In a claim that is not exact m is not all that is beyond half. */
static inline vt vt_see(vt tally, vu u, vm m, vk k, enum trit_dtype dtype)
{
    __mmask32 positive[UNIT_VECTORS];
    for (size_t i = 0; i < vectors_of(dtype); i++)
        positive[i] = greater((__m512i)u.r[i], (__m512i)k.half, dtype);
    tally.nonzeros += (uint64_t)_mm_popcnt_u64(joined(m.m, dtype));
    tally.positives += (uint64_t)_mm_popcnt_u64(joined(positive, dtype));
    return tally;
}

static inline void vt_counts(vt tally, size_t seen, uint64_t *negatives,
                             uint64_t *positives)
{
    (void)seen;
    *positives = tally.positives;
    *negatives = tally.nonzeros - tally.positives;
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
