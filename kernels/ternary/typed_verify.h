/* SPDX-License-Identifier: Apache-2.0 */
/* Part of body.h, a template (simd/typed.h): verification of dense tensors. A group's
 * scale is its largest magnitude. Nearly every group holds only 0 and one magnitude; the
 * bitwise or of its elements, without signs, is then that magnitude. This is tried first.
 * */

/* The largest finite magnitude of a group. */
static float group_top(const uint8_t *in, size_t len)
{
    float tops[UNIT] = {0}, top = 0.0f;
    for (size_t i = 0; i < len; i += UNIT) {
        float w[UNIT];
        floats_of(w, load_wide(in + i * ELEMENT_BYTES, size_min(len - i, UNIT)));
        for (size_t k = 0; k < UNIT; k++) {
            const float a = fabsf(w[k]), finite = a < INFINITY ? a : 0.0f;
            tops[k] = finite > tops[k] ? finite : tops[k];
        }
    }
    for (size_t k = 0; k < UNIT; k++)
        top = tops[k] > top ? tops[k] : top;
    return top;
}

/* ---- groups of 0 and one magnitude ------------------------------------------------- */

ALWAYS_INLINE void keep_union(struct partial *to, const uint8_t *in, size_t len,
                              struct prefetch_policy policy)
{
    unit bits = {{{0}}};
    size_t i = 0;
    for (; i + UNIT <= len; i += UNIT) {
        const uint8_t *elements = in + i * ELEMENT_BYTES;
        if (loads_in_order(policy)) {
            for (size_t k = 0; k < UNIT_VECTORS; k++) {
                KEEP_ORDER();
                bits = unit_union_vector(bits, elements, k);
                prefetch_after(elements, k * VECTOR_BYTES);
            }
        } else {
            prefetch_unit(elements, policy);
            bits = unit_union(bits, unit_load(elements));
        }
    }
    if (i < len)
        bits = unit_union(bits, load_unit(in + i * ELEMENT_BYTES, len - i));
    unit_store_keys(to, bits);
}

ALWAYS_INLINE void keep_each(struct partial *to, const uint8_t *in, size_t count,
                             size_t len, struct prefetch_policy policy)
{
    for (size_t g = 0; g < count; g++)
        keep_union(&to[g], in + g * len * ELEMENT_BYTES, len, policy);
}

/* Stores the unions of `count` groups. What is frequent is compiled with constants. */
static __attribute__((noinline)) void keep_unions(struct partial *to, const uint8_t *in,
                                                  size_t count, size_t len,
                                                  struct prefetch_policy policy)
{
    if (len != FREQUENT_LEN)
        keep_each(to, in, count, len, policy);
    else if (policy.ahead_bytes == 0)
        keep_each(to, in, count, FREQUENT_LEN, in_l2);
    else if (policy.near)
        keep_each(to, in, count, FREQUENT_LEN, policy_as(policy, true));
    else
        keep_each(to, in, count, FREQUENT_LEN, policy_as(policy, false));
}

/* Computes the scales that the groups of a block have if they are exact. */
ALWAYS_INLINE void infer_scales(struct claims *claims, const struct partial *unions)
{
    uint32_t bits[LANES];
    uint16_t half[LANES];
    unit_reduce_unions(bits, unions);
    if (ELEMENT_BYTES == 4) {
        memcpy(claims->scales.s, bits, sizeof(bits));
        return;
    }
    for (size_t i = 0; i < LANES; i++)
        half[i] = (uint16_t)bits[i];
    f32x16_store_f32((uint8_t *)claims->scales.s, f32x16_load((const uint8_t *)half));
}

ALWAYS_INLINE residue tally_unit(const struct claims *claims, size_t g, size_t i,
                                 size_t n, unit w, thresholds keys, residue off,
                                 struct tally *tally, bool coded)
{
    const mask64 is = unit_equals_scale(w, keys);
    off = residue_add(off, w, is, keys); /* first, while the keys are in registers */
    if (coded) {
        claim_codes(claims, g, i, n, unit_encode(w, is, keys), tally);
    } else {
        tally->codes = sign_tally_add_unit(tally->codes, w, is, keys);
        tally->seen += UNIT;
        tally->elements += n;
    }
    return off;
}

/* `coded`, a constant: the codes are asked for. */
ALWAYS_INLINE bool tally_units(const struct claims *claims, size_t g, size_t len,
                               struct tally *tally, bool coded)
{
    const size_t bytes = len * ELEMENT_BYTES;
    const uint8_t *in = (const uint8_t *)claims->job->in + (claims->begin + g) * bytes;
    const thresholds keys = thresholds_of(&claims->scales.keys, g);
    residue off = residue_zero();
    size_t i = 0;
    for (; i + UNIT <= len; i += UNIT) {
        if (VECTOR_BYTES <= 32)
            __asm__(""
                    : "+r"(i)); /* unrolled, two units take more registers than it has */
        off = tally_unit(claims, g, i, UNIT, unit_load(in + i * ELEMENT_BYTES), keys, off,
                         tally, coded);
    }
    if (i < len)
        off =
            tally_unit(claims, g, i, len - i, load_unit(in + i * ELEMENT_BYTES, len - i),
                       keys, off, tally, coded);
    return residue_none(off);
}

/* Tallies a group as if it held only 0 and s. Returns whether it does. Without codes the
 * loop needs half as many registers: it is compiled on its own. */
ALWAYS_INLINE bool tally_exact(const struct claims *claims, size_t g, struct tally *tally)
{
    const size_t len = claims->job->group_len;
    if (claims->job->codes)
        return tally_units(claims, g, len, tally, true);
    return len == FREQUENT_LEN ? tally_units(claims, g, FREQUENT_LEN, tally, false)
                               : tally_units(claims, g, len, tally, false);
}

/* Subtracts what tally_exact counted for a group that is not exact. */
static __attribute__((noinline)) void undo_tally(const struct claims *claims, size_t g)
{
    struct tally tally = tally_zero();
    struct ternary_counts less = {0};
    tally_exact(claims, g, &tally);
    tally_end(&tally, &less, NULL);
    claims->counts->negatives -= less.negatives;
    claims->counts->zeros -= less.zeros;
    claims->counts->positives -= less.positives;
}

/* Checks the groups of a block whose bits are set in `inexact`, and finds their scales.
 * */
static __attribute__((noinline)) void verify_inexact_groups(struct claims *claims,
                                                            uint32_t inexact)
{
    const struct verify_job *job = claims->job;
    const size_t len = job->group_len, bytes = len * ELEMENT_BYTES;
    const size_t count = claims->end - claims->begin;
    for (size_t g = 0; g < count; g++) {
        const uint8_t *in = (const uint8_t *)job->in + (claims->begin + g) * bytes;
        if ((inexact >> g & 1) == 0)
            continue;
        claims->scales.s[g] = group_top(in, len);
        claims->tainted[g] = !all_finite(in, len);
        if (claims->tainted[g])
            count_non_finite(in, len, (claims->begin + g) * len, claims->counts);
    }
    begin_claims(claims);
    find_keys_f32(&claims->scales, false);
    for (size_t g = 0; g < count; g++)
        if (inexact >> g & 1)
            verify_inexact_group(claims, g);
}

/* The keys of scales that infer_scales found. If all elements are 0, none may equal s. */
ALWAYS_INLINE void find_exact_keys(struct claims *claims)
{
    find_keys(&claims->scales, false);
    for (size_t i = 0; i < LANES; i += STEP) {
        const u32v zero = (u32v)(f32v_load(claims->scales.s + i) == 0.0f);
        u32v_store(claims->scales.keys.s + i,
                   u32v_load(claims->scales.keys.s + i) | zero);
    }
}

/* Tallies the groups of a block, and returns those that are not exact. The unions of the
 * next block are computed in turns with that: so reads from memory mix with computing. */
ALWAYS_INLINE uint32_t tally_block(const struct claims *claims, struct unions *unions,
                                   struct tally *tally)
{
    const size_t len = claims->job->group_len, bytes = len * ELEMENT_BYTES;
    const size_t count = claims->end - claims->begin, turn = unions->policy.turn_groups;
    const size_t next_count = size_min(count, claims->job->count - claims->end);
    const uint8_t *next_in = (const uint8_t *)claims->job->in + claims->end * bytes;
    struct partial *next = unions->ring[unions->now ^ 1];
    uint32_t inexact = 0, zeros = 0;
    if (next_count < BLOCK_GROUPS)
        memset(next, 0, sizeof(unions->ring[0]));
    for (size_t k = 0; k < count; k += turn) {
        const size_t stop = size_min(k + turn, count);
        for (size_t g = k; g < stop; g++) {
            const bool exact = tally_exact(claims, g, tally);
            inexact |= (uint32_t)!exact << g;
            zeros += claims->scales.s[g] == 0.0f && exact;
        }
        if (k < next_count)
            keep_unions(&next[k], next_in + k * bytes, size_min(stop, next_count) - k,
                        len, unions->policy);
    }
    claims->counts->zero_groups += zeros;
    return inexact;
}

ALWAYS_INLINE void verify_alone(struct claims *claims, struct unions *unions)
{
    const size_t count = claims->end - claims->begin;
    const struct ternary_counts before = *claims->counts;
    struct tally tally = tally_zero();
    uint32_t inexact;
    infer_scales(claims, unions->ring[unions->now]);
    begin_claims(claims);
    find_exact_keys(claims);
    inexact = tally_block(claims, unions, &tally);
    unions->now ^= 1;
    tally_end(&tally, claims->counts, NULL);
    claims->check->valid +=
        (count - (size_t)__builtin_popcount(inexact)) * claims->job->group_len;
    for (size_t g = 0; inexact && g < count; g++)
        if (inexact >> g & 1)
            undo_tally(claims, g);
    see_trits(claims->check, claims->counts->negatives - before.negatives,
              claims->counts->zeros - before.zeros,
              claims->counts->positives - before.positives);
    if (claims->job->inexact)
        memset(claims->job->inexact + claims->begin, 0, count);
    if (inexact)
        verify_inexact_groups(claims, inexact);
}

/* ---- groups that equal the projection of their reference ----------------------------- */

/* Compares a group with the projection of its reference, and counts what the reference
 * gives: where both are equal, that holds for the claim too. `load` and `plain` are
 * constants; plain: neither codes nor sums are asked for. */
ALWAYS_INLINE bool equals_units(const struct claims *claims, size_t g,
                                struct tally *tally, struct sums *sums, load_fn *load,
                                bool plain)
{
    const struct verify_job *job = claims->job;
    const size_t len = job->group_len, first = (claims->begin + g) * len;
    const size_t bytes = claims->latents->bytes;
    const uint8_t *in = (const uint8_t *)job->in + first * ELEMENT_BYTES;
    const uint8_t *reference = (const uint8_t *)job->reference + first * bytes;
    const thresholds_f32 keys = thresholds_of_f32(&claims->projection.keys, g);
    equality same = equality_all();
    for (size_t i = 0; i < len; i += UNIT) {
        const size_t n = size_min(len - i, UNIT);
        const unit_f32 r = load(reference + i * bytes, n),
                       w = widen_unit(in + i * ELEMENT_BYTES, n);
        const mask64_f32 beyond = unit_above_half_scale_f32(r, keys);
        same = equality_add(same, w, unit_dequantize_f32(r, keys));
        tally->near = near_count_add_f32(tally->near, r, keys);
        if (plain || !job->codes) {
            tally->codes = sign_tally_add_unit_f32(tally->codes, r, beyond, keys);
            tally->seen += UNIT;
            tally->elements += n;
        } else {
            claim_codes(claims, g, i, n, unit_encode_f32(r, beyond, keys), tally);
        }
        if (!plain && job->sums)
            sums_add(sums, r, w);
    }
    return equality_holds(same);
}

ALWAYS_INLINE bool equals_projection(const struct claims *claims, size_t g,
                                     struct tally *tally, struct sums *sums, bool plain)
{
    if (claims->latents_lost[g])
        return false;
    if (claims->latents == &element_type_f32)
        return equals_units(claims, g, tally, sums, widen_unit_f32, plain);
    if (claims->latents == &TYPED(element_type))
        return equals_units(claims, g, tally, sums, widen_unit, plain);
    return equals_units(claims, g, tally, sums, claims->latents->load, plain);
}

/* Ends a group that equals its projection. Adds its counts to *to; returns its scale. */
INLINE float end_equal(const struct claims *claims, size_t g, const struct tally *tally,
                       const struct sums *sums, struct ternary_counts *to)
{
    const uint64_t nonzeros = tally_end_codes(tally, to);
    to->zero_groups += nonzeros == 0;
    if (claims->job->sums)
        claims->job->sums[claims->begin + g] = sums_total(sums);
    return nonzeros == 0 ? 0.0f : claims->projection.kept[g];
}

/* Nearly every group equals the projection. Then it is exact, and its scale is that of the
 * projection: this is tried first, in one pass. Returns the other groups. */
ALWAYS_INLINE uint32_t verify_equal(struct claims *claims, bool plain)
{
    struct ternary_counts equal = {0}, *counts = claims->counts;
    near_count near = near_count_zero();
    uint32_t others = 0;
    for (size_t g = 0; g < claims->end - claims->begin; g++) {
        struct tally tally = tally_zero();
        struct sums sums = sums_zero();
        tally.near = near;
        claims->tainted[g] = false;
        if (!equals_projection(claims, g, &tally, &sums, plain)) {
            others |= 1u << g;
            continue;
        }
        near = tally.near;
        claims->scales.s[g] = end_equal(claims, g, &tally, &sums, &equal);
    }
    counts->negatives += equal.negatives;
    counts->zeros += equal.zeros;
    counts->positives += equal.positives;
    counts->zero_groups += equal.zero_groups;
    counts->near_threshold += near_count_total(near);
    see_trits(claims->check, equal.negatives, equal.zeros, equal.positives);
    claims->check->valid += equal.negatives + equal.zeros + equal.positives;
    return others;
}

static void verify_projected(struct claims *claims)
{
    const struct verify_job *job = claims->job;
    const size_t count = claims->end - claims->begin;
    uint32_t others;
    project_reference(claims);
    others = job->codes || job->sums ? verify_equal(claims, false)
                                     : verify_equal(claims, true);
    if (job->inexact)
        memset(job->inexact + claims->begin, 0, count);
    if (others)
        verify_inexact_groups(claims, others);
    else
        memcpy(job->scales + claims->begin, claims->scales.s,
               count * sizeof(claims->scales.s[0]));
}

static void verify_dense_groups(const struct verify_job *job,
                                struct ternary_counts *counts,
                                struct ternary_check *check)
{
    const size_t bytes = job->group_len * ELEMENT_BYTES;
    const size_t block = groups_per_block(bytes);
    struct claims claims = claims_of(job, counts, check, job->dtype);
    struct unions unions = {.policy = job->count * bytes > DRAM_RUN_BYTES
                                          ? prefetch_policy(VECTOR_BYTES)
                                          : in_l2};
    if (!job->reference)
        keep_unions(unions.ring[0], job->in, size_min(block, job->count), job->group_len,
                    unions.policy);
    for (size_t begin = 0; begin < job->count; begin += block) {
        claims.begin = begin;
        claims.end = size_min(begin + block, job->count);
        if (job->reference)
            verify_projected(&claims);
        else
            verify_alone(&claims, &unions);
    }
    count_scales(job->scales, job->count, counts);
}
