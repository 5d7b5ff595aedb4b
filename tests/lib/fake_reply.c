/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/lib/fake_reply.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/kernels.h"
#include "proto/codec/codec.h"
#include "proto/framing.h"
#include "tests/lib/check.h"

void fake_reply_free(struct fake_reply *reply)
{
    free(reply->bytes);
    *reply = (struct fake_reply){NULL, 0, 0};
}

void fake_reply_raw(struct fake_reply *reply, const void *bytes, size_t count)
{
    if (reply->capacity - reply->count < count) {
        reply->capacity = 2 * (reply->capacity + count);
        reply->bytes = realloc(reply->bytes, reply->capacity);
        CHECK(reply->bytes);
    }
    if (count > 0)
        memcpy(reply->bytes + reply->count, bytes, count);
    reply->count += count;
}

void fake_reply_message(struct fake_reply *reply, const void *head, size_t head_bytes,
                        const void *tail, size_t tail_bytes)
{
    uint8_t prefix[GRPC_PREFIX_BYTES];

    frame_prefix(prefix, (uint32_t)(head_bytes + tail_bytes));
    fake_reply_raw(reply, prefix, sizeof(prefix));
    fake_reply_raw(reply, head, head_bytes);
    fake_reply_raw(reply, tail, tail_bytes);
}

void fake_reply_projected(struct fake_reply *reply, const struct trit_report *report,
                          enum trit_encoding encoding, const uint64_t shape[2],
                          const void *scales, size_t scale_bytes, const void *data,
                          size_t data_bytes)
{
    struct wire_projected wire = {.report = report,
                                  .encoding = (uint32_t)encoding,
                                  .dtype = TRIT_F32,
                                  .rank = 2,
                                  .shape = shape,
                                  .scale_bytes = scale_bytes,
                                  .data_bytes = data_bytes};
    uint8_t head[REPLY_HEAD_BYTES_MAX], prefix[GRPC_PREFIX_BYTES];
    size_t at, count = encode_projected(&wire, head, sizeof(head), &at);

    CHECK(count > 0);
    frame_prefix(prefix, (uint32_t)(count + scale_bytes + data_bytes));
    fake_reply_raw(reply, prefix, sizeof(prefix));
    fake_reply_raw(reply, head, at);
    fake_reply_raw(reply, scales, scale_bytes);
    fake_reply_raw(reply, head + at, count - at);
    fake_reply_raw(reply, data, data_bytes);
}

void fake_reply_chunk(struct fake_reply *reply, int scales, uint64_t offset, uint32_t crc,
                      const void *data, size_t count)
{
    uint8_t head[REPLY_HEAD_BYTES_MAX];
    size_t head_bytes =
        encode_stream_chunk(scales != 0, offset, crc, count, head, sizeof(head));

    CHECK(head_bytes > 0);
    fake_reply_message(reply, head, head_bytes, data, count);
}

void fake_reply_chunks(struct fake_reply *reply, int scales, const void *data,
                       size_t count, size_t chunk_bytes)
{
    const uint8_t *bytes = data;

    for (size_t at = 0; at < count; at += chunk_bytes) {
        size_t n = count - at < chunk_bytes ? count - at : chunk_bytes;

        fake_reply_chunk(reply, scales, at, crc32c(0, bytes + at, n), bytes + at, n);
    }
}

void fake_reply_stream_report(struct fake_reply *reply, const struct trit_report *report)
{
    uint8_t bytes[REPLY_HEAD_BYTES_MAX];

    fake_reply_message(reply, bytes, encode_stream_report(report, bytes, sizeof(bytes)),
                       NULL, 0);
}

void fake_reply_verified(struct fake_reply *reply, const struct trit_report *report)
{
    uint8_t bytes[REPLY_HEAD_BYTES_MAX];

    fake_reply_message(reply, bytes, encode_verified(report, bytes, sizeof(bytes)), NULL,
                       0);
}

struct trit_report fake_report(uint64_t elements)
{
    struct trit_report report = {.dtype = TRIT_F32,
                                 .rank = 1,
                                 .shape = {elements},
                                 .group_size = 128,
                                 .elements = elements,
                                 .zeros = elements,
                                 .is_ternary = true};

    snprintf(report.kernel, sizeof(report.kernel), "portable");
    return report;
}

void fake_details(enum trit_status status, const char *field,
                  char text[FAKE_DETAILS_BYTES])
{
    static const char alphabet[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    uint8_t bytes[512] = {0};
    const size_t count =
        encode_status_details(status, "no", field, bytes, sizeof(bytes) - 3);
    size_t at = 0;

    CHECK(count > 0);
    for (size_t i = 0; i < count; i += 3) {
        const uint32_t bits =
            (uint32_t)(bytes[i] << 16 | bytes[i + 1] << 8 | bytes[i + 2]);

        for (int shift = 18; shift >= 0; shift -= 6)
            text[at++] = alphabet[bits >> shift & 63];
    }
    text[(count * 4 + 2) / 3] = '\0'; /* unpadded, as gRPC sends it */
}
