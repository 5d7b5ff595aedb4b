/* SPDX-License-Identifier: Apache-2.0 */
#include "services/ternary/tensor_call.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "obs/metrics.h"
#include "proto/names.h"
#include "services/ternary/gather.h"
#include "services/ternary/held_input.h"
#include "services/ternary/report.h"
#include "services/ternary/twice.h"

static const struct state_row rows[TENSOR_CALL_STATES] = {
    [TENSOR_CALL_HEADERS] = {"headers", STATE_TO(TENSOR_CALL_REFERENCE) |
                                            STATE_TO(TENSOR_CALL_DATA)},
    [TENSOR_CALL_REFERENCE] = {"reference", STATE_TO(TENSOR_CALL_DATA)},
    [TENSOR_CALL_DATA] = {"data", 0},
};
const struct states tensor_call_states = STATES("tensor call", rows);

static struct tensor_call *state_of(struct call *call)
{
    return call->method_state;
}

struct pipeline *tensor_call_pipeline(struct call *call)
{
    return &state_of(call)->pipeline;
}

struct trit_report *tensor_call_report_of(struct call *call)
{
    struct tensor_call *state = state_of(call);

    if (!state->reports)
        memset(&state->report, 0, sizeof(state->report));
    state->reports = true;
    return &state->report;
}

/* The store reads who the report is of before there are results. */
static void identify(struct call *call)
{
    const struct pipeline *pipeline = tensor_call_pipeline(call);

    if (pipeline->report_write.state != REPORT_WRITE_NONE)
        report_identify(tensor_call_report_of(call), &pipeline->task.plan);
}

void tensor_begin(struct call *call)
{
    struct tensor_call *state = state_of(call);

    state->ops = call->method->ops;
    pipeline_init(&state->pipeline, call, state->ops->complete);
    state->pipeline.emits_chunks = state->ops->stream;
    state->pipeline.tensor.field = state->ops->data_field;
    state->pipeline.reference.field = "reference.data";
    report_write_init(&state->pipeline.report_write, &state->report);
}

int tensor_call_layer(struct call *call, const struct wire_layer_ref *layer,
                      uint32_t durability)
{
    struct trit_report *report;

    if (check_enum(call, "options.durability", &durability_names, durability) < 0)
        return -1;
    if (!layer->present && layer->layer[0] == '\0' && layer->step == 0)
        return 0;
    report = tensor_call_report_of(call);
    if (report_write_want(&tensor_call_pipeline(call)->report_write, layer,
                          durability == TRIT_BEST_EFFORT, &call->failure) < 0)
        return -1;
    call_label(call, "run", report->run);
    call_label(call, "layer", report->layer);
    return 0;
}

enum { REGION_FIELD_BYTES = 64 };
/* Refuses the member `region` of the field. */
static int region_refuse(struct call *call, const char *field, const char *why)
{
    char name[REGION_FIELD_BYTES];

    snprintf(name, sizeof(name), "%s.region", field);
    return fail_field(&call->failure, TRIT_INVALID_ARGUMENT, name, "%s", why);
}

/* ---- starting ---------------------------------------------------------------- */

static int start(struct call *call)
{
    struct tensor_call *state = state_of(call);

    if (state->ops->task(call, &state->pipeline) < 0)
        return -1;
    state->small_bytes = small_bytes(&call->scan);
    identify(call);
    if (state->pipeline.state != PIPELINE_PLANNING)
        return 0;
    if (pipeline_start(&state->pipeline) < 0 || held_input_start(&state->pipeline) < 0)
        return -1;
    pipeline_direct_start(&state->pipeline);
    if (!state->ops->stream)
        return 0;
    return twice_start(&state->pipeline) < 0 ? -1 : gather_start(&state->pipeline);
}

static int wrong_length(struct call *call, const struct input *input, uint64_t length)
{
    return fail_field(&call->failure, TRIT_INVALID_ARGUMENT, input->field,
                      "%" PRIu64 " bytes, but the shape needs %" PRIu64 " bytes", length,
                      input->expected);
}

static int unary_reference_begin(struct call *call, uint64_t length)
{
    struct tensor_call *state = state_of(call);

    if (!state_try(&tensor_call_states, &state->state, TENSOR_CALL_REFERENCE))
        return fail_field(&call->failure, TRIT_INVALID_ARGUMENT, "reference.data",
                          "sent twice, or after tensor.data; send it once, before");
    if (state->ops->reference_task(call, &state->pipeline) < 0)
        return -1;
    identify(call);
    if (pipeline_start(&state->pipeline) < 0)
        return -1;
    if (length != state->pipeline.reference.expected)
        return wrong_length(call, &state->pipeline.reference, length);
    return 0;
}

/* ---- tensors in memory of the client --------------------------------------------- */

int tensor_call_header(struct call *call, const char *path, struct wire_tensor *tensor)
{
    char error[CODEC_ERROR_BYTES];

    if (decode_tensor(&call->scan.parts[PART_TENSOR], tensor, error) < 0)
        return decode_failed(call, path, error);
    state_of(call)->without_region = !tensor->region.present;
    return 0;
}

static int region_of(struct call *call, uint32_t part, const char *path,
                     struct wire_region *region)
{
    struct wire_tensor tensor;
    char error[CODEC_ERROR_BYTES];

    if (decode_tensor(&call->scan.parts[part], &tensor, error) < 0)
        return decode_failed(call, path, error);
    *region = tensor.region;
    return 0;
}

static int unary_reference_region(struct call *call)
{
    struct pipeline *pipeline = tensor_call_pipeline(call);
    struct wire_region region;

    if (region_of(call, PART_REFERENCE, "reference.", &region) < 0)
        return -1;
    if (!region.present)
        return 0;
    return unary_reference_begin(call, region.bytes) < 0
               ? -1
               : pipeline_feed_region(pipeline, &pipeline->reference, &region,
                                      "reference.region");
}

static int unary_data_begin(struct call *call, uint64_t length)
{
    struct tensor_call *state = state_of(call);

    /* A reference in memory has no data that began it. */
    if (state->state == TENSOR_CALL_HEADERS && state->ops->reference_task &&
        call->scan.parts[PART_REFERENCE].seen && unary_reference_region(call) < 0)
        return -1;
    if (!state_try(&tensor_call_states, &state->state, TENSOR_CALL_DATA))
        return fail_field(&call->failure, TRIT_INVALID_ARGUMENT, state->ops->data_field,
                          "sent twice");
    if (start(call) < 0)
        return -1;
    if (length != state->pipeline.tensor.expected)
        return wrong_length(call, &state->pipeline.tensor, length);
    return 0;
}

/* The name of the tensor in messages: the path of its data without ".data". */
static void tensor_path(const struct tensor_ops *ops, char path[REGION_FIELD_BYTES],
                        const char *member)
{
    snprintf(path, REGION_FIELD_BYTES, "%.*s.%s",
             (int)(strlen(ops->data_field) - strlen(".data")), ops->data_field, member);
}

/* The message is complete, and the tensor has no data: its bytes are in memory. */
static int unary_regions(struct call *call)
{
    struct tensor_call *state = state_of(call);
    char path[REGION_FIELD_BYTES];
    struct wire_region region;

    tensor_path(state->ops, path, "");
    if (region_of(call, PART_TENSOR, path, &region) < 0 ||
        unary_data_begin(call, region.bytes) < 0)
        return -1;
    tensor_path(state->ops, path, "region");
    return pipeline_feed_region(&state->pipeline, &state->pipeline.tensor, &region, path);
}

/* The tensor has data: it must not have a region too. Its header is as it was when the data
 * began. */
static int check_one_place(struct call *call)
{
    const struct scan_part *part = &call->scan.parts[PART_TENSOR];
    char path[REGION_FIELD_BYTES], error[CODEC_ERROR_BYTES];
    struct wire_tensor tensor = {0};
    bool decoded;

    if (state_of(call)->without_region)
        return 0;
    decoded = !part->seen || decode_tensor(part, &tensor, error) == 0;
    if (decoded && !tensor.region.present)
        return 0;
    tensor_path(state_of(call)->ops, path, "");
    if (!decoded)
        return decode_failed(call, path, error);
    path[strlen(path) - 1] = '\0'; /* the dot */
    return region_refuse(call, path, "set together with data; leave one of them out");
}

/* ---- chunks of a stream ---------------------------------------------------------- */

static int input_begin(struct call *call, const struct input *input, uint64_t length)
{
    struct tensor_call *state = state_of(call);
    bool is_tensor = input == &state->pipeline.tensor;
    const struct chunk_target target = {
        .field = is_tensor ? "chunk" : "reference",
        .part = &call->scan.parts[is_tensor ? PART_CHUNK : PART_REFERENCE],
        .received = input->received,
        .expected = input->expected,
    };

    if (state->pipeline.state == PIPELINE_PLANNING)
        return fail_field(&call->failure, TRIT_INVALID_ARGUMENT, "start",
                          "must be the first message, before any %s", target.field);
    if (!is_tensor && !state->chunk.seen && !state->pipeline.task.has_reference)
        return fail(&call->failure, TRIT_INVALID_ARGUMENT, target.field,
                    "reference: a chunk, but start.reference_dtype is not set");
    if (!is_tensor && state->pipeline.twice &&
        state->pipeline.tensor.received < state->pipeline.tensor.expected)
        return fail(&call->failure, TRIT_INVALID_ARGUMENT, target.field,
                    "reference: a chunk before the last one of the tensor; %s has one "
                    "scale: send the tensor first, then the reference twice",
                    encoding_name(state->pipeline.task.plan.spec.in));
    return chunk_begin(&state->chunk, call, &target, length);
}

/* The chunk's bytes are in the message. */
static int data_chunk_begin(struct call *call, uint32_t blob, uint64_t length)
{
    struct tensor_call *state = state_of(call);
    struct pipeline *pipeline = &state->pipeline;
    struct input *input = blob == BLOB_DATA ? &pipeline->tensor : &pipeline->reference;

    if (input_begin(call, input, length) < 0)
        return -1;
    if (state->chunk.chunk.region.present)
        return region_refuse(call, state->chunk.field,
                             "set together with data; leave one of them out");
    if (pipeline->regions && pipeline->regions->chunks > 0)
        return region_refuse(
            call, state->chunk.field,
            "missing, but earlier chunks are in memory; a stream has all "
            "chunks in memory, or none");
    return 0;
}

/* The chunk's bytes are in memory of the client. */
static int region_chunk(struct call *call, struct input *input,
                        const struct wire_region *region)
{
    struct tensor_call *state = state_of(call);
    struct pipeline *pipeline = &state->pipeline;
    char field[REGION_FIELD_BYTES];

    if (input_begin(call, input, region->bytes) < 0)
        return -1;
    if (state->chunk.chunk.has_crc32c)
        return region_refuse(call, state->chunk.field,
                             "set together with crc32c; leave that out");
    if ((!pipeline->regions || pipeline->regions->chunks == 0) &&
        pipeline->tensor.received + pipeline->reference.received > 0)
        return region_refuse(
            call, state->chunk.field,
            "set, but earlier chunks have data; a stream has all chunks in "
            "memory, or none");
    snprintf(field, sizeof(field), "%s.region", state->chunk.field);
    return pipeline_feed_region(pipeline, input, region, field);
}

/* A message with a chunk that has no data: its bytes are in memory, or it is empty. */
static int message_chunk(struct call *call, struct input *input,
                         const struct scan_part *part)
{
    char error[CODEC_ERROR_BYTES];
    struct wire_chunk chunk;

    if (decode_chunk(part, &chunk, error) < 0 || !chunk.region.present)
        return input_begin(call, input, 0);
    return region_chunk(call, input, &chunk.region);
}

/* Bytes of the tensor before tile `index`. */
static uint64_t tensor_bytes_before(const struct plan *plan, uint64_t index)
{
    struct tile_span span;

    if (index >= plan->tiles)
        return plan->in_bytes;
    plan_tile(plan, index, &span);
    return span.in_offset;
}

static uint64_t reference_bytes_before(const struct pipeline *pipeline, uint64_t index)
{
    struct tile_span span;

    if (index >= pipeline->task.plan.tiles)
        return pipeline->reference.expected;
    plan_tile(&pipeline->task.plan, index, &span);
    return span.first_element * dtype_bytes(pipeline->task.reference_dtype);
}

/* In a stream neither tensor may be far ahead of the other: its bytes beyond the other's
 * tiles must be kept in memory. */
static int check_ahead(struct call *call, const struct pipeline *pipeline)
{
    uint64_t tensor = tensor_bytes_before(&pipeline->task.plan, pipeline->reference.next);
    uint64_t reference = reference_bytes_before(pipeline, pipeline->tensor.next);
    bool is_tensor = pipeline->tensor.received > tensor + AHEAD_BYTES_MAX;
    bool is_reference = pipeline->reference.received > reference + AHEAD_BYTES_MAX;

    if (!pipeline->task.has_reference || pipeline->twice || (!is_tensor && !is_reference))
        return 0;
    metric_limit(call->config->metrics, L_AHEAD);
    return fail(
        &call->failure, TRIT_INVALID_ARGUMENT, is_tensor ? "chunk" : "reference",
        "%s: more than %u bytes ahead of the other tensor; interleave their chunks",
        is_tensor ? "chunk" : "reference", (unsigned)AHEAD_BYTES_MAX);
}

/* ---- what the call found in a message ---------------------------------------------- */

static int refuse_blob(struct call *call, uint32_t blob)
{
    const char *field = blob == BLOB_SCALES ? "scales" : "data";

    return fail_field(&call->failure, TRIT_INVALID_ARGUMENT, field, "not expected here");
}

int tensor_blob_begin(struct call *call, uint32_t blob, uint64_t length)
{
    struct tensor_call *state = state_of(call);

    if (blob == BLOB_SCALES)
        return state->pipeline.state == PIPELINE_PLANNING ? 0 : refuse_blob(call, blob);
    if (state->ops->stream)
        return data_chunk_begin(call, blob, length);
    if (blob == BLOB_DATA)
        return unary_data_begin(call, length);
    return state->ops->reference_task ? unary_reference_begin(call, length)
                                      : refuse_blob(call, blob);
}

int tensor_blob_bytes(struct call *call, uint32_t blob, const uint8_t *bytes,
                      size_t count)
{
    struct tensor_call *state = state_of(call);
    struct pipeline *pipeline = &state->pipeline;
    struct input *input = blob == BLOB_DATA ? &pipeline->tensor : &pipeline->reference;

    if (blob == BLOB_SCALES)
        return pipeline_take_scales(pipeline, bytes, count);
    if (state->ops->stream)
        chunk_bytes(&state->chunk, bytes, count);
    if (pipeline_feed(pipeline, input, bytes, count) < 0)
        return -1;
    return state->ops->stream ? check_ahead(call, pipeline) : 0;
}

int tensor_blob_end(struct call *call, uint32_t blob)
{
    struct tensor_call *state = state_of(call);

    return blob != BLOB_SCALES && state->ops->stream ? chunk_end(&state->chunk, call) : 0;
}

static int stream_message(struct call *call)
{
    struct tensor_call *state = state_of(call);
    struct scan_part *parts = call->scan.parts;
    bool chunk_seen = state->chunk.seen;

    state->chunk.seen = false;
    if (parts[PART_START].seen) {
        if (state->pipeline.state != PIPELINE_PLANNING)
            return fail_field(&call->failure, TRIT_INVALID_ARGUMENT, "start",
                              "sent twice");
        return start(call);
    }
    if (chunk_seen)
        return chunk_check_order(&state->chunk, call);
    if (parts[PART_CHUNK].seen)
        return message_chunk(call, &state->pipeline.tensor, &parts[PART_CHUNK]);
    if (parts[PART_REFERENCE].seen)
        return message_chunk(call, &state->pipeline.reference, &parts[PART_REFERENCE]);
    return fail_field(&call->failure, TRIT_INVALID_ARGUMENT, "message",
                      "message %u has neither start nor chunk", (unsigned)call->messages);
}

int tensor_message(struct call *call)
{
    struct tensor_call *state = state_of(call);
    int result;

    if (state->ops->stream) {
        result = stream_message(call);
        state->chunk.seen = false;
        return result;
    }
    if (state->state != TENSOR_CALL_DATA)
        return unary_regions(call);
    if (small_bytes(&call->scan) != state->small_bytes)
        return late_fields(call, state->ops->data_field);
    return check_one_place(call);
}

static int incomplete(struct call *call, const struct input *input)
{
    const struct pipeline *pipeline = tensor_call_pipeline(call);

    return fail_field(&call->failure, TRIT_INVALID_ARGUMENT, input->field,
                      "the stream ended after %" PRIu64 " of %" PRIu64 " bytes%s",
                      input->received, input->expected,
                      twice_takes(pipeline, input)
                          ? "; an encoding with one scale needs all bytes twice"
                          : "");
}

int tensor_request(struct call *call)
{
    struct pipeline *pipeline = tensor_call_pipeline(call);

    if (pipeline->state == PIPELINE_PLANNING)
        return fail_field(&call->failure, TRIT_INVALID_ARGUMENT, "start",
                          "missing; the stream ended without it");
    if (pipeline->tensor.received != pipeline->tensor.expected)
        return incomplete(call, &pipeline->tensor);
    if (pipeline->task.has_reference &&
        pipeline->reference.received != pipeline->reference.expected)
        return incomplete(call, &pipeline->reference);
    pipeline_request_done(pipeline);
    return 0;
}

void tensor_cancel(struct call *call)
{
    pipeline_cancel(tensor_call_pipeline(call));
}

void tensor_fini(struct call *call)
{
    struct pipeline *pipeline = tensor_call_pipeline(call);

    twice_free(pipeline);
    gather_free(pipeline);
    pipeline_fini(pipeline);
    held_input_free(pipeline);
}
