/* SPDX-License-Identifier: Apache-2.0 */
/* The vocabulary in AArch64's Advanced SIMD. Tests compile it on other machines
 * too, through SIMDe, which defines KERNELS_NEON. */
#if defined(__aarch64__) && !defined(KERNELS_NEON)
#include <arm_neon.h>
#define KERNELS_NEON
#endif

#if defined(KERNELS_NEON)

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "kernels/half.h"
#include "kernels/simd/neon_codes.h"
#include "kernels/ternary/table.h"

static inline f32x16 f32x16_load(const uint8_t *p, enum trit_dtype dtype)
{
    f32x16 v;
    for (int k = 0; k < 4; k++) {
        if (dtype == TRIT_F32) {
            v.v[k] = (f32v)vld1q_u8(p + 16 * k);
        } else {
            uint16x4_t half = vreinterpret_u16_u8(vld1_u8(p + 8 * k));
            v.v[k] = dtype == TRIT_F16 ? (f32v)vcvt_f32_f16(vreinterpret_f16_u16(half))
                                       : (f32v)vshll_n_u16(half, 16);
        }
    }
    return v;
}

static inline void f32x16_store(uint8_t *p, f32x16 v, enum trit_dtype dtype)
{
    for (int k = 0; k < 4; k++) {
        if (dtype == TRIT_F32) {
            vst1q_u8(p + 16 * k, (uint8x16_t)v.v[k]);
        } else {
            uint16x4_t half =
                dtype == TRIT_F16
                    ? vreinterpret_u16_f16(vcvt_f16_f32((float32x4_t)v.v[k]))
                    : vshrn_n_u32((uint32x4_t)v.v[k], 16);
            vst1_u8(p + 8 * k, vreinterpret_u8_u16(half));
        }
    }
}

static inline void unit_stream(uint8_t *p, unit u, enum trit_dtype dtype)
{
    unit_store(p, u, dtype);
}

static inline void unit_stream_fence(void)
{
}

static inline bool residue_none(residue x)
{
    return vmaxvq_u32((uint32x4_t)x) == 0;
}

static inline void unit_reduce_unions(uint32_t to[BLOCK_GROUPS],
                                      const struct partial from[BLOCK_GROUPS],
                                      enum trit_dtype dtype)
{
    for (size_t g = 0; g < BLOCK_GROUPS; g++) {
        const uint32x4_t bits = vld1q_u32((const uint32_t *)(const void *)from[g].lane);
        const uint64x2_t pairs = vreinterpretq_u64_u32(bits);
        const uint64_t all = vgetq_lane_u64(pairs, 0) | vgetq_lane_u64(pairs, 1);
        to[g] = (uint32_t)(all | all >> 32);
        if (dtype != TRIT_F32)
            to[g] = (to[g] | to[g] >> 16) & 0xffff;
    }
}

/* ---- f64 --------------------------------------------------------------------------- */

static inline f64v f64v_widen_low(f32v v)
{
    return (f64v)vcvt_f64_f32(vget_low_f32((float32x4_t)v));
}

static inline f64v f64v_widen_high(f32v v)
{
    return (f64v)vcvt_high_f64_f32((float32x4_t)v);
}

static inline f32v f32v_narrow(f64v low, f64v high)
{
    return (f32v)vcombine_f32(vcvt_f32_f64((float64x2_t)low),
                              vcvt_f32_f64((float64x2_t)high));
}

static inline f32v f32v_round_to_f16(f32v v)
{
    return (f32v)vcvt_f32_f16(vcvt_f16_f32((float32x4_t)v));
}

/* By conversion, which is cheap here. */
static inline abs_sum abs_sum_add(abs_sum sum, const uint8_t *p, enum trit_dtype dtype)
{
    const f32x16 w = f32x16_load(p, dtype);
    for (size_t k = 0; k < WIDE_VECTORS; k++) {
        const f32v magnitudes = (f32v)keys_of((i32v)w.v[k], TRIT_F32);
        sum.v[2 * k] += f64v_widen_low(magnitudes);
        sum.v[2 * k + 1] += f64v_widen_high(magnitudes);
    }
    return sum;
}

/* Two groups at a time share the last step of the tree. */
static inline struct totals abs_sum_reduce(double to[BLOCK_GROUPS],
                                           const struct partial from[BLOCK_GROUPS],
                                           double limit, enum trit_dtype dtype)
{
    uint64x2_t below = vdupq_n_u64(UINT64_MAX), zeros = vdupq_n_u64(0);
    const uint64x2_t bits = vcombine_u64(vcreate_u64(1), vcreate_u64(2));
    (void)dtype;
    for (size_t g = 0; g < BLOCK_GROUPS; g += 2) {
        const float64x2_t sums =
            vpaddq_f64((float64x2_t)f64x16_fold(f64x16_load(from[g].lane)),
                       (float64x2_t)f64x16_fold(f64x16_load(from[g + 1].lane)));
        below = vandq_u64(below, vcltq_f64(sums, vdupq_n_f64(limit)));
        zeros = vorrq_u64(
            zeros, vshlq_u64(vandq_u64(vceqzq_f64(sums), bits), vdupq_n_s64((int64_t)g)));
        vst1q_f64(to + g, sums);
    }
    return (struct totals){
        (uint32_t)(vgetq_lane_u64(zeros, 0) | vgetq_lane_u64(zeros, 1)),
        vgetq_lane_u64(below, 0) != 0 && vgetq_lane_u64(below, 1) != 0,
    };
}

#include "kernels/ternary/body.h"

const struct kernels kernels_neon = {
    "neon",
    ternarize_groups,
    verify_groups,
    unpack_groups,
};

#else
typedef int kernels_no_neon_here;
#endif
