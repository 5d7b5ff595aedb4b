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
    sums->energy.v[lane] = F64V_ADD_PRODUCT(sums->energy.v[lane], w, w);
    sums->error.v[lane] += off * off;
    sums->dot.v[lane] = F64V_ADD_PRODUCT(sums->dot.v[lane], w, v);
    sums->norm.v[lane] = F64V_ADD_PRODUCT(sums->norm.v[lane], v, v);
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

/* Which magnitudes the first pass keeps. Those of f32 serve a survey, and it is faster to
 * widen them from memory than from a register, whose upper half has to be moved first. */
enum kept { KEPT_NONE, KEPT_F64, KEPT_F32 };

/* Of a block: what the first pass leaves for the sums. The magnitudes are those of groups
 * of `stride` <= WIDENED_MAX elements, padded with 0 to whole lanes. */
struct widened {
    size_t stride;
    enum kept kept;
    struct partial sums[BLOCK_GROUPS], energies[BLOCK_GROUPS];
    union {
        _Alignas(64) double magnitudes[WIDENED_MAX];
        float singles[WIDENED_MAX];
    };
};

INLINE size_t widened_stride(size_t len)
{
    return (len + LANES - 1) / LANES * LANES;
}

/* Whether what is beyond the threshold may be summed as f32: NUMERICS.md. */
INLINE bool sums_exactly(const struct ternarize_job *job)
{
    return !job->scale && job->divisor <= SURVEY_MAX && job->group_len <= SURVEY_MAX;
}

/* Adds 16 magnitudes to a group's lanes. */
INLINE void add_magnitudes(f64x16 *sum, f64x16 *energy, f64x16 a)
{
    for (size_t k = 0; k < EXACT_VECTORS; k++) {
        sum->v[k] += a.v[k];
        energy->v[k] = F64V_ADD_PRODUCT(energy->v[k], a.v[k], a.v[k]);
    }
}

INLINE f64x16 f64x16_of_f32x16(f32x16 w)
{
    f64x16 a;
    for (size_t k = 0; k < WIDE_VECTORS; k++) {
        a.v[2 * k] = f64v_widen_low(w.v[k]);
        a.v[2 * k + 1] = f64v_widen_high(w.v[k]);
    }
    return a;
}

/* Stores 16 f32 and widens them from there. */
INLINE f64x16 f64x16_stored(float to[LANES], f32x16 w)
{
    f64x16 a;
    f32x16_store_f32((uint8_t *)to, w);
    __asm__("" : "+m"(*(float(*)[LANES])to)); /* else compilers widen the register */
    for (size_t k = 0; k < EXACT_VECTORS; k++)
        a.v[k] = F64V_WIDEN_AT(to + k * VECTOR_BYTES / 8);
    return a;
}

INLINE void f64x16_store(double *to, f64x16 a)
{
    for (size_t k = 0; k < EXACT_VECTORS; k++)
        *(f64v_unaligned *)(void *)(to + k * VECTOR_BYTES / 8) = a.v[k];
}

/* Whether all values of a block are above `low` and finite. Those without a group may be
 * anything: then the caller looks at each. */
INLINE bool all_above(const double values[BLOCK_GROUPS], double low)
{
    residue odd = residue_zero();
    for (size_t i = 0; i < BLOCK_GROUPS; i += VECTOR_BYTES / 8) {
        const f64v v = f64v_load(values + i);
        odd |= (residue) ~((u64v)(v > low) & (u64v)(v < (double)INFINITY));
    }
    return residue_none(odd);
}

/* The canonical sums of a block's groups: infinity where one has an element that is not
 * finite. */
INLINE struct totals total_widened(double sums[BLOCK_GROUPS],
                                   const struct widened *widened, size_t count)
{
    struct totals totals = {0, true};
    lane_totals(sums, widened->sums);
    if (all_above(sums, 0.0))
        return totals;
    for (size_t g = 0; g < count; g++) {
        totals.zeros |= (uint32_t)(sums[g] == 0.0) << g;
        totals.below &= sums[g] < INFINITY;
    }
    for (size_t g = 0; !totals.below && g < count; g++)
        sums[g] = sums[g] < INFINITY ? sums[g] : INFINITY;
    return totals;
}

/* The sums of a block's groups. |v| is s beyond the threshold and 0 elsewhere, so its
 * products with the latents follow from the sum and the number of elements beyond the
 * threshold. The error follows too, unless it is so small that its digits are lost: false
 * if one may be. */
INLINE bool find_sums(struct group_sums *to, size_t count,
                      const struct partial energies[BLOCK_GROUPS],
                      const double sum[BLOCK_GROUPS], const double counts[BLOCK_GROUPS],
                      const float s[LANES])
{
    double energy[BLOCK_GROUPS], error[BLOCK_GROUPS], dot[BLOCK_GROUPS],
        norm[BLOCK_GROUPS], spare[BLOCK_GROUPS];
    lane_totals(energy, energies);
    for (size_t g = 0; g < BLOCK_GROUPS; g++) {
        const double scale = (double)s[g];
        dot[g] = sum[g] * scale;
        norm[g] = counts[g] * (scale * scale);
        error[g] = energy[g] - (dot[g] + dot[g]) + norm[g];
        spare[g] = error[g] - energy[g] * ERROR_LEAST;
    }
    for (size_t g = 0; g < count; g++)
        to[g] = (struct group_sums){energy[g], error[g], dot[g], norm[g]};
    return all_above(spare, 0.0);
}
