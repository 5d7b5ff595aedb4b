/* SPDX-License-Identifier: Apache-2.0 */
/* Part of body.h: what a projection emits. The passes over a run are in
 * typed_ternarize.h. */

struct emitter {
    const struct ternarize_job *job;
    const struct packing *packing; /* NULL: dense */
    size_t in_bytes, out_bytes;    /* of a group */
    bool stream;
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

/* What the second pass emits. The frequent forms are compiled on their own. */
enum form {
    FORM_DENSE, /* only dense */
    FORM_LSB,   /* only 2-bit codes in sequence */
    FORM_ANY,
};

INLINE enum form form_of(const struct ternarize_job *job, const struct packing *packing)
{
    if (job->codes || !job->out)
        return FORM_ANY;
    return !packing ? FORM_DENSE : packing->order == ORDER_LSB ? FORM_LSB : FORM_ANY;
}

/* Codes in sequence are emitted by a loop of their own (emit_blocks), but not with vectors
 * of 16 bytes: portable C took 1.15 to 1.25 times as long by it. */
enum { LSB_UNROLLED = VECTOR_BYTES > 16 };

typedef void emit_fn(const struct emitter *emitter, const struct scales *scales,
                     size_t begin, size_t end, size_t key, struct tally *tally);
