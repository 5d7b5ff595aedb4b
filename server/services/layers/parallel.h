/* SPDX-License-Identifier: Apache-2.0 */
/* A computation of a call, cut into pieces that workers take one by one. What a
 * piece computes depends on its number alone and goes to a place of its own, so
 * neither threads nor order show in the result.
 *
 *   IDLE --parallel_for_start--> RUNNING --last worker is back--> done(), IDLE again
 *
 * A worker is a job that takes pieces until none is left, or for a while: then it
 * queues again, so that other calls have their turn. */
#ifndef SERVICES_LAYERS_PARALLEL_H
#define SERVICES_LAYERS_PARALLEL_H

#include "services/shared.h"
#include "work/blocks.h"
#include "work/pool.h"

enum {
    PIECE_COST = 1 << 20,               /* products; what a piece should take about */
    PARALLEL_FOR_INLINE_COST = 1 << 15, /* a computation this small skips the pool */
};
#define PARALLEL_FOR_NEVER_INLINE UINT64_MAX

struct parallel_for;

struct worker {
    struct job job;
    struct parallel_for *pieces;
    uint8_t *scratch; /* of parallel_for_spec.scratch_bytes */
    struct failure failure;
    uint64_t failed_at; /* the piece */
};

struct parallel_for_spec {
    uint64_t count;
    size_t scratch_bytes; /* of each worker, 64-byte aligned */
    uint64_t cost;        /* of all, in products */
    /* On a worker. -1 with worker->failure: no further piece is begun. */
    int (*run)(struct call *call, uint64_t piece, struct worker *worker);
    /* On the loop, once, when no worker runs any more; the call may have ended
     * meanwhile: then its state is not CALL_WORKING. May start pieces again. */
    void (*done)(struct call *call);
};

struct parallel_for { /* zeroed = IDLE */
    struct call *call;
    struct parallel_for_spec spec;
    _Atomic uint64_t next;
    uint64_t finished; /* pieces; valid in done() */
    struct worker *workers;
    uint32_t worker_count, running;
    struct block scratch;
    _Atomic uint64_t completed;
};

/* Where a piece failed, call->failure holds why before done() is called. -1: no
 * memory, with call->failure. */
int parallel_for_start(struct parallel_for *pieces, struct call *call,
                       const struct parallel_for_spec *spec);

/* Gives memory back; nothing may run. Harmless on a zeroed struct. */
void parallel_for_fini(struct parallel_for *pieces, struct call *call);

/* How many rows a piece has when each row costs `row_cost`: a multiple of 16. */
uint64_t piece_rows(uint64_t row_cost);

/* How many of `rows` rows make up about TILE_ELEMENTS_MAX weights: at least one. */
uint64_t tile_rows(uint64_t rows, uint64_t columns);

/* The length of a piece that begins at `first`: `at_once`, or what is left of `whole`. */
static inline uint64_t piece_length(uint64_t whole, uint64_t first, uint64_t at_once)
{
    return whole - first < at_once ? whole - first : at_once;
}

/* A part of a worker's memory begins at a multiple of 64 bytes. */
static inline size_t scratch_align(size_t bytes)
{
    return (bytes + 63) & ~(size_t)63;
}

#endif
