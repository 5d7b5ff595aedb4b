/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/codec/memory.h"

#include <string.h>

#include "wire.h"

_Static_assert(trit_v1_MemoryRequest_size <= MEMORY_PACKET_BYTES_MAX &&
                   trit_v1_MemoryReply_size <= MEMORY_PACKET_BYTES_MAX,
               "every packet fits");
_Static_assert(TRIT_MESSAGE_BYTES_MAX <= 1024, "a message fits in MemoryReply.message");

void wire_region_put(bool *has, trit_v1_MemoryRegion *out, const struct wire_region *from)
{
    *has = from->present;
    *out = (trit_v1_MemoryRegion){.offset = from->offset, .bytes = from->bytes};
    if (!from->present)
        return;
    out->buffer.size = REGION_BUFFER_BYTES;
    memcpy(out->buffer.bytes, from->buffer, REGION_BUFFER_BYTES);
}

void wire_region(bool has, const trit_v1_MemoryRegion *from, struct wire_region *out)
{
    *out = (struct wire_region){.present = has};
    if (!has)
        return;
    out->offset = from->offset;
    out->bytes = from->bytes;
    out->is_id = from->buffer.size == REGION_BUFFER_BYTES;
    memcpy(out->buffer, from->buffer.bytes, from->buffer.size);
}

size_t encode_memory_request(const struct wire_memory_request *request, uint8_t *out,
                             size_t capacity)
{
    trit_v1_MemoryRequest wire = {.sequence = request->sequence,
                                  .register_bytes = request->register_bytes};
    pb_ostream_t stream = pb_ostream_from_buffer(out, capacity);
    if (request->releases) {
        wire.release.size = REGION_BUFFER_BYTES;
        memcpy(wire.release.bytes, request->release, REGION_BUFFER_BYTES);
    }
    return pb_encode(&stream, trit_v1_MemoryRequest_fields, &wire) ? stream.bytes_written
                                                                   : 0;
}

int decode_memory_request(const uint8_t *bytes, size_t count,
                          struct wire_memory_request *out, char error[CODEC_ERROR_BYTES])
{
    trit_v1_MemoryRequest wire;
    if (wire_decode(&message_memory_request, bytes, count, &wire, error) != 0)
        return -1;
    *out = (struct wire_memory_request){.sequence = wire.sequence,
                                        .register_bytes = wire.register_bytes,
                                        .releases = wire.release.size > 0};
    if (wire.release.size == REGION_BUFFER_BYTES)
        memcpy(out->release, wire.release.bytes, REGION_BUFFER_BYTES);
    return 0;
}

size_t encode_memory_reply(const struct wire_memory_reply *reply, uint8_t *out,
                           size_t capacity)
{
    trit_v1_MemoryReply wire = {.sequence = reply->sequence,
                                .status = (int32_t)reply->status};
    pb_ostream_t stream = pb_ostream_from_buffer(out, capacity);
    wire.message.size =
        wire_text_put(wire.message.bytes, TRIT_MESSAGE_BYTES_MAX, reply->message);
    wire.buffer.size = REGION_BUFFER_BYTES;
    memcpy(wire.buffer.bytes, reply->buffer, REGION_BUFFER_BYTES);
    return pb_encode(&stream, trit_v1_MemoryReply_fields, &wire) ? stream.bytes_written
                                                                 : 0;
}

int decode_memory_reply(const uint8_t *bytes, size_t count, struct wire_memory_reply *out,
                        char error[CODEC_ERROR_BYTES])
{
    trit_v1_MemoryReply wire;
    struct wire_memory_reply reply = {0};
    if (wire_decode(&message_memory_reply, bytes, count, &wire, error) != 0 ||
        wire_text("message", wire.message.bytes, wire.message.size,
                  TRIT_MESSAGE_BYTES_MAX, reply.message, error) != 0)
        return -1;
    reply.sequence = wire.sequence;
    reply.status = (uint32_t)wire.status;
    if (wire.buffer.size == REGION_BUFFER_BYTES)
        memcpy(reply.buffer, wire.buffer.bytes, REGION_BUFFER_BYTES);
    *out = reply;
    return 0;
}
