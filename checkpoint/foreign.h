/* SPDX-License-Identifier: Apache-2.0 */
/* Reads weights that other programs packed, where the layout is simple and follows from the
 * tables and config.json: MLX with 2 to 8 bits, fp8, and 8-bit integers of
 * compressed-tensors and bitsandbytes. A weight is code * scale, plus a bias for MLX. */
#ifndef CHECKPOINT_FOREIGN_H
#define CHECKPOINT_FOREIGN_H

#include "checkpoint/form.h"
#include "checkpoint/packing.h"

struct checkpoint_options;

enum foreign_codes {
    CODES_UNSIGNED, /* `bits` wide, one after another, the lowest bits first */
    CODES_INT8,
    CODES_E4M3, /* fp8 as in OCP's format: no infinity, NaN is 0x7f */
    CODES_E5M2,
};

/* How a packed weight is decoded. */
struct foreign_form {
    enum packing packing; /* PACKING_NONE: it cannot be decoded */
    enum foreign_codes codes;
    unsigned bits;
    uint64_t block_rows, block_columns; /* the weights that share a scale */
    uint64_t scale_columns;             /* scales in a row of blocks */
    double divisor;                     /* of the scales */
    enum trit_dtype dtype;              /* of scales, biases and values */
};

/* The form of a packed weight of the sealed table. True: it can be read; *dense is then the
 * tensor of its values, *layout that of its matrices, *scales and *biases (SIZE_MAX:
 * none) are the tables. */
bool foreign_form_of(const struct tensor_table *table, const struct tensor_entry *entry,
                     enum packing packing, const struct checkpoint_options *options,
                     struct foreign_form *form, struct tensor_entry *dense,
                     enum layer_layout *layout, size_t *scales, size_t *biases);

/* The widths of codes that the shapes of a weight that MLX packed allow; returns how many. */
enum { MLX_WIDTHS_MAX = 3 };
size_t foreign_mlx_bits(const struct tensor_table *table,
                        const struct tensor_entry *entry, unsigned bits[MLX_WIDTHS_MAX]);

/* Byte ranges of some rows in the tensors. */
struct foreign_rows {
    uint64_t data, data_bytes;
    uint64_t scales, scale_bytes; /* of the blocks that hold the rows */
};

/* The byte ranges of rows [first, first + count) of a matrix [rows, columns], relative to
 * the matrix. Biases have the same range as scales. */
struct foreign_rows foreign_rows_of(const struct foreign_form *form, uint64_t columns,
                                    uint64_t first, uint64_t count);

/* Writes the values of those rows, as elements of form->dtype. `data`, `scales` and `biases`
 * (NULL: none) begin where foreign_rows_of says. */
void foreign_decode(const struct foreign_form *form, uint64_t columns, uint64_t first,
                    uint64_t count, const void *data, const void *scales,
                    const void *biases, void *values);

#endif
