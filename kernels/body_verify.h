/* Part of body.h: does a tensor hold what it claims? */

INLINE void load_any(vf w[4], const uint8_t *in, size_t n, enum trit_dtype dtype)
{
    if (dtype == TRIT_F32)
        load_unit(w, in, n, TRIT_F32);
    else if (dtype == TRIT_F16)
        load_unit(w, in, n, TRIT_F16);
    else
        load_unit(w, in, n, TRIT_BF16);
}

INLINE void floats_of(float to[UNIT], const vf v[4])
{
    store_unit((uint8_t *)to, v, UNIT, TRIT_F32);
}

INLINE void of_floats(vf v[4], const float from[UNIT])
{
    load_unit(v, (const uint8_t *)from, UNIT, TRIT_F32);
}

/* One group on its way through a verification. */
struct claim {
    const struct verify_job *job;
    struct ternary_counts *counts;
    struct ternary_check *check;
    size_t group;
    float s;                /* the claim's scale */
    bool tainted;           /* it holds something that is not finite */
    const uint8_t *latents; /* of the reference, or NULL */
    bool latents_finite;
    struct scale projection; /* of the reference */
    float expected_s;        /* as the claim's format would hold it */
    vt tally;
    vn near;
    struct sums sums;
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
static void check_inexact(struct claim *claim, const float w[UNIT], float half)
{
    const float s = claim->s, tolerance = claim->job->tolerance;
    struct ternary_check *check = claim->check;
    for (size_t i = 0; i < UNIT; i++) {
        const float a = fabsf(w[i]), quotient = w[i] / s;
        const float error = fabsf(fabsf(quotient) - (a > half ? 1.0f : 0.0f));
        const bool exact = a == s || a == 0.0f;
        if (error > check->max_round_error)
            check->max_round_error = error;
        if (exact || (tolerance > 0.0f && error <= tolerance))
            continue;
        check->valid--;
        add_sample(check, quotient);
    }
}

/* The reference's share of a unit: mismatches, sums, nearness to the threshold. */
INLINE void check_reference(struct claim *claim, size_t i, size_t n, const vf raw[4],
                            const vf finite[4])
{
    const struct verify_job *job = claim->job;
    const struct scale *to = &claim->projection;
    vf r[4], want[4];
    load_any(r, claim->latents + i * (job->reference_dtype == TRIT_F32 ? 4 : 2), n,
             job->reference_dtype);
    for (size_t k = 0; k < 4; k++)
        want[k] = vf_dense(r[k], vf_splat(to->half), vf_splat(claim->expected_s));
    claim->near = vn_add(claim->near, r, vf_splat(to->near_low), vf_splat(to->near_high));
    if (job->sums)
        sums_add(&claim->sums, r, finite);
    float is[UNIT], expected[UNIT];
    floats_of(is, raw);
    floats_of(expected, want);
    uint32_t differ = !claim->latents_finite;
    for (size_t k = 0; k < UNIT; k++)
        differ |= is[k] != expected[k];
    if (!differ)
        return;
    for (size_t k = 0; k < n; k++)
        if (is[k] != expected[k] || !claim->latents_finite)
            add_mismatch(claim->check, claim->group * job->group_len + i + k);
}

INLINE void claim_codes(struct claim *claim, size_t i, size_t n, vb codes)
{
    const struct verify_job *job = claim->job;
    claim->tally = vt_add(claim->tally, codes);
    if (job->codes)
        store_codes(job->codes + claim->group * ((job->group_len + 3) / 4) + i / 4, codes,
                    n);
}

INLINE void begin_claim(struct claim *claim, enum trit_dtype dtype)
{
    const struct verify_job *job = claim->job;
    claim->tally = vt_zero();
    claim->near = vn_zero();
    claim->sums = sums_zero();
    job->scales[claim->group] = claim->s;
    if (!claim->tainted)
        count_scale(claim->s, claim->group, claim->counts);
    if (!job->reference)
        return;
    const size_t size = job->reference_dtype == TRIT_F32 ? 4 : 2;
    claim->latents =
        (const uint8_t *)job->reference + claim->group * job->group_len * size;
    double sum;
    if (job->reference_dtype == TRIT_F32)
        sum = group_sum(claim->latents, job->group_len, TRIT_F32);
    else if (job->reference_dtype == TRIT_F16)
        sum = group_sum(claim->latents, job->group_len, TRIT_F16);
    else
        sum = group_sum(claim->latents, job->group_len, TRIT_BF16);
    claim->latents_finite = sum < INFINITY;
    claim->projection = scale_of((float)(sum / (double)job->divisor));
    claim->expected_s = scale_in(claim->projection.s, dtype);
}

INLINE void end_claim(struct claim *claim)
{
    const struct verify_job *job = claim->job;
    struct ternary_counts *counts = claim->counts;
    uint64_t negatives, positives;
    vt_counts(claim->tally, (job->group_len + UNIT - 1) / UNIT * UNIT, &negatives,
              &positives);
    counts->near_threshold += vn_total(claim->near);
    counts->negatives += negatives;
    counts->positives += positives;
    counts->zeros += job->group_len - negatives - positives;
    counts->zero_groups +=
        !claim->tainted && (claim->s == 0.0f || negatives + positives == 0);
    if (job->sums)
        job->sums[claim->group] = sums_total(&claim->sums);
}

/* ---- dense --------------------------------------------------------------------- */

/* The largest finite magnitude of a group that holds something else too. */
INLINE float tainted_top(const uint8_t *in, size_t len, enum trit_dtype dtype)
{
    float top = 0.0f;
    for (size_t i = 0; i < len; i += UNIT) {
        vf unit[4];
        float w[UNIT];
        load_unit(unit, in + i * (dtype == TRIT_F32 ? 4 : 2), size_min(len - i, UNIT),
                  dtype);
        floats_of(w, unit);
        for (size_t k = 0; k < UNIT; k++)
            if (isfinite(w[k]) && fabsf(w[k]) > top)
                top = fabsf(w[k]);
    }
    return top;
}

INLINE float group_top(const uint8_t *in, size_t len, enum trit_dtype dtype)
{
    const size_t size = dtype == TRIT_F32 ? 4 : 2;
    vf top[4] = {vf_splat(0.0f), vf_splat(0.0f), vf_splat(0.0f), vf_splat(0.0f)};
    for (size_t i = 0; i < len; i += UNIT) {
        vf w[4];
        __builtin_prefetch(in + i * size + AHEAD_BYTES);
        __builtin_prefetch(in + i * size + AHEAD_BYTES + 64);
        if (dtype == TRIT_F32) {
            __builtin_prefetch(in + i * size + AHEAD_BYTES + 128);
            __builtin_prefetch(in + i * size + AHEAD_BYTES + 192);
        }
        load_unit(w, in + i * size, size_min(len - i, UNIT), dtype);
        for (size_t k = 0; k < 4; k++)
            top[k] = vf_top(top[k], w[k]);
    }
    return vf_top_of(vf_top(vf_top(top[0], top[1]), vf_top(top[2], top[3])));
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

INLINE void verify_dense_group(struct claim *claim, enum trit_dtype dtype)
{
    const struct verify_job *job = claim->job;
    const size_t size = dtype == TRIT_F32 ? 4 : 2, len = job->group_len;
    const uint8_t *in = (const uint8_t *)job->in + claim->group * len * size;
    claim->s = group_top(in, len, dtype);
    claim->tainted = !(claim->s < INFINITY);
    if (claim->tainted) {
        count_non_finite(in, len, claim->group * len, claim->counts, dtype);
        claim->s = tainted_top(in, len, dtype);
    }
    begin_claim(claim, dtype);
    const struct scale scale = scale_of(claim->s);
    const vf half = vf_splat(scale.half), s = vf_splat(claim->s);
    for (size_t i = 0; i < len; i += UNIT) {
        const size_t n = size_min(len - i, UNIT);
        vf raw[4], w[4];
        float values[UNIT];
        load_unit(raw, in + i * size, n, dtype);
        memcpy(w, raw, sizeof w);
        claim->check->valid += n;
        if (claim->tainted) {
            floats_of(values, raw);
            claim->check->valid -= make_finite(values);
            of_floats(w, values);
        }
        claim_codes(claim, i, n, vb_codes(w, half));
        if (!vf_exact(w, s)) {
            floats_of(values, w);
            check_inexact(claim, values, scale.half);
        }
        if (claim->latents)
            check_reference(claim, i, n, raw, w);
        else
            claim->near = vn_add(claim->near, w, vf_splat(scale.near_low),
                                 vf_splat(scale.near_high));
    }
    end_claim(claim);
}

/* ---- packed --------------------------------------------------------------------- */

/* Where a group of a packed run begins, and its stored scale. */
struct packed_group {
    const uint8_t *codes;
    float s;
};

INLINE struct packed_group packed_group(enum trit_encoding encoding, const void *in,
                                        const float *scales, size_t group, size_t len)
{
    const uint8_t *bytes = in;
    if (encoding == TRIT_ENCODING_INT8)
        return (struct packed_group){bytes + group * len, scales[group]};
    assert(encoding == TRIT_ENCODING_PQ2_0);
    uint16_t d;
    bytes += group * 34;
    memcpy(&d, bytes, sizeof d);
    return (struct packed_group){bytes + sizeof d, f16_widen(d)};
}

/* 64 stored multiples of the scale, 0 beyond n: any int8, or -1..2. */
INLINE void load_multiples(int8_t t[UNIT], enum trit_encoding encoding,
                           const uint8_t *codes, size_t i, size_t n)
{
    if (encoding == TRIT_ENCODING_INT8) {
        memset(t, 0, UNIT);
        memcpy(t, codes + i, n);
        return;
    }
    uint8_t packed[PACKED_BYTES];
    memset(packed, 0x55, sizeof packed);
    memcpy(packed, codes + i / 4, (n + 3) / 4);
    for (size_t k = 0; k < UNIT; k++)
        t[k] = (int8_t)((packed[k / 4] >> (2 * (k % 4)) & 3) - 1);
}

static void check_multiples(struct claim *claim, const int8_t t[UNIT])
{
    struct ternary_check *check = claim->check;
    for (size_t i = 0; i < UNIT; i++) {
        const int excess = abs(t[i]) - 1;
        if (excess <= 0)
            continue;
        if ((float)excess > check->max_round_error)
            check->max_round_error = (float)excess;
        if ((float)excess <= claim->job->tolerance)
            continue;
        check->valid--;
        add_sample(check, (float)t[i]);
    }
}

INLINE void verify_packed_group(struct claim *claim)
{
    const struct verify_job *job = claim->job;
    const size_t len = job->group_len;
    const struct packed_group group =
        packed_group(job->encoding, job->in, job->in_scales, claim->group, len);
    claim->s = group.s;
    claim->tainted = !isfinite(group.s);
    if (claim->tainted) { /* every element decodes to a NaN or an infinity */
        if (claim->counts->non_finite == 0)
            claim->counts->first_non_finite = claim->group * len;
        claim->counts->non_finite += len;
    }
    begin_claim(claim, job->encoding == TRIT_ENCODING_INT8 ? TRIT_F32 : TRIT_F16);
    for (size_t i = 0; i < len; i += UNIT) {
        const size_t n = size_min(len - i, UNIT);
        int8_t t[UNIT];
        uint8_t codes[UNIT];
        load_multiples(t, job->encoding, group.codes, i, n);
        int beyond = 0;
        for (size_t k = 0; k < UNIT; k++) {
            beyond |= t[k] > 1 || t[k] < -1;
            codes[k] = (uint8_t)((t[k] > 0) - (t[k] < 0) + 1);
        }
        claim_codes(claim, i, n, vb_load(codes));
        if (!claim->tainted) {
            claim->check->valid += n;
            if (beyond)
                check_multiples(claim, t);
        }
        if (!claim->latents)
            continue;
        float raw[UNIT], finite[UNIT];
        for (size_t k = 0; k < UNIT; k++) {
            raw[k] = (float)t[k] * group.s;
            finite[k] = claim->tainted ? 0.0f : raw[k];
        }
        vf v[4], w[4];
        of_floats(v, raw);
        of_floats(w, finite);
        check_reference(claim, i, n, v, w);
    }
    end_claim(claim);
}

static void verify_groups(const struct verify_job *job, struct ternary_counts *counts,
                          struct ternary_check *check)
{
    for (size_t g = 0; g < job->count; g++) {
        struct claim claim = {.job = job, .counts = counts, .check = check, .group = g};
        if (job->encoding != TRIT_ENCODING_DENSE)
            verify_packed_group(&claim);
        else if (job->dtype == TRIT_F32)
            verify_dense_group(&claim, TRIT_F32);
        else if (job->dtype == TRIT_F16)
            verify_dense_group(&claim, TRIT_F16);
        else
            verify_dense_group(&claim, TRIT_BF16);
    }
}
