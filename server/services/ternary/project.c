/* SPDX-License-Identifier: Apache-2.0 */
/* Ternary.Project and Ternary.ProjectStream. */
#include <inttypes.h>
#include <math.h>

#include "obs/metrics.h"
#include "proto/names.h"
#include "services/ternary/tensor_call.h"

static int project_task(struct call *call, struct pipeline *pipeline,
                        const struct wire_project *wire, const struct wire_tensor *tensor)
{
    struct task *task = &pipeline->task;
    struct plan_spec spec = {
        .dtype = (enum trit_dtype)tensor->dtype,
        .rank = tensor->rank,
        .group_size = wire->group_size,
        .partial = (enum trit_partial_group)wire->partial_group,
        .in = TRIT_ENCODING_DENSE,
        .out = (enum trit_encoding)wire->encoding,
        .has_out = true,
    };

    for (uint32_t i = 0; i < tensor->rank; i++)
        spec.shape[i] = tensor->shape[i];
    if (check_enum(call, "options.report", &report_detail_names, wire->report) < 0 ||
        check_enum(call, "options.partial_group", &partial_group_names,
                   wire->partial_group) < 0 ||
        tensor_call_layer(call, &wire->layer) < 0)
        return -1;
    if (wire->layer.present && wire->report == TRIT_REPORT_NONE)
        return fail_field(&call->failure, TRIT_INVALID_ARGUMENT, "options.report",
                          "REPORT_DETAIL_NONE (2), but a request with a layer needs a "
                          "report");
    if (tensor_call_plan(call, &spec, &task->plan) < 0)
        return -1;
    task->op = TASK_TERNARIZE;
    task->kernels = services_of(call)->config.kernels;
    task->wants_codes = wire->report != TRIT_REPORT_NONE;
    task->wants_sums = wire->report == TRIT_REPORT_FULL;
    task->wants_crc = pipeline->emits_chunks;
    task->allows_lost = wire->allow_lost_scales;
    return 0;
}

static int unary_task(struct call *call, struct pipeline *pipeline)
{
    struct scan_part *parts = call->scan.parts;
    uint64_t limit = call->config->limits->message_bytes_max, reply;
    struct wire_project wire = {0};
    struct wire_tensor tensor = {0};
    char error[CODEC_ERROR_BYTES];

    if (decode_project(&parts[PART_ROOT], &wire, error) < 0)
        return decode_failed(call, "", error);
    if (decode_tensor(&parts[PART_TENSOR], &tensor, error) < 0)
        return decode_failed(call, "tensor.", error);
    if (project_task(call, pipeline, &wire, &tensor) < 0)
        return -1;
    reply = pipeline->task.plan.out_bytes + pipeline->task.plan.out_scale_bytes +
            REPLY_HEAD_BYTES_MAX;
    if (reply <= limit + REPLY_HEAD_BYTES_MAX)
        return 0;
    metric_limit(call->config->metrics, L_MESSAGE);
    return fail_field(&call->failure, TRIT_RESOURCE_EXHAUSTED, "tensor.shape",
                      "the reply would have %" PRIu64
                      " bytes, but message_bytes_max is %" PRIu64 "; "
                      "use ProjectStream",
                      reply, limit);
}

static int stream_task(struct call *call, struct pipeline *pipeline)
{
    struct wire_project wire = {0};
    char error[CODEC_ERROR_BYTES];

    if (decode_project_start(&call->scan.parts[PART_START], &wire, error) < 0)
        return decode_failed(call, "start.", error);
    return project_task(call, pipeline, &wire, &wire.tensor);
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
        .data_bytes = plan->out_bytes,
    };
    uint8_t head[GRPC_PREFIX_BYTES + REPLY_HEAD_BYTES_MAX];
    size_t scales_at = 0;
    size_t count = encode_projected(&reply, head + GRPC_PREFIX_BYTES,
                                    REPLY_HEAD_BYTES_MAX, &scales_at);

    frame_prefix(head, (uint32_t)(count + plan->out_scale_bytes + plan->out_bytes));
    count += GRPC_PREFIX_BYTES;
    scales_at += GRPC_PREFIX_BYTES;
    if (call_write_copy(call, head, scales_at) == 0) {
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

static int refuse_non_finite(struct call *call, const struct pipeline *pipeline)
{
    const struct ternary_counts *counts = &pipeline->merge.counts;

    if (counts->non_finite == 0)
        return 0;
    metric_add(call->config->metrics, M_NON_FINITE, 1);
    return fail_field(&call->failure, TRIT_INVALID_ARGUMENT, pipeline->tensor.field,
                      "%" PRIu64
                      " values are NaN or infinite, the first at index %" PRIu64,
                      counts->non_finite, counts->first_non_finite);
}

static void complete(struct call *call)
{
    struct pipeline *pipeline = tensor_call_pipeline(call);
    void (*reply)(struct call *) = pipeline->emits_chunks ? reply_stream : reply_unary;

    if (refuse_non_finite(call, pipeline) < 0)
        call_end(call);
    else if (reports(pipeline))
        tensor_call_report(call, reply);
    else
        reply(call);
}

static const struct tensor_ops unary_ops = {
    .data_field = "tensor.data",
    .task = unary_task,
    .complete = complete,
};

static const struct tensor_ops stream_ops = {
    .data_field = "chunk.data",
    .stream = true,
    .task = stream_task,
    .complete = complete,
};

const struct method method_project = {
    .path = "/trit.v1.Ternary/Project",
    .scan = scan_project,
    .ops = &unary_ops,
    TENSOR_METHOD,
};

const struct method method_project_stream = {
    .path = "/trit.v1.Ternary/ProjectStream",
    .streaming = true,
    .scan = scan_project_stream,
    .ops = &stream_ops,
    TENSOR_METHOD,
};
