/* SPDX-License-Identifier: Apache-2.0 */
/* Part of body.h: the second pass of a full report on 2-bit codes in sequence, where
 * an ISA has SURVEYS. A block is surveyed before anything is emitted: the outcomes of its
 * comparisons are kept, a bit an element, and what is beyond the thresholds is summed. Then
 * counts and codes of several groups are computed from these bits together. */

#ifndef SURVEYS
#define SURVEYS 0
#endif

/* Only a run that is in the caches, and groups for which the sums are exact (NUMERICS.md,
 * "What is beyond the threshold"). */
INLINE bool survey_suits(const struct ternarize_job *job, const struct packing *packing,
                         size_t group_bytes)
{
    return SURVEYS && job->sums && job->tally == TALLY_ALL && sums_exactly(job) &&
           job->count * group_bytes <= DRAM_RUN_BYTES &&
           form_of(job, packing) == FORM_LSB;
}

#if SURVEYS

/* Copies a block's codes to where they are asked for, with the scales between them. */
INLINE void emit_surveyed(const struct emitter *emitter, const struct scales *scales,
                          size_t begin, const uint8_t *codes)
{
    const struct ternarize_job *job = emitter->job;
    const struct packing packing = *emitter->packing; /* a copy: stores may alias it */
    const size_t len = job->group_len, bytes = code_bytes(len);
    uint8_t *block = (uint8_t *)job->out + begin * emitter->out_bytes;
    if (job->codes)
        memcpy(job->codes + begin * bytes, codes, scales->count * bytes);
    for (size_t g = 0; g < scales->count; g++)
        for (size_t i = 0; i < len; i += packing.elements, block += packing.bytes) {
            uint8_t *to = block + packing.codes_at;
            for (size_t k = 0; k < packing.elements; k += UNIT) {
                memcpy(to, codes, PACKED_BYTES);
                to += PACKED_BYTES;
                codes += PACKED_BYTES;
            }
            store_block_scale(block, &packing, scales->f16[g]);
        }
}

/* How many elements of each group are beyond the threshold: `units` of what was found in
 * units. In a group that is not finite none is, as no NaN is. */
INLINE void number_groups(double numbers[BLOCK_GROUPS], double beyond[BLOCK_GROUPS],
                          const struct scales *scales, size_t units,
                          const uint64_t found[SURVEY_UNITS])
{
    for (size_t g = 0; g < scales->count; g++) {
        uint64_t number = 0;
        for (size_t u = 0; u < units; u++)
            number += found[g * units + u];
        const bool some = scales->half[g] < INFINITY;
        numbers[g] = some ? (double)number : 0.0;
        beyond[g] = some ? beyond[g] : 0.0;
    }
}

#endif
