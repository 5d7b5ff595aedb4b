/* SPDX-License-Identifier: Apache-2.0 */
/* Every encoder at every capacity: all or nothing, and nothing past the end. */
#include "proto/codec/codec.h"

#include <string.h>

#include "tests/lib/check.h"
#include "tests/lib/proto_samples.h"

/* Some encoders return two positions besides the size. */
typedef size_t encoder(uint8_t *out, size_t capacity, size_t cut[2]);

static const uint64_t shape[] = {300, 1};

static size_t project(uint8_t *out, size_t capacity, size_t cut[2])
{
    struct wire_project request = {.group_size = 64, .layer = sample_layer()};
    struct wire_tensor tensor = sample_tensor(TRIT_F32);
    (void)cut;
    return encode_project(&request, &tensor, 1000, out, capacity);
}

static size_t project_start(uint8_t *out, size_t capacity, size_t cut[2])
{
    struct wire_project request = {.group_size = 64, .tensor = sample_tensor(TRIT_F32)};
    (void)cut;
    return encode_project_start(&request, out, capacity);
}

static size_t verify(uint8_t *out, size_t capacity, size_t cut[2])
{
    struct wire_verify request = {.mode = 1, .layer = sample_layer()};
    struct wire_tensor tensor = sample_tensor(TRIT_F32);
    return encode_verify(&request, 12, &tensor, 1000, &tensor, 1000, out, capacity, cut);
}

static size_t verify_start(uint8_t *out, size_t capacity, size_t cut[2])
{
    struct wire_verify request = {
        .mode = 1, .layer = sample_layer(), .tensor = sample_tensor(TRIT_F32)};
    return encode_verify_start(&request, 12, out, capacity, cut);
}

static size_t pack(uint8_t *out, size_t capacity, size_t cut[2])
{
    struct wire_pack request = {.encoding = 2, .layer = sample_layer()};
    struct wire_tensor tensor = sample_tensor(TRIT_F32);
    return encode_pack(&request, 12, &tensor, 1000, out, capacity, cut);
}

static size_t pack_start(uint8_t *out, size_t capacity, size_t cut[2])
{
    struct wire_pack request = {
        .encoding = 2, .layer = sample_layer(), .tensor = sample_tensor(TRIT_F32)};
    (void)cut;
    return encode_pack_start(&request, 12, out, capacity);
}

static size_t unpack(uint8_t *out, size_t capacity, size_t cut[2])
{
    struct wire_unpack request = {.dtype = 1, .rank = 2, .shape = {300, 1}};
    return encode_unpack(&request, 1000, 1000, out, capacity, cut);
}

static size_t chunk(uint8_t *out, size_t capacity, size_t cut[2])
{
    (void)cut;
    return encode_chunk_request(false, 7, sample_crc, 1000, out, capacity);
}

static size_t backward(uint8_t *out, size_t capacity, size_t cut[2])
{
    struct wire_tensor tensor = sample_tensor(TRIT_F32);
    (void)cut;
    return encode_backward_request(&tensor, 1000, out, capacity);
}

static size_t reports_get(uint8_t *out, size_t capacity, size_t cut[2])
{
    struct wire_reports_get request = {.run = "r", .layer = "l", .has_step = true};
    (void)cut;
    return encode_reports_get(&request, out, capacity);
}

static size_t reports_list(uint8_t *out, size_t capacity, size_t cut[2])
{
    struct wire_reports_list request = {.run = "r", .page_token = "t"};
    (void)cut;
    return encode_reports_list(&request, out, capacity);
}

static size_t health_check(uint8_t *out, size_t capacity, size_t cut[2])
{
    (void)cut;
    return encode_health_check("trit.v1.Ternary", out, capacity);
}

static size_t projected(uint8_t *out, size_t capacity, size_t cut[2])
{
    struct trit_report report = sample_report();
    struct wire_projected reply = {.report = &report,
                                   .dtype = TRIT_I8,
                                   .rank = 2,
                                   .shape = shape,
                                   .scale_bytes = 1000,
                                   .data_bytes = 1000};
    return encode_projected(&reply, out, capacity, cut);
}

static size_t tensor_reply(uint8_t *out, size_t capacity, size_t cut[2])
{
    struct wire_tensor tensor = sample_tensor(TRIT_F32);
    (void)cut;
    return encode_tensor(&tensor, 1000, out, capacity);
}

static size_t verified(uint8_t *out, size_t capacity, size_t cut[2])
{
    struct trit_report report = sample_report();
    (void)cut;
    return encode_verified(&report, out, capacity);
}

static size_t page_token(uint8_t *out, size_t capacity, size_t cut[2])
{
    (void)cut;
    return encode_page_token("r/l/8", out, capacity);
}

static size_t health(uint8_t *out, size_t capacity, size_t cut[2])
{
    (void)cut;
    return encode_health(HEALTH_SERVING, out, capacity);
}

static size_t details(uint8_t *out, size_t capacity, size_t cut[2])
{
    (void)cut;
    return encode_status_details(TRIT_INTERNAL, "message", "field", out, capacity);
}

static encoder *const encoders[] = {
    project,   project_start, verify,   verify_start, pack,         pack_start,
    unpack,    chunk,         backward, reports_get,  reports_list, health_check,
    projected, tensor_reply,  verified, page_token,   health,       details,
};

CASE(all_or_nothing,
     "an encoder writes the whole message or nothing, never past its capacity")
{
    for (size_t i = 0; i < sizeof(encoders) / sizeof(encoders[0]); i++) {
        uint8_t whole[REPLY_HEAD_BYTES_MAX], bytes[REPLY_HEAD_BYTES_MAX];
        size_t cut[2] = {777, 777};
        size_t full = encoders[i](whole, sizeof(whole), cut);
        CHECK(full > 0 && full < sizeof(bytes));
        for (size_t capacity = 0; capacity <= full; capacity++) {
            size_t at[2] = {777, 777};
            memset(bytes, 0xa5, sizeof(bytes));
            size_t count = encoders[i](bytes, capacity, at);
            CHECK_EQ(count, capacity == full ? full : 0);
            CHECK_EQ(at[0], capacity == full ? cut[0] : 777);
            CHECK_EQ(at[1], capacity == full ? cut[1] : 777);
            for (size_t j = capacity; j < sizeof(bytes); j++)
                CHECK_EQ(bytes[j], 0xa5);
        }
        CHECK_MEM(bytes, whole, full);
    }
}
