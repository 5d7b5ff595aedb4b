/* Part of body.h: latents to ternary. */

struct group {
    const uint8_t *in;
    uint8_t *out;
    uint8_t *codes;
    struct group_sums *sums;
    size_t len;
};

/* A block format's output for one group: scale in front, codes behind. */
INLINE void store_block_scale(uint8_t *out, float s)
{
    uint16_t d = f16_narrow(s);
    memcpy(out, &d, sizeof d);
}

INLINE void store_codes(uint8_t *out, vb codes, size_t n)
{
    if (n >= UNIT) {
        vb_pack2(out, codes);
    } else {
        uint8_t packed[PACKED_BYTES];
        vb_pack2(packed, codes);
        memcpy(out, packed, (n + 3) / 4);
    }
}

INLINE void store_int8(uint8_t *out, vb codes, size_t n)
{
    if (n >= UNIT) {
        vb_store(out, vb_less_one(codes));
    } else {
        uint8_t bytes[UNIT];
        vb_store(bytes, vb_less_one(codes));
        memcpy(out, bytes, n);
    }
}

INLINE void store_dense(uint8_t *out, const vf w[4], const struct scale *scale, float s,
                        size_t n, bool stream, enum trit_dtype dtype)
{
    vf half = vf_splat(scale->half), magnitude = vf_splat(s), v[4];
    for (size_t k = 0; k < 4; k++)
        v[k] = vf_dense(w[k], half, magnitude);
    if (dtype == TRIT_F32 && stream && n >= UNIT)
        for (size_t k = 0; k < 4; k++)
            vf_stream(out + k * LANES * 4, v[k]);
    else
        store_unit(out, v, n, dtype);
}

/* The second pass: everything that is asked of a group, unit by unit. */
INLINE void emit_group(const struct ternarize_job *job, const struct group *group,
                       const struct scale *scale, bool stream,
                       struct ternary_counts *counts, enum trit_dtype dtype)
{
    const size_t size = dtype == TRIT_F32 ? 4 : 2;
    const vf half = vf_splat(scale->half), low = vf_splat(scale->near_low);
    const vf high = vf_splat(scale->near_high), s = vf_splat(scale->s);
    const float folded = scale_in(scale->s, dtype);
    uint8_t *out = group->out;
    if (out && job->encoding == TRIT_ENCODING_PQ2_0) {
        store_block_scale(out, scale->s);
        out += sizeof(uint16_t);
    }
    vt tally = vt_zero();
    vn near = vn_zero();
    struct sums sums = sums_zero();
    for (size_t i = 0; i < group->len; i += UNIT) {
        const size_t n = size_min(group->len - i, UNIT);
        vf w[4];
        load_unit(w, group->in + i * size, n, dtype);
        const vb codes = vb_codes(w, half);
        tally = vt_add(tally, codes);
        near = vn_add(near, w, low, high);
        if (group->sums) {
            vf v[4];
            for (size_t k = 0; k < 4; k++)
                v[k] = vf_dense(w[k], half, s);
            sums_add(&sums, w, v);
        }
        if (group->codes)
            store_codes(group->codes + i / 4, codes, n);
        if (!out)
            continue;
        if (job->encoding == TRIT_ENCODING_DENSE)
            store_dense(out + i * size, w, scale, folded, n, stream, dtype);
        else if (job->encoding == TRIT_ENCODING_INT8)
            store_int8(out + i, codes, n);
        else
            store_codes(out + i / 4, codes, n);
    }
    uint64_t negatives, positives;
    vt_counts(tally, (group->len + UNIT - 1) / UNIT * UNIT, &negatives, &positives);
    counts->near_threshold += vn_total(near);
    counts->negatives += negatives;
    counts->positives += positives;
    counts->zeros += group->len - negatives - positives;
    if (group->sums)
        *group->sums = sums_total(&sums);
}

INLINE size_t group_out_bytes(const struct ternarize_job *job, size_t size)
{
    switch (job->encoding) {
    case TRIT_ENCODING_DENSE:
        return job->group_len * size;
    case TRIT_ENCODING_INT8:
        return job->group_len;
    case TRIT_ENCODING_PQ2_0:
        return 34;
    case TRIT_ENCODING_Q2_0:
    case TRIT_ENCODING_PTQ1_0:
    case TRIT_ENCODING_TQ1_0:
    case TRIT_ENCODING_TQ2_0:
    case TRIT_ENCODING_MLX_2BIT:
    case TRIT_ENCODING_I2_S:
    case TRIT_ENCODING_HF_BITNET:
        break;
    }
    assert(false && "an encoding that encoding_layout calls unsupported");
    return 0;
}

/* Two passes over a block that stays in L1: scales first, then the outputs. */
INLINE void ternarize_as(const struct ternarize_job *job, struct ternary_counts *counts,
                         enum trit_dtype dtype)
{
    const size_t size = dtype == TRIT_F32 ? 4 : 2;
    const size_t in_bytes = job->group_len * size, out_bytes = group_out_bytes(job, size);
    const size_t codes_bytes = (job->group_len + 3) / 4;
    const double divisor = (double)job->divisor;
    const bool stream = job->stream_stores && job->encoding == TRIT_ENCODING_DENSE &&
                        ((uintptr_t)job->out | out_bytes) % 64 == 0;
    size_t block = in_bytes < BLOCK_BYTES ? BLOCK_BYTES / in_bytes : 1;
    block = size_min(block, BLOCK_GROUPS);
    for (size_t begin = 0; begin < job->count; begin += block) {
        const size_t end = size_min(begin + block, job->count);
        float scales[BLOCK_GROUPS];
        for (size_t g = begin; g < end; g++) {
            const uint8_t *in = (const uint8_t *)job->in + g * in_bytes;
            double sum = group_sum(in, job->group_len, dtype);
            counts->zero_groups += sum == 0.0;
            if (!(sum < INFINITY))
                count_non_finite(in, job->group_len, g * job->group_len, counts, dtype);
            job->scales[g] = scales[g - begin] = (float)(sum / divisor);
        }
        for (size_t g = begin; g < end; g++) {
            const struct scale scale = scale_of(scales[g - begin]);
            const struct group group = {
                (const uint8_t *)job->in + g * in_bytes,
                job->out ? (uint8_t *)job->out + g * out_bytes : NULL,
                job->codes ? job->codes + g * codes_bytes : NULL,
                job->sums ? job->sums + g : NULL,
                job->group_len,
            };
            count_scale(scale.s, g, counts);
            emit_group(job, &group, &scale, stream, counts, dtype);
        }
    }
    if (stream)
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
