/* SPDX-License-Identifier: Apache-2.0 */
/* The regions of the client's memory that hold the tensors of a call, and those that its
 * reply is written to.
 *
 * A client may change its memory at any time. So a tile's bytes are copied before anything
 * is computed from them, each byte once: on the worker that computes the tile, or, where a
 * tile does not lie in one region, on the loop. What is computed goes to memory of the tile,
 * and from there to the client's. */
#ifndef TERNARY_REGIONS_H
#define TERNARY_REGIONS_H

#include "services/client_memory.h"
#include "services/shared.h"

struct input;
struct pipeline;
struct tile;

/* A region of the request that waits until tiles may be made of it. */
struct region_waiting {
    struct input *input;
    const uint8_t *bytes;
    uint64_t at; /* of the region, taken */
    struct wire_region region;
};

struct regions {
    struct call *call;
    struct pipeline *pipeline;
    struct client_memory *memory;
    struct region_waiting waiting[REGIONS_WAITING_MAX]; /* a ring, oldest at `first` */
    size_t first, count;
    bool taking;        /* tiles are being made of them */
    uint64_t chunks;    /* of a stream, in memory, received */
    uint64_t done;      /* of them, those that are not read any more */
    uint64_t announced; /* of these, those that the peer knows of */
    struct tile *last;  /* on which the newest chunks wait; NULL: on none */
    struct timer again; /* makes tiles in the loop's next turn */
    bool has_reply;     /* of a unary call */
    struct wire_region reply;
    uint8_t *reply_bytes;
};

/* `again` fires when regions_wake was called. NULL: out of memory. */
struct regions *regions_create(struct call *call, void (*again)(struct timer *timer));

/* Drops the buffers. No worker may use them. NULL is harmless. */
void regions_destroy(struct regions *regions);

/* The call has failed or ended: drops what waits, and returns when no worker writes any
 * more. It waits for at most one copy of a tile. */
void regions_stop(struct regions *regions);

/* Tiles can be made soon of what waits. */
void regions_wake(struct regions *regions);

/* A tile is merged: the chunks that waited for it are done. */
void regions_merged(struct regions *regions, struct tile *tile);

/* On a worker: copies what the tile takes from the client's memory. */
void regions_read(struct tile *tile);

/* On a worker: writes the tile's output to its place, unless the call has stopped. */
void regions_write(struct regions *regions, struct tile *tile);

#endif
