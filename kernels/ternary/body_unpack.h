/* SPDX-License-Identifier: Apache-2.0 */
/* Part of body.h: packed codes back to dense elements. */

/* The rule of scale_lost (kernels/half.c), of a scale and what the type holds. */
INLINE bool scale_lost_as(float stored, float held)
{
    return stored != 0.0f && isfinite(stored) && (held == 0.0f || !isfinite(held));
}

/* The first of n codes that is no -1, 0 or +1, or, where the scale is lost, not 0. */
static size_t first_refused(const int8_t *t, size_t n, bool lost)
{
    size_t k = 0;
    while (k < n && (lost ? t[k] == 0 : t[k] >= -1 && t[k] <= 1))
        k++;
    return k;
}

INLINE int unpack_group(const struct unpack_job *job, size_t g,
                        const struct packing *packing, uint64_t *bad, bool *lost,
                        enum trit_dtype dtype)
{
    const size_t size = bytes_of(dtype), len = job->group_len;
    const size_t stretch = stretch_of(packing);
    const uint8_t *in =
        (const uint8_t *)job->in + g * len / packing->elements * packing->bytes;
    uint8_t *out = (uint8_t *)job->out + g * len * size;
    for (size_t at = 0; at < len; at += stretch) {
        const uint8_t *block = in + at / packing->elements * packing->bytes;
        const size_t n = size_min(len - at, stretch);
        const float stored =
            block_scale(block, packing, job->in_scales ? job->in_scales[g] : 0.0f);
        const float s = dtype == TRIT_F16    ? f16_widen(f16_narrow(stored))
                        : dtype == TRIT_BF16 ? bf16_widen(bf16_narrow(stored))
                                             : stored;
        int8_t t[BLOCK_ELEMENTS_MAX];
        unpack_codes(t, block + packing->codes_at, n, packing);
        if (beyond_trits(t, n) || scale_lost_as(stored, s)) {
            const size_t illegal = first_refused(t, n, false);
            const size_t k =
                illegal < n ? illegal : first_refused(t, n, scale_lost_as(stored, s));
            if (k < n) {
                *lost = illegal == n;
                *bad = g * len + at + k;
                return -1;
            }
        }
        for (size_t i = 0; i < n; i += UNIT) {
            float values[UNIT];
            for (size_t k = 0; k < UNIT; k++)
                values[k] = t[i + k] == 0 ? 0.0f : t[i + k] > 0 ? s : -s;
            store_narrow(out + (at + i) * size, of_floats(values), size_min(n - i, UNIT),
                         dtype);
        }
    }
    return 0;
}

static int unpack_groups(const struct unpack_job *job, uint64_t *bad, bool *lost)
{
    const struct packing *packing = packing_of(job->encoding);
    int result = 0;
    assert(packing);
    assert(job->group_len % packing->elements == 0);
    for (size_t g = 0; g < job->count && result == 0; g++) {
        if (job->dtype == TRIT_F32)
            result = unpack_group(job, g, packing, bad, lost, TRIT_F32);
        else if (job->dtype == TRIT_F16)
            result = unpack_group(job, g, packing, bad, lost, TRIT_F16);
        else
            result = unpack_group(job, g, packing, bad, lost, TRIT_BF16);
    }
    return result;
}
