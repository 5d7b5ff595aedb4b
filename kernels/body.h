/* The algorithms, once for all ISAs. An ISA file defines a vocabulary (below),
 * includes this file and exports kernels_<isa>. The numeric contract and its
 * proofs: README.md.
 *
 * A *unit* is 64 elements. Its *keys* are the elements' bits without their sign, in
 * their own width: they order as the magnitudes do, so nothing is widened to compare.
 *   vu                      a unit as it stands in memory, f32, f16 or bf16
 *   vk                      a group's keys: half, low, high, s; vk_of(keys, g, dtype)
 *   vm                      64 booleans
 *   vc                      64 codes, t + 1
 *   vt, vn                  tallies: of codes, of elements near the threshold
 *   vf, vd, vs              16 f32; 16 f64; a sum of magnitudes
 *
 *   vu_load(p, dtype), vu_store(p, u, dtype); any alignment
 *   vu_stream(p, u, dtype)  past the caches; p is 64-byte aligned; vu_fence
 *   vu_of(v), vf_at(u, k)   from four vf; a quarter of a unit of f32
 *   vu_beyond(u, k, dtype)  key > half
 *   vu_dense(u, m, k, dtype)    m ? s : 0, with the element's sign
 *   vu_exact(u, k, dtype)   every key is s or 0
 *   vu_top(acc, u, dtype)   lanewise the larger key; vu_top_of: the largest, as f32
 *   vu_codes(u, m, k, dtype)    1; beyond: 2, or 0 where negative
 *   vc_load, vc_store       as bytes; vc_trits: bytes less one
 *   vc_pack2(p, c)          16 bytes of 2-bit codes, least significant first
 *   vt_add(t, c)            codes seen; vt_counts: negatives and positives among them
 *   vn_add(n, u, k, dtype)  n + how many have low <= key <= high; vn_total
 *   vf_load, vf_store       16 elements, widened; narrowed to nearest even, to bf16 only
 *                           what it holds
 *   vd_zero, vd_widen, vd_add, vd_sub, vd_mul
 *   vd_total(acc)           the canonical tree: +8, +4, +2, +1
 *   vs_zero, vs_add(s, p, dtype)  s + the magnitudes of 16 elements
 *   vs_keep(to, s)          for vs_totals(to, from, dtype), the canonical tree of a
 *                           block's sums. Where an element is not finite, neither is
 *                           the total, or it is at least 2^128 (2^16 for f16)
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
INLINE vu load_unit(const uint8_t *in, size_t n, enum trit_dtype dtype)
{
    uint8_t padded[UNIT * 4];
    if (n >= UNIT)
        return vu_load(in, dtype);
    memset(padded, 0, sizeof padded);
    memcpy(padded, in, n * bytes_of(dtype));
    return vu_load(padded, dtype);
}

INLINE void store_unit(uint8_t *out, vu u, size_t n, enum trit_dtype dtype)
{
    uint8_t padded[UNIT * 4];
    if (n >= UNIT) {
        vu_store(out, u, dtype);
        return;
    }
    vu_store(padded, u, dtype);
    memcpy(out, padded, n * bytes_of(dtype));
}

/* The same widened to f32. */
INLINE vu load_wide(const uint8_t *in, size_t n, enum trit_dtype dtype)
{
    const size_t size = bytes_of(dtype);
    uint8_t padded[UNIT * 4];
    vf w[4];
    if (n < UNIT) {
        memset(padded, 0, sizeof padded);
        memcpy(padded, in, n * size);
        in = padded;
    }
    for (size_t k = 0; k < 4; k++)
        w[k] = vf_load(in + k * LANES * size, dtype);
    return vu_of(w);
}

/* And where the type is not known to the compiler: off the hot paths. */
static __attribute__((noinline)) vu load_any(const uint8_t *in, size_t n,
                                             enum trit_dtype dtype)
{
    if (dtype == TRIT_F32)
        return load_wide(in, n, TRIT_F32);
    if (dtype == TRIT_F16)
        return load_wide(in, n, TRIT_F16);
    return load_wide(in, n, TRIT_BF16);
}

/* A unit of f32, narrowed. */
INLINE void store_narrow(uint8_t *out, vu u, size_t n, enum trit_dtype dtype)
{
    const size_t size = bytes_of(dtype);
    uint8_t padded[UNIT * 4];
    uint8_t *to = n < UNIT ? padded : out;
    for (size_t k = 0; k < 4; k++)
        vf_store(to + k * LANES * size, vf_at(u, k), dtype);
    if (n < UNIT)
        memcpy(out, padded, n * size);
}

INLINE void prefetch_unit(const uint8_t *in, enum trit_dtype dtype)
{
    for (size_t ahead = 0; ahead < UNIT * bytes_of(dtype); ahead += 64)
        __builtin_prefetch(in + AHEAD_BYTES + ahead);
}

INLINE void floats_of(float to[UNIT], vu u)
{
    vu_store((uint8_t *)to, u, TRIT_F32);
}

INLINE vu of_floats(const float from[UNIT])
{
    return vu_load((const uint8_t *)from, TRIT_F32);
}

INLINE void store_codes(uint8_t *out, vc codes, size_t n)
{
    uint8_t packed[PACKED_BYTES];
    if (n >= UNIT) {
        vc_pack2(out, codes);
        return;
    }
    vc_pack2(packed, codes);
    memcpy(out, packed, code_bytes(n));
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
    struct keys keys;         /* the same to compare elements with */
};

/* Half of s, rounded down: |w| > half is then |w|+|w| > s for every s, also where
 * half of a subnormal is no f32. Nothing exceeds the half of s = 0. */
INLINE void find_thresholds(struct scales *to, bool near)
{
    const uint32_t never = 0x7f800000u; /* infinity */
    const size_t count = to->count;
    for (size_t i = 0; i < count; i++) {
        const float s = to->s[i], half = 0.5f * s;
        const uint32_t bits = float_bits(half) - (uint32_t)(half + half > s);
        to->half[i] = float_of_bits(s > 0.0f ? bits : never);
    }
    for (size_t i = 0; near && i < count; i++) {
        const float s = to->s[i];
        const double low = 0.475 * (double)s, high = 0.525 * (double)s;
        const uint32_t low_bits = float_bits((float)low) + ((double)(float)low < low);
        const uint32_t high_bits = float_bits((float)high) - ((double)(float)high > high);
        const bool some = s > 0.0f && low_bits <= high_bits; /* not so for s = 2^-149 */
        to->low[i] = float_of_bits(some ? low_bits : never);
        to->high[i] = float_of_bits(some ? high_bits : never);
    }
}

/* The scales as f16, rounded once. */
INLINE void find_f16(struct scales *to)
{
    vf_store((uint8_t *)to->f16, vf_load((const uint8_t *)to->s, TRIT_F32), TRIT_F16);
}

/* The scales as `dtype` holds them, rounded once. */
INLINE void find_kept(struct scales *to, enum trit_dtype dtype)
{
    const size_t count = to->count;
    if (dtype == TRIT_F16)
        vf_store((uint8_t *)to->kept, vf_load((const uint8_t *)to->f16, TRIT_F16),
                 TRIT_F32);
    else if (dtype == TRIT_BF16)
        for (size_t i = 0; i < count; i++)
            to->kept[i] = bf16_widen(bf16_narrow(to->s[i]));
    else
        memcpy(to->kept, to->s, sizeof to->kept);
}

/* The largest f16 that is no larger, or the smallest that is no smaller. */
INLINE void bound_f16(uint32_t to[BLOCK_GROUPS], const float from[BLOCK_GROUPS],
                      size_t count, bool up)
{
    uint16_t nearest[BLOCK_GROUPS];
    float back[BLOCK_GROUPS];
    vf_store((uint8_t *)nearest, vf_load((const uint8_t *)from, TRIT_F32), TRIT_F16);
    vf_store((uint8_t *)back, vf_load((const uint8_t *)nearest, TRIT_F16), TRIT_F32);
    for (size_t i = 0; i < count; i++)
        to[i] = up ? nearest[i] + (uint32_t)(back[i] < from[i])
                   : nearest[i] - (uint32_t)(back[i] > from[i]);
}

/* The same of bf16, whose bits are the upper half of an f32's. */
INLINE void bound_bf16(uint32_t to[BLOCK_GROUPS], const float from[BLOCK_GROUPS],
                       size_t count, bool up)
{
    for (size_t i = 0; i < count; i++)
        to[i] = (float_bits(from[i]) + (up ? 0xffffu : 0)) >> 16;
}

INLINE void bound(uint32_t to[BLOCK_GROUPS], const float from[BLOCK_GROUPS], size_t count,
                  bool up, enum trit_dtype dtype)
{
    if (dtype == TRIT_F32)
        memcpy(to, from, BLOCK_GROUPS * sizeof to[0]);
    else if (dtype == TRIT_F16)
        bound_f16(to, from, count, up);
    else
        bound_bf16(to, from, count, up);
}

/* Thresholds and kept scales as keys; 16-bit keys stand twice in their 32 bits. An
 * element of the type exceeds a threshold where it exceeds the threshold rounded down. */
INLINE void find_keys(struct scales *to, enum trit_dtype dtype, bool near)
{
    const uint32_t never = dtype == TRIT_F16 ? 0x7c00 : 0x7f80; /* infinity */
    const size_t count = to->count;
    struct keys *keys = &to->keys;
    bound(keys->half, to->half, count, false, dtype);
    bound(keys->s, to->kept, count, false, dtype);
    if (near) {
        bound(keys->low, to->low, count, true, dtype);
        bound(keys->high, to->high, count, false, dtype);
    }
    if (dtype == TRIT_F32)
        return;
    for (size_t i = 0; i < count; i++) {
        keys->half[i] *= 0x10001;
        keys->s[i] *= 0x10001;
    }
    for (size_t i = 0; near && i < count; i++) {
        const bool some = keys->low[i] <= keys->high[i];
        keys->low[i] = (some ? keys->low[i] : never) * 0x10001;
        keys->high[i] = (some ? keys->high[i] : never) * 0x10001;
    }
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

/* ---- sums of magnitudes ------------------------------------------------------------ */

/* Out of line: inlined, its loads would keep the sum's alive. */
static __attribute__((noinline)) bool all_finite(const uint8_t *in, size_t len,
                                                 enum trit_dtype dtype)
{
    const float zero[UNIT] = {0};
    vu top = of_floats(zero);
    for (size_t i = 0; i < len; i += UNIT)
        top = vu_top(top, load_any(in + i * bytes_of(dtype), size_min(len - i, UNIT), dtype),
                     TRIT_F32);
    return vu_top_of(top, TRIT_F32) < INFINITY;
}

INLINE vs sum_group(const uint8_t *in, size_t len, enum trit_dtype dtype)
{
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
    return sum;
}

/* The canonical sums of a block's groups; infinity where one is not finite. Returns
 * whether all are finite. */
INLINE bool sum_groups(double sums[BLOCK_GROUPS], const uint8_t *in, size_t count,
                       size_t len, enum trit_dtype dtype)
{
    /* Sums from here on may hide what is not finite. */
    const double suspicious = dtype == TRIT_F16 ? 0x1p16 : 0x1p128;
    const size_t bytes = len * bytes_of(dtype);
    struct partial partials[BLOCK_GROUPS];
    uint32_t suspects = 0;
    bool finite = true;
    for (size_t g = 0; g < count; g++)
        vs_keep(&partials[g], sum_group(in + g * bytes, len, dtype));
    memset(partials + count, 0, (BLOCK_GROUPS - count) * sizeof partials[0]);
    vs_totals(sums, partials, dtype);
    for (size_t g = 0; g < count; g++)
        suspects += !(sums[g] < suspicious);
    for (size_t g = 0; suspects > 0 && g < count; g++)
        if (!(sums[g] < suspicious) && !all_finite(in + g * bytes, len, dtype)) {
            sums[g] = INFINITY;
            finite = false;
        }
    return finite;
}

static bool sum_groups_any(double sums[BLOCK_GROUPS], const uint8_t *in, size_t count,
                           size_t len, enum trit_dtype dtype)
{
    if (dtype == TRIT_F32)
        return sum_groups(sums, in, count, len, TRIT_F32);
    if (dtype == TRIT_F16)
        return sum_groups(sums, in, count, len, TRIT_F16);
    return sum_groups(sums, in, count, len, TRIT_BF16);
}

/* ---- sums for reports ------------------------------------------------------------- */

struct sums {
    vd energy, error, dot, norm;
};

INLINE struct sums sums_zero(void)
{
    return (struct sums){vd_zero(), vd_zero(), vd_zero(), vd_zero()};
}

/* Of units of f32. */
INLINE void sums_add(struct sums *sums, vu w, vu v)
{
    for (size_t k = 0; k < 4; k++) {
        vd a = vd_widen(vf_at(w, k)), b = vd_widen(vf_at(v, k)), d = vd_sub(a, b);
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
        floats_of(w, load_any(in + i * bytes_of(dtype), size_min(len - i, UNIT), dtype));
        for (size_t k = 0; k < UNIT; k++)
            if (!isfinite(w[k]) && counts->non_finite++ == 0)
                counts->first_non_finite = element + i + k;
    }
}

/* ---- tallies ----------------------------------------------------------------------- */

struct tally {
    vt codes;
    vn near;
    size_t seen, elements; /* with and without padding to whole units */
};

INLINE struct tally tally_zero(void)
{
    return (struct tally){vt_zero(), vn_zero(), 0, 0};
}

INLINE void tally_end(const struct tally *tally, struct ternary_counts *counts,
                      uint64_t *nonzeros)
{
    uint64_t negatives, positives;
    vt_counts(tally->codes, tally->seen, &negatives, &positives);
    counts->negatives += negatives;
    counts->positives += positives;
    counts->zeros += tally->elements - negatives - positives;
    counts->near_threshold += vn_total(tally->near);
    if (nonzeros)
        *nonzeros = negatives + positives;
}

/* In this order: each uses what is above it. */
/* clang-format off */
#include "kernels/body_pack.h"
#include "kernels/body_ternarize.h"
#include "kernels/body_verify.h"
#include "kernels/body_unpack.h"
/* clang-format on */
