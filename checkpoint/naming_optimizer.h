/* SPDX-License-Identifier: Apache-2.0 */
/* Tensors of an optimizer in the file of a model: moments and copies of the weights. */
#ifndef CHECKPOINT_NAMING_OPTIMIZER_H
#define CHECKPOINT_NAMING_OPTIMIZER_H

#include "checkpoint/name_parts.h"

/* Is it a moment ("exp_avg"), or in an optimizer's state ("optimizer.state.0...")? */
bool name_is_optimizer(const struct name *name);

#endif
