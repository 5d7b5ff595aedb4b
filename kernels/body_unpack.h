/* Part of body.h: packed codes back to dense elements. */

INLINE int unpack_group(const struct unpack_job *job, size_t g, uint64_t *bad,
                        enum trit_dtype dtype)
{
    const size_t size = dtype == TRIT_F32 ? 4 : 2, len = job->group_len;
    const struct packed_group group =
        packed_group(job->encoding, job->in, job->in_scales, g, len);
    const float s = scale_in(group.s, dtype);
    uint8_t *out = (uint8_t *)job->out + g * len * size;
    for (size_t i = 0; i < len; i += UNIT) {
        const size_t n = size_min(len - i, UNIT);
        int8_t t[UNIT];
        float values[UNIT];
        load_multiples(t, job->encoding, group.codes, i, n);
        int beyond = 0;
        for (size_t k = 0; k < UNIT; k++) {
            beyond |= t[k] > 1 || t[k] < -1;
            values[k] = t[k] == 0 ? 0.0f : t[k] > 0 ? s : -s;
        }
        if (beyond) {
            size_t k = 0;
            while (t[k] >= -1 && t[k] <= 1)
                k++;
            *bad = g * len + i + k;
            return -1;
        }
        vf v[4];
        of_floats(v, values);
        store_unit(out + i * size, v, n, dtype);
    }
    return 0;
}

static int unpack_groups(const struct unpack_job *job, uint64_t *bad)
{
    int result = 0;
    for (size_t g = 0; g < job->count && result == 0; g++) {
        if (job->dtype == TRIT_F32)
            result = unpack_group(job, g, bad, TRIT_F32);
        else if (job->dtype == TRIT_F16)
            result = unpack_group(job, g, bad, TRIT_F16);
        else
            result = unpack_group(job, g, bad, TRIT_BF16);
    }
    return result;
}
