/* SPDX-License-Identifier: Apache-2.0 */
/* Part of body.h, a template (simd/typed.h): packed codes back to dense elements. */

INLINE int unpack_group(const struct unpack_job *job, size_t g,
                        const struct packing *packing, struct unpack_refusal *refused)
{
    const size_t len = job->group_len;
    const size_t stretch = stretch_of(packing);
    const uint8_t *in =
        (const uint8_t *)job->in + g * len / packing->elements * packing->bytes;
    uint8_t *out = (uint8_t *)job->out + g * len * ELEMENT_BYTES;
    for (size_t at = 0; at < len; at += stretch) {
        const uint8_t *block = in + at / packing->elements * packing->bytes;
        const size_t n = size_min(len - at, stretch);
        const float stored =
            block_scale(block, packing, job->in_scales ? job->in_scales[g] : 0.0f);
        const float s = scale_rounded(stored);
        int8_t t[BLOCK_ELEMENTS_MAX];
        if (!isfinite(stored) && !job->keeps_non_finite) {
            *refused = (struct unpack_refusal){UNPACK_SCALE, g * len + at, stored};
            return -1;
        }
        unpack_codes(t, block + packing->codes_at, n, packing);
        if (beyond_trits(t, n) || scale_lost_as(stored, s)) {
            const size_t illegal = first_refused(t, n, false);
            const size_t k =
                illegal < n ? illegal : first_refused(t, n, scale_lost_as(stored, s));
            if (k < n) {
                *refused = (struct unpack_refusal){
                    illegal < n ? UNPACK_CODE : UNPACK_LOST, g * len + at + k, stored};
                return -1;
            }
        }
        for (size_t i = 0; i < n; i += UNIT) {
            float values[UNIT];
            for (size_t k = 0; k < UNIT; k++)
                values[k] = t[i + k] == 0 ? 0.0f : t[i + k] > 0 ? s : -s;
            store_narrow(out + (at + i) * ELEMENT_BYTES, of_floats(values),
                         size_min(n - i, UNIT));
        }
    }
    return 0;
}

static int unpack_groups(const struct unpack_job *job, struct unpack_refusal *refused)
{
    const struct packing *packing = packing_of(job->encoding);
    int result = 0;
    assert(packing);
    assert(job->group_len % packing->elements == 0);
    for (size_t g = 0; g < job->count && result == 0; g++)
        result = unpack_group(job, g, packing, refused);
    return result;
}
