/* SPDX-License-Identifier: Apache-2.0 */
/* Findings about a model as a whole: it lacks its head, blocks, layers of blocks, or what every
 * model of its architecture has; or a layer has another shape than config.json gives. */
#ifndef CHECKPOINT_FINDINGS_MODEL_H
#define CHECKPOINT_FINDINGS_MODEL_H

#include "checkpoint/findings.h"

struct model_config;

/* The config.json that describes a checkpoint: that of a folder. In the folder of a single file
 * it may be of another model, and NULL is returned. */
const struct model_config *config_of_model(const struct model_config *config,
                                           bool has_config, bool is_folder);

/* Adds the findings of head.h, blocks.h, block_layers.h, needed_shapes.h and needed.h about the
 * claim. `config`: of config_of_model; `latents` NULL: there are none. Call it after
 * findings_add_contents. */
void findings_add_model(struct file_findings *findings,
                        const struct checkpoint_options *options,
                        const struct model_config *config, const struct contents *claim,
                        const struct contents *latents);

#endif
