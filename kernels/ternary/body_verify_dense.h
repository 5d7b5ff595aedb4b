/* SPDX-License-Identifier: Apache-2.0 */
/* Part of body.h: does a dense tensor hold what it claims? A group's scale is its largest
 * magnitude. Nearly every group that is asked about holds 0 and one magnitude alone, and
 * then the bits of its elements together are that magnitude: so that is tried first. */

/* The largest finite magnitude of a group. */
static float group_top(const uint8_t *in, size_t len, enum trit_dtype dtype)
{
    float tops[UNIT] = {0}, top = 0.0f;
    for (size_t i = 0; i < len; i += UNIT) {
        float w[UNIT];
        floats_of(w, load_any(in + i * bytes_of(dtype), size_min(len - i, UNIT), dtype));
        for (size_t k = 0; k < UNIT; k++) {
            const float a = fabsf(w[k]), finite = a < INFINITY ? a : 0.0f;
            tops[k] = finite > tops[k] ? finite : tops[k];
        }
    }
    for (size_t k = 0; k < UNIT; k++)
        top = tops[k] > top ? tops[k] : top;
    return top;
}

/* Values that are not finite become 0; returns how many. */
static size_t make_finite(float w[UNIT])
{
    size_t lost = 0;
    for (size_t i = 0; i < UNIT; i++)
        if (!isfinite(w[i])) {
            w[i] = 0.0f;
            lost++;
        }
    return lost;
}

INLINE bool is_exact(unit w, thresholds keys, enum trit_dtype dtype)
{
    return residue_none(
        residue_add(residue_zero(), w, unit_equals_scale(w, keys, dtype), keys, dtype));
}

/* A group with a reference, or one that does not hold 0 and one magnitude alone. */
static void verify_other_group(struct claims *claims, size_t g)
{
    const struct verify_job *job = claims->job;
    const size_t size = bytes_of(job->dtype), len = job->group_len;
    const uint8_t *in = (const uint8_t *)job->in + (claims->begin + g) * len * size;
    const thresholds keys = wide_keys(claims, g);
    struct tally tally = tally_zero();
    struct sums sums = sums_zero();
    struct inexact_tally inexact = {.found = claims->tainted[g]};
    for (size_t i = 0; i < len; i += UNIT) {
        const size_t n = size_min(len - i, UNIT);
        const unit raw = load_any(in + i * size, n, job->dtype);
        struct dense_unit dense_unit = {.element = (claims->begin + g) * len + i, .n = n};
        unit w = raw;
        claims->check->valid += n;
        floats_of(dense_unit.w, raw);
        if (claims->tainted[g]) {
            const size_t lost = make_finite(dense_unit.w);
            claims->check->valid -= lost;
            inexact.zeros += lost;
            w = of_floats(dense_unit.w);
        }
        claim_codes(
            claims, g, i, n,
            unit_encode(w, unit_above_half_scale(w, keys, TRIT_F32), keys, TRIT_F32),
            &tally);
        if (!is_exact(w, keys, TRIT_F32)) {
            check_inexact(claims, &dense_unit, claims->scales.s[g],
                          claims->scales.half[g], &inexact);
            if (!job->reference)
                tally.near = near_count_add(tally.near, w, keys, TRIT_F32);
        }
        if (job->reference)
            check_reference(claims, g, i, n, raw, w, NULL, &tally, &sums);
    }
    end_claim(claims, g, &tally, &sums, &inexact);
}

/* ---- groups of 0 and one magnitude ------------------------------------------------- */

/* Where a pass over a group finds what to prefetch: each of two passes over a block
 * brings half of the block after it. */
INLINE const uint8_t *half_ahead(const struct claims *claims, size_t g, bool second,
                                 size_t bytes)
{
    const size_t count = claims->end - claims->begin;
    const uint8_t *next = (const uint8_t *)claims->job->in + claims->end * bytes;
    return next + (second ? count * bytes / 2 : 0) + g * bytes / 2;
}

ALWAYS_INLINE void keep_union(struct partial *to, const struct claims *claims, size_t g,
                              enum trit_dtype dtype)
{
    const size_t size = bytes_of(dtype), len = claims->job->group_len;
    const uint8_t *in =
        (const uint8_t *)claims->job->in + (claims->begin + g) * len * size;
    const uint8_t *ahead = half_ahead(claims, g, false, len * size);
    const float zero[UNIT] = {0};
    unit bits = of_floats(zero);
    size_t i = 0;
    for (; i + UNIT <= len; i += UNIT) {
        if (claims->far)
            prefetch_half(ahead, i * size, dtype);
        prefetch_unit(in + i * size, in_l2, dtype);
        bits = unit_union(bits, unit_load(in + i * size, dtype), dtype);
    }
    if (i < len)
        bits = unit_union(bits, load_unit(in + i * size, len - i, dtype), dtype);
    unit_store_keys(to, bits, dtype);
}

/* The scales that a block's groups have if they hold 0 and one magnitude. */
ALWAYS_INLINE void infer_scales(struct claims *claims, enum trit_dtype dtype)
{
    const size_t count = claims->end - claims->begin;
    struct partial partials[BLOCK_GROUPS];
    uint32_t bits[LANES];
    uint16_t half[LANES];
    if (count < BLOCK_GROUPS)
        memset(partials, 0, sizeof partials);
    for (size_t g = 0; g < count; g++)
        keep_union(&partials[g], claims, g, dtype);
    unit_reduce_unions(bits, partials, dtype);
    if (dtype == TRIT_F32) {
        memcpy(claims->scales.s, bits, sizeof bits);
        return;
    }
    for (size_t i = 0; i < LANES; i++)
        half[i] = (uint16_t)bits[i];
    f32x16_store((uint8_t *)claims->scales.s, f32x16_load((const uint8_t *)half, dtype),
                 TRIT_F32);
}

ALWAYS_INLINE residue tally_unit(const struct claims *claims, size_t g, size_t i,
                                 size_t n, unit w, thresholds keys, residue off,
                                 struct tally *tally, enum trit_dtype dtype)
{
    const mask64 is = unit_equals_scale(w, keys, dtype);
    off = residue_add(off, w, is, keys, dtype); /* first: the keys are at hand */
    if (claims->job->codes) {
        claim_codes(claims, g, i, n, unit_encode(w, is, keys, dtype), tally);
    } else {
        tally->codes = sign_tally_add_unit(tally->codes, w, is, keys, dtype);
        tally->seen += UNIT;
        tally->elements += n;
    }
    return off;
}

/* Tallies a group as if it held 0 and s alone. Returns whether it does. */
ALWAYS_INLINE bool tally_exact(const struct claims *claims, size_t g, struct tally *tally,
                               enum trit_dtype dtype)
{
    const size_t size = bytes_of(dtype), len = claims->job->group_len;
    const uint8_t *in =
        (const uint8_t *)claims->job->in + (claims->begin + g) * len * size;
    const uint8_t *ahead = half_ahead(claims, g, true, len * size);
    const thresholds keys = thresholds_of(&claims->scales.keys, g, dtype);
    residue off = residue_zero();
    size_t i = 0;
    for (; i + UNIT <= len; i += UNIT) {
        if (claims->far)
            prefetch_half(ahead, i * size, dtype);
        off = tally_unit(claims, g, i, UNIT, unit_load(in + i * size, dtype), keys, off,
                         tally, dtype);
    }
    if (i < len)
        off = tally_unit(claims, g, i, len - i, load_unit(in + i * size, len - i, dtype),
                         keys, off, tally, dtype);
    return residue_none(off);
}

/* What tally_exact counted of a group that is not exact. */
static __attribute__((noinline)) void undo_tally(const struct claims *claims, size_t g)
{
    const enum trit_dtype dtype = claims->job->dtype;
    struct tally tally = tally_zero();
    struct ternary_counts less = {0};
    if (dtype == TRIT_F32)
        tally_exact(claims, g, &tally, TRIT_F32);
    else if (dtype == TRIT_F16)
        tally_exact(claims, g, &tally, TRIT_F16);
    else
        tally_exact(claims, g, &tally, TRIT_BF16);
    tally_end(&tally, &less, NULL);
    claims->counts->negatives -= less.negatives;
    claims->counts->zeros -= less.zeros;
    claims->counts->positives -= less.positives;
}

/* The groups of a block whose bits are set in `inexact`: their scales are to be looked
 * for.
 */
static __attribute__((noinline)) void verify_inexact_groups(struct claims *claims,
                                                            uint32_t inexact)
{
    const struct verify_job *job = claims->job;
    const size_t len = job->group_len, bytes = len * bytes_of(job->dtype);
    const size_t count = claims->end - claims->begin;
    for (size_t g = 0; g < count; g++) {
        const uint8_t *in = (const uint8_t *)job->in + (claims->begin + g) * bytes;
        if ((inexact >> g & 1) == 0)
            continue;
        claims->scales.s[g] = group_top(in, len, job->dtype);
        claims->tainted[g] = !all_finite(in, len, job->dtype);
        if (claims->tainted[g])
            count_non_finite(in, len, (claims->begin + g) * len, claims->counts,
                             job->dtype);
    }
    begin_claims(claims, TRIT_F32, job->dtype);
    for (size_t g = 0; g < count; g++)
        if (inexact >> g & 1)
            verify_other_group(claims, g);
}

ALWAYS_INLINE void verify_alone(struct claims *claims, enum trit_dtype dtype)
{
    const size_t count = claims->end - claims->begin;
    const struct ternary_counts before = *claims->counts;
    struct tally tally = tally_zero();
    uint32_t inexact = 0, zeros = 0;
    infer_scales(claims, dtype);
    begin_claims(claims, dtype, dtype);
    /* Nothing is to equal the s of all zeros. */
    for (size_t i = 0; i < LANES; i += STEP) {
        i32v s;
        memcpy(&s, claims->scales.keys.s + i, sizeof s);
        s |= f32v_load(claims->scales.s + i) == 0.0f;
        memcpy(claims->scales.keys.s + i, &s, sizeof s);
    }
    for (size_t g = 0; g < count; g++) {
        const bool exact = tally_exact(claims, g, &tally, dtype);
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

static void verify_dense(struct claims *claims)
{
    if (claims->job->reference)
        verify_inexact_groups(claims, (1u << (claims->end - claims->begin)) - 1);
    else if (claims->job->dtype == TRIT_F32)
        verify_alone(claims, TRIT_F32);
    else if (claims->job->dtype == TRIT_F16)
        verify_alone(claims, TRIT_F16);
    else
        verify_alone(claims, TRIT_BF16);
}
