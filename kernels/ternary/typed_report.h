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

INLINE struct moments moments_of(const uint8_t *in, size_t len, float half)
{
    const f64v bar = f64v_splat((double)half);
    f64x16 energy = f64x16_zero(), beyond = f64x16_zero();
    u64v count = {0};
    for (size_t i = 0; i < len; i += LANES) {
        const f32x16 w =
            load_magnitudes(in + i * ELEMENT_BYTES, size_min(len - i, LANES));
        for (size_t k = 0; k < EXACT_VECTORS; k++) {
            const f64v a =
                k % 2 ? f64v_widen_high(w.v[k / 2]) : f64v_widen_low(w.v[k / 2]);
            const u64v is_beyond = (u64v)(a > bar);
            energy.v[k] += a * a;
            beyond.v[k] += f64v_where(is_beyond, a);
            count -= is_beyond;
        }
    }
    return (struct moments){f64x16_fold(energy), f64x16_fold(beyond), count};
}

/* The sums of the groups from `begin` on. */
INLINE void sum_block(const struct ternarize_job *job, size_t begin,
                      const struct scales *scales)
{
    const size_t len = job->group_len, bytes = len * ELEMENT_BYTES;
    const uint8_t *in = (const uint8_t *)job->in + begin * bytes;
    struct group_sums *to = job->sums + begin;
    struct moments moments[BLOCK_GROUPS];
    for (size_t g = 0; g < scales->count; g++) {
        prefetch_ahead(job, (begin + g) * bytes, 0, bytes / 2);
        moments[g] = moments_of(in + g * bytes, len, scales->half[g]);
    }
    for (size_t g = 0; g < scales->count; g++) {
        to[g] = sums_of(&moments[g], scales->s[g]);
        if (to[g].energy != 0.0 && !(to[g].error > to[g].energy * ERROR_LEAST))
            to[g].error = error_of(in + g * bytes, len, scales->half[g], scales->s[g]);
    }
}
