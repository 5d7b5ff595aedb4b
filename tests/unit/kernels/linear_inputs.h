/* SPDX-License-Identifier: Apache-2.0 */
/* Random matrices, activations and gradients for the products. */
#ifndef TESTS_LINEAR_INPUTS_H
#define TESTS_LINEAR_INPUTS_H

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/linear/linear.h"
#include "tests/lib/check.h"

static inline uint64_t linear_any(uint64_t *state, uint64_t low, uint64_t high)
{
    return low + check_random(state) % (high - low + 1);
}

/* Roughly N(0, 1). */
static inline float linear_number(uint64_t *state)
{
    int sum = 0;
    for (int i = 0; i < 4; i++)
        sum += (int)(check_random(state) & 0xffff) - 0x8000;
    return (float)sum * 0x1p-15f;
}

/* Allocates `count` floats and one more. The case fails where there is no memory. */
static inline float *linear_floats(uint64_t count)
{
    float *floats = malloc((size_t)(count + 1) * sizeof(*floats));
    CHECK(floats);
    return floats;
}

static inline float *linear_numbers(uint64_t count, uint64_t *state)
{
    float *floats = linear_floats(count);
    for (uint64_t i = 0; i < count; i++)
        floats[i] = linear_number(state);
    return floats;
}

/* A matrix, and the same weights unpacked. */
struct linear_case {
    struct linear_matrix matrix;
    int8_t *trits; /* [rows][columns] */
    uint8_t *in_sequence, *codes;
    float *scales;
    uint64_t groups;
};

static inline void linear_case_init(struct linear_case *c, uint64_t rows,
                                    uint64_t columns, uint32_t group_size,
                                    uint64_t *state)
{
    const uint64_t row_bytes = (columns + 3) / 4,
                   bytes = linear_code_bytes(rows, columns);
    c->groups = (columns + group_size - 1) / group_size;
    c->trits = malloc((size_t)(rows * columns));
    c->in_sequence = malloc((size_t)(rows * row_bytes));
    c->codes = aligned_alloc(64, (size_t)bytes);
    c->scales = linear_floats(rows * c->groups);
    CHECK(c->trits && c->in_sequence && c->codes);
    memset(c->in_sequence, 0, (size_t)(rows * row_bytes));
    memset(c->codes, 0xff, (size_t)bytes);
    for (uint64_t i = 0; i < rows * c->groups; i++)
        c->scales[i] = (float)linear_any(state, 1, 1 << 20) * 0x1p-24f;
    for (uint64_t r = 0; r < rows; r++)
        for (uint64_t i = 0; i < columns; i++) {
            const int trit = (int)linear_any(state, 0, 2) - 1;
            c->trits[r * columns + i] = (int8_t)trit;
            c->in_sequence[r * row_bytes + i / 4] |=
                (uint8_t)((trit + 1) << (int)(i % 4 * 2));
        }
    linear_pack(columns, group_size, c->in_sequence, 0, rows, c->codes);
    c->matrix = (struct linear_matrix){rows, columns, group_size, c->codes, c->scales};
}

static inline void linear_case_fini(struct linear_case *c)
{
    free(c->trits);
    free(c->in_sequence);
    free(c->codes);
    free(c->scales);
}

static inline float linear_scale(const struct linear_case *c, uint64_t row,
                                 uint64_t column)
{
    return c->scales[row * c->groups + column / c->matrix.group_size];
}

static inline double linear_weight(const struct linear_case *c, uint64_t row,
                                   uint64_t column)
{
    return (double)c->trits[row * c->matrix.columns + column] *
           (double)linear_scale(c, row, column);
}

#endif
