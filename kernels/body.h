/* The algorithms, once for all ISAs. An ISA file defines a vocabulary (below),
 * includes this file and exports kernels_<isa>. The numeric contract and its
 * proofs: README.md.
 *
 * Types: vf, 16 f32; vd, 16 f64; vs, a sum of magnitudes; vm, 64 booleans; vb, 64 bytes;
 * vt, a tally of codes; vn, a count of elements. A *unit* is vf[4], 64 elements.
 *   vf_load(p, dtype)       16 elements, widened; any alignment
 *   vf_store(p, v, dtype)   narrowed, to nearest even; to bf16 only what it holds
 *   vf_stream(p, v)         16 f32, past the caches; p is 64-byte aligned; vf_fence
 *   vf_splat
 *   vf_top(acc, v)          lanewise the larger |v|, by bits; vf_top_of: of all
 *   vm_beyond(unit, h)      |w| > h
 *   vf_dense(w, m, k, s)    element k of a unit: m ? s : 0, with the sign of w
 *   vf_exact(unit, s)       every |w| is s or 0
 *   vn_add(n, unit, low, high)  n + how many have low <= |w| <= high; vn_total
 *   vs_zero, vs_add(s, p, dtype)  s + the magnitudes of 16 elements; vs_total: the
 *                           canonical tree. Where an element is not finite, neither is
 *                           the total, or it is at least 2^128 (2^16 for f16)
 *   vd_zero, vd_widen, vd_add, vd_sub, vd_mul
 *   vd_total(acc)           the canonical tree: +8, +4, +2, +1
 *   vb_codes(unit, m)       codes 0, 1, 2: beyond and negative, within, beyond
 *   vb_pack2(p, c)          16 bytes of 2-bit codes, least significant first
 *   vb_load, vb_store, vb_less_one
 *   vt_add(acc, c)          codes seen; vt_counts: negatives and positives among them
 */
#include <assert.h>
#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/half.h"
#include "kernels/packing.h"
#include "kernels/table.h"

enum {
    LANES = 16,              /* the canonical order sums in 16 strided f64 lanes */
    UNIT = 64,               /* elements per step of an emitting pass */
    BLOCK_BYTES = 8192,      /* of input between the two passes: stays in L1 */
    BLOCK_GROUPS = 16,       /* at most, in a block: the lanes of the scales' math */
    AHEAD_BYTES = 1536,      /* software prefetch distance */
    PACKED_BYTES = UNIT / 4, /* of 2-bit codes per unit */
};

#ifndef INLINE /* a vocabulary may leave the choice to the compiler */
#define INLINE static inline __attribute__((always_inline))
#endif

INLINE size_t size_min(size_t a, size_t b)
{
    return a < b ? a : b;
}

INLINE size_t bytes_of(enum trit_dtype dtype)
{
    return dtype == TRIT_F32 ? 4 : 2;
}

INLINE size_t groups_per_block(size_t group_bytes)
{
    const size_t groups = group_bytes < BLOCK_BYTES ? BLOCK_BYTES / group_bytes : 1;
    return size_min(groups, BLOCK_GROUPS);
}

INLINE size_t code_bytes(size_t elements)
{
    return (elements + 3) / 4;
}

/* ---- units ------------------------------------------------------------------------- */

/* 64 elements, zero beyond n. */
INLINE void load_unit(vf w[4], const uint8_t *in, size_t n, enum trit_dtype dtype)
{
    const size_t size = bytes_of(dtype);
    uint8_t padded[UNIT * 4];
    if (n < UNIT) {
        memset(padded, 0, sizeof padded);
        memcpy(padded, in, n * size);
        in = padded;
    }
    for (size_t k = 0; k < 4; k++)
        w[k] = vf_load(in + k * LANES * size, dtype);
}

/* The same where the type is not known to the compiler: off the hot paths. */
static __attribute__((noinline)) void load_any(vf w[4], const uint8_t *in, size_t n,
                                               enum trit_dtype dtype)
{
    if (dtype == TRIT_F32)
        load_unit(w, in, n, TRIT_F32);
    else if (dtype == TRIT_F16)
        load_unit(w, in, n, TRIT_F16);
    else
        load_unit(w, in, n, TRIT_BF16);
}

INLINE void prefetch_unit(const uint8_t *in, enum trit_dtype dtype)
{
    for (size_t ahead = 0; ahead < UNIT * bytes_of(dtype); ahead += 64)
        __builtin_prefetch(in + AHEAD_BYTES + ahead);
}

INLINE void store_unit(uint8_t *out, const vf v[4], size_t n, enum trit_dtype dtype)
{
    const size_t size = bytes_of(dtype);
    uint8_t padded[UNIT * 4];
    uint8_t *to = n < UNIT ? padded : out;
    for (size_t k = 0; k < 4; k++)
        vf_store(to + k * LANES * size, v[k], dtype);
    if (n < UNIT)
        memcpy(out, padded, n * size);
}

INLINE void floats_of(float to[UNIT], const vf v[4])
{
    store_unit((uint8_t *)to, v, UNIT, TRIT_F32);
}

INLINE void of_floats(vf v[4], const float from[UNIT])
{
    load_unit(v, (const uint8_t *)from, UNIT, TRIT_F32);
}

INLINE void store_codes(uint8_t *out, vb codes, size_t n)
{
    if (n >= UNIT) {
        vb_pack2(out, codes);
    } else {
        uint8_t packed[PACKED_BYTES];
        vb_pack2(packed, codes);
        memcpy(out, packed, code_bytes(n));
    }
}

/* ---- scales ------------------------------------------------------------------------ */

/* Of a block's groups; beyond them all is 0. Array loops up to a count the compiler does
 * not know: so it makes vectors of them instead of sixteen copies. */
struct scales {
    size_t count;
    float s[BLOCK_GROUPS];
    float half[BLOCK_GROUPS]; /* |w| > half <=> |w| + |w| > s and s > 0 */
    float low[BLOCK_GROUPS];  /* the smallest f32 >= 0.475 s */
    float high[BLOCK_GROUPS]; /* the largest f32 <= 0.525 s */
    uint16_t f16[BLOCK_GROUPS];
    float kept[BLOCK_GROUPS]; /* s as the output's type holds it */
};

/* Half of s, rounded down: |w| > half is then |w|+|w| > s for every s, also where
 * half of a subnormal is no f32. Nothing exceeds the half of s = 0. */
INLINE void find_thresholds(struct scales *to)
{
    const uint32_t never = 0x7f800000u; /* infinity */
    const size_t count = to->count;
    for (size_t i = 0; i < count; i++) {
        const float s = to->s[i], half = 0.5f * s;
        const uint32_t bits = float_bits(half) - (uint32_t)(half + half > s);
        to->half[i] = float_of_bits(s > 0.0f ? bits : never);
    }
    for (size_t i = 0; i < count; i++) {
        const float s = to->s[i];
        const double low = 0.475 * (double)s, high = 0.525 * (double)s;
        const uint32_t low_bits = float_bits((float)low) + ((double)(float)low < low);
        const uint32_t high_bits = float_bits((float)high) - ((double)(float)high > high);
        const bool some = s > 0.0f && low_bits <= high_bits; /* not so for s = 2^-149 */
        to->low[i] = float_of_bits(some ? low_bits : never);
        to->high[i] = float_of_bits(some ? high_bits : never);
    }
}

/* From s: thresholds, and s as f16 and as `dtype` hold it, rounded once. */
INLINE void find_scales(struct scales *to, enum trit_dtype dtype)
{
    const size_t count = to->count;
    find_thresholds(to);
    const vf s = vf_load((const uint8_t *)to->s, TRIT_F32);
    vf_store((uint8_t *)to->f16, s, TRIT_F16);
    if (dtype == TRIT_F16)
        vf_store((uint8_t *)to->kept, vf_load((const uint8_t *)to->f16, TRIT_F16),
                 TRIT_F32);
    else if (dtype == TRIT_BF16)
        for (size_t i = 0; i < count; i++)
            to->kept[i] = bf16_widen(bf16_narrow(to->s[i]));
    else
        memcpy(to->kept, to->s, sizeof to->kept);
}

INLINE void count_scales(const struct scales *scales, size_t first_group,
                         struct ternary_counts *counts)
{
    const size_t count = scales->count;
    float back[BLOCK_GROUPS];
    uint32_t lossy = 0, lost = 0;
    vf_store((uint8_t *)back, vf_load((const uint8_t *)scales->f16, TRIT_F16), TRIT_F32);
    for (size_t i = 0; i < count; i++) {
        const uint32_t magnitude = float_bits(back[i]) & 0x7fffffffu;
        const uint32_t differs = back[i] != scales->s[i];
        lossy += differs;
        lost += differs & (uint32_t)(magnitude == 0 || magnitude == 0x7f800000u);
    }
    counts->scales_lossy_fp16 += lossy;
    if (lost == 0)
        return;
    for (size_t i = 0; i < count; i++)
        if (back[i] != scales->s[i] && (back[i] == 0.0f || isinf(back[i])) &&
            counts->scales_lost++ == 0)
            counts->first_scale_lost = first_group + i;
}

/* Out of line: inlined, its loads would keep the sum's alive. */
static __attribute__((noinline)) bool all_finite(const uint8_t *in, size_t len,
                                                 enum trit_dtype dtype)
{
    const vf zero = vf_splat(0.0f);
    vf top = zero;
    for (size_t i = 0; i < len; i += UNIT) {
        vf w[4];
        load_any(w, in + i * bytes_of(dtype), size_min(len - i, UNIT), dtype);
        for (size_t k = 0; k < 4; k++)
            top = vf_top(top, w[k]);
    }
    return vf_top_of(top) < INFINITY;
}

/* The canonical sum of magnitudes; infinity where one is not finite. */
INLINE double group_sum(const uint8_t *in, size_t len, enum trit_dtype dtype)
{
    /* Sums from here on may hide what is not finite. */
    const double suspicious = dtype == TRIT_F16 ? 0x1p16 : 0x1p128;
    const size_t size = bytes_of(dtype);
    vs sum = vs_zero();
    size_t i = 0;
    for (; i + UNIT <= len; i += UNIT) {
        prefetch_unit(in + i * size, dtype);
        for (size_t k = 0; k < 4; k++)
            sum = vs_add(sum, in + (i + k * LANES) * size, dtype);
    }
    if (i < len) {
        uint8_t padded[UNIT * 4] = {0};
        memcpy(padded, in + i * size, (len - i) * size);
        for (size_t k = 0; k < 4; k++)
            sum = vs_add(sum, padded + k * LANES * size, dtype);
    }
    const double total = vs_total(sum, dtype);
    if (!(total < suspicious) && !all_finite(in, len, dtype))
        return INFINITY;
    return total;
}

static double group_sum_any(const uint8_t *in, size_t len, enum trit_dtype dtype)
{
    if (dtype == TRIT_F32)
        return group_sum(in, len, TRIT_F32);
    if (dtype == TRIT_F16)
        return group_sum(in, len, TRIT_F16);
    return group_sum(in, len, TRIT_BF16);
}

/* ---- sums for reports ------------------------------------------------------------- */

struct sums {
    vd energy, error, dot, norm;
};

INLINE struct sums sums_zero(void)
{
    return (struct sums){vd_zero(), vd_zero(), vd_zero(), vd_zero()};
}

INLINE void sums_add(struct sums *sums, const vf w[4], const vf v[4])
{
    for (size_t k = 0; k < 4; k++) {
        vd a = vd_widen(w[k]), b = vd_widen(v[k]), d = vd_sub(a, b);
        sums->energy = vd_add(sums->energy, vd_mul(a, a));
        sums->error = vd_add(sums->error, vd_mul(d, d));
        sums->dot = vd_add(sums->dot, vd_mul(a, b));
        sums->norm = vd_add(sums->norm, vd_mul(b, b));
    }
}

INLINE struct group_sums sums_total(const struct sums *sums)
{
    return (struct group_sums){vd_total(sums->energy), vd_total(sums->error),
                               vd_total(sums->dot), vd_total(sums->norm)};
}

static void count_non_finite(const uint8_t *in, size_t len, size_t element,
                             struct ternary_counts *counts, enum trit_dtype dtype)
{
    for (size_t i = 0; i < len; i += UNIT) {
        float w[UNIT];
        vf unit[4];
        load_any(unit, in + i * bytes_of(dtype), size_min(len - i, UNIT), dtype);
        floats_of(w, unit);
        for (size_t k = 0; k < UNIT; k++)
            if (!isfinite(w[k]) && counts->non_finite++ == 0)
                counts->first_non_finite = element + i + k;
    }
}

/* In this order: each uses what is above it. */
/* clang-format off */
#include "kernels/body_pack.h"
#include "kernels/body_ternarize.h"
#include "kernels/body_verify.h"
#include "kernels/body_unpack.h"
/* clang-format on */
