/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "base/number.h"
#include "services/checkpoints/errand.h"
#include "services/checkpoints/matrix_run.h"
#include "services/ternary/tile_compute.h"
#include "services/ternary/tile_refuse.h"

enum {
    BATCH_TILES_MIN = 8,
    BATCH_TILES_MAX = 32,  /* of packed tiles, which are small and quickly done */
    BATCH_BYTES = 1 << 20, /* of all memory of more tiles than the least */
    ALIGN = 64,
};

/* Tiles that are computed and written together, with their memory. The bytes of their outputs
 * are contiguous.
 *
 * While the file is in the system's memory, the worker reads each tile itself into its own
 * memory, which stays in its core's cache. From the first piece on that is not, this thread
 * reads: the bytes of all inputs are contiguous then too. */
struct batch {
    struct matrix_run *run;
    size_t count, done; /* tiles; those that are computed */
    bool worker_reads;
    size_t capacity; /* tiles */
    struct tile tiles[BATCH_TILES_MAX];
    uint8_t *in, *latents, *out, *side;
};

static size_t aligned(uint64_t bytes)
{
    return (size_t)(bytes + ALIGN) / ALIGN * ALIGN;
}

static int no_memory(const struct batch *batch)
{
    return fail(batch->run->failure, TRIT_RESOURCE_EXHAUSTED, NULL, "out of memory");
}

/* Bytes of an element of the latents that a claim is compared with. */
static size_t latent_bytes(const struct task *task)
{
    return task->has_reference ? dtype_bytes(task->reference_dtype) : 0;
}

static size_t batch_tiles(const struct task *task, const struct tile *largest)
{
    const uint64_t bytes = largest->span.in_bytes + largest->span.out_bytes +
                           tile_side_bytes(largest, task) + 1;
    const uint64_t fitting = u64_min(BATCH_BYTES / bytes, BATCH_TILES_MAX);

    return (size_t)u64_min(fitting < BATCH_TILES_MIN ? BATCH_TILES_MIN : fitting,
                           task->plan.tiles);
}

/* The first tile is the largest. -1: no memory. */
static int batch_allocate(struct batch *batch)
{
    const struct task *task = &batch->run->task;
    struct tile *tile = &batch->tiles[0];
    plan_tile(&task->plan, 0, &tile->span);
    const size_t tiles = batch->capacity = batch_tiles(task, tile);
    batch->worker_reads = !task_in_place(task) &&
                          tile->span.in_bytes <= SCRATCH_PART_BYTES &&
                          tile->span.elements * latent_bytes(task) <= SCRATCH_PART_BYTES;
    batch->out = aligned_alloc(ALIGN, aligned(tiles * tile->span.out_bytes));
    batch->side = aligned_alloc(ALIGN, aligned(tiles * tile_side_bytes(tile, task)));
    return batch->out && batch->side ? 0 : no_memory(batch);
}

/* Memory for the inputs of all tiles. */
static int batch_allocate_inputs(struct batch *batch)
{
    const struct task *task = &batch->run->task;
    const size_t tiles = batch->capacity;
    struct tile_span largest;

    if (batch->in)
        return 0;
    plan_tile(&task->plan, 0, &largest);
    batch->in = aligned_alloc(ALIGN, aligned(tiles * largest.in_bytes));
    batch->latents =
        aligned_alloc(ALIGN, aligned(tiles * largest.elements * latent_bytes(task)));
    return batch->in && batch->latents ? 0 : no_memory(batch);
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
    uint8_t *out = batch->out, *side = batch->side;

    batch->count = batch->done = 0;
    while (batch->count < batch->capacity && first < task->plan.tiles) {
        struct tile *tile = &batch->tiles[batch->count++];

        *tile = (struct tile){.state = TILE_FILLING};
        plan_tile(&task->plan, first++, &tile->span);
        tile->out.bytes = out;
        tile->side.bytes = side;
        tile_use(tile, task);
        out += tile->span.out_bytes;
        side += tile_side_bytes(tile, task);
    }
}

/* Gives the tiles that are not done their inputs' memory. */
static void batch_place_inputs(struct batch *batch)
{
    const struct task *task = &batch->run->task;
    uint8_t *in = batch->in, *latents = batch->latents;

    for (size_t i = batch->done; i < batch->count; i++) {
        struct tile *tile = &batch->tiles[i];

        tile->in.bytes = in;
        tile->reference.bytes = latents;
        tile_place_out(tile, task);
        in += tile->span.in_bytes;
        latents += tile->span.elements * latent_bytes(task);
    }
}

/* Reads the inputs of the tiles that are not done. */
static int batch_read(struct batch *batch)
{
    struct matrix_run *run = batch->run;
    const struct tile_span *first = &batch->tiles[batch->done].span;
    const struct tile_span *last = &batch->tiles[batch->count - 1].span;
    const size_t wide = latent_bytes(&run->task);

    if (batch_allocate_inputs(batch) < 0 ||
        (!run->task.held_in &&
         matrix_run_read(run, run->in, first->in_offset, batch->in,
                         last->in_offset + last->in_bytes - first->in_offset) < 0))
        return -1;
    batch_place_inputs(batch);
    return run->latents
               ? matrix_run_read(
                     run, run->latents, first->first_element * wide, batch->latents,
                     (last->first_element + last->elements - first->first_element) * wide)
               : 0;
}

static int batch_progress(const struct batch *batch)
{
    const struct matrix_run *run = batch->run;
    const struct tile_span *last = &batch->tiles[batch->count - 1].span;

    return progress_update(run->progress, last->in_offset + last->in_bytes,
                           run->task.plan.in_bytes) == 0
               ? 0
               : fail(run->failure, TRIT_CANCELLED, NULL, "stopped");
}

/* On a worker. False: it would have to wait. */
static bool try_read(const struct matrix_run *run, struct tile *tile, uint8_t *scratch)
{
    const size_t wide = latent_bytes(&run->task);

    tile->in.bytes = scratch;
    tile->reference.bytes = scratch + SCRATCH_PART_BYTES;
    return matrix_try_read(run->in->matrix, tile->span.in_offset, tile->in.bytes,
                           tile->span.in_bytes) &&
           (!run->latents ||
            matrix_try_read(run->latents->matrix, tile->span.first_element * wide,
                            tile->reference.bytes, tile->span.elements * wide));
}

/* On a worker. */
static void batch_compute(void *arg, uint8_t *scratch)
{
    struct batch *batch = arg;

    for (; batch->done < batch->count; batch->done++) {
        struct tile *tile = &batch->tiles[batch->done];

        if (batch->worker_reads && !try_read(batch->run, tile, scratch)) {
            batch->worker_reads = false;
            return;
        }
        tile_compute(tile, &batch->run->task);
        if (batch->run->task.op == TASK_UNPACK) /* it has no report */
            batch->run->merge.elements += tile->span.elements;
        else
            merge_tile(&batch->run->merge, &batch->run->task, tile);
    }
}

/* Until all tiles are done. */
static int batch_run(struct batch *batch)
{
    const uint64_t elements = batch->count * batch->tiles[0].span.elements;
    int result = 0;

    while (result == 0 && batch->done < batch->count) {
        if (!batch->worker_reads)
            result = batch_read(batch);
        if (result == 0)
            result = errand_run_in(batch->run->pool, elements, batch_compute, batch,
                                   batch->run->failure);
    }
    return result < 0 ? -1 : batch_progress(batch);
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
        result = batch_run(batch);
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
