/* Part of body.h: does a tensor hold what it claims? */

/* A block of groups on its way through a verification. */
struct claims {
    const struct verify_job *job;
    struct ternary_counts *counts;
    struct ternary_check *check;
    size_t begin, end;               /* groups */
    bool far;                        /* the run may not be in L2 */
    struct scales scales;            /* of the claim */
    bool near_found;                 /* scales.low and high are: few blocks need them */
    bool tainted[BLOCK_GROUPS];      /* holds something that is not finite */
    struct scales projection;        /* of the reference */
    bool latents_lost[BLOCK_GROUPS]; /* the reference is not finite */
};

static void add_sample(struct ternary_check *check, float sample)
{
    if (check->sample_count == TRIT_SAMPLES_MAX)
        return;
    for (uint32_t i = 0; i < check->sample_count; i++)
        if (float_bits(check->samples[i]) == float_bits(sample))
            return;
    check->samples[check->sample_count++] = sample;
}

static void add_mismatch(struct ternary_check *check, size_t element)
{
    if (check->mismatches++ == 0)
        check->first_mismatch = element;
}

/* 64 values that are not all 0 or +-s, by true division. Values that are not finite
 * come here as 0; the caller has them off the valid ones. */
static __attribute__((noinline)) void
check_inexact(const struct claims *claims, const float w[UNIT], float s, float half)
{
    const float tolerance = claims->job->tolerance;
    struct ternary_check *check = claims->check;
    float quotients[UNIT];
    uint32_t wrong[UNIT], worst = 0, all_wrong = 0;
    for (size_t i = 0; i < UNIT; i++) {
        const float a = fabsf(w[i]), quotient = w[i] / s;
        const float error = fabsf(fabsf(quotient) - (a > half ? 1.0f : 0.0f));
        const uint32_t exact = (uint32_t)(a == s) | (uint32_t)(a == 0.0f);
        const uint32_t near =
            (uint32_t)(error <= tolerance) & (uint32_t)(tolerance > 0.0f);
        const uint32_t bits = float_bits(error); /* orders as errors do: none is < 0 */
        worst = bits > worst ? bits : worst;
        quotients[i] = quotient;
        wrong[i] = !(exact | near);
        all_wrong += wrong[i];
    }
    if (float_of_bits(worst) > check->max_round_error)
        check->max_round_error = float_of_bits(worst);
    check->valid -= all_wrong;
    if (!all_wrong || check->sample_count == TRIT_SAMPLES_MAX)
        return;
    for (size_t i = 0; i < UNIT; i++)
        if (wrong[i])
            add_sample(check, quotients[i]);
}

static bool same_values(const float a[UNIT], const float b[UNIT])
{
    uint32_t differ = 0;
    for (size_t i = 0; i < UNIT; i++)
        differ |= a[i] != b[i];
    return !differ;
}

/* The reference's share of a unit: mismatches, sums, nearness to the threshold. `raw` is
 * the claim, `finite` the same with 0 for what is not finite; both f32. */
static __attribute__((noinline)) void
check_reference(const struct claims *claims, size_t g, size_t i, size_t n, vu raw,
                vu finite, struct tally *tally, struct sums *sums)
{
    const struct verify_job *job = claims->job;
    const size_t element = (claims->begin + g) * job->group_len + i;
    const uint8_t *in =
        (const uint8_t *)job->reference + element * bytes_of(job->reference_dtype);
    const vu r = load_any(in, n, job->reference_dtype);
    const vk keys = vk_of(&claims->projection.keys, g, TRIT_F32);
    const vu want = vu_dense(r, keys, TRIT_F32);
    float is[UNIT], expected[UNIT];
    tally->near = vn_add(tally->near, r, keys, TRIT_F32);
    if (job->sums)
        sums_add(sums, r, finite);
    floats_of(is, raw);
    floats_of(expected, want);
    if (same_values(is, expected) && !claims->latents_lost[g])
        return;
    for (size_t k = 0; k < n; k++)
        if (is[k] != expected[k] || claims->latents_lost[g])
            add_mismatch(claims->check, element + k);
}

/* The thresholds of a block's group for elements widened to f32. */
static vk wide_keys(struct claims *claims, size_t g)
{
    struct scales *scales = &claims->scales;
    if (!claims->near_found)
        find_near(scales);
    claims->near_found = true;
    const struct keys keys = {.half = {float_bits(scales->half[g])},
                              .low = {float_bits(scales->low[g])},
                              .high = {float_bits(scales->high[g])},
                              .s = {float_bits(scales->s[g])}};
    return vk_of(&keys, 0, TRIT_F32);
}

/* The reference's scales, as the claim's format would hold them. */
static void project_reference(struct claims *claims, enum trit_dtype dtype)
{
    const struct verify_job *job = claims->job;
    const size_t bytes = job->group_len * bytes_of(job->reference_dtype);
    const size_t count = claims->end - claims->begin;
    const uint8_t *in = (const uint8_t *)job->reference + claims->begin * bytes;
    struct partial partials[BLOCK_GROUPS] = {{{0}}};
    double sums[BLOCK_GROUPS];
    sum_groups(partials, in, count, job->group_len, in_l2, job->reference_dtype);
    if (job->reference_dtype == TRIT_F32)
        total_groups(sums, partials, in, count, job->group_len, TRIT_F32);
    else if (job->reference_dtype == TRIT_F16)
        total_groups(sums, partials, in, count, job->group_len, TRIT_F16);
    else
        total_groups(sums, partials, in, count, job->group_len, TRIT_BF16);
    for (size_t i = 0; i < count; i++)
        claims->latents_lost[i] = !(sums[i] < INFINITY);
    find_means(&claims->projection, sums, job->divisor);
    find_halves(&claims->projection);
    find_near(&claims->projection);
    find_f16(&claims->projection);
    find_kept(&claims->projection, dtype);
    find_keys(&claims->projection, TRIT_F32, true);
}

/* The claim's scales are found: what they say, and what the reference says. `of_elements`
 * is what the claim is made of, `dtype` what holds its scales. */
static void begin_claims(struct claims *claims, enum trit_dtype of_elements,
                         enum trit_dtype dtype)
{
    const size_t count = claims->end - claims->begin;
    memcpy(claims->job->scales + claims->begin, claims->scales.s,
           count * sizeof claims->scales.s[0]);
    for (size_t i = 0; i < LANES; i += STEP) { /* what is not finite judges nothing */
        const fv s = fv_load(claims->scales.s + i);
        fv_store(claims->scales.s + i,
                 fv_choose(((iv)s & INT32_MAX) < INFINITE, s, (fv){0}));
    }
    find_halves(&claims->scales);
    find_kept(&claims->scales, TRIT_F32);
    find_keys(&claims->scales, of_elements, false);
    claims->near_found = false;
    if (claims->job->reference)
        project_reference(claims, dtype);
}

/* Where a group's claim ends. */
static void end_claim(const struct claims *claims, size_t g, const struct tally *tally,
                      const struct sums *sums)
{
    uint64_t nonzeros;
    tally_end(tally, claims->counts, &nonzeros);
    claims->counts->zero_groups +=
        !claims->tainted[g] && (claims->scales.s[g] == 0.0f || nonzeros == 0);
    if (claims->job->sums)
        claims->job->sums[claims->begin + g] = sums_total(sums);
}

INLINE void claim_codes(const struct claims *claims, size_t g, size_t i, size_t n,
                        vc codes, struct tally *tally)
{
    const struct verify_job *job = claims->job;
    tally->codes = vt_add(tally->codes, codes);
    tally->seen += UNIT;
    tally->elements += n;
    if (job->codes)
        store_codes(job->codes + (claims->begin + g) * code_bytes(job->group_len) + i / 4,
                    codes, n);
}
