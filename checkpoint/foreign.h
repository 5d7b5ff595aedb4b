/* SPDX-License-Identifier: Apache-2.0 */
/* Reads weights that other programs packed, where the layout is simple and follows from the
 * tables and config.json: MLX with 2 to 8 bits, fp8, 8-bit integers of compressed-tensors and
 * bitsandbytes, and 2, 4 and 8 bits of compressed-tensors and gemlite. A weight is
 * (code - zero) * scale + bias. */
#ifndef CHECKPOINT_FOREIGN_H
#define CHECKPOINT_FOREIGN_H

#include "checkpoint/foreign_form.h"
#include "checkpoint/form.h"

struct checkpoint_options;

/* The form of a packed weight of the sealed table. True: it can be read; *dense is then the
 * tensor of its values, *layout that of its matrices, *scales and *biases (SIZE_MAX:
 * none) are the tables. */
bool foreign_form_of(const struct tensor_table *table, const struct tensor_entry *entry,
                     enum packing packing, const struct checkpoint_options *options,
                     struct foreign_form *form, struct tensor_entry *dense,
                     enum layer_layout *layout, size_t *scales, size_t *biases);

/* Has the packed weight no other tables than these (SIZE_MAX: none)? Zero points, permutations
 * or a second scale would change its values. */
bool foreign_has_only(const struct tensor_table *table, const struct tensor_entry *entry,
                      size_t scales, size_t biases);

/* The same, where is_known tells which tables are those of layers. */
bool foreign_has_known(const struct tensor_table *table, const struct tensor_entry *entry,
                       bool (*is_known)(const void *arg, size_t index), const void *arg);

/* Has a weight of MLX, by config.json (or NULL) and the shape of its scales, another number of
 * bits than 2, or of weights in a group? */
struct model_config;
bool foreign_mlx_differs(const struct model_config *config, uint32_t group_size,
                         const struct tensor_entry *entry,
                         const struct tensor_entry *scales);

/* The group size of a packed weight with these values: that of its scales, if it has one for
 * each run of a row. */
uint32_t foreign_group_size(const struct foreign_form *form,
                            const struct tensor_entry *dense);

/* The widths of codes that the shapes of a weight that MLX packed allow; returns how many. */
enum { MLX_WIDTHS_MAX = 3 };
size_t foreign_mlx_bits(const struct tensor_table *table,
                        const struct tensor_entry *entry, unsigned bits[MLX_WIDTHS_MAX]);

/* Bytes in a tensor: `count` runs of `bytes`, whose starts are `stride` apart. */
struct foreign_runs {
    uint64_t offset, bytes, stride, count;
};

/* Where some rows are in the tensors. */
struct foreign_rows {
    struct foreign_runs data;
    struct foreign_runs scales; /* of the blocks that hold the rows */
};

/* The bytes of rows [first, first + count) of a matrix [rows, columns], relative to the
 * matrix. Biases have the same runs as scales. */
struct foreign_rows foreign_rows_of(const struct foreign_form *form, uint64_t columns,
                                    uint64_t first, uint64_t count);

/* Writes the values of those rows, as elements of form->dtype. `data`, `scales` and `biases`
 * (NULL: none) are the runs of foreign_rows_of, one after another. */
void foreign_decode(const struct foreign_form *form, uint64_t columns, uint64_t first,
                    uint64_t count, const void *data, const void *scales,
                    const void *biases, void *values);

/* The same for weight [first + row, index] of rows [first, first + count): the place of its
 * scale and bias in their runs, and its code in `data`. */
uint64_t foreign_scale_place(const struct foreign_form *form, uint64_t first,
                             uint64_t count, uint64_t row, uint64_t index);
double foreign_code(const struct foreign_form *form, uint64_t count, uint64_t row,
                    uint64_t index, const void *data);

#endif
