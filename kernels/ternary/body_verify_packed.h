/* SPDX-License-Identifier: Apache-2.0 */
/* Part of body.h: verification of packed tensors. */

/* Checks a unit for codes outside -1..+1. `element` is the index of its first element. */
static void check_multiples(const struct claims *claims, size_t element,
                            const int8_t t[UNIT], struct inexact_tally *inexact)
{
    struct ternary_check *check = claims->check;
    for (size_t i = 0; i < UNIT; i++) {
        const int excess = abs(t[i]) - 1;
        if (excess <= 0)
            continue;
        inexact->found = true;
        inexact->negatives += t[i] < 0;
        inexact->positives += t[i] > 0;
        if ((float)excess > check->max_round_error)
            check->max_round_error = (float)excess;
        if ((float)excess <= claims->job->tolerance)
            continue;
        check->valid--;
        if (occurrences_count(&check->invalid, element + i))
            check->first_invalid = (float)t[i];
        add_sample(check->samples, &check->sample_count, (float)t[i]);
    }
}

static void verify_packed_unit(const struct claims *claims, size_t g, size_t i, size_t n,
                               const int8_t t[UNIT], float s, struct tally *tally,
                               struct sums *sums, struct inexact_tally *inexact)
{
    uint8_t codes[UNIT];
    for (size_t k = 0; k < UNIT; k++)
        codes[k] = (uint8_t)((t[k] > 0) - (t[k] < 0) + 1);
    claim_codes(claims, g, i, n, codes64_load(codes), tally);
    if (!claims->tainted[g]) {
        claims->check->valid += n;
        if (beyond_trits(t, UNIT))
            check_multiples(claims, (claims->begin + g) * claims->job->group_len + i, t,
                            inexact);
    }
    if (!claims->job->reference)
        return;
    float raw[UNIT], finite[UNIT];
    for (size_t k = 0; k < UNIT; k++) {
        raw[k] = (float)t[k] * s;
        finite[k] = claims->tainted[g] ? 0.0f : raw[k];
    }
    check_reference(claims, g, i, n, of_floats(raw), of_floats(finite), t, tally, sums);
}

/* Checks a packed group's stored scale on its own. */
static void check_stored_scale(const struct claims *claims, size_t g,
                               const struct tally *tally, struct inexact_tally *inexact)
{
    struct ternary_check *check = claims->check;
    const float s = claims->job->scales[claims->begin + g];
    struct ternary_counts counts = {0};
    uint64_t nonzeros;
    tally_end(tally, &counts, &nonzeros);
    if (claims->tainted[g]) {
        if (occurrences_count(&check->scales_non_finite, claims->begin + g))
            check->first_non_finite_scale = s;
        *inexact = (struct inexact_tally){true, counts.negatives, counts.zeros,
                                          counts.positives};
    } else if (s < 0.0f) {
        if (occurrences_count(&check->scales_negative, claims->begin + g))
            check->first_negative_scale = s;
        inexact->found = true;
    } else if (s == 0.0f && nonzeros > 0) {
        occurrences_count(&check->scales_zero, claims->begin + g);
        inexact->found = true;
    }
}

INLINE void verify_packed_group(const struct claims *claims, size_t g,
                                const struct packing *packing)
{
    const struct verify_job *job = claims->job;
    const size_t len = job->group_len, stretch = stretch_of(packing);
    const float stored = job->in_scales ? job->in_scales[claims->begin + g] : 0.0f;
    const uint8_t *in = (const uint8_t *)job->in +
                        (claims->begin + g) * len / packing->elements * packing->bytes;
    struct tally tally = tally_zero();
    struct sums sums = sums_zero();
    struct inexact_tally inexact = {.found = false};
    for (size_t at = 0; at < len; at += stretch) {
        const uint8_t *block = in + at / packing->elements * packing->bytes;
        const float s = block_scale(block, packing, stored);
        const size_t n = size_min(len - at, stretch);
        int8_t t[BLOCK_ELEMENTS_MAX];
        unpack_codes(t, block + packing->codes_at, n, packing);
        for (size_t i = 0; i < n; i += UNIT)
            verify_packed_unit(claims, g, at + i, size_min(n - i, UNIT), t + i, s, &tally,
                               &sums, &inexact);
    }
    check_stored_scale(claims, g, &tally, &inexact);
    end_claim(claims, g, &tally, &sums, &inexact);
}

/* The type that holds a packed claim's scales. */
static enum trit_dtype stored_scale_type(const struct verify_job *job,
                                         const struct packing *packing)
{
    if (packing->scale_at >= 0)
        return TRIT_F16;
    if (job->scales_dtype != TRIT_DTYPE_UNSPECIFIED)
        return job->scales_dtype;
    return encoding_scales_dtype(job->encoding) == TRIT_F16 ? TRIT_F16 : TRIT_F32;
}

/* clang-format off */
#include "kernels/ternary/body_verify_2bit.h"
/* clang-format on */

/* A group's scale is that of its first block; in a sound file all its blocks have it. Lanes
 * without a group get the scale 1. */
INLINE void find_stored_scales(struct claims *claims, const struct packing *packing)
{
    const struct verify_job *job = claims->job;
    const size_t bytes = job->group_len / packing->elements * packing->bytes;
    const size_t count = claims->end - claims->begin;
    uint16_t bits[LANES];
    if (packing->scale_at < 0) {
        fill_scales(&claims->scales, 1.0f);
        for (size_t i = 0; i < count; i++)
            claims->scales.s[i] = job->in_scales ? job->in_scales[claims->begin + i] : 0;
        return;
    }
    const uint8_t *at =
        (const uint8_t *)job->in + claims->begin * bytes + packing->scale_at;
    for (size_t i = 0; i < count; i++)
        memcpy(&bits[i], at + i * bytes, sizeof(bits[i]));
    for (size_t i = count; i < LANES; i++)
        bits[i] = 0x3c00;
    f32x16_store_f32((uint8_t *)claims->scales.s, f32x16_load_f16((const uint8_t *)bits));
}

static void taint_groups(struct claims *claims)
{
    const size_t len = claims->job->group_len;
    for (size_t g = claims->begin; g < claims->end; g++) {
        claims->tainted[g - claims->begin] =
            !isfinite(claims->scales.s[g - claims->begin]);
        if (!claims->tainted[g - claims->begin])
            continue;
        if (claims->counts->non_finite == 0) /* its elements are NaN or infinite */
            claims->counts->first_non_finite = g * len;
        claims->counts->non_finite += len;
    }
}

/* Of a block. */
INLINE void verify_packed(struct claims *claims, const struct packing *packing)
{
    find_stored_scales(claims, packing);
    taint_groups(claims);
    begin_claims(claims);
    if (claims->latents)
        project_reference(claims);
    for (size_t g = claims->begin; g < claims->end; g++)
        verify_packed_group(claims, g - claims->begin, packing);
}

/* Verifies a run of groups that are not all exact, block by block. */
static void verify_packed_run(struct claims *claims, const struct packing *packing,
                              bool in_sequence)
{
    const size_t end = claims->end, block = groups_per_block(claims->job->group_len);
    for (; claims->begin < end; claims->begin = claims->end) {
        claims->end = size_min(claims->begin + block, end);
        if (!in_sequence || !verify_2bit(claims, packing))
            verify_packed(claims, packing);
    }
}

static void verify_packed_groups(const struct verify_job *job,
                                 struct ternary_counts *counts,
                                 struct ternary_check *check)
{
    const struct packing *packing = packing_of(job->encoding);
    assert(packing);
    assert(job->group_len % packing->elements == 0);
    struct claims claims = claims_of(job, counts, check, stored_scale_type(job, packing));
    const bool in_sequence = packing->order == ORDER_LSB && !claims.latents;
    const size_t run = groups_per_run(job->group_len);
    for (size_t begin = 0; begin < job->count; begin += run) {
        claims.begin = begin;
        claims.end = size_min(begin + run, job->count);
        if (!in_sequence || !verify_2bit(&claims, packing))
            verify_packed_run(&claims, packing, in_sequence);
    }
    count_scales(job->scales, job->count, counts);
}
