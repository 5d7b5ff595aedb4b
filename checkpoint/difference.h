/* SPDX-License-Identifier: Apache-2.0 */
/* How two tensors of one type and shape differ, byte for byte, fed in pieces. */
#ifndef CHECKPOINT_DIFFERENCE_H
#define CHECKPOINT_DIFFERENCE_H

#include "files/table.h"

struct difference {
    const struct element_type *type;
    uint64_t element; /* of the next bytes */
    uint64_t count;   /* elements that differ (bytes, of types below 8 bits) */
    uint64_t first;   /* index of the first; meaningful where count > 0 */
    char expected[TRIT_FINDING_VALUE_BYTES_MAX + 1]; /* its values */
    char got[TRIT_FINDING_VALUE_BYTES_MAX + 1];
};

void difference_init(struct difference *difference, const struct element_type *type);

/* The next bytes of both, whole elements. */
void difference_feed(struct difference *difference, const void *expected, const void *got,
                     uint64_t bytes);

#endif
