/* SPDX-License-Identifier: Apache-2.0 */
/* A tensor's way through a call: bytes -> tiles -> pool -> merge, in order.
 *
 * Arriving bytes are copied once, into the tile they belong to. A full tile
 * goes to the pool at once, while the upload goes on; results come back in any
 * order and are merged in tile order. At most TILES_IN_FLIGHT_MAX tiles are
 * between the pool and the socket; above that the peer gets no credit. */
#ifndef TERNARY_PIPELINE_H
#define TERNARY_PIPELINE_H

#include "services/shared.h"
#include "services/ternary/filing.h"
#include "services/ternary/fingerprint.h"
#include "services/ternary/merge.h"

enum {
    TILES_IN_FLIGHT_MAX = 32,
    INLINE_BYTES_MAX = 32768,  /* a lone tile this small skips the pool */
    AHEAD_BYTES_MAX = 16 << 20 /* of one input waiting for the other, in a stream */
};

/* One of the two tensors that arrive: where its next byte goes. */
struct input {
    const char *field; /* "tensor.data", "chunk.data", ... for messages */
    struct tile *tile; /* being filled; NULL = the next one is not made yet */
    uint64_t next;     /* index of that tile */
    uint64_t received, expected;
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
    PIPELINE_MERGING, /* all bytes have come */
    PIPELINE_COMPLETE,
    PIPELINE_STATES
};
extern const struct states pipeline_states;

struct pipeline {
    struct call *call;
    struct task task;
    enum pipeline_state state;
    bool emits_chunks; /* each merged tile leaves as messages of its own */
    struct list tiles; /* in order, not yet merged */
    struct list held;  /* merged; their output waits for the reply */
    struct input tensor, reference;
    /* Of the latents' bytes, where the report is filed; else NULL. */
    struct fingerprint *fingerprint;
    uint8_t *in_scales; /* as they came; grown as they came */
    size_t in_scales_count, in_scales_capacity;
    struct merge merge;
    uint64_t merged;    /* tiles */
    uint32_t in_flight; /* submitted and not yet back */
    struct filing filing;
    /* All tiles are merged and the request is complete. */
    void (*complete)(struct call *call);
};

void pipeline_init(struct pipeline *pipeline, struct call *call,
                   void (*complete)(struct call *call));

/* Separate scales come before the data. */
int pipeline_take_scales(struct pipeline *pipeline, const uint8_t *bytes, size_t count);

/* The input that brings latents: the tensor that is projected, or the reference; NULL
 * where neither comes. */
const struct input *pipeline_latents(const struct pipeline *pipeline);

/* With pipeline->task filled: prepares the merge and the inputs, and opens the filing
 * where it is WANTED. */
int pipeline_start(struct pipeline *pipeline);

/* The tensor's own header came after its reference began: same geometry, other
 * element type. */
void pipeline_replan(struct pipeline *pipeline, const struct plan *plan);

/* Takes the next bytes of a input. */
int pipeline_feed(struct pipeline *pipeline, struct input *input, const uint8_t *bytes,
                  size_t count);

/* Whole inputs have come and the peer half-closed: complete() follows, from here
 * or when the last tile is merged. */
void pipeline_request_done(struct pipeline *pipeline);

/* Lends every held tile's output (or separate scales) to the stream, in order;
 * outputs last, for they take the tiles along. */
void pipeline_lend_scales(struct pipeline *pipeline);
void pipeline_lend_outputs(struct pipeline *pipeline);

void pipeline_cancel(struct pipeline *pipeline);
void pipeline_fini(struct pipeline *pipeline);

#endif
