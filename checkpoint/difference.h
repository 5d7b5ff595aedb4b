/* SPDX-License-Identifier: Apache-2.0 */
/* Compares two tensors of one shape piece by piece: byte for byte if they have one type;
 * after rounding the expected values to the other's type if both are of floats. */
#ifndef CHECKPOINT_DIFFERENCE_H
#define CHECKPOINT_DIFFERENCE_H

#include "files/table.h"

struct difference {
    const struct element_type *type; /* of what was got */
    const struct element_type *expected_type;
    uint64_t element; /* index of the next element */
    uint64_t count;   /* elements that differ; for types below 8 bits, bytes */
    uint64_t first;   /* index of the first that differs; valid if count > 0 */
    char expected[TRIT_FINDING_VALUE_BYTES_MAX + 1]; /* its two values, as text */
    char got[TRIT_FINDING_VALUE_BYTES_MAX + 1];
};

/* Two types must be F32, F16 or BF16. */
void difference_init(struct difference *difference,
                     const struct element_type *expected_type,
                     const struct element_type *type);

/* Takes the next `bytes` bytes of what was got, whole elements, and as many elements of what
 * was expected. */
void difference_feed(struct difference *difference, const void *expected, const void *got,
                     uint64_t bytes);

/* Bytes of an element; 1 for types below 8 bits. */
size_t element_bytes(const struct element_type *type);

#endif
