/* Part of body.h: the scales of a block's groups, sixteen at a time. What is simple runs
 * in the compiler's own vectors, of VECTOR_BYTES: of loops over sixteen elements it would
 * make sixteen copies, and wider vectors than the machine's it takes apart. */

enum { INFINITE = 0x7f800000 };

/* Of a block's groups; what stands beyond them means nothing. */
struct scales {
    size_t count;
    _Alignas(64) float s[LANES];
    float half[LANES]; /* |w| > half <=> |w| + |w| > s and s > 0 */
    float low[LANES];  /* the smallest f32 >= 0.475 s */
    float high[LANES]; /* the largest f32 <= 0.525 s */
    float kept[LANES]; /* s as the output's type holds it */
    uint16_t f16[LANES];
    struct keys keys; /* the same to compare elements with */
};

INLINE fv fv_load(const float *from)
{
    fv v;
    memcpy(&v, from, sizeof v);
    return v;
}

INLINE void fv_store(float *to, fv v)
{
    memcpy(to, &v, sizeof v);
}

INLINE fv fv_choose(iv where, fv a, fv b)
{
    return (fv)(((iv)a & where) | ((iv)b & ~where));
}

/* sum / divisor, rounded to f32 once. Dividing by a power of two is multiplying. */
INLINE void find_means(struct scales *to, const double sums[BLOCK_GROUPS], size_t divisor)
{
    const bool exact = (divisor & (divisor - 1)) == 0;
    const dv by = dv_splat((double)divisor), factor = dv_splat(1.0 / (double)divisor);
    for (size_t i = 0; i < LANES; i += STEP) {
        const dv low = dv_load(sums + i), high = dv_load(sums + i + STEP / 2);
        fv_store(to->s + i,
                 exact ? fv_of(low * factor, high * factor) : fv_of(low / by, high / by));
    }
}

/* factor * s, the product in f64, as f32: the next one up, or the next one down. */
INLINE void find_beside(float to[LANES], const float s[LANES], double factor, bool up)
{
    const dv large = dv_splat(0x1p300); /* lest f32 lose an error */
    for (size_t i = 0; i < LANES; i += STEP) {
        const fv v = fv_load(s + i);
        const dv low = dv_low(v) * dv_splat(factor), high = dv_high(v) * dv_splat(factor);
        const fv nearest = fv_of(low, high);
        const fv error = fv_of((low - dv_low(nearest)) * large,
                               (high - dv_high(nearest)) * large); /* exact */
        const iv bits = (iv)nearest;
        fv_store(to + i, (fv)(up ? bits - (error > 0.0f) : bits + (error < 0.0f)));
    }
}

/* Half of s, rounded down: |w| > half is then |w|+|w| > s for every s, also where
 * half of a subnormal is no f32. Nothing exceeds the half of s = 0. */
INLINE void find_halves(struct scales *to)
{
    const fv never = (fv)((iv){0} + INFINITE);
    for (size_t i = 0; i < LANES; i += STEP) {
        const fv s = fv_load(to->s + i), half = s * 0.5f;
        const fv down = (fv)((iv)half + (half + half > s));
        fv_store(to->half + i, fv_choose(s > 0.0f, down, never));
    }
}

/* What is near the threshold: from low to high. */
INLINE void find_near(struct scales *to)
{
    const fv never = (fv)((iv){0} + INFINITE);
    find_beside(to->low, to->s, 0.475, true);
    find_beside(to->high, to->s, 0.525, false);
    for (size_t i = 0; i < LANES; i += STEP) {
        const fv low = fv_load(to->low + i), high = fv_load(to->high + i);
        const iv some = (fv_load(to->s + i) > 0.0f) & (low <= high); /* not for 2^-149 */
        fv_store(to->low + i, fv_choose(some, low, never));
        fv_store(to->high + i, fv_choose(some, high, never));
    }
}

/* The scales as f16, rounded once. */
INLINE void find_f16(struct scales *to)
{
    vf_store((uint8_t *)to->f16, vf_load((const uint8_t *)to->s, TRIT_F32), TRIT_F16);
}

/* The scales as `dtype` holds them, rounded once; for F16 after find_f16. */
INLINE void find_kept(struct scales *to, enum trit_dtype dtype)
{
    if (dtype == TRIT_F32)
        memcpy(to->kept, to->s, sizeof to->kept);
    else if (dtype == TRIT_F16)
        vf_store((uint8_t *)to->kept, vf_load((const uint8_t *)to->f16, TRIT_F16),
                 TRIT_F32);
    for (size_t i = 0; dtype == TRIT_BF16 && i < LANES; i += STEP) {
        const uv bits = (uv)fv_load(to->s + i); /* no scale is a NaN */
        fv_store(to->kept + i, (fv)((bits + 0x7fff + (bits >> 16 & 1)) & 0xffff0000u));
    }
}

/* The largest f16 that is no larger, or the smallest that is no smaller. */
INLINE void bound_f16(uint32_t to[LANES], const float from[LANES], bool up)
{
    uint16_t nearest[LANES];
    uint32_t bits[LANES];
    float back[LANES];
    vf_store((uint8_t *)nearest, vf_load((const uint8_t *)from, TRIT_F32), TRIT_F16);
    vf_store((uint8_t *)back, vf_load((const uint8_t *)nearest, TRIT_F16), TRIT_F32);
    for (size_t i = 0; i < LANES; i++)
        bits[i] = nearest[i];
    for (size_t i = 0; i < LANES; i += STEP) {
        const fv exact = fv_load(from + i), rounded = fv_load(back + i);
        iv v;
        memcpy(&v, bits + i, sizeof v);
        v = up ? v - (rounded < exact) : v + (rounded > exact);
        memcpy(to + i, &v, sizeof v);
    }
}

/* The same of bf16, whose bits are the upper half of an f32's. */
INLINE void bound_bf16(uint32_t to[LANES], const float from[LANES], bool up)
{
    for (size_t i = 0; i < LANES; i += STEP) {
        const uv v = ((uv)fv_load(from + i) + (up ? 0xffffu : 0)) >> 16;
        memcpy(to + i, &v, sizeof v);
    }
}

INLINE void bound(uint32_t to[LANES], const float from[LANES], bool up,
                  enum trit_dtype dtype)
{
    if (dtype == TRIT_F32)
        memcpy(to, from, LANES * sizeof to[0]);
    else if (dtype == TRIT_F16)
        bound_f16(to, from, up);
    else
        bound_bf16(to, from, up);
}

/* Thresholds and kept scales as keys; 16-bit keys stand twice. An element of the type
 * exceeds a threshold where it exceeds the threshold rounded down. */
INLINE void find_keys(struct scales *to, enum trit_dtype dtype, bool near)
{
    const uv never = (uv){0} + (dtype == TRIT_F16 ? 0x7c00u : 0x7f80u); /* infinity */
    struct keys *keys = &to->keys;
    bound(keys->half, to->half, false, dtype);
    bound(keys->s, to->kept, false, dtype);
    if (near) {
        bound(keys->low, to->low, true, dtype);
        bound(keys->high, to->high, false, dtype);
    }
    for (size_t i = 0; dtype != TRIT_F32 && i < LANES; i += STEP) {
        uv half, s, low, high;
        memcpy(&half, keys->half + i, sizeof half);
        memcpy(&s, keys->s + i, sizeof s);
        half |= half << 16;
        s |= s << 16;
        memcpy(keys->half + i, &half, sizeof half);
        memcpy(keys->s + i, &s, sizeof s);
        if (!near)
            continue;
        memcpy(&low, keys->low + i, sizeof low);
        memcpy(&high, keys->high + i, sizeof high);
        const uv some = (uv)(low <= high);
        low = (low & some) | (never & ~some);
        high = (high & some) | (never & ~some);
        low |= low << 16;
        high |= high << 16;
        memcpy(keys->low + i, &low, sizeof low);
        memcpy(keys->high + i, &high, sizeof high);
    }
}

/* Scales that f16 does not give back exactly, as all ones; in *lost, of which it keeps
 * nothing. Scales that are not finite are passed over. */
INLINE iv find_lossy(fv scales, iv *lost)
{
    const fv s = fv_choose(((iv)scales & INT32_MAX) < INFINITE, scales, (fv){0});
    const fv back = fv_as_f16(s);
    const iv lossy = back != s;
    *lost = lossy & ((back == 0.0f) | ((iv)back == INFINITE));
    return lossy;
}

static void count_lost_scales(const float *scales, size_t count,
                              struct ternary_counts *counts)
{
    for (size_t i = 0; i < count; i++) {
        iv lost;
        find_lossy((fv){scales[i]}, &lost);
        if (lost[0] && counts->scales_lost++ == 0)
            counts->first_scale_lost = i;
    }
}

/* How a run's scales fare as f16. */
static void count_scales(const float *scales, size_t count, struct ternary_counts *counts)
{
    iv minus = {0}, any = {0}; /* a lane holds 2^31 groups: more than memory does */
    uint32_t lanes[STEP], some[STEP], lossy = 0, lost = 0;
    size_t at = 0;
    for (; at < count; at += STEP) {
        float last[STEP] = {0};
        iv more;
        if (count - at < STEP)
            memcpy(last, scales + at, (count - at) * sizeof last[0]);
        minus += find_lossy(fv_load(count - at < STEP ? last : scales + at), &more);
        any |= more;
    }
    memcpy(lanes, &minus, sizeof lanes);
    memcpy(some, &any, sizeof some);
    for (size_t i = 0; i < STEP; i++) {
        lossy -= lanes[i];
        lost |= some[i];
    }
    counts->scales_lossy_fp16 += lossy;
    if (lost)
        count_lost_scales(scales, count, counts);
}
