/* SPDX-License-Identifier: Apache-2.0 */
#include "client/lib/chunks.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>

#include "client/lib/channel.h"
#include "client/lib/sendq.h"
#include "kernels/kernels.h"
#include "proto/codec/codec.h"

/* A message is requested when the previous one is in the channel's queue. The queue then
 * holds the end of the data that it was given, at most `CHUNK_BUFFERS - 1` chunks, so the
 * oldest buffer has been sent. One of them may be short: the end of the data that is sent
 * twice. */
enum { CHUNK_BUFFERS = 6 };
_Static_assert((CHUNK_BUFFERS - 2) * UPLOAD_CHUNK_BYTES >=
                   SENDQ_BYTES_MAX + CHANNEL_FRAME_BYTES_MAX + SENDQ_STAGE_BYTES,
               "the queue points to no buffer that is filled again");

void chunks_init(struct chunks *chunks, const struct trit_tensor *tensor, uint64_t from,
                 uint64_t total, bool reference)
{
    const uint8_t *data = tensor->data;

    assert(data || from == 0);
    *chunks = (struct chunks){.bytes = data ? data + from : NULL,
                              .read = tensor->read,
                              .read_arg = tensor->read_arg,
                              .size = total,
                              .total = total,
                              .reference = reference};
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

/* The next chunk's bytes; NULL with *failure. */
static const uint8_t *next_bytes(struct chunks *chunks, uint64_t count,
                                 struct failure *failure)
{
    const uint64_t at = chunks->sent % chunks->size;
    uint8_t *buffer;
    int rc;

    if (chunks->bytes)
        return chunks->bytes + at;
    if (!chunks->buffers)
        chunks->buffers = malloc((size_t)CHUNK_BUFFERS * UPLOAD_CHUNK_BYTES);
    if (!chunks->buffers) {
        fail(failure, TRIT_RESOURCE_EXHAUSTED, NULL, "out of memory for chunks");
        return NULL;
    }
    buffer = chunks->buffers + chunks->number++ % CHUNK_BUFFERS * UPLOAD_CHUNK_BYTES;
    rc = chunks->read(chunks->read_arg, at, buffer, count);
    if (rc == 0)
        return buffer;
    fail_field(failure, TRIT_ABORTED,
               chunks->reference ? "reference.read" : "tensor.read",
               "returned %d for %" PRIu64 " bytes at %" PRIu64, rc, count, at);
    return NULL;
}

int chunks_next(struct chunks *chunks, struct outgoing *message, struct failure *failure)
{
    uint64_t left = chunks->size - chunks->sent % chunks->size;
    uint64_t count = left < UPLOAD_CHUNK_BYTES ? left : UPLOAD_CHUNK_BYTES;
    const uint8_t *data = next_bytes(chunks, count, failure);
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
