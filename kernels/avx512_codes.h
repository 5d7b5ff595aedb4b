/* AVX-512: comparisons end in mask registers; the codes of a unit are two bits an
 * element in general ones: made, packed and counted. */
#ifndef KERNELS_AVX512_CODES_H
#define KERNELS_AVX512_CODES_H

#include "kernels/avx512_masks.h"

typedef struct {
    uint64_t negative, positive; /* a bit an element */
} vc;
typedef struct {
    uint64_t nonzeros, positives;
} vt;

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

#endif
