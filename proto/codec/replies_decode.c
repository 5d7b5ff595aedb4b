/* SPDX-License-Identifier: Apache-2.0 */
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
    memcpy(head.tensor.shape, reply.shape, reply.shape_count * sizeof(reply.shape[0]));
    wire_region(reply.has_region, &reply.region, &head.region);
    *out = head;
    return 0;
}

int decode_chunks_done(const struct scan_part *root, bool *has_count, uint64_t *count,
                       char error[CODEC_ERROR_BYTES])
{
    pb_istream_t in = pb_istream_from_buffer(root->bytes, root->count);
    bool found = false, ok = true;
    while (ok && in.bytes_left > 0) { /* the report, too, is a field of this message */
        pb_wire_type_t wire;
        uint32_t number;
        bool eof;
        ok = pb_decode_tag(&in, &wire, &number, &eof);
        if (ok && number == 2 && wire == PB_WT_VARINT)
            found = ok = pb_decode_varint(&in, count);
        else if (ok)
            ok = pb_skip_field(&in, wire);
    }
    if (!ok) {
        snprintf(error, CODEC_ERROR_BYTES, "chunks_done: %s", PB_GET_ERROR(&in));
        return -1;
    }
    *has_count = found;
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
