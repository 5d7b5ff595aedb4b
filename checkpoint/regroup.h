/* SPDX-License-Identifier: Apache-2.0 */
/* The separate scales of a matrix for groups of another size. */
#ifndef CHECKPOINT_REGROUP_H
#define CHECKPOINT_REGROUP_H

#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

struct regroup {
    uint64_t rows, columns; /* of the matrix */
    size_t width;           /* bytes of a scale */
    uint32_t from, to;      /* weights of a group; the last one of a row may have fewer */
};

/* Bytes of the scales for groups of `to`. */
uint64_t regroup_bytes(const struct regroup *regroup);

/* Writes them: a scale stands several times, or the scales within a longer group are equal.
 * INVALID_ARGUMENT: they are not, or no size divides the other; the message names the first
 * group. */
int regroup_scales(const struct regroup *regroup, const void *scales, void *regrouped,
                   struct failure *failure);

#endif
