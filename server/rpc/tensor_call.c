#include "rpc/tensor_call.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "obs/metrics.h"

static struct tensor_call *state_of(struct call *call)
{
    return call->method_state;
}

struct flow *tensor_call_flow(struct call *call)
{
    return &state_of(call)->flow;
}

void tensor_begin(struct call *call)
{
    struct tensor_call *state = state_of(call);

    state->ops = call->method->tensor;
    flow_init(&state->flow, call, state->ops->complete);
    state->flow.emits_chunks = state->ops->stream;
    state->flow.tensor.field = state->ops->data_field;
    state->flow.reference.field = "reference.data";
}

int decode_failed(struct call *call, const char *path, const char *error)
{
    char field[64];
    size_t length = strcspn(error, ":");

    snprintf(field, sizeof(field), "%s%.*s", path, (int)(length < 40 ? length : 40),
             error);
    return fail(&call->failure, TRIT_INVALID_ARGUMENT, error[length] ? field : NULL,
                "%s%s", path, error);
}

int check_enum(struct call *call, const char *field, const char *type, uint32_t value,
               uint32_t max)
{
    if (value <= max)
        return 0;
    return fail(&call->failure, TRIT_INVALID_ARGUMENT, field, "%s: %u is not a %s", field,
                (unsigned)value, type);
}

int tensor_call_layer(struct flow *flow, const struct wire_layer_ref *layer)
{
    struct trit_report *report = &flow->record.put.report;

    if (!layer->present && layer->layer[0] == '\0' && layer->step == 0)
        return 0;
    if (record_check(layer, &flow->call->failure) < 0)
        return -1;
    memcpy(report->run, layer->run, sizeof(report->run));
    memcpy(report->layer, layer->layer, sizeof(report->layer));
    report->step = layer->step;
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

    if (state->ops->task(call, &state->flow) < 0)
        return -1;
    state->small_bytes = small_bytes(&call->scan);
    return state->flow.started ? 0 : flow_start(&state->flow);
}

static int wrong_length(struct call *call, const struct feed *feed, uint64_t length)
{
    return fail(&call->failure, TRIT_INVALID_ARGUMENT, feed->field,
                "%s: %llu bytes, but the shape needs %llu", feed->field,
                (unsigned long long)length, (unsigned long long)feed->expected);
}

static int unary_data_begin(struct call *call, uint64_t length)
{
    struct tensor_call *state = state_of(call);

    if (state->data_seen)
        return fail(&call->failure, TRIT_INVALID_ARGUMENT, state->ops->data_field,
                    "%s: given twice", state->ops->data_field);
    state->data_seen = true;
    if (start(call) < 0)
        return -1;
    if (length != state->flow.tensor.expected)
        return wrong_length(call, &state->flow.tensor, length);
    return 0;
}

static int unary_reference_begin(struct call *call, uint64_t length)
{
    struct tensor_call *state = state_of(call);

    if (state->reference_seen || state->data_seen)
        return fail(&call->failure, TRIT_INVALID_ARGUMENT, "reference.data",
                    "reference.data: given twice, or after tensor.data");
    state->reference_seen = true;
    if (state->ops->reference_task(call, &state->flow) < 0 ||
        flow_start(&state->flow) < 0)
        return -1;
    if (length != state->flow.reference.expected)
        return wrong_length(call, &state->flow.reference, length);
    return 0;
}

/* ---- chunks of a stream ---------------------------------------------------------- */

static int chunk_begin(struct call *call, struct feed *feed, const struct scan_part *part,
                       uint64_t length)
{
    struct tensor_call *state = state_of(call);
    const char *name = feed == &state->flow.tensor ? "chunk" : "reference";
    char error[CODEC_ERROR_BYTES];

    if (!state->flow.started)
        return fail(&call->failure, TRIT_INVALID_ARGUMENT, "start",
                    "start: must be the first message, before any %s", name);
    if (state->chunk_seen)
        return fail(&call->failure, TRIT_INVALID_ARGUMENT, name,
                    "%s: given twice in a message", name);
    if (feed == &state->flow.reference && !state->flow.task.has_reference)
        return fail(&call->failure, TRIT_INVALID_ARGUMENT, name,
                    "reference: a chunk, but start.reference_dtype is not set");
    if (decode_chunk(part, &state->chunk, error) < 0)
        return decode_failed(call, feed == &state->flow.tensor ? "chunk." : "reference.",
                             error);
    state->chunk_seen = true;
    state->crc = 0;
    state->small_bytes = small_bytes(&call->scan);
    if (state->chunk.offset != feed->received)
        return fail(&call->failure, TRIT_INVALID_ARGUMENT, name,
                    "%s.offset: %llu, but the next byte is %llu (%s)", name,
                    (unsigned long long)state->chunk.offset,
                    (unsigned long long)feed->received,
                    state->chunk.offset < feed->received ? "chunks overlap" : "a hole");
    if (length > CHUNK_BYTES_MAX) {
        metric_limit(call->rpc->config.metrics, L_CHUNK);
        return fail(&call->failure, TRIT_INVALID_ARGUMENT, name,
                    "%s.data: %llu bytes, the limit is %u", name,
                    (unsigned long long)length, (unsigned)CHUNK_BYTES_MAX);
    }
    if (length > feed->expected - feed->received)
        return fail(&call->failure, TRIT_INVALID_ARGUMENT, name,
                    "%s.data: %llu bytes at offset %llu go beyond the tensor's %llu",
                    name, (unsigned long long)length, (unsigned long long)feed->received,
                    (unsigned long long)feed->expected);
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

static uint64_t reference_bytes_before(const struct flow *flow, uint64_t index)
{
    struct tile_span span;

    if (index >= flow->task.plan.tiles)
        return flow->reference.expected;
    plan_tile(&flow->task.plan, index, &span);
    return span.first_element * dtype_bytes(flow->task.reference_dtype);
}

/* In a stream neither tensor may run far ahead of the other: what has come of
 * it beyond the other's whole tiles has to be held. */
static int check_ahead(struct call *call, const struct flow *flow)
{
    uint64_t tensor = tensor_bytes_before(&flow->task.plan, flow->reference.next);
    uint64_t reference = reference_bytes_before(flow, flow->tensor.next);
    bool is_tensor = flow->tensor.received > tensor + AHEAD_BYTES_MAX;
    bool is_reference = flow->reference.received > reference + AHEAD_BYTES_MAX;

    if (!flow->task.has_reference || (!is_tensor && !is_reference))
        return 0;
    return fail(&call->failure, TRIT_INVALID_ARGUMENT, is_tensor ? "chunk" : "reference",
                "%s: more than %u bytes ahead of the other tensor: interleave them",
                is_tensor ? "chunk" : "reference", (unsigned)AHEAD_BYTES_MAX);
}

static int chunk_end(struct call *call)
{
    struct tensor_call *state = state_of(call);

    if (state->chunk.has_crc32c && state->chunk.crc32c != state->crc)
        return fail(
            &call->failure, TRIT_DATA_LOSS, "chunk.crc32c",
            "chunk.crc32c: 0x%08x, but the %llu bytes at offset %llu have 0x%08x",
            (unsigned)state->chunk.crc32c,
            (unsigned long long)(state->flow.tensor.received - state->chunk.offset),
            (unsigned long long)state->chunk.offset, (unsigned)state->crc);
    return 0;
}

/* ---- what the call found in a message ------------------------------------------------
 */

static int refuse_blob(struct call *call, uint32_t blob)
{
    const char *field = blob == BLOB_SCALES ? "scales" : "data";

    return fail(&call->failure, TRIT_INVALID_ARGUMENT, field, "%s: out of place", field);
}

int tensor_blob_begin(struct call *call, uint32_t blob, uint64_t length)
{
    struct tensor_call *state = state_of(call);
    struct scan_part *parts = call->scan.parts;

    if (blob == BLOB_SCALES)
        return state->flow.started ? refuse_blob(call, blob) : 0;
    if (state->ops->stream)
        return blob == BLOB_DATA
                   ? chunk_begin(call, &state->flow.tensor, &parts[PART_CHUNK], length)
                   : chunk_begin(call, &state->flow.reference, &parts[PART_REFERENCE],
                                 length);
    if (blob == BLOB_DATA)
        return unary_data_begin(call, length);
    return state->ops->reference_task ? unary_reference_begin(call, length)
                                      : refuse_blob(call, blob);
}

int tensor_blob_bytes(struct call *call, uint32_t blob, const uint8_t *bytes,
                      size_t count)
{
    struct tensor_call *state = state_of(call);
    struct flow *flow = &state->flow;

    if (blob == BLOB_SCALES)
        return flow_scales(flow, bytes, count);
    if (state->ops->stream && state->chunk.has_crc32c)
        state->crc = crc32c(state->crc, bytes, count);
    if (flow_feed(flow, blob == BLOB_DATA ? &flow->tensor : &flow->reference, bytes,
                  count) < 0)
        return -1;
    return state->ops->stream ? check_ahead(call, flow) : 0;
}

int tensor_blob_end(struct call *call, uint32_t blob)
{
    struct tensor_call *state = state_of(call);

    return blob != BLOB_SCALES && state->ops->stream ? chunk_end(call) : 0;
}

static int late_fields(struct call *call)
{
    const char *field = state_of(call)->ops->data_field;

    return fail(&call->failure, TRIT_INVALID_ARGUMENT, field,
                "%s: must come after all other fields", field);
}

static int stream_message(struct call *call)
{
    struct tensor_call *state = state_of(call);
    struct scan_part *parts = call->scan.parts;
    bool chunk_seen = state->chunk_seen;

    state->chunk_seen = false;
    if (parts[PART_START].seen) {
        if (state->flow.started)
            return fail(&call->failure, TRIT_INVALID_ARGUMENT, "start",
                        "start: sent twice");
        return start(call);
    }
    if (chunk_seen)
        return small_bytes(&call->scan) == state->small_bytes ? 0 : late_fields(call);
    if (parts[PART_CHUNK].seen)
        return chunk_begin(call, &state->flow.tensor, &parts[PART_CHUNK], 0);
    if (parts[PART_REFERENCE].seen)
        return chunk_begin(call, &state->flow.reference, &parts[PART_REFERENCE], 0);
    return fail(&call->failure, TRIT_INVALID_ARGUMENT, "message",
                "message: number %u is neither start nor chunk",
                (unsigned)call->messages);
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
        return wrong_length(call, &state->flow.tensor, 0);
    }
    return small_bytes(&call->scan) == state->small_bytes ? 0 : late_fields(call);
}

static int incomplete(struct call *call, const struct feed *feed)
{
    return fail(&call->failure, TRIT_INVALID_ARGUMENT, feed->field,
                "%s: the stream ended after %llu of %llu bytes", feed->field,
                (unsigned long long)feed->received, (unsigned long long)feed->expected);
}

int tensor_request(struct call *call)
{
    struct flow *flow = tensor_call_flow(call);

    if (!flow->started)
        return fail(&call->failure, TRIT_INVALID_ARGUMENT, "start",
                    "start: the stream ended without it");
    if (flow->tensor.received != flow->tensor.expected)
        return incomplete(call, &flow->tensor);
    if (flow->task.has_reference && flow->reference.received != flow->reference.expected)
        return incomplete(call, &flow->reference);
    flow_request_done(flow);
    return 0;
}

void tensor_cancel(struct call *call)
{
    flow_cancel(tensor_call_flow(call));
}

void tensor_fini(struct call *call)
{
    flow_fini(tensor_call_flow(call));
}

/* ---- reports
 * ------------------------------------------------------------------------------ */

static void filed(struct call *call)
{
    struct tensor_call *state = state_of(call);
    struct store_put *put = &state->flow.record.put;

    if (put->failure.status != TRIT_OK) {
        call->failure = put->failure;
        call_end(call);
        return;
    }
    state->report = put->report;
    state->flow.complete(call);
}

/* What the report answers: equal for requests that must get equal answers. */
static struct store_question question(const struct flow *flow, bool verifies)
{
    struct store_question asked = {
        .method = verifies ? STORE_METHOD_VERIFY : STORE_METHOD_PROJECT,
        .mode = verifies && flow->task.op == TASK_TERNARIZE ? TRIT_VERIFY_LATENT
                                                            : TRIT_VERIFY_TERNARY,
        .tolerance = flow->task.op == TASK_VERIFY ? flow->task.tolerance : 0,
        .partial = flow->task.plan.spec.partial,
        .has_latents = flow->fingerprint,
    };

    if (flow->fingerprint)
        fingerprint_value(flow->fingerprint, asked.latents);
    return asked;
}

void tensor_call_report(struct call *call, void (*reply)(struct call *call))
{
    struct tensor_call *state = state_of(call);
    struct flow *flow = &state->flow;

    state->report = flow->record.put.report;
    merge_report(&flow->merge, &flow->task, &state->report);
    state->report.time_unix_ns = clock_unix_ns();
    snprintf(state->report.version, sizeof(state->report.version), "%s",
             call->rpc->config.version);
    if (!state->report.is_ternary)
        metric_add(call->rpc->config.metrics, M_NOT_TERNARY, 1);
    if (state->report.non_finite)
        metric_add(call->rpc->config.metrics, M_NON_FINITE, 1);
    if (flow->record.state != RECORD_OPEN) {
        reply(call);
        return;
    }
    flow->complete = reply;
    flow->record.put.report = state->report;
    flow->record.put.question = question(flow, state->ops->verifies);
    record_commit(&flow->record, filed);
}
