/* SPDX-License-Identifier: Apache-2.0 */
/* Part of body.h: the scales of a block's groups, sixteen at a time, in compiler vectors of
 * VECTOR_BYTES. The compiler would unroll loops over sixteen elements into sixteen scalar
 * copies, and split vectors wider than the machine's. */

enum { INFINITE = 0x7f800000 };

/* The scales of a block's groups. Values from `count` on are meaningless. */
struct scales {
    size_t count;
    _Alignas(64) float s[LANES];
    float half[LANES]; /* |w| > half <=> |w| + |w| > s and s > 0 */
    float low[LANES];  /* the smallest f32 >= 0.475 s */
    float high[LANES]; /* the largest f32 <= 0.525 s */
    float kept[LANES]; /* s as the output's type holds it */
    uint16_t f16[LANES];
    struct keys keys; /* the same as keys of the element type */
};

INLINE f32v f32v_load(const float *from)
{
    f32v v;
    memcpy(&v, from, sizeof(v));
    return v;
}

INLINE void f32v_store(float *to, f32v v)
{
    memcpy(to, &v, sizeof(v));
}

INLINE u32v u32v_load(const uint32_t *from)
{
    u32v v;
    memcpy(&v, from, sizeof(v));
    return v;
}

INLINE void u32v_store(uint32_t *to, u32v v)
{
    memcpy(to, &v, sizeof(v));
}

INLINE f32v f32v_select(i32v where, f32v a, f32v b)
{
    return (f32v)(((i32v)a & where) | ((i32v)b & ~where));
}

/* sum / divisor, rounded to f32 once. To divide by a power of two, multiply. */
INLINE void find_means(struct scales *to, const double sums[BLOCK_GROUPS], size_t divisor)
{
    const bool exact = (divisor & (divisor - 1)) == 0;
    const f64v by = f64v_splat((double)divisor),
               factor = f64v_splat(1.0 / (double)divisor);
    for (size_t i = 0; i < LANES; i += STEP) {
        const f64v low = f64v_load(sums + i), high = f64v_load(sums + i + STEP / 2);
        f32v_store(to->s + i, exact ? f32v_narrow(low * factor, high * factor)
                                    : f32v_narrow(low / by, high / by));
    }
}

/* One scale for all groups: they are parts of one group. */
INLINE void fill_scales(struct scales *to, float scale)
{
    for (size_t i = 0; i < LANES; i++)
        to->s[i] = scale;
}

/* factor * s, the product in f64, rounded to f32 upwards or downwards. */
INLINE void scale_rounded_toward(float to[LANES], const float s[LANES], double factor,
                                 bool up)
{
    /* without it, f32 would round a small error to 0 */
    const f64v large = f64v_splat(0x1p300);
    for (size_t i = 0; i < LANES; i += STEP) {
        const f32v v = f32v_load(s + i);
        const f64v low = f64v_widen_low(v) * f64v_splat(factor),
                   high = f64v_widen_high(v) * f64v_splat(factor);
        const f32v nearest = f32v_narrow(low, high);
        const f32v error =
            f32v_narrow((low - f64v_widen_low(nearest)) * large,
                        (high - f64v_widen_high(nearest)) * large); /* exact */
        const i32v bits = (i32v)nearest;
        f32v_store(to + i, (f32v)(up ? bits - (error > 0.0f) : bits + (error < 0.0f)));
    }
}

/* Half of s, rounded down: |w| > half is then the same as |w|+|w| > s, even where half of
 * a subnormal is not an f32. No element exceeds the half of s = 0. */
INLINE void find_halves(struct scales *to)
{
    const f32v never = (f32v)((i32v){0} + INFINITE);
    for (size_t i = 0; i < LANES; i += STEP) {
        const f32v s = f32v_load(to->s + i), half = s * 0.5f;
        const f32v down = (f32v)((i32v)half + (half + half > s));
        f32v_store(to->half + i, f32v_select(s > 0.0f, down, never));
    }
}

/* The range of magnitudes near the threshold, from low to high. */
INLINE void find_near(struct scales *to)
{
    const f32v never = (f32v)((i32v){0} + INFINITE);
    scale_rounded_toward(to->low, to->s, 0.475, true);
    scale_rounded_toward(to->high, to->s, 0.525, false);
    for (size_t i = 0; i < LANES; i += STEP) {
        const f32v low = f32v_load(to->low + i), high = f32v_load(to->high + i);
        const i32v some =
            (f32v_load(to->s + i) > 0.0f) & (low <= high); /* false for 2^-149 */
        f32v_store(to->low + i, f32v_select(some, low, never));
        f32v_store(to->high + i, f32v_select(some, high, never));
    }
}

/* The scales as f16, rounded once. */
INLINE void find_f16(struct scales *to)
{
    f32x16_store_f16((uint8_t *)to->f16, f32x16_load_f32((const uint8_t *)to->s));
}

/* The scales as an element type holds them, rounded once. */
INLINE void scales_as_stored_f32(struct scales *to)
{
    memcpy(to->kept, to->s, sizeof(to->kept));
}

INLINE void scales_as_stored_f16(struct scales *to)
{
    find_f16(to);
    f32x16_store_f32((uint8_t *)to->kept, f32x16_load_f16((const uint8_t *)to->f16));
}

INLINE void scales_as_stored_bf16(struct scales *to)
{
    for (size_t i = 0; i < LANES; i += STEP) {
        const u32v bits = (u32v)f32v_load(to->s + i); /* no scale is a NaN */
        f32v_store(to->kept + i,
                   (f32v)((bits + 0x7fff + (bits >> 16 & 1)) & 0xffff0000u));
    }
}

/* The keys of the largest values that are no larger or, `up`, of the smallest that are no
 * smaller. */
INLINE void bound_f32(uint32_t to[LANES], const float from[LANES], bool up)
{
    (void)up;
    memcpy(to, from, LANES * sizeof(to[0]));
}

INLINE void bound_f16(uint32_t to[LANES], const float from[LANES], bool up)
{
    uint16_t nearest[LANES];
    uint32_t bits[LANES];
    float back[LANES];
    f32x16_store_f16((uint8_t *)nearest, f32x16_load_f32((const uint8_t *)from));
    f32x16_store_f32((uint8_t *)back, f32x16_load_f16((const uint8_t *)nearest));
    for (size_t i = 0; i < LANES; i++)
        bits[i] = nearest[i];
    for (size_t i = 0; i < LANES; i += STEP) {
        const f32v exact = f32v_load(from + i), rounded = f32v_load(back + i);
        const i32v v = (i32v)u32v_load(bits + i);
        u32v_store(to + i, (u32v)(up ? v - (rounded < exact) : v + (rounded > exact)));
    }
}

/* The bits of a bf16 are the upper half of an f32's. */
INLINE void bound_bf16(uint32_t to[LANES], const float from[LANES], bool up)
{
    for (size_t i = 0; i < LANES; i += STEP) {
        u32v_store(to + i, ((u32v)f32v_load(from + i) + (up ? 0xffffu : 0)) >> 16);
    }
}

/* All ones where f16 does not represent a scale exactly; *lost is all ones where f16
 * rounds it to 0 or infinity. Scales that are not finite are skipped. */
INLINE i32v find_lossy(f32v scales, i32v *lost)
{
    const f32v s = f32v_select(((i32v)scales & INT32_MAX) < INFINITE, scales, (f32v){0});
    const f32v back = f32v_round_to_f16(s);
    const i32v lossy = back != s;
    *lost = lossy & ((back == 0.0f) | ((i32v)back == INFINITE));
    return lossy;
}

static void count_lost_scales(const float *scales, size_t count,
                              struct ternary_counts *counts)
{
    for (size_t i = 0; i < count; i++) {
        i32v lost;
        find_lossy((f32v){scales[i]}, &lost);
        if (lost[0] && counts->scales_lost++ == 0)
            counts->first_scale_lost = i;
    }
}

/* Counts the scales of a run that f16 rounds or loses. */
static void count_scales(const float *scales, size_t count, struct ternary_counts *counts)
{
    i32v minus = {0},
         any = {0}; /* a lane counts to 2^31 groups, more than memory holds */
    uint32_t lanes[STEP], some[STEP], lossy = 0, lost = 0;
    size_t at = 0;
    for (; at < count; at += STEP) {
        float last[STEP] = {0};
        i32v more;
        if (count - at < STEP)
            memcpy(last, scales + at, (count - at) * sizeof(last[0]));
        minus += find_lossy(f32v_load(count - at < STEP ? last : scales + at), &more);
        any |= more;
    }
    memcpy(lanes, &minus, sizeof(lanes));
    memcpy(some, &any, sizeof(some));
    for (size_t i = 0; i < STEP; i++) {
        lossy -= lanes[i];
        lost |= some[i];
    }
    counts->scales_lossy_fp16 += lossy;
    if (lost)
        count_lost_scales(scales, count, counts);
}
