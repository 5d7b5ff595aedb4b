/* SPDX-License-Identifier: Apache-2.0 */
#include "client/lib/chunks.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "client/lib/channel.h"
#include "client/lib/sendq.h"
#include "kernels/kernels.h"
#include "proto/codec/codec.h"

/* A message is requested when the previous one is in the channel's queue. The queue then
 * holds the end of the data that it was given, at most `CHUNK_BUFFERS - 1` chunks, so the
 * oldest buffer has been sent. One of them may be short: the end of the data that is sent
 * twice. */
enum { CHUNK_BUFFERS = 6 };
/* To copy fewer bytes costs less than a chunk of its own. */
enum { BORROWED_BYTES_MIN = 64 << 10 };
_Static_assert((CHUNK_BUFFERS - 2) * UPLOAD_CHUNK_BYTES >=
                   SENDQ_BYTES_MAX + CHANNEL_FRAME_BYTES_MAX + SENDQ_STAGE_BYTES,
               "the queue points to no buffer that is filled again");

void chunks_init(struct chunks *chunks, const struct trit_tensor *tensor, uint64_t from,
                 uint64_t total, bool reference, struct slots *slots)
{
    const uint8_t *data = tensor->data;

    assert(data || from == 0);
    *chunks = (struct chunks){.bytes = data ? data + from : NULL,
                              .read = tensor->read,
                              .read_arg = tensor->read_arg,
                              .size = total,
                              .total = total,
                              .reference = reference,
                              .slots = slots};
}

void chunks_repeat(struct chunks *chunks)
{
    chunks->total = 2 * chunks->size;
}

void chunks_fini(struct chunks *chunks)
{
    free(chunks->buffers);
    chunks->buffers = NULL;
}

bool chunks_done(const struct chunks *chunks)
{
    return chunks->sent == chunks->total;
}

static int read_bytes(struct chunks *chunks, uint8_t *to, uint64_t count,
                      struct failure *failure)
{
    const uint64_t at = chunks->sent % chunks->size;
    const int rc = chunks->read(chunks->read_arg, at, to, count);

    if (rc == 0)
        return 0;
    return fail_field(failure, TRIT_ABORTED,
                      chunks->reference ? "reference.read" : "tensor.read",
                      "returned %d for %" PRIu64 " bytes at %" PRIu64, rc, count, at);
}

/* What of the next *count bytes lies in one piece; *count becomes less, so that no short rest
 * is left to copy. NULL: too few. */
static const uint8_t *find_bytes(const struct chunks *chunks, uint64_t at,
                                 uint64_t *count)
{
    uint64_t together = 0;
    const uint8_t *found = chunks->find(chunks->read_arg, at, &together);

    if (!found || (together < *count && together < BORROWED_BYTES_MIN))
        return NULL;
    if (together < *count)
        *count = together;
    else if (together > *count && together - *count < BORROWED_BYTES_MIN)
        *count -= BORROWED_BYTES_MIN;
    return found;
}

/* The next chunk's bytes, *count or fewer; NULL with *failure. */
static const uint8_t *next_bytes(struct chunks *chunks, uint64_t *count,
                                 struct failure *failure)
{
    const uint64_t at = chunks->sent % chunks->size;
    const uint8_t *found = NULL;
    uint8_t *buffer;

    if (chunks->bytes)
        return chunks->bytes + at;
    if (chunks->find)
        found = find_bytes(chunks, at, count);
    if (found)
        return found;
    if (!chunks->buffers)
        chunks->buffers = malloc((size_t)CHUNK_BUFFERS * UPLOAD_CHUNK_BYTES);
    if (!chunks->buffers) {
        fail(failure, TRIT_RESOURCE_EXHAUSTED, NULL, "out of memory for chunks");
        return NULL;
    }
    buffer = chunks->buffers + chunks->number++ % CHUNK_BUFFERS * UPLOAD_CHUNK_BYTES;
    return read_bytes(chunks, buffer, *count, failure) == 0 ? buffer : NULL;
}

/* The next chunk in a slot. */
static int next_slot(struct chunks *chunks, struct outgoing *message,
                     struct failure *failure)
{
    const uint64_t at = chunks->sent % chunks->size, left = chunks->size - at;
    const uint64_t count = left < SLOT_BYTES ? left : SLOT_BYTES;
    uint8_t *slot;

    if (slots_full(chunks->slots))
        return EXCHANGE_PAUSED;
    slot = slots_next(chunks->slots);
    if (chunks->bytes)
        memcpy(slot, chunks->bytes + at, (size_t)count);
    else if (read_bytes(chunks, slot, count, failure) < 0)
        return -1;
    const struct wire_region region = slots_send(chunks->slots, count);
    outgoing_head(message, chunks->head,
                  encode_chunk_region(chunks->reference, chunks->sent, &region,
                                      chunks->head, sizeof(chunks->head)));
    message->shared = count;
    chunks->sent += count;
    return 0;
}

int chunks_next(struct chunks *chunks, struct outgoing *message, struct failure *failure)
{
    if (chunks->slots && chunks->slots->ring)
        return next_slot(chunks, message, failure);
    uint64_t left = chunks->size - chunks->sent % chunks->size;
    uint64_t count = left < UPLOAD_CHUNK_BYTES ? left : UPLOAD_CHUNK_BYTES;
    const uint8_t *data = next_bytes(chunks, &count, failure);
    size_t head;

    if (!data)
        return -1;
    head = encode_chunk_request(chunks->reference, chunks->sent,
                                crc32c(0, data, (size_t)count), count, chunks->head,
                                sizeof(chunks->head));
    assert(head > 0);
    outgoing_head(message, chunks->head, head);
    outgoing_payload(message, data, count);
    chunks->sent += count;
    return 0;
}

bool chunks_behind(const struct chunks *a, const struct chunks *b)
{
    if (chunks_done(a) || chunks_done(b))
        return chunks_done(b) && !chunks_done(a);
    return (double)a->sent / (double)a->total < (double)b->sent / (double)b->total;
}
