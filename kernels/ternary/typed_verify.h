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

ALWAYS_INLINE void keep_union(struct partial *to, const struct claims *claims, size_t g)
{
    const size_t len = claims->job->group_len, bytes = len * ELEMENT_BYTES;
    const uint8_t *in = (const uint8_t *)claims->job->in + (claims->begin + g) * bytes;
    const uint8_t *ahead = half_ahead(claims, g, false, bytes);
    unit bits = {{{0}}};
    size_t i = 0;
    for (; i + UNIT <= len; i += UNIT) {
        if (claims->from_dram)
            prefetch_half(ahead, i * ELEMENT_BYTES);
        prefetch_unit(in + i * ELEMENT_BYTES, in_l2);
        bits = unit_union(bits, unit_load(in + i * ELEMENT_BYTES));
    }
    if (i < len)
        bits = unit_union(bits, load_unit(in + i * ELEMENT_BYTES, len - i));
    unit_store_keys(to, bits);
}

/* Computes the scales that the groups of a block have if they are exact. */
ALWAYS_INLINE void infer_scales(struct claims *claims)
{
    const size_t count = claims->end - claims->begin;
    struct partial partials[BLOCK_GROUPS];
    uint32_t bits[LANES];
    uint16_t half[LANES];
    if (count < BLOCK_GROUPS)
        memset(partials, 0, sizeof(partials));
    for (size_t g = 0; g < count; g++)
        keep_union(&partials[g], claims, g);
    unit_reduce_unions(bits, partials);
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
ALWAYS_INLINE bool tally_units(const struct claims *claims, size_t g, struct tally *tally,
                               bool coded)
{
    const size_t len = claims->job->group_len, bytes = len * ELEMENT_BYTES;
    const uint8_t *in = (const uint8_t *)claims->job->in + (claims->begin + g) * bytes;
    const uint8_t *ahead = half_ahead(claims, g, true, bytes);
    const thresholds keys = thresholds_of(&claims->scales.keys, g);
    residue off = residue_zero();
    size_t i = 0;
    for (; i + UNIT <= len; i += UNIT) {
        if (claims->from_dram)
            prefetch_half(ahead, i * ELEMENT_BYTES);
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
    return claims->job->codes ? tally_units(claims, g, tally, true)
                              : tally_units(claims, g, tally, false);
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

ALWAYS_INLINE void verify_alone(struct claims *claims)
{
    const size_t count = claims->end - claims->begin;
    const struct ternary_counts before = *claims->counts;
    struct tally tally = tally_zero();
    uint32_t inexact = 0, zeros = 0;
    infer_scales(claims);
    begin_claims(claims);
    find_exact_keys(claims);
    for (size_t g = 0; g < count; g++) {
        const bool exact = tally_exact(claims, g, &tally);
        inexact |= (uint32_t)!exact << g;
        zeros += claims->scales.s[g] == 0.0f && exact;
    }
    tally_end(&tally, claims->counts, NULL);
    claims->counts->zero_groups += zeros;
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

/* Compares a group with the projection; adds what is measured of the reference. */
ALWAYS_INLINE bool equals_projection(const struct claims *claims, size_t g,
                                     struct tally *tally, struct sums *sums)
{
    const struct verify_job *job = claims->job;
    const size_t len = job->group_len, first = (claims->begin + g) * len;
    const uint8_t *in = (const uint8_t *)job->in + first * ELEMENT_BYTES;
    const uint8_t *reference =
        (const uint8_t *)job->reference + first * claims->latents->bytes;
    const thresholds_f32 keys = thresholds_of_f32(&claims->projection.keys, g);
    i32v differ = {0};
    for (size_t i = 0; i < len; i += UNIT) {
        const size_t n = size_min(len - i, UNIT);
        const unit_f32 r = claims->latents->load(reference + i * claims->latents->bytes,
                                                 n),
                       w = load_wide(in + i * ELEMENT_BYTES, n);
        differ = differing(differ, w, unit_dequantize_f32(r, keys));
        tally->near = near_count_add_f32(tally->near, r, keys);
        if (job->sums)
            sums_add(sums, r, w);
    }
    return is_none(differ);
}

/* Verifies a group if it is exact and equals the projection; else returns false. */
static bool verify_projected_group(struct claims *claims, size_t g)
{
    const struct inexact_tally inexact = {.found = false};
    struct tally tally = tally_zero();
    struct sums sums = sums_zero();
    if (claims->latents_lost[g] || !tally_exact(claims, g, &tally) ||
        !equals_projection(claims, g, &tally, &sums))
        return false;
    claims->tainted[g] = false;
    claims->check->valid += claims->job->group_len;
    end_claim(claims, g, &tally, &sums, &inexact);
    return true;
}

/* Nearly every group equals the projection, so this is tried first. */
static void verify_projected(struct claims *claims)
{
    const size_t count = claims->end - claims->begin;
    uint32_t others = 0;
    project_reference(claims);
    infer_scales(claims);
    begin_claims(claims);
    find_exact_keys(claims);
    for (size_t g = 0; g < count; g++)
        others |= (uint32_t)!verify_projected_group(claims, g) << g;
    if (others)
        verify_inexact_groups(claims, others);
}

static void verify_dense_groups(const struct verify_job *job,
                                struct ternary_counts *counts,
                                struct ternary_check *check)
{
    const size_t bytes = job->group_len * ELEMENT_BYTES;
    const size_t block = groups_per_block(bytes);
    struct claims claims = claims_of(job, counts, check, job->dtype);
    claims.from_dram = job->count * bytes > DRAM_RUN_BYTES;
    claims.ahead_bytes = prefetch_policy(VECTOR_BYTES).verify_ahead_bytes;
    for (size_t begin = 0; begin < job->count; begin += block) {
        claims.begin = begin;
        claims.end = size_min(begin + block, job->count);
        if (job->reference)
            verify_projected(&claims);
        else
            verify_alone(&claims);
    }
    count_scales(job->scales, job->count, counts);
}
