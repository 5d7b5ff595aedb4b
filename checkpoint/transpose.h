/* SPDX-License-Identifier: Apache-2.0 */
/* Matrices of elements of 1, 2 or 4 bytes, row-major. */
#ifndef CHECKPOINT_TRANSPOSE_H
#define CHECKPOINT_TRANSPOSE_H

#include <stddef.h>
#include <stdint.h>

/* `to` [columns, rows] from `from` [rows, columns]; the two do not overlap. `width` is the
 * bytes of an element. */
void transpose(void *to, const void *from, uint64_t rows, uint64_t columns, size_t width);

#endif
