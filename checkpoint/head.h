/* SPDX-License-Identifier: Apache-2.0 */
/* The head that a language model lacks. */
#ifndef CHECKPOINT_HEAD_H
#define CHECKPOINT_HEAD_H

#include "checkpoint/findings.h"

struct model_config;

/* Adds missing_tensor for lm_head.weight if `config`, the folder's own, says that the model has
 * one (has_head) and the claim holds only the inner model: model.embed_tokens.weight, and no
 * tensor whose name does not begin with "model.". Then it is no head of another name or
 * packing, and no classifier. Nothing is added where a pattern leaves the head out, where
 * shards are missing, which may hold it, and where the record or `latents` (NULL: none) name
 * the head, because that is found anyway. Call it after findings_add_contents. */
void findings_add_head(struct file_findings *findings,
                       const struct checkpoint_options *options,
                       const struct model_config *config, const struct contents *claim,
                       const struct contents *latents);

#endif
