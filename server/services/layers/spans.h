/* SPDX-License-Identifier: Apache-2.0 */
/* The pieces of a computation that no thread has taken yet. A span is a run of neighbouring
 * pieces. A thread asks for the span of the processor that it runs on. When that span is used up,
 * it gets a piece of another one. So a processor takes the same pieces in each call, and finds
 * what they read in its own cache.
 *
 * Any number of threads may take pieces; each piece is given out once. The pieces of a span are
 * given out in their order. With one span, each piece is given out after all pieces before it. */
#ifndef SERVICES_LAYERS_SPANS_H
#define SERVICES_LAYERS_SPANS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct span {
    _Atomic uint64_t next; /* the first piece that no thread has taken */
    uint64_t end;
    uint8_t apart[48]; /* two spans do not share a cache line */
};

struct spans { /* zeroed: no pieces */
    struct span *all;
    uint32_t count;
};

/* Cuts pieces 0 to pieces - 1 into `count` spans of about one length, in `memory`, which is
 * borrowed; at least 1. */
void spans_cut(struct spans *spans, struct span *memory, uint32_t count, uint64_t pieces);

/* Takes a piece, of span `near` modulo their number if it has one. False: none is left. */
bool spans_take(struct spans *spans, uint32_t near, uint64_t *piece);

bool spans_all_taken(const struct spans *spans);

/* No further piece is given out. */
void spans_close(struct spans *spans);

#endif
