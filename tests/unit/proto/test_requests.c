/* SPDX-License-Identifier: Apache-2.0 */
/* Requests: what libtrit encodes is what Google's protobuf encodes, and what the
 * daemon decodes is what was meant. */
#include "proto/codec/codec.h"

#include <string.h>

#include "tests/lib/check.h"
#include "tests/lib/proto_samples.h"
#include "tests/lib/reading.h"
#include "vectors.h"

static struct reading reading;
static char error[CODEC_ERROR_BYTES];

static const struct scan_part *part(uint32_t id)
{
    return &reading.scan.parts[id];
}

static void check_blob(uint32_t id, const void *bytes, size_t count)
{
    const struct reading_blob *blob = &reading.blobs[id - BLOB_DATA];
    CHECK_EQ(blob->ended, 1);
    CHECK_EQ(blob->count, count);
    CHECK_MEM(blob->bytes, bytes, count);
}

/* ---- project ---------------------------------------------------------------------- */

static struct wire_project project_sample(void)
{
    return (struct wire_project){.group_size = 64,
                                 .partial_group = TRIT_PARTIAL_EXACT,
                                 .encoding = TRIT_ENCODING_PQ2_0,
                                 .report = TRIT_REPORT_BRIEF,
                                 .layer = sample_layer()};
}

CASE(project_encodes, "a ProjectRequest is encoded as protobuf does")
{
    struct wire_project request = project_sample();
    struct wire_tensor tensor = sample_tensor(TRIT_F32);
    struct assembled message = {0};
    uint8_t head[REQUEST_HEAD_BYTES_MAX];
    size_t count = encode_project(&request, &tensor, 24, head, sizeof(head));
    assemble(&message, head, count);
    assemble(&message, sample_data, 24);
    check_assembled(&message, vector_project, sizeof(vector_project));

    message.count = 0;
    request = (struct wire_project){0};
    count = encode_project(&request, &tensor, 24, head, sizeof(head));
    assemble(&message, head, count);
    assemble(&message, sample_data, 24);
    check_assembled(&message, vector_project_bare, sizeof(vector_project_bare));
}

CASE(project_decodes, "a ProjectRequest is decoded in parts")
{
    struct wire_project expected = project_sample(), request;
    struct wire_tensor expected_tensor = sample_tensor(TRIT_F32), tensor;
    reading_message(&reading, scan_project, vector_project, sizeof(vector_project));
    CHECK_EQ(decode_project(part(PART_ROOT), &request, error), 0);
    CHECK_EQ(request.group_size, expected.group_size);
    CHECK_EQ(request.partial_group, expected.partial_group);
    CHECK_EQ(request.encoding, expected.encoding);
    CHECK_EQ(request.report, expected.report);
    check_layer(&request.layer, &expected.layer);
    CHECK_EQ(decode_tensor(part(PART_TENSOR), &tensor, error), 0);
    check_tensor(&tensor, &expected_tensor);
    check_blob(BLOB_DATA, sample_data, 24);
    reading_fini(&reading);

    reading_message(&reading, scan_project, vector_project_bare,
                    sizeof(vector_project_bare));
    CHECK_EQ(decode_project(part(PART_ROOT), &request, error), 0);
    CHECK(!request.layer.present);
    CHECK_EQ(request.group_size | request.encoding | request.report, 0);
    reading_fini(&reading);
}

CASE(project_stream, "the start and chunks of a ProjectStream are encoded and read back")
{
    struct wire_project start = {.group_size = 64,
                                 .tensor = {.dtype = TRIT_F16,
                                            .rank = 2,
                                            .shape = {1 << 20, 4096}}},
                        request;
    struct wire_chunk chunk;
    uint8_t head[REQUEST_HEAD_BYTES_MAX];
    struct assembled message = {0};

    size_t count = encode_project_start(&start, head, sizeof(head));
    CHECK_EQ(count, sizeof(vector_project_start));
    CHECK_MEM(head, vector_project_start, count);
    reading_message(&reading, scan_project_stream, head, count);
    CHECK_EQ(part(PART_START)->seen, 1);
    CHECK_EQ(part(PART_CHUNK)->seen, 0);
    CHECK_EQ(decode_project_start(part(PART_START), &request, error), 0);
    CHECK_EQ(request.group_size, 64);
    CHECK(!request.layer.present);
    check_tensor(&request.tensor, &start.tensor);
    reading_fini(&reading);

    count = encode_chunk_request(false, 0, sample_crc, 24, head, sizeof(head));
    assemble(&message, head, count);
    assemble(&message, sample_data, 24);
    check_assembled(&message, vector_project_chunk, sizeof(vector_project_chunk));
    reading_message(&reading, scan_project_stream, message.bytes, message.count);
    CHECK_EQ(part(PART_START)->seen, 0);
    CHECK_EQ(part(PART_CHUNK)->seen, 1);
    CHECK_EQ(decode_chunk(part(PART_CHUNK), &chunk, error), 0);
    CHECK_EQ(chunk.offset, 0);
    CHECK(chunk.has_crc32c);
    CHECK_EQ(chunk.crc32c, sample_crc);
    check_blob(BLOB_DATA, sample_data, 24);
    reading_fini(&reading);
}

/* ---- verify ----------------------------------------------------------------------- */

CASE(verify_encodes, "a VerifyRequest is encoded in three pieces as protobuf does")
{
    struct wire_verify request = {.group_size = 64,
                                  .encoding = TRIT_ENCODING_INT8,
                                  .has_tolerance = true,
                                  .tolerance = 0.5f,
                                  .layer = sample_layer()};
    struct wire_tensor reference = sample_tensor(TRIT_BF16),
                       tensor = sample_tensor(TRIT_F32);
    struct assembled message = {0};
    uint8_t head[REQUEST_HEAD_BYTES_MAX];
    size_t cut[2];
    size_t count =
        encode_verify(&request, 12, &reference, 12, &tensor, 24, head, sizeof(head), cut);
    assemble(&message, head, cut[0]);
    assemble(&message, sample_scales, 12);
    assemble(&message, head + cut[0], cut[1] - cut[0]);
    assemble(&message, sample_latents, 12);
    assemble(&message, head + cut[1], count - cut[1]);
    assemble(&message, sample_data, 24);
    check_assembled(&message, vector_verify, sizeof(vector_verify));
}

CASE(verify_decodes, "a VerifyRequest is decoded in parts")
{
    struct wire_layer_ref layer = sample_layer();
    struct wire_tensor bf16 = sample_tensor(TRIT_BF16), f32 = sample_tensor(TRIT_F32);
    struct wire_tensor tensor;
    struct wire_verify request;
    reading_message(&reading, scan_verify, vector_verify, sizeof(vector_verify));
    CHECK_EQ(decode_verify(part(PART_ROOT), part(PART_OPTIONS), &request, error), 0);
    CHECK_EQ(request.mode, TRIT_VERIFY_TERNARY);
    CHECK_EQ(request.group_size, 64);
    CHECK_EQ(request.encoding, TRIT_ENCODING_INT8);
    CHECK(request.has_tolerance);
    CHECK(request.tolerance == 0.5f);
    check_layer(&request.layer, &layer);
    CHECK_EQ(decode_tensor(part(PART_REFERENCE), &tensor, error), 0);
    check_tensor(&tensor, &bf16);
    CHECK_EQ(decode_tensor(part(PART_TENSOR), &tensor, error), 0);
    check_tensor(&tensor, &f32);
    check_blob(BLOB_DATA, sample_data, 24);
    check_blob(BLOB_REFERENCE, sample_latents, 12);
    check_blob(BLOB_SCALES, sample_scales, 12);
    reading_fini(&reading);
}

CASE(verify_without_extras,
     "a VerifyRequest without options, layer and reference encodes none of them")
{
    struct wire_verify request = {0}, back;
    struct wire_tensor tensor = sample_tensor(TRIT_F32);
    uint8_t head[REQUEST_HEAD_BYTES_MAX];
    size_t cut[2];
    size_t count =
        encode_verify(&request, 0, NULL, 0, &tensor, 24, head, sizeof(head), cut);
    CHECK_EQ(cut[0], 0);
    CHECK_EQ(cut[1], 0);
    struct assembled message = {0};
    assemble(&message, head, count);
    assemble(&message, sample_data, 24);
    reading_message(&reading, scan_verify, message.bytes, message.count);
    CHECK_EQ(part(PART_OPTIONS)->seen, 0);
    CHECK_EQ(part(PART_REFERENCE)->seen, 0);
    CHECK_EQ(decode_verify(part(PART_ROOT), part(PART_OPTIONS), &back, error), 0);
    CHECK(!back.has_tolerance && !back.layer.present);
    reading_fini(&reading);
}

CASE(verify_stream, "a VerifyStart with scales in its middle is encoded and read back")
{
    struct wire_verify start = {.mode = TRIT_VERIFY_LATENT,
                                .has_tolerance = true,
                                .encoding = TRIT_ENCODING_INT8,
                                .layer = sample_layer(),
                                .tensor = sample_tensor(TRIT_I8),
                                .reference_dtype = TRIT_F32},
                       request;
    uint8_t head[REQUEST_HEAD_BYTES_MAX];
    struct assembled message = {0};
    size_t scales_at;
    size_t count = encode_verify_start(&start, 12, head, sizeof(head), &scales_at);
    assemble(&message, head, scales_at);
    assemble(&message, sample_scales, 12);
    assemble(&message, head + scales_at, count - scales_at);
    check_assembled(&message, vector_verify_start, sizeof(vector_verify_start));

    reading_message(&reading, scan_verify_stream, message.bytes, message.count);
    CHECK_EQ(decode_verify_start(part(PART_START), part(PART_OPTIONS), &request, error),
             0);
    CHECK_EQ(request.mode, TRIT_VERIFY_LATENT);
    CHECK(request.has_tolerance && request.tolerance == 0);
    CHECK_EQ(request.encoding, TRIT_ENCODING_INT8);
    CHECK_EQ(request.reference_dtype, TRIT_F32);
    check_layer(&request.layer, &start.layer);
    check_tensor(&request.tensor, &start.tensor);
    check_blob(BLOB_SCALES, sample_scales, 12);
    reading_fini(&reading);
}

CASE(verify_chunks, "chunks of the tensor and of its reference are told apart")
{
    uint8_t head[REQUEST_HEAD_BYTES_MAX];
    struct assembled reference = {0}, tensor = {0};
    struct wire_chunk chunk;
    size_t count = encode_chunk_request(true, 300, sample_crc, 12, head, sizeof(head));
    assemble(&reference, head, count);
    assemble(&reference, sample_latents, 12);
    check_assembled(&reference, vector_verify_reference, sizeof(vector_verify_reference));
    reading_message(&reading, scan_verify_stream, reference.bytes, reference.count);
    CHECK_EQ(part(PART_REFERENCE)->seen, 1);
    CHECK_EQ(part(PART_CHUNK)->seen, 0);
    CHECK_EQ(decode_chunk(part(PART_REFERENCE), &chunk, error), 0);
    CHECK_EQ(chunk.offset, 300);
    check_blob(BLOB_REFERENCE, sample_latents, 12);
    reading_fini(&reading);

    count = encode_chunk_request(false, UINT64_C(1) << 33, sample_crc, 24, head,
                                 sizeof(head));
    assemble(&tensor, head, count);
    assemble(&tensor, sample_data, 24);
    check_assembled(&tensor, vector_verify_chunk, sizeof(vector_verify_chunk));
    reading_message(&reading, scan_verify_stream, tensor.bytes, tensor.count);
    CHECK_EQ(decode_chunk(part(PART_CHUNK), &chunk, error), 0);
    CHECK_EQ(chunk.offset, UINT64_C(1) << 33);
    reading_fini(&reading);
}

/* ---- the others -------------------------------------------------------------------- */

static struct wire_pack pack_sample(void)
{
    return (struct wire_pack){.group_size = 64,
                              .source_encoding = TRIT_ENCODING_INT8,
                              .scales_dtype = TRIT_F16,
                              .encoding = TRIT_ENCODING_PQ2_0,
                              .report = TRIT_REPORT_BRIEF,
                              .allow_rounded_scales = true,
                              .layer = sample_layer()};
}

CASE(pack, "a PackRequest is encoded and read back")
{
    struct wire_pack sample = pack_sample(), request;
    struct wire_tensor expected = sample_tensor(TRIT_F32), tensor;
    uint8_t head[REQUEST_HEAD_BYTES_MAX];
    struct assembled message = {0};
    size_t at, count = encode_pack(&sample, 12, &expected, 24, head, sizeof(head), &at);
    assemble(&message, head, at);
    assemble(&message, sample_scales, 12);
    assemble(&message, head + at, count - at);
    assemble(&message, sample_data, 24);
    check_assembled(&message, vector_pack, sizeof(vector_pack));
    reading_message(&reading, scan_pack, message.bytes, message.count);
    CHECK_EQ(decode_pack(part(PART_ROOT), &request, error), 0);
    CHECK_EQ(request.group_size, 64);
    CHECK_EQ(request.source_encoding, sample.source_encoding);
    CHECK_EQ(request.scales_dtype, sample.scales_dtype);
    CHECK_EQ(request.encoding, sample.encoding);
    CHECK_EQ(request.report, sample.report);
    CHECK(request.allow_rounded_scales);
    check_layer(&request.layer, &sample.layer);
    CHECK_EQ(decode_tensor(part(PART_TENSOR), &tensor, error), 0);
    check_tensor(&tensor, &expected);
    check_blob(BLOB_DATA, sample_data, 24);
    check_blob(BLOB_SCALES, sample_scales, 12);
    reading_fini(&reading);
}

CASE(pack_stream, "the start and chunks of a PackStream are encoded and read back")
{
    struct wire_pack sample = {.encoding = TRIT_ENCODING_PQ2_0,
                               .layer = sample_layer(),
                               .tensor = sample_tensor(TRIT_F16)},
                     request;
    struct assembled message = {0};
    struct wire_chunk chunk;
    uint8_t head[REQUEST_HEAD_BYTES_MAX];
    assemble(&message, head, encode_pack_start(&sample, 12, head, sizeof(head)));
    assemble(&message, sample_scales, 12);
    check_assembled(&message, vector_pack_start, sizeof(vector_pack_start));
    reading_message(&reading, scan_pack_stream, message.bytes, message.count);
    CHECK_EQ(part(PART_START)->seen, 1);
    CHECK_EQ(decode_pack_start(part(PART_START), &request, error), 0);
    CHECK_EQ(request.encoding, sample.encoding);
    CHECK_EQ(request.source_encoding, TRIT_ENCODING_DENSE);
    CHECK(!request.allow_rounded_scales);
    check_layer(&request.layer, &sample.layer);
    check_tensor(&request.tensor, &sample.tensor);
    check_blob(BLOB_SCALES, sample_scales, 12);
    reading_fini(&reading);

    reading_message(&reading, scan_pack_stream, vector_pack_chunk,
                    sizeof(vector_pack_chunk));
    CHECK_EQ(decode_chunk(part(PART_CHUNK), &chunk, error), 0);
    CHECK_EQ(chunk.offset, UINT64_C(1) << 33);
    check_blob(BLOB_DATA, sample_data, 24);
    reading_fini(&reading);
}

CASE(packed, "the replies of Pack have the same bytes as those of Project")
{
    CHECK_EQ(sizeof(vector_packed), sizeof(vector_projected));
    CHECK_MEM(vector_packed, vector_projected, sizeof(vector_packed));
    CHECK_EQ(sizeof(vector_packed_scales), sizeof(vector_stream_scales));
    CHECK_MEM(vector_packed_scales, vector_stream_scales, sizeof(vector_packed_scales));
    CHECK_EQ(sizeof(vector_packed_report), sizeof(vector_stream_report));
    CHECK_MEM(vector_packed_report, vector_stream_report, sizeof(vector_packed_report));
}

CASE(unpack, "an UnpackRequest is encoded and read back")
{
    struct wire_unpack sample = {.encoding = TRIT_ENCODING_INT8,
                                 .dtype = TRIT_F32,
                                 .group_size = 3,
                                 .rank = 2,
                                 .shape = {2, 3}},
                       request;
    uint8_t head[REQUEST_HEAD_BYTES_MAX];
    struct assembled message = {0};
    size_t scales_at;
    size_t count = encode_unpack(&sample, 12, 24, head, sizeof(head), &scales_at);
    assemble(&message, head, scales_at);
    assemble(&message, sample_scales, 12);
    assemble(&message, head + scales_at, count - scales_at);
    assemble(&message, sample_data, 24);
    check_assembled(&message, vector_unpack, sizeof(vector_unpack));
    reading_message(&reading, scan_unpack, message.bytes, message.count);
    CHECK_EQ(decode_unpack(part(PART_ROOT), &request, error), 0);
    CHECK_EQ(request.encoding, sample.encoding);
    CHECK_EQ(request.dtype, sample.dtype);
    CHECK_EQ(request.group_size, 3);
    CHECK_EQ(request.rank, 2);
    CHECK_MEM(request.shape, sample.shape, sizeof(sample.shape));
    check_blob(BLOB_DATA, sample_data, 24);
    check_blob(BLOB_SCALES, sample_scales, 12);
    reading_fini(&reading);
}

CASE(backward, "a BackwardRequest is encoded and read back")
{
    struct wire_tensor sample = sample_tensor(TRIT_F32), tensor;
    uint8_t head[REQUEST_HEAD_BYTES_MAX];
    struct assembled message = {0};
    size_t count = encode_backward_request(&sample, 24, head, sizeof(head));
    assemble(&message, head, count);
    assemble(&message, sample_data, 24);
    check_assembled(&message, vector_backward, sizeof(vector_backward));
    reading_message(&reading, scan_backward, message.bytes, message.count);
    CHECK_EQ(decode_tensor(part(PART_TENSOR), &tensor, error), 0);
    check_tensor(&tensor, &sample);
    check_blob(BLOB_DATA, sample_data, 24);
    reading_fini(&reading);
}

CASE(reports_get, "a ReportsGetRequest is encoded and read back, also with step 0")
{
    struct wire_reports_get sample = {.run = "r", .layer = "l", .has_step = true},
                            request;
    uint8_t bytes[REQUEST_HEAD_BYTES_MAX];
    size_t count = encode_reports_get(&sample, bytes, sizeof(bytes));
    CHECK_EQ(count, sizeof(vector_reports_get));
    CHECK_MEM(bytes, vector_reports_get, count);
    reading_message(&reading, scan_plain, bytes, count);
    CHECK_EQ(decode_reports_get(part(PART_ROOT), &request, error), 0);
    CHECK_STR(request.run, "r");
    CHECK_STR(request.layer, "l");
    CHECK(request.has_step);
    CHECK_EQ(request.step, 0);
    reading_fini(&reading);
}

CASE(reports_list, "a ReportsListRequest is encoded and read back")
{
    struct wire_reports_list sample = {.run = "r",
                                       .layer = "l",
                                       .has_from = true,
                                       .has_to = true,
                                       .step_to = UINT64_C(1) << 62,
                                       .latest_only = true,
                                       .waiting = true,
                                       .beside_damage = true,
                                       .page_size = 1000,
                                       .page_token = "r/l/7"},
                             request;
    uint8_t bytes[REQUEST_HEAD_BYTES_MAX];
    size_t count = encode_reports_list(&sample, bytes, sizeof(bytes));
    CHECK_EQ(count, sizeof(vector_reports_list));
    CHECK_MEM(bytes, vector_reports_list, count);
    reading_message(&reading, scan_plain, bytes, count);
    CHECK_EQ(decode_reports_list(part(PART_ROOT), &request, error), 0);
    CHECK_STR(request.run, "r");
    CHECK_STR(request.layer, "l");
    CHECK(request.has_from && request.has_to && request.latest_only && request.waiting);
    CHECK(request.beside_damage);
    CHECK_EQ(request.step_from, 0);
    CHECK_EQ(request.step_to, UINT64_C(1) << 62);
    CHECK_EQ(request.page_size, 1000);
    CHECK_STR(request.page_token, "r/l/7");
    reading_fini(&reading);

    sample = (struct wire_reports_list){0};
    CHECK_EQ(encode_reports_list(&sample, bytes, sizeof(bytes)), 0);
}

CASE(health_check, "a HealthCheckRequest is encoded and read back, also an empty one")
{
    char service[HEALTH_SERVICE_BYTES_MAX + 1];
    uint8_t bytes[REQUEST_HEAD_BYTES_MAX];
    size_t count = encode_health_check("trit.v1.Ternary", bytes, sizeof(bytes));
    CHECK_EQ(count, sizeof(vector_health_check));
    CHECK_MEM(bytes, vector_health_check, count);
    reading_message(&reading, scan_plain, bytes, count);
    CHECK_EQ(decode_health_check(part(PART_ROOT), service, error), 0);
    CHECK_STR(service, "trit.v1.Ternary");
    reading_fini(&reading);
    CHECK_EQ(encode_health_check("", bytes, sizeof(bytes)), 0);
    reading_message(&reading, scan_plain, bytes, 0);
    CHECK_EQ(decode_health_check(part(PART_ROOT), service, error), 0);
    CHECK_STR(service, "");
    reading_fini(&reading);
}

/* ---- bounds ------------------------------------------------------------------------ */

static struct wire_layer_ref longest_layer(void)
{
    struct wire_layer_ref layer = {.present = true, .step = UINT64_MAX};
    memset(layer.run, 'r', TRIT_NAME_BYTES_MAX);
    memset(layer.layer, 'l', TRIT_NAME_BYTES_MAX);
    return layer;
}

static struct wire_tensor longest_tensor(void)
{
    struct wire_tensor tensor = {.dtype = UINT32_MAX, .rank = TRIT_RANK_MAX};
    memset(tensor.shape, 0xff, sizeof(tensor.shape));
    return tensor;
}

CASE(longest_heads, "the longest heads fit their bound and are read back")
{
    struct wire_verify verify = {.mode = UINT32_MAX,
                                 .group_size = UINT32_MAX,
                                 .partial_group = UINT32_MAX,
                                 .encoding = UINT32_MAX,
                                 .has_tolerance = true,
                                 .tolerance = 1,
                                 .layer = longest_layer(),
                                 .tensor = longest_tensor(),
                                 .reference_dtype = UINT32_MAX};
    struct wire_project project = {.group_size = UINT32_MAX,
                                   .partial_group = UINT32_MAX,
                                   .encoding = UINT32_MAX,
                                   .report = UINT32_MAX,
                                   .layer = longest_layer(),
                                   .tensor = longest_tensor()};
    struct wire_tensor tensor = longest_tensor();
    uint64_t much = UINT64_C(1) << 60;
    uint8_t head[REQUEST_HEAD_BYTES_MAX];
    size_t cut[2];
    CHECK(encode_verify(&verify, much, &tensor, much, &tensor, much, head, sizeof(head),
                        cut) > 0);
    CHECK(encode_verify_start(&verify, much, head, sizeof(head), cut) > 0);
    CHECK(encode_project(&project, &tensor, much, head, sizeof(head)) > 0);
    CHECK(encode_project_start(&project, head, sizeof(head)) > 0);
    struct wire_project back;
    reading_message(&reading, scan_project_stream, head,
                    encode_project_start(&project, head, sizeof(head)));
    CHECK_EQ(decode_project_start(part(PART_START), &back, error), 0);
    check_layer(&back.layer, &project.layer);
    check_tensor(&back.tensor, &project.tensor);
    CHECK_EQ(back.encoding, UINT32_MAX);
    reading_fini(&reading);
}

/* The lengths in a head count the bytes that are not in it, in 64 bits. */
CASE(bulk_lengths, "lengths of bulk fields may exceed 4 GiB")
{
    struct wire_tensor sample = sample_tensor(TRIT_F32);
    uint64_t bulk = UINT64_C(5) << 32;
    uint8_t head[64];
    size_t count = encode_backward_request(&sample, bulk, head, sizeof(head));
    struct scan scan_;
    struct scanned found;
    const uint8_t *bytes = head;
    size_t left = count;
    scan_init(&scan_, scan_backward, count + bulk);
    CHECK_EQ(scan(&scan_, &bytes, &left, &found), SCAN_BLOB);
    CHECK_EQ(left, 0);
    CHECK_EQ(found.length, bulk);
    CHECK_EQ(scan_.levels[0].left, 0);
    CHECK_EQ(scan_.levels[1].left, 0);
    scan_fini(&scan_);
}
