/* SPDX-License-Identifier: Apache-2.0 */
/* Part of body.h: how often each code became each other one. Integers, so the same in any
 * order. A code 3 is none: it is in no count. */

enum {
    FLIP_CODES = 3,
    FLIP_PAIRS = FLIP_CODES * FLIP_CODES,
};

INLINE u64v flips_load(const uint8_t *p)
{
    return *(const u64v_unaligned *)(const void *)p;
}

/* is[c]: bit 0 of each field of 2 bits where the code is c. */
INLINE void flips_split(u64v codes, u64v is[FLIP_CODES])
{
    const u64v high = codes >> 1;

    is[0] = ~(codes | high) & CODE_LOW;
    is[1] = codes & ~high & CODE_LOW;
    is[2] = high & ~codes & CODE_LOW;
}

INLINE void flips_add(u64v counts[FLIP_PAIRS], const uint8_t *from, const uint8_t *to)
{
    u64v was[FLIP_CODES], is[FLIP_CODES];

    flips_split(flips_load(from), was);
    flips_split(flips_load(to), is);
    for (size_t k = 0; k < FLIP_PAIRS; k++)
        counts[k] += was[k / FLIP_CODES] & is[k % FLIP_CODES];
}

/* Adds at most CODE_FIELDS vectors to fields of 8 bits. */
ALWAYS_INLINE void flips_add_some(u64v bytes[FLIP_PAIRS], const uint8_t *from,
                                  const uint8_t *to, size_t vectors)
{
    u64v counts[FLIP_PAIRS] = {0};

    for (size_t i = 0; i < vectors; i++)
        flips_add(counts, from + i * VECTOR_BYTES, to + i * VECTOR_BYTES);
    for (size_t k = 0; k < FLIP_PAIRS; k++)
        bytes[k] += fields_to_bytes(counts[k]);
}

/* Of at most CODE_RUN vectors. */
INLINE void flips_run(const uint8_t *from, const uint8_t *to, size_t vectors,
                      u64v totals[FLIP_PAIRS])
{
    u64v bytes[FLIP_PAIRS] = {0};
    size_t i = 0;

    for (; i + CODE_FIELDS <= vectors; i += CODE_FIELDS)
        flips_add_some(bytes, from + i * VECTOR_BYTES, to + i * VECTOR_BYTES,
                       CODE_FIELDS);
    for (; i < vectors; i++)
        flips_add_some(bytes, from + i * VECTOR_BYTES, to + i * VECTOR_BYTES, 1);
    for (size_t k = 0; k < FLIP_PAIRS; k++)
        totals[k] += bytes_to_words(bytes[k]);
}

static void count_flips(const uint8_t *from, const uint8_t *to, size_t blocks,
                        uint64_t table[FLIP_PAIRS])
{
    size_t vectors = blocks * (FLIPS_BLOCK / VECTOR_BYTES);
    u64v totals[FLIP_PAIRS] = {0};

    while (vectors > 0) {
        const size_t run = vectors < CODE_RUN ? vectors : CODE_RUN;

        flips_run(from, to, run, totals);
        from += run * VECTOR_BYTES;
        to += run * VECTOR_BYTES;
        vectors -= run;
    }
    for (size_t k = 0; k < FLIP_PAIRS; k++)
        for (size_t lane = 0; lane < VECTOR_BYTES / 8; lane++)
            table[k] += totals[k][lane];
}
