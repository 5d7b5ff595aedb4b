/* SPDX-License-Identifier: Apache-2.0 */
/* One matrix of a layer at a time, as [out, in] whatever the file's layout. */
#ifndef CLI_MATRIX_H
#define CLI_MATRIX_H

#include "checkpoint/contents.h"
#include "files/reader.h"

enum { MATRIX_NAME_BYTES = FILES_NAME_BYTES_MAX + 32 };

/* "NAME", or "NAME[7]" where the layer has several matrices. */
const char *matrix_name(char name[MATRIX_NAME_BYTES], const char *layer,
                        const struct matrices *matrices, uint64_t number);

/* Loads matrix `number` of `matrices.count` equal parts of the tensor, malloc'ed; where
 * matrices.transposed, it is transposed to [rows, columns] of elements. *bytes are those
 * of the part. */
int matrix_load(struct reader *reader, const struct tensor_entry *entry,
                const struct matrices *matrices, uint64_t number, void **data,
                uint64_t *bytes, struct failure *failure);

/* The matrix as its layout in the file wants it: `data` itself, or, where transposed, a
 * copy in *copy (for free). NULL on lack of memory. */
const void *matrix_stored(const void *data, uint64_t bytes,
                          const struct matrices *matrices, size_t width, void **copy);

#endif
