/* SPDX-License-Identifier: Apache-2.0 */
/* Scales of 0 in weights that other programs packed. A group is the run of weights in one
 * row that share a scale; it is lost if its scale is 0 although its codes are those of other
 * weights. */
#ifndef CHECKPOINT_FOREIGN_LOST_H
#define CHECKPOINT_FOREIGN_LOST_H

#include "checkpoint/findings.h"
#include "checkpoint/foreign_form.h"

struct lost_groups {
    uint64_t count, first; /* first: row * groups of a row + group in the row */
};

/* Does one of these rows have a scale of 0? `scales` are the runs of foreign_rows_of. */
bool foreign_has_zero_scale(const struct foreign_form *form, uint64_t columns,
                            uint64_t first, uint64_t count, const void *scales);

/* Adds the lost groups of these rows; rows come in order. The other arguments are those of
 * foreign_decode. */
void foreign_find_lost(const struct foreign_form *form, uint64_t columns, uint64_t first,
                       uint64_t count, const void *data, const void *scales,
                       const void *biases, struct lost_groups *lost);

/* INVALID_ARGUMENT: a group is lost. */
int lost_groups_refuse(const struct lost_groups *lost, struct failure *failure);

/* Nothing where no group is lost. */
void findings_add_lost_groups(struct file_findings *findings, const char *matrix,
                              const struct lost_groups *lost);

#endif
