/* SPDX-License-Identifier: Apache-2.0 */
/* Part of body.h: the codes of a block to the bytes of a format and back. A code is one
 * byte, t + 1. These are loops over bytes, which any compiler turns into vectors, so no
 * ISA has its own. */

/* ceil(256 q / 243) for q <= 242: the byte whose leading base-3 digits are q's. */
INLINE uint8_t base3_byte(uint8_t q)
{
    return (uint8_t)((q * 256u + 242u) / 243u);
}

INLINE void pack_stage(uint8_t *out, const uint8_t *codes, size_t bytes, unsigned digits)
{
    for (size_t m = 0; m < bytes; m++) {
        uint8_t q = codes[m];
        for (unsigned n = 1; n < 5; n++) {
            q = (uint8_t)(q + q + q);
            if (n < digits)
                q = (uint8_t)(q + codes[n * bytes + m]);
        }
        out[m] = base3_byte(q);
    }
}

INLINE void unpack_stage(uint8_t *codes, const uint8_t *in, size_t bytes, unsigned digits)
{
    for (size_t m = 0; m < bytes; m++) {
        uint8_t rest = in[m];
        for (unsigned n = 0; n < digits; n++) { /* (3 rest) >> 8, without leaving bytes */
            codes[n * bytes + m] = (uint8_t)((rest > 85) + (rest > 170));
            rest = (uint8_t)(rest + rest + rest);
        }
    }
}

/* The stages of both formats are constants, so that the loops unroll. */
INLINE void pack_base3(uint8_t *out, const uint8_t *codes, size_t elements)
{
    if (elements == 128) {
        pack_stage(out, codes, 16, 5);
        pack_stage(out + 16, codes + 80, 8, 5);
        pack_stage(out + 24, codes + 120, 2, 4);
    } else {
        pack_stage(out, codes, 32, 5);
        pack_stage(out + 32, codes + 160, 16, 5);
        pack_stage(out + 48, codes + 240, 4, 4);
    }
}

INLINE void unpack_base3(uint8_t *codes, const uint8_t *in, size_t elements)
{
    if (elements == 128) {
        unpack_stage(codes, in, 16, 5);
        unpack_stage(codes + 80, in + 16, 8, 5);
        unpack_stage(codes + 120, in + 24, 2, 4);
    } else {
        unpack_stage(codes, in, 32, 5);
        unpack_stage(codes + 160, in + 32, 16, 5);
        unpack_stage(codes + 240, in + 48, 4, 4);
    }
}

enum { PLANE = PLANE_ELEMENTS / 4 };

/* Four planes of 32 codes share 32 bytes; the first or the last is in the lowest bits. */
INLINE void pack_planes(uint8_t *out, const uint8_t *codes, bool lowest_first)
{
    const uint8_t *a = codes + (lowest_first ? 3 * PLANE : 0);
    const ptrdiff_t step = lowest_first ? -PLANE : PLANE;
    for (size_t m = 0; m < PLANE; m++) {
        uint8_t x = a[m];
        for (ptrdiff_t k = 1; k < 4; k++) {
            x = (uint8_t)(x + x);
            x = (uint8_t)(x + x + a[k * step + (ptrdiff_t)m]);
        }
        out[m] = x;
    }
}

INLINE void unpack_planes(uint8_t *codes, const uint8_t *in, bool lowest_first)
{
    for (size_t k = 0; k < 4; k++) {
        const unsigned shift = (unsigned)(lowest_first ? 2 * k : 6 - 2 * k);
        for (size_t m = 0; m < PLANE; m++)
            codes[k * PLANE + m] = (uint8_t)(in[m] >> shift & 3);
    }
}

INLINE void unpack_lsb(uint8_t *codes, const uint8_t *in, size_t n)
{
    for (size_t m = 0; m < code_bytes(n); m++)
        for (unsigned k = 0; k < 4; k++)
            codes[4 * m + k] = (uint8_t)(in[m] >> 2 * k & 3);
}

/* Packs one block of a format whose codes are not in sequence. */
INLINE void pack_block(uint8_t *out, const uint8_t *codes, const struct packing *packing)
{
    if (packing->order == ORDER_BASE3)
        pack_base3(out, codes, packing->elements);
    else
        for (size_t i = 0; i < packing->elements; i += PLANE_ELEMENTS)
            pack_planes(out + i / 4, codes + i, packing->order == ORDER_PLANES);
}

INLINE void store_block_scale(uint8_t *block, const struct packing *packing, uint16_t s)
{
    if (packing->scale_at >= 0)
        memcpy(block + packing->scale_at, &s, sizeof(s));
}

INLINE float block_scale(const uint8_t *block, const struct packing *packing,
                         float elsewhere)
{
    uint16_t s;
    if (packing->scale_at < 0)
        return elsewhere;
    memcpy(&s, block + packing->scale_at, sizeof(s));
    return f16_widen(s);
}

/* Decodes the stored multiples of the scale of `n` <= BLOCK_ELEMENTS_MAX elements: any
 * int8, or -1..2. Those from n on are 0, up to whole units. */
static void unpack_codes(int8_t t[BLOCK_ELEMENTS_MAX], const uint8_t *in, size_t n,
                         const struct packing *packing)
{
    uint8_t codes[BLOCK_ELEMENTS_MAX];
    if (packing->order == ORDER_BYTES) {
        memset(t, 0, (n + UNIT - 1) / UNIT * UNIT);
        memcpy(t, in, n);
        return;
    }
    if (packing->order == ORDER_LSB)
        unpack_lsb(codes, in, n);
    else if (packing->order == ORDER_BASE3)
        unpack_base3(codes, in, n);
    else
        for (size_t i = 0; i < n; i += PLANE_ELEMENTS)
            unpack_planes(codes + i, in + i / 4, packing->order == ORDER_PLANES);
    for (size_t i = 0; i < n; i++)
        t[i] = (int8_t)(codes[i] - 1);
}

/* How many elements one call of unpack_codes handles. */
INLINE size_t stretch_of(const struct packing *packing)
{
    return packing->order == ORDER_BYTES ? BLOCK_ELEMENTS_MAX : packing->elements;
}

static bool beyond_trits(const int8_t *t, size_t n)
{
    uint32_t beyond = 0;
    for (size_t k = 0; k < n; k++)
        beyond |= (uint8_t)(t[k] + 1) > 2;
    return beyond;
}
