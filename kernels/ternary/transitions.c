/* SPDX-License-Identifier: Apache-2.0 */
/* Flips between two packed tensors: exact integers, the same everywhere. */
#include <string.h>

#include "kernels/kernels.h"

enum {
    CODES_BYTE = 4,
    WORD_BYTES = 8,
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

/* Counts of a transition in fields of a word: 2, then 4, then 8 bits wide. */
static uint64_t fields_of_4(uint64_t fields_of_2)
{
    const uint64_t mask = 0x3333333333333333u;
    return (fields_of_2 & mask) + (fields_of_2 >> 2 & mask);
}

static uint64_t fields_of_8(uint64_t fields_of_4)
{
    const uint64_t mask = 0x0f0f0f0f0f0f0f0fu;
    return (fields_of_4 & mask) + (fields_of_4 >> 4 & mask);
}

/* Adds the codes of `words` words, at most WORDS_MAX. The counts of three words fit into
 * fields of 2 bits. Each three words add at most 12 to a field of 8 bits. */
enum { WORDS_OF_2 = 3, WORDS_MAX = 21 * WORDS_OF_2 };
static void add_words(const uint8_t *from, const uint8_t *to, size_t words,
                      uint64_t table[9])
{
    uint64_t sums[9] = {0};
    for (size_t at = 0; at < words; at += WORDS_OF_2) {
        uint64_t counts[9] = {0};
        for (size_t i = at; i < words && i < at + WORDS_OF_2; i++) {
            uint64_t f, t;
            memcpy(&f, from + 8 * i, sizeof(f));
            memcpy(&t, to + 8 * i, sizeof(t));
            for (unsigned k = 0; k < 9; k++)
                counts[k] += equal_codes(f, k / 3) & equal_codes(t, k % 3);
        }
        for (unsigned k = 0; k < 9; k++)
            sums[k] += fields_of_8(fields_of_4(counts[k]));
    }
    for (unsigned k = 0; k < 9; k++)
        for (unsigned byte = 0; byte < 8; byte++)
            table[k] += sums[k] >> 8 * byte & 0xff;
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
        while (whole - i >= WORD_BYTES) {
            size_t words = (whole - i) / WORD_BYTES;
            words = words < WORDS_MAX ? words : WORDS_MAX;
            add_words(from + i, to + i, words, table);
            i += words * WORD_BYTES;
        }
        for (; i < whole; i++)
            add_codes(from[i], to[i], CODES_BYTE, table);
        if (rest)
            add_codes(from[whole], to[whole], rest, table);
        from += whole + (rest > 0);
        to += whole + (rest > 0);
    }
}
