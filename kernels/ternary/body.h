/* SPDX-License-Identifier: Apache-2.0 */
/* The ternary algorithms, written once for all ISAs. An ISA file defines the vocabulary
 * listed here, includes this file, and exports the table kernels_<isa>. The numeric
 * contract and its proofs are in README.md.
 *
 * A *unit* is 64 elements of one group. The *key* of an element is its bits without the
 * sign, in the element's own width. Keys order as magnitudes do, so elements are compared
 * without widening them.
 *
 * In vectors.h, for every ISA, in compiler vectors of VECTOR_BYTES:
 *   unit                        64 elements of f32, f16 or bf16, as they are in memory
 *   thresholds                  a group's keys in every lane: half, low, high, s
 *   thresholds_of(keys, g, dtype)
 *   f32x16, f64x16              16 elements
 *   abs_sum                     a running sum of magnitudes
 *
 * Comparisons. vector_masks.h defines them for all ISAs but AVX-512:
 *   mask64                      64 booleans
 *   residue                     bits that are all 0 in an exactly ternary group
 *   near_count                  a count of elements near the threshold
 *   unit_above_half_scale(u, k, dtype)   key > half
 *   unit_dequantize(u, k, dtype)         key > half ? s : 0, with the element's sign
 *   unit_equals_scale(u, k, dtype)       key == s
 *   residue_zero(), residue_add(x, u, m, k, dtype)   adds the keys where m is false
 *   near_count_add(n, u, k, dtype)       adds elements with low <= key <= high
 *   near_count_total(n)
 *
 * Each ISA defines on its own:
 *   codes64                     64 codes t + 1
 *   sign_tally                  a count of codes by sign
 *   unit_stream(p, u, dtype)    stores past the caches; p is 64-byte aligned
 *   unit_stream_fence()
 *   unit_encode(u, m, k, dtype) codes: 1; where m is true 2, or 0 for negative elements
 *   unit_reduce_unions(to, from, dtype)   combines what unit_store_keys stored: the
 *                               union of the bits of each group's keys
 *   residue_none(x)             true where all bits are 0
 *   codes64_load(p), codes64_store(p, c)  as bytes
 *   codes64_store_trits(p, c)   as bytes, minus 1
 *   codes64_pack_2bit(p, c)     16 bytes of 2-bit codes, least significant first
 *   sign_tally_add(t, c)        adds codes
 *   sign_tally_add_unit(t, u, m, k, dtype)   adds the codes that unit_encode would give
 *   sign_tally_counts(t, ...)   negatives and positives
 *   f32x16_load, f32x16_store   16 elements, widened to f32; narrowed to nearest even
 *                               (to bf16 only values that bf16 holds)
 *   f32v_round_to_f16(v)        v rounded to f16 and widened again
 *   f64v_widen_low(v), f64v_widen_high(v)    half of a vector of f32 as f64
 *   f32v_narrow(low, high)      two vectors of f64 as f32
 *   abs_sum_add(s, p, dtype)    adds the magnitudes of 16 elements (vector_sums.h
 *                               defines it for all ISAs but NEON)
 *   abs_sum_reduce(to, from, limit, dtype)   reduces what abs_sum_store stored by the
 *                               canonical tree. Where an element is not finite, the
 *                               total is not finite or at least 2^128 (2^16 for f16).
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
#include "kernels/ternary/packing.h"
#include "kernels/ternary/table.h"

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
INLINE unit load_unit(const uint8_t *in, size_t n, enum trit_dtype dtype)
{
    uint8_t padded[UNIT * 4];
    if (n >= UNIT)
        return unit_load(in, dtype);
    memset(padded, 0, sizeof padded);
    memcpy(padded, in, n * bytes_of(dtype));
    return unit_load(padded, dtype);
}

INLINE void store_unit(uint8_t *out, unit u, size_t n, enum trit_dtype dtype)
{
    uint8_t padded[UNIT * 4];
    if (n >= UNIT) {
        unit_store(out, u, dtype);
        return;
    }
    unit_store(padded, u, dtype);
    memcpy(out, padded, n * bytes_of(dtype));
}

/* The same widened to f32. */
INLINE unit load_wide(const uint8_t *in, size_t n, enum trit_dtype dtype)
{
    const size_t size = bytes_of(dtype);
    uint8_t padded[UNIT * 4];
    f32x16 w[4];
    if (n < UNIT) {
        memset(padded, 0, sizeof padded);
        memcpy(padded, in, n * size);
        in = padded;
    }
    for (size_t k = 0; k < 4; k++)
        w[k] = f32x16_load(in + k * LANES * size, dtype);
    return unit_of(w);
}

/* And where the type is not known to the compiler: off the hot paths. */
static __attribute__((noinline)) unit load_any(const uint8_t *in, size_t n,
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
INLINE void store_narrow(uint8_t *out, unit u, size_t n, enum trit_dtype dtype)
{
    const size_t size = bytes_of(dtype);
    uint8_t padded[UNIT * 4];
    uint8_t *to = n < UNIT ? padded : out;
    for (size_t k = 0; k < 4; k++)
        f32x16_store(to + k * LANES * size, f32x16_of_unit(u, k), dtype);
    if (n < UNIT)
        memcpy(out, padded, n * size);
}

/* Of a run that is in L2. */
static const struct prefetch_policy in_l2 = {0, true, 0};

/* Far ahead into L2, not L1: there the lines in flight would take the buffers that
 * streaming stores need. */
INLINE void prefetch_unit(const uint8_t *in, struct prefetch_policy reach,
                          enum trit_dtype dtype)
{
    for (size_t line = 0; line < UNIT * bytes_of(dtype); line += 64) {
        if (reach.ahead_bytes)
            __builtin_prefetch(in + reach.ahead_bytes + line, 0, 2);
        if (reach.near)
            __builtin_prefetch(in + NEAR_BYTES + line, 0, 3);
    }
}

INLINE void floats_of(float to[UNIT], unit u)
{
    unit_store((uint8_t *)to, u, TRIT_F32);
}

INLINE unit of_floats(const float from[UNIT])
{
    return unit_load((const uint8_t *)from, TRIT_F32);
}

INLINE void store_codes(uint8_t *out, codes64 codes, size_t n)
{
    uint8_t packed[PACKED_BYTES];
    if (n >= UNIT) {
        codes64_pack_2bit(out, codes);
        return;
    }
    codes64_pack_2bit(packed, codes);
    memcpy(out, packed, code_bytes(n));
}

/* clang-format off */
#include "kernels/ternary/body_scales.h"
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
                                  size_t len, struct prefetch_policy reach,
                                  enum trit_dtype dtype)
{
    const size_t size = bytes_of(dtype), bytes = len * size, whole = len / UNIT * UNIT;
    abs_sum sums[NEIGHBOURS];
    for (size_t g = 0; g < width; g++)
        sums[g] = abs_sum_zero();
    for (size_t i = 0; i < whole; i += UNIT)
        for (size_t g = 0; g < width; g++) {
            const uint8_t *elements = in + g * bytes + i * size;
            prefetch_unit(elements, reach, dtype);
            for (size_t k = 0; k < 4; k++)
                sums[g] = abs_sum_add(sums[g], elements + k * LANES * size, dtype);
        }
    for (size_t g = 0; whole < len && g < width; g++) {
        uint8_t padded[UNIT * 4] = {0};
        memcpy(padded, in + g * bytes + whole * size, bytes - whole * size);
        for (size_t k = 0; k < 4; k++)
            sums[g] = abs_sum_add(sums[g], padded + k * LANES * size, dtype);
    }
    for (size_t g = 0; g < width; g++)
        abs_sum_store(&to[g], sums[g]);
}

/* The lanes of `count` groups' sums. */
ALWAYS_INLINE void sum_groups_as(struct partial *to, const uint8_t *in, size_t count,
                                 size_t len, struct prefetch_policy reach,
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
                                                 struct prefetch_policy reach,
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
    struct totals totals = abs_sum_reduce(sums, partials, suspicious, dtype);
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
    sign_tally codes;
    near_count near;
    size_t seen, elements; /* with and without padding to whole units */
};

INLINE struct tally tally_zero(void)
{
    return (struct tally){sign_tally_zero(), near_count_zero(), 0, 0};
}

INLINE void tally_end(const struct tally *tally, struct ternary_counts *counts,
                      uint64_t *nonzeros)
{
    uint64_t negatives, positives;
    sign_tally_counts(tally->codes, tally->seen, &negatives, &positives);
    counts->negatives += negatives;
    counts->positives += positives;
    counts->zeros += tally->elements - negatives - positives;
    counts->near_threshold += near_count_total(tally->near);
    if (nonzeros)
        *nonzeros = negatives + positives;
}

/* In this order: each uses what is above it. */
/* clang-format off */
#include "kernels/ternary/body_sums.h"
#include "kernels/ternary/body_pack.h"
#include "kernels/ternary/body_ternarize.h"
#include "kernels/ternary/body_verify.h"
#include "kernels/ternary/body_verify_dense.h"
#include "kernels/ternary/body_verify_packed.h"
#include "kernels/ternary/body_unpack.h"
/* clang-format on */
