/* SPDX-License-Identifier: Apache-2.0 */
/* The parts of a matrix of a layer, as the caller gives them. */
#ifndef LIB_PARTS_H
#define LIB_PARTS_H

#include <trit.h>

#include "base/status.h"
#include "checkpoint/contents.h"
#include "checkpoint/foreign_scales.h"

/* A part: its tensor, and the bytes of it that the caller has. */
struct matrix_part {
    const char *field;
    uint64_t tensor_bytes; /* 0: the layer has no such tensor */
    const void *bytes;
    uint64_t given;
    bool required;
};

/* INVALID_ARGUMENT: a required part is missing, or a part is not one of `matrices` equal
 * parts of its tensor. */
int part_check(const struct matrix_part *part, uint64_t matrices,
               struct failure *failure);

/* The bytes of a tensor; 0 for CONTENT_NONE. */
uint64_t tensor_bytes(const struct tensor_table *table, size_t index);

/* Decodes a matrix of a layer that another program packed. NOT_FOUND: it is not such a
 * layer. INVALID_ARGUMENT: as part_check. */
int parts_decode(const struct contents *contents, size_t index,
                 const struct trit_examined *packed, void *values, uint64_t bytes,
                 struct failure *failure);

/* The wrong scales of the matrix that parts_decode has decoded. */
struct scale_faults parts_faults(const struct contents *contents, size_t index,
                                 const struct trit_examined *packed);

#endif
