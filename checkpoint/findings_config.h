/* SPDX-License-Identifier: Apache-2.0 */
/* Findings about layers that config.json describes otherwise than their tables do. */
#ifndef CHECKPOINT_FINDINGS_CONFIG_H
#define CHECKPOINT_FINDINGS_CONFIG_H

#include "checkpoint/config.h"
#include "checkpoint/findings.h"

/* config_disagrees for a layer whose program makes its tables by config.json (MLX,
 * compressed-tensors) and therefore does not load it, or reads other values. `config` may be
 * NULL. */
void findings_add_config(struct file_findings *findings,
                         const struct model_config *config, const char *name,
                         const struct content *item);

/* If the layer is not ternary as [out, in], and its name is one that a library stores as [in, out]
 * (config_may_turn), the finding's hint says so. `has_config`: there is a config.json. */
void findings_hint_turned(struct file_findings *findings, bool has_config,
                          const struct content *item, const char *layer);

#endif
