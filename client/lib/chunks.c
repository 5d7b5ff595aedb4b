/* SPDX-License-Identifier: Apache-2.0 */
#include "client/lib/chunks.h"

#include <assert.h>

#include "kernels/kernels.h"
#include "proto/codec/codec.h"

void chunks_init(struct chunks *chunks, const void *bytes, uint64_t total, bool reference)
{
    *chunks = (struct chunks){.bytes = bytes, .total = total, .reference = reference};
}

bool chunks_done(const struct chunks *chunks)
{
    return chunks->sent == chunks->total;
}

void chunks_next(struct chunks *chunks, struct outgoing *message)
{
    const uint8_t *data = chunks->bytes + chunks->sent;
    uint64_t left = chunks->total - chunks->sent;
    uint64_t count = left < UPLOAD_CHUNK_BYTES ? left : UPLOAD_CHUNK_BYTES;
    size_t head = encode_chunk_request(chunks->reference, chunks->sent,
                                       crc32c(0, data, (size_t)count), count,
                                       chunks->head, sizeof(chunks->head));

    assert(head > 0);
    outgoing_head(message, chunks->head, head);
    outgoing_payload(message, data, count);
    chunks->sent += count;
}

bool chunks_behind(const struct chunks *a, const struct chunks *b)
{
    if (chunks_done(a) || chunks_done(b))
        return chunks_done(b) && !chunks_done(a);
    return (double)a->sent / (double)a->total < (double)b->sent / (double)b->total;
}
