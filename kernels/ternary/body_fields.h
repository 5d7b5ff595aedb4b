/* SPDX-License-Identifier: Apache-2.0 */
/* Part of body.h: 2-bit codes counted as they are stored, a vector at a time. Counts are
 * kept in fields of 2 bits, then of 8. */

#define CODE_LOW 0x5555555555555555u /* the low bit of each code */

enum {
    CODE_FIELDS = 3,             /* vectors of which a field of 2 bits can count each */
    CODE_RUN = 21 * CODE_FIELDS, /* of which a field of 8 bits can: at most 4 each */
    CODE_RUN_BYTES = CODE_RUN * VECTOR_BYTES,
};

/* Adds neighbouring fields of `bits` bits, into fields twice as wide. */
INLINE u64v fields_widen(u64v fields, unsigned bits, uint64_t mask)
{
    return (fields & mask) + (fields >> bits & mask);
}

INLINE u64v fields_to_bytes(u64v counts)
{
    return fields_widen(fields_widen(counts, 2, 0x3333333333333333u), 4,
                        0x0f0f0f0f0f0f0f0fu);
}

INLINE u64v bytes_to_words(u64v bytes)
{
    const u64v pairs = fields_widen(bytes, 8, 0x00ff00ff00ff00ffu);

    return fields_widen(fields_widen(pairs, 16, 0x0000ffff0000ffffu), 32,
                        0x00000000ffffffffu);
}

/* The total of a run's fields of 8 bits. */
INLINE uint64_t bytes_total(u64v bytes)
{
    const u64v pairs = fields_widen(bytes, 8, 0x00ff00ff00ff00ffu);
    uint64_t sum = 0;

    for (size_t lane = 0; lane < VECTOR_BYTES / 8; lane++)
        sum += pairs[lane];
    return sum * 0x0001000100010001u >> 48;
}
