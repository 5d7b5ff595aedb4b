/* SPDX-License-Identifier: Apache-2.0 */
#include "services/ternary/task.h"

bool task_in_place(const struct task *task)
{
    return task->op == TASK_PASS ||
           (task->op == TASK_TERNARIZE && task->plan.spec.out == TRIT_ENCODING_DENSE);
}

size_t task_scale_out_bytes(const struct task *task)
{
    const struct encoding_layout *layout;

    if (task->op != TASK_TERNARIZE || !task->plan.spec.has_out)
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
    return task->op == TASK_TERNARIZE && task->plan.spec.has_out &&
           encoding_layout(task->plan.spec.out)->tail_bytes > 0;
}

bool task_interleaves(const struct task *task)
{
    return task->op == TASK_TERNARIZE && task->plan.spec.has_out &&
           encoding_layout(task->plan.spec.out)->interleaved;
}

bool task_deinterleaves(const struct task *task)
{
    return task->op != TASK_TERNARIZE && encoding_layout(task->plan.spec.in)->interleaved;
}

bool task_widens_scales(const struct task *task)
{
    return task->in_scales && plan_in_scales_dtype(&task->plan.spec) != TRIT_F32;
}
