/* SPDX-License-Identifier: Apache-2.0 */
/* The products that one ISA exports: body.h compiled with its vocabulary. */
#ifndef KERNELS_LINEAR_TABLE_H
#define KERNELS_LINEAR_TABLE_H

#include "kernels/linear/linear.h"

/* The layout of the codes. A *tile* is 16 rows. A *unit* is 16 columns of a tile, in 64
 * bytes: its 32-bit word r belongs to row r of the tile, and bits 2k of byte m of the
 * word are the code of column 4k + m. The units of a tile follow each other. */
enum {
    TILE_ROWS = 16,
    UNIT_COLUMNS = 16,
    UNIT_BYTES = 64,
    QUANTIZED_COLUMNS = 256, /* a row of int8 activations is padded to a multiple of it */
};

static inline uint64_t linear_tile_bytes(uint64_t columns)
{
    return (columns + UNIT_COLUMNS - 1) / UNIT_COLUMNS * UNIT_BYTES;
}

static inline uint64_t linear_groups(const struct linear_matrix *matrix)
{
    return (matrix->columns + matrix->group_size - 1) / matrix->group_size;
}

/* Rows [first, first + count) of a product. */
struct linear_part {
    uint64_t batch;
    const float *bias; /* NULL: none */
    uint64_t first, count;
    float *y;
};

struct linear_int8 {
    const int8_t *q;
    const int32_t *sums;
    const float *absmax;
};

struct linear_table {
    void (*rows)(const struct linear_matrix *matrix, uint64_t first, uint64_t count,
                 float *out);
    void (*forward)(const struct linear_matrix *matrix, const float *x,
                    const struct linear_part *part);
    void (*quantize)(const struct linear_matrix *matrix, const float *x, int8_t *q,
                     int32_t *sums, float *absmax);
    void (*forward_int8)(const struct linear_matrix *matrix, const struct linear_int8 *x,
                         const struct linear_part *part);
    void (*grad_input)(const struct linear_matrix *matrix, const float *grad_output,
                       uint64_t batch, uint64_t first, uint64_t count, float *grad_input);
    void (*grad_weight)(const float *grad_output, const float *x, uint64_t batch,
                        uint64_t rows, uint64_t columns, uint64_t first, uint64_t count,
                        float *grad_weight);
};

extern const struct linear_table linear_portable;
#if defined(__x86_64__)
extern const struct linear_table linear_avx2, linear_avx2_vnni, linear_avx512;
#elif defined(__aarch64__)
extern const struct linear_table linear_neon;
#endif

#endif
