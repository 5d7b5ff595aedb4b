/* SPDX-License-Identifier: Apache-2.0 */
/* What a file that is packed lacks, although its output would not show that it is missing. */
#ifndef CHECKPOINT_PLAN_LOST_H
#define CHECKPOINT_PLAN_LOST_H

#include "checkpoint/plan.h"

/* Refuses scales whose weight is not in the input. INVALID_ARGUMENT of the field "layers": the
 * input's record names layers that the input lacks; the message lists as many as it has room for,
 * and counts the rest. Not where an exclude pattern matches. */
int plan_refuse_lost(struct plan *plan, const struct checkpoint_options *options,
                     const struct record *record, struct failure *failure);

#endif
