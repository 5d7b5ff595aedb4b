/* SPDX-License-Identifier: Apache-2.0 */
/* The values by key in the header of a GGUF file. */
#ifndef FILES_GGUF_VALUES_H
#define FILES_GGUF_VALUES_H

#include "files/gguf_cursor.h"
#include "files/table.h"

/* Reads `count` keys and values, and adds each to the table as a pair: numbers and strings
 * as text, an array as what it is ("[string x 151936]"). *alignment is set if
 * general.alignment is among them. INVALID_ARGUMENT: a key twice, empty or unprintable; a
 * type that is not known; an array of arrays. */
int gguf_take_values(struct gguf_cursor *cursor, uint64_t count,
                     struct tensor_table *table, uint32_t *alignment,
                     struct failure *failure);

#endif
