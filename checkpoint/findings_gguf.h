/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CHECKPOINT_FINDINGS_GGUF_H
#define CHECKPOINT_FINDINGS_GGUF_H

#include "checkpoint/config.h"
#include "checkpoint/findings.h"

/* Adds config_disagrees for each hyperparameter in the keys of the claim, a GGUF file, that is
 * another in the latents: in the keys of a GGUF file, else in `config`, their folder's
 * config.json (NULL: there is none). llama.cpp computes with those of the file, and q and k of
 * llama are compared in the order of rows that follows from its number of heads. A key that
 * one side lacks is not compared, nor is one with a value for each block. */
void findings_add_gguf(struct file_findings *findings, const struct tensor_table *claim,
                       const struct tensor_table *latents,
                       const struct model_config *config);

#endif
