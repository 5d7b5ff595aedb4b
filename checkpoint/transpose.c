/* SPDX-License-Identifier: Apache-2.0 */
#include "checkpoint/transpose.h"

#include <string.h>

/* A square with sides of this many elements; both sides stay in the first cache. */
enum { SQUARE = 32 };

static void transpose_square(unsigned char *to, const unsigned char *from, uint64_t rows,
                             uint64_t columns, uint64_t row_end, uint64_t column_end,
                             uint64_t row, uint64_t column, size_t width)
{
    for (uint64_t i = row; i < row_end; i++)
        for (uint64_t j = column; j < column_end; j++)
            memcpy(to + (j * rows + i) * width, from + (i * columns + j) * width, width);
}

void transpose(void *to, const void *from, uint64_t rows, uint64_t columns, size_t width)
{
    for (uint64_t row = 0; row < rows; row += SQUARE)
        for (uint64_t column = 0; column < columns; column += SQUARE) {
            uint64_t row_end = row + SQUARE < rows ? row + SQUARE : rows;
            uint64_t column_end = column + SQUARE < columns ? column + SQUARE : columns;

            /* With a constant width each memcpy becomes one move. */
            if (width == 4)
                transpose_square(to, from, rows, columns, row_end, column_end, row,
                                 column, 4);
            else if (width == 2)
                transpose_square(to, from, rows, columns, row_end, column_end, row,
                                 column, 2);
            else
                transpose_square(to, from, rows, columns, row_end, column_end, row,
                                 column, width);
        }
}
