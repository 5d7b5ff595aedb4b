/* SPDX-License-Identifier: Apache-2.0 */
/* google.rpc.Status in grpc-status-details-bin. The messages are small and foreign
 * (google/rpc/status.proto, error_details.proto, protobuf/any.proto), so they are
 * written field by field:
 *
 *   Status { int32 code = 1; string message = 2; repeated Any details = 3; }
 *   Any { string type_url = 1; bytes value = 2; }
 *   BadRequest { repeated FieldViolation field_violations = 1; }
 *   FieldViolation { string field = 1; string description = 2; } */
#include "wire.h"

#include <string.h>

static const char bad_request[] = "type.googleapis.com/google.rpc.BadRequest";

static bool put_text(pb_ostream_t *out, uint32_t number, const char *text)
{
    size_t length = strlen(text);
    return length == 0 || (pb_encode_tag(out, PB_WT_STRING, number) &&
                           pb_encode_string(out, (const pb_byte_t *)text, length));
}

static bool put_violation(pb_ostream_t *out, const char *field, const char *description)
{
    uint64_t violation =
        wire_blob_size(1, strlen(field)) + wire_blob_size(2, strlen(description));
    uint64_t request = wire_blob_size(1, violation);
    uint64_t any =
        wire_blob_size(1, sizeof(bad_request) - 1) + wire_blob_size(2, request);
    return wire_blob_head(out, 3, any) && put_text(out, 1, bad_request) &&
           wire_blob_head(out, 2, request) && wire_blob_head(out, 1, violation) &&
           put_text(out, 1, field) && put_text(out, 2, description);
}

size_t encode_status_details(enum trit_status status, const char *message,
                             const char *field, uint8_t *out, size_t capacity)
{
    pb_ostream_t stream = pb_ostream_from_buffer(out, capacity);
    if (!pb_encode_tag(&stream, PB_WT_VARINT, 1) ||
        !pb_encode_varint(&stream, (uint64_t)status) || !put_text(&stream, 2, message))
        return 0;
    if (field && field[0] != '\0' && !put_violation(&stream, field, message))
        return 0;
    return stream.bytes_written;
}

/* ---- reading ----------------------------------------------------------------------- */

struct span {
    const uint8_t *bytes;
    size_t count;
};

/* Finds the first length-delimited field `number`. 0: found, 1: not there, -1:
 * malformed. */
static int find_span(struct span in, uint32_t wanted, struct span *out)
{
    pb_istream_t stream = pb_istream_from_buffer(in.bytes, in.count);
    while (stream.bytes_left > 0) {
        pb_wire_type_t wire;
        uint32_t number, length;
        bool eof;
        if (!pb_decode_tag(&stream, &wire, &number, &eof) || number == 0)
            return -1;
        if (number != wanted || wire != PB_WT_STRING) {
            if (!pb_skip_field(&stream, wire))
                return -1;
            continue;
        }
        if (!pb_decode_varint32(&stream, &length) || length > stream.bytes_left)
            return -1;
        *out = (struct span){in.bytes + (in.count - stream.bytes_left), length};
        return 0;
    }
    return 1;
}

int decode_status_details(const uint8_t *bytes, size_t count, char field[64])
{
    struct span status = {bytes, count}, any, url, request, violation, name;
    int found = find_span(status, 3, &any);
    if (found == 0)
        found = find_span(any, 1, &url);
    if (found == 0 && (url.count != sizeof(bad_request) - 1 ||
                       memcmp(url.bytes, bad_request, url.count) != 0))
        found = 1;
    if (found == 0)
        found = find_span(any, 2, &request);
    if (found == 0)
        found = find_span(request, 1, &violation);
    if (found == 0)
        found = find_span(violation, 1, &name);
    if (found < 0)
        return -1;
    size_t length = found == 0 ? name.count : 0;
    if (length > 63)
        length = 63;
    if (length > 0)
        memcpy(field, name.bytes, length);
    field[length] = '\0';
    return 0;
}
