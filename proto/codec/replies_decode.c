/* Replies as libtrit reads them. Those that are a report: report.c. */
#include "wire.h"

#include <stdio.h>
#include <string.h>

#include "grpc/health/v1/health.pb.h"

int decode_projected(const struct scan_part *root, struct wire_projected_head *out,
                     char error[CODEC_ERROR_BYTES])
{
    trit_v1_ProjectResponse reply;
    struct wire_projected_head head = {0};
    if (wire_decode(&message_projected, root->bytes, root->count, &reply, error) != 0 ||
        (reply.has_report && wire_report(&reply.report, &head.report, error) != 0))
        return -1;
    head.has_report = reply.has_report;
    head.encoding = (uint32_t)reply.encoding;
    head.tensor.dtype = (uint32_t)reply.dtype;
    head.tensor.rank = reply.shape_count;
    memcpy(head.tensor.shape, reply.shape, reply.shape_count * sizeof reply.shape[0]);
    *out = head;
    return 0;
}

int decode_health(const struct scan_part *root, enum health_status *status,
                  char error[CODEC_ERROR_BYTES])
{
    static const struct field_name names[] = {{1, "status", 0, NULL}, {0}};
    static const struct message message_health = {
        grpc_health_v1_HealthCheckResponse_fields, names};
    grpc_health_v1_HealthCheckResponse reply;
    if (wire_decode(&message_health, root->bytes, root->count, &reply, error) != 0)
        return -1;
    *status = (enum health_status)reply.status;
    return 0;
}

/* ---- a page of reports ----------------------------------------------------------------
 */

/* Takes a length and as many bytes off the stream. */
static bool take_bytes(pb_istream_t *in, size_t *count)
{
    uint64_t length;
    if (!pb_decode_varint(in, &length) || length > in->bytes_left)
        return false;
    *count = (size_t)length;
    return pb_read(in, NULL, *count);
}

int decode_reports_page(const uint8_t *bytes, size_t count,
                        void (*visit)(void *arg, const struct trit_report *report),
                        void *arg, char token[PAGE_TOKEN_BYTES_MAX + 1],
                        char error[CODEC_ERROR_BYTES])
{
    pb_istream_t in = pb_istream_from_buffer(bytes, count);
    size_t value_bytes;
    char found[PAGE_TOKEN_BYTES_MAX + 1] = "";
    while (in.bytes_left > 0) {
        pb_wire_type_t wire;
        uint32_t number;
        bool eof;
        if (!pb_decode_tag(&in, &wire, &number, &eof) || number == 0)
            goto malformed;
        if (wire != PB_WT_STRING || number > 2) {
            if (!pb_skip_field(&in, wire))
                goto malformed;
            continue;
        }
        if (!take_bytes(&in, &value_bytes))
            goto malformed;
        const uint8_t *value = bytes + (count - in.bytes_left - value_bytes);
        if (number == 1) {
            struct trit_report report;
            if (decode_report(value, value_bytes, &report, error) != 0)
                return -1;
            visit(arg, &report);
        } else if (wire_text("next_page_token", value, value_bytes, PAGE_TOKEN_BYTES_MAX,
                             found, error) != 0) {
            return -1;
        }
    }
    memcpy(token, found, sizeof found);
    return 0;

malformed:
    snprintf(error, CODEC_ERROR_BYTES, "malformed");
    return -1;
}
