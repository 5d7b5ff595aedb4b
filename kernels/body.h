/* The algorithms, once for all ISAs. An ISA file defines a vocabulary (below),
 * includes this file and exports kernels_<isa>. The numeric contract and its
 * proofs: README.md.
 *
 * Types: vf, 16 f32; vd, 16 f64; vb, 64 bytes; vt, a tally
 * of codes; vn, a count of elements.
 *   vf_load(p, dtype)       16 elements, widened; any alignment
 *   vf_store(p, v, dtype)   narrows values that the dtype holds exactly
 *   vf_stream(p, v)         16 f32, past the caches; p is 64-byte aligned
 *   vf_top(acc, v)          lanewise the larger |v|, by bits; vf_top_of: of all
 *   vf_dense(w, h, s)       |w| > h ? s : 0, with the sign of w
 *   vf_exact(w, s)          every |w| is s or 0
 *   vn_add(n, w, low, high) n + how many of 64 have low <= |w| <= high; vn_total
 *   vd_add_abs(acc, v)      acc + |v|
 *   vd_widen, vd_add, vd_sub, vd_mul
 *   vd_total(acc)           the canonical tree: +8, +4, +2, +1
 *   vb_codes(w, h)          64 codes 0, 1, 2: w < -h, between, w > h
 *   vb_pack2(p, c)          16 bytes of 2-bit codes, least significant first
 *   vb_load, vb_store, vb_less_one
 *   vt_add(acc, c)          codes seen; vt_counts: the group's negatives, positives
 */
#include <assert.h>
#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/half.h"
#include "kernels/table.h"

enum {
    LANES = 16,              /* the canonical order sums in 16 strided f64 lanes */
    UNIT = 64,               /* elements per step of an emitting pass */
    BLOCK_BYTES = 2048,      /* of input between the two passes: stays in L1 */
    BLOCK_GROUPS = 16,       /* at most, in a block */
    AHEAD_BYTES = 1536,      /* software prefetch distance */
    PACKED_BYTES = UNIT / 4, /* of 2-bit codes per unit */
};

#define INLINE static inline __attribute__((always_inline))

INLINE size_t size_min(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* 64 elements, zero beyond n. */
INLINE void load_unit(vf w[4], const uint8_t *in, size_t n, enum trit_dtype dtype)
{
    const size_t size = dtype == TRIT_F32 ? 4 : 2;
    uint8_t padded[UNIT * 4];
    if (n < UNIT) {
        memset(padded, 0, sizeof padded);
        memcpy(padded, in, n * size);
        in = padded;
    }
    for (size_t k = 0; k < 4; k++)
        w[k] = vf_load(in + k * LANES * size, dtype);
}

INLINE void store_unit(uint8_t *out, const vf v[4], size_t n, enum trit_dtype dtype)
{
    const size_t size = dtype == TRIT_F32 ? 4 : 2;
    uint8_t padded[UNIT * 4];
    uint8_t *to = n < UNIT ? padded : out;
    for (size_t k = 0; k < 4; k++)
        vf_store(to + k * LANES * size, v[k], dtype);
    if (n < UNIT)
        memcpy(out, padded, n * size);
}

/* ---- scales ------------------------------------------------------------------ */

struct scale {
    float s;
    float half;      /* |w| > half <=> |w| + |w| > s and s > 0 */
    float near_low;  /* the smallest f32 >= 0.475 s */
    float near_high; /* the largest f32 <= 0.525 s */
};

/* Half of s, rounded down: |w| > half is then |w|+|w| > s for every s, also where
 * half of a subnormal is no f32. Nothing exceeds the half of s = 0. */
INLINE struct scale scale_of(float s)
{
    if (!(s > 0.0f))
        return (struct scale){s, INFINITY, INFINITY, INFINITY};
    float half = 0.5f * s;
    if (half + half > s)
        half = float_of_bits(float_bits(half) - 1);
    double low = 0.475 * (double)s, high = 0.525 * (double)s;
    float near_low = (float)low, near_high = (float)high;
    if ((double)near_low < low)
        near_low = float_of_bits(float_bits(near_low) + 1);
    if ((double)near_high > high)
        near_high = float_of_bits(float_bits(near_high) - 1);
    return (struct scale){s, half, near_low, near_high};
}

/* s as the element type holds it: rounded once, so a group keeps one magnitude. */
INLINE float scale_in(float s, enum trit_dtype dtype)
{
    if (dtype == TRIT_F16)
        return f16_widen(f16_narrow(s));
    if (dtype == TRIT_BF16)
        return bf16_widen(bf16_narrow(s));
    return s;
}

INLINE void count_scale(float s, size_t group, struct ternary_counts *counts)
{
    float kept = f16_widen(f16_narrow(s));
    if (kept == s)
        return;
    counts->scales_lossy_fp16++;
    if (kept == 0.0f || isinf(kept)) {
        if (counts->scales_lost++ == 0)
            counts->first_scale_lost = group;
    }
}

/* The canonical sum of magnitudes. */
INLINE double group_sum(const uint8_t *in, size_t len, enum trit_dtype dtype)
{
    const size_t size = dtype == TRIT_F32 ? 4 : 2;
    vd acc = vd_zero();
    size_t i = 0;
    for (; i + LANES <= len; i += LANES) {
        __builtin_prefetch(in + i * size + AHEAD_BYTES);
        acc = vd_add_abs(acc, vf_load(in + i * size, dtype));
    }
    if (i < len) {
        uint8_t padded[LANES * 4] = {0};
        memcpy(padded, in + i * size, (len - i) * size);
        acc = vd_add_abs(acc, vf_load(padded, dtype));
    }
    return vd_total(acc);
}

/* Sums of four products per element, in the canonical order. */
struct sums {
    vd energy, error, dot, norm;
};

INLINE void sums_add(struct sums *sums, const vf w[4], const vf v[4])
{
    for (size_t k = 0; k < 4; k++) {
        vd a = vd_widen(w[k]), b = vd_widen(v[k]), d = vd_sub(a, b);
        sums->energy = vd_add(sums->energy, vd_mul(a, a));
        sums->error = vd_add(sums->error, vd_mul(d, d));
        sums->dot = vd_add(sums->dot, vd_mul(a, b));
        sums->norm = vd_add(sums->norm, vd_mul(b, b));
    }
}

INLINE struct group_sums sums_total(const struct sums *sums)
{
    return (struct group_sums){vd_total(sums->energy), vd_total(sums->error),
                               vd_total(sums->dot), vd_total(sums->norm)};
}

INLINE struct sums sums_zero(void)
{
    return (struct sums){vd_zero(), vd_zero(), vd_zero(), vd_zero()};
}

INLINE void count_non_finite(const uint8_t *in, size_t len, size_t element,
                             struct ternary_counts *counts, enum trit_dtype dtype)
{
    for (size_t i = 0; i < len; i += UNIT) {
        float w[UNIT];
        vf unit[4];
        load_unit(unit, in + i * (dtype == TRIT_F32 ? 4 : 2), size_min(len - i, UNIT),
                  dtype);
        store_unit((uint8_t *)w, unit, UNIT, TRIT_F32);
        for (size_t k = 0; k < UNIT; k++)
            if (!isfinite(w[k]) && counts->non_finite++ == 0)
                counts->first_non_finite = element + i + k;
    }
}

/* In this order: each uses what is above it. */
/* clang-format off */
#include "kernels/body_ternarize.h"
#include "kernels/body_verify.h"
#include "kernels/body_unpack.h"
/* clang-format on */
