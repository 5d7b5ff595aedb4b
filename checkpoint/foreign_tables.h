/* SPDX-License-Identifier: Apache-2.0 */
/* The tables of a packed weight. */
#ifndef CHECKPOINT_FOREIGN_TABLES_H
#define CHECKPOINT_FOREIGN_TABLES_H

#include "checkpoint/foreign_form.h"

/* Index of the tensor STEM.LEAF for a weight STEM.weight, or SIZE_MAX. */
size_t foreign_sibling(const struct tensor_table *table, const struct tensor_entry *entry,
                       const char *leaf);

bool foreign_is_float(const struct tensor_entry *entry); /* F32, F16 or BF16 */

/* The blocks of a weight [rows, columns] with one scale for the tensor, for a row, for a run
 * of a row (`runs`) or for a block of fp8. False: the scales have another shape. */
bool foreign_blocks(const struct tensor_entry *scale, uint64_t rows, uint64_t columns,
                    bool runs, struct foreign_form *form);

/* The values have the type of the scales. False: their size overflows. */
bool foreign_take_type(const struct tensor_entry *scale, enum packing packing,
                       struct foreign_form *form, struct tensor_entry *dense);

#endif
