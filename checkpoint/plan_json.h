/* SPDX-License-Identifier: Apache-2.0 */
/* A plan as JSON: {tensors: [{name, dtype, shape, parameters, action, reason, encoding,
 * group_size, partial_group, matrix, matrices, transposed, groups, outputs: [{name,
 * dtype, shape, bytes, role, transposed}]}], metadata, parameters: {ternary, kept}, bytes: {before, after},
 * bits_per_weight, refused, refusal, gguf}. `matrix` is [out, in], `matrices` their number.
 * `transposed` means that each is stored as [in, out]. Members that do not apply are
 * absent. */
#ifndef CHECKPOINT_PLAN_JSON_H
#define CHECKPOINT_PLAN_JSON_H

#include "checkpoint/plan.h"

struct json_t;

/* Bytes of the output's tensors: all of them, and layers with their scales. */
struct plan_sizes {
    uint64_t all, layers;
};

struct plan_sizes plan_sizes(const struct plan *plan);

struct json_t *plan_json(const struct plan *plan); /* NULL on lack of memory */

/* Adds `gguf` {architecture, remark}: what a GGUF output is. Adds nothing for another output.
 * False: memory ran out, or `object` is NULL. */
bool plan_json_put_gguf(struct json_t *object, const struct plan *plan);

#endif
