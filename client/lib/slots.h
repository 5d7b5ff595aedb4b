/* SPDX-License-Identifier: Apache-2.0 */
/* The way of one streamed call through shared memory: a ring of slots. A chunk is put into
 * the next slot; the daemon says how many chunks it has done with, from the first one on. */
#ifndef LIB_SLOTS_H
#define LIB_SLOTS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/status.h"
#include "client/lib/shared.h"

enum { SLOT_BYTES = 512 << 10, SLOTS = RING_BYTES / SLOT_BYTES };

struct slots {
    struct shared *shared;
    uint64_t deadline_ns;
    struct ring *ring;   /* NULL: the call's bytes go through the socket */
    uint64_t sent, done; /* chunks */
};

/* `deadline_ns`: of the call; 0: none. */
void slots_init(struct slots *slots, struct shared *shared, uint64_t deadline_ns);
void slots_fini(struct slots *slots, bool clean);

/* Begins again, with another ring: the daemon may still use this one. */
void slots_rewind(struct slots *slots);

/* No slot is free until the daemon has done with a chunk. */
bool slots_full(const struct slots *slots);

/* The memory of the next chunk; then its region, with which it counts as sent. */
uint8_t *slots_next(const struct slots *slots);
struct wire_region slots_send(struct slots *slots, uint64_t bytes);

/* Reads the small fields of a reply for its count of chunks. */
int slots_reply(struct slots *slots, const struct scan_part *root,
                struct failure *failure);

/* The bytes of a region of the reply. NULL: they do not lie in the ring (INTERNAL). */
const uint8_t *slots_bytes(const struct slots *slots, const struct wire_region *region,
                           struct failure *failure);

/* Whether the daemon has failed the call because it does not know the ring, as after a
 * restart: then the call can be made again without it. */
bool slots_unknown(const struct slots *slots, const struct failure *failure);

#endif
