/* SPDX-License-Identifier: Apache-2.0 */
/* The values of a layer that another program packed, read from a file and decoded some rows
 * at a time. */
#ifndef DRIVE_FOREIGN_READ_H
#define DRIVE_FOREIGN_READ_H

#include "checkpoint/contents.h"
#include "checkpoint/foreign_scales.h"
#include "files/reader.h"

/* Reads bytes [offset, offset + bytes) of the values of matrix `number` of layer `index`, as
 * if they were stored dense, in content_dtype. Memory is that of the rows concerned. */
int foreign_read(struct reader *reader, const struct contents *contents, size_t index,
                 uint64_t number, uint64_t offset, void *values, uint64_t bytes,
                 struct failure *failure);

/* Finds the wrong scales of the matrix. Reads its scales, and codes only near suspect ones. */
int foreign_read_faults(struct reader *reader, const struct contents *contents,
                        size_t index, uint64_t number, struct scale_faults *faults,
                        struct failure *failure);

#endif
