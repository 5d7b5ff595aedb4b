/* SPDX-License-Identifier: Apache-2.0 */
/* The keys of a GGUF output that llama.cpp loads, from the small files of its source. */
#ifndef DRIVE_PLANNED_GGUF_H
#define DRIVE_PLANNED_GGUF_H

#include "checkpoint/plan.h"
#include "files/reader.h"

/* Reads config.json and the tokenizer in the source's folder. Where they tell a model that
 * llama.cpp knows, the plan is made one of it; else it stays an archive. plan->remark says
 * why, and what was assumed or left out. */
int planned_for_llama(struct plan *plan, struct reader *source, struct failure *failure);

#endif
