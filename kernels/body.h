/* The algorithms, once for all ISAs. An ISA file defines a vocabulary (below),
 * includes this file and exports kernels_<isa>. The numeric contract and its
 * proofs: README.md.
 *
 * A *unit* is 64 elements. Its *keys* are the elements' bits without their sign, in
 * their own width: they order as the magnitudes do, so nothing is widened to compare.
 *   vu, vk                  a unit as it stands in memory, f32, f16 or bf16; a group's
 *                           keys: half, low, high, s; vk_of(keys, g, dtype)
 *   vf, vd, vs              16 f32; 16 f64; a sum of magnitudes
 * and what is done with them is vectors.h's, for every machine, in vectors of
 * VECTOR_BYTES.
 *
 * Comparisons, vector_masks.h's but for AVX-512:
 *   vm                      64 booleans
 *   vx                      bits that should be 0
 *   vn                      a tally of elements near the threshold
 *   vu_beyond(u, k, dtype)  key > half
 *   vu_dense(u, k, dtype)   key > half ? s : 0, with the element's sign
 *   vu_is(u, k, dtype)      key == s
 *   vx_zero, vx_add(x, u, m, k, dtype)  x, and the keys where not m
 *   vn_add(n, u, k, dtype)  n + how many have low <= key <= high; vn_total
 *
 * The ISA's own:
 *   vc, vt                  64 codes, t + 1; a tally of them
 *   vu_stream(p, u, dtype)  past the caches; p is 64-byte aligned; vu_fence
 *   vx_none(x)              all are 0
 *   fv_as_f16(v)            v rounded to f16, widened again
 *   vu_unions(to, from, dtype)  of what vu_keep left, the bits of each group's keys
 *   vu_codes(u, m, k, dtype)    1; beyond: 2, or 0 where negative
 *   vc_load, vc_store       as bytes; vc_trits: bytes less one
 *   vc_pack2(p, c)          16 bytes of 2-bit codes, least significant first
 *   vt_add(t, c)            codes seen; vt_see(t, u, m, k, dtype): those of vu_codes;
 *                           vt_counts: negatives and positives among them
 *   vf_load, vf_store       16 elements, widened; narrowed to nearest even, to bf16 only
 *                           what it holds
 *   dv_low(v), dv_high(v)   half of a vector of f32, widened; fv_of(low, high)
 *   vs_add(s, p, dtype)     s + the magnitudes of 16 elements; all but NEON's are
 *                           vector_sums.h's
 *   vs_totals(to, from, limit, dtype)  of what vs_keep left, the canonical tree of a
 *                           block's sums. Where an element is not finite, neither is the
 *                           total, or it is at least 2^128 (2^16 for f16)
 */
#include <assert.h>
#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/cpu.h"
#include "kernels/half.h"
#include "kernels/packing.h"
#include "kernels/table.h"

#define ALWAYS_INLINE static inline __attribute__((always_inline))
/* What is not hot a vocabulary may leave to the compiler. */
#ifndef INLINE
#define INLINE ALWAYS_INLINE
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

/* Half the lines of a unit's bytes, from what another pass will read: `offset` of them
 * are behind this unit. */
INLINE void prefetch_half(const uint8_t *ahead, size_t offset, enum trit_dtype dtype)
{
    for (size_t line = 0; line < UNIT * bytes_of(dtype) / 2; line += 64)
        __builtin_prefetch(ahead + offset / 2 + line, 0, 2);
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

/* Of a run that is in L2. */
static const struct cpu_reach in_l2 = {0, true, 0};

/* Far ahead into L2, not L1: there the lines in flight would take the buffers that
 * streaming stores need. */
INLINE void prefetch_unit(const uint8_t *in, struct cpu_reach reach,
                          enum trit_dtype dtype)
{
    for (size_t line = 0; line < UNIT * bytes_of(dtype); line += 64) {
        if (reach.ahead_bytes)
            __builtin_prefetch(in + reach.ahead_bytes + line, 0, 2);
        if (reach.near)
            __builtin_prefetch(in + NEAR_BYTES + line, 0, 3);
    }
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

/* clang-format off */
#include "kernels/body_scales.h"
/* clang-format on */

/* ---- sums of magnitudes ------------------------------------------------------------ */

/* Out of line: inlined, its loads would keep the sum's alive. */
static __attribute__((noinline)) bool all_finite(const uint8_t *in, size_t len,
                                                 enum trit_dtype dtype)
{
    uint32_t finite = 1;
    for (size_t i = 0; i < len; i += UNIT) {
        float w[UNIT];
        floats_of(w, load_any(in + i * bytes_of(dtype), size_min(len - i, UNIT), dtype));
        for (size_t k = 0; k < UNIT; k++)
            finite &= fabsf(w[k]) < INFINITY;
    }
    return finite;
}

/* Of `width` neighbouring groups: their sums do not wait for one another. */
ALWAYS_INLINE void sum_neighbours(struct partial *to, size_t width, const uint8_t *in,
                                  size_t len, struct cpu_reach reach,
                                  enum trit_dtype dtype)
{
    const size_t size = bytes_of(dtype), bytes = len * size, whole = len / UNIT * UNIT;
    vs sums[NEIGHBOURS];
    for (size_t g = 0; g < width; g++)
        sums[g] = vs_zero();
    for (size_t i = 0; i < whole; i += UNIT)
        for (size_t g = 0; g < width; g++) {
            const uint8_t *unit = in + g * bytes + i * size;
            prefetch_unit(unit, reach, dtype);
            for (size_t k = 0; k < 4; k++)
                sums[g] = vs_add(sums[g], unit + k * LANES * size, dtype);
        }
    for (size_t g = 0; whole < len && g < width; g++) {
        uint8_t padded[UNIT * 4] = {0};
        memcpy(padded, in + g * bytes + whole * size, bytes - whole * size);
        for (size_t k = 0; k < 4; k++)
            sums[g] = vs_add(sums[g], padded + k * LANES * size, dtype);
    }
    for (size_t g = 0; g < width; g++)
        vs_keep(&to[g], sums[g]);
}

/* The lanes of `count` groups' sums. */
ALWAYS_INLINE void sum_groups_as(struct partial *to, const uint8_t *in, size_t count,
                                 size_t len, struct cpu_reach reach,
                                 enum trit_dtype dtype)
{
    const size_t bytes = len * bytes_of(dtype);
    size_t g = 0;
    for (; g + NEIGHBOURS <= count; g += NEIGHBOURS)
        sum_neighbours(&to[g], NEIGHBOURS, in + g * bytes, len, reach, dtype);
    for (; g < count; g++)
        sum_neighbours(&to[g], 1, in + g * bytes, len, reach, dtype);
}

static __attribute__((noinline)) void sum_groups(struct partial *to, const uint8_t *in,
                                                 size_t count, size_t len,
                                                 struct cpu_reach reach,
                                                 enum trit_dtype dtype)
{
    if (dtype == TRIT_F32)
        sum_groups_as(to, in, count, len, reach, TRIT_F32);
    else if (dtype == TRIT_F16)
        sum_groups_as(to, in, count, len, reach, TRIT_F16);
    else
        sum_groups_as(to, in, count, len, reach, TRIT_BF16);
}

/* The canonical sums of a block's groups, whose lanes are in `partials`; infinity where
 * one is not finite, and then `below` is false. */
INLINE struct totals total_groups(double sums[BLOCK_GROUPS],
                                  const struct partial *partials, const uint8_t *in,
                                  size_t count, size_t len, enum trit_dtype dtype)
{
    /* Sums from here on may hide what is not finite. */
    const double suspicious = dtype == TRIT_F16 ? 0x1p16 : 0x1p128;
    const size_t bytes = len * bytes_of(dtype);
    struct totals totals = vs_totals(sums, partials, suspicious, dtype);
    totals.zeros &= (1u << count) - 1;
    if (totals.below)
        return totals;
    totals.below = true;
    for (size_t g = 0; g < count; g++)
        if (!(sums[g] < suspicious) && !all_finite(in + g * bytes, len, dtype)) {
            sums[g] = INFINITY;
            totals.below = false;
        }
    return totals;
}

/* Adds those of a group's elements that are not finite; `element` is the index of its
 * first. */
static void find_non_finite(const uint8_t *in, size_t len, size_t element,
                            struct occurrences *to, enum trit_dtype dtype)
{
    for (size_t i = 0; i < len; i += UNIT) {
        float w[UNIT];
        floats_of(w, load_any(in + i * bytes_of(dtype), size_min(len - i, UNIT), dtype));
        for (size_t k = 0; k < UNIT; k++)
            if (!isfinite(w[k]))
                occurrences_count(to, element + i + k);
    }
}

static void count_non_finite(const uint8_t *in, size_t len, size_t element,
                             struct ternary_counts *counts, enum trit_dtype dtype)
{
    struct occurrences found = {counts->non_finite, counts->first_non_finite};
    find_non_finite(in, len, element, &found, dtype);
    counts->non_finite = found.count;
    counts->first_non_finite = found.first;
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
#include "kernels/body_sums.h"
#include "kernels/body_pack.h"
#include "kernels/body_ternarize.h"
#include "kernels/body_verify.h"
#include "kernels/body_verify_dense.h"
#include "kernels/body_verify_packed.h"
#include "kernels/body_unpack.h"
/* clang-format on */
