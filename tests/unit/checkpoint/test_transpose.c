/* SPDX-License-Identifier: Apache-2.0 */
#include "checkpoint/transpose.h"

#include <stdlib.h>
#include <string.h>

#include "tests/lib/check.h"

static void check_one(uint64_t rows, uint64_t columns, size_t width)
{
    const size_t bytes = rows * columns * width;
    unsigned char *from = malloc(bytes), *to = malloc(bytes);
    uint64_t state = 1;

    CHECK(from && to);
    for (size_t i = 0; i < bytes; i++)
        from[i] = (unsigned char)check_random(&state);
    transpose(to, from, rows, columns, width);
    for (uint64_t i = 0; i < rows; i++)
        for (uint64_t j = 0; j < columns; j++)
            CHECK_MEM(to + (j * rows + i) * width, from + (i * columns + j) * width,
                      width);
    free(from);
    free(to);
}

CASE(transposes, "element [i, j] goes to [j, i] for every shape and element width")
{
    static const uint64_t sizes[] = {1, 2, 31, 32, 33, 65};
    static const size_t widths[] = {1, 2, 4};

    for (size_t i = 0; i < 6; i++)
        for (size_t j = 0; j < 6; j++)
            for (size_t k = 0; k < 3; k++)
                check_one(sizes[i], sizes[j], widths[k]);
}

CASE(empty, "a matrix without rows or columns transposes to nothing")
{
    transpose(NULL, NULL, 0, 5, 4);
    transpose(NULL, NULL, 5, 0, 4);
}
