/* Part of body.h: latents to ternary. */

/* Where one group of a run stands. */
struct place {
    const uint8_t *in;
    uint8_t *out;
    uint8_t *codes;
};

struct emitter {
    const struct ternarize_job *job;
    const struct packing *packing; /* NULL: dense */
    size_t in_bytes, out_bytes;    /* of a group */
    bool stream;
};

INLINE void emit_trits(uint8_t *out, vc codes, size_t n)
{
    uint8_t bytes[UNIT];
    if (n >= UNIT) {
        vc_trits(out, codes);
        return;
    }
    vc_trits(bytes, codes);
    memcpy(out, bytes, n);
}

/* Codes of the unit at i of a group, into its blocks. `gathered` keeps those of a block
 * whose order wants all of them first. */
INLINE void emit_block(uint8_t *out, const struct packing *packing, vc codes, size_t i,
                       uint16_t s, uint8_t gathered[BLOCK_ELEMENTS_MAX])
{
    const size_t within = i & (packing->elements - 1u);
    uint8_t *block = out + i / packing->elements * packing->bytes;
    if (packing->order == ORDER_LSB) {
        vc_pack2(block + packing->codes_at + within / 4, codes);
        if (within == 0)
            store_block_scale(block, packing, s);
        return;
    }
    vc_store(gathered + within, codes);
    if (within + UNIT == packing->elements) {
        pack_block(block + packing->codes_at, gathered, packing);
        store_block_scale(block, packing, s);
    }
}

/* What leaves the second pass; the frequent forms are compiled on their own. */
enum form {
    FORM_DENSE, /* dense alone */
    FORM_LSB,   /* 2-bit codes in sequence alone */
    FORM_ANY,
};

INLINE enum form form_of(const struct ternarize_job *job, const struct packing *packing)
{
    if (job->codes || !job->out)
        return FORM_ANY;
    return !packing ? FORM_DENSE : packing->order == ORDER_LSB ? FORM_LSB : FORM_ANY;
}

/* All that is known of a group when its units are emitted. */
struct emission {
    const struct emitter *emitter;
    struct place group;
    vk keys;
    uint16_t s;
    uint8_t *gathered;
};

INLINE void emit_unit(const struct emission *to, size_t i, size_t n, struct tally *tally,
                      enum trit_dtype dtype, enum form form, enum tally_detail detail)
{
    const struct packing *packing = to->emitter->packing;
    const struct place *group = &to->group;
    const size_t at = i * bytes_of(dtype);
    const vu w = load_unit(group->in + at, n, dtype);
    const vm beyond = vu_beyond(w, to->keys, dtype);
    const vc codes = vu_codes(w, beyond, to->keys, dtype);
    if (detail != TALLY_NONE)
        tally->codes = vt_add(tally->codes, codes);
    if (detail == TALLY_ALL)
        tally->near = vn_add(tally->near, w, to->keys, dtype);
    if (form == FORM_ANY && group->codes)
        store_codes(group->codes + i / 4, codes, n);
    if (form == FORM_DENSE || (form == FORM_ANY && group->out && !packing)) {
        const vu dense = vu_dense(w, beyond, to->keys, dtype);
        if (to->emitter->stream)
            vu_stream(group->out + at, dense, dtype);
        else
            store_unit(group->out + at, dense, n, dtype);
    } else if (form == FORM_ANY && group->out && packing->order == ORDER_BYTES) {
        emit_trits(group->out + i, codes, n);
    } else if (form == FORM_LSB || group->out) {
        emit_block(group->out, packing, codes, i, to->s, to->gathered);
    }
}

/* The second pass: everything that is asked of a group but its sums, unit by unit. */
INLINE void emit_group(const struct emission *to, struct tally *tally,
                       enum trit_dtype dtype, enum form form, enum tally_detail detail)
{
    const size_t len = to->emitter->job->group_len;
    size_t i = 0;
    for (; i + UNIT <= len; i += UNIT)
        emit_unit(to, i, UNIT, tally, dtype, form, detail);
    if (i < len)
        emit_unit(to, i, len - i, tally, dtype, form, detail);
    tally->seen += (len + UNIT - 1) / UNIT * UNIT;
    tally->elements += len;
}

/* The report's sums; w*v, v*v and (w-v)^2 do not depend on the sign they share. */
INLINE struct group_sums sums_of(const uint8_t *in, size_t len, float half, float s,
                                 enum trit_dtype dtype)
{
    const struct keys keys = {.half = {float_bits(half)}, .s = {float_bits(s)}};
    const vk thresholds = vk_of(&keys, 0, TRIT_F32);
    struct sums sums = sums_zero();
    for (size_t i = 0; i < len; i += UNIT) {
        const vu w = load_wide(in + i * bytes_of(dtype), size_min(len - i, UNIT), dtype);
        sums_add(&sums, w,
                 vu_dense(w, vu_beyond(w, thresholds, TRIT_F32), thresholds, TRIT_F32));
    }
    return sums_total(&sums);
}

/* First pass over a block of groups: their scales, and the report's sums, before the
 * outputs take the input's place. */
INLINE void begin_block_as(const struct emitter *emitter, size_t begin, size_t end,
                           struct scales *scales, struct ternary_counts *counts,
                           enum trit_dtype dtype)
{
    const struct ternarize_job *job = emitter->job;
    const uint8_t *in = (const uint8_t *)job->in + begin * emitter->in_bytes;
    const size_t count = end - begin, len = job->group_len;
    const bool near = job->tally == TALLY_ALL;
    const double divisor = (double)job->divisor;
    double sums[BLOCK_GROUPS];
    uint32_t zero_groups = 0;
    if (!sum_groups(sums, in, count, len, dtype))
        for (size_t g = 0; g < count; g++)
            if (!(sums[g] < INFINITY))
                count_non_finite(in + g * emitter->in_bytes, len, (begin + g) * len,
                                 counts, dtype);
    *scales = (struct scales){.count = count};
    for (size_t g = 0; g < count; g++)
        scales->s[g] = (float)(sums[g] / divisor);
    for (size_t g = 0; g < count; g++)
        zero_groups += sums[g] == 0.0;
    counts->zero_groups += zero_groups;
    memcpy(job->scales + begin, scales->s, count * sizeof scales->s[0]);
    find_thresholds(scales, near);
    find_f16(scales);
    find_kept(scales, dtype);
    find_keys(scales, dtype, near);
    count_scales(scales, begin, counts);
    for (size_t g = 0; job->sums && g < count; g++)
        job->sums[begin + g] = sums_of(in + g * emitter->in_bytes, len, scales->half[g],
                                       scales->s[g], dtype);
}

static void begin_block(const struct emitter *emitter, size_t begin, size_t end,
                        struct scales *scales, struct ternary_counts *counts)
{
    if (emitter->job->dtype == TRIT_F32)
        begin_block_as(emitter, begin, end, scales, counts, TRIT_F32);
    else if (emitter->job->dtype == TRIT_F16)
        begin_block_as(emitter, begin, end, scales, counts, TRIT_F16);
    else
        begin_block_as(emitter, begin, end, scales, counts, TRIT_BF16);
}

/* Two passes over a block that stays in L1: scales first, then the outputs. */
INLINE void emit_blocks(const struct emitter *emitter, struct ternary_counts *counts,
                        enum trit_dtype dtype, enum form form, enum tally_detail detail)
{
    const struct ternarize_job *job = emitter->job;
    const size_t block = groups_per_block(emitter->in_bytes);
    for (size_t begin = 0; begin < job->count; begin += block) {
        const size_t end = size_min(begin + block, job->count);
        uint8_t gathered[BLOCK_ELEMENTS_MAX];
        struct scales scales;
        begin_block(emitter, begin, end, &scales, counts);
        struct tally tally = tally_zero();
        for (size_t g = begin; g < end; g++) {
            const struct emission to = {
                emitter,
                {(const uint8_t *)job->in + g * emitter->in_bytes,
                 job->out ? (uint8_t *)job->out + g * emitter->out_bytes : NULL,
                 job->codes ? job->codes + g * code_bytes(job->group_len) : NULL},
                vk_of(&scales.keys, g - begin, dtype),
                scales.f16[g - begin],
                gathered,
            };
            emit_group(&to, &tally, dtype, form, detail);
        }
        if (detail != TALLY_NONE)
            tally_end(&tally, counts, NULL);
    }
}

INLINE void emit_tallied(const struct emitter *emitter, struct ternary_counts *counts,
                         enum trit_dtype dtype, enum form form)
{
    switch (emitter->job->tally) {
    case TALLY_ALL:
        emit_blocks(emitter, counts, dtype, form, TALLY_ALL);
        break;
    case TALLY_SIGNS:
        emit_blocks(emitter, counts, dtype, form, TALLY_SIGNS);
        break;
    case TALLY_NONE:
        emit_blocks(emitter, counts, dtype, form, TALLY_NONE);
        break;
    }
}

INLINE void ternarize_as(const struct ternarize_job *job, struct ternary_counts *counts,
                         enum trit_dtype dtype)
{
    const struct packing *packing = packing_of(job->encoding);
    const size_t in_bytes = job->group_len * bytes_of(dtype);
    assert(packing || job->encoding == TRIT_ENCODING_DENSE || !job->out);
    assert(!packing || job->group_len % packing->elements == 0);
    const struct emitter emitter = {
        .job = job,
        .packing = packing,
        .in_bytes = in_bytes,
        .out_bytes =
            packing ? job->group_len / packing->elements * packing->bytes : in_bytes,
        .stream = job->stream_stores && ((uintptr_t)job->out | in_bytes) % 256 == 0,
    };
    switch (form_of(job, packing)) {
    case FORM_DENSE:
        emit_tallied(&emitter, counts, dtype, FORM_DENSE);
        break;
    case FORM_LSB:
        emit_tallied(&emitter, counts, dtype, FORM_LSB);
        break;
    case FORM_ANY:
        emit_tallied(&emitter, counts, dtype, FORM_ANY);
        break;
    }
    if (emitter.stream)
        vu_fence();
}

static void ternarize_groups(const struct ternarize_job *job,
                             struct ternary_counts *counts)
{
    switch (job->dtype) {
    case TRIT_F32:
        ternarize_as(job, counts, TRIT_F32);
        break;
    case TRIT_F16:
        ternarize_as(job, counts, TRIT_F16);
        break;
    case TRIT_BF16:
        ternarize_as(job, counts, TRIT_BF16);
        break;
    case TRIT_DTYPE_UNSPECIFIED:
    case TRIT_I8:
    case TRIT_U8:
        assert(false && "a dtype that has no latents");
        break;
    }
}
