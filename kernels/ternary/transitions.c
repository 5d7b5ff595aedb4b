/* SPDX-License-Identifier: Apache-2.0 */
/* Flips between two packed tensors: exact integers, the same everywhere. */
#include <string.h>

#include "kernels/kernels.h"

enum {
    CODES_BYTE = 4,
    WORD_CODES = 32, /* in a word of 64 bits */
};

static void add_codes(unsigned from, unsigned to, size_t count, uint64_t table[9])
{
    for (size_t k = 0; k < count; k++, from >>= 2, to >>= 2) {
        unsigned f = from & 3, t = to & 3;
        if (f < 3 && t < 3)
            table[3 * f + t]++;
    }
}

/* Sets bit 0 of each code of `word` that equals `code`. */
static uint64_t equal_codes(uint64_t word, unsigned code)
{
    const uint64_t low = 0x5555555555555555u;
    uint64_t is_one = word & low, is_two = word >> 1 & low;
    switch (code) {
    case 0:
        return ~(is_one | is_two) & low;
    case 1:
        return is_one & ~is_two;
    default:
        return is_two & ~is_one;
    }
}

static void add_word(uint64_t from, uint64_t to, uint64_t table[9])
{
    for (unsigned t = 0; t < 3; t++) {
        const uint64_t arrived = equal_codes(to, t);
        for (unsigned f = 0; f < 3; f++)
            table[3 * f + t] +=
                (uint64_t)__builtin_popcountll(equal_codes(from, f) & arrived);
    }
}

void transitions(const struct kernels *kernels, const uint8_t *from, const uint8_t *to,
                 size_t count, size_t group_len, uint64_t table[9])
{
    (void)kernels;
    size_t whole = group_len / CODES_BYTE, rest = group_len % CODES_BYTE;
    if (rest == 0) { /* no padding anywhere: one long group */
        whole *= count;
        count = whole > 0;
    }
    for (size_t g = 0; g < count; g++) {
        size_t i = 0;
        for (; i + WORD_CODES / CODES_BYTE <= whole; i += WORD_CODES / CODES_BYTE) {
            uint64_t f, t;
            memcpy(&f, from + i, sizeof(f));
            memcpy(&t, to + i, sizeof(t));
            add_word(f, t, table);
        }
        for (; i < whole; i++)
            add_codes(from[i], to[i], CODES_BYTE, table);
        if (rest)
            add_codes(from[whole], to[whole], rest, table);
        from += whole + (rest > 0);
        to += whole + (rest > 0);
    }
}
