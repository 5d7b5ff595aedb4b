/* SPDX-License-Identifier: Apache-2.0 */
/* What to do about a layer that is not ternary. */
#ifndef CHECKPOINT_NOT_TERNARY_H
#define CHECKPOINT_NOT_TERNARY_H

#include "checkpoint/findings.h"

/* Sets the hint of the layer's finding not_ternary, if there is one: its name is one that a
 * library stores as [in, out] (config_may_turn); it is an embedding or a head, which many models
 * keep dense; config.json says that the weights are latents or that the layer is not packed; or its
 * name says that it holds latents, or averages of the weights. Of layers that the file's record
 * names, only the first. `has_config`: there is a config.json. `layer`: the name of the matrix. */
void findings_hint_not_ternary(struct file_findings *findings, bool has_config,
                               const struct contents *claim, size_t index,
                               const char *layer);

#endif
