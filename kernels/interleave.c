/* SPDX-License-Identifier: Apache-2.0 */
#include "kernels/interleave.h"

#include <assert.h>
#include <string.h>

enum {
    CODES_BYTE = 4,
    STRETCH = 256, /* bytes of each plane at a time, so that everything stays in L1 */
};

/* Copies `bytes` <= STRETCH bytes of codes that begin with code `first`, which may be
 * anywhere in a byte. Codes beyond `end` bytes are 0. */
static void align_plane(const uint8_t *codes, size_t end, size_t first, size_t bytes,
                        uint8_t *out)
{
    const unsigned skip = 2 * (unsigned)(first % CODES_BYTE);
    const size_t at = first / CODES_BYTE;

    for (size_t m = 0; m + 1 < bytes; m++)
        out[m] = (uint8_t)((codes[at + m + 1] << 8 | codes[at + m]) >> skip);
    out[bytes - 1] = (uint8_t)(codes[at + bytes - 1] >> skip);
    if (at + bytes < end)
        out[bytes - 1] = (uint8_t)(out[bytes - 1] | codes[at + bytes] << (8 - skip));
}

/* Makes four bytes, with one code of each plane, from four codes of each plane. */
static void mix_planes(uint8_t planes[INTERLEAVED][STRETCH], size_t bytes, uint8_t *out)
{
    for (size_t m = 0; m < bytes; m++)
        for (unsigned k = 0; k < CODES_BYTE; k++) {
            const unsigned a = planes[0][m] >> 2 * k & 3, b = planes[1][m] >> 2 * k & 3;
            const unsigned c = planes[2][m] >> 2 * k & 3, d = planes[3][m] >> 2 * k & 3;

            out[CODES_BYTE * m + k] = (uint8_t)(a | b << 2 | c << 4 | d << 6);
        }
}

void interleave(const uint8_t *codes, size_t elements, uint8_t *out)
{
    const size_t bytes = elements / INTERLEAVED;
    uint8_t planes[INTERLEAVED][STRETCH], mixed[CODES_BYTE * STRETCH];

    assert(elements % INTERLEAVED == 0);
    for (size_t at = 0; at < bytes; at += sizeof(mixed)) {
        const size_t left = bytes - at;
        const size_t count = left < sizeof(mixed) ? left : sizeof(mixed);
        const size_t many = (count + CODES_BYTE - 1) / CODES_BYTE;

        for (unsigned plane = 0; plane < INTERLEAVED; plane++)
            align_plane(codes, bytes, plane * bytes + at, many, planes[plane]);
        mix_planes(planes, many, mixed);
        memcpy(out + at, mixed, count);
    }
}

void deinterleave(const uint8_t *in, size_t elements, int8_t *t)
{
    deinterleave_part(in, elements, 0, elements, t);
}

void deinterleave_part(const uint8_t *in, size_t elements, size_t first, size_t count,
                       int8_t *t)
{
    const size_t bytes = elements / INTERLEAVED;

    assert(elements % INTERLEAVED == 0 && first + count <= elements);
    while (count > 0) {
        const unsigned bit = 2 * (unsigned)(first / bytes);
        const size_t at = first % bytes, left = bytes - at;
        const size_t some = left < count ? left : count;

        for (size_t m = 0; m < some; m++)
            t[m] = (int8_t)((in[at + m] >> bit & 3) - 1);
        t += some;
        first += some;
        count -= some;
    }
}
