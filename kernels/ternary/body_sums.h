/* SPDX-License-Identifier: Apache-2.0 */
/* Part of body.h: what a report sums, of latents and what stands for them. */

/* Of latents and what stands for them, lane by lane. */
struct sums {
    f64x16 energy, error, dot, norm;
};

INLINE struct sums sums_zero(void)
{
    return (struct sums){f64x16_zero(), f64x16_zero(), f64x16_zero(), f64x16_zero()};
}

INLINE void sums_add_vector(struct sums *sums, size_t lane, f64v w, f64v v)
{
    const f64v off = w - v;
    sums->energy.v[lane] += w * w;
    sums->error.v[lane] += off * off;
    sums->dot.v[lane] += w * v;
    sums->norm.v[lane] += v * v;
}

/* Units of f32. */
INLINE void sums_add(struct sums *sums, unit w, unit v)
{
    for (size_t k = 0; k < UNIT_VECTORS; k++) {
        const size_t lane = 2 * k % EXACT_VECTORS;
        const f32v a = (f32v)w.r[k], b = (f32v)v.r[k];
        sums_add_vector(sums, lane, f64v_widen_low(a), f64v_widen_low(b));
        sums_add_vector(sums, lane + 1, f64v_widen_high(a), f64v_widen_high(b));
    }
}

INLINE struct group_sums sums_total(const struct sums *sums)
{
    return (struct group_sums){f64x16_total(sums->energy), f64x16_total(sums->error),
                               f64x16_total(sums->dot), f64x16_total(sums->norm)};
}

/* ---- of a projection -------------------------------------------------------------- */

/* Of a group's energy: a smaller error would lose more than ten of its bits where terms
 * cancel, and is summed by itself. */
#define ERROR_LEAST 0x1p-10

/* Magnitudes of 16 elements, 0 beyond n. */
INLINE f32x16 load_magnitudes(const uint8_t *in, size_t n, enum trit_dtype dtype)
{
    uint8_t padded[LANES * 4];
    if (n < LANES) {
        memset(padded, 0, sizeof padded);
        memcpy(padded, in, n * bytes_of(dtype));
        in = padded;
    }
    f32x16 w = f32x16_load(in, dtype);
    for (size_t k = 0; k < WIDE_VECTORS; k++)
        w.v[k] = (f32v)keys_of((i32v)w.v[k], TRIT_F32);
    return w;
}

/* Sum of (|w| - (|w| > half ? s : 0))^2 over a group. */
static __attribute__((noinline)) double
error_of(const uint8_t *in, size_t len, float half, float s, enum trit_dtype dtype)
{
    const f64v bar = f64v_splat((double)half), scale = f64v_splat((double)s);
    f64x16 error = f64x16_zero();
    for (size_t i = 0; i < len; i += LANES) {
        const f32x16 w =
            load_magnitudes(in + i * bytes_of(dtype), size_min(len - i, LANES), dtype);
        for (size_t k = 0; k < EXACT_VECTORS; k++) {
            const f64v a =
                k % 2 ? f64v_widen_high(w.v[k / 2]) : f64v_widen_low(w.v[k / 2]);
            const f64v off = a - f64v_where((u64v)(a > bar), scale);
            error.v[k] += off * off;
        }
    }
    return f64x16_total(error);
}

/* Of a group: sums of w*w and, beyond the threshold, of |w|, and how many are, as far as
 * whole vectors add them. */
struct moments {
    f64v energy, beyond;
    u64v count;
};

INLINE struct moments moments_of(const uint8_t *in, size_t len, float half,
                                 enum trit_dtype dtype)
{
    const f64v bar = f64v_splat((double)half);
    f64x16 energy = f64x16_zero(), beyond = f64x16_zero();
    u64v count = {0};
    for (size_t i = 0; i < len; i += LANES) {
        const f32x16 w =
            load_magnitudes(in + i * bytes_of(dtype), size_min(len - i, LANES), dtype);
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

/* The report's sums. What stands for a group is s times 0 or 1, so its products with the
 * latents need but the sum and the number of those beyond the threshold; their error,
 * too, unless so little is left of it that the digits would be lost. */
INLINE struct group_sums sums_of(const struct moments *moments, float s)
{
    const double scale = (double)s;
    uint64_t count = 0;
    for (size_t i = 0; i < VECTOR_BYTES / 8; i++)
        count += moments->count[i];
    struct group_sums sums = {
        .energy = f64v_total(moments->energy),
        .dot = f64v_total(moments->beyond) * scale,
        .norm = (double)count * (scale * scale),
    };
    sums.error = sums.energy - (sums.dot + sums.dot) + sums.norm;
    return sums;
}

INLINE void sum_block(struct group_sums *to, const uint8_t *in, size_t len,
                      const struct scales *scales, enum trit_dtype dtype)
{
    const size_t bytes = len * bytes_of(dtype);
    struct moments moments[BLOCK_GROUPS];
    for (size_t g = 0; g < scales->count; g++)
        moments[g] = moments_of(in + g * bytes, len, scales->half[g], dtype);
    for (size_t g = 0; g < scales->count; g++) {
        to[g] = sums_of(&moments[g], scales->s[g]);
        if (to[g].energy != 0.0 && !(to[g].error > to[g].energy * ERROR_LEAST))
            to[g].error =
                error_of(in + g * bytes, len, scales->half[g], scales->s[g], dtype);
    }
}
