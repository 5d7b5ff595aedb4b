/* SPDX-License-Identifier: Apache-2.0 */
/* The plan of a packing. */
#ifndef CHECKPOINT_PLAN_PACK_H
#define CHECKPOINT_PLAN_PACK_H

#include "checkpoint/plan.h"

/* `options` and `record` (borrowed for the call) say how the input is encoded. Layers become
 * PLAN_PACK; the output lacks their old scales.
 *
 * What the input lacks is refused where the output would not show that it is missing: scales
 * whose weight is not there are refused in the plan. INVALID_ARGUMENT of the field "layers": the
 * input's record names layers that the input lacks; the message lists as many as it has room for,
 * and counts the rest. Not where an exclude pattern matches. */
int plan_create_pack(struct plan *plan, const struct checkpoint_options *options,
                     const struct pack_target *target, const struct tensor_table *input,
                     const struct record *record, struct failure *failure);

#endif
