/* SPDX-License-Identifier: Apache-2.0 */
/* The blocks that a language model lacks. */
#ifndef CHECKPOINT_BLOCKS_H
#define CHECKPOINT_BLOCKS_H

#include "checkpoint/findings.h"

struct model_config;

/* Adds missing_tensor for the first block without a tensor, with the number of such blocks, if
 * the claim is a whole model by its embeddings: by block_count in the keys of a GGUF file of a
 * known architecture, else by num_hidden_layers in `config`, the folder's own (NULL: there is
 * none). Nothing is added where a finding tells already that tensors are missing. Call it after
 * findings_add_contents, without latents; these are compared tensor by tensor. */
void findings_add_blocks(struct file_findings *findings,
                         const struct model_config *config,
                         const struct tensor_table *claim);

#endif
