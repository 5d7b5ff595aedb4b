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

#include "kernels/block.h"
#include "kernels/half.h"
#include "kernels/table.h"

enum { VECTOR_BYTES = 16 };

typedef float32x4x4_t vf;
typedef struct {
    float64x2_t q[8];
} vd;
typedef struct {
    uint32x4_t r[16]; /* 16-bit types: the first eight */
} vu;
typedef struct {
    uint32x4_t half, low, range, s;
} vk;
typedef struct {
    uint32x4_t m[16]; /* all ones or none, as wide as the elements */
} vm;
typedef uint32x4_t vx;
typedef uint8x16x4_t vc;
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

/* ---- units ------------------------------------------------------------------------- */

static inline int vectors_of(enum trit_dtype dtype)
{
    return dtype == TRIT_F32 ? 16 : 8;
}

static inline uint16x8_t halves(uint32x4_t v)
{
    return vreinterpretq_u16_u32(v);
}

static inline uint32x4_t words(uint16x8_t v)
{
    return vreinterpretq_u32_u16(v);
}

static inline vu vu_load(const uint8_t *p, enum trit_dtype dtype)
{
    vu u;
    for (int i = 0; i < vectors_of(dtype); i++)
        u.r[i] = vreinterpretq_u32_u8(vld1q_u8(p + 16 * i));
    return u;
}

static inline void vu_store(uint8_t *p, vu u, enum trit_dtype dtype)
{
    for (int i = 0; i < vectors_of(dtype); i++)
        vst1q_u8(p + 16 * i, vreinterpretq_u8_u32(u.r[i]));
}

static inline void vu_stream(uint8_t *p, vu u, enum trit_dtype dtype)
{
    vu_store(p, u, dtype);
}

static inline void vu_fence(void)
{
}

static inline vu vu_of(const vf v[4])
{
    vu u;
    for (int i = 0; i < 16; i++)
        u.r[i] = vreinterpretq_u32_f32(v[i / 4].val[i % 4]);
    return u;
}

static inline vf vf_at(vu u, size_t k)
{
    vf v;
    for (size_t i = 0; i < 4; i++)
        v.val[i] = vreinterpretq_f32_u32(u.r[4 * k + i]);
    return v;
}

static inline vk vk_of(const struct keys *keys, size_t g, enum trit_dtype dtype)
{
    const uint32x4_t low = vdupq_n_u32(keys->low[g]), high = vdupq_n_u32(keys->high[g]);
    return (vk){
        .half = vdupq_n_u32(keys->half[g]),
        .low = low,
        .range = dtype == TRIT_F32 ? vsubq_u32(high, low)
                                   : words(vsubq_u16(halves(high), halves(low))),
        .s = vdupq_n_u32(keys->s[g]),
    };
}

static inline uint32x4_t sign_bits(enum trit_dtype dtype)
{
    return dtype == TRIT_F32 ? vdupq_n_u32(0x80000000u) : words(vdupq_n_u16(0x8000));
}

static inline uint32x4_t keys_of(uint32x4_t bits, enum trit_dtype dtype)
{
    return vbicq_u32(bits, sign_bits(dtype));
}

static inline vm vu_beyond(vu u, vk k, enum trit_dtype dtype)
{
    vm m;
    for (int i = 0; i < vectors_of(dtype); i++) {
        const uint32x4_t keys = keys_of(u.r[i], dtype);
        m.m[i] = dtype == TRIT_F32 ? vcgtq_u32(keys, k.half)
                                   : words(vcgtq_u16(halves(keys), halves(k.half)));
    }
    return m;
}

static inline vu vu_dense(vu u, vk k, enum trit_dtype dtype)
{
    const vm m = vu_beyond(u, k, dtype);
    for (int i = 0; i < vectors_of(dtype); i++)
        u.r[i] = vbslq_u32(sign_bits(dtype), u.r[i], vandq_u32(m.m[i], k.s));
    return u;
}

static inline vm vu_is(vu u, vk k, enum trit_dtype dtype)
{
    vm m;
    for (int i = 0; i < vectors_of(dtype); i++) {
        const uint32x4_t keys = keys_of(u.r[i], dtype);
        m.m[i] = dtype == TRIT_F32 ? vceqq_u32(keys, k.s)
                                   : words(vceqq_u16(halves(keys), halves(k.s)));
    }
    return m;
}

static inline vx vx_zero(void)
{
    return vdupq_n_u32(0);
}

static inline vx vx_add(vx x, vu u, vm m, vk k, enum trit_dtype dtype)
{
    (void)k;
    for (int i = 0; i < vectors_of(dtype); i++)
        x = vorrq_u32(x, vbicq_u32(keys_of(u.r[i], dtype), m.m[i]));
    return x;
}

static inline bool vx_none(vx x)
{
    return vmaxvq_u32(x) == 0;
}

static inline vu vu_union(vu acc, vu u, enum trit_dtype dtype)
{
    for (int i = 0; i < vectors_of(dtype); i++)
        acc.r[i] = vorrq_u32(acc.r[i], u.r[i]);
    return acc;
}

static inline void vu_keep(struct partial *to, vu acc, enum trit_dtype dtype)
{
    uint32x4_t bits = acc.r[0];
    for (int i = 1; i < vectors_of(dtype); i++)
        bits = vorrq_u32(bits, acc.r[i]);
    vst1q_u32((uint32_t *)(void *)to->lane, keys_of(bits, dtype));
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
static inline int16x8_t trits8(vu u, vm m, int i, enum trit_dtype dtype)
{
    if (dtype != TRIT_F32) {
        const int16x8_t sign = vshrq_n_s16(vreinterpretq_s16_u32(u.r[i]), 15); /* 0, -1 */
        return vandq_s16(vorrq_s16(sign, vdupq_n_s16(1)), vreinterpretq_s16_u32(m.m[i]));
    }
    int16x4_t t[2];
    for (int k = 0; k < 2; k++) {
        const int32x4_t sign = vshrq_n_s32(vreinterpretq_s32_u32(u.r[2 * i + k]), 31);
        t[k] = vmovn_s32(vandq_s32(vorrq_s32(sign, vdupq_n_s32(1)),
                                   vreinterpretq_s32_u32(m.m[2 * i + k])));
    }
    return vcombine_s16(t[0], t[1]);
}

static inline vc vu_codes(vu u, vm m, vk k, enum trit_dtype dtype)
{
    vc c;
    (void)k;
    for (int i = 0; i < 4; i++) {
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

static inline vn vn_zero(void)
{
    return vdupq_n_u32(0);
}

/* low <= key <= high as one comparison without sign. */
static inline vn vn_add(vn n, vu u, vk k, enum trit_dtype dtype)
{
    uint16x8_t sixteen = vdupq_n_u16(0);
    for (int i = 0; i < vectors_of(dtype); i++) {
        const uint32x4_t keys = keys_of(u.r[i], dtype);
        if (dtype == TRIT_F32)
            n = vsubq_u32(n, vcleq_u32(vsubq_u32(keys, k.low), k.range));
        else
            sixteen = vsubq_u16(sixteen, vcleq_u16(vsubq_u16(halves(keys), halves(k.low)),
                                                   halves(k.range)));
    }
    return dtype == TRIT_F32 ? n : vpadalq_u16(n, sixteen);
}

static inline uint32_t vn_total(vn n)
{
    return vaddvq_u32(n);
}

/* ---- f64 ------------------------------------------------------------------------------
 */

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

static inline vd vd_splat(double x)
{
    vd v;
    for (int i = 0; i < 8; i++)
        v.q[i] = vdupq_n_f64(x);
    return v;
}

static inline vd vd_load(const double *p)
{
    vd v;
    for (int i = 0; i < 8; i++)
        v.q[i] = vld1q_f64(p + 2 * i);
    return v;
}

static inline vf vd_narrow(vd v)
{
    vf f;
    for (int k = 0; k < 4; k++)
        f.val[k] = vcombine_f32(vcvt_f32_f64(v.q[2 * k]), vcvt_f32_f64(v.q[2 * k + 1]));
    return f;
}

static inline vd vd_div(vd x, vd y)
{
    for (int i = 0; i < 8; i++)
        x.q[i] = vdivq_f64(x.q[i], y.q[i]);
    return x;
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

/* +8, +4, +2. */
static inline float64x2_t vd_fold(vd acc)
{
    for (int width = 4; width >= 1; width /= 2)
        for (int i = 0; i < width; i++)
            acc.q[i] = vaddq_f64(acc.q[i], acc.q[i + width]);
    return acc.q[0];
}

static inline double vd_total(vd acc)
{
    const float64x2_t two = vd_fold(acc);
    return vgetq_lane_f64(two, 0) + vgetq_lane_f64(two, 1);
}

typedef vd vs;

static inline vs vs_zero(void)
{
    return vd_zero();
}

static inline vs vs_add(vs sum, const uint8_t *p, enum trit_dtype dtype)
{
    vf w = vf_load(p, dtype);
    for (int k = 0; k < 4; k++)
        w.val[k] = vabsq_f32(w.val[k]);
    return vd_add(sum, vd_widen(w));
}

static inline void vs_keep(struct partial *to, vs sum)
{
    for (int i = 0; i < 8; i++)
        vst1q_f64(to->lane + 2 * i, sum.q[i]);
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
        const float64x2_t sums = vpaddq_f64(vd_fold(vd_load(from[g].lane)),
                                            vd_fold(vd_load(from[g + 1].lane)));
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
