/* A tensor's way through a call: bytes -> tiles -> pool -> merge, in order.
 *
 * Arriving bytes are copied once, into the tile they belong to. A full tile
 * goes to the pool at once, while the upload goes on; results come back in any
 * order and are merged in tile order. At most TILES_IN_FLIGHT_MAX tiles are
 * between the pool and the socket; above that the peer gets no credit. */
#ifndef RPC_FLOW_H
#define RPC_FLOW_H

#include "rpc/call.h"
#include "rpc/fingerprint.h"
#include "rpc/merge.h"
#include "rpc/record.h"

enum {
    TILES_IN_FLIGHT_MAX = 32,
    INLINE_BYTES_MAX = 32768,  /* a lone tile this small skips the pool */
    AHEAD_BYTES_MAX = 16 << 20 /* of one feed waiting for the other, in a stream */
};

/* One of the two tensors that arrive: where its next byte goes. */
struct feed {
    const char *field; /* "tensor.data", "chunk.data", ... for messages */
    struct tile *tile; /* being filled; NULL = the next one is not made yet */
    uint64_t next;     /* index of that tile */
    uint64_t received, expected;
};

struct flow {
    struct call *call;
    struct task task;
    bool started;      /* task and plan are final or, until the tensor's own
                          header came, those of its reference */
    bool emits_chunks; /* each merged tile leaves as messages of its own */
    bool request_done;
    struct list tiles; /* in order, not yet merged */
    struct list held;  /* merged; their output waits for the reply */
    struct feed tensor, reference;
    /* Of the latents' bytes, where the report is filed; else NULL. */
    struct fingerprint *fingerprint;
    uint8_t *in_scales; /* as they came; grown as they came */
    size_t in_scales_count, in_scales_capacity;
    struct merge merge;
    uint64_t merged;    /* tiles */
    uint32_t in_flight; /* submitted and not yet back */
    struct record record;
    /* All tiles are merged and the request is complete. */
    void (*complete)(struct call *call);
};

void flow_init(struct flow *flow, struct call *call, void (*complete)(struct call *call));

/* Separate scales come before the data. */
int flow_scales(struct flow *flow, const uint8_t *bytes, size_t count);

/* The feed that brings latents: the tensor that is projected, or the reference; NULL
 * where neither comes. */
const struct feed *flow_latents(const struct flow *flow);

/* With flow->task filled: readies merge, feeds and record (where record.put's
 * run is set). */
int flow_start(struct flow *flow);

/* The tensor's own header came after its reference began: same geometry, other
 * element type. */
void flow_replan(struct flow *flow, const struct plan *plan);

/* Takes the next bytes of a feed. */
int flow_feed(struct flow *flow, struct feed *feed, const uint8_t *bytes, size_t count);

/* Whole feeds have come and the peer half-closed: complete() follows, from here
 * or when the last tile is merged. */
void flow_request_done(struct flow *flow);

/* Lends every held tile's output (or separate scales) to the stream, in order;
 * outputs last, for they take the tiles along. */
void flow_lend_scales(struct flow *flow);
void flow_lend_outputs(struct flow *flow);

void flow_cancel(struct flow *flow);
void flow_fini(struct flow *flow);

#endif
