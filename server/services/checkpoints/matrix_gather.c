/* SPDX-License-Identifier: Apache-2.0 */
/* A matrix that gets one scale by packing (services/ternary/gathered.h). */
#include <stdlib.h>

#include "services/checkpoints/errand.h"
#include "services/checkpoints/matrix_run.h"
#include "services/ternary/gathered.h"
#include "services/ternary/tile_compute.h"
#include "services/ternary/tile_refuse.h"

struct gathering {
    struct matrix_run *run;
    struct gathered pieces;
    struct tile tile; /* of the matrix */
    uint8_t *in, *side, *codes, *scales, *out, *tile_side;
};

static int no_memory(const struct gathering *gathering)
{
    return fail(gathering->run->failure, TRIT_RESOURCE_EXHAUSTED, NULL,
                "out of memory for a matrix with one scale");
}

static uint8_t *allocate_side(const struct tile *tile, const struct task *task)
{
    return aligned_alloc(64, (tile_side_bytes(tile, task) + 64) / 64 * 64);
}

/* ---- the pieces ------------------------------------------------------------------------- */

/* On a worker. */
static void compute_piece(void *arg)
{
    struct gathering *gathering = arg;
    struct gathered *pieces = &gathering->pieces;

    tile_use(&pieces->tile, &pieces->task);
    tile_pack_piece(&pieces->tile, &pieces->task, &pieces->shared);
}

static int do_piece(struct gathering *gathering, uint64_t at)
{
    struct matrix_run *run = gathering->run;
    struct gathered *pieces = &gathering->pieces;
    const uint64_t bytes = pieces->tile.span.in_bytes;

    if (matrix_run_read(run, run->in, at, gathering->in, bytes) < 0 ||
        errand_run(run->pool, pieces->tile.span.elements, compute_piece, gathering,
                   run->failure) < 0)
        return -1;
    if (pieces->tile.misfit.kind != MISFIT_NONE)
        return misfit_refuse(&pieces->tile.misfit, &run->task.plan, run->field,
                             run->failure);
    gathered_keep(pieces, gathering->codes, gathering->scales);
    return progress_update(run->progress, at + bytes, run->task.plan.in_bytes) == 0
               ? 0
               : fail(run->failure, TRIT_CANCELLED, NULL, "stopped");
}

/* The first piece is the largest. */
static int do_pieces(struct gathering *gathering)
{
    struct gathered *pieces = &gathering->pieces;
    uint64_t at = 0;

    gathered_init(pieces, &gathering->run->task);
    gathering->in = malloc((size_t)pieces->tile.span.in_bytes + 1);
    gathering->side = allocate_side(&pieces->tile, &pieces->task);
    gathering->codes = malloc(gathered_code_bytes(pieces) + 1);
    gathering->scales = malloc(gathered_scale_bytes(pieces) + 1);
    if (!gathering->in || !gathering->side || !gathering->codes || !gathering->scales)
        return no_memory(gathering);
    pieces->tile.in.bytes = gathering->in;
    pieces->tile.side.bytes = gathering->side;
    while (!gathered_all(pieces)) {
        const uint64_t bytes = pieces->tile.span.in_bytes;

        if (do_piece(gathering, at) < 0)
            return -1;
        at += bytes;
    }
    return 0;
}

/* ---- the matrix ------------------------------------------------------------------------- */

/* On a worker. */
static void compute_tile(void *arg)
{
    struct gathering *gathering = arg;
    const struct task *task = &gathering->run->task;

    tile_compute(&gathering->tile, task);
    merge_tile(&gathering->run->merge, task, &gathering->tile);
}

static int do_tile(struct gathering *gathering)
{
    struct matrix_run *run = gathering->run;
    struct tile *tile = &gathering->tile;

    plan_tile(&run->task.plan, 0, &tile->span);
    gathering->out = malloc((size_t)tile->span.out_bytes + 1);
    gathering->tile_side = allocate_side(tile, &run->task);
    if (!gathering->out || !gathering->tile_side)
        return no_memory(gathering);
    tile->in.bytes = gathering->codes;
    tile->out.bytes = gathering->out;
    tile->side.bytes = gathering->tile_side;
    tile_use(tile, &run->task);
    gathered_finish(&gathering->pieces, gathering->scales, tile);
    if (errand_run(run->pool, tile->span.elements, compute_tile, gathering,
                   run->failure) < 0 ||
        tile_refuse(tile, &run->task, run->field, run->failure) < 0)
        return -1;
    return matrix_run_write(run, tile, 1);
}

int matrix_run_gather(struct matrix_run *run)
{
    struct gathering *gathering = calloc(1, sizeof(*gathering));
    int result;

    if (!gathering)
        return fail(run->failure, TRIT_RESOURCE_EXHAUSTED, NULL, "out of memory");
    gathering->run = run;
    result = do_pieces(gathering);
    if (result == 0)
        result = do_tile(gathering);
    free(gathering->in);
    free(gathering->side);
    free(gathering->codes);
    free(gathering->scales);
    free(gathering->out);
    free(gathering->tile_side);
    free(gathering);
    return result;
}
