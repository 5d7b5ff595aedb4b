/* SPDX-License-Identifier: Apache-2.0 */
/* Layers that some blocks of a model lack, although its other blocks have them. */
#ifndef CHECKPOINT_BLOCK_LAYERS_H
#define CHECKPOINT_BLOCK_LAYERS_H

#include "checkpoint/findings.h"

struct model_config;

/* Adds missing_layer (missing_tensor for a norm, bias or router) for each layer that most of the
 * numbered blocks have, at least three being there, and that another block lacks. A block that has
 * something else in its place, such as experts for an MLP, lacks nothing. If all blocks of the
 * model's architecture have the same layers (`config`, the folder's own, or NULL, or the keys of
 * a GGUF file say which it is) the findings are errors. Of other models some blocks may be built
 * otherwise: a warning, and only where all other blocks have the layer and the block is neither
 * the first nor the last. Nothing is added where a finding tells already that tensors are
 * missing, or about layers that patterns exclude. Call it after findings_add_contents, without
 * latents; these are compared tensor by tensor. */
void findings_add_block_layers(struct file_findings *findings,
                               const struct checkpoint_options *options,
                               const struct model_config *config,
                               const struct contents *claim);

#endif
