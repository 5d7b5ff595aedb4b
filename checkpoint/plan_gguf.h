/* SPDX-License-Identifier: Apache-2.0 */
/* A plan whose output is a GGUF file. */
#ifndef CHECKPOINT_PLAN_GGUF_H
#define CHECKPOINT_PLAN_GGUF_H

#include "checkpoint/plan.h"

/* Gives the layers of the output GGUF's types. INVALID_ARGUMENT: GGUF has no type for the
 * plan's encoding. */
int plan_store_in_gguf(struct plan *plan, struct failure *failure);

/* Refuses what GGUF has no place for, once names and types are those of the output. */
void plan_check_for_gguf(struct plan *plan);

/* Does a key of a GGUF input belong in the output? Those that speak of the file itself
 * (alignment, type, parts, the record) do not. */
bool gguf_key_is_carried(const char *key);

#endif
