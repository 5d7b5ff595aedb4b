#include "kernels/interleave.h"

#include <assert.h>

enum {
    CODES_BYTE = 4,
    STRETCH = 1024, /* bytes of output at a time: they stay in L1 for all four planes */
};

/* Bytes of four codes to one byte a code. */
static void spread(const uint8_t *codes, size_t bytes, uint8_t *out)
{
    for (size_t m = 0; m < bytes; m++)
        for (unsigned k = 0; k < CODES_BYTE; k++)
            out[CODES_BYTE * m + k] = (uint8_t)(codes[m] >> 2 * k & 3);
}

/* ORs `count` codes, the first of which is code `first`, into bits 2 `plane`. A plane
 * begins at any code of a byte. */
static void add_plane(const uint8_t *codes, size_t first, size_t count, unsigned plane,
                      uint8_t *out)
{
    uint8_t one_each[STRETCH + 2 * CODES_BYTE];
    const size_t skip = first % CODES_BYTE;
    const uint8_t *from = one_each + skip;

    spread(codes + first / CODES_BYTE, (skip + count + CODES_BYTE - 1) / CODES_BYTE,
           one_each);
    for (size_t m = 0; m < count; m++)
        out[m] = (uint8_t)(out[m] | from[m] << 2 * plane);
}

void interleave(const uint8_t *codes, size_t elements, uint8_t *out)
{
    const size_t bytes = elements / INTERLEAVED;

    assert(elements % INTERLEAVED == 0);
    for (size_t at = 0; at < bytes; at += STRETCH) {
        const size_t count = bytes - at < STRETCH ? bytes - at : STRETCH;

        for (size_t m = 0; m < count; m++)
            out[at + m] = 0;
        for (unsigned plane = 0; plane < INTERLEAVED; plane++)
            add_plane(codes, plane * bytes + at, count, plane, out + at);
    }
}

void part_interleaved(const uint8_t *in, size_t elements, int8_t *t)
{
    const size_t bytes = elements / INTERLEAVED;

    assert(elements % INTERLEAVED == 0);
    for (unsigned plane = 0; plane < INTERLEAVED; plane++)
        for (size_t m = 0; m < bytes; m++)
            t[plane * bytes + m] = (int8_t)((in[m] >> 2 * plane & 3) - 1);
}
