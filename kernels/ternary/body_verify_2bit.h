/* SPDX-License-Identifier: Apache-2.0 */
/* Part of body.h: groups of 2-bit codes that are stored in sequence. Nothing is unpacked:
 * counts come from the stored words, and the codes are the stored bytes. */

/* The codes of a block's groups by their bits: the low bit alone is code 1, the high bit
 * alone code 2. */
struct code_bits {
    uint64_t ones;                   /* bits set, of all groups */
    uint64_t zeros;                  /* codes 1, of all groups */
    uint64_t both;                   /* not 0: some code is 3 */
    uint32_t zeros_of[BLOCK_GROUPS]; /* 0: no such group */
};

/* `bytes` of codes are in a block of the format: a constant, so that the loop unrolls. */
ALWAYS_INLINE void find_code_bits(struct code_bits *bits, const struct claims *claims,
                                  const struct packing *packing, size_t bytes)
{
    const uint64_t every = 0x5555555555555555;
    const size_t blocks = claims->job->group_len / (4 * bytes);
    const size_t count = claims->end - claims->begin;
    const uint8_t *at = (const uint8_t *)claims->job->in + packing->codes_at +
                        claims->begin * blocks * packing->bytes;
    uint64_t ones = 0, all_zeros = 0, both = 0;

    for (size_t g = 0; g < count; g++) {
        uint64_t zeros = 0;
        for (size_t i = 0; i < blocks; i++, at += packing->bytes)
            for (size_t k = 0; k < bytes; k += sizeof(uint64_t)) {
                uint64_t word;
                memcpy(&word, at + k, sizeof(word));
                both |= word & every & word >> 1;
                zeros += (uint64_t)__builtin_popcountll(word & every);
                ones += (uint64_t)__builtin_popcountll(word);
            }
        bits->zeros_of[g] = (uint32_t)zeros;
        all_zeros += zeros;
    }
    bits->ones = ones;
    bits->zeros = all_zeros;
    bits->both = both;
}

/* Functions of their own: the compiler then keeps the counts in registers. */
static __attribute__((noinline)) void find_code_bits_32(struct code_bits *bits,
                                                        const struct claims *claims,
                                                        const struct packing *packing)
{
    find_code_bits(bits, claims, packing, 32);
}

static __attribute__((noinline)) void find_code_bits_16(struct code_bits *bits,
                                                        const struct claims *claims,
                                                        const struct packing *packing)
{
    find_code_bits(bits, claims, packing, 16);
}

ALWAYS_INLINE void copy_codes(const struct claims *claims, const struct packing *packing,
                              size_t bytes)
{
    const size_t blocks = claims->job->group_len / (4 * bytes);
    const size_t end = claims->end * blocks;

    for (size_t i = claims->begin * blocks; i < end; i++)
        memcpy(claims->job->codes + i * bytes,
               (const uint8_t *)claims->job->in + packing->codes_at + i * packing->bytes,
               bytes);
}

/* How many groups are all zeros; *exact is false if a group has a code 3, or a scale that
 * is negative, not finite, or 0 though a code is not. */
INLINE uint32_t zero_groups(const struct claims *claims, const struct code_bits *bits,
                            bool *exact)
{
    const u32v len = (u32v){0} + (uint32_t)claims->job->group_len;
    i32v wrong = {0}, minus = {0};
    uint32_t lanes[STEP], count = 0;

    for (size_t i = 0; i < LANES; i += STEP) {
        const i32v s = (i32v)f32v_load(claims->scales.s + i);
        const i32v zero = (i32v)(u32v_load(bits->zeros_of + i) == len);
        wrong |= ~((s > 0) & (s < INFINITE)) & ~(zero & ((s & INT32_MAX) == 0));
        minus += zero;
    }
    *exact = bits->both == 0 && is_none(wrong);
    memcpy(lanes, &minus, sizeof(lanes));
    for (size_t i = 0; i < STEP; i++)
        count -= lanes[i];
    return count;
}

/* True: all groups of the block are exact, and they were added. False: nothing was. The
 * scales are found; begin_claims need not be called. */
ALWAYS_INLINE bool add_exact_groups(const struct claims *claims,
                                    const struct packing *packing, size_t bytes)
{
    struct ternary_counts *counts = claims->counts;
    const size_t groups = claims->end - claims->begin;
    const uint64_t elements = groups * claims->job->group_len;
    struct code_bits bits = {.zeros_of = {0}};
    bool exact;

    if (bytes == 32)
        find_code_bits_32(&bits, claims, packing);
    else
        find_code_bits_16(&bits, claims, packing);
    const uint32_t zero = zero_groups(claims, &bits, &exact);
    if (!exact)
        return false;
    const uint64_t positives = bits.ones - bits.zeros;
    const uint64_t negatives = elements - bits.ones;
    counts->zeros += bits.zeros;
    counts->positives += positives;
    counts->negatives += negatives;
    counts->zero_groups += zero;
    claims->check->valid += elements;
    see_trits(claims->check, negatives, bits.zeros, positives);
    memcpy(claims->job->scales + claims->begin, claims->scales.s,
           groups * sizeof(claims->scales.s[0]));
    if (claims->job->codes)
        copy_codes(claims, packing, bytes);
    if (claims->job->inexact)
        memset(claims->job->inexact + claims->begin, 0, groups);
    return true;
}

INLINE bool verify_2bit(const struct claims *claims, const struct packing *packing)
{
    return packing->elements == 128 ? add_exact_groups(claims, packing, 32)
                                    : add_exact_groups(claims, packing, 16);
}
