/* SPDX-License-Identifier: Apache-2.0 */
/* What a file that is packed lacks, and its output would lack without a trace. */
#ifndef CHECKPOINT_PLAN_LOST_H
#define CHECKPOINT_PLAN_LOST_H

#include "checkpoint/plan.h"

/* Refuses scales whose weight is not in the input. INVALID_ARGUMENT of the field "layers": the
 * input's record names a layer that the input lacks. Not where an exclude pattern matches. */
int plan_refuse_lost(struct plan *plan, const struct checkpoint_options *options,
                     const struct record *record, struct failure *failure);

#endif
