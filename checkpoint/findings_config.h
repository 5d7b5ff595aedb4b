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

#endif
