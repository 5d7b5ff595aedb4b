/* SPDX-License-Identifier: Apache-2.0 */
#include "checkpoint/foreign_tables.h"

#include <stdio.h>
#include <string.h>

#include "base/checked.h"
#include "checkpoint/form.h"
#include "checkpoint/name_parts.h"

size_t foreign_sibling(const struct tensor_table *table, const struct tensor_entry *entry,
                       const char *leaf)
{
    char name[NAME_BESIDE_BYTES];

    name_beside(entry->name, leaf, name);
    const struct tensor_entry *found = table_find(table, name);
    return found ? (size_t)(found - table->entries) : SIZE_MAX;
}

bool foreign_is_float(const struct tensor_entry *entry)
{
    return type_holds(entry->type, TRIT_ENCODING_DENSE);
}

static uint64_t shape_at(const struct tensor_entry *entry, uint32_t axis)
{
    return axis < entry->rank ? entry->shape[axis] : 1;
}

bool foreign_blocks(const struct tensor_entry *scale, uint64_t rows, uint64_t columns,
                    const struct scale_block *block, struct foreign_form *form)
{
    uint64_t elements;

    if (!foreign_is_float(scale) || scale->rank > 2 || rows == 0 || columns == 0 ||
        !shape_elements(scale->rank, scale->shape, &elements))
        return false;
    const uint64_t down = shape_at(scale, 0), along = shape_at(scale, 1);
    form->block_rows = elements == 1 ? rows : 1;
    form->block_columns = columns;
    form->scale_columns = 1;
    if (elements == 1 || (down == rows && along == 1))
        return true;
    if (!block) {
        form->block_columns = along ? columns / along : 0;
        form->scale_columns = along;
        return down == rows && along > 0 && columns % along == 0;
    }
    form->block_rows = block->rows;
    form->block_columns = block->columns;
    form->scale_columns = along;
    return down == div_up(rows, block->rows) && along == div_up(columns, block->columns);
}

bool foreign_take_type(const struct tensor_entry *scale, enum packing packing,
                       struct foreign_form *form, struct tensor_entry *dense)
{
    uint64_t elements;

    /* A weight with a scale of its own is always ternary. */
    if (form->block_columns < 2 && dense->shape[dense->rank - 1] > 1) {
        form->unread = "each weight has a scale of its own, so any value is t*s";
        return false;
    }
    form->packing = packing;
    form->dtype = scale->type->dtype;
    dense->type = scale->type;
    return shape_elements(dense->rank, dense->shape, &elements) &&
           !mul_overflows(elements, dense->type->bits / 8, &dense->bytes);
}
