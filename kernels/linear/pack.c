/* SPDX-License-Identifier: Apache-2.0 */
/* Lays codes in sequence out as tiles of 16 rows. */
#include <string.h>

#include "kernels/linear/linear.h"
#include "kernels/linear/table.h"

enum { GROUP_SIZE_MAX = 65536 };

bool linear_supports(uint32_t group_size)
{
    return group_size != 0 && group_size % UNIT_COLUMNS == 0 &&
           group_size <= GROUP_SIZE_MAX;
}

uint64_t linear_code_bytes(uint64_t rows, uint64_t columns)
{
    return (rows + TILE_ROWS - 1) / TILE_ROWS * linear_tile_bytes(columns);
}

/* Transposes the 4x4 table of 2-bit codes in a word: first swaps the codes off the
 * diagonal of each 2x2 block, 6 bits apart, then the blocks themselves, 12 bits apart. */
static uint32_t transposed(uint32_t word)
{
    uint32_t swap = (word ^ word >> 6) & 0x00cc00ccu;
    word ^= swap ^ swap << 6;
    swap = (word ^ word >> 12) & 0x0000f0f0u;
    return word ^ swap ^ swap << 12;
}

/* Up to 16 codes as a word. Missing ones have t = 0. */
static uint32_t word_of(const uint8_t *codes, uint64_t columns)
{
    const uint32_t zeros = 0x55555555u;
    uint32_t word = 0;
    const size_t bytes =
        columns < UNIT_COLUMNS ? (size_t)(columns + 3) / 4 : sizeof(word);
    for (size_t i = 0; i < bytes; i++)
        word |= (uint32_t)codes[i] << 8 * i;
    if (columns < UNIT_COLUMNS) {
        const uint32_t known = (1u << 2 * columns) - 1;
        word = (word & known) | (zeros & ~known);
    }
    return transposed(word);
}

/* A group is a whole number of words, except the last one of a row, which is a whole
 * number of bytes. So the codes of a row have no holes, and the group size does not
 * matter. */
void linear_pack(uint64_t columns, uint32_t group_size, const uint8_t *codes,
                 uint64_t first, uint64_t count, uint8_t *out)
{
    (void)group_size;
    const uint64_t tile_bytes = linear_tile_bytes(columns), row_bytes = (columns + 3) / 4;
    for (uint64_t row = first; row < first + count; row++, codes += row_bytes) {
        uint8_t *to = out + row / TILE_ROWS * tile_bytes + row % TILE_ROWS * 4;
        for (uint64_t c = 0; c < columns; c += UNIT_COLUMNS, to += UNIT_BYTES) {
            const uint32_t word = word_of(codes + c / 4, columns - c);
            memcpy(to, &word, sizeof(word));
        }
    }
}
