/* SPDX-License-Identifier: Apache-2.0 */
/* Part of body.h: groups of 2-bit codes that are stored in sequence. Nothing is unpacked:
 * counts come from the stored words, and the codes are the stored bytes. */

/* Groups that are counted together, and as many elements as that: more than a block, so that
 * little is left to do for each of them. */
enum { RUN_GROUPS = 3 * LANES, RUN_ELEMENTS = RUN_GROUPS * 128 };

/* Some groups whose codes are in blocks of the format, `bytes` of codes in each. */
struct code_run {
    const struct verify_job *job;
    const uint8_t *in; /* the codes of the first block */
    size_t begin, groups, blocks, stride;
    uint64_t zeros, positives;
    bool sound;                       /* there is no code 3 */
    _Alignas(64) float s[RUN_GROUPS]; /* the scales; 1 behind the last group */
    _Alignas(
        64) uint32_t zero_of[RUN_GROUPS]; /* not 0: all elements of the group are 0 */
};

/* Vector i of the codes, without the scales between them. */
ALWAYS_INLINE u64v codes_at(const uint8_t *from, size_t stride, size_t bytes, size_t i)
{
    const size_t parts = bytes / VECTOR_BYTES, blocks = VECTOR_BYTES / bytes;
    if (blocks > 1)
        return u64v_join(from + i * blocks * stride, stride, bytes);
    return *(const u64v_unaligned *)(const void *)(from + i / parts * stride +
                                                   i % parts * VECTOR_BYTES);
}

/* Adds a vector of codes to fields of 2 bits. */
ALWAYS_INLINE void add_codes(u64v fields[2], u64v *both, u64v v)
{
    const u64v low = v & CODE_LOW, high = v >> 1 & CODE_LOW;
    *both |= low & high;
    fields[0] += low;
    fields[1] += high;
}

ALWAYS_INLINE void end_fields(u64v sums[2], const u64v fields[2])
{
    sums[0] += fields_to_bytes(fields[0]);
    sums[1] += fields_to_bytes(fields[1]);
}

/* Counts vectors begin..end, at most CODE_RUN of them, and copies them to `codes`. */
ALWAYS_INLINE void count_vectors(struct code_run *run, size_t begin, size_t end,
                                 size_t bytes, uint8_t *codes)
{
    const uint8_t *in = run->in;
    const size_t stride = run->stride;
    u64v sums[2] = {{0}, {0}}, both = {0};
    for (size_t i = begin; i < end; i += CODE_FIELDS) {
        const size_t count = size_min(end - i, CODE_FIELDS);
        u64v fields[2] = {{0}, {0}};
        for (size_t k = 0; k < CODE_FIELDS; k++) {
            if (k == count)
                break;
            const u64v v = codes_at(in, stride, bytes, i + k);
            add_codes(fields, &both, v);
            if (codes)
                *(u64v_unaligned *)(void *)(codes + (i + k) * VECTOR_BYTES) = v;
        }
        end_fields(sums, fields);
    }
    run->zeros += bytes_total(sums[0]);
    run->positives += bytes_total(sums[1]);
    run->sound &= residue_none((residue)both);
}

/* Counts the blocks behind the last whole vector, from block `first` on. */
ALWAYS_INLINE void count_rest(struct code_run *run, size_t first, size_t bytes,
                              uint8_t *codes)
{
    const size_t count = run->blocks - first;
    uint8_t own[VECTOR_BYTES] = {0};
    u64v fields[2] = {{0}, {0}}, sums[2] = {{0}, {0}}, both = {0};
    if (count == 0)
        return;
    for (size_t i = 0; i < count; i++)
        memcpy(own + i * bytes, run->in + (first + i) * run->stride, bytes);
    if (codes)
        memcpy(codes + first * bytes, own, count * bytes);
    add_codes(fields, &both, *(const u64v_unaligned *)(const void *)own);
    end_fields(sums, fields);
    run->zeros += bytes_total(sums[0]);
    run->positives += bytes_total(sums[1]);
    run->sound &= residue_none((residue)both);
}

ALWAYS_INLINE bool is_zero_word(const uint8_t *codes)
{
    uint64_t word;
    memcpy(&word, codes, sizeof(word));
    return word == CODE_LOW;
}

INLINE bool is_zero_group(const uint8_t *codes, size_t blocks, size_t stride,
                          size_t bytes)
{
    for (size_t i = 0; i < blocks; i++, codes += stride)
        for (size_t k = 0; k < bytes; k += sizeof(uint64_t))
            if (!is_zero_word(codes + k))
                return false;
    return true;
}

/* Most groups have a first word of which some element is not 0: only where one has not are
 * groups looked at one by one. */
INLINE void find_zero_groups(struct code_run *run, size_t bytes)
{
    const size_t each = run->blocks / run->groups, stride = each * run->stride;
    bool some = false;
    for (size_t g = 0; g < run->groups; g++)
        some |= is_zero_word(run->in + g * stride);
    memset(run->zero_of, 0, sizeof(run->zero_of));
    for (size_t g = 0; some && g < run->groups; g++)
        run->zero_of[g] = is_zero_group(run->in + g * stride, each, run->stride, bytes);
}

/* `bytes` and `copies` are constants. */
ALWAYS_INLINE void count_run(struct code_run *run, size_t bytes, bool copies)
{
    const size_t vectors = run->blocks * bytes / VECTOR_BYTES;
    uint8_t *codes =
        copies ? run->job->codes + run->begin * code_bytes(run->job->group_len) : NULL;
    find_zero_groups(run, bytes);
    for (size_t i = 0; i < vectors; i += CODE_RUN)
        count_vectors(run, i, size_min(i + CODE_RUN, vectors), bytes, codes);
    count_rest(run, vectors * VECTOR_BYTES / bytes, bytes, codes);
}

/* Functions of their own: the compiler then keeps the counts in registers. */
static __attribute__((noinline)) void count_run_32(struct code_run *run)
{
    count_run(run, 32, false);
}

static __attribute__((noinline)) void copy_run_32(struct code_run *run)
{
    count_run(run, 32, true);
}

static __attribute__((noinline)) void count_run_16(struct code_run *run)
{
    count_run(run, 16, false);
}

static __attribute__((noinline)) void copy_run_16(struct code_run *run)
{
    count_run(run, 16, true);
}

static void count_codes(struct code_run *run, size_t bytes)
{
    if (bytes == 32)
        (run->job->codes ? copy_run_32 : count_run_32)(run);
    else
        (run->job->codes ? copy_run_16 : count_run_16)(run);
}

/* A group's scale is that of its first block; in a sound file all its blocks have it. `bits`
 * are those in the blocks: they were stored long before they are loaded as vectors. */
INLINE void read_scales(struct code_run *run, const uint16_t bits[RUN_GROUPS],
                        bool in_blocks)
{
    const struct verify_job *job = run->job;
    for (size_t i = run->groups; i < RUN_GROUPS; i++)
        run->s[i] = 1.0f;
    if (in_blocks)
        for (size_t i = 0; i < run->groups; i += LANES)
            f32x16_store_f32((uint8_t *)(run->s + i),
                             f32x16_load_f16((const uint8_t *)(bits + i)));
    else if (job->in_scales)
        memcpy(run->s, job->in_scales + run->begin, run->groups * sizeof(run->s[0]));
    else
        memset(run->s, 0, run->groups * sizeof(run->s[0]));
}

/* How many groups are all zeros; *exact is false if a group has a code 3, or a scale that
 * is negative, not finite, or 0 though a code is not. */
INLINE uint32_t zero_groups(const struct code_run *run, bool *exact)
{
    i32v wrong = {0}, minus = {0};
    uint32_t lanes[STEP], count = 0;

    for (size_t i = 0; i < RUN_GROUPS; i += STEP) {
        const i32v s = (i32v)f32v_load(run->s + i);
        const i32v zero = (i32v)(u32v_load(run->zero_of + i) != 0);
        wrong |= ~((s > 0) & (s < INFINITE)) & ~(zero & ((s & INT32_MAX) == 0));
        minus += zero;
    }
    *exact = run->sound && residue_none((residue)wrong);
    memcpy(lanes, &minus, sizeof(lanes));
    for (size_t i = 0; i < STEP; i++)
        count -= lanes[i];
    return count;
}

/* Adds the groups of a run that is exact. */
INLINE void add_run(const struct code_run *run, uint32_t zero_groups,
                    struct ternary_counts *counts, struct ternary_check *check)
{
    const struct verify_job *job = run->job;
    const uint64_t elements = run->groups * job->group_len,
                   negatives = elements - run->zeros - run->positives;
    counts->zeros += run->zeros;
    counts->positives += run->positives;
    counts->negatives += negatives;
    counts->zero_groups += zero_groups;
    check->valid += elements;
    see_trits(check, negatives, run->zeros, run->positives);
    memcpy(job->scales + run->begin, run->s, run->groups * sizeof(run->s[0]));
    if (job->inexact)
        memset(job->inexact + run->begin, 0, run->groups);
}

/* How many groups verify_2bit takes together. */
INLINE size_t groups_per_run(size_t group_len)
{
    return group_len < RUN_ELEMENTS ? size_min(RUN_ELEMENTS / group_len, RUN_GROUPS) : 1;
}

/* True: all groups of the claims, at most RUN_GROUPS, are exact, and they were added. False:
 * nothing was. */
static bool verify_2bit(const struct claims *claims, const struct packing *packing)
{
    const struct verify_job *job = claims->job;
    const size_t each = job->group_len / packing->elements, stride = packing->bytes;
    const uint8_t *in = (const uint8_t *)job->in + claims->begin * each * stride;
    uint16_t bits[RUN_GROUPS];
    struct code_run run;
    bool exact;

    run.job = job;
    run.in = in + packing->codes_at;
    run.begin = claims->begin;
    run.groups = claims->end - claims->begin;
    run.blocks = run.groups * each;
    run.stride = stride;
    run.zeros = run.positives = 0;
    run.sound = true;
    if (packing->scale_at >= 0) {
        for (size_t i = 0; i < run.groups; i++)
            memcpy(&bits[i], in + packing->scale_at + i * each * stride, sizeof(bits[i]));
        for (size_t i = run.groups; i < RUN_GROUPS; i++)
            bits[i] = 0x3c00; /* 1 */
    }
    count_codes(&run, packing->elements / 4);
    read_scales(&run, bits, packing->scale_at >= 0);
    const uint32_t zero = zero_groups(&run, &exact);
    if (exact)
        add_run(&run, zero, claims->counts, claims->check);
    return exact;
}
