/* SPDX-License-Identifier: Apache-2.0 */
/* Requests about the history, both ways. */
#include "proto/codec/history.h"

#include "wire.h"

_Static_assert(trit_v1_ReportsCompareRequest_size <= REQUEST_HEAD_BYTES_MAX,
               "every head fits");

#define NAME(message, field) (message).field.bytes, (message).field.size

static size_t written(const pb_msgdesc_t *fields, const void *message, uint8_t *out,
                      size_t capacity)
{
    pb_ostream_t stream = pb_ostream_from_buffer(out, capacity);

    return pb_encode(&stream, fields, message) ? stream.bytes_written : 0;
}

/* ---- Watch ------------------------------------------------------------------------ */

int decode_reports_watch(const struct scan_part *root, struct wire_reports_watch *out,
                         char error[CODEC_ERROR_BYTES])
{
    static const struct field_name names[] = {{1, "run", TRIT_NAME_BYTES_MAX, NULL},
                                              {2, "cursor", WATCH_CURSOR_BYTES_MAX, NULL},
                                              {0}};
    static const struct message message = {trit_v1_ReportsWatchRequest_fields, names};
    trit_v1_ReportsWatchRequest request;
    struct wire_reports_watch watch;

    if (wire_decode(&message, root->bytes, root->count, &request, error) != 0 ||
        wire_text("run", NAME(request, run), TRIT_NAME_BYTES_MAX, watch.run, error) !=
            0 ||
        wire_text("cursor", NAME(request, cursor), WATCH_CURSOR_BYTES_MAX, watch.cursor,
                  error) != 0)
        return -1;
    *out = watch;
    return 0;
}

size_t encode_reports_watch(const struct wire_reports_watch *request, uint8_t *out,
                            size_t capacity)
{
    trit_v1_ReportsWatchRequest wire;

    wire.run.size = wire_text_put(wire.run.bytes, sizeof(wire.run.bytes), request->run);
    wire.cursor.size =
        wire_text_put(wire.cursor.bytes, sizeof(wire.cursor.bytes), request->cursor);
    return written(trit_v1_ReportsWatchRequest_fields, &wire, out, capacity);
}

/* ---- Compare ---------------------------------------------------------------------- */

int decode_reports_compare(const struct scan_part *root, struct wire_reports_compare *out,
                           char error[CODEC_ERROR_BYTES])
{
    static const struct field_name names[] = {
        {1, "a", 0, &message_layer}, {2, "b", 0, &message_layer}, {0}};
    static const struct message message = {trit_v1_ReportsCompareRequest_fields, names};
    static const struct layer_names a = {"a.run", "a.layer"}, b = {"b.run", "b.layer"};
    trit_v1_ReportsCompareRequest request;
    struct wire_reports_compare compare = {0};

    if (wire_decode(&message, root->bytes, root->count, &request, error) != 0 ||
        wire_layer_ref(&request.a, &a, &compare.a, error) != 0 ||
        wire_layer_ref(&request.b, &b, &compare.b, error) != 0)
        return -1;
    *out = compare;
    return 0;
}

size_t encode_reports_compare(const struct wire_reports_compare *request, uint8_t *out,
                              size_t capacity)
{
    trit_v1_ReportsCompareRequest wire = {.has_a = true, .has_b = true};

    wire_layer_ref_put(&wire.a, &request->a);
    wire_layer_ref_put(&wire.b, &request->b);
    return written(trit_v1_ReportsCompareRequest_fields, &wire, out, capacity);
}

/* ---- Rewind, Fork, Delete ---------------------------------------------------------- */

int decode_reports_rewind(const struct scan_part *root, struct wire_reports_rewind *out,
                          char error[CODEC_ERROR_BYTES])
{
    static const struct field_name names[] = {
        {1, "run", TRIT_NAME_BYTES_MAX, NULL}, {2, "step", 0, NULL}, {0}};
    static const struct message message = {trit_v1_ReportsRewindRequest_fields, names};
    trit_v1_ReportsRewindRequest request;
    struct wire_reports_rewind rewind;

    if (wire_decode(&message, root->bytes, root->count, &request, error) != 0 ||
        wire_text("run", NAME(request, run), TRIT_NAME_BYTES_MAX, rewind.run, error) != 0)
        return -1;
    rewind.step = request.step;
    *out = rewind;
    return 0;
}

size_t encode_reports_rewind(const struct wire_reports_rewind *request, uint8_t *out,
                             size_t capacity)
{
    trit_v1_ReportsRewindRequest wire = {.step = request->step};

    wire.run.size = wire_text_put(wire.run.bytes, sizeof(wire.run.bytes), request->run);
    return written(trit_v1_ReportsRewindRequest_fields, &wire, out, capacity);
}

int decode_reports_fork(const struct scan_part *root, struct wire_reports_fork *out,
                        char error[CODEC_ERROR_BYTES])
{
    static const struct field_name names[] = {{1, "run", TRIT_NAME_BYTES_MAX, NULL},
                                              {2, "step", 0, NULL},
                                              {3, "new_run", TRIT_NAME_BYTES_MAX, NULL},
                                              {0}};
    static const struct message message = {trit_v1_ReportsForkRequest_fields, names};
    trit_v1_ReportsForkRequest request;
    struct wire_reports_fork fork;

    if (wire_decode(&message, root->bytes, root->count, &request, error) != 0 ||
        wire_text("run", NAME(request, run), TRIT_NAME_BYTES_MAX, fork.run, error) != 0 ||
        wire_text("new_run", NAME(request, new_run), TRIT_NAME_BYTES_MAX, fork.new_run,
                  error) != 0)
        return -1;
    fork.step = request.step;
    *out = fork;
    return 0;
}

size_t encode_reports_fork(const struct wire_reports_fork *request, uint8_t *out,
                           size_t capacity)
{
    trit_v1_ReportsForkRequest wire = {.step = request->step};

    wire.run.size = wire_text_put(wire.run.bytes, sizeof(wire.run.bytes), request->run);
    wire.new_run.size =
        wire_text_put(wire.new_run.bytes, sizeof(wire.new_run.bytes), request->new_run);
    return written(trit_v1_ReportsForkRequest_fields, &wire, out, capacity);
}

int decode_reports_delete(const struct scan_part *root, struct wire_reports_delete *out,
                          char error[CODEC_ERROR_BYTES])
{
    static const struct field_name names[] = {{1, "run", TRIT_NAME_BYTES_MAX, NULL},
                                              {2, "layer", TRIT_NAME_BYTES_MAX, NULL},
                                              {3, "step_from", 0, NULL},
                                              {4, "step_to", 0, NULL},
                                              {0}};
    static const struct message message = {trit_v1_ReportsDeleteRequest_fields, names};
    trit_v1_ReportsDeleteRequest request;
    struct wire_reports_delete deletion = {0};

    if (wire_decode(&message, root->bytes, root->count, &request, error) != 0 ||
        wire_text("run", NAME(request, run), TRIT_NAME_BYTES_MAX, deletion.run, error) !=
            0 ||
        wire_text("layer", NAME(request, layer), TRIT_NAME_BYTES_MAX, deletion.layer,
                  error) != 0)
        return -1;
    deletion.has_from = request.has_step_from;
    deletion.has_to = request.has_step_to;
    deletion.step_from = request.has_step_from ? request.step_from : 0;
    deletion.step_to = request.has_step_to ? request.step_to : 0;
    *out = deletion;
    return 0;
}

size_t encode_reports_delete(const struct wire_reports_delete *request, uint8_t *out,
                             size_t capacity)
{
    trit_v1_ReportsDeleteRequest wire = {.has_step_from = request->has_from,
                                         .step_from = request->step_from,
                                         .has_step_to = request->has_to,
                                         .step_to = request->step_to};

    wire.run.size = wire_text_put(wire.run.bytes, sizeof(wire.run.bytes), request->run);
    wire.layer.size =
        wire_text_put(wire.layer.bytes, sizeof(wire.layer.bytes), request->layer);
    return written(trit_v1_ReportsDeleteRequest_fields, &wire, out, capacity);
}
