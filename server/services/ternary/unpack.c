/* SPDX-License-Identifier: Apache-2.0 */
/* Ternary.Unpack, and Ternary.Backward, the straight-through estimator. Both reply with
 * a dense tensor. */
#include <inttypes.h>
#include <string.h>

#include "obs/metrics.h"
#include "services/ternary/tensor_call.h"

typedef size_t (*encode_dense)(const struct wire_tensor *tensor, uint64_t data_bytes,
                               uint8_t *out, size_t capacity);

static void reply(struct call *call, encode_dense encode)
{
    struct pipeline *pipeline = tensor_call_pipeline(call);
    const struct plan *plan = &pipeline->task.plan;
    struct wire_tensor tensor = {.dtype = (uint32_t)plan->spec.dtype,
                                 .rank = plan->spec.rank};
    uint8_t head[GRPC_PREFIX_BYTES + REPLY_HEAD_BYTES_MAX];
    size_t count;

    memcpy(tensor.shape, plan->spec.shape, sizeof(tensor.shape));
    count =
        encode(&tensor, plan->out_bytes, head + GRPC_PREFIX_BYTES, REPLY_HEAD_BYTES_MAX);
    frame_prefix(head, (uint32_t)(count + plan->out_bytes));
    if (call_write_copy(call, head, count + GRPC_PREFIX_BYTES) == 0)
        pipeline_lend_outputs(pipeline);
    call_end(call);
}

static int check_reply(struct call *call, const struct pipeline *pipeline)
{
    uint64_t limit = call->config->limits->message_bytes_max;

    if (pipeline->task.plan.out_bytes <= limit)
        return 0;
    metric_limit(call->config->metrics, L_MESSAGE);
    return fail_field(&call->failure, TRIT_RESOURCE_EXHAUSTED, "shape",
                      "the reply would have %" PRIu64
                      " bytes, but message_bytes_max is %" PRIu64,
                      pipeline->task.plan.out_bytes, limit);
}

/* ---- Unpack ------------------------------------------------------------------ */

static int unpack_task(struct call *call, struct pipeline *pipeline)
{
    struct wire_unpack wire = {0};
    struct plan_spec spec;
    char error[CODEC_ERROR_BYTES];

    if (decode_unpack(&call->scan.parts[PART_ROOT], &wire, error) < 0)
        return decode_failed(call, "", error);
    spec = (struct plan_spec){
        .dtype = (enum trit_dtype)wire.dtype,
        .rank = wire.rank,
        .group_size = wire.group_size,
        .in = (enum trit_encoding)wire.encoding,
        .in_scales_dtype = (enum trit_dtype)wire.scales_dtype,
        .out = TRIT_ENCODING_DENSE,
        .has_out = true,
    };
    memcpy(spec.shape, wire.shape, sizeof(spec.shape));
    if (tensor_call_plan(call, &spec, &pipeline->task.plan) < 0)
        return -1;
    pipeline->task.op = wire.encoding == TRIT_ENCODING_DENSE ? TASK_PASS : TASK_UNPACK;
    pipeline->task.kernels = services_of(call)->config.kernels;
    return check_reply(call, pipeline);
}

static void unpack_complete(struct call *call)
{
    reply(call, encode_tensor);
}

static const struct tensor_ops unpack_ops = {
    .data_field = "data",
    .task = unpack_task,
    .complete = unpack_complete,
};

const struct method method_unpack = {
    .path = "/trit.v1.Ternary/Unpack",
    .scan = scan_unpack,
    .ops = &unpack_ops,
    TENSOR_METHOD,
};

/* ---- Backward ------------------------------------------------------------------ */

/* The scale counts as a constant, and the derivative of rounding as 1. So the gradient
 * with respect to the latents equals the gradient of the request. Bengio et al., 2013,
 * "Estimating or Propagating Gradients Through Stochastic Neurons". */
static int backward_task(struct call *call, struct pipeline *pipeline)
{
    struct wire_tensor tensor = {0};
    struct plan_spec spec;

    if (tensor_call_header(call, "grad_ternary.", &tensor) < 0)
        return -1;
    spec = (struct plan_spec){
        .dtype = (enum trit_dtype)tensor.dtype,
        .rank = tensor.rank,
        .in = TRIT_ENCODING_DENSE,
        .out = TRIT_ENCODING_DENSE,
        .has_out = true,
    };
    memcpy(spec.shape, tensor.shape, sizeof(spec.shape));
    if (tensor_call_plan(call, &spec, &pipeline->task.plan) < 0)
        return -1;
    pipeline->task.op = TASK_PASS;
    pipeline->task.kernels = services_of(call)->config.kernels;
    return check_reply(call, pipeline);
}

static void backward_complete(struct call *call)
{
    reply(call, encode_backward);
}

static const struct tensor_ops backward_ops = {
    .data_field = "grad_ternary.data",
    .task = backward_task,
    .complete = backward_complete,
};

const struct method method_backward = {
    .path = "/trit.v1.Ternary/Backward",
    .scan = scan_backward,
    .ops = &backward_ops,
    TENSOR_METHOD,
};
