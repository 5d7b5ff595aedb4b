/* SPDX-License-Identifier: Apache-2.0 */
/* Part of body.h, a template (simd/typed.h): latents to ternary. */

#include "kernels/ternary/typed_report.h"

/* A group whose units are being emitted. */
struct emission {
    const struct packing *packing; /* NULL: dense */
    size_t len;
    bool stream;
    const uint8_t *in;
    uint8_t *out, *codes;
    thresholds keys;
    uint16_t s;
    uint8_t *block;    /* where the next codes go in the output */
    size_t within;     /* how many elements of that block are done */
    uint8_t *gathered; /* codes of a block whose order needs all of them first */
};

/* Writes the codes of a group's next unit into its blocks. */
INLINE void emit_block(struct emission *to, codes64 codes)
{
    const struct packing *packing = to->packing;
    if (packing->order == ORDER_LSB)
        codes64_pack_2bit(to->block + packing->codes_at + to->within / 4, codes);
    else
        codes64_store(to->gathered + to->within, codes);
    to->within += UNIT;
    if (to->within < packing->elements)
        return;
    if (packing->order != ORDER_LSB)
        pack_block(to->block + packing->codes_at, to->gathered, packing);
    store_block_scale(to->block, packing, to->s);
    to->block += packing->bytes;
    to->within = 0;
}

/* The codes of a unit, which are also counted. */
ALWAYS_INLINE codes64 encode_unit(unit w, mask64 beyond, thresholds keys,
                                  struct tally *tally, enum form form,
                                  enum tally_detail detail)
{
    const codes64 codes = unit_encode(w, beyond, keys);
    if (detail != TALLY_NONE && form == FORM_DENSE)
        tally->codes = sign_tally_add_unit(tally->codes, w, beyond, keys);
    else if (detail != TALLY_NONE)
        tally->codes = sign_tally_add(tally->codes, codes);
    if (detail == TALLY_ALL)
        tally->near = near_count_add(tally->near, w, keys);
    return codes;
}

ALWAYS_INLINE void emit_unit(struct emission *to, size_t i, size_t n, struct tally *tally,
                             enum form form, enum tally_detail detail)
{
    const size_t at = i * ELEMENT_BYTES;
    const unit w = load_unit(to->in + at, n);
    const mask64 beyond = unit_above_half_scale(w, to->keys);
    const codes64 codes = encode_unit(w, beyond, to->keys, tally, form, detail);
    if (form != FORM_DENSE && to->codes)
        store_codes(to->codes + i / 4, codes, n);
    if (form == FORM_DENSE || (form == FORM_ANY && to->out && !to->packing)) {
        const unit dense = unit_dequantize(w, to->keys);
        if (to->stream)
            unit_stream(to->out + at, dense);
        else
            store_unit(to->out + at, dense, n);
    } else if (form == FORM_ANY && to->out && to->packing->order == ORDER_BYTES) {
        emit_trits(to->out + i, codes, n);
    } else if (form == FORM_LSB || to->out) {
        emit_block(to, codes);
    }
}

/* Emits the codes of a group to a format that has them in sequence, in blocks of
 * `elements`, a constant: then the loop over a block unrolls. */
ALWAYS_INLINE void emit_blocks(const struct emission *to, size_t elements,
                               struct tally *tally, enum tally_detail detail)
{
    const struct packing packing = *to->packing; /* a copy: stores may alias it */
    uint8_t *block = to->out, *copy = to->codes;
    for (size_t i = 0; i < to->len; i += elements, block += packing.bytes) {
        uint8_t *codes = block + packing.codes_at;
        for (size_t k = 0; k < elements; k += UNIT, codes += PACKED_BYTES) {
            const unit w = unit_load(to->in + (i + k) * ELEMENT_BYTES);
            const mask64 beyond = unit_above_half_scale(w, to->keys);
            const codes64 trits =
                encode_unit(w, beyond, to->keys, tally, FORM_LSB, detail);
            codes64_pack_2bit(codes, trits);
            if (copy) {
                codes64_pack_2bit(copy, trits);
                copy += PACKED_BYTES;
            }
        }
        store_block_scale(block, &packing, to->s);
    }
}

/* The second pass where only 2-bit codes in sequence are asked for. */
ALWAYS_INLINE void emit_lsb(const struct emission *to, struct tally *tally,
                            enum tally_detail detail)
{
    if (to->packing->elements == 2 * UNIT)
        emit_blocks(to, 2 * UNIT, tally, detail);
    else
        emit_blocks(to, UNIT, tally, detail);
}

/* The second pass: everything that is asked of a group except sums, unit by unit. */
ALWAYS_INLINE void emit_units(struct emission *to, struct tally *tally, enum form form,
                              enum tally_detail detail)
{
    const size_t len = to->len;
    size_t i = 0;
    for (; i + UNIT <= len; i += UNIT)
        emit_unit(to, i, UNIT, tally, form, detail);
    if (i < len)
        emit_unit(to, i, len - i, tally, form, detail);
}

ALWAYS_INLINE void emit_group(struct emission *to, struct tally *tally, enum form form,
                              enum tally_detail detail)
{
    const size_t len = to->len;
    if (form == FORM_LSB && LSB_UNROLLED)
        emit_lsb(to, tally, detail);
    else
        emit_units(to, tally, form, detail);
    if (detail != TALLY_NONE) {
        tally->seen += (len + UNIT - 1) / UNIT * UNIT;
        tally->elements += len;
    }
}

/* Sums `count` groups of the block that begins at group `begin`, from its group k on. */
INLINE void sum_pass(struct first_pass *to, const struct ternarize_job *job, size_t begin,
                     size_t k, size_t count, struct prefetch_policy policy)
{
    const size_t len = job->group_len;
    const uint8_t *in = (const uint8_t *)job->in + (begin + k) * len * ELEMENT_BYTES;
    if (job->sums && job->ahead && to->widened.kept != KEPT_F64)
        for (size_t g = 0; g < count; g++) { /* half of what is ahead, in small parts */
            const size_t bytes = len * ELEMENT_BYTES;
            prefetch_ahead(job, (begin + k + g) * bytes, 0, bytes / 2);
            widen_groups(&to->widened, k + g, in + g * bytes, 1, len, policy);
        }
    else if (job->sums)
        widen_groups(&to->widened, k, in, count, len, policy);
    else
        sum_groups(&to->partials[k], in, count, len, policy);
}

/* Computes the scales of a block whose groups are summed, and the report's sums. These
 * come before the outputs, which may overwrite the input. */
static void finish_block(const struct emitter *emitter, const struct first_pass *first,
                         size_t begin, struct scales *scales,
                         struct ternary_counts *counts)
{
    const struct ternarize_job *job = emitter->job;
    const uint8_t *in = (const uint8_t *)job->in + begin * emitter->in_bytes;
    const size_t count = scales->count, len = job->group_len;
    const bool near = job->tally == TALLY_ALL;
    double sums[BLOCK_GROUPS];
    const struct totals totals =
        job->sums ? total_widened(sums, &first->widened, count)
                  : total_groups(sums, first->partials, in, count, len);
    for (size_t g = 0; !totals.below && g < count; g++)
        if (!(sums[g] < INFINITY))
            count_non_finite(in + g * emitter->in_bytes, len, (begin + g) * len, counts);
    counts->zero_groups += (uint32_t)__builtin_popcount(totals.zeros);
    find_means(scales, sums, job->divisor);
    if (job->scale)
        fill_scales(scales, *job->scale);
    memcpy(job->scales + begin, scales->s, count * sizeof(scales->s[0]));
    find_halves(scales);
    if (near)
        find_near(scales);
    if (emitter->packing)
        find_f16(scales);
    scales_as_stored(scales);
    find_keys(scales, near);
    if (job->sums && !emitter->surveyed)
        sum_block(job, begin, scales, &first->widened);
}

#include "kernels/ternary/typed_frequent.h"

ALWAYS_INLINE void emit_others(const struct emitter *emitter, const struct scales *scales,
                               size_t begin, size_t end, size_t key, struct tally *tally,
                               enum form form, enum tally_detail detail)
{
    const struct ternarize_job *job = emitter->job;
    const size_t in_bytes = emitter->in_bytes, out_bytes = emitter->out_bytes;
    uint8_t gathered[BLOCK_ELEMENTS_MAX];
    struct emission to = {
        .packing = emitter->packing,
        .len = job->group_len,
        .stream = emitter->stream,
        .in = (const uint8_t *)job->in + begin * in_bytes,
        .out = job->out ? (uint8_t *)job->out + begin * out_bytes : NULL,
        .codes = job->codes ? job->codes + begin * code_bytes(job->group_len) : NULL,
        .gathered = gathered,
    };
    to.block = to.out;
    for (size_t g = begin; g < end; g++, key++) {
        to.keys = thresholds_of(&scales->keys, key);
        to.s = scales->f16[key];
        prefetch_ahead(job, g * in_bytes, job->sums ? in_bytes / 2 : 0, in_bytes);
        emit_group(&to, tally, form, detail);
        to.in += in_bytes;
        to.out = to.out ? to.out + out_bytes : NULL;
        to.codes = to.codes ? to.codes + code_bytes(to.len) : NULL;
    }
}

/* Emits groups begin..end of a run; `key` is the place of the first one in its block. */
ALWAYS_INLINE void emit_groups(const struct emitter *emitter, const struct scales *scales,
                               size_t begin, size_t end, size_t key,
                               struct tally *tallied, enum form form,
                               enum tally_detail detail)
{
    if (emits_frequent(emitter, form)) {
        emit_frequent(emitter, scales, begin, end, key, tallied, detail);
        return;
    }
    struct tally tally = tally_copy(tallied, detail);
    emit_others(emitter, scales, begin, end, key, &tally, form, detail);
    tally_return(tallied, &tally, detail);
}

/* Each combination is a function of its own: emit_f32_DENSE_ALL and so on. */
#define EMIT(form, detail) TYPED_EXPAND(emit_##form##_##detail, ELEMENT)
#define DEFINE_EMIT(form, detail)                                                        \
    static void EMIT(form, detail)(const struct emitter *emitter,                        \
                                   const struct scales *scales, size_t begin,            \
                                   size_t end, size_t key, struct tally *tally)          \
    {                                                                                    \
        emit_groups(emitter, scales, begin, end, key, tally, FORM_##form,                \
                    TALLY_##detail);                                                     \
    }
#define DEFINE_EMIT_FORM(form)                                                           \
    DEFINE_EMIT(form, ALL)                                                               \
    DEFINE_EMIT(form, SIGNS)                                                             \
    DEFINE_EMIT(form, NONE)

DEFINE_EMIT_FORM(DENSE)
DEFINE_EMIT_FORM(LSB)
DEFINE_EMIT_FORM(ANY)

#define EMITTERS(form)                                                                   \
    [FORM_##form] = {[TALLY_ALL] = EMIT(form, ALL),                                      \
                     [TALLY_SIGNS] = EMIT(form, SIGNS),                                  \
                     [TALLY_NONE] = EMIT(form, NONE)}

static emit_fn *const emitters[3][3] = {EMITTERS(DENSE), EMITTERS(LSB), EMITTERS(ANY)};

#undef EMIT
#undef DEFINE_EMIT
#undef DEFINE_EMIT_FORM
#undef EMITTERS

#if SURVEYS

/* Surveys the groups of a block; `len`: their length. */
ALWAYS_INLINE void survey_groups(const struct emitter *emitter,
                                 const struct scales *scales, size_t begin,
                                 const float *singles, size_t len,
                                 enum survey_detail detail)
{
    const struct ternarize_job *job = emitter->job;
    const size_t bytes = len * ELEMENT_BYTES;
    const uint8_t *in = (const uint8_t *)job->in + begin * bytes;
    if (detail == SURVEY_INTEGERS)
        survey_find_factors(emitter->survey, scales->half);
    for (size_t g = 0; g < scales->count; g++, in += bytes, singles += len) {
        if (emitter->packing) /* else dense output does */
            prefetch_ahead(job, (begin + g) * bytes, bytes / 2, bytes);
        survey_group(emitter->survey, g, len / UNIT, in, singles, &scales->keys, detail);
    }
}

/* Emits a block, but nothing dense, and adds to its tally; also the sum and the number of the
 * elements beyond the threshold, for each group. */
static __attribute__((noinline)) void
survey_block(const struct emitter *emitter, const struct scales *scales, size_t begin,
             const float *singles, struct tally *tally, double beyond[BLOCK_GROUPS],
             double numbers[BLOCK_GROUPS])
{
    const struct ternarize_job *job = emitter->job;
    const size_t len = job->group_len, units = len / UNIT, count = scales->count;
    const bool integers =
        ELEMENT_BYTES == 4 && len == FREQUENT_LEN && job->divisor <= INTEGER_MAX;
    struct survey *survey = emitter->survey;
    uint64_t found[SURVEY_UNITS] = {0};
    if (integers)
        survey_groups(emitter, scales, begin, singles, FREQUENT_LEN, SURVEY_INTEGERS);
    else
        survey_groups(emitter, scales, begin, singles, len, SURVEY_SUMS);
    survey_end(survey, count * units);
    if (integers)
        survey_integer_totals(beyond, survey, scales->half);
    else
        survey_totals(beyond, survey, ELEMENT_BYTES == 4);
    survey_count(survey, count * units, &tally->codes, &tally->near, found, SURVEY_SUMS);
    number_groups(numbers, beyond, scales, units, found);
    emit_surveyed(emitter, scales, begin, survey);
    tally->seen += count * len;
    tally->elements += count * len;
}

#else

INLINE void survey_block(const struct emitter *emitter, const struct scales *scales,
                         size_t begin, const float *singles, struct tally *tally,
                         double beyond[BLOCK_GROUPS], double numbers[BLOCK_GROUPS])
{
    (void)emitter, (void)scales, (void)begin, (void)singles, (void)tally, (void)beyond,
        (void)numbers;
}

#endif

/* Whether the sums of what is beyond the threshold are summed from magnitudes as f64. Those
 * of f32 outside of a survey are: as two f32 they took as long, in portable C 1.7 times. */
INLINE bool keeps_magnitudes(const struct ternarize_job *job, bool surveyed)
{
    return !surveyed && !(ELEMENT_BYTES == 2 && sums_exactly(job));
}

/* A run that is in the caches: the scales of each block, then its outputs. */
static void ternarize_cached(const struct emitter *emitter, emit_fn *emit,
                             struct tally *tally, struct ternary_counts *counts)
{
    const struct ternarize_job *job = emitter->job;
    const size_t block = block_of(job, emitter->in_bytes);
    struct scales scales;
    struct first_pass first;
    first_pass_init(&first, job, keeps_magnitudes(job, emitter->surveyed));
    for (size_t begin = 0; begin < job->count; begin += block) {
        const size_t end = size_min(begin + block, job->count);
        scales.count = end - begin;
        sum_pass(&first, job, begin, 0, end - begin, in_l2);
        finish_block(emitter, &first, begin, &scales, counts);
        if (SURVEYS && emitter->surveyed) {
            double beyond[BLOCK_GROUPS], numbers[BLOCK_GROUPS];
            survey_block(emitter, &scales, begin, first.widened.singles, tally, beyond,
                         numbers);
            sum_overflows(beyond, job, begin, &scales);
            end_sums(job, begin, &scales, &first.widened, beyond, numbers);
            if (!emitter->packing)
                emitters[FORM_DENSE][TALLY_NONE](emitter, &scales, begin, end, 0, tally);
        } else {
            emit(emitter, &scales, begin, end, 0, tally);
        }
    }
}

INLINE size_t turn_of(const struct emitter *emitter, const struct prefetch_policy *reach)
{
    if (ELEMENT_BYTES == 2)
        return reach->turn_groups_16bit;
    return emitter->packing && emitter->packing->order == ORDER_BASE3
               ? reach->turn_groups_base3
               : reach->turn_groups;
}

/* A run that comes from memory: the sums go two blocks ahead of the outputs and alternate
 * with them. The elements of an output are still in L1, its scales are known long before,
 * and reads from memory mix with streaming stores to it. */
static void ternarize_streaming(const struct emitter *emitter, emit_fn *emit,
                                struct tally *tally, struct ternary_counts *counts)
{
    const struct ternarize_job *job = emitter->job;
    const size_t block = block_of(job, emitter->in_bytes), count = job->count;
    const struct prefetch_policy reach = prefetch_policy(VECTOR_BYTES);
    const size_t groups = turn_of(emitter, &reach);
    struct scales ring[2];
    struct first_pass first;
    first_pass_init(&first, job, keeps_magnitudes(job, false));
    for (size_t begin = 0, turn = 0; begin < count + 2 * block;
         begin += block, turn ^= 1) {
        const size_t end = size_min(begin + block, count);
        const size_t back = begin - 2 * block; /* the first group to emit */
        for (size_t k = 0; k < block; k += groups) {
            const size_t stop = size_min(k + groups, block);
            if (begin >= 2 * block)
                emit(emitter, &ring[turn], back + k, size_min(back + stop, count), k,
                     tally);
            if (begin + k < end)
                sum_pass(&first, job, begin, k, size_min(begin + stop, end) - (begin + k),
                         reach);
        }
        if (begin < end) {
            ring[turn].count = end - begin;
            finish_block(emitter, &first, begin, &ring[turn], counts);
        }
    }
}

static void ternarize_groups(const struct ternarize_job *job,
                             struct ternary_counts *counts)
{
    const struct packing *packing = packing_of(job->encoding);
    const size_t in_bytes = job->group_len * ELEMENT_BYTES;
    assert(packing || job->encoding == TRIT_ENCODING_DENSE || !job->out);
    assert(!packing || job->group_len % packing->elements == 0);
    struct survey survey;
    const struct emitter emitter = {
        .job = job,
        .packing = packing,
        .in_bytes = in_bytes,
        .out_bytes =
            packing ? job->group_len / packing->elements * packing->bytes : in_bytes,
        .surveyed = survey_suits(job, packing, in_bytes),
        .survey = &survey,
        .stream = job->stream_stores && ((uintptr_t)job->out | in_bytes) % 256 == 0,
    };
    emit_fn *emit = emitters[form_of(job, packing)][job->tally];
    struct tally tally = tally_zero();
    if (job->count * in_bytes > DRAM_RUN_BYTES)
        ternarize_streaming(&emitter, emit, &tally, counts);
    else
        ternarize_cached(&emitter, emit, &tally, counts);
    if (job->tally != TALLY_NONE)
        tally_end(&tally, counts, NULL);
    if (emitter.stream)
        unit_stream_fence();
    count_scales(job->scales, job->count, counts);
}
