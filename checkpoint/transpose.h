/* SPDX-License-Identifier: Apache-2.0 */
/* Transposes row-major matrices with elements of 1, 2 or 4 bytes. */
#ifndef CHECKPOINT_TRANSPOSE_H
#define CHECKPOINT_TRANSPOSE_H

#include <stddef.h>
#include <stdint.h>

/* Writes the transpose of `from` [rows, columns] to `to` [columns, rows]. They must not
 * overlap. `width` is the number of bytes of an element. */
void transpose(void *to, const void *from, uint64_t rows, uint64_t columns, size_t width);

#endif
