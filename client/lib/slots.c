/* SPDX-License-Identifier: Apache-2.0 */
#include "client/lib/slots.h"

#include <inttypes.h>
#include <string.h>

void slots_init(struct slots *slots, struct shared *shared, uint64_t deadline_ns)
{
    *slots = (struct slots){.shared = shared,
                            .deadline_ns = deadline_ns,
                            .ring = shared_take(shared, deadline_ns)};
}

void slots_fini(struct slots *slots, bool clean)
{
    shared_put(slots->shared, slots->ring, clean);
    slots->ring = NULL;
}

void slots_rewind(struct slots *slots)
{
    if (!slots->ring)
        return;
    slots_fini(slots, false);
    slots_init(slots, slots->shared, slots->deadline_ns);
}

bool slots_full(const struct slots *slots)
{
    return slots->ring && slots->sent - slots->done == SLOTS;
}

uint8_t *slots_next(const struct slots *slots)
{
    return slots->ring->bytes + slots->sent % SLOTS * SLOT_BYTES;
}

struct wire_region slots_send(struct slots *slots, uint64_t bytes)
{
    struct wire_region region = {
        .present = true, .offset = slots->sent % SLOTS * SLOT_BYTES, .bytes = bytes};

    memcpy(region.buffer, slots->ring->id, sizeof(region.buffer));
    slots->sent++;
    return region;
}

int slots_reply(struct slots *slots, const struct scan_part *root,
                struct failure *failure)
{
    char why[CODEC_ERROR_BYTES];
    bool has_count = false;
    uint64_t count = 0;

    if (decode_chunks_done(root, &has_count, &count, why) < 0)
        return fail(failure, TRIT_INTERNAL, NULL, "malformed reply: %s", why);
    if (!has_count)
        return 0;
    if (count < slots->done || count > slots->sent)
        return fail(failure, TRIT_INTERNAL, NULL,
                    "the reply has chunks_done %" PRIu64 " after %" PRIu64 " of %" PRIu64,
                    count, slots->done, slots->sent);
    slots->done = count;
    return 0;
}

const uint8_t *slots_bytes(const struct slots *slots, const struct wire_region *region,
                           struct failure *failure)
{
    if (slots->ring && region->is_id && region->bytes <= RING_BYTES &&
        region->offset <= RING_BYTES - region->bytes &&
        memcmp(region->buffer, slots->ring->id, sizeof(region->buffer)) == 0)
        return slots->ring->bytes + region->offset;
    fail(failure, TRIT_INTERNAL, NULL,
         "the reply names memory that the request did not give");
    return NULL;
}

bool slots_unknown(const struct slots *slots, const struct failure *failure)
{
    return slots->ring && failure->status == TRIT_FAILED_PRECONDITION &&
           strstr(failure->field, ".region");
}
