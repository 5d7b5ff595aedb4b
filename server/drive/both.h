/* SPDX-License-Identifier: Apache-2.0 */
/* Two tensors of one shape, read side by side. */
#ifndef DRIVE_BOTH_H
#define DRIVE_BOTH_H

#include "checkpoint/difference.h"
#include "checkpoint/form.h"
#include "files/reader.h"

/* Feeds all elements of both to the difference, whose types are theirs. `heads`: the order
 * in which the expected tensor's rows are read. */
int both_compare(struct reader *expected, const struct tensor_entry *wanted,
                 const struct head_order *heads, struct reader *got,
                 const struct tensor_entry *found, struct difference *difference,
                 struct failure *failure);

#endif
