/* SPDX-License-Identifier: Apache-2.0 */
/* Replies as the daemon writes them, up to the bytes it sends from elsewhere. */
#include "wire.h"

#include <assert.h>
#include <string.h>

#include "put.h"

/* The largest head: a report, the shape, and two lengths of 10 bytes. */
_Static_assert(trit_v1_ProjectResponse_size + 2 * 11 <= REPLY_HEAD_BYTES_MAX,
               "every head fits");

void wire_tensor_put(trit_v1_Tensor *out, const struct wire_tensor *from)
{
    assert(from->rank <= TRIT_RANK_MAX);
    *out = (trit_v1_Tensor){.dtype = (int32_t)from->dtype,
                            .shape_count = (pb_size_t)from->rank};
    memcpy(out->shape, from->shape, from->rank * sizeof(from->shape[0]));
    wire_region_put(&out->has_region, &out->region, &from->region);
}

static void put_region(struct put *put, uint32_t number, const struct wire_region *region)
{
    uint8_t *begin;

    if (!region->present)
        return;
    begin = put_message_begin(put, number);
    put_bytes(put, 1, region->buffer, sizeof(region->buffer));
    put_u64(put, 2, region->offset);
    put_u64(put, 3, region->bytes);
    put_message_end(put, begin);
}

size_t encode_projected(const struct wire_projected *reply, uint8_t *out, size_t capacity,
                        size_t *scales_at)
{
    assert(reply->rank <= TRIT_RANK_MAX);
    struct put put = {.at = out, .end = out + capacity};
    const uint8_t *middle;

    if (reply->report)
        put_report(&put, 1, reply->report);
    put_u64(&put, 2, (uint64_t)(int32_t)reply->encoding);
    put_u64(&put, 3, (uint64_t)(int32_t)reply->dtype);
    put_u64s(&put, 4, reply->shape, reply->rank);
    put_region(&put, 5, &reply->region);
    put_blob_head(&put, 14, reply->scale_bytes);
    middle = put.at;
    put_blob_head(&put, 15, reply->data_bytes);
    if (put.full)
        return 0;
    *scales_at = (size_t)((reply->scale_bytes > 0 ? middle : put.at) - out);
    return (size_t)(put.at - out);
}

/* A TensorChunk as field `number` of its enclosing message. */
static size_t encode_chunk(uint32_t number, uint64_t offset, uint32_t crc32c,
                           uint64_t data_bytes, uint8_t *out, size_t capacity)
{
    trit_v1_TensorChunk chunk = {.offset = offset, .has_crc32c = true, .crc32c = crc32c};
    pb_ostream_t stream = pb_ostream_from_buffer(out, capacity);
    return wire_message_head(&stream, number, trit_v1_TensorChunk_fields, &chunk,
                             wire_blob_size(15, data_bytes)) &&
                   wire_blob_head(&stream, 15, data_bytes)
               ? stream.bytes_written
               : 0;
}

size_t encode_stream_chunk(bool scales, uint64_t offset, uint32_t crc32c,
                           uint64_t data_bytes, uint8_t *out, size_t capacity)
{
    return encode_chunk(scales ? 14 : 15, offset, crc32c, data_bytes, out, capacity);
}

size_t encode_chunk_request(bool reference, uint64_t offset, uint32_t crc32c,
                            uint64_t data_bytes, uint8_t *out, size_t capacity)
{
    return encode_chunk(reference ? 14 : 15, offset, crc32c, data_bytes, out, capacity);
}

/* A TensorChunk whose bytes are in memory. */
static size_t encode_region(uint32_t number, uint64_t offset,
                            const struct wire_region *region, uint8_t *out,
                            size_t capacity)
{
    trit_v1_TensorChunk chunk = {.offset = offset};
    pb_ostream_t stream = pb_ostream_from_buffer(out, capacity);
    wire_region_put(&chunk.has_region, &chunk.region, region);
    return wire_message_head(&stream, number, trit_v1_TensorChunk_fields, &chunk, 0)
               ? stream.bytes_written
               : 0;
}

size_t encode_stream_region(uint64_t offset, const struct wire_region *region,
                            uint8_t *out, size_t capacity)
{
    return encode_region(15, offset, region, out, capacity);
}

size_t encode_chunk_region(bool reference, uint64_t offset,
                           const struct wire_region *region, uint8_t *out,
                           size_t capacity)
{
    return encode_region(reference ? 14 : 15, offset, region, out, capacity);
}

size_t encode_chunks_done(uint64_t count, uint8_t *out, size_t capacity)
{
    pb_ostream_t stream = pb_ostream_from_buffer(out, capacity);
    return pb_encode_tag(&stream, PB_WT_VARINT, 2) && pb_encode_varint(&stream, count)
               ? stream.bytes_written
               : 0;
}

size_t encode_tensor(const struct wire_tensor *tensor, uint64_t data_bytes, uint8_t *out,
                     size_t capacity)
{
    trit_v1_Tensor wire;
    wire_tensor_put(&wire, tensor);
    pb_ostream_t stream = pb_ostream_from_buffer(out, capacity);
    return pb_encode(&stream, trit_v1_Tensor_fields, &wire) &&
                   wire_blob_head(&stream, 15, data_bytes)
               ? stream.bytes_written
               : 0;
}

/* BackwardRequest and BackwardResponse are the same bytes: a Tensor as field 1. */
static size_t encode_tensor_as_field_1(const struct wire_tensor *tensor,
                                       uint64_t data_bytes, uint8_t *out, size_t capacity)
{
    trit_v1_Tensor wire;
    wire_tensor_put(&wire, tensor);
    pb_ostream_t stream = pb_ostream_from_buffer(out, capacity);
    return wire_message_head(&stream, 1, trit_v1_Tensor_fields, &wire,
                             wire_blob_size(15, data_bytes)) &&
                   wire_blob_head(&stream, 15, data_bytes)
               ? stream.bytes_written
               : 0;
}

size_t encode_backward(const struct wire_tensor *tensor, uint64_t data_bytes,
                       uint8_t *out, size_t capacity)
{
    return encode_tensor_as_field_1(tensor, data_bytes, out, capacity);
}

size_t encode_backward_request(const struct wire_tensor *tensor, uint64_t data_bytes,
                               uint8_t *out, size_t capacity)
{
    return encode_tensor_as_field_1(tensor, data_bytes, out, capacity);
}

size_t encode_page_token(const char *token, uint8_t *out, size_t capacity)
{
    size_t length = strnlen(token, PAGE_TOKEN_BYTES_MAX);
    pb_ostream_t stream = pb_ostream_from_buffer(out, capacity);
    return length > 0 && pb_encode_tag(&stream, PB_WT_STRING, 2) &&
                   pb_encode_string(&stream, (const pb_byte_t *)token, length)
               ? stream.bytes_written
               : 0;
}

size_t encode_damaged_entry(const struct wire_damaged_reports *damaged, uint8_t *out,
                            size_t capacity)
{
    trit_v1_DamagedReports wire = {
        .step = damaged->step, .attempt = damaged->attempt, .replica = damaged->replica};
    wire.run.size = wire_text_put(wire.run.bytes, sizeof(wire.run.bytes), damaged->run);
    wire.layer.size =
        wire_text_put(wire.layer.bytes, sizeof(wire.layer.bytes), damaged->layer);
    pb_ostream_t stream = pb_ostream_from_buffer(out, capacity);
    return pb_encode_tag(&stream, PB_WT_STRING, 3) &&
                   pb_encode_submessage(&stream, trit_v1_DamagedReports_fields, &wire)
               ? stream.bytes_written
               : 0;
}

/* Writes UNKNOWN too, because a return of 0 means that the message did not fit. */
size_t encode_health(enum health_status status, uint8_t *out, size_t capacity)
{
    pb_ostream_t stream = pb_ostream_from_buffer(out, capacity);
    return pb_encode_tag(&stream, PB_WT_VARINT, 1) &&
                   pb_encode_varint(&stream, (uint64_t)status)
               ? stream.bytes_written
               : 0;
}

size_t encode_health_entry(const char *service, size_t length, enum health_status status,
                           uint8_t *out, size_t capacity)
{
    pb_ostream_t stream = pb_ostream_from_buffer(out, capacity);
    uint8_t value[16];
    size_t value_bytes = encode_health(status, value, sizeof(value));
    uint64_t entry = wire_blob_size(1, length) + wire_blob_size(2, value_bytes);
    return wire_blob_head(&stream, 1, entry) && wire_blob_head(&stream, 1, length) &&
                   pb_write(&stream, (const pb_byte_t *)service, length) &&
                   wire_blob_head(&stream, 2, value_bytes) &&
                   pb_write(&stream, value, value_bytes)
               ? stream.bytes_written
               : 0;
}
