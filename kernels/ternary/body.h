/* SPDX-License-Identifier: Apache-2.0 */
/* The ternary algorithms, written once for all ISAs and element types. An ISA file defines
 * the vocabulary listed here, includes this file, and exports the table kernels_<isa>.
 * The numeric contract and its proofs are in NUMERICS.md.
 *
 * A *unit* is 64 elements of one group. The *key* of an element is its bits without the
 * sign, in the element's own width. Keys order as magnitudes do, so elements are compared
 * without widening them.
 *
 * Names marked with * exist for each element type, with _f32, _f16 or _bf16 at their end;
 * templates write them without it (simd/typed.h).
 *
 * In vectors.h and typed_units.h, for every ISA, in compiler vectors of VECTOR_BYTES:
 *   f32x16, f64x16              16 elements
 *   abs_sum                     a running sum of magnitudes
 *   keyv*                       a vector of keys, or of elements' bits with their signs
 *   unit*                       64 elements as they are in memory
 *   thresholds*                 a group's keys in every lane: half, low, high, s
 *   thresholds_of*(keys, g)
 *
 * Comparisons, in vector_masks.h and typed_masks.h for all ISAs but AVX-512:
 *   mask64*                     64 booleans
 *   residue                     bits that are all 0 in an exactly ternary group
 *   found_count                 a count of elements
 *   near_count                  a count of elements near the threshold
 *   unit_above_half_scale*(u, k)    key > half
 *   unit_dequantize*(u, k)          key > half ? s : 0, with the element's sign
 *   unit_equals_scale*(u, k)        key == s
 *   residue_zero(), residue_add*(x, u, m, k)   adds the keys where m is false
 *   near_count_add*(n, u, k)        adds elements with low <= key <= high
 *   near_count_total(n)
 *   unit_key_where*(u, m, i)        the i-th vector of keys where m is true, else 0
 *   found_zero(), found_add*(c, m), found_total*(c)   counts m: at most SURVEY_MAX
 *   equality                    whether all elements compared so far are equal in value
 *   equality_all(), equality_add(e, u, v), equality_holds(e)   u and v: units of f32
 *
 * Each ISA defines, in simd/<isa>_*.h and in its own file:
 *   codes64                     64 codes t + 1
 *   sign_tally                  a count of codes by sign
 *   unit_stream*(p, u)          stores past the caches; p is 64-byte aligned
 *   unit_stream_fence()
 *   unit_encode*(u, m, k)       codes: 1; where m is true 2, or 0 for negative elements
 *   unit_reduce_unions*(to, from)   combines what unit_store_keys stored: the union of the
 *                               bits of each group's keys
 *   residue_none(x)             true where all bits are 0
 *   u64v_join(p, stride, bytes) a vector of parts of so many bytes, 16 or 32 and fewer than
 *                               its own, that are `stride` apart
 *   codes64_load(p), codes64_store(p, c)  as bytes
 *   codes64_store_trits(p, c)   as bytes, minus 1
 *   codes64_pack_2bit(p, c)     16 bytes of 2-bit codes, least significant first
 *   sign_tally_add(t, c)        adds codes
 *   sign_tally_add_unit*(t, u, m, k)   adds the codes that unit_encode would give
 *   sign_tally_counts(t, ...)   negatives and positives
 *   f32x16_load*, f32x16_store* 16 elements, widened to f32; narrowed to nearest even
 *                               (to bf16 only values that bf16 holds)
 *   beyond_sum                  the sum and the number of magnitudes beyond a bar, for all
 *   beyond_sum_zero(), beyond_sum_add(b, lanes, bar), beyond_sum_count(b)   16 at a time
 *   lane_totals(to, from)       the canonical totals of groups' lanes in their order
 *   f32v_round_to_f16(v)        v rounded to f16 and widened again
 *   f64v_widen_low(v), f64v_widen_high(v)    half of a vector of f32 as f64
 *   f32v_narrow(low, high)      two vectors of f64 as f32
 *   abs_sum_add*(s, p)          adds the magnitudes of 16 elements (typed_sums.h)
 *   abs_sum_reduce*(to, from)   reduces what abs_sum_store stored by the canonical tree.
 *                               Where an element is not finite, the total is not finite
 *                               or at least SUM_FINITE.
 *   VOCABULARY                  the header of the names marked with *
 *
 * An ISA may define SURVEYS as 1, and then, for a block (body_survey.h):
 *   survey, SURVEY_UNITS        what is kept of a block; most units in one
 *   survey_detail               SURVEY_CODES: only what codes need; SURVEY_NEAR: also what
 *                               is near the threshold; SURVEY_SUMS: also sums, of f32 or,
 *                               SURVEY_INTEGERS, of integers
 *   survey_find_factors(s, half)   before a survey with SURVEY_INTEGERS
 *   survey_group*(s, g, units, p, singles, keys, detail)   surveys group g; for sums,
 *                               `singles` are the magnitudes of f32, as f32
 *   survey_end(s, units)        after the last group of a block of so many units
 *   survey_totals(to, s, two)   of each group, the sum beyond the threshold, `two`:
 *                               of two parts
 *   survey_integer_totals(to, s, half)   the same of integers
 *   survey_count(s, units, tally, near, found, detail)   adds all counts; of each unit,
 *                               how many elements are beyond the threshold
 *   survey_codes(s, u)          the codes of unit u
 *   survey_pack(s, units)       the block's 2-bit codes, in s->codes
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
#include "kernels/simd/typed.h"
#include "kernels/ternary/packing.h"
#include "kernels/ternary/table.h"
#include "kernels/ternary/typed_names.h"

#define TEMPLATE VOCABULARY
#include "kernels/simd/each_type.h"

#define ALWAYS_INLINE static inline __attribute__((always_inline))
/* An ISA file may leave code that is not hot to the compiler. */
#ifndef INLINE
#define INLINE ALWAYS_INLINE
#endif

INLINE size_t size_min(size_t a, size_t b)
{
    return a < b ? a : b;
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

/* How many groups are summed side by side. */
enum { NEIGHBOURS = VECTOR_BYTES > 32 ? 1 : 2 };

/* The policy for a run that is in L2. */
static const struct prefetch_policy in_l2 = {
    .near = true, .turn_groups = VECTOR_BYTES > 32 ? 2 : BLOCK_GROUPS};

/* `policy` as loops are compiled for it: a constant but for its distance. */
ALWAYS_INLINE struct prefetch_policy policy_as(struct prefetch_policy policy, bool near)
{
    return (struct prefetch_policy){.ahead_bytes = policy.ahead_bytes, .near = near};
}

/* ---- units of f32 ------------------------------------------------------------------ */

INLINE unit_f32 unit_of_f32x16(const f32x16 v[4])
{
    unit_f32 u;
    for (size_t i = 0; i < UNIT_VECTORS_f32; i++)
        u.r[i] = (keyv_f32)v[i / WIDE_VECTORS].v[i % WIDE_VECTORS];
    return u;
}

INLINE f32x16 f32x16_of_unit(unit_f32 u, size_t k)
{
    f32x16 v;
    for (size_t i = 0; i < WIDE_VECTORS; i++)
        v.v[i] = (f32v)u.r[k * WIDE_VECTORS + i];
    return v;
}

INLINE void floats_of(float to[UNIT], unit_f32 u)
{
    unit_store_f32((uint8_t *)to, u);
}

INLINE unit_f32 of_floats(const float from[UNIT])
{
    return unit_load_f32((const uint8_t *)from);
}

/* 0 equals -0. */
INLINE equality equality_add(equality e, unit_f32 u, unit_f32 v)
{
    for (size_t i = 0; i < UNIT_VECTORS_f32; i++)
        e = equality_add_vector(e, (f32v)u.r[i], (f32v)v.r[i]);
    return e;
}

/* ---- codes and tallies ------------------------------------------------------------- */

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

struct tally {
    sign_tally codes;
    near_count near;
    size_t seen, elements; /* with and without padding to whole units */
};

INLINE struct tally tally_zero(void)
{
    return (struct tally){sign_tally_zero(), near_count_zero(), 0, 0};
}

/* A local copy, because stores may alias the original: no more of it than is counted. */
INLINE struct tally tally_copy(const struct tally *from, enum tally_detail detail)
{
    struct tally tally = tally_zero();
    if (detail != TALLY_NONE)
        tally.codes = from->codes;
    if (detail == TALLY_ALL)
        tally.near = from->near;
    return tally;
}

INLINE void tally_return(struct tally *to, const struct tally *tally,
                         enum tally_detail detail)
{
    if (detail == TALLY_NONE)
        return;
    to->codes = tally->codes;
    to->seen += tally->seen;
    to->elements += tally->elements;
    if (detail == TALLY_ALL)
        to->near = tally->near;
}

/* Adds the codes that were counted; returns how many are nonzero. */
INLINE uint64_t tally_end_codes(const struct tally *tally, struct ternary_counts *counts)
{
    uint64_t negatives, positives;
    sign_tally_counts(tally->codes, tally->seen, &negatives, &positives);
    counts->negatives += negatives;
    counts->positives += positives;
    counts->zeros += tally->elements - negatives - positives;
    return negatives + positives;
}

INLINE void tally_end(const struct tally *tally, struct ternary_counts *counts,
                      uint64_t *nonzeros)
{
    const uint64_t found = tally_end_codes(tally, counts);
    counts->near_threshold += near_count_total(tally->near);
    if (nonzeros)
        *nonzeros = found;
}

/* ---- latents of any type ----------------------------------------------------------- */

struct scales;

typedef unit_f32 load_fn(const uint8_t *in, size_t n);

/* What a verification asks of the latents, whose type is not that of the claim. */
struct element_type {
    size_t bytes;
    load_fn *load;
    void (*sum)(double sums[BLOCK_GROUPS], const uint8_t *in, size_t count, size_t len);
    void (*list_non_finite)(const uint8_t *in, size_t len, size_t element,
                            struct occurrences *to);
    void (*round_scales)(struct scales *to);
};

/* In this order: each part uses what is above it. */
/* clang-format off */
#include "kernels/ternary/body_scales.h"
#define TEMPLATE "kernels/ternary/typed_elements.h"
#include "kernels/simd/each_type.h"
#include "kernels/ternary/body_sums.h"
#include "kernels/ternary/body_pack.h"
#include "kernels/ternary/body_emit.h"
#include "kernels/ternary/body_survey.h"
#define TEMPLATE "kernels/ternary/typed_ternarize.h"
#include "kernels/simd/each_type.h"
#include "kernels/ternary/body_fields.h"
#include "kernels/ternary/body_verify.h"
#include "kernels/ternary/body_verify_packed.h"
#include "kernels/ternary/body_unpack.h"
#include "kernels/ternary/body_flips.h"
#define TEMPLATE "kernels/ternary/typed_verify.h"
#include "kernels/simd/each_type.h"
#define TEMPLATE "kernels/ternary/typed_unpack.h"
#include "kernels/simd/each_type.h"
/* clang-format on */

#define EACH_TYPE(operation)                                                             \
    {                                                                                    \
        [TRIT_F32] = operation##_f32, [TRIT_F16] = operation##_f16,                      \
        [TRIT_BF16] = operation##_bf16                                                   \
    }
#define KERNELS_TABLE(isa)                                                               \
    {                                                                                    \
        isa, EACH_TYPE(ternarize_groups), EACH_TYPE(verify_dense_groups),                \
            verify_packed_groups, EACH_TYPE(unpack_groups), count_flips                  \
    }
