/* SPDX-License-Identifier: Apache-2.0 */
/* The path of a tensor through a call: bytes, tiles, pool, merge, reply.
 *
 * Each byte is copied once, into its tile; of memory that the client shares, by the tile's
 * worker (regions.h). Most projections to codes need no copy: the loop computes them where they
 * were received (pipeline_direct.c). A full tile goes to the pool while the upload continues.
 * Tiles come back in any order and are merged in tile order. At most in_flight_max tiles are
 * between the pool and the socket; above that the peer gets no credit. */
#ifndef TERNARY_PIPELINE_H
#define TERNARY_PIPELINE_H

#include "services/shared.h"
#include "services/ternary/fingerprint.h"
#include "services/ternary/order.h"
#include "services/ternary/regions.h"
#include "services/ternary/report_write.h"

enum {
    /* Of a unary call: some for the loop and for each thread. More would not be faster, and
     * many calls at once would hold much memory. A stream's tiles wait for the socket too. */
    TILES_IN_FLIGHT_BASE = 4,
    TILES_IN_FLIGHT_PER_THREAD = 2,
    TILES_IN_FLIGHT_MAX = 32,
    /* Of a unary call whose bytes lie in the client's memory: some milliseconds of work, so
     * that no worker waits where the loop waits for a core. */
    TILES_BORROWING_MAX = 64,
    /* Tiles of the client's memory that one job computes: each job wakes the loop, and only
     * within a job is the next tile fetched while one is computed. */
    BUNDLE_TILES_MAX = 8,
    /* A tensor this small is computed on the loop. So is one up to inline_bytes_max, if
     * the method has taken no longer than this for a tile: other calls wait meanwhile. */
    INLINE_TINY_BYTES_MAX = 32 << 10,
    INLINE_TILE_NS_MAX = 100 * 1000,
    AHEAD_BYTES_MAX = 16 << 20 /* in a stream: bytes of one input ahead of the other */
};

struct gather;
struct held_input;
struct pipeline;
struct twice;

/* One of the two tensors of a request, and where its next byte goes. */
struct input {
    const char *field; /* its name in messages: "tensor.data", "chunk.data" */
    struct tile *tile; /* being filled; NULL: not created yet */
    uint64_t next;     /* index of that tile */
    uint64_t received, expected;
    /* Takes bytes that are counted already, in place of tiles that are filled; reads each
     * byte once. NULL: tiles are filled. May end the call. -1: call->failure. */
    int (*fill)(struct pipeline *pipeline, const uint8_t *bytes, size_t count);
    /* The same, for bytes that the client can no longer change. NULL: there is no such way. */
    int (*direct)(struct pipeline *pipeline, const uint8_t *bytes, size_t count);
};

/*   PLANNING --pipeline_start--> FILLING --pipeline_request_done--> MERGING
 *                                                                    |
 *                                         COMPLETE <--last tile merged
 *
 * From FILLING on the task and its plan are constant, with one exception: where a
 * reference comes first they describe the reference until pipeline_replan. */
enum pipeline_state {
    PIPELINE_PLANNING,
    PIPELINE_FILLING,
    PIPELINE_MERGING, /* all bytes have arrived */
    PIPELINE_COMPLETE,
    PIPELINE_STATES
};
extern const struct states pipeline_states;

struct pipeline {
    struct call *call;
    struct task task;
    enum pipeline_state state;
    bool emits_chunks;       /* send each merged tile as messages of its own */
    bool replies_in_memory;  /* a stream: outputs may overwrite chunks in memory */
    struct regions *regions; /* NULL: the call uses no memory of the client */
    void (*room)(struct pipeline *pipeline); /* called when a tile has left, or NULL */
    void (*more)(struct pipeline *pipeline); /* the same, for a held input */
    struct timer more_soon;                  /* calls more() in the loop's next turn */
    struct list tiles;                       /* not merged yet, in tile order */
    struct list held;                        /* merged, waiting for the reply */
    struct input tensor, reference;
    struct twice *twice;           /* NULL: each input comes once */
    struct gather *gather;         /* NULL: the input is not read in pieces */
    struct held_input *held_input; /* NULL: the input is not held whole */
    /* The hash of the latents if the report is stored, else NULL. */
    struct fingerprint *fingerprint;
    uint8_t *in_scales; /* separate scales of the input; grows as they arrive */
    size_t in_scales_count, in_scales_capacity;
    struct order order; /* in which workers fill `merge` */
    struct merge merge; /* the loop reads it when all tiles have been taken */
    bool non_finite;    /* some tile that was taken has a NaN or infinity */
    uint64_t taken;     /* tiles that are merged and left `tiles` */
    uint32_t in_flight; /* tiles submitted and neither held nor recycled yet */
    uint32_t in_flight_max;
    struct tile *bundle; /* the first of the tiles that wait to be one job; NULL: none */
    struct tile *bundle_end;
    uint32_t bundle_count;
    struct report_write report_write;
    /* Called once, when the pipeline is COMPLETE. */
    void (*complete)(struct call *call);
};

void pipeline_init(struct pipeline *pipeline, struct call *call,
                   void (*complete)(struct call *call));

/* Takes the next bytes of the separate scales, which come before the data. */
int pipeline_take_scales(struct pipeline *pipeline, const uint8_t *bytes, size_t count);

/* The input that holds latents: the tensor of a projection, or a reference. NULL: the
 * request has no latents. */
const struct input *pipeline_latents(const struct pipeline *pipeline);

/* With pipeline->task filled: prepares the merge and the inputs, and opens the write of
 * the report if it is WANTED. */
int pipeline_start(struct pipeline *pipeline);

/* After pipeline_start: a projection is computed where its bytes were received, if that gives the
 * same and the method is quick enough. */
void pipeline_direct_start(struct pipeline *pipeline);

/* The tensor's own header came after its reference. The shape is the same; the element
 * type may differ. */
void pipeline_replan(struct pipeline *pipeline, const struct plan *plan);

/* Takes the next bytes of an input. May end the call. -1: call->failure. */
int pipeline_feed(struct pipeline *pipeline, struct input *input, const uint8_t *bytes,
                  size_t count);

/* The next bytes of an input lie in this region; of a stream it is a chunk. `field` names it
 * in messages. May end the call. -1: call->failure. */
int pipeline_feed_region(struct pipeline *pipeline, struct input *input,
                         const struct wire_region *region, const char *field);

/* The output goes to this region, if it is present, in place of the reply; with the plan,
 * before the first byte. */
int pipeline_reply_region(struct pipeline *pipeline, const struct wire_region *region);

/* The inputs are complete and the peer has half-closed. complete() is called from here or
 * when the last tile is merged. */
void pipeline_request_done(struct pipeline *pipeline);

/* Lends a copy of a few bytes, which the first held tile keeps, before the scales and outputs.
 * False: it has no room for so many, or there is none. */
bool pipeline_lend_head(struct pipeline *pipeline, const uint8_t *bytes, size_t count);

/* Lend the separate scales, or the outputs, of all held tiles to the stream. Lend the
 * scales first: lending the outputs empties the list of held tiles. */
void pipeline_lend_scales(struct pipeline *pipeline);
void pipeline_lend_outputs(struct pipeline *pipeline);

void pipeline_cancel(struct pipeline *pipeline);
void pipeline_fini(struct pipeline *pipeline);

#endif
