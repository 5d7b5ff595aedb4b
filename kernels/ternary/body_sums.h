/* SPDX-License-Identifier: Apache-2.0 */
/* Part of body.h: the sums of a report, over latents w and the values v that represent
 * them. */

/* Running sums, lane by lane. */
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

INLINE void sums_add(struct sums *sums, unit_f32 w, unit_f32 v)
{
    for (size_t k = 0; k < UNIT_VECTORS_f32; k++) {
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

/* ---- a projection ----------------------------------------------------------------- */

/* If the error is a smaller part of a group's energy, more than ten of its bits are lost
 * where terms cancel; it is then summed directly. */
#define ERROR_LEAST 0x1p-10

/* For a group, in vectors that are not totalled yet: the sum of w*w, the sum of |w| beyond
 * the threshold, and the number of elements beyond it. */
struct moments {
    f64v energy, beyond;
    u64v count;
};

/* The report's sums. |v| is s beyond the threshold and 0 elsewhere, so its products with
 * the latents follow from the sum and the number of elements beyond the threshold. The
 * error follows too, unless it is so small that its digits are lost. */
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
