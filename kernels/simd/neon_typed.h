/* SPDX-License-Identifier: Apache-2.0 */
/* NEON, a template (typed.h): codes of a unit, totals of a block. */

#include "kernels/simd/typed_masks.h"

/* There are no stores past the caches. */
static inline void unit_stream(uint8_t *p, unit u)
{
    unit_store(p, u);
}

/* ---- codes ------------------------------------------------------------------------- */

/* Trits of eight elements as 16 bits each: 1, or -1 by the sign, where m is true. */
static inline int16x8_t unit_trits(unit u, mask64 m, size_t i)
{
#if ELEMENT_BYTES == 2
    const int16x8_t sign = vshrq_n_s16((int16x8_t)u.r[i], 15); /* 0, -1 */
    return vandq_s16(vorrq_s16(sign, vdupq_n_s16(1)), (int16x8_t)m.m[i]);
#else
    int16x4_t t[2];
    for (size_t k = 0; k < 2; k++) {
        const int32x4_t sign = vshrq_n_s32((int32x4_t)u.r[2 * i + k], 31);
        t[k] = vmovn_s32(
            vandq_s32(vorrq_s32(sign, vdupq_n_s32(1)), (int32x4_t)m.m[2 * i + k]));
    }
    return vcombine_s16(t[0], t[1]);
#endif
}

static inline codes64 unit_encode(unit u, mask64 m, thresholds k)
{
    codes64 c;
    (void)k;
    for (size_t i = 0; i < 4; i++) {
        const int8x16_t trits = vcombine_s8(vmovn_s16(unit_trits(u, m, 2 * i)),
                                            vmovn_s16(unit_trits(u, m, 2 * i + 1)));
        c.val[i] = vaddq_u8(vreinterpretq_u8_s8(trits), vdupq_n_u8(1));
    }
    return c;
}

static inline sign_tally sign_tally_add_unit(sign_tally tally, unit u, mask64 m,
                                             thresholds k)
{
    return sign_tally_add(tally, unit_encode(u, m, k));
}

/* ---- totals of a block ------------------------------------------------------------- */

/* By conversion, which is cheap here. */
static inline abs_sum abs_sum_add(abs_sum sum, const uint8_t *p)
{
    const f32x16 w = f32x16_load(p);
    for (size_t k = 0; k < WIDE_VECTORS; k++) {
        const f32v magnitudes = f32v_abs(w.v[k]);
        sum.v[2 * k] += f64v_widen_low(magnitudes);
        sum.v[2 * k + 1] += f64v_widen_high(magnitudes);
    }
    return sum;
}

/* Two groups at a time share the last step of the tree. */
static inline struct totals abs_sum_reduce(double to[BLOCK_GROUPS],
                                           const struct partial from[BLOCK_GROUPS])
{
    uint64x2_t below = vdupq_n_u64(UINT64_MAX), zeros = vdupq_n_u64(0);
    const uint64x2_t bits = vcombine_u64(vcreate_u64(1), vcreate_u64(2));
    for (size_t g = 0; g < BLOCK_GROUPS; g += 2) {
        const float64x2_t sums =
            vpaddq_f64((float64x2_t)f64x16_fold(f64x16_load(from[g].lane)),
                       (float64x2_t)f64x16_fold(f64x16_load(from[g + 1].lane)));
        below = vandq_u64(below, vcltq_f64(sums, vdupq_n_f64(SUM_FINITE)));
        zeros = vorrq_u64(
            zeros, vshlq_u64(vandq_u64(vceqzq_f64(sums), bits), vdupq_n_s64((int64_t)g)));
        vst1q_f64(to + g, sums);
    }
    return (struct totals){
        (uint32_t)(vgetq_lane_u64(zeros, 0) | vgetq_lane_u64(zeros, 1)),
        vgetq_lane_u64(below, 0) != 0 && vgetq_lane_u64(below, 1) != 0,
    };
}

static inline void unit_reduce_unions(uint32_t to[BLOCK_GROUPS],
                                      const struct partial from[BLOCK_GROUPS])
{
    for (size_t g = 0; g < BLOCK_GROUPS; g++) {
        const uint32x4_t bits = vld1q_u32((const uint32_t *)(const void *)from[g].lane);
        const uint64x2_t pairs = vreinterpretq_u64_u32(bits);
        const uint64_t all = vgetq_lane_u64(pairs, 0) | vgetq_lane_u64(pairs, 1);
        to[g] = (uint32_t)(all | all >> 32);
        if (ELEMENT_BYTES == 2)
            to[g] = (to[g] | to[g] >> 16) & 0xffff;
    }
}
