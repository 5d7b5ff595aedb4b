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
#include "kernels/table.h"

enum { VECTOR_BYTES = 16 };

/* A bit select. */
#define WITH_SIGN(t, u, sign) (((t) & ~(sign)) | ((u) & (sign)))
#include "kernels/vector_masks.h"

typedef uint8x16x4_t vc;
typedef struct {
    uint32x4_t sum, positives;
} vt;

static inline vf vf_load(const uint8_t *p, enum trit_dtype dtype)
{
    vf v;
    for (int k = 0; k < 4; k++) {
        if (dtype == TRIT_F32) {
            v.v[k] = (fv)vld1q_u8(p + 16 * k);
        } else {
            uint16x4_t half = vreinterpret_u16_u8(vld1_u8(p + 8 * k));
            v.v[k] = dtype == TRIT_F16 ? (fv)vcvt_f32_f16(vreinterpret_f16_u16(half))
                                       : (fv)vshll_n_u16(half, 16);
        }
    }
    return v;
}

static inline void vf_store(uint8_t *p, vf v, enum trit_dtype dtype)
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

static inline void vu_stream(uint8_t *p, vu u, enum trit_dtype dtype)
{
    vu_store(p, u, dtype);
}

static inline void vu_fence(void)
{
}

static inline bool vx_none(vx x)
{
    return vmaxvq_u32((uint32x4_t)x) == 0;
}

static inline void vu_keep(struct partial *to, vu acc, enum trit_dtype dtype)
{
    const iv bits = union_keys(acc, dtype);
    memcpy(to->lane, &bits, sizeof bits);
}

static inline void vu_unions(uint32_t to[BLOCK_GROUPS],
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

/* ---- codes ------------------------------------------------------------------------- */

/* Trits of eight elements as 16 bits each: 1, or -1 by the sign, where they are beyond.
 */
static inline int16x8_t trits8(vu u, vm m, size_t i, enum trit_dtype dtype)
{
    if (dtype != TRIT_F32) {
        const int16x8_t sign = vshrq_n_s16((int16x8_t)u.r[i], 15); /* 0, -1 */
        return vandq_s16(vorrq_s16(sign, vdupq_n_s16(1)), (int16x8_t)m.m[i]);
    }
    int16x4_t t[2];
    for (size_t k = 0; k < 2; k++) {
        const int32x4_t sign = vshrq_n_s32((int32x4_t)u.r[2 * i + k], 31);
        t[k] = vmovn_s32(
            vandq_s32(vorrq_s32(sign, vdupq_n_s32(1)), (int32x4_t)m.m[2 * i + k]));
    }
    return vcombine_s16(t[0], t[1]);
}

static inline vc vu_codes(vu u, vm m, vk k, enum trit_dtype dtype)
{
    vc c;
    (void)k;
    for (size_t i = 0; i < 4; i++) {
        const int8x16_t trits = vcombine_s8(vmovn_s16(trits8(u, m, 2 * i, dtype)),
                                            vmovn_s16(trits8(u, m, 2 * i + 1, dtype)));
        c.val[i] = vaddq_u8(vreinterpretq_u8_s8(trits), vdupq_n_u8(1));
    }
    return c;
}

static inline vc vc_load(const uint8_t *p)
{
    return (vc){{vld1q_u8(p), vld1q_u8(p + 16), vld1q_u8(p + 32), vld1q_u8(p + 48)}};
}

static inline void vc_store(uint8_t *p, vc c)
{
    for (int k = 0; k < 4; k++)
        vst1q_u8(p + 16 * k, c.val[k]);
}

static inline void vc_trits(uint8_t *p, vc c)
{
    for (int k = 0; k < 4; k++)
        vst1q_u8(p + 16 * k, vsubq_u8(c.val[k], vdupq_n_u8(1)));
}

/* c0 + 4 c1 + 16 c2 + 64 c3 in the low byte of each 32-bit lane. */
static inline uint16x8_t quads(uint8x16_t c)
{
    uint16x8_t pairs = vreinterpretq_u16_u8(c);
    pairs = vorrq_u16(pairs, vshrq_n_u16(pairs, 6));
    uint32x4_t quads = vreinterpretq_u32_u16(pairs);
    return vreinterpretq_u16_u32(vorrq_u32(quads, vshrq_n_u32(quads, 12)));
}

static inline void vc_pack2(uint8_t *p, vc c)
{
    uint16x8_t low = vuzp1q_u16(quads(c.val[0]), quads(c.val[1]));
    uint16x8_t high = vuzp1q_u16(quads(c.val[2]), quads(c.val[3]));
    vst1q_u8(p, vuzp1q_u8(vreinterpretq_u8_u16(low), vreinterpretq_u8_u16(high)));
}

static inline vt vt_zero(void)
{
    return (vt){vdupq_n_u32(0), vdupq_n_u32(0)};
}

static inline vt vt_add(vt tally, vc c)
{
    uint8x16_t sum = vaddq_u8(vaddq_u8(c.val[0], c.val[1]), vaddq_u8(c.val[2], c.val[3]));
    uint8x16_t positives = vdupq_n_u8(0);
    for (int k = 0; k < 4; k++)
        positives = vsraq_n_u8(positives, c.val[k], 1);
    tally.sum = vpadalq_u16(tally.sum, vpaddlq_u8(sum));
    tally.positives = vpadalq_u16(tally.positives, vpaddlq_u8(positives));
    return tally;
}

static inline vt vt_see(vt tally, vu u, vm m, vk k, enum trit_dtype dtype)
{
    return vt_add(tally, vu_codes(u, m, k, dtype));
}

/* The codes' sum is seen + positives - negatives. */
static inline void vt_counts(vt tally, size_t seen, uint64_t *negatives,
                             uint64_t *positives)
{
    *positives = vaddlvq_u32(tally.positives);
    *negatives = seen + *positives - vaddlvq_u32(tally.sum);
}

/* ---- f64 --------------------------------------------------------------------------- */

static inline dv dv_low(fv v)
{
    return (dv)vcvt_f64_f32(vget_low_f32((float32x4_t)v));
}

static inline dv dv_high(fv v)
{
    return (dv)vcvt_high_f64_f32((float32x4_t)v);
}

static inline fv fv_of(dv low, dv high)
{
    return (fv)vcombine_f32(vcvt_f32_f64((float64x2_t)low),
                            vcvt_f32_f64((float64x2_t)high));
}

static inline fv fv_as_f16(fv v)
{
    return (fv)vcvt_f32_f16(vcvt_f16_f32((float32x4_t)v));
}

/* Sums by conversion, which is cheap here. */
typedef vd vs;

static inline vs vs_zero(void)
{
    return vd_zero();
}

static inline vs vs_add(vs sum, const uint8_t *p, enum trit_dtype dtype)
{
    const vf w = vf_load(p, dtype);
    for (size_t k = 0; k < WIDE_VECTORS; k++) {
        const fv magnitudes = (fv)keys_of((iv)w.v[k], TRIT_F32);
        sum.v[2 * k] += dv_low(magnitudes);
        sum.v[2 * k + 1] += dv_high(magnitudes);
    }
    return sum;
}

static inline void vs_keep(struct partial *to, vs sum)
{
    memcpy(to->lane, &sum, sizeof to->lane);
}

/* Two groups at a time share the last step of the tree. */
static inline struct totals vs_totals(double to[BLOCK_GROUPS],
                                      const struct partial from[BLOCK_GROUPS],
                                      double limit, enum trit_dtype dtype)
{
    uint64x2_t below = vdupq_n_u64(UINT64_MAX), zeros = vdupq_n_u64(0);
    const uint64x2_t bits = vcombine_u64(vcreate_u64(1), vcreate_u64(2));
    (void)dtype;
    for (size_t g = 0; g < BLOCK_GROUPS; g += 2) {
        const float64x2_t sums =
            vpaddq_f64((float64x2_t)vd_fold(vd_load(from[g].lane)),
                       (float64x2_t)vd_fold(vd_load(from[g + 1].lane)));
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

#include "kernels/body.h"

const struct kernels kernels_neon = {
    "neon",
    ternarize_groups,
    verify_groups,
    unpack_groups,
};

#else
typedef int kernels_no_neon_here;
#endif
