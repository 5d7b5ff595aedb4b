/* SPDX-License-Identifier: Apache-2.0 */
/* The tables of a packed weight. */
#ifndef CHECKPOINT_FOREIGN_TABLES_H
#define CHECKPOINT_FOREIGN_TABLES_H

#include "checkpoint/foreign_form.h"

/* Index of the tensor STEM.LEAF for a weight STEM.weight, or SIZE_MAX. */
size_t foreign_sibling(const struct tensor_table *table, const struct tensor_entry *entry,
                       const char *leaf);

bool foreign_is_float(const struct tensor_entry *entry); /* F32, F16 or BF16 */

/* The weights of fp8 that share a scale. */
struct scale_block {
    unsigned rows, columns;
};

/* The blocks of a weight [rows, columns] with one scale for the tensor, for a row, for a
 * block, or, if `block` is NULL, for a run of a row. False: the scales have another shape. */
bool foreign_blocks(const struct tensor_entry *scale, uint64_t rows, uint64_t columns,
                    const struct scale_block *block, struct foreign_form *form);

/* The values have the type of the scales. False: their size overflows, or each weight has a
 * scale of its own, so that nothing tells whether they are ternary. */
bool foreign_take_type(const struct tensor_entry *scale, enum packing packing,
                       struct foreign_form *form, struct tensor_entry *dense);

#endif
