/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "services/checkpoints/errand.h"
#include "services/checkpoints/matrix_run.h"
#include "services/ternary/tile_compute.h"
#include "services/ternary/tile_refuse.h"

enum { BATCH_TILES = 8, ALIGN = 64 };

/* Tiles that are read, computed and written together, with their memory. The bytes of their
 * inputs and outputs are contiguous. */
struct batch {
    struct matrix_run *run;
    size_t count;
    struct tile tiles[BATCH_TILES];
    uint8_t *in, *latents, *out, *side;
};

static size_t aligned(uint64_t bytes)
{
    return (size_t)(bytes + ALIGN) / ALIGN * ALIGN;
}

/* The first tile is the largest. -1: no memory. */
static int batch_allocate(struct batch *batch)
{
    const struct task *task = &batch->run->task;
    struct tile *tile = &batch->tiles[0];
    const size_t tiles =
        task->plan.tiles < BATCH_TILES ? (size_t)task->plan.tiles : BATCH_TILES;
    const size_t wide =
        task->has_reference ? dtype_bytes(task->reference_dtype) : (size_t)0;

    plan_tile(&task->plan, 0, &tile->span);
    batch->in = aligned_alloc(ALIGN, aligned(tiles * tile->span.in_bytes));
    batch->out = aligned_alloc(ALIGN, aligned(tiles * tile->span.out_bytes));
    batch->latents = aligned_alloc(ALIGN, aligned(tiles * tile->span.elements * wide));
    batch->side = aligned_alloc(ALIGN, aligned(tiles * tile_side_bytes(tile, task)));
    return batch->in && batch->out && batch->latents && batch->side
               ? 0
               : fail(batch->run->failure, TRIT_RESOURCE_EXHAUSTED, NULL,
                      "out of memory");
}

static void batch_free(struct batch *batch)
{
    if (!batch)
        return;
    free(batch->in);
    free(batch->out);
    free(batch->latents);
    free(batch->side);
    free(batch);
}

/* The next tiles, from `first` on. */
static void batch_place(struct batch *batch, uint64_t first)
{
    const struct task *task = &batch->run->task;
    const size_t wide =
        task->has_reference ? dtype_bytes(task->reference_dtype) : (size_t)0;
    uint8_t *in = batch->in, *out = batch->out, *side = batch->side;
    uint8_t *latents = batch->latents;

    batch->count = 0;
    while (batch->count < BATCH_TILES && first < task->plan.tiles) {
        struct tile *tile = &batch->tiles[batch->count++];

        *tile = (struct tile){.state = TILE_FILLING};
        plan_tile(&task->plan, first++, &tile->span);
        tile->in.bytes = in;
        tile->out.bytes = out;
        tile->reference.bytes = latents;
        tile->side.bytes = side;
        tile_use(tile, task);
        in += tile->span.in_bytes;
        out += tile->span.out_bytes;
        latents += tile->span.elements * wide;
        side += tile_side_bytes(tile, task);
    }
}

static int batch_read(struct batch *batch)
{
    struct matrix_run *run = batch->run;
    const struct tile_span *first = &batch->tiles[0].span;
    const struct tile_span *last = &batch->tiles[batch->count - 1].span;
    const uint64_t end = last->in_offset + last->in_bytes;

    if (!run->task.held_in && matrix_run_read(run, run->in, first->in_offset, batch->in,
                                              end - first->in_offset) < 0)
        return -1;
    if (run->latents) {
        const size_t wide = dtype_bytes(run->task.reference_dtype);

        if (matrix_run_read(
                run, run->latents, first->first_element * wide, batch->latents,
                (last->first_element + last->elements - first->first_element) * wide) < 0)
            return -1;
    }
    return progress_update(run->progress, end, run->task.plan.in_bytes) == 0
               ? 0
               : fail(run->failure, TRIT_CANCELLED, NULL, "stopped");
}

/* On a worker. */
static void batch_compute(void *arg)
{
    struct batch *batch = arg;

    for (size_t i = 0; i < batch->count; i++) {
        tile_compute(&batch->tiles[i], &batch->run->task);
        if (batch->run->task.op == TASK_UNPACK) /* it has no report */
            batch->run->merge.elements += batch->tiles[i].span.elements;
        else
            merge_tile(&batch->run->merge, &batch->run->task, &batch->tiles[i]);
    }
}

static int batch_check(struct batch *batch)
{
    const struct task *task = &batch->run->task;

    for (size_t i = 0; i < batch->count; i++)
        if (tile_refuse(&batch->tiles[i], task, batch->run->field, batch->run->failure) <
            0)
            return -1;
    return 0;
}

static int do_batches(struct batch *batch)
{
    struct matrix_run *run = batch->run;
    int result = batch_allocate(batch);

    for (uint64_t at = 0; result == 0 && at < run->task.plan.tiles; at += batch->count) {
        batch_place(batch, at);
        result = batch_read(batch);
        if (result == 0)
            result = errand_run(run->pool, batch->count * batch->tiles[0].span.elements,
                                batch_compute, batch, run->failure);
        if (result == 0)
            result = batch_check(batch);
        /* A matrix with values that are not finite has no output. */
        if (result == 0 && run->task.plan.spec.has_out &&
            run->merge.counts.non_finite == 0)
            result = matrix_run_write(run, batch->tiles, batch->count);
    }
    return result;
}

int matrix_run_tiles(struct matrix_run *run)
{
    struct batch *batch = calloc(1, sizeof(*batch));
    int result;

    if (!batch)
        return fail(run->failure, TRIT_RESOURCE_EXHAUSTED, NULL, "out of memory");
    batch->run = run;
    result = do_batches(batch);
    batch_free(batch);
    return result;
}
