/* SPDX-License-Identifier: Apache-2.0 */
#include "services/ternary/task.h"

/* The output is an encoding made from codes and scales. */
static bool encodes(const struct task *task)
{
    return (task->op == TASK_TERNARIZE || task->op == TASK_PACK) &&
           task->plan.spec.has_out;
}

static bool has_one_scale(enum trit_encoding encoding)
{
    return encoding_layout(encoding)->scales == SCALES_TENSOR;
}

bool task_in_place(const struct task *task)
{
    return task->op == TASK_PASS ||
           (task->op == TASK_TERNARIZE && task->plan.spec.out == TRIT_ENCODING_DENSE);
}

bool task_pads_codes(const struct task *task)
{
    return task->plan.spec.group_size % 4 != 0 || task->plan.tail_len % 4 != 0;
}

size_t task_scale_out_bytes(const struct task *task)
{
    const struct encoding_layout *layout;

    if (!encodes(task))
        return 0;
    layout = encoding_layout(task->plan.spec.out);
    switch (layout->scales) {
    case SCALES_F32:
        return sizeof(float);
    case SCALES_F16:
        return sizeof(uint16_t);
    case SCALES_TENSOR:
        return layout->tail_bytes ? 0 : sizeof(float);
    case SCALES_FOLDED:
    case SCALES_IN_BLOCK:
        break;
    }
    return 0;
}

bool task_has_tail(const struct task *task)
{
    return encodes(task) && encoding_layout(task->plan.spec.out)->tail_bytes > 0;
}

bool task_interleaves(const struct task *task)
{
    return encodes(task) && encoding_layout(task->plan.spec.out)->interleaved;
}

bool task_deinterleaves(const struct task *task)
{
    return task->op != TASK_TERNARIZE && encoding_layout(task->plan.spec.in)->interleaved;
}

bool task_spreads_scale(const struct task *task)
{
    return task->op == TASK_PACK && task->plan.groups > 1 &&
           has_one_scale(task->plan.spec.in);
}

bool task_reads_trits(const struct task *task)
{
    return task_deinterleaves(task) || task->held_in ||
           (task->in_pieces && has_one_scale(task->plan.spec.in));
}

bool task_gathers(const struct task *task)
{
    return task->op == TASK_PACK && task->in_pieces && !has_one_scale(task->plan.spec.in);
}

size_t task_unit_elements(const struct task *task)
{
    const struct encoding_layout *in = encoding_layout(task->plan.spec.in);

    return task->op == TASK_PACK && in->scales == SCALES_IN_BLOCK &&
                   in->block_elements != task->plan.spec.group_size
               ? in->block_elements
               : 0;
}

bool task_widens_scales(const struct task *task)
{
    return task->in_scales && plan_in_scales_dtype(&task->plan.spec) != TRIT_F32;
}
