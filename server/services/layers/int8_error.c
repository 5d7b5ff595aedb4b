/* SPDX-License-Identifier: Apache-2.0 */
#include "services/layers/int8_error.h"

#include <math.h>
#include <string.h>

enum { COMPARED_ROWS = 4 /* rows of x at a time: as many as the f32 kernels take */ };

size_t product_error_scratch_bytes(uint64_t rows)
{
    return (size_t)(rows * COMPARED_ROWS * sizeof(float));
}

static uint64_t magnitude_bits(double value)
{
    uint64_t bits;

    value = fabs(value);
    memcpy(&bits, &value, sizeof(bits));
    return bits;
}

static double magnitude(const _Atomic uint64_t *bits)
{
    const uint64_t loaded = atomic_load(bits);
    double value;

    memcpy(&value, &loaded, sizeof(value));
    return value;
}

static void raise(_Atomic uint64_t *most, uint64_t bits)
{
    uint64_t seen = atomic_load(most);

    while (bits > seen && !atomic_compare_exchange_weak(most, &seen, bits))
        ;
}

/* Rows [first, first + rows) as a matrix. Tiles are adjacent, so its codes are too. */
static struct linear_matrix rows_from(const struct linear_matrix *matrix, uint64_t first,
                                      uint64_t rows)
{
    const uint64_t groups =
        (matrix->columns + matrix->group_size - 1) / matrix->group_size;
    struct linear_matrix part = *matrix;

    part.rows = rows;
    part.codes += linear_code_bytes(first, matrix->columns);
    part.scales += first * groups;
    return part;
}

void product_error_add(struct product_error *error, const struct kernels *kernels,
                       const struct product_part *part, float *scratch)
{
    const struct linear_matrix rows = rows_from(part->matrix, part->first, part->rows);
    const float *bias = part->bias ? part->bias + part->first : NULL;
    uint64_t difference = 0, reference = 0;

    for (uint64_t b = 0; b < part->batch; b += COMPARED_ROWS) {
        const uint64_t batch =
            part->batch - b < COMPARED_ROWS ? part->batch - b : COMPARED_ROWS;

        linear_forward(kernels, &rows, part->x + b * rows.columns, batch, bias, 0,
                       part->rows, scratch);
        for (uint64_t i = 0; i < batch * part->rows; i++) {
            const double expected = (double)scratch[i];
            const double found =
                (double)part->y[(b + i / part->rows) * part->matrix->rows + part->first +
                                i % part->rows];
            const uint64_t off = magnitude_bits(found - expected);
            const uint64_t size = magnitude_bits(expected);

            difference = off > difference ? off : difference;
            reference = size > reference ? size : reference;
        }
    }
    raise(&error->difference, difference);
    raise(&error->reference, reference);
}

float product_error_max(const struct product_error *error)
{
    return (float)magnitude(&error->difference);
}

float product_error_relative(const struct product_error *error)
{
    const double difference = magnitude(&error->difference);

    return difference == 0 ? 0.0f : (float)(difference / magnitude(&error->reference));
}
