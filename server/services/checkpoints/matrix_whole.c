/* SPDX-License-Identifier: Apache-2.0 */
/* A matrix with one scale is one tile. Its codes are in memory; latents are read piece by
 * piece, twice: the first time gives the scale. A claim, or a source that is packed, is in
 * memory as well. */
#include <stdlib.h>

#include "base/number.h"
#include "services/checkpoints/errand.h"
#include "services/checkpoints/matrix_run.h"
#include "services/ternary/tile_compute.h"
#include "services/ternary/tile_pieces.h"
#include "services/ternary/tile_refuse.h"

enum { STRETCH_PIECES = 16 }; /* that are read together */

struct whole {
    struct matrix_run *run;
    struct tile tile;
    struct pieces pieces;
    enum trit_dtype latents_dtype;
    bool coding; /* the second time */
    uint8_t *in, *out, *side, *stretch;
    uint64_t first, count; /* elements in the stretch */
};

static int no_memory(struct whole *whole)
{
    return fail(whole->run->failure, TRIT_RESOURCE_EXHAUSTED, NULL,
                "out of memory for a matrix with one scale");
}

/* ---- latents ------------------------------------------------------------------------- */

/* On a worker. */
static void compute_stretch(void *arg)
{
    struct whole *whole = arg;
    const struct task *task = &whole->run->task;
    const size_t width = dtype_bytes(whole->latents_dtype);

    for (uint64_t at = 0; at < whole->count; at += PIECE_ELEMENTS) {
        const struct piece_of piece = {whole->first + at,
                                       (size_t)u64_min(whole->count - at, PIECE_ELEMENTS),
                                       whole->stretch + at * width};

        if (!whole->coding)
            pieces_measure(&whole->pieces, task, &piece);
        else if (task->op == TASK_TERNARIZE)
            pieces_project(&whole->pieces, &whole->tile, task, &piece);
        else
            pieces_verify(&whole->pieces, &whole->tile, task, &piece);
    }
}

static int pass(struct whole *whole, const struct engine_matrix *latents)
{
    struct matrix_run *run = whole->run;
    const uint64_t all = run->task.plan.elements;
    const size_t width = dtype_bytes(whole->latents_dtype);

    for (whole->first = 0; whole->first < all; whole->first += whole->count) {
        whole->count =
            u64_min(all - whole->first, (uint64_t)STRETCH_PIECES * PIECE_ELEMENTS);
        if (matrix_run_read(run, latents, whole->first * width, whole->stretch,
                            whole->count * width) < 0 ||
            errand_run(run->pool, whole->count, compute_stretch, whole, run->failure) < 0)
            return -1;
        if (progress_update(run->progress, (whole->first + whole->count) * width / 2,
                            all * width) != 0)
            return fail(run->failure, TRIT_CANCELLED, NULL, "stopped");
    }
    return 0;
}

static int read_latents(struct whole *whole, const struct engine_matrix *latents)
{
    whole->latents_dtype = latents->dtype;
    whole->stretch = malloc((size_t)STRETCH_PIECES * PIECE_ELEMENTS * sizeof(float));
    if (!whole->stretch)
        return no_memory(whole);
    if (pass(whole, latents) < 0)
        return -1;
    pieces_measured(&whole->pieces, &whole->run->task);
    whole->coding = true;
    if (pass(whole, latents) < 0)
        return -1;
    pieces_end(&whole->pieces, &whole->tile, &whole->run->task);
    return 0;
}

/* ---- the tile -------------------------------------------------------------------------- */

static int prepare(struct whole *whole)
{
    struct task *task = &whole->run->task;
    struct tile *tile = &whole->tile;
    const bool reads_claim = task->op != TASK_TERNARIZE;

    task->in_pieces = true;
    plan_tile(&task->plan, 0, &tile->span);
    whole->in = malloc(reads_claim ? (size_t)tile->span.in_bytes : 1);
    whole->out = malloc((size_t)tile->span.out_bytes + 1);
    whole->side = aligned_alloc(64, (tile_side_bytes(tile, task) + 64) / 64 * 64);
    if (!whole->in || !whole->out || !whole->side)
        return no_memory(whole);
    tile->in.bytes = whole->in;
    tile->out.bytes = whole->out;
    tile->side.bytes = whole->side;
    tile_use(tile, task);
    return reads_claim ? matrix_run_read(whole->run, whole->run->in, 0, whole->in,
                                         tile->span.in_bytes)
                       : 0;
}

/* On a worker. */
static void compute_tile(void *arg)
{
    struct whole *whole = arg;

    tile_compute(&whole->tile, &whole->run->task);
    merge_tile(&whole->run->merge, &whole->run->task, &whole->tile);
}

static int do_whole(struct whole *whole)
{
    struct matrix_run *run = whole->run;
    const struct engine_matrix *latents =
        run->task.op == TASK_TERNARIZE ? run->in : run->latents;

    if (prepare(whole) < 0 || (latents && read_latents(whole, latents) < 0) ||
        errand_run(run->pool, whole->tile.span.elements, compute_tile, whole,
                   run->failure) < 0 ||
        tile_refuse(&whole->tile, &run->task, run->field, run->failure) < 0)
        return -1;
    return run->task.plan.spec.has_out && run->merge.counts.non_finite == 0
               ? matrix_run_write(run, &whole->tile, 1)
               : 0;
}

int matrix_run_whole(struct matrix_run *run)
{
    struct whole *whole = calloc(1, sizeof(*whole));
    int result;

    if (!whole)
        return fail(run->failure, TRIT_RESOURCE_EXHAUSTED, NULL, "out of memory");
    whole->run = run;
    result = do_whole(whole);
    free(whole->in);
    free(whole->out);
    free(whole->side);
    free(whole->stretch);
    free(whole);
    return result;
}
