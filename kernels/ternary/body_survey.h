/* SPDX-License-Identifier: Apache-2.0 */
/* Part of body.h: the second pass of a full report on 2-bit codes in sequence, int8 or dense,
 * and of groups of 128 to 2-bit codes (typed_frequent.h), where an ISA has SURVEYS. A block is
 * surveyed before anything is emitted: the outcomes of its comparisons are kept, a bit an
 * element, and for a report what is beyond the thresholds is summed. Then counts and codes
 * of several groups are computed from these bits together. */

#ifndef SURVEYS
#define SURVEYS 0
#endif

/* Of a report only a run that is in the caches, and groups for which the sums are exact (NUMERICS.md,
 * "What is beyond the threshold"). */
INLINE bool survey_suits(const struct ternarize_job *job, const struct packing *packing,
                         size_t group_bytes)
{
    return SURVEYS && job->sums && job->tally == TALLY_ALL && sums_exactly(job) &&
           job->count * group_bytes <= DRAM_RUN_BYTES && job->out &&
           (!packing || packing->order == ORDER_LSB || packing->order == ORDER_BYTES) &&
           job->group_len % UNIT == 0;
}

#if !SURVEYS

struct survey {
    char nothing;
};

#else

/* Copies a block's codes to where they are asked for, with the scales between them: groups
 * of `len` elements to blocks of `elements`. */
ALWAYS_INLINE void copy_codes(const struct emitter *emitter, const struct scales *scales,
                              size_t begin, const uint8_t *codes, size_t len,
                              size_t elements)
{
    const struct packing packing = *emitter->packing; /* a copy: stores may alias it */
    const size_t count = scales->count;
    uint8_t *block = (uint8_t *)emitter->job->out + begin * emitter->out_bytes;
    for (size_t g = 0; g < count; g++)
        for (size_t i = 0; i < len; i += elements, block += packing.bytes) {
            uint8_t *to = block + packing.codes_at;
            if (elements == 2 * UNIT) /* in one vector */
                memcpy(to, codes, 2 * PACKED_BYTES);
            else
                memcpy(to, codes, PACKED_BYTES);
            codes += elements / 4;
            store_block_scale(block, &packing, scales->f16[g]);
        }
}

INLINE void emit_surveyed_lsb(const struct emitter *emitter, const struct scales *scales,
                              size_t begin, const uint8_t *codes)
{
    const size_t len = emitter->job->group_len, elements = emitter->packing->elements;
    if (len == FREQUENT_LEN && elements == FREQUENT_LEN)
        copy_codes(emitter, scales, begin, codes, FREQUENT_LEN, FREQUENT_LEN);
    else
        copy_codes(emitter, scales, begin, codes, len, elements);
}

/* What a survey emits for a block: everything but dense output, which may overwrite what the
 * sums still read. */
INLINE void emit_surveyed(const struct emitter *emitter, const struct scales *scales,
                          size_t begin, struct survey *survey)
{
    const struct ternarize_job *job = emitter->job;
    const size_t len = job->group_len, bytes = code_bytes(len),
                 units = scales->count * len / UNIT;
    const bool lsb = emitter->packing && emitter->packing->order == ORDER_LSB,
               trits = emitter->packing && !lsb;
    if (lsb || job->codes)
        survey_pack(survey, units);
    if (job->codes)
        memcpy(job->codes + begin * bytes, survey->codes, scales->count * bytes);
    if (lsb)
        emit_surveyed_lsb(emitter, scales, begin, survey->codes);
    for (size_t i = 0; trits && i < units; i++)
        emit_trits((uint8_t *)job->out + begin * len + i * UNIT, survey_codes(survey, i),
                   UNIT);
}

/* Whether all scales of a block are those of finite groups, and not 0. */
INLINE bool all_thresholds(const struct scales *scales)
{
    residue odd = residue_zero();
    for (size_t i = 0; i < LANES; i += STEP)
        odd |= (residue) ~(f32v_load(scales->half + i) < INFINITY);
    return residue_none(odd);
}

/* How many elements of each group are beyond the threshold: `units` of what was found in
 * units. In a group that is not finite none is, as no NaN is. */
INLINE void number_groups(double numbers[BLOCK_GROUPS], double beyond[BLOCK_GROUPS],
                          const struct scales *scales, size_t units,
                          const uint64_t found[SURVEY_UNITS])
{
    if (units == 2) /* a loop that is compiled to vectors */
        for (size_t g = 0; g < BLOCK_GROUPS; g++)
            numbers[g] = (double)(found[2 * g] + found[2 * g + 1]);
    for (size_t g = 0; units != 2 && g < scales->count; g++) {
        uint64_t number = 0;
        for (size_t u = 0; u < units; u++)
            number += found[g * units + u];
        numbers[g] = (double)number;
    }
    if (all_thresholds(scales))
        return;
    for (size_t g = 0; g < scales->count; g++)
        if (!(scales->half[g] < INFINITY))
            numbers[g] = beyond[g] = 0.0;
}

#endif
