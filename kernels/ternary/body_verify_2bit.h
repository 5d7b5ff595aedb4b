/* SPDX-License-Identifier: Apache-2.0 */
/* Part of body.h: groups of 2-bit codes that are stored in sequence. Nothing is unpacked:
 * counts come from the stored words, and the codes are the stored bytes. */

/* The codes of a block's groups. */
struct code_sums {
    uint64_t zeros, positives;
    bool sound;                     /* there is no code 3 */
    uint32_t zero_of[BLOCK_GROUPS]; /* not 0: all elements of the group are 0 */
};

/* Adds at most CODE_FIELDS vectors of codes to fields of 8 bits. */
ALWAYS_INLINE void add_codes(u64v bytes[2], u64v *both, const uint8_t *codes,
                             size_t vectors)
{
    u64v zeros = {0}, positives = {0};
    for (size_t i = 0; i < vectors; i++) {
        const u64v v = *(const u64v_unaligned *)(const void *)(codes + i * VECTOR_BYTES);
        const u64v low = v & CODE_LOW, high = v >> 1 & CODE_LOW;
        *both |= low & high;
        zeros += low;
        positives += high;
    }
    bytes[0] += fields_to_bytes(zeros);
    bytes[1] += fields_to_bytes(positives);
}

/* Of at most CODE_RUN vectors. */
INLINE void count_codes(struct code_sums *to, const uint8_t *codes, size_t vectors)
{
    u64v bytes[2] = {{0}, {0}}, both = {0};
    size_t i = 0;
    for (; i + CODE_FIELDS <= vectors; i += CODE_FIELDS)
        add_codes(bytes, &both, codes + i * VECTOR_BYTES, CODE_FIELDS);
    for (; i < vectors; i++)
        add_codes(bytes, &both, codes + i * VECTOR_BYTES, 1);
    to->zeros += bytes_total(bytes[0]);
    to->positives += bytes_total(bytes[1]);
    to->sound &= residue_none((residue)both);
}

/* Copies the codes of `blocks` blocks of the format to where they have no scales between
 * them. `bytes`, of codes in a block, is a constant. */
ALWAYS_INLINE void gather_codes(uint8_t *to, const uint8_t *from, size_t blocks,
                                size_t stride, size_t bytes)
{
    for (size_t i = 0; i < blocks; i++)
        memcpy(to + i * bytes, from + i * stride, bytes);
}

/* Most groups have a first word of which some element is not 0. */
ALWAYS_INLINE bool is_zero_group(const uint8_t *codes, size_t blocks, size_t stride,
                                 size_t bytes)
{
    for (size_t i = 0; i < blocks; i++, codes += stride)
        for (size_t k = 0; k < bytes; k += sizeof(uint64_t)) {
            uint64_t word;
            memcpy(&word, codes + k, sizeof(word));
            if (word != CODE_LOW)
                return false;
        }
    return true;
}

ALWAYS_INLINE void find_code_sums(struct code_sums *sums, const struct claims *claims,
                                  const struct packing *packing, size_t bytes)
{
    const struct verify_job *job = claims->job;
    const size_t stride = packing->bytes, blocks = job->group_len / (4 * bytes),
                 groups = claims->end - claims->begin, most = CODE_RUN_BYTES / bytes;
    const uint8_t *in =
        (const uint8_t *)job->in + packing->codes_at + claims->begin * blocks * stride;
    uint8_t *codes = job->codes ? job->codes + claims->begin * blocks * bytes : NULL;
    _Alignas(64) uint8_t own[CODE_RUN_BYTES];
    for (size_t g = 0; g < groups; g++)
        sums->zero_of[g] = is_zero_group(in + g * blocks * stride, blocks, stride, bytes);
    for (size_t i = 0; i < groups * blocks; i += most) {
        const size_t count = size_min(most, groups * blocks - i),
                     rest = count * bytes % VECTOR_BYTES;
        gather_codes(own, in + i * stride, count, stride, bytes);
        if (codes)
            memcpy(codes + i * bytes, own, count * bytes);
        if (rest)
            memset(own + count * bytes, 0, VECTOR_BYTES - rest);
        count_codes(sums, own, (count * bytes + VECTOR_BYTES - 1) / VECTOR_BYTES);
    }
}

/* Functions of their own: the compiler then keeps the counts in registers. */
static __attribute__((noinline)) void find_code_sums_32(struct code_sums *sums,
                                                        const struct claims *claims,
                                                        const struct packing *packing)
{
    find_code_sums(sums, claims, packing, 32);
}

static __attribute__((noinline)) void find_code_sums_16(struct code_sums *sums,
                                                        const struct claims *claims,
                                                        const struct packing *packing)
{
    find_code_sums(sums, claims, packing, 16);
}

/* How many groups are all zeros; *exact is false if a group has a code 3, or a scale that
 * is negative, not finite, or 0 though a code is not. */
INLINE uint32_t zero_groups(const struct claims *claims, const struct code_sums *sums,
                            bool *exact)
{
    i32v wrong = {0}, minus = {0};
    uint32_t lanes[STEP], count = 0;

    for (size_t i = 0; i < LANES; i += STEP) {
        const i32v s = (i32v)f32v_load(claims->scales.s + i);
        const i32v zero = (i32v)(u32v_load(sums->zero_of + i) != 0);
        wrong |= ~((s > 0) & (s < INFINITE)) & ~(zero & ((s & INT32_MAX) == 0));
        minus += zero;
    }
    *exact = sums->sound && residue_none((residue)wrong);
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
    struct code_sums sums = {.sound = true};
    bool exact;

    if (bytes == 32)
        find_code_sums_32(&sums, claims, packing);
    else
        find_code_sums_16(&sums, claims, packing);
    const uint32_t zero = zero_groups(claims, &sums, &exact);
    if (!exact)
        return false;
    const uint64_t negatives = elements - sums.zeros - sums.positives;
    counts->zeros += sums.zeros;
    counts->positives += sums.positives;
    counts->negatives += negatives;
    counts->zero_groups += zero;
    claims->check->valid += elements;
    see_trits(claims->check, negatives, sums.zeros, sums.positives);
    memcpy(claims->job->scales + claims->begin, claims->scales.s,
           groups * sizeof(claims->scales.s[0]));
    if (claims->job->inexact)
        memset(claims->job->inexact + claims->begin, 0, groups);
    return true;
}

INLINE bool verify_2bit(const struct claims *claims, const struct packing *packing)
{
    return packing->elements == 128 ? add_exact_groups(claims, packing, 32)
                                    : add_exact_groups(claims, packing, 16);
}
