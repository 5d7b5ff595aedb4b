/* Part of body.h: latents to ternary. */

struct tally {
    vt codes;
    vn near;
    size_t seen, elements; /* with and without padding to whole units */
};

INLINE struct tally tally_zero(void)
{
    return (struct tally){vt_zero(), vn_zero(), 0, 0};
}

INLINE void tally_end(const struct tally *tally, struct ternary_counts *counts,
                      uint64_t *nonzeros)
{
    uint64_t negatives, positives;
    vt_counts(tally->codes, tally->seen, &negatives, &positives);
    counts->negatives += negatives;
    counts->positives += positives;
    counts->zeros += tally->elements - negatives - positives;
    counts->near_threshold += vn_total(tally->near);
    if (nonzeros)
        *nonzeros = negatives + positives;
}

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

INLINE void emit_dense(uint8_t *out, const vf w[4], vm beyond, vf s, size_t n,
                       bool stream, enum trit_dtype dtype)
{
    vf v[4];
    for (size_t k = 0; k < 4; k++)
        v[k] = vf_dense(w[k], beyond, k, s);
    if (dtype == TRIT_F32 && stream)
        for (size_t k = 0; k < 4; k++)
            vf_stream(out + k * LANES * 4, v[k]);
    else
        store_unit(out, v, n, dtype);
}

INLINE void emit_bytes(uint8_t *out, vb codes, size_t n)
{
    if (n >= UNIT) {
        vb_store(out, vb_less_one(codes));
    } else {
        uint8_t bytes[UNIT];
        vb_store(bytes, vb_less_one(codes));
        memcpy(out, bytes, n);
    }
}

/* Codes of the unit at i of a group, into its blocks. `gathered` keeps those of a block
 * whose order wants all of them first. */
INLINE void emit_block(uint8_t *out, const struct packing *packing, vb codes, size_t i,
                       uint16_t s, uint8_t gathered[BLOCK_ELEMENTS_MAX])
{
    const size_t within = i & (packing->elements - 1u);
    uint8_t *block = out + i / packing->elements * packing->bytes;
    if (packing->order == ORDER_LSB) {
        vb_pack2(block + packing->codes_at + within / 4, codes);
        if (within == 0)
            store_block_scale(block, packing, s);
        return;
    }
    vb_store(gathered + within, codes);
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

/* The second pass: everything that is asked of a group but its sums, unit by unit. */
INLINE void emit_group(const struct emitter *emitter, const struct place *group,
                       const struct scales *scales, size_t g, struct tally *tally,
                       enum trit_dtype dtype, enum form form)
{
    const size_t size = bytes_of(dtype), len = emitter->job->group_len;
    const struct packing *packing = emitter->packing;
    const vf half = vf_splat(scales->half[g]), s = vf_splat(scales->kept[g]);
    const vf low = vf_splat(scales->low[g]), high = vf_splat(scales->high[g]);
    uint8_t gathered[BLOCK_ELEMENTS_MAX];
    for (size_t i = 0; i < len; i += UNIT) {
        const size_t n = size_min(len - i, UNIT);
        vf w[4];
        load_unit(w, group->in + i * size, n, dtype);
        const vm beyond = vm_beyond(w, half);
        const vb codes = vb_codes(w, beyond);
        tally->codes = vt_add(tally->codes, codes);
        tally->near = vn_add(tally->near, w, low, high);
        if (form == FORM_DENSE) {
            emit_dense(group->out + i * size, w, beyond, s, n, emitter->stream, dtype);
            continue;
        }
        if (form == FORM_LSB) {
            emit_block(group->out, packing, codes, i, scales->f16[g], gathered);
            continue;
        }
        if (group->codes)
            store_codes(group->codes + i / 4, codes, n);
        if (group->out && !packing)
            emit_dense(group->out + i * size, w, beyond, s, n, emitter->stream, dtype);
        else if (group->out && packing->order == ORDER_BYTES)
            emit_bytes(group->out + i, codes, n);
        else if (group->out)
            emit_block(group->out, packing, codes, i, scales->f16[g], gathered);
    }
    tally->seen += (len + UNIT - 1) / UNIT * UNIT;
    tally->elements += len;
}

/* The report's sums; w*v, v*v and (w-v)^2 do not depend on the sign they share. */
INLINE struct group_sums sums_of(const uint8_t *in, size_t len, float half, float s,
                                 enum trit_dtype dtype)
{
    struct sums sums = sums_zero();
    for (size_t i = 0; i < len; i += UNIT) {
        vf w[4], v[4];
        load_unit(w, in + i * bytes_of(dtype), size_min(len - i, UNIT), dtype);
        const vm beyond = vm_beyond(w, vf_splat(half));
        for (size_t k = 0; k < 4; k++)
            v[k] = vf_dense(w[k], beyond, k, vf_splat(s));
        sums_add(&sums, w, v);
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
    const double divisor = (double)job->divisor;
    double sums[BLOCK_GROUPS];
    for (size_t g = begin; g < end; g++) {
        const uint8_t *in = (const uint8_t *)job->in + g * emitter->in_bytes;
        const double sum = sums[g - begin] = group_sum(in, job->group_len, dtype);
        if (!(sum < INFINITY))
            count_non_finite(in, job->group_len, g * job->group_len, counts, dtype);
    }
    *scales = (struct scales){.count = end - begin};
    for (size_t i = 0; i < end - begin; i++)
        scales->s[i] = (float)(sums[i] / divisor);
    for (size_t i = 0; i < end - begin; i++)
        counts->zero_groups += sums[i] == 0.0;
    memcpy(job->scales + begin, scales->s, (end - begin) * sizeof scales->s[0]);
    find_scales(scales, dtype);
    count_scales(scales, begin, counts);
    for (size_t g = begin; job->sums && g < end; g++)
        job->sums[g] =
            sums_of((const uint8_t *)job->in + g * emitter->in_bytes, job->group_len,
                    scales->half[g - begin], scales->s[g - begin], dtype);
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

INLINE void emit_blocks(const struct emitter *emitter, struct ternary_counts *counts,
                        enum trit_dtype dtype, enum form form)
{
    const struct ternarize_job *job = emitter->job;
    const size_t len = job->group_len;
    const size_t block = groups_per_block(emitter->in_bytes);
    for (size_t begin = 0; begin < job->count; begin += block) {
        const size_t end = size_min(begin + block, job->count);
        struct scales scales;
        begin_block(emitter, begin, end, &scales, counts);
        struct tally tally = tally_zero();
        for (size_t g = begin; g < end; g++) {
            const struct place group = {
                (const uint8_t *)job->in + g * emitter->in_bytes,
                job->out ? (uint8_t *)job->out + g * emitter->out_bytes : NULL,
                job->codes ? job->codes + g * code_bytes(len) : NULL,
            };
            emit_group(emitter, &group, &scales, g - begin, &tally, dtype, form);
        }
        tally_end(&tally, counts, NULL);
    }
}

/* Two passes over a block that stays in L1: scales first, then the outputs. */
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
        emit_blocks(&emitter, counts, dtype, FORM_DENSE);
        break;
    case FORM_LSB:
        emit_blocks(&emitter, counts, dtype, FORM_LSB);
        break;
    case FORM_ANY:
        emit_blocks(&emitter, counts, dtype, FORM_ANY);
        break;
    }
    if (emitter.stream)
        vf_fence();
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
