/* SPDX-License-Identifier: Apache-2.0 */
/* Ternary.Project and Ternary.ProjectStream. */
#include <inttypes.h>

#include "obs/metrics.h"
#include "proto/names.h"
#include "services/ternary/encoded_reply.h"

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
        .wide_tiles = true,
    };

    for (uint32_t i = 0; i < tensor->rank; i++)
        spec.shape[i] = tensor->shape[i];
    if (encoded_reply_check_report(call, &wire->layer, wire->report) < 0 ||
        check_enum(call, "options.partial_group", &partial_group_names,
                   wire->partial_group) < 0 ||
        tensor_call_layer(call, &wire->layer, wire->durability) < 0)
        return -1;
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
    struct wire_project wire;
    struct wire_tensor tensor;
    char error[CODEC_ERROR_BYTES];

    if (decode_project(&call->scan.parts[PART_ROOT], &wire, error) < 0)
        return decode_failed(call, "", error);
    if (tensor_call_header(call, "tensor.", &tensor) < 0)
        return -1;
    if (project_task(call, pipeline, &wire, &tensor) < 0 ||
        pipeline_reply_region(pipeline, &wire.reply) < 0)
        return -1;
    return encoded_reply_check(call, "ProjectStream");
}

static int stream_task(struct call *call, struct pipeline *pipeline)
{
    struct wire_project wire = {0};
    char error[CODEC_ERROR_BYTES];

    if (decode_project_start(&call->scan.parts[PART_START], &wire, error) < 0)
        return decode_failed(call, "start.", error);
    if (wire.reply.present)
        return fail_field(&call->failure, TRIT_INVALID_ARGUMENT, "start.options.reply",
                          "only Project takes it; use replies_in_memory");
    pipeline->replies_in_memory = wire.replies_in_memory;
    return project_task(call, pipeline, &wire, &wire.tensor);
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
    if (refuse_non_finite(call, tensor_call_pipeline(call)) < 0)
        call_end(call);
    else
        encoded_reply(call);
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
