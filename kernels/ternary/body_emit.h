/* SPDX-License-Identifier: Apache-2.0 */
/* Part of body.h: what a projection emits. The passes over a run are in
 * typed_ternarize.h. */

struct emitter {
    const struct ternarize_job *job;
    const struct packing *packing; /* NULL: dense */
    size_t in_bytes, out_bytes;    /* of a group */
    bool stream;
    bool surveyed;         /* survey_block does the outputs */
    struct survey *survey; /* of the block that is being emitted, where SURVEYS */
};

/* Fetches a group's part of what is read next, from `begin` to `end`, into L2. Each pass
 * over a group fetches some of it, so that few lines are under way at a time. */
INLINE void prefetch_ahead(const struct ternarize_job *job, size_t at, size_t begin,
                           size_t end)
{
    const uint8_t *ahead = job->ahead;
    if (!ahead)
        return;
    for (size_t line = begin; line < end; line += 64)
        __builtin_prefetch(ahead + at + line, 0, 2);
}

INLINE void emit_trits(uint8_t *out, codes64 codes, size_t n)
{
    uint8_t bytes[UNIT];
    if (n >= UNIT) {
        codes64_store_trits(out, codes);
        return;
    }
    codes64_store_trits(bytes, codes);
    memcpy(out, bytes, n);
}

/* What the first pass over a block leaves: `widened` if the job asks for sums. */
struct first_pass {
    struct partial partials[BLOCK_GROUPS];
    struct widened widened;
};

/* `doubles`: the sums of what is beyond the threshold will need the magnitudes as f64. */
INLINE void first_pass_init(struct first_pass *to, const struct ternarize_job *job,
                            bool doubles)
{
    struct widened *widened = &to->widened;
    memset(to->partials, 0, sizeof(to->partials));
    if (!job->sums)
        return;
    widened->stride = widened_stride(job->group_len);
    widened->kept = widened->stride > WIDENED_MAX ? KEPT_NONE
                    : doubles                     ? KEPT_F64
                    : VECTOR_BYTES > 16           ? KEPT_F32
                                                  : KEPT_NONE;
    memset(widened->sums, 0, sizeof(widened->sums));
    memset(widened->energies, 0, sizeof(widened->energies));
}

/* How many groups a block has. If sums are asked for, their magnitudes must fit. */
INLINE size_t block_of(const struct ternarize_job *job, size_t group_bytes)
{
    const size_t groups = groups_per_block(group_bytes),
                 stride = widened_stride(job->group_len);
    if (!job->sums)
        return groups;
    return stride < WIDENED_MAX ? size_min(groups, WIDENED_MAX / stride) : 1;
}

/* What the second pass emits. The frequent forms are compiled on their own. */
enum form {
    FORM_DENSE, /* only dense */
    FORM_LSB,   /* only 2-bit codes in sequence, and the codes */
    FORM_ANY,
};

INLINE enum form form_of(const struct ternarize_job *job, const struct packing *packing)
{
    if (!job->out || (!packing && job->codes))
        return FORM_ANY;
    return !packing ? FORM_DENSE : packing->order == ORDER_LSB ? FORM_LSB : FORM_ANY;
}

/* Codes in sequence are emitted by a loop of their own (emit_blocks), but not with vectors
 * of 16 bytes: portable C took 1.15 to 1.25 times as long by it. */
enum { LSB_UNROLLED = VECTOR_BYTES > 16 };

typedef void emit_fn(const struct emitter *emitter, const struct scales *scales,
                     size_t begin, size_t end, size_t key, struct tally *tally);
