/* SPDX-License-Identifier: Apache-2.0 */
/* Pieces of large tensors. */
#include "client/lib/cut.h"

#include <string.h>

#include "tests/lib/check.h"

enum { ELEMENTS_MAX = 1 << 16 };

/* The pieces cover each element of a plane once, in whole units. */
static void covers(enum trit_encoding encoding, uint32_t group_size, uint64_t rows,
                   uint64_t columns, uint64_t bytes_max, uint64_t unit)
{
    static uint8_t seen[ELEMENTS_MAX];
    const struct extent extent = {rows, columns, rows * columns};
    struct cut cut;

    cut_init(&cut, encoding, group_size, &extent, 4, bytes_max);
    CHECK_EQ(cut.rows * cut.columns * cut.planes, extent.elements);
    memset(seen, 0, sizeof(seen));
    for (uint64_t i = 0; i < cut.pieces; i++) {
        const struct cut_part part = cut_part(&cut, i);

        CHECK(part.rows > 0 && part.columns > 0);
        CHECK(part.rows == 1 || part.columns == cut.columns);
        CHECK_EQ(part.column % unit, 0);
        CHECK(part.count * cut.planes * 4 <= bytes_max || part.columns <= unit);
        CHECK_EQ(part.from, part.row * cut.columns + part.column);
        for (uint64_t k = 0; k < part.count; k++)
            seen[part.from + k]++;
    }
    for (uint64_t k = 0; k < cut.rows * cut.columns; k++)
        CHECK_EQ(seen[k], 1);
}

CASE(covers_all, "pieces cover a tensor once, cut between groups and blocks")
{
    static const uint64_t bytes[] = {1, 600, 4096, 10000, 100000, 1 << 20};

    for (size_t i = 0; i < sizeof(bytes) / sizeof(bytes[0]); i++) {
        covers(TRIT_ENCODING_DENSE, 1, 7, 300, bytes[i], 1);
        covers(TRIT_ENCODING_INT8, 0, 5, 1000, bytes[i], 128);
        covers(TRIT_ENCODING_INT8, 100, 3, 999, bytes[i], 100);
        covers(TRIT_ENCODING_Q2_0, 0, 4, 1024, bytes[i], 128);
        covers(TRIT_ENCODING_TQ1_0, 384, 2, 3072, bytes[i], 768);
        covers(TRIT_ENCODING_MLX_2BIT, 64, 6, 640, bytes[i], 64);
        covers(TRIT_ENCODING_HF_BITNET, 0, 12, 250, bytes[i], 1);
        covers(TRIT_ENCODING_I2_S, 0, 9, 128 * 5, bytes[i], 128);
        covers(TRIT_ENCODING_PQ2_0, 0, 1, 1 << 14, bytes[i], 128);
    }
}

CASE(one_row_of_all, "a tensor with one scale and one plane is cut as if it were one row")
{
    const struct extent extent = {64, 256, 64 * 256};
    struct cut cut;

    cut_init(&cut, TRIT_ENCODING_I2_S, 0, &extent, 4, 4096);
    CHECK(cut.rows == 1 && cut.columns == extent.elements && cut.piece_columns == 1024);
    cut_init(&cut, TRIT_ENCODING_HF_BITNET, 0, &extent, 4, 16 * 256 * 4);
    CHECK(cut.planes == 4 && cut.rows == 16 && cut.piece_rows == 4 && cut.pieces == 4);
}
