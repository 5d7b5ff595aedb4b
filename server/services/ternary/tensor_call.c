/* SPDX-License-Identifier: Apache-2.0 */
#include "services/ternary/tensor_call.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "obs/metrics.h"
#include "services/ternary/report.h"

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
    return &state_of(call)->pipeline.record.put.report;
}

void tensor_begin(struct call *call)
{
    struct tensor_call *state = state_of(call);

    state->ops = call->method->ops;
    pipeline_init(&state->pipeline, call, state->ops->complete);
    state->pipeline.emits_chunks = state->ops->stream;
    state->pipeline.tensor.field = state->ops->data_field;
    state->pipeline.reference.field = "reference.data";
}

int tensor_call_layer(struct pipeline *pipeline, const struct wire_layer_ref *layer)
{
    struct trit_report *report = &pipeline->record.put.report;

    if (!layer->present && layer->layer[0] == '\0' && layer->step == 0)
        return 0;
    if (record_check(layer, &pipeline->call->failure) < 0)
        return -1;
    memcpy(report->run, layer->run, sizeof(report->run));
    memcpy(report->layer, layer->layer, sizeof(report->layer));
    report->step = layer->step;
    pipeline->record.state = RECORD_WANTED;
    return 0;
}

/* ---- starting ---------------------------------------------------------------- */

/* Fields that come after the data they should have shaped are told by growth. */
static size_t small_bytes(const struct scan *scan)
{
    size_t total = 0;

    for (size_t i = 0; i < SCAN_PARTS_MAX; i++)
        total += scan->parts[i].count;
    return total;
}

static int start(struct call *call)
{
    struct tensor_call *state = state_of(call);

    if (state->ops->task(call, &state->pipeline) < 0)
        return -1;
    state->small_bytes = small_bytes(&call->scan);
    return state->pipeline.started ? 0 : pipeline_start(&state->pipeline);
}

static int wrong_length(struct call *call, const struct input *input, uint64_t length)
{
    return fail_field(&call->failure, TRIT_INVALID_ARGUMENT, input->field,
                      "%llu bytes, but the shape needs %llu", (unsigned long long)length,
                      (unsigned long long)input->expected);
}

static int unary_data_begin(struct call *call, uint64_t length)
{
    struct tensor_call *state = state_of(call);

    if (state->data_seen)
        return fail_field(&call->failure, TRIT_INVALID_ARGUMENT, state->ops->data_field,
                          "given twice");
    state->data_seen = true;
    if (start(call) < 0)
        return -1;
    if (length != state->pipeline.tensor.expected)
        return wrong_length(call, &state->pipeline.tensor, length);
    return 0;
}

static int unary_reference_begin(struct call *call, uint64_t length)
{
    struct tensor_call *state = state_of(call);

    if (state->reference_seen || state->data_seen)
        return fail_field(&call->failure, TRIT_INVALID_ARGUMENT, "reference.data",
                          "given twice, or after tensor.data");
    state->reference_seen = true;
    if (state->ops->reference_task(call, &state->pipeline) < 0 ||
        pipeline_start(&state->pipeline) < 0)
        return -1;
    if (length != state->pipeline.reference.expected)
        return wrong_length(call, &state->pipeline.reference, length);
    return 0;
}

/* ---- chunks of a stream ---------------------------------------------------------- */

static int chunk_begin(struct call *call, struct input *input,
                       const struct scan_part *part, uint64_t length)
{
    struct tensor_call *state = state_of(call);
    const char *name = input == &state->pipeline.tensor ? "chunk" : "reference";
    char error[CODEC_ERROR_BYTES];

    if (!state->pipeline.started)
        return fail_field(&call->failure, TRIT_INVALID_ARGUMENT, "start",
                          "must be the first message, before any %s", name);
    if (state->chunk_seen)
        return fail_field(&call->failure, TRIT_INVALID_ARGUMENT, name,
                          "given twice in a message");
    if (input == &state->pipeline.reference && !state->pipeline.task.has_reference)
        return fail(&call->failure, TRIT_INVALID_ARGUMENT, name,
                    "reference: a chunk, but start.reference_dtype is not set");
    if (decode_chunk(part, &state->chunk, error) < 0)
        return decode_failed(
            call, input == &state->pipeline.tensor ? "chunk." : "reference.", error);
    state->chunk_seen = true;
    state->crc = 0;
    state->small_bytes = small_bytes(&call->scan);
    if (state->chunk.offset != input->received)
        return fail(&call->failure, TRIT_INVALID_ARGUMENT, name,
                    "%s.offset: %llu, but the next byte is %llu (%s)", name,
                    (unsigned long long)state->chunk.offset,
                    (unsigned long long)input->received,
                    state->chunk.offset < input->received ? "chunks overlap" : "a hole");
    if (length > CHUNK_BYTES_MAX) {
        metric_limit(call->config->metrics, L_CHUNK);
        return fail(&call->failure, TRIT_INVALID_ARGUMENT, name,
                    "%s.data: %llu bytes, the limit is %u", name,
                    (unsigned long long)length, (unsigned)CHUNK_BYTES_MAX);
    }
    if (length > input->expected - input->received)
        return fail(&call->failure, TRIT_INVALID_ARGUMENT, name,
                    "%s.data: %llu bytes at offset %llu go beyond the tensor's %llu",
                    name, (unsigned long long)length, (unsigned long long)input->received,
                    (unsigned long long)input->expected);
    return 0;
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

/* In a stream neither tensor may run far ahead of the other: what has come of
 * it beyond the other's whole tiles has to be held. */
static int check_ahead(struct call *call, const struct pipeline *pipeline)
{
    uint64_t tensor = tensor_bytes_before(&pipeline->task.plan, pipeline->reference.next);
    uint64_t reference = reference_bytes_before(pipeline, pipeline->tensor.next);
    bool is_tensor = pipeline->tensor.received > tensor + AHEAD_BYTES_MAX;
    bool is_reference = pipeline->reference.received > reference + AHEAD_BYTES_MAX;

    if (!pipeline->task.has_reference || (!is_tensor && !is_reference))
        return 0;
    return fail_field(&call->failure, TRIT_INVALID_ARGUMENT,
                      is_tensor ? "chunk" : "reference",
                      "more than %u bytes ahead of the other tensor: interleave them",
                      (unsigned)AHEAD_BYTES_MAX);
}

static int chunk_end(struct call *call)
{
    struct tensor_call *state = state_of(call);

    if (state->chunk.has_crc32c && state->chunk.crc32c != state->crc)
        return fail_field(
            &call->failure, TRIT_DATA_LOSS, "chunk.crc32c",
            "0x%08x, but the %llu bytes at offset %llu have 0x%08x",
            (unsigned)state->chunk.crc32c,
            (unsigned long long)(state->pipeline.tensor.received - state->chunk.offset),
            (unsigned long long)state->chunk.offset, (unsigned)state->crc);
    return 0;
}

/* ---- what the call found in a message ---------------------------------------------- */

static int refuse_blob(struct call *call, uint32_t blob)
{
    const char *field = blob == BLOB_SCALES ? "scales" : "data";

    return fail_field(&call->failure, TRIT_INVALID_ARGUMENT, field, "out of place");
}

int tensor_blob_begin(struct call *call, uint32_t blob, uint64_t length)
{
    struct tensor_call *state = state_of(call);
    struct scan_part *parts = call->scan.parts;

    if (blob == BLOB_SCALES)
        return state->pipeline.started ? refuse_blob(call, blob) : 0;
    if (state->ops->stream)
        return blob == BLOB_DATA ? chunk_begin(call, &state->pipeline.tensor,
                                               &parts[PART_CHUNK], length)
                                 : chunk_begin(call, &state->pipeline.reference,
                                               &parts[PART_REFERENCE], length);
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

    if (blob == BLOB_SCALES)
        return pipeline_take_scales(pipeline, bytes, count);
    if (state->ops->stream && state->chunk.has_crc32c)
        state->crc = crc32c(state->crc, bytes, count);
    if (pipeline_feed(pipeline,
                      blob == BLOB_DATA ? &pipeline->tensor : &pipeline->reference, bytes,
                      count) < 0)
        return -1;
    return state->ops->stream ? check_ahead(call, pipeline) : 0;
}

int tensor_blob_end(struct call *call, uint32_t blob)
{
    struct tensor_call *state = state_of(call);

    return blob != BLOB_SCALES && state->ops->stream ? chunk_end(call) : 0;
}

static int late_fields(struct call *call)
{
    const char *field = state_of(call)->ops->data_field;

    return fail_field(&call->failure, TRIT_INVALID_ARGUMENT, field,
                      "must come after all other fields");
}

static int stream_message(struct call *call)
{
    struct tensor_call *state = state_of(call);
    struct scan_part *parts = call->scan.parts;
    bool chunk_seen = state->chunk_seen;

    state->chunk_seen = false;
    if (parts[PART_START].seen) {
        if (state->pipeline.started)
            return fail_field(&call->failure, TRIT_INVALID_ARGUMENT, "start",
                              "sent twice");
        return start(call);
    }
    if (chunk_seen)
        return small_bytes(&call->scan) == state->small_bytes ? 0 : late_fields(call);
    if (parts[PART_CHUNK].seen)
        return chunk_begin(call, &state->pipeline.tensor, &parts[PART_CHUNK], 0);
    if (parts[PART_REFERENCE].seen)
        return chunk_begin(call, &state->pipeline.reference, &parts[PART_REFERENCE], 0);
    return fail_field(&call->failure, TRIT_INVALID_ARGUMENT, "message",
                      "number %u is neither start nor chunk", (unsigned)call->messages);
}

int tensor_message(struct call *call)
{
    struct tensor_call *state = state_of(call);
    int result;

    if (state->ops->stream) {
        result = stream_message(call);
        state->chunk_seen = false;
        return result;
    }
    if (!state->data_seen) {
        state->data_seen = true;
        if (start(call) < 0)
            return -1;
        return wrong_length(call, &state->pipeline.tensor, 0);
    }
    return small_bytes(&call->scan) == state->small_bytes ? 0 : late_fields(call);
}

static int incomplete(struct call *call, const struct input *input)
{
    return fail_field(&call->failure, TRIT_INVALID_ARGUMENT, input->field,
                      "the stream ended after %llu of %llu bytes",
                      (unsigned long long)input->received,
                      (unsigned long long)input->expected);
}

int tensor_request(struct call *call)
{
    struct pipeline *pipeline = tensor_call_pipeline(call);

    if (!pipeline->started)
        return fail_field(&call->failure, TRIT_INVALID_ARGUMENT, "start",
                          "the stream ended without it");
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
    pipeline_fini(tensor_call_pipeline(call));
}

/* ---- reports ----------------------------------------------------------------------- */

static void filed(struct call *call)
{
    struct tensor_call *state = state_of(call);
    struct store_put *put = &state->pipeline.record.put;

    if (put->failure.status != TRIT_OK) {
        call->failure = put->failure;
        call_end(call);
        return;
    }
    state->reply(call);
}

/* What the report answers: equal for requests that must get equal answers. */
static struct store_question question(const struct pipeline *pipeline, bool verifies)
{
    struct store_question asked = {
        .method = verifies ? STORE_METHOD_VERIFY : STORE_METHOD_PROJECT,
        .mode = verifies && pipeline->task.op == TASK_TERNARIZE ? TRIT_VERIFY_LATENT
                                                                : TRIT_VERIFY_TERNARY,
        .tolerance = pipeline->task.op == TASK_VERIFY ? pipeline->task.tolerance : 0,
        .partial = pipeline->task.plan.spec.partial,
        .has_latents = pipeline->fingerprint,
    };

    if (pipeline->fingerprint)
        fingerprint_value(pipeline->fingerprint, asked.latents);
    return asked;
}

void tensor_call_report(struct call *call, void (*reply)(struct call *call))
{
    struct tensor_call *state = state_of(call);
    struct pipeline *pipeline = &state->pipeline;
    struct trit_report *report = tensor_call_report_of(call);

    report_of_merge(report, &pipeline->merge, &pipeline->task);
    report->time_unix_ns = clock_unix_ns();
    snprintf(report->version, sizeof(report->version), "%s",
             services_of(call)->config.version);
    if (!report->is_ternary)
        metric_add(call->config->metrics, M_NOT_TERNARY, 1);
    if (report->non_finite)
        metric_add(call->config->metrics, M_NON_FINITE, 1);
    if (pipeline->record.state != RECORD_OPEN) {
        reply(call);
        return;
    }
    state->reply = reply;
    pipeline->record.put.question = question(pipeline, state->ops->verifies);
    record_commit(&pipeline->record, filed);
}
