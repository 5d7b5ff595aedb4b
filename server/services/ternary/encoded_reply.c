/* SPDX-License-Identifier: Apache-2.0 */
#include "services/ternary/encoded_reply.h"

#include <inttypes.h>

#include "obs/metrics.h"
#include "proto/names.h"

int encoded_reply_check_report(struct call *call, const struct wire_layer_ref *layer,
                               uint32_t report)
{
    if (check_enum(call, "options.report", &report_detail_names, report) < 0)
        return -1;
    if (layer->present && report == TRIT_REPORT_NONE)
        return fail_field(&call->failure, TRIT_INVALID_ARGUMENT, "options.report",
                          "REPORT_DETAIL_NONE (2), but a request with a layer needs a "
                          "report");
    return 0;
}

/* Bytes of the encoded tensor that the reply carries: none where they go to memory of the
 * client. */
static uint64_t sent_bytes(struct call *call)
{
    const struct pipeline *pipeline = tensor_call_pipeline(call);

    return pipeline->regions && pipeline->regions->has_reply
               ? 0
               : pipeline->task.plan.out_bytes;
}

int encoded_reply_check(struct call *call, const char *stream)
{
    const struct plan *plan = &tensor_call_pipeline(call)->task.plan;
    uint64_t limit = call->config->limits->message_bytes_max;
    uint64_t reply = sent_bytes(call) + plan->out_scale_bytes + REPLY_HEAD_BYTES_MAX;

    if (reply <= limit + REPLY_HEAD_BYTES_MAX)
        return 0;
    metric_limit(call->config->metrics, L_MESSAGE);
    return fail_field(&call->failure, TRIT_RESOURCE_EXHAUSTED, "tensor.shape",
                      "the reply would have %" PRIu64
                      " bytes, but message_bytes_max is %" PRIu64 "; "
                      "use %s",
                      reply, limit, stream);
}

/* DENSE keeps the dtype, INT8 is I8, and packed encodings are bytes. */
static enum trit_dtype reply_dtype(const struct plan *plan)
{
    if (plan->spec.out == TRIT_ENCODING_DENSE)
        return plan->spec.dtype;
    return plan->spec.out == TRIT_ENCODING_INT8 ? TRIT_I8 : TRIT_U8;
}

static bool reports(const struct pipeline *pipeline)
{
    return pipeline->task.wants_codes;
}

static void reply_unary(struct call *call)
{
    struct tensor_call *state = call->method_state;
    struct pipeline *pipeline = &state->pipeline;
    const struct plan *plan = &pipeline->task.plan;
    struct wire_projected reply = {
        .report = reports(pipeline) ? tensor_call_report_of(call) : NULL,
        .encoding = (uint32_t)plan->spec.out,
        .dtype = (uint32_t)reply_dtype(plan),
        .rank = plan->spec.rank,
        .shape = plan->spec.shape,
        .scale_bytes = plan->out_scale_bytes,
        .data_bytes = sent_bytes(call),
    };
    uint8_t head[GRPC_PREFIX_BYTES + REPLY_HEAD_BYTES_MAX];
    size_t scales_at = 0;
    size_t count;

    if (pipeline->regions && pipeline->regions->has_reply)
        reply.region = pipeline->regions->reply;
    count = encode_projected(&reply, head + GRPC_PREFIX_BYTES, REPLY_HEAD_BYTES_MAX,
                             &scales_at);

    frame_prefix(head, (uint32_t)(count + plan->out_scale_bytes + reply.data_bytes));
    count += GRPC_PREFIX_BYTES;
    scales_at += GRPC_PREFIX_BYTES;
    if (pipeline_lend_head(pipeline, head, scales_at) ||
        call_write_copy(call, head, scales_at) == 0) {
        if (plan->out_scale_bytes) {
            pipeline_lend_scales(pipeline);
            if (call_write_copy(call, head + scales_at, count - scales_at) < 0)
                h2_reset(call->stream, HTTP2_INTERNAL_ERROR);
        }
        pipeline_lend_outputs(pipeline);
    }
    call_end(call);
}

static void reply_stream(struct call *call)
{
    struct tensor_call *state = call->method_state;
    uint8_t report[REPORT_BYTES_MAX + 16];

    if (reports(&state->pipeline))
        call_write_message(
            call, report,
            encode_stream_report(tensor_call_report_of(call), report, sizeof(report)));
    call_end(call);
}

void encoded_reply(struct call *call)
{
    const struct pipeline *pipeline = tensor_call_pipeline(call);
    void (*reply)(struct call *) = pipeline->emits_chunks ? reply_stream : reply_unary;

    if (reports(pipeline))
        tensor_call_report(call, reply);
    else
        reply(call);
}
