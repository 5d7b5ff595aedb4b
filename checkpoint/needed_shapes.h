/* SPDX-License-Identifier: Apache-2.0 */
/* Layers of another shape than config.json gives them. */
#ifndef CHECKPOINT_NEEDED_SHAPES_H
#define CHECKPOINT_NEEDED_SHAPES_H

#include "checkpoint/findings.h"

struct model_config;

/* Adds config_disagrees for each layer of a model of a known class (needed_table.h) that has
 * other rows or columns than hidden_size and intermediate_size give, such as one rank's part of
 * a layer. `config`: the folder's own, or NULL. */
void findings_add_shapes(struct file_findings *findings,
                         const struct model_config *config, const struct contents *claim);

#endif
