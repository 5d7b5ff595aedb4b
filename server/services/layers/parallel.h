/* SPDX-License-Identifier: Apache-2.0 */
/* A computation of a call, cut into pieces. Workers take them one by one. A piece depends
 * only on its number and writes to memory of its own, so the result depends neither on
 * threads nor on order.
 *
 *   IDLE --parallel_for_start--> RUNNING --last worker is back--> done(), IDLE again
 *
 * A worker is a job of the pool. It takes pieces until none is left. After 2 ms it queues
 * again if a job waits, so that jobs of other calls can run; after 20 ms it does so in any
 * case. The loop may be one of the workers for 0.2 ms, and up to 1 ms while nothing else waits
 * for it; then it waits for the last pieces for at most 0.05 ms. */
#ifndef SERVICES_LAYERS_PARALLEL_H
#define SERVICES_LAYERS_PARALLEL_H

#include "services/call_job.h"
#include "services/layers/spans.h"
#include "services/shared.h"
#include "work/blocks.h"

enum {
    PIECE_COST = 1 << 20,               /* products in a piece, about */
    PIECE_COST_MAX = 1 << 27,           /* at most, unless 16 rows cost more */
    PARALLEL_FOR_INLINE_COST = 1 << 15, /* up to this cost, the loop computes it */
    /* Up to this cost, and where all workers are idle, the loop computes along with them: it
     * takes longer to wake a worker than to compute such a piece. */
    PARALLEL_FOR_SHARED_COST = 1 << 25,
};
#define PARALLEL_FOR_NEVER_INLINE UINT64_MAX /* it waits for a disk, not for workers */

struct parallel_for;

struct worker {
    struct call_job job;
    struct parallel_for *pieces;
    uint8_t *scratch; /* parallel_for_spec.scratch_bytes of them */
    struct failure failure;
    uint64_t failed_at; /* the piece that failed */
};

struct parallel_for_spec {
    uint64_t count;
    size_t scratch_bytes; /* of each worker, 64-byte aligned */
    uint64_t cost;        /* of all pieces, in products */
    /* A piece takes some microseconds: the loop may compute along, see
     * PARALLEL_FOR_SHARED_COST. */
    bool short_pieces;
    /* Neighbouring pieces read memory that the next call reads too, so each processor begins with
     * a span of its own. Only where no piece fails: which piece fails first depends on their
     * order. */
    bool near;
    /* Runs on a worker. -1 with worker->failure: no further piece begins. */
    int (*run)(struct call *call, uint64_t piece, struct worker *worker);
    /* Runs on the loop, once, after the last worker. If the call has ended by then, its
     * state is not CALL_WORKING. May start pieces again. */
    void (*done)(struct call *call);
};

struct parallel_for { /* zeroed = IDLE */
    struct call *call;
    struct parallel_for_spec spec;
    uint64_t finished; /* pieces that succeeded; valid in done() */
    struct worker *workers;
    uint32_t worker_count, running;
    struct spans spans;
    struct block scratch;
    struct ticket ticket;
    uint64_t ns; /* worker time so far */
    _Atomic uint64_t completed;
};

/* Starts the pieces. If one fails, call->failure holds its failure when done() runs. -1:
 * no memory, or the call is not admitted; with call->failure. */
int parallel_for_start(struct parallel_for *pieces, struct call *call,
                       const struct parallel_for_spec *spec);

/* Whether the call was cancelled. A long piece checks it now and then. */
bool parallel_for_cancelled(const struct parallel_for *pieces);

/* Frees the memory; no piece may be running. Harmless on a zeroed struct. */
void parallel_for_fini(struct parallel_for *pieces, struct call *call);

/* The number of rows in a piece of `rows` of which each costs `row_cost` products: a multiple of
 * 16. */
uint64_t piece_rows(const struct call *call, uint64_t rows, uint64_t row_cost);

/* The number of rows that have about TILE_ELEMENTS_MAX weights: at least one, at most
 * `rows`. */
uint64_t tile_rows(uint64_t rows, uint64_t columns);

/* The length of a piece that begins at `first`: `at_once`, or what is left of `whole`. */
static inline uint64_t piece_length(uint64_t whole, uint64_t first, uint64_t at_once)
{
    return whole - first < at_once ? whole - first : at_once;
}

/* Rounds up to a multiple of 64, so that the next part of the scratch memory is
 * aligned. */
static inline size_t scratch_align(size_t bytes)
{
    return (bytes + 63) & ~(size_t)63;
}

#endif
