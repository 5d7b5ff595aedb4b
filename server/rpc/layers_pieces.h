/* A computation of a call, cut into pieces that workers take one by one. What a
 * piece computes depends on its number alone and goes to a place of its own, so
 * neither threads nor order show in the result.
 *
 *   IDLE --pieces_start--> RUNNING --last lane is back--> done(), IDLE again
 *
 * A lane is a job that takes pieces until none is left, or for a while: then it
 * queues again, so that other calls have their turn. */
#ifndef RPC_LAYERS_PIECES_H
#define RPC_LAYERS_PIECES_H

#include "rpc/call.h"
#include "work/blocks.h"
#include "work/pool.h"

enum {
    PIECE_COST = 1 << 20,         /* products; what a piece should take about */
    PIECES_INLINE_COST = 1 << 15, /* a computation this small skips the pool */
};
#define PIECES_NEVER_INLINE UINT64_MAX

struct pieces;

struct lane {
    struct job job;
    struct pieces *pieces;
    uint8_t *scratch; /* of pieces_spec.scratch_bytes */
    struct failure failure;
    uint64_t failed_at; /* the piece */
};

struct pieces_spec {
    uint64_t count;
    size_t scratch_bytes; /* of each lane, 64-byte aligned */
    uint64_t cost;        /* of all, in products */
    /* On a worker. -1 with lane->failure: no further piece is begun. */
    int (*run)(struct call *call, uint64_t piece, struct lane *lane);
    /* On the loop, once, when no lane runs any more; the call may have ended
     * meanwhile: then its state is not CALL_WORKING. May start pieces again. */
    void (*done)(struct call *call);
};

struct pieces { /* zeroed = IDLE */
    struct call *call;
    struct pieces_spec spec;
    _Atomic uint64_t next;
    uint64_t finished; /* pieces; valid in done() */
    struct lane *lanes;
    uint32_t lane_count, running;
    struct block scratch;
    _Atomic uint64_t completed;
};

/* Where a piece failed, call->failure holds why before done() is called. -1: no
 * memory, with call->failure. */
int pieces_start(struct pieces *pieces, struct call *call,
                 const struct pieces_spec *spec);

/* Gives memory back; nothing may run. Harmless on a zeroed struct. */
void pieces_fini(struct pieces *pieces, struct call *call);

/* How many rows a piece has when each row costs `row_cost`: a multiple of 16. */
uint64_t piece_rows(uint64_t row_cost);

#endif
