/* SPDX-License-Identifier: Apache-2.0 */
#include "checkpoint/keras.h"

#include "base/checked.h"
#include "checkpoint/foreign_tables.h"
#include "checkpoint/keras_names.h"

enum { CODES_A_BYTE = 5 };

bool keras_form_of(const struct tensor_table *table, const struct tensor_entry *entry,
                   struct foreign_form *form, struct tensor_entry *dense, size_t *scales)
{
    const uint64_t units = entry->shape[1], inputs = entry->unpacked;

    *scales = keras_scale(table, entry);
    if (*scales == SIZE_MAX || inputs == 0 ||
        div_up(inputs, CODES_A_BYTE) != entry->shape[0])
        return false;
    form->codes = CODES_BASE3;
    form->zero = 1;
    form->block_rows = units;
    form->block_columns = inputs;
    form->scale_columns = 1;
    form->codes_a_word = CODES_A_BYTE;
    form->word_bytes = 1;
    form->rows = units;
    dense->shape[0] = units;
    dense->shape[1] = inputs;
    return foreign_take_type(&table->entries[*scales], PACKING_KERAS, form, dense);
}

unsigned keras_code(uint8_t byte, uint64_t digit)
{
    unsigned code = byte;

    for (uint64_t i = 0; i < digit; i++)
        code /= 3;
    return code % 3;
}
