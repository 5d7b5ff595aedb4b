/* SPDX-License-Identifier: Apache-2.0 */
/* Part of body.h: verification. Checks whether a tensor is ternary, as it claims, and
 * whether it is the projection of a reference. */

/* A block of groups on its way through a verification. */
struct claims {
    const struct verify_job *job;
    struct ternary_counts *counts;
    struct ternary_check *check;
    size_t begin, end;          /* groups */
    struct scales scales;       /* of the claim */
    bool near_found;            /* scales.low and high are set: few blocks need them */
    bool tainted[BLOCK_GROUPS]; /* groups with an element or scale that is not finite */
    const struct element_type *elements; /* type of a dense claim, or of packed scales */
    const struct element_type *latents;  /* the reference's elements; NULL without one */
    struct scales projection;            /* of the reference */
    bool latents_lost[BLOCK_GROUPS];     /* the reference has elements not finite */
};

/* The bitwise or of each group's elements, of the block that is verified and of the next one. */
struct unions {
    struct partial ring[2][BLOCK_GROUPS];
    size_t now; /* which is of the block that is verified */
    struct prefetch_policy policy;
};

/* The elements of a group that are not exactly t*s, by their code. The other elements are
 * counted separately. */
struct inexact_tally {
    bool found; /* there is such an element */
    uint64_t negatives, zeros, positives;
};

static void add_sample(float samples[TRIT_SAMPLES_MAX], uint32_t *count, float sample)
{
    if (*count == TRIT_SAMPLES_MAX)
        return;
    for (uint32_t i = 0; i < *count; i++)
        if (float_bits(samples[i]) == float_bits(sample))
            return;
    samples[(*count)++] = sample;
}

/* Records which of -1, 0, +1 occur, given how many exact elements have each value. */
static void see_trits(struct ternary_check *check, uint64_t negatives, uint64_t zeros,
                      uint64_t positives)
{
    check->trits_seen |=
        (negatives > 0 ? 1u : 0u) | (zeros > 0 ? 2u : 0u) | (positives > 0 ? 4u : 0u);
}

static void add_mismatch(struct ternary_check *check, size_t element)
{
    if (check->mismatches++ == 0)
        check->first_mismatch = element;
}

static void add_code_mismatch(struct ternary_check *check, size_t element, int expected,
                              int found)
{
    if (!occurrences_count(&check->code_mismatches, element))
        return;
    check->expected_trit = (int8_t)expected;
    check->found_trit = (int8_t)found;
}

/* A unit of a dense claim: its values, with 0 for those that are not finite, the index of
 * its first element, and how many it has. */
struct dense_unit {
    float w[UNIT];
    size_t element, n;
};

/* Adds samples and the first invalid element of a unit that is not exact. */
static void report_inexact(struct ternary_check *check,
                           const struct dense_unit *dense_unit,
                           const float quotients[UNIT], const uint32_t wrong[UNIT],
                           float s)
{
    for (size_t i = 0; i < dense_unit->n; i++) {
        const float a = fabsf(dense_unit->w[i]);
        if (wrong[i]) {
            if (occurrences_count(&check->invalid, dense_unit->element + i))
                check->first_invalid = quotients[i];
            add_sample(check->samples, &check->sample_count, quotients[i]);
        } else if (a != s && a != 0.0f) {
            add_sample(check->near, &check->near_count, quotients[i]);
        }
    }
}

/* Adds the codes of a unit's elements that are not exactly t*s; returns how many. */
static uint64_t tally_inexact(struct inexact_tally *inexact,
                              const struct dense_unit *dense_unit, float s, float half)
{
    const uint64_t before = inexact->negatives + inexact->zeros + inexact->positives;
    for (size_t i = 0; i < dense_unit->n; i++) {
        const float w = dense_unit->w[i], a = fabsf(w);
        if (a == s || a == 0.0f)
            continue;
        inexact->negatives += a > half && w < 0.0f;
        inexact->positives += a > half && w > 0.0f;
        inexact->zeros += !(a > half);
    }
    return inexact->negatives + inexact->zeros + inexact->positives - before;
}

/* Checks 64 values that are not all 0 or +-s, by true division. Values that are not
 * finite are passed as 0; the caller has subtracted them from the valid ones. */
static __attribute__((noinline)) void check_inexact(const struct claims *claims,
                                                    const struct dense_unit *dense_unit,
                                                    float s, float half,
                                                    struct inexact_tally *inexact)
{
    const float tolerance = claims->job->tolerance;
    struct ternary_check *check = claims->check;
    const float *w = dense_unit->w;
    float quotients[UNIT];
    uint32_t wrong[UNIT], worst = 0, all_wrong = 0;
    const uint64_t count = tally_inexact(inexact, dense_unit, s, half);
    inexact->found = true;
    for (size_t i = 0; i < UNIT; i++) {
        const float a = fabsf(w[i]), quotient = w[i] / s;
        const float error = fabsf(fabsf(quotient) - (a > half ? 1.0f : 0.0f));
        const uint32_t exact = (uint32_t)(a == s) | (uint32_t)(a == 0.0f);
        const uint32_t near =
            (uint32_t)(error <= tolerance) & (uint32_t)(tolerance > 0.0f);
        const uint32_t bits = float_bits(error); /* ordered as errors are: none is < 0 */
        worst = bits > worst ? bits : worst;
        quotients[i] = quotient;
        wrong[i] = !(exact | near);
        all_wrong += wrong[i];
    }
    if (float_of_bits(worst) > check->max_round_error)
        check->max_round_error = float_of_bits(worst);
    check->valid -= all_wrong;
    if ((all_wrong > 0 && check->sample_count < TRIT_SAMPLES_MAX) ||
        (count > all_wrong && check->near_count < TRIT_SAMPLES_MAX))
        report_inexact(check, dense_unit, quotients, wrong, s);
    else
        check->invalid.count += all_wrong;
}

static int sign_of(float value)
{
    return (value > 0.0f) - (value < 0.0f);
}

/* The t of a claim's value. */
static int trit_of(float value, float half)
{
    return fabsf(value) > half ? sign_of(value) : 0;
}

/* Compares a unit with the reference: mismatches, sums, elements near the threshold.
 * `raw` is the claim as f32, `finite` the same with 0 for values that are not finite.
 * `trits` are the claim's stored codes; NULL if it has none. */
static __attribute__((noinline)) void
check_reference(const struct claims *claims, size_t g, size_t i, size_t n, unit_f32 raw,
                unit_f32 finite, const int8_t *trits, struct tally *tally,
                struct sums *sums)
{
    const struct verify_job *job = claims->job;
    const size_t element = (claims->begin + g) * job->group_len + i;
    const uint8_t *in =
        (const uint8_t *)job->reference + element * claims->latents->bytes;
    const unit_f32 r = claims->latents->load(in, n);
    const thresholds_f32 keys = thresholds_of_f32(&claims->projection.keys, g);
    const unit_f32 want = unit_dequantize_f32(r, keys);
    float is[UNIT], expected[UNIT];
    tally->near = near_count_add_f32(tally->near, r, keys);
    if (job->sums)
        sums_add(sums, r, finite);
    if (equality_holds(equality_add(equality_all(), raw, want)) &&
        !claims->latents_lost[g])
        return;
    floats_of(is, raw);
    floats_of(expected, want);
    for (size_t k = 0; k < n; k++) {
        const int wanted = sign_of(expected[k]);
        const int found = trits ? (trits[k] > 0) - (trits[k] < 0)
                                : trit_of(is[k], claims->scales.half[g]);
        if (is[k] != expected[k] || claims->latents_lost[g])
            add_mismatch(claims->check, element + k);
        if (found != wanted && !claims->latents_lost[g])
            add_code_mismatch(claims->check, element + k, wanted, found);
    }
}

/* Compares the claim's scale with the reference's if both sides have nonzeros. */
static void check_reference_scale(const struct claims *claims, size_t g, bool nonzeros)
{
    struct ternary_check *check = claims->check;
    const float expected = claims->projection.kept[g];
    const float found = claims->job->scales[claims->begin + g];
    if (!nonzeros || claims->latents_lost[g] || expected == 0.0f || found == expected)
        return;
    if (!occurrences_count(&check->scale_mismatches, claims->begin + g))
        return;
    check->expected_scale = expected;
    check->found_scale = found;
}

/* The thresholds of a block's group for elements widened to f32. */
static thresholds_f32 wide_keys(struct claims *claims, size_t g)
{
    struct scales *scales = &claims->scales;
    if (!claims->near_found)
        find_near(scales);
    claims->near_found = true;
    const struct keys keys = {.half = {float_bits(scales->half[g])},
                              .low = {float_bits(scales->low[g])},
                              .high = {float_bits(scales->high[g])},
                              .s = {float_bits(scales->s[g])}};
    return thresholds_of_f32(&keys, 0);
}

/* No claim can hold a scale that its type rounds to 0 or infinity. The unrounded scale is
 * compared instead, so that every nonzero of such a group is a mismatch. */
static void keep_lost_scales(struct claims *claims)
{
    struct ternary_check *check = claims->check;
    struct scales *scales = &claims->projection;
    for (size_t g = 0; g < claims->end - claims->begin; g++) {
        const float s = scales->s[g], kept = scales->kept[g];
        if (claims->latents_lost[g] || s == 0.0f || (kept > 0.0f && kept < INFINITY))
            continue;
        scales->kept[g] = s;
        if (occurrences_count(&check->reference_lost, claims->begin + g))
            check->lost_scale = s;
    }
}

/* Computes the reference's scales as the claim's format would hold them. */
static void project_reference(struct claims *claims)
{
    const struct verify_job *job = claims->job;
    const size_t bytes = job->group_len * claims->latents->bytes;
    const size_t count = claims->end - claims->begin;
    const uint8_t *in = (const uint8_t *)job->reference + claims->begin * bytes;
    double sums[BLOCK_GROUPS];
    claims->latents->sum(sums, in, count, job->group_len);
    for (size_t i = 0; i < count; i++) {
        claims->latents_lost[i] = !(sums[i] < INFINITY);
        if (claims->latents_lost[i])
            claims->latents->list_non_finite(in + i * bytes, job->group_len,
                                             (claims->begin + i) * job->group_len,
                                             &claims->check->reference_infinite);
    }
    find_means(&claims->projection, sums, job->divisor);
    if (job->reference_scale) {
        fill_scales(&claims->projection, *job->reference_scale);
        for (size_t i = 0; i < count; i++)
            claims->latents_lost[i] = !(*job->reference_scale < INFINITY);
    }
    find_halves(&claims->projection);
    find_near(&claims->projection);
    claims->elements->round_scales(&claims->projection);
    keep_lost_scales(claims);
    find_keys_f32(&claims->projection, true);
}

/* Begins a block once the claim's scales are found; again, if they change. The caller finds
 * their keys, and projects the reference. */
static void begin_claims(struct claims *claims)
{
    const size_t count = claims->end - claims->begin;
    memcpy(claims->job->scales + claims->begin, claims->scales.s,
           count * sizeof(claims->scales.s[0]));
    for (size_t i = 0; i < LANES;
         i += STEP) { /* elements are not checked against a scale that is not finite */
        const f32v s = f32v_load(claims->scales.s + i);
        f32v_store(claims->scales.s + i,
                   f32v_select(((i32v)s & INT32_MAX) < INFINITE, s, (f32v){0}));
    }
    find_halves(&claims->scales);
    scales_as_stored_f32(&claims->scales);
    claims->near_found = false;
}

/* Ends the check of a group. `inexact` counts the codes of elements that are not exact:
 * all codes of a tainted packed group. */
static void end_claim(const struct claims *claims, size_t g, const struct tally *tally,
                      const struct sums *sums, const struct inexact_tally *inexact)
{
    struct ternary_counts *counts = claims->counts;
    const struct ternary_counts before = *counts;
    uint64_t nonzeros;
    tally_end(tally, counts, &nonzeros);
    counts->zero_groups +=
        !claims->tainted[g] && (claims->scales.s[g] == 0.0f || nonzeros == 0);
    see_trits(claims->check, counts->negatives - before.negatives - inexact->negatives,
              counts->zeros - before.zeros - inexact->zeros,
              counts->positives - before.positives - inexact->positives);
    if (claims->job->inexact)
        claims->job->inexact[claims->begin + g] = inexact->found;
    if (claims->job->reference)
        check_reference_scale(claims, g, nonzeros > 0);
    if (claims->job->sums)
        claims->job->sums[claims->begin + g] = sums_total(sums);
}

ALWAYS_INLINE void claim_codes(const struct claims *claims, size_t g, size_t i, size_t n,
                               codes64 codes, struct tally *tally)
{
    const struct verify_job *job = claims->job;
    tally->codes = sign_tally_add(tally->codes, codes);
    tally->seen += UNIT;
    tally->elements += n;
    if (job->codes)
        store_codes(job->codes + (claims->begin + g) * code_bytes(job->group_len) + i / 4,
                    codes, n);
}

/* ---- dense claims ------------------------------------------------------------------ */

/* Sets values that are not finite to 0; returns how many. */
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

INLINE bool is_exact(unit_f32 w, thresholds_f32 keys)
{
    return residue_none(
        residue_add_f32(residue_zero(), w, unit_equals_scale_f32(w, keys), keys));
}

/* Checks a group that has a reference, or that does not hold only 0 and one magnitude. */
static void verify_inexact_group(struct claims *claims, size_t g)
{
    const struct verify_job *job = claims->job;
    const size_t len = job->group_len, first = (claims->begin + g) * len;
    const uint8_t *in = (const uint8_t *)job->in + first * claims->elements->bytes;
    const thresholds_f32 keys = wide_keys(claims, g);
    struct tally tally = tally_zero();
    struct sums sums = sums_zero();
    struct inexact_tally inexact = {.found = claims->tainted[g]};
    for (size_t i = 0; i < len; i += UNIT) {
        const size_t n = size_min(len - i, UNIT);
        const unit_f32 raw = claims->elements->load(in + i * claims->elements->bytes, n);
        struct dense_unit dense_unit = {.element = first + i, .n = n};
        unit_f32 w = raw;
        claims->check->valid += n;
        floats_of(dense_unit.w, raw);
        if (claims->tainted[g]) {
            const size_t lost = make_finite(dense_unit.w);
            claims->check->valid -= lost;
            inexact.zeros += lost;
            w = of_floats(dense_unit.w);
        }
        claim_codes(claims, g, i, n,
                    unit_encode_f32(w, unit_above_half_scale_f32(w, keys), keys), &tally);
        if (!is_exact(w, keys)) {
            check_inexact(claims, &dense_unit, claims->scales.s[g],
                          claims->scales.half[g], &inexact);
            if (!job->reference)
                tally.near = near_count_add_f32(tally.near, w, keys);
        }
        if (job->reference)
            check_reference(claims, g, i, n, raw, w, NULL, &tally, &sums);
    }
    end_claim(claims, g, &tally, &sums, &inexact);
}

/* ---- a run ------------------------------------------------------------------------ */

static const struct element_type *const element_types[ELEMENT_TYPES] = {
    [TRIT_F32] = &element_type_f32,
    [TRIT_F16] = &element_type_f16,
    [TRIT_BF16] = &element_type_bf16,
};

static struct claims claims_of(const struct verify_job *job,
                               struct ternary_counts *counts, struct ternary_check *check,
                               enum trit_dtype elements)
{
    return (struct claims){
        .job = job,
        .counts = counts,
        .check = check,
        .elements = element_types[elements],
        .latents = job->reference ? element_types[job->reference_dtype] : NULL,
    };
}
