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

static inline f32x16 f32x16_load_f32(const uint8_t *p)
{
    f32x16 v;
    for (int k = 0; k < 4; k++)
        v.v[k] = (f32v)vld1q_u8(p + 16 * k);
    return v;
}

static inline uint16x4_t load_halves(const uint8_t *p)
{
    return vreinterpret_u16_u8(vld1_u8(p));
}

static inline void store_halves(uint8_t *p, uint16x4_t half)
{
    vst1_u8(p, vreinterpret_u8_u16(half));
}

static inline f32x16 f32x16_load_f16(const uint8_t *p)
{
    f32x16 v;
    for (int k = 0; k < 4; k++)
        v.v[k] = (f32v)vcvt_f32_f16(vreinterpret_f16_u16(load_halves(p + 8 * k)));
    return v;
}

static inline f32x16 f32x16_load_bf16(const uint8_t *p)
{
    f32x16 v;
    for (int k = 0; k < 4; k++)
        v.v[k] = (f32v)vshll_n_u16(load_halves(p + 8 * k), 16);
    return v;
}

static inline void f32x16_store_f32(uint8_t *p, f32x16 v)
{
    for (int k = 0; k < 4; k++)
        vst1q_u8(p + 16 * k, (uint8x16_t)v.v[k]);
}

static inline void f32x16_store_f16(uint8_t *p, f32x16 v)
{
    for (int k = 0; k < 4; k++)
        store_halves(p + 8 * k, vreinterpret_u16_f16(vcvt_f16_f32((float32x4_t)v.v[k])));
}

static inline void f32x16_store_bf16(uint8_t *p, f32x16 v)
{
    for (int k = 0; k < 4; k++)
        store_halves(p + 8 * k, vshrn_n_u32((uint32x4_t)v.v[k], 16));
}

static inline void unit_stream_fence(void)
{
}

static inline u64v u64v_join(const uint8_t *from, size_t stride, size_t bytes)
{
    u64v v;
    for (size_t at = 0; at < sizeof(v); at += bytes, from += stride)
        memcpy((uint8_t *)&v + at, from, bytes);
    return v;
}

static inline bool residue_none(residue x)
{
    return vmaxvq_u32((uint32x4_t)x) == 0;
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

#define VOCABULARY "kernels/simd/neon_typed.h"
#include "kernels/ternary/body.h"

const struct kernels kernels_neon = KERNELS_TABLE("neon");

#else
typedef int kernels_no_neon_here;
#endif
