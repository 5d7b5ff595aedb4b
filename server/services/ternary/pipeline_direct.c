/* SPDX-License-Identifier: Apache-2.0 */
/* The loop projects whole groups where they were received, in its cache: to copy them into a tile
 * that a worker reads from memory takes about as long, and the worker's time comes on top. Only a
 * group that arrives in parts is put together in the tile. Not for a dense output: there the copy
 * is the output's memory, too. */
#include <string.h>

#include "base/clock.h"
#include "services/ternary/pipeline_impl.h"
#include "services/ternary/tile_compute.h"

/* The parts of a run of groups of one length. */
struct group_bytes {
    size_t in, out, codes;
};

static struct group_bytes group_bytes_of(const struct task *task,
                                         const struct tile_span *span)
{
    return (struct group_bytes){.in = task->plan.spec.group_size *
                                      dtype_bytes(task->plan.spec.dtype),
                                .out = (size_t)(span->out_bytes / span->groups),
                                .codes = (task->plan.spec.group_size + 3) / 4};
}

/* Each group has the same number of bytes. */
static bool suits(const struct pipeline *pipeline)
{
    const struct task *task = &pipeline->task;
    const struct plan *plan = &task->plan;

    return task->op == TASK_TERNARIZE && plan->spec.has_out && !task_in_place(task) &&
           !plan->whole && plan->tail_len == plan->spec.group_size &&
           plan->spec.group_size * dtype_bytes(plan->spec.dtype) <=
               BLOCKS_SMALLEST_BYTES &&
           !pipeline_is_tiny(pipeline);
}

/* A tile is either copied or computed directly, whole. */
static bool next_is_direct(const struct pipeline *pipeline)
{
    const struct input *input = &pipeline->tensor;
    struct tile_span span;

    if (input->tile || pipeline->regions)
        return input->tile && input->tile->direct;
    plan_tile(&pipeline->task.plan, input->next, &span);
    return pipeline_computes_directly(pipeline, span.elements);
}

/* The tile that the input fills next, with memory for its results. NULL: no memory. */
static struct tile *next_tile(struct pipeline *pipeline)
{
    const struct services_config *config = &services_of(pipeline->call)->config;
    struct tile *tile = pipeline_next_tile(pipeline, &pipeline->tensor);

    if (!tile || tile->prepared)
        return tile;
    tile->direct = true;
    if (tile_prepare(tile, &pipeline->task, config->blocks, pipeline->call->account) < 0)
        return NULL;
    tile->prepared = true;
    return tile;
}

/* Computes the tile's next groups, whose bytes are at `in`. */
static void compute(struct tile *tile, const struct task *task, const uint8_t *in,
                    uint64_t count)
{
    const struct group_bytes bytes = group_bytes_of(task, &tile->span);
    const uint64_t first = tile->direct_groups;
    const struct group_range range = {
        .first_group = first,
        .count = count,
        .group_len = task->plan.spec.group_size,
        .divisor = task->plan.spec.group_size,
        .element = first * task->plan.spec.group_size,
        .out_offset = first * bytes.out,
        .code_offset = first * bytes.codes,
    };
    struct kernels_env env;

    kernels_enter(&env);
    tile_ternarize(tile, task, &range, in);
    kernels_leave(&env);
    tile->direct_groups += count;
}

/* Adds to the group that has arrived in part. Returns how many bytes it took; -1: no
 * memory. */
static ssize_t add_to_group(struct pipeline *pipeline, struct tile *tile,
                            const uint8_t *bytes, size_t count)
{
    const struct task *task = &pipeline->task;
    const size_t whole = group_bytes_of(task, &tile->span).in;
    const size_t left = whole - tile->in_filled;
    const size_t taken = count < left ? count : left;

    if (!tile->in.bytes && call_block(pipeline->call, whole, &tile->in) < 0)
        return -1;
    memcpy(tile->in.bytes + tile->in_filled, bytes, taken);
    tile->in_filled += taken;
    if (tile->in_filled == whole) {
        compute(tile, task, tile->in.bytes, 1);
        tile->in_filled = 0;
    }
    return (ssize_t)taken;
}

/* Returns how many of the bytes the tile took; -1: no memory. */
static ssize_t take(struct pipeline *pipeline, struct tile *tile, const uint8_t *bytes,
                    size_t count)
{
    const size_t whole = group_bytes_of(&pipeline->task, &tile->span).in;
    const uint64_t left = tile->span.groups - tile->direct_groups;
    const uint64_t groups = count / whole < left ? count / whole : left;

    if (tile->in_filled > 0 || groups == 0)
        return add_to_group(pipeline, tile, bytes, count);
    compute(tile, &pipeline->task, bytes, groups);
    return (ssize_t)(groups * whole);
}

/* Fills the tile, as far as the bytes go. Returns how many it took; -1: no memory. */
static ssize_t fill(struct pipeline *pipeline, struct tile *tile, const uint8_t *bytes,
                    size_t count)
{
    const uint64_t begin_ns = clock_monotonic_ns();
    size_t at = 0;

    while (at < count && tile->direct_groups < tile->span.groups) {
        const ssize_t taken = take(pipeline, tile, bytes + at, count - at);

        if (taken < 0)
            return -1;
        at += (size_t)taken;
    }
    if (pipeline->fingerprint)
        fingerprint_update(pipeline->fingerprint, bytes, at);
    tile->direct_ns += clock_monotonic_ns() - begin_ns;
    return (ssize_t)at;
}

/* No byte of the call comes from memory of the client once one has come here. So the loop hashes
 * the latents as they arrive, also of tiles that workers compute; before the first of them. */
static int take_bytes(struct pipeline *pipeline, const uint8_t *bytes, size_t count)
{
    struct call *call = pipeline->call;

    if (pipeline->merge.latents && count > 0)
        pipeline->merge.latents = NULL;
    if (!next_is_direct(pipeline))
        return pipeline_fill(pipeline, &pipeline->tensor, bytes, count);
    while (count > 0) {
        struct tile *tile = next_tile(pipeline);
        const ssize_t taken = tile ? fill(pipeline, tile, bytes, count) : -1;

        if (taken < 0)
            return memory_spent(call);
        bytes += taken;
        count -= (size_t)taken;
        if (tile->direct_groups < tile->span.groups)
            continue;
        if (pipeline_filled(pipeline, &pipeline->tensor, tile) < 0)
            return -1;
        if (call->state == CALL_ENDED || call->state == CALL_CLOSED)
            return 0;
    }
    return 0;
}

void pipeline_direct_start(struct pipeline *pipeline)
{
    if (suits(pipeline))
        pipeline->tensor.direct = take_bytes;
}
