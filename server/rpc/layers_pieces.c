#include "rpc/layers_pieces.h"

#include <stdlib.h>

#include "base/clock.h"
#include "kernels/kernels.h"
#include "obs/metrics.h"
#include "rpc/layers_call.h"

enum { LANE_NS_MAX = 2000000 }; /* then a lane queues again */

static bool cancelled(const struct pieces *pieces)
{
    return atomic_load_explicit(&pieces->call->cancelled, memory_order_relaxed);
}

static bool pieces_left(struct pieces *pieces)
{
    return !cancelled(pieces) && atomic_load(&pieces->next) < pieces->spec.count;
}

static void take_pieces(struct pieces *pieces, struct lane *lane, uint64_t begin_ns)
{
    while (!cancelled(pieces) && clock_monotonic_ns() - begin_ns < LANE_NS_MAX) {
        uint64_t piece = atomic_fetch_add(&pieces->next, 1);

        if (piece >= pieces->spec.count)
            return;
        if (pieces->spec.run(pieces->call, piece, lane) < 0) {
            lane->failed_at = piece;
            atomic_store(&pieces->next, pieces->spec.count);
            return;
        }
        atomic_fetch_add(&pieces->completed, 1);
    }
}

static void lane_worked(struct job *job)
{
    struct lane *lane = LIST_OWNER(job, struct lane, job);
    uint64_t begin_ns = clock_monotonic_ns();

    take_pieces(lane->pieces, lane, begin_ns);
    metric_add(lane->pieces->call->rpc->config.metrics, M_LAYER_NS,
               clock_monotonic_ns() - begin_ns);
}

/* The failure of the first piece that failed. */
static void gather_failure(struct pieces *pieces)
{
    const struct lane *first = NULL;

    for (uint32_t i = 0; i < pieces->lane_count; i++) {
        const struct lane *lane = &pieces->lanes[i];

        if (lane->failure.status != TRIT_OK &&
            (!first || lane->failed_at < first->failed_at))
            first = lane;
    }
    if (first && pieces->call->failure.status == TRIT_OK)
        pieces->call->failure = first->failure;
}

static void lane_worked_cb(struct job *job)
{
    struct lane *lane = LIST_OWNER(job, struct lane, job);
    struct pieces *pieces = lane->pieces;
    struct call *call = pieces->call;

    if (lane->failure.status == TRIT_OK && pieces_left(pieces)) {
        pool_submit(call->rpc->config.pool, job);
        return;
    }
    if (--pieces->running == 0) {
        gather_failure(pieces);
        pieces->finished = atomic_load(&pieces->completed);
        pieces->spec.done(call);
    }
    call_release(call);
}

static size_t align_up(size_t bytes)
{
    return (bytes + 63) & ~(size_t)63;
}

/* Lanes with scratch memory: as many as the budget has room for, one at least. */
static int make_lanes(struct pieces *pieces, uint32_t wanted)
{
    struct call *call = pieces->call;
    size_t scratch = align_up(pieces->spec.scratch_bytes);

    while (scratch &&
           blocks_get(call->rpc->config.blocks, scratch * wanted, &pieces->scratch) < 0) {
        if (wanted == 1)
            return memory_spent(call);
        wanted /= 2;
    }
    pieces->lanes = calloc(wanted, sizeof(*pieces->lanes));
    if (!pieces->lanes)
        return memory_spent(call);
    pieces->lane_count = wanted;
    for (uint32_t i = 0; i < wanted; i++) {
        struct lane *lane = &pieces->lanes[i];

        lane->pieces = pieces;
        lane->scratch = scratch ? pieces->scratch.bytes + i * scratch : NULL;
        lane->job = (struct job){
            .run = lane_worked, .done = lane_worked_cb, .cancelled = &call->cancelled};
    }
    return 0;
}

static void run_here(struct lane *lane)
{
    struct kernels_env env;

    kernels_enter(&env);
    while (lane->failure.status == TRIT_OK && pieces_left(lane->pieces))
        lane_worked(&lane->job);
    kernels_leave(&env);
    lane_worked_cb(&lane->job);
}

int pieces_start(struct pieces *pieces, struct call *call, const struct pieces_spec *spec)
{
    bool here = spec->cost <= PIECES_INLINE_COST;
    uint32_t threads = here ? 1 : pool_threads(call->rpc->config.pool);
    uint32_t wanted = spec->count < threads ? (uint32_t)spec->count : threads;

    pieces_fini(pieces, call);
    pieces->call = call;
    pieces->spec = *spec;
    atomic_store(&pieces->next, 0);
    atomic_store(&pieces->completed, 0);
    if (make_lanes(pieces, wanted ? wanted : 1) < 0)
        return -1;
    pieces->running = wanted = pieces->lane_count;
    for (uint32_t i = 0; i < wanted; i++)
        call_hold(call);
    if (here) {
        run_here(&pieces->lanes[0]);
        return 0;
    }
    for (uint32_t i = 0; i < wanted; i++)
        pool_submit(call->rpc->config.pool, &pieces->lanes[i].job);
    return 0;
}

void pieces_fini(struct pieces *pieces, struct call *call)
{
    blocks_put(call->rpc->config.blocks, &pieces->scratch);
    free(pieces->lanes);
    pieces->lanes = NULL;
    pieces->lane_count = 0;
}

uint64_t piece_rows(uint64_t row_cost)
{
    uint64_t rows = row_cost ? PIECE_COST / row_cost : PIECE_COST;

    return rows < 16 ? 16 : rows / 16 * 16;
}
