/* The vocabulary in plain C: what every other one must equal, bit for bit. */
#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "kernels/half.h"
#include "kernels/table.h"

/* A vector is a struct of arrays here: inlining every form of every loop by force
 * has the compiler work for minutes and gains nothing. */
#define INLINE static inline

typedef struct {
    float lane[16];
} vf;
typedef struct {
    double lane[16];
} vd;
typedef struct {
    uint32_t lane[64]; /* all ones or none */
} vm;
typedef struct {
    uint8_t lane[64];
} vb;
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

static inline void vf_stream(uint8_t *p, vf v)
{
    memcpy(p, &v, sizeof v);
}

static inline void vf_fence(void)
{
}

static inline vf vf_splat(float x)
{
    vf v;
    for (int i = 0; i < 16; i++)
        v.lane[i] = x;
    return v;
}

static inline vf vf_abs(vf v)
{
    for (int i = 0; i < 16; i++)
        v.lane[i] = fabsf(v.lane[i]);
    return v;
}

static inline uint32_t magnitude_bits(float x)
{
    return float_bits(x) & 0x7fffffffu;
}

static inline vf vf_top(vf acc, vf v)
{
    for (int i = 0; i < 16; i++) {
        uint32_t a = float_bits(acc.lane[i]), b = magnitude_bits(v.lane[i]);
        acc.lane[i] = float_of_bits(a > b ? a : b);
    }
    return acc;
}

static inline float vf_top_of(vf v)
{
    uint32_t top = 0;
    for (int i = 0; i < 16; i++)
        top = float_bits(v.lane[i]) > top ? float_bits(v.lane[i]) : top;
    return float_of_bits(top);
}

static inline vm vm_beyond(const vf w[4], vf h)
{
    vm m;
    for (int k = 0; k < 4; k++)
        for (int i = 0; i < 16; i++)
            m.lane[16 * k + i] = -(uint32_t)(fabsf(w[k].lane[i]) > h.lane[i]);
    return m;
}

static inline vf vf_dense(vf w, vm m, size_t k, vf s)
{
    for (size_t i = 0; i < 16; i++)
        w.lane[i] = float_of_bits((float_bits(s.lane[i]) & m.lane[16 * k + i]) |
                                  (float_bits(w.lane[i]) & 0x80000000u));
    return w;
}

static inline bool vf_equal(const vf a[4], const vf b[4])
{
    uint32_t differ = 0;
    for (int k = 0; k < 4; k++)
        for (int i = 0; i < 16; i++)
            differ |= a[k].lane[i] != b[k].lane[i];
    return !differ;
}

static inline bool vf_exact(const vf w[4], vf s)
{
    uint32_t odd = 0;
    for (int k = 0; k < 4; k++)
        for (int i = 0; i < 16; i++) {
            uint32_t a = magnitude_bits(w[k].lane[i]);
            odd |= (uint32_t)(a != 0) & (uint32_t)(a != float_bits(s.lane[i]));
        }
    return !odd;
}

static inline vn vn_zero(void)
{
    return 0;
}

static inline vn vn_add(vn count, const vf w[4], vf low, vf high)
{
    for (int k = 0; k < 4; k++)
        for (int i = 0; i < 16; i++) {
            float a = fabsf(w[k].lane[i]);
            count += (uint32_t)(a >= low.lane[i]) & (uint32_t)(a <= high.lane[i]);
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
    return vd_add(sum, vd_widen(vf_abs(vf_load(p, dtype))));
}

static inline double vs_total(vs sum, enum trit_dtype dtype)
{
    (void)dtype;
    return vd_total(sum);
}

static inline vb vb_codes(const vf w[4], vm m)
{
    vb c;
    for (int k = 0; k < 4; k++)
        for (int i = 0; i < 16; i++) {
            uint32_t trit = 1 - (float_bits(w[k].lane[i]) >> 31 << 1); /* 1 or -1 */
            c.lane[16 * k + i] = (uint8_t)(1 + (m.lane[16 * k + i] & trit));
        }
    return c;
}

static inline vb vb_load(const uint8_t *p)
{
    vb c;
    memcpy(&c, p, sizeof c);
    return c;
}

static inline void vb_store(uint8_t *p, vb c)
{
    memcpy(p, &c, sizeof c);
}

static inline vb vb_less_one(vb c)
{
    for (int i = 0; i < 64; i++)
        c.lane[i] = (uint8_t)(c.lane[i] - 1);
    return c;
}

static inline void vb_pack2(uint8_t *p, vb c)
{
    for (int i = 0; i < 16; i++)
        p[i] = (uint8_t)(c.lane[4 * i] | c.lane[4 * i + 1] << 2 | c.lane[4 * i + 2] << 4 |
                         c.lane[4 * i + 3] << 6);
}

static inline vt vt_zero(void)
{
    vt t = {0, 0};
    return t;
}

static inline vt vt_add(vt tally, vb c)
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

/* The codes' sum is seen + positives - negatives. */
static inline void vt_counts(vt tally, size_t seen, uint64_t *negatives,
                             uint64_t *positives)
{
    *positives = tally.positives;
    *negatives = seen + tally.positives - tally.sum;
}

#include "kernels/body.h"

const struct kernels kernels_portable = {
    "portable",
    ternarize_groups,
    verify_groups,
    unpack_groups,
};
