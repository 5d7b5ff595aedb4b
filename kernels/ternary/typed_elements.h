/* SPDX-License-Identifier: Apache-2.0 */
/* Part of body.h, a template (simd/typed.h): units in memory, sums of
 * magnitudes, and scales as keys. */

/* Loads 64 elements; those from n on are 0. */
INLINE unit load_unit(const uint8_t *in, size_t n)
{
    uint8_t padded[UNIT * ELEMENT_BYTES];
    if (n >= UNIT)
        return unit_load(in);
    memset(padded, 0, sizeof(padded));
    memcpy(padded, in, n * ELEMENT_BYTES);
    return unit_load(padded);
}

INLINE void store_unit(uint8_t *out, unit u, size_t n)
{
    uint8_t padded[UNIT * ELEMENT_BYTES];
    if (n >= UNIT) {
        unit_store(out, u);
        return;
    }
    unit_store(padded, u);
    memcpy(out, padded, n * ELEMENT_BYTES);
}

/* Loads 64 elements, widened to f32. */
ALWAYS_INLINE unit_f32 widen_unit(const uint8_t *in, size_t n)
{
    uint8_t padded[UNIT * ELEMENT_BYTES];
    f32x16 w[4];
    if (n < UNIT) {
        memset(padded, 0, sizeof(padded));
        memcpy(padded, in, n * ELEMENT_BYTES);
        in = padded;
    }
    for (size_t k = 0; k < 4; k++)
        w[k] = f32x16_load(in + k * LANES * ELEMENT_BYTES);
    return unit_of_f32x16(w);
}

/* The same, not inlined, where it is not hot. */
static __attribute__((noinline)) unit_f32 load_wide(const uint8_t *in, size_t n)
{
    return widen_unit(in, n);
}

/* Stores a unit of f32, narrowed. */
INLINE void store_narrow(uint8_t *out, unit_f32 u, size_t n)
{
    uint8_t padded[UNIT * ELEMENT_BYTES];
    uint8_t *to = n < UNIT ? padded : out;
    for (size_t k = 0; k < 4; k++)
        f32x16_store(to + k * LANES * ELEMENT_BYTES, f32x16_of_unit(u, k));
    if (n < UNIT)
        memcpy(out, padded, n * ELEMENT_BYTES);
}

/* Far ahead the prefetch goes to L2 and not to L1, where the lines in flight would take
 * the buffers that streaming stores need. */
INLINE void prefetch_lines(const uint8_t *in, size_t bytes, struct prefetch_policy policy)
{
    for (size_t line = 0; line < bytes; line += LINE_BYTES) {
        if (policy.ahead_bytes)
            __builtin_prefetch(in + policy.ahead_bytes + line, 0, 2);
        if (policy.near)
            __builtin_prefetch(in + NEAR_BYTES + line, 0, 3);
    }
}

INLINE void prefetch_unit(const uint8_t *in, struct prefetch_policy policy)
{
    prefetch_lines(in, UNIT * ELEMENT_BYTES, policy);
}

/* Whether the lines of a run from memory are loaded one after the other, each before the
 * prefetches beyond it. Elsewhere gcc moves loads and prefetches as it likes. By AVX-512 this
 * makes verifications and sums of 16-bit elements faster, and sums of f32 slower. */
INLINE bool loads_in_order(struct prefetch_policy policy)
{
    return VECTOR_BYTES == 64 && policy.near;
}

/* Follows the load at `at`, where lines are loaded in order. */
INLINE void prefetch_after(const uint8_t *in, size_t at)
{
    KEEP_ORDER();
    if (at % LINE_BYTES)
        return;
    __builtin_prefetch(in + at + NEAR_IN_ORDER_BYTES, 0, 3);
    KEEP_ORDER();
    __builtin_prefetch(in + at + FAR_IN_ORDER_BYTES, 0, 2);
    KEEP_ORDER();
}

/* ---- sums of magnitudes ------------------------------------------------------------ */

/* Not inlined: its loads would keep the sum's values alive. */
static __attribute__((noinline)) bool all_finite(const uint8_t *in, size_t len)
{
    uint32_t finite = 1;
    for (size_t i = 0; i < len; i += UNIT) {
        float w[UNIT];
        floats_of(w, load_wide(in + i * ELEMENT_BYTES, size_min(len - i, UNIT)));
        for (size_t k = 0; k < UNIT; k++)
            finite &= fabsf(w[k]) < INFINITY;
    }
    return finite;
}

/* Sums `width` neighbouring groups side by side: their additions do not wait for one
 * another. AVX-512 sums each alone: so few instructions are a group that the processor
 * takes up the next one, and memory is read in its order. */
ALWAYS_INLINE void sum_neighbours(struct partial *to, size_t width, const uint8_t *in,
                                  size_t len, struct prefetch_policy policy)
{
    const size_t bytes = len * ELEMENT_BYTES, whole = len / UNIT * UNIT;
    const bool ordered = ELEMENT_BYTES == 2 && loads_in_order(policy);
    abs_sum sums[NEIGHBOURS];
    for (size_t g = 0; g < width; g++)
        sums[g] = abs_sum_zero();
    for (size_t i = 0; i < whole; i += UNIT)
        for (size_t g = 0; g < width; g++) {
            const uint8_t *elements = in + g * bytes + i * ELEMENT_BYTES;
            if (!ordered)
                prefetch_unit(elements, policy);
            for (size_t k = 0; k < 4; k++) {
                sums[g] = abs_sum_add(sums[g], elements + k * LANES * ELEMENT_BYTES);
                if (ordered)
                    prefetch_after(elements, k * LANES * ELEMENT_BYTES);
            }
        }
    for (size_t g = 0; whole < len && g < width; g++) {
        uint8_t padded[UNIT * ELEMENT_BYTES] = {0};
        memcpy(padded, in + g * bytes + whole * ELEMENT_BYTES,
               bytes - whole * ELEMENT_BYTES);
        for (size_t k = 0; k < 4; k++)
            sums[g] = abs_sum_add(sums[g], padded + k * LANES * ELEMENT_BYTES);
    }
    for (size_t g = 0; g < width; g++)
        abs_sum_store(&to[g], sums[g]);
}

ALWAYS_INLINE void sum_each(struct partial *to, const uint8_t *in, size_t count,
                            size_t len, struct prefetch_policy policy)
{
    const size_t bytes = len * ELEMENT_BYTES;
    size_t g = 0;
    for (; g + NEIGHBOURS <= count; g += NEIGHBOURS)
        sum_neighbours(&to[g], NEIGHBOURS, in + g * bytes, len, policy);
    for (; g < count; g++)
        sum_neighbours(&to[g], 1, in + g * bytes, len, policy);
}

/* Stores the lanes of `count` groups' sums. What is frequent is compiled with constants. */
static __attribute__((noinline)) void sum_groups(struct partial *to, const uint8_t *in,
                                                 size_t count, size_t len,
                                                 struct prefetch_policy policy)
{
    if (len != FREQUENT_LEN)
        sum_each(to, in, count, len, policy);
    else if (policy.ahead_bytes == 0)
        sum_each(to, in, count, FREQUENT_LEN, in_l2);
    else if (policy.near)
        sum_each(to, in, count, FREQUENT_LEN, policy_as(policy, true));
    else
        sum_each(to, in, count, FREQUENT_LEN, policy_as(policy, false));
}

/* The canonical sums of a block's groups, whose lanes are in `partials`. A sum is infinite
 * where an element of its group is not finite; then `below` is false. */
INLINE struct totals total_groups(double sums[BLOCK_GROUPS],
                                  const struct partial *partials, const uint8_t *in,
                                  size_t count, size_t len)
{
    const size_t bytes = len * ELEMENT_BYTES;
    struct totals totals = abs_sum_reduce(sums, partials);
    totals.zeros &= (1u << count) - 1;
    if (totals.below)
        return totals;
    totals.below = true;
    for (size_t g = 0; g < count; g++)
        if (!(sums[g] < SUM_FINITE) && !all_finite(in + g * bytes, len)) {
            sums[g] = INFINITY;
            totals.below = false;
        }
    return totals;
}

/* Adds those of a group's elements that are not finite; `element` is the index of its
 * first. */
static void find_non_finite(const uint8_t *in, size_t len, size_t element,
                            struct occurrences *to)
{
    for (size_t i = 0; i < len; i += UNIT) {
        float w[UNIT];
        floats_of(w, load_wide(in + i * ELEMENT_BYTES, size_min(len - i, UNIT)));
        for (size_t k = 0; k < UNIT; k++)
            if (!isfinite(w[k]))
                occurrences_count(to, element + i + k);
    }
}

static void count_non_finite(const uint8_t *in, size_t len, size_t element,
                             struct ternary_counts *counts)
{
    struct occurrences found = {counts->non_finite, counts->first_non_finite};
    find_non_finite(in, len, element, &found);
    counts->non_finite = found.count;
    counts->first_non_finite = found.first;
}

/* ---- thresholds and scales as keys --------------------------------------------------- */

/* The bits of 16 keys, replicated into both halves of a word where they are 16-bit. */
INLINE void replicate_keys(uint32_t keys[LANES])
{
    for (size_t i = 0; ELEMENT_BYTES == 2 && i < LANES; i += STEP) {
        const u32v v = u32v_load(keys + i);
        u32v_store(keys + i, v | v << 16);
    }
}

/* Rounding may leave nothing between low and high: then no key is to be near. */
INLINE void drop_empty_ranges(struct keys *keys)
{
    const u32v never = (u32v){0} + ELEMENT_INFINITY;
    for (size_t i = 0; ELEMENT_BYTES == 2 && i < LANES; i += STEP) {
        const u32v low = u32v_load(keys->low + i), high = u32v_load(keys->high + i);
        const u32v some = (u32v)(low <= high);
        u32v_store(keys->low + i, (low & some) | (never & ~some));
        u32v_store(keys->high + i, (high & some) | (never & ~some));
    }
}

/* An element exceeds a threshold exactly if it exceeds the threshold rounded down to the
 * element type. */
INLINE void find_keys(struct scales *to, bool near)
{
    struct keys *keys = &to->keys;
    bound(keys->half, to->half, false);
    bound(keys->s, to->kept, false);
    replicate_keys(keys->half);
    replicate_keys(keys->s);
    if (!near)
        return;
    bound(keys->low, to->low, true);
    bound(keys->high, to->high, false);
    drop_empty_ranges(keys);
    replicate_keys(keys->low);
    replicate_keys(keys->high);
}

/* ---- latents of any type ----------------------------------------------------------- */

/* The canonical sums of a block's groups: infinity where one is not finite. */
static void sum_latents(double sums[BLOCK_GROUPS], const uint8_t *in, size_t count,
                        size_t len)
{
    struct partial partials[BLOCK_GROUPS] = {{{0}}};
    sum_groups(partials, in, count, len, in_l2);
    total_groups(sums, partials, in, count, len);
}

static const struct element_type TYPED(element_type) = {
    .bytes = ELEMENT_BYTES,
    .load = load_wide,
    .sum = sum_latents,
    .list_non_finite = find_non_finite,
    .round_scales = scales_as_stored,
};
