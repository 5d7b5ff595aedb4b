/* SPDX-License-Identifier: Apache-2.0 */
/* Findings about layers of which the file has only a part: the weight without its scales, or
 * the scales without their weight. */
#ifndef CHECKPOINT_INCOMPLETE_H
#define CHECKPOINT_INCOMPLETE_H

#include "checkpoint/findings.h"

/* Adds a finding about something that the file lacks. In one shard of several, of which the others
 * were not read (findings about shards come first), it is undecided, with a hint at them. */
void findings_add_lack(struct file_findings *findings, enum trit_finding_kind kind,
                       const char *layer, const char *tensor, const char *hint);

/* Of a layer that is not complete (content_is_complete): its scales or biases are missing. */
void findings_add_without_scales(struct file_findings *findings,
                                 const struct contents *claim, size_t index);

/* Of a weight that is not read: if config.json says that MLX packed it, and it has no scales,
 * adds that they are missing. Returns whether it did. */
bool findings_add_mlx_without_scales(struct file_findings *findings,
                                     const struct model_config *config,
                                     const struct contents *claim, size_t index);

/* Of any tensor: if it is the scales of a layer in the file's encoding whose weight is not in
 * the file, adds that the layer is missing. Returns whether the tensor belongs to such a layer;
 * then no other finding is due. `latents`: the other side of a comparison, which reports the
 * layers that it has; or NULL. */
bool findings_add_without_weight(struct file_findings *findings,
                                 const struct checkpoint_options *options,
                                 const struct contents *claim,
                                 const struct contents *latents, size_t index);

#endif
