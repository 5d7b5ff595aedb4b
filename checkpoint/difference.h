/* SPDX-License-Identifier: Apache-2.0 */
/* Compares two tensors of one type and shape byte for byte, piece by piece. */
#ifndef CHECKPOINT_DIFFERENCE_H
#define CHECKPOINT_DIFFERENCE_H

#include "files/table.h"

struct difference {
    const struct element_type *type;
    uint64_t element; /* index of the next element */
    uint64_t count;   /* elements that differ; for types below 8 bits, bytes */
    uint64_t first;   /* index of the first that differs; valid if count > 0 */
    char expected[TRIT_FINDING_VALUE_BYTES_MAX + 1]; /* its two values, as text */
    char got[TRIT_FINDING_VALUE_BYTES_MAX + 1];
};

void difference_init(struct difference *difference, const struct element_type *type);

/* Takes the next bytes of both tensors: whole elements. */
void difference_feed(struct difference *difference, const void *expected, const void *got,
                     uint64_t bytes);

#endif
