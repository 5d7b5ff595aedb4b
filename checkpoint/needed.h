/* SPDX-License-Identifier: Apache-2.0 */
/* Layers that every model of an architecture has. */
#ifndef CHECKPOINT_NEEDED_H
#define CHECKPOINT_NEEDED_H

#include "checkpoint/findings.h"

struct model_config;

/* Adds missing_layer (missing_tensor for norms, embeddings and routers) for what the architecture
 * has in each block, or once, but the claim lacks: a finding for each such layer, with the first
 * block that lacks it and the number of blocks. Names already in a finding are not told again.
 *
 * The architecture is that of `config`, the folder's own (NULL: there is none), if its
 * architectures name one known class; or that of a GGUF file with a tokenizer. Either says how
 * many blocks there are; without that nothing is added. A block that has other layers beside
 * those of a module, such as qkv_proj for q_proj, is not accused. Call it after
 * findings_add_blocks and findings_add_block_layers, without latents. */
void findings_add_needed(struct file_findings *findings,
                         const struct checkpoint_options *options,
                         const struct model_config *config, const struct contents *claim);

#endif
