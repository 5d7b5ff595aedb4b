/* SPDX-License-Identifier: Apache-2.0 */
/* Scales of a layer whose weight is not in the file. */
#ifndef CHECKPOINT_LOST_WEIGHT_H
#define CHECKPOINT_LOST_WEIGHT_H

#include "checkpoint/contents.h"
#include "checkpoint/name_parts.h"

/* Is the tensor a table (scales, or MLX's biases) of a layer in the file's encoding, or that
 * MLX packed by config.json, whose weight is not there? `weight` is then the layer's name.
 * `config` may be NULL. */
bool lost_weight_of(const struct contents *contents, const struct model_config *config,
                    size_t index, char weight[NAME_BESIDE_BYTES]);

#endif
