/* SPDX-License-Identifier: Apache-2.0 */
/* Replies about the history, both ways. */
#include "proto/codec/history.h"

#include "put.h"
#include "wire.h"

static size_t written(const pb_msgdesc_t *fields, const void *message, uint8_t *out,
                      size_t capacity)
{
    pb_ostream_t stream = pb_ostream_from_buffer(out, capacity);

    return pb_encode(&stream, fields, message) ? stream.bytes_written : 0;
}

/* ---- Watch ------------------------------------------------------------------------ */

size_t encode_watched(const struct trit_report *report, const char *cursor, uint8_t *out,
                      size_t capacity)
{
    struct put put = {.at = out, .end = out + capacity};

    put_report(&put, 1, report);
    put_text(&put, 2, cursor, WATCH_CURSOR_BYTES_MAX);
    return put.full ? 0 : (size_t)(put.at - out);
}

int decode_watched(const struct scan_part *root, struct trit_report *report,
                   char cursor[WATCH_CURSOR_BYTES_MAX + 1], char error[CODEC_ERROR_BYTES])
{
    static const struct field_name names[] = {{1, "report", 0, &message_report},
                                              {2, "cursor", WATCH_CURSOR_BYTES_MAX, NULL},
                                              {0}};
    static const struct message message = {trit_v1_ReportsWatchResponse_fields, names};
    trit_v1_ReportsWatchResponse reply;

    if (wire_decode(&message, root->bytes, root->count, &reply, error) != 0 ||
        wire_text("cursor", reply.cursor.bytes, reply.cursor.size, WATCH_CURSOR_BYTES_MAX,
                  cursor, error) != 0)
        return -1;
    return wire_report(&reply.report, report, error);
}

/* ---- Compare ---------------------------------------------------------------------- */

size_t encode_compared(const struct wire_compared *reply, uint8_t *out, size_t capacity)
{
    const trit_v1_ReportsCompareResponse wire = {
        .equal = reply->equal,
        .elements = reply->elements,
        .codes_differing = reply->codes_differing,
        .scale_ratio_max = reply->scale_ratio_max,
        .has_first_group = reply->has_first_group,
        .first_group = reply->first_group,
    };

    return written(trit_v1_ReportsCompareResponse_fields, &wire, out, capacity);
}

int decode_compared(const struct scan_part *root, struct wire_compared *out,
                    char error[CODEC_ERROR_BYTES])
{
    static const struct field_name names[] = {
        {1, "equal", 0, NULL},           {2, "elements", 0, NULL},
        {3, "codes_differing", 0, NULL}, {4, "scale_ratio_max", 0, NULL},
        {5, "first_group", 0, NULL},     {0}};
    static const struct message message = {trit_v1_ReportsCompareResponse_fields, names};
    trit_v1_ReportsCompareResponse reply;

    if (wire_decode(&message, root->bytes, root->count, &reply, error) != 0)
        return -1;
    *out = (struct wire_compared){
        .equal = reply.equal,
        .elements = reply.elements,
        .codes_differing = reply.codes_differing,
        .scale_ratio_max = reply.scale_ratio_max,
        .has_first_group = reply.has_first_group,
        .first_group = reply.has_first_group ? reply.first_group : 0,
    };
    return 0;
}

/* ---- Rewind, Fork, Delete ---------------------------------------------------------- */

size_t encode_rewound(uint32_t attempt, uint8_t *out, size_t capacity)
{
    const trit_v1_ReportsRewindResponse reply = {.attempt = attempt};

    return written(trit_v1_ReportsRewindResponse_fields, &reply, out, capacity);
}

int decode_rewound(const struct scan_part *root, uint32_t *attempt,
                   char error[CODEC_ERROR_BYTES])
{
    static const struct field_name names[] = {{1, "attempt", 0, NULL}, {0}};
    static const struct message message = {trit_v1_ReportsRewindResponse_fields, names};
    trit_v1_ReportsRewindResponse reply;

    if (wire_decode(&message, root->bytes, root->count, &reply, error) != 0)
        return -1;
    *attempt = reply.attempt;
    return 0;
}

size_t encode_reports_changed(uint64_t reports, uint8_t *out, size_t capacity)
{
    const trit_v1_ReportsForkResponse reply = {.reports = reports};

    return written(trit_v1_ReportsForkResponse_fields, &reply, out, capacity);
}

int decode_reports_changed(const struct scan_part *root, uint64_t *reports,
                           char error[CODEC_ERROR_BYTES])
{
    static const struct field_name names[] = {{1, "reports", 0, NULL}, {0}};
    static const struct message message = {trit_v1_ReportsForkResponse_fields, names};
    trit_v1_ReportsForkResponse reply;

    if (wire_decode(&message, root->bytes, root->count, &reply, error) != 0)
        return -1;
    *reports = reply.reports;
    return 0;
}
