/* The vocabulary in plain C: what every other one must equal, bit for bit. */
#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "kernels/block.h"
#include "kernels/half.h"
#include "kernels/table.h"

/* A vector is a struct of arrays here: inlining every form of every loop by force
 * has the compiler work for minutes and gains nothing. */
#define INLINE static inline

enum { VECTOR_BYTES = 16 }; /* SSE2's, and most others' */

typedef struct {
    float lane[16];
} vf;
typedef struct {
    double lane[16];
} vd;
typedef struct {
    uint32_t lane[64]; /* 16-bit types in the lower half */
} vu;
typedef struct {
    uint32_t half, low, high, s;
} vk;
typedef struct {
    uint32_t lane[64]; /* all ones or none */
} vm;
typedef uint32_t vx;
typedef struct {
    uint8_t lane[64];
} vc;
typedef struct {
    uint64_t sum, positives;
} vt;
typedef uint32_t vn;

static inline vf vf_load(const uint8_t *p, enum trit_dtype dtype)
{
    vf v;
    uint16_t half[16];
    if (dtype == TRIT_F32) {
        memcpy(&v, p, sizeof v);
        return v;
    }
    memcpy(half, p, sizeof half);
    for (int i = 0; i < 16; i++)
        v.lane[i] = dtype == TRIT_F16 ? f16_widen(half[i]) : bf16_widen(half[i]);
    return v;
}

static inline void vf_store(uint8_t *p, vf v, enum trit_dtype dtype)
{
    uint16_t half[16];
    if (dtype == TRIT_F32) {
        memcpy(p, &v, sizeof v);
        return;
    }
    for (int i = 0; i < 16; i++)
        half[i] = dtype == TRIT_F16 ? f16_narrow(v.lane[i])
                                    : (uint16_t)(float_bits(v.lane[i]) >> 16);
    memcpy(p, half, sizeof half);
}

static inline uint32_t sign_of(enum trit_dtype dtype)
{
    return dtype == TRIT_F32 ? 0x80000000u : 0x8000u;
}

static inline vu vu_load(const uint8_t *p, enum trit_dtype dtype)
{
    vu u;
    uint16_t half[64];
    if (dtype == TRIT_F32) {
        memcpy(&u, p, sizeof u);
        return u;
    }
    memcpy(half, p, sizeof half);
    for (int i = 0; i < 64; i++)
        u.lane[i] = half[i];
    return u;
}

static inline void vu_store(uint8_t *p, vu u, enum trit_dtype dtype)
{
    uint16_t half[64];
    if (dtype == TRIT_F32) {
        memcpy(p, &u, sizeof u);
        return;
    }
    for (int i = 0; i < 64; i++)
        half[i] = (uint16_t)u.lane[i];
    memcpy(p, half, sizeof half);
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
    memcpy(&u, v, sizeof u);
    return u;
}

static inline vf vf_at(vu u, size_t k)
{
    vf v;
    memcpy(&v, u.lane + 16 * k, sizeof v);
    return v;
}

static inline vk vk_of(const struct keys *keys, size_t g, enum trit_dtype dtype)
{
    const uint32_t mask = dtype == TRIT_F32 ? UINT32_MAX : 0xffff;
    return (vk){keys->half[g] & mask, keys->low[g] & mask, keys->high[g] & mask,
                keys->s[g] & mask};
}

/* Keys are at most 2^31 - 1: compared with sign, which SSE2 can. */
static inline int32_t key_of(uint32_t bits, enum trit_dtype dtype)
{
    return (int32_t)(bits & (sign_of(dtype) - 1));
}

static inline vm vu_beyond(vu u, vk k, enum trit_dtype dtype)
{
    vm m;
    for (int i = 0; i < 64; i++)
        m.lane[i] = -(uint32_t)(key_of(u.lane[i], dtype) > (int32_t)k.half);
    return m;
}

static inline vu vu_dense(vu u, vk k, enum trit_dtype dtype)
{
    for (int i = 0; i < 64; i++) {
        const uint32_t m = -(uint32_t)(key_of(u.lane[i], dtype) > (int32_t)k.half);
        u.lane[i] = (u.lane[i] & sign_of(dtype)) | (k.s & m);
    }
    return u;
}

static inline vm vu_is(vu u, vk k, enum trit_dtype dtype)
{
    vm m;
    for (int i = 0; i < 64; i++)
        m.lane[i] = -(uint32_t)(key_of(u.lane[i], dtype) == (int32_t)k.s);
    return m;
}

static inline vx vx_zero(void)
{
    return 0;
}

static inline vx vx_add(vx x, vu u, vm m, vk k, enum trit_dtype dtype)
{
    (void)k;
    for (int i = 0; i < 64; i++)
        x |= (uint32_t)key_of(u.lane[i], dtype) & ~m.lane[i];
    return x;
}

static inline bool vx_none(vx x)
{
    return x == 0;
}

static inline vu vu_union(vu acc, vu u, enum trit_dtype dtype)
{
    (void)dtype;
    for (int i = 0; i < 64; i++)
        acc.lane[i] |= u.lane[i];
    return acc;
}

static inline void vu_keep(struct partial *to, vu acc, enum trit_dtype dtype)
{
    uint32_t bits = 0;
    for (int i = 0; i < 64; i++)
        bits |= acc.lane[i];
    bits = (uint32_t)key_of(bits, dtype);
    memcpy(to->lane, &bits, sizeof bits);
}

static inline void vu_unions(uint32_t to[BLOCK_GROUPS],
                             const struct partial from[BLOCK_GROUPS],
                             enum trit_dtype dtype)
{
    (void)dtype;
    for (size_t g = 0; g < BLOCK_GROUPS; g++)
        memcpy(&to[g], from[g].lane, sizeof to[g]);
}

static inline vc vu_codes(vu u, vm m, vk k, enum trit_dtype dtype)
{
    const unsigned shift = dtype == TRIT_F32 ? 30 : 14;
    vc c;
    (void)k;
    for (int i = 0; i < 64; i++) {
        const uint32_t trit = 1 - (u.lane[i] >> shift & 2); /* 1 or -1 */
        c.lane[i] = (uint8_t)(1 + (m.lane[i] & trit));
    }
    return c;
}

static inline vc vc_load(const uint8_t *p)
{
    vc c;
    memcpy(&c, p, sizeof c);
    return c;
}

static inline void vc_store(uint8_t *p, vc c)
{
    memcpy(p, &c, sizeof c);
}

static inline void vc_trits(uint8_t *p, vc c)
{
    for (int i = 0; i < 64; i++)
        p[i] = (uint8_t)(c.lane[i] - 1);
}

static inline void vc_pack2(uint8_t *p, vc c)
{
    for (int i = 0; i < 16; i++)
        p[i] = (uint8_t)(c.lane[4 * i] | c.lane[4 * i + 1] << 2 | c.lane[4 * i + 2] << 4 |
                         c.lane[4 * i + 3] << 6);
}

static inline vt vt_zero(void)
{
    return (vt){0, 0};
}

static inline vt vt_add(vt tally, vc c)
{
    uint32_t sum = 0, positives = 0;
    for (int i = 0; i < 64; i++) {
        sum += c.lane[i];
        positives += c.lane[i] >> 1;
    }
    tally.sum += sum;
    tally.positives += positives;
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
    *positives = tally.positives;
    *negatives = seen + tally.positives - tally.sum;
}

static inline vn vn_zero(void)
{
    return 0;
}

static inline vn vn_add(vn count, vu u, vk k, enum trit_dtype dtype)
{
    for (int i = 0; i < 64; i++) {
        const int32_t key = key_of(u.lane[i], dtype);
        count += (uint32_t)(key >= (int32_t)k.low) & (uint32_t)(key <= (int32_t)k.high);
    }
    return count;
}

static inline uint32_t vn_total(vn count)
{
    return count;
}

static inline vd vd_zero(void)
{
    vd v = {{0}};
    return v;
}

static inline vd vd_widen(vf v)
{
    vd d;
    for (int i = 0; i < 16; i++)
        d.lane[i] = (double)v.lane[i];
    return d;
}

static inline vd vd_splat(double x)
{
    vd v;
    for (int i = 0; i < 16; i++)
        v.lane[i] = x;
    return v;
}

static inline vd vd_load(const double *p)
{
    vd v;
    memcpy(&v, p, sizeof v);
    return v;
}

static inline vf vd_narrow(vd v)
{
    vf f;
    for (int i = 0; i < 16; i++)
        f.lane[i] = (float)v.lane[i];
    return f;
}

static inline vd vd_div(vd a, vd b)
{
    for (int i = 0; i < 16; i++)
        a.lane[i] /= b.lane[i];
    return a;
}

static inline vd vd_add(vd a, vd b)
{
    for (int i = 0; i < 16; i++)
        a.lane[i] += b.lane[i];
    return a;
}

static inline vd vd_sub(vd a, vd b)
{
    for (int i = 0; i < 16; i++)
        a.lane[i] -= b.lane[i];
    return a;
}

static inline vd vd_mul(vd a, vd b)
{
    for (int i = 0; i < 16; i++)
        a.lane[i] *= b.lane[i];
    return a;
}

static inline double vd_total(vd acc)
{
    for (int width = 8; width >= 1; width /= 2)
        for (int i = 0; i < width; i++)
            acc.lane[i] += acc.lane[i + width];
    return acc.lane[0];
}

typedef vd vs;

static inline vs vs_zero(void)
{
    return vd_zero();
}

static inline vs vs_add(vs sum, const uint8_t *p, enum trit_dtype dtype)
{
    const vf w = vf_load(p, dtype);
    for (int i = 0; i < 16; i++)
        sum.lane[i] += (double)fabsf(w.lane[i]);
    return sum;
}

static inline void vs_keep(struct partial *to, vs sum)
{
    memcpy(to->lane, sum.lane, sizeof to->lane);
}

static inline struct totals vs_totals(double to[BLOCK_GROUPS],
                                      const struct partial from[BLOCK_GROUPS],
                                      double limit, enum trit_dtype dtype)
{
    struct totals totals = {0, true};
    (void)dtype;
    for (size_t g = 0; g < BLOCK_GROUPS; g++) {
        vd lanes;
        memcpy(&lanes, from[g].lane, sizeof lanes);
        to[g] = vd_total(lanes);
        totals.zeros |= (uint32_t)(to[g] == 0.0) << g;
        totals.below &= to[g] < limit;
    }
    return totals;
}

#include "kernels/body.h"

const struct kernels kernels_portable = {
    "portable",
    ternarize_groups,
    verify_groups,
    unpack_groups,
};
