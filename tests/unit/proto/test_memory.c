/* SPDX-License-Identifier: Apache-2.0 */
/* Regions of shared memory in requests and replies, and the packets of the memory socket:
 * the bytes are those of Google's protobuf, and are read back. */
#include "proto/codec/memory.h"

#include <string.h>

#include "tests/lib/check.h"
#include "tests/lib/proto_samples.h"
#include "tests/lib/reading.h"
#include "vectors.h"

static struct reading reading;
static char error[CODEC_ERROR_BYTES];

static void check_region(const struct wire_region *region)
{
    const struct wire_region wanted = sample_region();

    CHECK(region->present && region->is_id);
    CHECK_EQ(region->offset, wanted.offset);
    CHECK_EQ(region->bytes, wanted.bytes);
    CHECK_MEM(region->buffer, wanted.buffer, sizeof(wanted.buffer));
}

static const struct wire_tensor shape = {.dtype = TRIT_F32, .rank = 2, .shape = {2, 3}};

CASE(project, "a ProjectRequest whose tensor and reply are regions")
{
    struct wire_project request = {.reply = sample_region()}, back;
    struct wire_tensor tensor = shape;
    uint8_t out[REQUEST_HEAD_BYTES_MAX];

    tensor.region = sample_region();
    size_t count = encode_project(&request, &tensor, 0, out, sizeof(out));
    CHECK_EQ(count, sizeof(vector_region_project));
    CHECK_MEM(out, vector_region_project, count);
    reading_message(&reading, scan_project, out, count);
    CHECK_EQ(decode_project(&reading.scan.parts[PART_ROOT], &back, error), 0);
    check_region(&back.reply);
    CHECK_EQ(decode_tensor(&reading.scan.parts[PART_TENSOR], &tensor, error), 0);
    check_region(&tensor.region);
    reading_fini(&reading);
}

CASE(start, "a ProjectStart that asks for replies in memory")
{
    struct wire_project request = {.tensor = shape, .replies_in_memory = true}, back;
    uint8_t out[REQUEST_HEAD_BYTES_MAX];
    size_t count = encode_project_start(&request, out, sizeof(out));

    CHECK_EQ(count, sizeof(vector_region_start));
    CHECK_MEM(out, vector_region_start, count);
    reading_message(&reading, scan_project_stream, out, count);
    CHECK_EQ(decode_project_start(&reading.scan.parts[PART_START], &back, error), 0);
    CHECK(back.replies_in_memory);
    reading_fini(&reading);
}

static void check_chunk(uint32_t part)
{
    struct wire_chunk back;

    CHECK_EQ(decode_chunk(&reading.scan.parts[part], &back, error), 0);
    CHECK_EQ(back.offset, 300);
    CHECK(!back.has_crc32c);
    check_region(&back.region);
    reading_fini(&reading);
}

CASE(chunks, "chunks of a tensor and of its reference in memory")
{
    const struct wire_region region = sample_region();
    uint8_t out[128];
    size_t count = encode_chunk_region(false, 300, &region, out, sizeof(out));

    CHECK_EQ(count, sizeof(vector_region_chunk));
    CHECK_MEM(out, vector_region_chunk, count);
    reading_message(&reading, scan_project_stream, out, count);
    check_chunk(PART_CHUNK);
    count = encode_chunk_region(true, 300, &region, out, sizeof(out));
    CHECK_EQ(count, sizeof(vector_region_reference));
    CHECK_MEM(out, vector_region_reference, count);
    reading_message(&reading, scan_verify_stream, out, count);
    check_chunk(PART_REFERENCE);
}

CASE(projected, "a ProjectResponse that names the region of its data")
{
    struct wire_projected reply = {.encoding = 1,
                                   .dtype = 4,
                                   .rank = 2,
                                   .shape = shape.shape,
                                   .region = sample_region()};
    struct wire_projected_head back;
    uint8_t out[REPLY_HEAD_BYTES_MAX];
    size_t scales_at, count = encode_projected(&reply, out, sizeof(out), &scales_at);

    CHECK_EQ(count, sizeof(vector_region_projected));
    CHECK_MEM(out, vector_region_projected, count);
    reading_message(&reading, scan_projected, out, count);
    CHECK_EQ(decode_projected(&reading.scan.parts[PART_ROOT], &back, error), 0);
    check_region(&back.region);
    reading_fini(&reading);
}

CASE(replies, "a stream's reply in memory, and its count of chunks")
{
    const struct wire_region region = sample_region();
    struct wire_chunk back;
    bool has_count = false;
    uint64_t done = 0;
    uint8_t out[128];
    size_t count = encode_stream_region(24, &region, out, sizeof(out));

    CHECK_EQ(count, sizeof(vector_region_reply));
    CHECK_MEM(out, vector_region_reply, count);
    reading_message(&reading, scan_stream_reply, out, count);
    CHECK_EQ(decode_chunk(&reading.scan.parts[PART_CHUNK], &back, error), 0);
    check_region(&back.region);
    CHECK_EQ(decode_chunks_done(&reading.scan.parts[PART_ROOT], &has_count, &done, error),
             0);
    CHECK(!has_count);
    reading_fini(&reading);

    count = encode_chunks_done(300, out, sizeof(out));
    CHECK_EQ(count, sizeof(vector_chunks_done));
    CHECK_MEM(out, vector_chunks_done, count);
    reading_message(&reading, scan_stream_reply, out, count);
    CHECK_EQ(decode_chunks_done(&reading.scan.parts[PART_ROOT], &has_count, &done, error),
             0);
    CHECK(has_count);
    CHECK_EQ(done, 300);
    reading_fini(&reading);
    reading_message(&reading, scan_plain, vector_verified, sizeof(vector_verified));
    CHECK_EQ(decode_chunks_done(&reading.scan.parts[PART_ROOT], &has_count, &done, error),
             0);
    CHECK(!has_count);
    reading_fini(&reading);
}

CASE(packets, "packets of the memory socket")
{
    struct wire_memory_request request = {.sequence = 7, .register_bytes = 1 << 22};
    struct wire_memory_reply reply = {.sequence = 7, .status = 8, .message = "too many"};
    const struct wire_region region = sample_region();
    uint8_t out[MEMORY_PACKET_BYTES_MAX];
    size_t count = encode_memory_request(&request, out, sizeof(out));

    CHECK_EQ(count, sizeof(vector_memory_register));
    CHECK_MEM(out, vector_memory_register, count);
    CHECK_EQ(decode_memory_request(out, count, &request, error), 0);
    CHECK_EQ(request.register_bytes, 1 << 22);
    CHECK(!request.releases);
    CHECK_EQ(decode_memory_request(vector_memory_release, sizeof(vector_memory_release),
                                   &request, error),
             0);
    CHECK(request.releases);
    CHECK_MEM(request.release, region.buffer, sizeof(region.buffer));
    count = encode_memory_request(&request, out, sizeof(out));
    CHECK_EQ(count, sizeof(vector_memory_release));
    CHECK_MEM(out, vector_memory_release, count);

    memcpy(reply.buffer, region.buffer, sizeof(reply.buffer));
    count = encode_memory_reply(&reply, out, sizeof(out));
    CHECK_EQ(count, sizeof(vector_memory_reply));
    CHECK_MEM(out, vector_memory_reply, count);
    reply = (struct wire_memory_reply){.sequence = 0};
    CHECK_EQ(decode_memory_reply(out, count, &reply, error), 0);
    CHECK_EQ(reply.status, 8);
    CHECK(strcmp(reply.message, "too many") == 0);
    CHECK_MEM(reply.buffer, region.buffer, sizeof(region.buffer));
}

CASE(refuses, "an id that is too long is named; one that is too short is no id")
{
    const uint8_t too_long[] = {0x1a, 0x13, 0x0a, 0x11, 0, 0, 0, 0, 0, 0, 0,
                                0,    0,    0,    0,    0, 0, 0, 0, 0, 0};
    const uint8_t too_short[] = {0x1a, 0x03, 0x0a, 0x01, 0x07};
    struct scan_part part = {.bytes = (uint8_t *)(uintptr_t)too_long,
                             .count = sizeof(too_long)};
    struct wire_tensor tensor;

    CHECK_EQ(decode_tensor(&part, &tensor, error), -1);
    CHECK(strcmp(error, "region.buffer: longer than 16 bytes") == 0);
    part.bytes = (uint8_t *)(uintptr_t)too_short;
    part.count = sizeof(too_short);
    CHECK_EQ(decode_tensor(&part, &tensor, error), 0);
    CHECK(tensor.region.present);
    CHECK(!tensor.region.is_id);
}
