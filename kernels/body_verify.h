/* Part of body.h: does a tensor hold what it claims? */

/* A block of groups on its way through a verification. */
struct claims {
    const struct verify_job *job;
    struct ternary_counts *counts;
    struct ternary_check *check;
    size_t begin, end;               /* groups */
    struct scales scales;            /* of the claim */
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
    const vu want = vu_dense(r, vu_beyond(r, keys, TRIT_F32), keys, TRIT_F32);
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

/* The reference's scales, as the claim's format would hold them. */
static void project_reference(struct claims *claims, enum trit_dtype dtype)
{
    const struct verify_job *job = claims->job;
    const size_t bytes = job->group_len * bytes_of(job->reference_dtype);
    const size_t count = claims->end - claims->begin;
    const uint8_t *in = (const uint8_t *)job->reference + claims->begin * bytes;
    struct partial partials[BLOCK_GROUPS] = {{{0}}};
    double sums[BLOCK_GROUPS];
    if (!job->reference)
        return;
    sum_groups(partials, in, count, job->group_len, false, job->reference_dtype);
    if (job->reference_dtype == TRIT_F32)
        total_groups(sums, partials, in, count, job->group_len, TRIT_F32);
    else if (job->reference_dtype == TRIT_F16)
        total_groups(sums, partials, in, count, job->group_len, TRIT_F16);
    else
        total_groups(sums, partials, in, count, job->group_len, TRIT_BF16);
    claims->projection.count = count;
    for (size_t i = 0; i < count; i++)
        claims->latents_lost[i] = !(sums[i] < INFINITY);
    find_means(&claims->projection, sums, job->divisor);
    find_thresholds(&claims->projection, true);
    find_f16(&claims->projection);
    find_kept(&claims->projection, dtype);
    find_keys(&claims->projection, TRIT_F32, true);
}

/* The claim's scales are found: what they say, and what the reference says. `of_elements`
 * is what the claim is made of, `dtype` what holds its scales. */
static void begin_claims(struct claims *claims, enum trit_dtype of_elements,
                         enum trit_dtype dtype)
{
    const size_t count = claims->scales.count = claims->end - claims->begin;
    memcpy(claims->job->scales + claims->begin, claims->scales.s,
           count * sizeof claims->scales.s[0]);
    for (size_t i = 0; i < LANES; i += STEP) { /* what is not finite judges nothing */
        const fv s = fv_load(claims->scales.s + i);
        fv_store(claims->scales.s + i,
                 fv_choose(((iv)s & INT32_MAX) < INFINITE, s, (fv){0}));
    }
    find_thresholds(&claims->scales, true);
    find_kept(&claims->scales, TRIT_F32);
    find_keys(&claims->scales, of_elements, true);
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

/* ---- dense ---------------------------------------------------------------------------
 */

/* The largest finite magnitude of a group that holds something else too. */
static float tainted_top(const uint8_t *in, size_t len, enum trit_dtype dtype)
{
    float top = 0.0f;
    for (size_t i = 0; i < len; i += UNIT) {
        float w[UNIT];
        floats_of(w, load_any(in + i * bytes_of(dtype), size_min(len - i, UNIT), dtype));
        for (size_t k = 0; k < UNIT; k++)
            if (isfinite(w[k]) && fabsf(w[k]) > top)
                top = fabsf(w[k]);
    }
    return top;
}

INLINE float group_top(const uint8_t *in, size_t len, enum trit_dtype dtype)
{
    const size_t size = bytes_of(dtype);
    const float zero[UNIT] = {0};
    vu top = of_floats(zero);
    size_t i = 0;
    for (; i + UNIT <= len; i += UNIT) {
        prefetch_unit(in + i * size, true, dtype);
        top = vu_top(top, vu_load(in + i * size, dtype), dtype);
    }
    if (i < len)
        top = vu_top(top, load_unit(in + i * size, len - i, dtype), dtype);
    return vu_top_of(top, dtype);
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

/* A unit whose values are finite. */
INLINE void verify_plain_unit(const struct claims *claims, size_t g, size_t i, size_t n,
                              const uint8_t *in, vk keys, struct tally *tally,
                              enum trit_dtype dtype)
{
    const vu w = load_unit(in + i * bytes_of(dtype), n, dtype);
    claim_codes(claims, g, i, n, vu_codes(w, vu_beyond(w, keys, dtype), keys, dtype),
                tally);
    if (vu_exact(w, keys, dtype)) /* then nothing is near the threshold either */
        return;
    float values[UNIT];
    floats_of(values, load_any(in + i * bytes_of(dtype), n, dtype));
    check_inexact(claims, values, claims->scales.s[g], claims->scales.half[g]);
    tally->near = vn_add(tally->near, w, keys, dtype);
}

/* A group whose values are finite, alone: its tally goes to the block's. */
INLINE void verify_plain_group(const struct claims *claims, size_t g, struct tally *tally,
                               enum trit_dtype dtype)
{
    const struct verify_job *job = claims->job;
    const size_t len = job->group_len;
    const uint8_t *in =
        (const uint8_t *)job->in + (claims->begin + g) * len * bytes_of(dtype);
    const vk keys = vk_of(&claims->scales.keys, g, dtype);
    size_t i = 0;
    for (; i + UNIT <= len; i += UNIT)
        verify_plain_unit(claims, g, i, UNIT, in, keys, tally, dtype);
    if (i < len)
        verify_plain_unit(claims, g, i, len - i, in, keys, tally, dtype);
    claims->check->valid += len; /* but for those that check_inexact took off */
}

/* A group with a reference, or with values that are not finite. */
static void verify_other_group(const struct claims *claims, size_t g)
{
    const struct verify_job *job = claims->job;
    const size_t size = bytes_of(job->dtype), len = job->group_len;
    const uint8_t *in = (const uint8_t *)job->in + (claims->begin + g) * len * size;
    const struct keys wide = {.half = {float_bits(claims->scales.half[g])},
                              .low = {float_bits(claims->scales.low[g])},
                              .high = {float_bits(claims->scales.high[g])},
                              .s = {float_bits(claims->scales.s[g])}};
    const vk keys = vk_of(&wide, 0, TRIT_F32);
    struct tally tally = tally_zero();
    struct sums sums = sums_zero();
    for (size_t i = 0; i < len; i += UNIT) {
        const size_t n = size_min(len - i, UNIT);
        const vu raw = load_any(in + i * size, n, job->dtype);
        float values[UNIT];
        vu w = raw;
        claims->check->valid += n;
        floats_of(values, raw);
        if (claims->tainted[g]) {
            claims->check->valid -= make_finite(values);
            w = of_floats(values);
        }
        claim_codes(claims, g, i, n,
                    vu_codes(w, vu_beyond(w, keys, TRIT_F32), keys, TRIT_F32), &tally);
        if (!vu_exact(w, keys, TRIT_F32)) {
            check_inexact(claims, values, claims->scales.s[g], claims->scales.half[g]);
            if (!job->reference)
                tally.near = vn_add(tally.near, w, keys, TRIT_F32);
        }
        if (job->reference)
            check_reference(claims, g, i, n, raw, w, &tally, &sums);
    }
    end_claim(claims, g, &tally, &sums);
}

INLINE void verify_dense(struct claims *claims, enum trit_dtype dtype)
{
    const size_t len = claims->job->group_len, bytes = len * bytes_of(dtype);
    for (size_t g = claims->begin; g < claims->end; g++) {
        const uint8_t *in = (const uint8_t *)claims->job->in + g * bytes;
        const size_t i = g - claims->begin;
        claims->scales.s[i] = group_top(in, len, dtype);
        claims->tainted[i] = !(claims->scales.s[i] < INFINITY);
        if (claims->tainted[i]) {
            count_non_finite(in, len, g * len, claims->counts, dtype);
            claims->scales.s[i] = tainted_top(in, len, dtype);
        }
    }
    begin_claims(claims, dtype, dtype);
    struct tally tally = tally_zero();
    for (size_t g = 0; g < claims->end - claims->begin; g++) {
        if (claims->job->reference || claims->tainted[g]) {
            verify_other_group(claims, g);
            continue;
        }
        verify_plain_group(claims, g, &tally, dtype);
        claims->counts->zero_groups += claims->scales.s[g] == 0.0f;
    }
    tally_end(&tally, claims->counts, NULL);
}

/* ---- packed --------------------------------------------------------------------------
 */

/* Stored multiples of the scale, of `n` <= BLOCK_ELEMENTS_MAX elements: any int8, or
 * -1..2. 0 beyond n up to whole units. */
static void unpack_codes(int8_t t[BLOCK_ELEMENTS_MAX], const uint8_t *in, size_t n,
                         const struct packing *packing)
{
    uint8_t codes[BLOCK_ELEMENTS_MAX];
    if (packing->order == ORDER_BYTES) {
        memset(t, 0, (n + UNIT - 1) / UNIT * UNIT);
        memcpy(t, in, n);
        return;
    }
    if (packing->order == ORDER_LSB)
        unpack_lsb(codes, in, n);
    else if (packing->order == ORDER_BASE3)
        unpack_base3(codes, in, n);
    else
        for (size_t i = 0; i < n; i += PLANE_ELEMENTS)
            unpack_planes(codes + i, in + i / 4, packing->order == ORDER_PLANES);
    for (size_t i = 0; i < n; i++)
        t[i] = (int8_t)(codes[i] - 1);
}

/* Elements that one unpack_codes handles. */
INLINE size_t stretch_of(const struct packing *packing)
{
    return packing->order == ORDER_BYTES ? BLOCK_ELEMENTS_MAX : packing->elements;
}

static bool beyond_trits(const int8_t *t, size_t n)
{
    uint32_t beyond = 0;
    for (size_t k = 0; k < n; k++)
        beyond |= (uint8_t)(t[k] + 1) > 2;
    return beyond;
}

static void check_multiples(const struct claims *claims, const int8_t t[UNIT])
{
    struct ternary_check *check = claims->check;
    for (size_t i = 0; i < UNIT; i++) {
        const int excess = abs(t[i]) - 1;
        if (excess <= 0)
            continue;
        if ((float)excess > check->max_round_error)
            check->max_round_error = (float)excess;
        if ((float)excess <= claims->job->tolerance)
            continue;
        check->valid--;
        add_sample(check, (float)t[i]);
    }
}

static void verify_packed_unit(const struct claims *claims, size_t g, size_t i, size_t n,
                               const int8_t t[UNIT], float s, struct tally *tally,
                               struct sums *sums)
{
    uint8_t codes[UNIT];
    for (size_t k = 0; k < UNIT; k++)
        codes[k] = (uint8_t)((t[k] > 0) - (t[k] < 0) + 1);
    claim_codes(claims, g, i, n, vc_load(codes), tally);
    if (!claims->tainted[g]) {
        claims->check->valid += n;
        if (beyond_trits(t, UNIT))
            check_multiples(claims, t);
    }
    if (!claims->job->reference)
        return;
    float raw[UNIT], finite[UNIT];
    for (size_t k = 0; k < UNIT; k++) {
        raw[k] = (float)t[k] * s;
        finite[k] = claims->tainted[g] ? 0.0f : raw[k];
    }
    check_reference(claims, g, i, n, of_floats(raw), of_floats(finite), tally, sums);
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
    for (size_t at = 0; at < len; at += stretch) {
        const uint8_t *block = in + at / packing->elements * packing->bytes;
        const float s = block_scale(block, packing, stored);
        const size_t n = size_min(len - at, stretch);
        int8_t t[BLOCK_ELEMENTS_MAX];
        unpack_codes(t, block + packing->codes_at, n, packing);
        for (size_t i = 0; i < n; i += UNIT)
            verify_packed_unit(claims, g, at + i, size_min(n - i, UNIT), t + i, s, &tally,
                               &sums);
    }
    end_claim(claims, g, &tally, &sums);
}

/* A group's scale is its first block's; all its blocks' are, in a sound file. */
INLINE void verify_packed(struct claims *claims, const struct packing *packing)
{
    const struct verify_job *job = claims->job;
    const size_t bytes = job->group_len / packing->elements * packing->bytes;
    for (size_t g = claims->begin; g < claims->end; g++) {
        const size_t i = g - claims->begin;
        claims->scales.s[i] = block_scale((const uint8_t *)job->in + g * bytes, packing,
                                          job->in_scales ? job->in_scales[g] : 0.0f);
        claims->tainted[i] = !isfinite(claims->scales.s[i]);
        if (!claims->tainted[i])
            continue;
        if (claims->counts->non_finite == 0) /* its elements are NaN or infinite */
            claims->counts->first_non_finite = g * job->group_len;
        claims->counts->non_finite += job->group_len;
    }
    begin_claims(claims, TRIT_F32, packing->scale_at >= 0 ? TRIT_F16 : TRIT_F32);
    for (size_t g = claims->begin; g < claims->end; g++)
        verify_packed_group(claims, g - claims->begin, packing);
}

static void verify_groups(const struct verify_job *job, struct ternary_counts *counts,
                          struct ternary_check *check)
{
    const struct packing *packing = packing_of(job->encoding);
    assert(packing || job->encoding == TRIT_ENCODING_DENSE);
    assert(!packing || job->group_len % packing->elements == 0);
    const size_t bytes = job->group_len * (packing ? 1 : bytes_of(job->dtype));
    const size_t block = groups_per_block(bytes);
    struct claims claims = {.job = job, .counts = counts, .check = check};
    for (size_t begin = 0; begin < job->count; begin += block) {
        claims.begin = begin;
        claims.end = size_min(begin + block, job->count);
        if (packing)
            verify_packed(&claims, packing);
        else if (job->dtype == TRIT_F32)
            verify_dense(&claims, TRIT_F32);
        else if (job->dtype == TRIT_F16)
            verify_dense(&claims, TRIT_F16);
        else
            verify_dense(&claims, TRIT_BF16);
    }
    count_scales(job->scales, job->count, counts);
}
