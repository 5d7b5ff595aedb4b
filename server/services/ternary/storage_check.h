/* SPDX-License-Identifier: Apache-2.0 */
/* Oddities in how a ternary claim is stored: scales below the smallest normal number of
 * their type, and base-3 bytes that no encoder writes. */
#ifndef TERNARY_STORAGE_CHECK_H
#define TERNARY_STORAGE_CHECK_H

#include "kernels/kernels.h"

struct storage_check {
    struct occurrences subnormal;     /* groups */
    float first_subnormal;            /* the scale of the first of them */
    struct occurrences non_canonical; /* bytes; `first` is the group of the first */
    uint8_t first_byte;
};

void storage_check_init(struct storage_check *check);

/* Adds `more`, whose tile begins at group `groups`. */
void storage_check_add(struct storage_check *check, const struct storage_check *more,
                       uint64_t groups);

#endif
