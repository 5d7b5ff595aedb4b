/* Part of body.h: what a report sums, of latents and what stands for them. */

/* Of latents and what stands for them, lane by lane. */
struct sums {
    vd energy, error, dot, norm;
};

INLINE struct sums sums_zero(void)
{
    return (struct sums){vd_zero(), vd_zero(), vd_zero(), vd_zero()};
}

INLINE void sums_add_vector(struct sums *sums, size_t lane, dv w, dv v)
{
    const dv off = w - v;
    sums->energy.v[lane] += w * w;
    sums->error.v[lane] += off * off;
    sums->dot.v[lane] += w * v;
    sums->norm.v[lane] += v * v;
}

/* Units of f32. */
INLINE void sums_add(struct sums *sums, vu w, vu v)
{
    for (size_t k = 0; k < UNIT_VECTORS; k++) {
        const size_t lane = 2 * k % EXACT_VECTORS;
        const fv a = (fv)w.r[k], b = (fv)v.r[k];
        sums_add_vector(sums, lane, dv_low(a), dv_low(b));
        sums_add_vector(sums, lane + 1, dv_high(a), dv_high(b));
    }
}

INLINE struct group_sums sums_total(const struct sums *sums)
{
    return (struct group_sums){vd_total(sums->energy), vd_total(sums->error),
                               vd_total(sums->dot), vd_total(sums->norm)};
}

/* ---- of a projection -------------------------------------------------------------- */

/* Of a group's energy: a smaller error would lose more than ten of its bits where terms
 * cancel, and is summed by itself. */
#define ERROR_LEAST 0x1p-10

/* Magnitudes of 16 elements, 0 beyond n. */
INLINE vf load_magnitudes(const uint8_t *in, size_t n, enum trit_dtype dtype)
{
    uint8_t padded[LANES * 4];
    if (n < LANES) {
        memset(padded, 0, sizeof padded);
        memcpy(padded, in, n * bytes_of(dtype));
        in = padded;
    }
    vf w = vf_load(in, dtype);
    for (size_t k = 0; k < WIDE_VECTORS; k++)
        w.v[k] = (fv)keys_of((iv)w.v[k], TRIT_F32);
    return w;
}

/* Sum of (|w| - (|w| > half ? s : 0))^2 over a group. */
static __attribute__((noinline)) double
error_of(const uint8_t *in, size_t len, float half, float s, enum trit_dtype dtype)
{
    const dv bar = dv_splat((double)half), scale = dv_splat((double)s);
    vd error = vd_zero();
    for (size_t i = 0; i < len; i += LANES) {
        const vf w =
            load_magnitudes(in + i * bytes_of(dtype), size_min(len - i, LANES), dtype);
        for (size_t k = 0; k < EXACT_VECTORS; k++) {
            const dv a = k % 2 ? dv_high(w.v[k / 2]) : dv_low(w.v[k / 2]);
            const dv off = a - dv_where((lv)(a > bar), scale);
            error.v[k] += off * off;
        }
    }
    return vd_total(error);
}

/* Of a group: sums of w*w and, beyond the threshold, of |w|, and how many are, as far as
 * whole vectors add them. */
struct moments {
    dv energy, beyond;
    lv count;
};

INLINE struct moments moments_of(const uint8_t *in, size_t len, float half,
                                 enum trit_dtype dtype)
{
    const dv bar = dv_splat((double)half);
    vd energy = vd_zero(), beyond = vd_zero();
    lv count = {0};
    for (size_t i = 0; i < len; i += LANES) {
        const vf w =
            load_magnitudes(in + i * bytes_of(dtype), size_min(len - i, LANES), dtype);
        for (size_t k = 0; k < EXACT_VECTORS; k++) {
            const dv a = k % 2 ? dv_high(w.v[k / 2]) : dv_low(w.v[k / 2]);
            const lv is_beyond = (lv)(a > bar);
            energy.v[k] += a * a;
            beyond.v[k] += dv_where(is_beyond, a);
            count -= is_beyond;
        }
    }
    return (struct moments){vd_fold(energy), vd_fold(beyond), count};
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
        .energy = dv_total(moments->energy),
        .dot = dv_total(moments->beyond) * scale,
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
