/* SPDX-License-Identifier: Apache-2.0 */
#include "services/chunk.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/limits.h"
#include "grpc/checks.h"
#include "kernels/kernels.h"
#include "obs/metrics.h"

enum { FIELD_BYTES = 32 };

static int check_offset(struct call *call, const struct chunk_target *target,
                        uint64_t offset)
{
    if (offset == target->received)
        return 0;
    return fail(&call->failure, TRIT_INVALID_ARGUMENT, target->field,
                "%s.offset: %" PRIu64 ", but the next byte expected is %" PRIu64 " (%s)",
                target->field, offset, target->received,
                offset < target->received ? "chunks overlap" : "bytes are missing");
}

static int check_length(struct call *call, const struct chunk_target *target,
                        uint64_t length)
{
    if (length > CHUNK_BYTES_MAX) {
        metric_limit(call->config->metrics, L_CHUNK);
        return fail(&call->failure, TRIT_INVALID_ARGUMENT, target->field,
                    "%s.data: %" PRIu64 " bytes, but the limit is %u bytes",
                    target->field, length, (unsigned)CHUNK_BYTES_MAX);
    }
    if (length > target->expected - target->received)
        return fail(&call->failure, TRIT_INVALID_ARGUMENT, target->field,
                    "%s.data: %" PRIu64 " bytes at offset %" PRIu64
                    " exceed the tensor's %" PRIu64 " bytes",
                    target->field, length, target->received, target->expected);
    return 0;
}

int chunk_begin(struct chunk_reader *reader, struct call *call,
                const struct chunk_target *target, uint64_t length)
{
    char error[CODEC_ERROR_BYTES], path[FIELD_BYTES];

    if (reader->seen)
        return fail_field(&call->failure, TRIT_INVALID_ARGUMENT, target->field,
                          "sent twice in one message");
    if (decode_chunk(target->part, &reader->chunk, error) < 0) {
        snprintf(path, sizeof(path), "%s.", target->field);
        return decode_failed(call, path, error);
    }
    reader->field = target->field;
    reader->small_bytes = small_bytes(&call->scan);
    reader->seen = true;
    reader->crc = 0;
    if (check_offset(call, target, reader->chunk.offset) < 0)
        return -1;
    return check_length(call, target, length);
}

void chunk_bytes(struct chunk_reader *reader, const uint8_t *bytes, size_t count)
{
    if (reader->chunk.has_crc32c)
        reader->crc = crc32c(reader->crc, bytes, count);
}

int chunk_end(struct chunk_reader *reader, struct call *call)
{
    char field[FIELD_BYTES];

    if (!reader->chunk.has_crc32c || reader->chunk.crc32c == reader->crc)
        return 0;
    snprintf(field, sizeof(field), "%s.crc32c", reader->field);
    return fail_field(&call->failure, TRIT_DATA_LOSS, field,
                      "0x%08x, but the bytes at offset %" PRIu64 " have 0x%08x",
                      (unsigned)reader->chunk.crc32c, reader->chunk.offset,
                      (unsigned)reader->crc);
}

int chunk_check_order(const struct chunk_reader *reader, struct call *call)
{
    char field[FIELD_BYTES];

    if (small_bytes(&call->scan) == reader->small_bytes)
        return 0;
    snprintf(field, sizeof(field), "%s.data", reader->field);
    return late_fields(call, field);
}
