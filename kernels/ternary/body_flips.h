/* SPDX-License-Identifier: Apache-2.0 */
/* Part of body.h: how often each code became each other one. Integers, so the same in any
 * order. A code 3 is none: it is in no count. */

enum {
    FLIP_CODES = 3,
    FLIP_PAIRS = FLIP_CODES * FLIP_CODES,
    FLIP_FIELDS = 3,             /* vectors of which a field of 2 bits can count each */
    FLIP_RUN = 21 * FLIP_FIELDS, /* of which a field of 8 bits can: at most 4 each */
};

INLINE u64v flips_load(const uint8_t *p)
{
    return *(const u64v_unaligned *)(const void *)p;
}

/* is[c]: bit 0 of each field of 2 bits where the code is c. */
INLINE void flips_split(u64v codes, u64v is[FLIP_CODES])
{
    const uint64_t low = 0x5555555555555555u;
    const u64v high = codes >> 1;

    is[0] = ~(codes | high) & low;
    is[1] = codes & ~high & low;
    is[2] = high & ~codes & low;
}

INLINE void flips_add(u64v counts[FLIP_PAIRS], const uint8_t *from, const uint8_t *to)
{
    u64v was[FLIP_CODES], is[FLIP_CODES];

    flips_split(flips_load(from), was);
    flips_split(flips_load(to), is);
    for (size_t k = 0; k < FLIP_PAIRS; k++)
        counts[k] += was[k / FLIP_CODES] & is[k % FLIP_CODES];
}

/* Adds neighbouring fields of `bits` bits, into fields twice as wide. */
INLINE u64v flips_widen(u64v fields, unsigned bits, uint64_t mask)
{
    return (fields & mask) + (fields >> bits & mask);
}

INLINE u64v flips_bytes(u64v counts)
{
    return flips_widen(flips_widen(counts, 2, 0x3333333333333333u), 4,
                       0x0f0f0f0f0f0f0f0fu);
}

INLINE u64v flips_words(u64v bytes)
{
    const u64v pairs = flips_widen(bytes, 8, 0x00ff00ff00ff00ffu);

    return flips_widen(flips_widen(pairs, 16, 0x0000ffff0000ffffu), 32,
                       0x00000000ffffffffu);
}

/* Adds at most FLIP_FIELDS vectors to fields of 8 bits. */
ALWAYS_INLINE void flips_add_some(u64v bytes[FLIP_PAIRS], const uint8_t *from,
                                  const uint8_t *to, size_t vectors)
{
    u64v counts[FLIP_PAIRS] = {0};

    for (size_t i = 0; i < vectors; i++)
        flips_add(counts, from + i * VECTOR_BYTES, to + i * VECTOR_BYTES);
    for (size_t k = 0; k < FLIP_PAIRS; k++)
        bytes[k] += flips_bytes(counts[k]);
}

/* Of at most FLIP_RUN vectors. */
INLINE void flips_run(const uint8_t *from, const uint8_t *to, size_t vectors,
                      u64v totals[FLIP_PAIRS])
{
    u64v bytes[FLIP_PAIRS] = {0};
    size_t i = 0;

    for (; i + FLIP_FIELDS <= vectors; i += FLIP_FIELDS)
        flips_add_some(bytes, from + i * VECTOR_BYTES, to + i * VECTOR_BYTES,
                       FLIP_FIELDS);
    for (; i < vectors; i++)
        flips_add_some(bytes, from + i * VECTOR_BYTES, to + i * VECTOR_BYTES, 1);
    for (size_t k = 0; k < FLIP_PAIRS; k++)
        totals[k] += flips_words(bytes[k]);
}

static void count_flips(const uint8_t *from, const uint8_t *to, size_t blocks,
                        uint64_t table[FLIP_PAIRS])
{
    size_t vectors = blocks * (FLIPS_BLOCK / VECTOR_BYTES);
    u64v totals[FLIP_PAIRS] = {0};

    while (vectors > 0) {
        const size_t run = vectors < FLIP_RUN ? vectors : FLIP_RUN;

        flips_run(from, to, run, totals);
        from += run * VECTOR_BYTES;
        to += run * VECTOR_BYTES;
        vectors -= run;
    }
    for (size_t k = 0; k < FLIP_PAIRS; k++)
        for (size_t lane = 0; lane < VECTOR_BYTES / 8; lane++)
            table[k] += totals[k][lane];
}
