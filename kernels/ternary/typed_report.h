/* SPDX-License-Identifier: Apache-2.0 */
/* Part of body.h, a template (simd/typed.h): what a report sums over a projection. */

/* Loads the magnitudes of 16 elements; those from n on are 0. */
INLINE f32x16 load_magnitudes(const uint8_t *in, size_t n)
{
    uint8_t padded[LANES * ELEMENT_BYTES];
    if (n < LANES) {
        memset(padded, 0, sizeof(padded));
        memcpy(padded, in, n * ELEMENT_BYTES);
        in = padded;
    }
    f32x16 w = f32x16_load(in);
    for (size_t k = 0; k < WIDE_VECTORS; k++)
        w.v[k] = f32v_abs(w.v[k]);
    return w;
}

/* Sum of (|w| - (|w| > half ? s : 0))^2 over a group. */
static __attribute__((noinline)) double error_of(const uint8_t *in, size_t len,
                                                 float half, float s)
{
    const f64v bar = f64v_splat((double)half), scale = f64v_splat((double)s);
    f64x16 error = f64x16_zero();
    for (size_t i = 0; i < len; i += LANES) {
        const f32x16 w =
            load_magnitudes(in + i * ELEMENT_BYTES, size_min(len - i, LANES));
        for (size_t k = 0; k < EXACT_VECTORS; k++) {
            const f64v a =
                k % 2 ? f64v_widen_high(w.v[k / 2]) : f64v_widen_low(w.v[k / 2]);
            const f64v off = a - f64v_where((u64v)(a > bar), scale);
            error.v[k] += off * off;
        }
    }
    return f64x16_total(error);
}

/* Sums the magnitudes of a group and their squares, and keeps them in `doubles` or in
 * `singles`, where one is not NULL. */
ALWAYS_INLINE void widen_group(struct partial *sums, struct partial *energies,
                               double *doubles, float *singles, const uint8_t *in,
                               size_t len, struct prefetch_policy policy)
{
    f64x16 sum = f64x16_zero(), energy = f64x16_zero();
    size_t i = 0;
    for (; i + LANES <= len; i += LANES) {
        const f32x16 w = load_magnitudes(in + i * ELEMENT_BYTES, LANES);
        const f64x16 a = singles ? f64x16_stored(singles + i, w) : f64x16_of_f32x16(w);
        prefetch_lines(in + i * ELEMENT_BYTES, LANES * ELEMENT_BYTES, policy);
        add_magnitudes(&sum, &energy, a);
        if (doubles)
            f64x16_store(doubles + i, a);
    }
    if (i < len) {
        const f32x16 w = load_magnitudes(in + i * ELEMENT_BYTES, len - i);
        const f64x16 a = singles ? f64x16_stored(singles + i, w) : f64x16_of_f32x16(w);
        add_magnitudes(&sum, &energy, a);
        if (doubles)
            f64x16_store(doubles + i, a);
    }
    abs_sum_store(sums, sum);
    abs_sum_store(energies, energy);
}

/* The first pass where sums are asked for: groups from `first` on of a block. */
static __attribute__((noinline)) void widen_groups(struct widened *to, size_t first,
                                                   const uint8_t *in, size_t count,
                                                   size_t len,
                                                   struct prefetch_policy policy)
{
    const size_t bytes = len * ELEMENT_BYTES, stride = to->stride;
    for (size_t g = first; g < first + count; g++, in += bytes) {
        struct partial *sums = &to->sums[g], *energies = &to->energies[g];
        if (to->kept == KEPT_F64)
            widen_group(sums, energies, to->magnitudes + g * stride, NULL, in, len,
                        policy);
        else if (to->kept == KEPT_F32)
            widen_group(sums, energies, NULL, to->singles + g * stride, in, len, policy);
        else
            widen_group(sums, energies, NULL, NULL, in, len, policy);
    }
}

/* Of a group whose magnitudes were not kept. */
static __attribute__((noinline)) beyond_sum sum_beyond_again(const uint8_t *in,
                                                             size_t len, f64v bar)
{
    beyond_sum beyond = beyond_sum_zero();
    for (size_t i = 0; i < len; i += LANES) {
        double lanes[LANES];
        f64x16_store(lanes, f64x16_of_f32x16(load_magnitudes(in + i * ELEMENT_BYTES,
                                                             size_min(len - i, LANES))));
        beyond = beyond_sum_add(beyond, lanes, bar);
    }
    return beyond;
}

/* Sums again what lies beyond the threshold in those of the groups from `begin` on where
 * f32 has overflowed. */
INLINE void sum_overflows(double beyond[BLOCK_GROUPS], const struct ternarize_job *job,
                          size_t begin, const struct scales *scales)
{
    const size_t len = job->group_len, bytes = len * ELEMENT_BYTES;
    const uint8_t *in = (const uint8_t *)job->in + begin * bytes;
    if (all_above(beyond, -1.0))
        return;
    for (size_t g = 0; g < scales->count; g++)
        if (!(beyond[g] < INFINITY))
            beyond[g] = f64x16_total(
                sum_beyond_again(in + g * bytes, len, f64v_splat((double)scales->half[g]))
                    .sum);
}

/* The sums of the groups from `begin` on, from the sums and numbers of their elements beyond
 * the threshold. */
INLINE void end_sums(const struct ternarize_job *job, size_t begin,
                     const struct scales *scales, const struct widened *widened,
                     const double beyond[BLOCK_GROUPS], const double counts[BLOCK_GROUPS])
{
    const size_t len = job->group_len, bytes = len * ELEMENT_BYTES;
    const uint8_t *in = (const uint8_t *)job->in + begin * bytes;
    struct group_sums *to = job->sums + begin;
    if (find_sums(to, scales->count, widened->energies, beyond, counts, scales->s))
        return;
    for (size_t g = 0; g < scales->count; g++)
        if (to[g].energy != 0.0 && !(to[g].error > to[g].energy * ERROR_LEAST))
            to[g].error = error_of(in + g * bytes, len, scales->half[g], scales->s[g]);
}

#if ELEMENT_BYTES == 2

/* The sum and the number of a group's elements beyond the threshold, where sums of f32 do
 * not round (sums_exactly). */
ALWAYS_INLINE double sum_beyond_exactly(const uint8_t *in, size_t len, thresholds keys,
                                        uint64_t *number)
{
    f32v sum[2] = {{0}, {0}};
    found_count found = found_zero();
    for (size_t i = 0; i < len; i += UNIT) {
        const unit u = load_unit(in + i * ELEMENT_BYTES, size_min(len - i, UNIT));
        const mask64 beyond = unit_above_half_scale(u, keys);
        found = found_add(found, beyond);
        for (size_t k = 0; k < UNIT_VECTORS; k++) {
            f32v part[2];
            exact_parts(part, unit_key_where(u, beyond, k));
            sum[0] += part[0];
            sum[1] += part[1];
        }
    }
    *number = found_total(found);
    return BEYOND_SCALE *
           ((double)f32v_exact_total(sum[0]) + (double)f32v_exact_total(sum[1]));
}

/* The sums and the numbers of a block's elements beyond the threshold. In a group that is
 * not finite none is, as no NaN is. */
INLINE void sum_block_exactly(double totals[BLOCK_GROUPS], double counts[BLOCK_GROUPS],
                              const struct ternarize_job *job, size_t begin,
                              const struct scales *scales)
{
    const size_t len = job->group_len, bytes = len * ELEMENT_BYTES;
    const uint8_t *in = (const uint8_t *)job->in + begin * bytes;
    for (size_t g = 0; g < scales->count; g++) {
        uint64_t number;
        const double total = sum_beyond_exactly(in + g * bytes, len,
                                                thresholds_of(&scales->keys, g), &number);
        const bool some = scales->half[g] < INFINITY;
        totals[g] = some ? total : 0.0;
        counts[g] = some ? (double)number : 0.0;
    }
    sum_overflows(totals, job, begin, scales);
}

#endif

/* The same where the second pass does not sum what is beyond the threshold. */
INLINE void sum_block(const struct ternarize_job *job, size_t begin,
                      const struct scales *scales, const struct widened *widened)
{
    const size_t len = job->group_len, bytes = len * ELEMENT_BYTES;
    const size_t stride = widened->stride;
    const bool kept = widened->kept == KEPT_F64;
    const uint8_t *in = (const uint8_t *)job->in + begin * bytes;
    struct partial sums[BLOCK_GROUPS];
    double totals[BLOCK_GROUPS] = {0}, counts[BLOCK_GROUPS] = {0};
#if ELEMENT_BYTES == 2
    if (sums_exactly(job)) {
        sum_block_exactly(totals, counts, job, begin, scales);
        end_sums(job, begin, scales, widened, totals, counts);
        return;
    }
#endif
    for (size_t g = 0; g < scales->count; g++) {
        const f64v bar = f64v_splat((double)scales->half[g]);
        const double *lanes = widened->magnitudes + g * stride;
        beyond_sum beyond = beyond_sum_zero();
        if (kept)
            prefetch_ahead(job, (begin + g) * bytes, 0, bytes / 2);
        if (!kept)
            beyond = sum_beyond_again(in + g * bytes, len, bar);
        else
            for (size_t i = 0; i < stride; i += LANES)
                beyond = beyond_sum_add(beyond, lanes + i, bar);
        abs_sum_store(&sums[g], beyond.sum);
        counts[g] = (double)beyond_sum_count(beyond);
    }
    lane_totals(totals, sums);
    end_sums(job, begin, scales, widened, totals, counts);
}
