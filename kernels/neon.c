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

#include "kernels/table.h"

typedef float32x4x4_t vf;
typedef struct {
    float64x2_t q[8];
} vd;
typedef struct {
    uint32x4_t m[16];
} vm;
typedef uint8x16x4_t vb;
typedef struct {
    uint32x4_t sum, positives;
} vt;
typedef uint32x4_t vn;

static inline vf vf_load(const uint8_t *p, enum trit_dtype dtype)
{
    vf v;
    for (int k = 0; k < 4; k++) {
        if (dtype == TRIT_F32) {
            v.val[k] = vreinterpretq_f32_u8(vld1q_u8(p + 16 * k));
        } else {
            uint16x4_t half = vreinterpret_u16_u8(vld1_u8(p + 8 * k));
            v.val[k] = dtype == TRIT_F16 ? vcvt_f32_f16(vreinterpret_f16_u16(half))
                                         : vreinterpretq_f32_u32(vshll_n_u16(half, 16));
        }
    }
    return v;
}

static inline void vf_store(uint8_t *p, vf v, enum trit_dtype dtype)
{
    for (int k = 0; k < 4; k++) {
        if (dtype == TRIT_F32) {
            vst1q_u8(p + 16 * k, vreinterpretq_u8_f32(v.val[k]));
        } else {
            uint16x4_t half = dtype == TRIT_F16
                                  ? vreinterpret_u16_f16(vcvt_f16_f32(v.val[k]))
                                  : vshrn_n_u32(vreinterpretq_u32_f32(v.val[k]), 16);
            vst1_u8(p + 8 * k, vreinterpret_u8_u16(half));
        }
    }
}

static inline void vf_stream(uint8_t *p, vf v)
{
    vf_store(p, v, TRIT_F32);
}

static inline void vf_fence(void)
{
}

static inline vf vf_splat(float x)
{
    float32x4_t v = vdupq_n_f32(x);
    return (vf){{v, v, v, v}};
}

static inline vf vf_abs(vf v)
{
    for (int k = 0; k < 4; k++)
        v.val[k] = vabsq_f32(v.val[k]);
    return v;
}

static inline vf vf_top(vf acc, vf v)
{
    for (int k = 0; k < 4; k++)
        acc.val[k] =
            vreinterpretq_f32_u32(vmaxq_u32(vreinterpretq_u32_f32(acc.val[k]),
                                            vreinterpretq_u32_f32(vabsq_f32(v.val[k]))));
    return acc;
}

static inline float vf_top_of(vf v)
{
    uint32x4_t top = vdupq_n_u32(0);
    for (int k = 0; k < 4; k++)
        top = vmaxq_u32(top, vreinterpretq_u32_f32(v.val[k]));
    uint32_t bits = vmaxvq_u32(top);
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static inline vm vm_beyond(const vf w[4], vf h)
{
    vm m;
    for (int i = 0; i < 16; i++)
        m.m[i] = vcagtq_f32(w[i / 4].val[i % 4], h.val[0]); /* of magnitudes */
    return m;
}

static inline vf vf_dense(vf w, vm m, size_t k, vf s)
{
    for (size_t i = 0; i < 4; i++) {
        uint32x4_t bits = vandq_u32(m.m[4 * k + i], vreinterpretq_u32_f32(s.val[i]));
        bits = vbslq_u32(vdupq_n_u32(0x80000000u), vreinterpretq_u32_f32(w.val[i]), bits);
        w.val[i] = vreinterpretq_f32_u32(bits);
    }
    return w;
}

static inline bool vf_equal(const vf a[4], const vf b[4])
{
    uint32x4_t all = vdupq_n_u32(UINT32_MAX);
    for (int i = 0; i < 16; i++)
        all = vandq_u32(all, vceqq_f32(a[i / 4].val[i % 4], b[i / 4].val[i % 4]));
    return vminvq_u32(all) != 0;
}

static inline bool vf_exact(const vf w[4], vf s)
{
    const uint32x4_t magnitude = vreinterpretq_u32_f32(s.val[0]);
    uint32x4_t all = vdupq_n_u32(UINT32_MAX);
    for (int k = 0; k < 4; k++)
        for (int i = 0; i < 4; i++) {
            uint32x4_t a = vreinterpretq_u32_f32(vabsq_f32(w[k].val[i]));
            all = vandq_u32(all, vorrq_u32(vceqq_u32(a, magnitude), vceqzq_u32(a)));
        }
    return vminvq_u32(all) != 0;
}

static inline vn vn_zero(void)
{
    return vdupq_n_u32(0);
}

static inline vn vn_add(vn count, const vf w[4], vf low, vf high)
{
    for (int k = 0; k < 4; k++)
        for (int i = 0; i < 4; i++) {
            float32x4_t a = vabsq_f32(w[k].val[i]);
            count = vsubq_u32(
                count, vandq_u32(vcgeq_f32(a, low.val[i]), vcleq_f32(a, high.val[i])));
        }
    return count;
}

static inline uint32_t vn_total(vn count)
{
    return vaddvq_u32(count);
}

static inline vd vd_zero(void)
{
    vd v;
    for (int i = 0; i < 8; i++)
        v.q[i] = vdupq_n_f64(0.0);
    return v;
}

static inline vd vd_widen(vf v)
{
    vd d;
    for (int k = 0; k < 4; k++) {
        d.q[2 * k] = vcvt_f64_f32(vget_low_f32(v.val[k]));
        d.q[2 * k + 1] = vcvt_high_f64_f32(v.val[k]);
    }
    return d;
}

static inline vd vd_add(vd x, vd y)
{
    for (int i = 0; i < 8; i++)
        x.q[i] = vaddq_f64(x.q[i], y.q[i]);
    return x;
}

static inline vd vd_sub(vd x, vd y)
{
    for (int i = 0; i < 8; i++)
        x.q[i] = vsubq_f64(x.q[i], y.q[i]);
    return x;
}

static inline vd vd_mul(vd x, vd y)
{
    for (int i = 0; i < 8; i++)
        x.q[i] = vmulq_f64(x.q[i], y.q[i]);
    return x;
}

static inline double vd_total(vd acc)
{
    for (int width = 4; width >= 1; width /= 2)
        for (int i = 0; i < width; i++)
            acc.q[i] = vaddq_f64(acc.q[i], acc.q[i + width]);
    return vgetq_lane_f64(acc.q[0], 0) + vgetq_lane_f64(acc.q[0], 1);
}

typedef vd vs;

static inline vs vs_zero(void)
{
    return vd_zero();
}

static inline vs vs_add(vs sum, const uint8_t *p, enum trit_dtype dtype)
{
    return vd_add(sum, vd_widen(vf_abs(vf_load(p, dtype))));
}

static inline double vs_total(vs sum, enum trit_dtype dtype)
{
    (void)dtype;
    return vd_total(sum);
}

/* Codes of 16 elements: 1, plus 1 or -1 by the sign where they are beyond. */
static inline uint8x16_t codes16(vf w, const uint32x4_t m[4])
{
    int16x4_t t[4];
    for (int i = 0; i < 4; i++) {
        int32x4_t sign = vshrq_n_s32(vreinterpretq_s32_f32(w.val[i]), 31); /* 0, -1 */
        int32x4_t trit = vorrq_s32(sign, vdupq_n_s32(1));
        t[i] = vmovn_s32(vandq_s32(trit, vreinterpretq_s32_u32(m[i])));
    }
    int8x16_t trits = vcombine_s8(vmovn_s16(vcombine_s16(t[0], t[1])),
                                  vmovn_s16(vcombine_s16(t[2], t[3])));
    return vaddq_u8(vreinterpretq_u8_s8(trits), vdupq_n_u8(1));
}

static inline vb vb_codes(const vf w[4], vm m)
{
    vb c;
    for (int k = 0; k < 4; k++)
        c.val[k] = codes16(w[k], m.m + 4 * k);
    return c;
}

static inline vb vb_load(const uint8_t *p)
{
    return (vb){{vld1q_u8(p), vld1q_u8(p + 16), vld1q_u8(p + 32), vld1q_u8(p + 48)}};
}

static inline void vb_store(uint8_t *p, vb c)
{
    for (int k = 0; k < 4; k++)
        vst1q_u8(p + 16 * k, c.val[k]);
}

static inline vb vb_less_one(vb c)
{
    for (int k = 0; k < 4; k++)
        c.val[k] = vsubq_u8(c.val[k], vdupq_n_u8(1));
    return c;
}

/* c0 + 4 c1 + 16 c2 + 64 c3 in the low byte of each 32-bit lane. */
static inline uint16x8_t quads(uint8x16_t c)
{
    uint16x8_t pairs = vreinterpretq_u16_u8(c);
    pairs = vorrq_u16(pairs, vshrq_n_u16(pairs, 6));
    uint32x4_t quads = vreinterpretq_u32_u16(pairs);
    return vreinterpretq_u16_u32(vorrq_u32(quads, vshrq_n_u32(quads, 12)));
}

static inline void vb_pack2(uint8_t *p, vb c)
{
    uint16x8_t low = vuzp1q_u16(quads(c.val[0]), quads(c.val[1]));
    uint16x8_t high = vuzp1q_u16(quads(c.val[2]), quads(c.val[3]));
    vst1q_u8(p, vuzp1q_u8(vreinterpretq_u8_u16(low), vreinterpretq_u8_u16(high)));
}

static inline vt vt_zero(void)
{
    return (vt){vdupq_n_u32(0), vdupq_n_u32(0)};
}

static inline vt vt_add(vt tally, vb c)
{
    uint8x16_t sum = vaddq_u8(vaddq_u8(c.val[0], c.val[1]), vaddq_u8(c.val[2], c.val[3]));
    uint8x16_t positives = vdupq_n_u8(0);
    for (int k = 0; k < 4; k++)
        positives = vsraq_n_u8(positives, c.val[k], 1);
    tally.sum = vpadalq_u16(tally.sum, vpaddlq_u8(sum));
    tally.positives = vpadalq_u16(tally.positives, vpaddlq_u8(positives));
    return tally;
}

/* The codes' sum is seen + positives - negatives. */
static inline void vt_counts(vt tally, size_t seen, uint64_t *negatives,
                             uint64_t *positives)
{
    *positives = vaddlvq_u32(tally.positives);
    *negatives = seen + *positives - vaddlvq_u32(tally.sum);
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
