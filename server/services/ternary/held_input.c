/* SPDX-License-Identifier: Apache-2.0 */
#include "services/ternary/held_input.h"

#include <string.h>

#include "base/account.h"
#include "services/admission.h"
#include "services/ternary/pipeline_impl.h"

static bool goes_on(const struct call *call)
{
    return call->state != CALL_ENDED && call->state != CALL_CLOSED &&
           !atomic_load(&call->cancelled);
}

static int make_tiles(struct pipeline *pipeline)
{
    struct input *input = &pipeline->tensor;

    while (input->next < pipeline->task.plan.tiles &&
           pipeline->in_flight < pipeline->in_flight_max && goes_on(pipeline->call)) {
        struct tile *tile = pipeline_next_tile(pipeline, input);

        if (!tile)
            return memory_spent(pipeline->call);
        if (pipeline_fill_from(pipeline, input, tile, NULL) < 0)
            return -1;
    }
    return 0;
}

static int make_some(struct pipeline *pipeline)
{
    struct held_input *held = pipeline->held_input;
    int result;

    if (held->making || !pipeline->task.held_in)
        return 0;
    held->making = true;
    result = make_tiles(pipeline);
    held->making = false;
    return result;
}

static int fill(struct pipeline *pipeline, const uint8_t *bytes, size_t count)
{
    struct held_input *held = pipeline->held_input;
    const size_t all = (size_t)pipeline->tensor.expected;

    if (call_admit(pipeline->call, pipeline->task.plan.elements) < 0)
        return -1;
    if (call_block_grow(pipeline->call, &held->bytes, held->count, count, all) < 0)
        return memory_spent(pipeline->call);
    memcpy(held->bytes.bytes + held->count, bytes, count);
    held->count += count;
    if (held->count < all)
        return 0;
    pipeline->task.held_in = held->bytes.bytes;
    return make_some(pipeline);
}

static void go_on(struct pipeline *pipeline)
{
    if (goes_on(pipeline->call) && make_some(pipeline) < 0)
        call_end(pipeline->call);
}

static void go_on_soon(struct timer *timer)
{
    go_on(LIST_OWNER(timer, struct pipeline, more_soon));
}

int held_input_start(struct pipeline *pipeline)
{
    const struct task *task = &pipeline->task;
    struct call *call = pipeline->call;

    if (task->op != TASK_PACK || task->plan.whole ||
        encoding_layout(task->plan.spec.in)->scales != SCALES_TENSOR)
        return 0;
    pipeline->held_input =
        account_calloc(call->account, 1, sizeof(*pipeline->held_input));
    if (!pipeline->held_input)
        return memory_spent(call);
    pipeline->tensor.fill = fill;
    pipeline->more = go_on;
    timer_init(&pipeline->more_soon, go_on_soon);
    return 0;
}

void held_input_free(struct pipeline *pipeline)
{
    if (!pipeline->held_input)
        return;
    blocks_put(services_of(pipeline->call)->config.blocks, &pipeline->held_input->bytes);
    account_free(pipeline->call->account, pipeline->held_input);
    pipeline->held_input = NULL;
}
