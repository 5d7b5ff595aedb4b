/* SPDX-License-Identifier: Apache-2.0 */
/* A plan whose output is a GGUF file that llama.cpp loads: its names, its order of rows, one
 * tensor for the experts of a block, F32 where llama.cpp computes with it, and no tensors
 * that it derives itself (gguf-py/gguf/tensor_mapping.py and conversion/ of llama.cpp). */
#ifndef CHECKPOINT_PLAN_LLAMA_H
#define CHECKPOINT_PLAN_LLAMA_H

#include "checkpoint/gguf_model.h"
#include "checkpoint/plan.h"

/* Call it after plan_store_in_gguf. Sets plan->architecture where all tensors have a place in
 * the model. Otherwise the plan stays as it is, and plan->remark says why. */
int plan_store_for_llama(struct plan *plan, const struct gguf_model *model,
                         struct failure *failure);

/* Adds to plan->remark. */
void plan_remark(struct plan *plan, const char *text);

#endif
