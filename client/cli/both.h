/* SPDX-License-Identifier: Apache-2.0 */
/* Two tensors of one type and shape, read side by side. */
#ifndef CLI_BOTH_H
#define CLI_BOTH_H

#include "checkpoint/difference.h"
#include "files/reader.h"

/* Feeds all bytes of both to the difference. */
int both_compare(struct reader *expected, const struct tensor_entry *wanted,
                 struct reader *got, const struct tensor_entry *found,
                 struct difference *difference, struct failure *failure);

#endif
