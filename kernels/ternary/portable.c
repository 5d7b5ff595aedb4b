/* SPDX-License-Identifier: Apache-2.0 */
/* The vocabulary in plain C and the compiler's vectors of 16 bytes: what every other one
 * must equal, bit for bit. */
#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "kernels/half.h"
#include "kernels/simd/portable_codes.h"
#include "kernels/simd/vector_sums_whole.h"
#include "kernels/ternary/table.h"

/* Inlining every form of every loop by force has the compiler work for minutes and gains
 * nothing here. */
#define INLINE static inline

static inline f32x16 f32x16_load(const uint8_t *p, enum trit_dtype dtype)
{
    f32x16 v;
    uint16_t half[LANES];
    float wide[LANES];
    if (dtype == TRIT_F32) {
        memcpy(&v, p, sizeof v);
        return v;
    }
    memcpy(half, p, sizeof half);
    for (size_t i = 0; i < LANES; i++)
        wide[i] = dtype == TRIT_F16 ? f16_widen(half[i]) : bf16_widen(half[i]);
    memcpy(&v, wide, sizeof v);
    return v;
}

static inline void f32x16_store(uint8_t *p, f32x16 v, enum trit_dtype dtype)
{
    uint16_t half[LANES];
    float wide[LANES];
    if (dtype == TRIT_F32) {
        memcpy(p, &v, sizeof v);
        return;
    }
    memcpy(wide, &v, sizeof v);
    for (size_t i = 0; i < LANES; i++)
        half[i] = dtype == TRIT_F16 ? f16_narrow(wide[i])
                                    : (uint16_t)(float_bits(wide[i]) >> 16);
    memcpy(p, half, sizeof half);
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
    uint64_t bits[VECTOR_BYTES / 8];
    memcpy(bits, &x, sizeof bits);
    return (bits[0] | bits[1]) == 0;
}

static inline void unit_reduce_unions(uint32_t to[BLOCK_GROUPS],
                                      const struct partial from[BLOCK_GROUPS],
                                      enum trit_dtype dtype)
{
    for (size_t g = 0; g < BLOCK_GROUPS; g++) {
        uint32_t bits[STEP];
        memcpy(bits, from[g].lane, sizeof bits);
        to[g] = bits[0] | bits[1] | bits[2] | bits[3];
        if (dtype != TRIT_F32)
            to[g] = (to[g] | to[g] >> 16) & 0xffff;
    }
}

/* ---- f64 --------------------------------------------------------------------------- */

/* By conversions of vectors: of elements one by one gcc 12 makes code that forgets the
 * upper two's rounding, where both directions meet. */
typedef float half_fv __attribute__((vector_size(VECTOR_BYTES / 2)));

static inline f64v f64v_widen_low(f32v v)
{
    return __builtin_convertvector(__builtin_shufflevector(v, v, 0, 1), f64v);
}

static inline f64v f64v_widen_high(f32v v)
{
    return __builtin_convertvector(__builtin_shufflevector(v, v, 2, 3), f64v);
}

static inline f32v f32v_narrow(f64v low, f64v high)
{
    const half_fv a = __builtin_convertvector(low, half_fv);
    const half_fv b = __builtin_convertvector(high, half_fv);
    return __builtin_shufflevector(a, b, 0, 1, 2, 3);
}

static inline f32v f32v_round_to_f16(f32v v)
{
    for (size_t i = 0; i < STEP; i++)
        v[i] = f16_widen(f16_narrow(v[i]));
    return v;
}

/* The lanes in their order: a vector of 16 bytes holds two. */
static inline f64x16 lanes_of(const double kept[LANES], enum trit_dtype dtype)
{
    const size_t apart = dtype == TRIT_F32 ? 2 : 4; /* elements that share 64 bits */
    double lanes[LANES];
    for (size_t i = 0; i < LANES; i++) {
        const size_t word = i / apart, vector = word / 2 * apart + i % apart;
        lanes[i] = kept[2 * vector + word % 2];
    }
    return f64x16_load(lanes);
}

static inline struct totals abs_sum_reduce(double to[BLOCK_GROUPS],
                                           const struct partial from[BLOCK_GROUPS],
                                           double limit, enum trit_dtype dtype)
{
    const double unscale = sum_unscale(dtype);
    struct totals totals = {0, true};
    for (size_t g = 0; g < BLOCK_GROUPS; g++) {
        to[g] = f64x16_total(lanes_of(from[g].lane, dtype)) * unscale;
        if (dtype == TRIT_F16)
            to[g] *= unscale;
        totals.zeros |= (uint32_t)(to[g] == 0.0) << g;
        totals.below &= to[g] < limit;
    }
    return totals;
}

#include "kernels/ternary/body.h"

const struct kernels kernels_portable = {
    "portable",
    ternarize_groups,
    verify_groups,
    unpack_groups,
};
