/* SPDX-License-Identifier: Apache-2.0 */
#include "services/ternary/tile_refuse.h"

#include <inttypes.h>

#include "proto/names.h"

/* Does a lost scale fail the tensor? In a dense output it is only reported. */
static bool refuses_lost(const struct task *task)
{
    return task->op == TASK_TERNARIZE && task->plan.spec.has_out &&
           task->plan.spec.out != TRIT_ENCODING_DENSE && !task->allows_lost;
}

static int refuse_scale(const struct tile *tile, const struct task *task,
                        const char *field, struct failure *failure)
{
    const struct plan *plan = &task->plan;
    const uint64_t row_len = plan->spec.shape[plan->spec.rank - 1];
    const uint64_t row = tile->refused.element / row_len;
    const uint64_t column = tile->refused.element % row_len;
    const uint64_t group =
        plan->whole ? 0 : row * plan->groups_per_row + column / plan->spec.group_size;

    return fail_field(failure, TRIT_INVALID_ARGUMENT, field,
                      "group %" PRIu64 " (row %" PRIu64
                      ") has the scale %g; it must be finite",
                      group, row, (double)tile->refused.scale);
}

static int refuse_element(const struct tile *tile, const struct task *task,
                          const char *field, struct failure *failure)
{
    const uint64_t element = tile->refused.element;

    switch (tile->refused.fault) {
    case UNPACK_LOST:
        return fail_field(failure, TRIT_INVALID_ARGUMENT, "dtype",
                          "%s rounds element %" PRIu64 " to 0 or infinity; use f32",
                          dtype_name(task->plan.spec.dtype), element);
    case UNPACK_SCALE:
        return refuse_scale(tile, task, field, failure);
    case UNPACK_CODE:
        break;
    }
    return fail_field(failure, TRIT_INVALID_ARGUMENT, field,
                      "the code of element %" PRIu64 " is not ternary", element);
}

static int refuse_lost(const struct tile *tile, const struct task *task,
                       const char *field, struct failure *failure)
{
    const char *encoding = encoding_name(task->plan.spec.out);
    unsigned long long group = tile->span.first_group + tile->lost.first;

    if (tile->lost_scale == 0)
        return fail_field(
            failure, TRIT_INVALID_ARGUMENT, field,
            "f32 rounds the mean magnitude of group %llu to 0, so %s would lose "
            "the group; scale the weights, or set allow_lost_scales",
            group, encoding);
    return fail_field(
        failure, TRIT_INVALID_ARGUMENT, field,
        "f16 rounds the scale %g of group %llu to 0 or infinity, so %s would "
        "lose the group; use int8 or dense, or set allow_lost_scales",
        (double)tile->lost_scale, group, encoding);
}

int tile_refuse(const struct tile *tile, const struct task *task, const char *field,
                struct failure *failure)
{
    const struct ternary_counts *counts = &tile->counts;

    if (tile->hash_failed)
        return fail(failure, TRIT_RESOURCE_EXHAUSTED, NULL, "no memory for a digest");
    if (tile->refused.element != UINT64_MAX)
        return refuse_element(tile, task, field, failure);
    if (tile->misfit.kind != MISFIT_NONE)
        return misfit_refuse(&tile->misfit, &task->plan, field, failure);
    if (tile->mixed_group != UINT64_MAX)
        return fail_field(failure, TRIT_INVALID_ARGUMENT, field,
                          "group %" PRIu64
                          " of %u elements: its %s blocks have different scales; use "
                          "group_size %u to verify each block on its own",
                          tile->mixed_group, (unsigned)task->plan.spec.group_size,
                          encoding_name(task->plan.spec.in),
                          (unsigned)encoding_layout(task->plan.spec.in)->block_elements);
    if (refuses_lost(task) && counts->non_finite == 0 && tile->lost.count)
        return refuse_lost(tile, task, field, failure);
    return 0;
}
