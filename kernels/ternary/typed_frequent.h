/* SPDX-License-Identifier: Apache-2.0 */
/* Part of body.h, a template (simd/typed.h): the frequent case of emit_groups, groups of 128
 * to 2-bit codes in sequence. Its loop has few instructions beside those of its vectors. */

#if SURVEYS

/* Whatever the blocks of the format, and whatever else is asked for. */
ALWAYS_INLINE bool emits_frequent(const struct emitter *emitter, enum form form)
{
    return form == FORM_LSB && emitter->job->group_len == FREQUENT_LEN;
}

/* Surveys groups, and with the last one of their block emits and counts them all. Then the
 * stores of most masks are done when the masks are loaded. */
ALWAYS_INLINE void emit_frequent(const struct emitter *emitter,
                                 const struct scales *scales, size_t begin, size_t end,
                                 size_t key, struct tally *tally,
                                 enum tally_detail detail)
{
    const struct ternarize_job job = *emitter->job; /* a copy: stores may alias it */
    const size_t units = FREQUENT_LEN / UNIT, bytes = FREQUENT_LEN * ELEMENT_BYTES,
                 first = begin - key, count = scales->count;
    const uint8_t *in = (const uint8_t *)job.in + begin * bytes;
    struct survey *survey = emitter->survey;
    uint64_t found[SURVEY_UNITS];
    if (begin >= end)
        return;
    for (size_t g = begin; g < end; g++, key++, in += bytes) {
        prefetch_ahead(&job, g * bytes, job.sums ? bytes / 2 : 0, bytes);
        survey_group(survey, key, units, in, NULL, &scales->keys,
                     detail == TALLY_ALL ? SURVEY_NEAR : SURVEY_CODES);
    }
    if (key < count)
        return;
    emit_surveyed(emitter, scales, first, survey);
    if (detail == TALLY_NONE)
        return;
    survey_end(survey, count * units);
    survey_count(survey, count * units, &tally->codes, &tally->near, found,
                 detail == TALLY_ALL ? SURVEY_NEAR : SURVEY_CODES);
    tally->seen += count * FREQUENT_LEN;
    tally->elements += count * FREQUENT_LEN;
}

#else

/* Only to one block each, and nowhere else. */
ALWAYS_INLINE bool emits_frequent(const struct emitter *emitter, enum form form)
{
    const struct ternarize_job *job = emitter->job;
    return form == FORM_LSB && LSB_UNROLLED && job->group_len == FREQUENT_LEN &&
           emitter->packing->elements == FREQUENT_LEN && !job->codes && !job->ahead;
}

ALWAYS_INLINE void emit_frequent(const struct emitter *emitter,
                                 const struct scales *scales, size_t begin, size_t end,
                                 size_t key, struct tally *tallied,
                                 enum tally_detail detail)
{
    const struct ternarize_job *job = emitter->job;
    const struct packing packing = *emitter->packing; /* a copy: stores may alias it */
    const size_t in_bytes = FREQUENT_LEN * ELEMENT_BYTES;
    struct emission to = {
        .packing = &packing,
        .len = FREQUENT_LEN,
        .in = (const uint8_t *)job->in + begin * in_bytes,
        .out = (uint8_t *)job->out + begin * packing.bytes,
    };
    struct tally tally = tally_copy(tallied, detail);
    for (size_t g = begin; g < end; g++, key++) {
        to.keys = thresholds_of(&scales->keys, key);
        to.s = scales->f16[key];
        emit_blocks(&to, FREQUENT_LEN, &tally, detail);
        to.in += in_bytes;
        to.out += packing.bytes;
        if (detail != TALLY_NONE) {
            tally.seen += FREQUENT_LEN;
            tally.elements += FREQUENT_LEN;
        }
    }
    tally_return(tallied, &tally, detail);
}

#endif
