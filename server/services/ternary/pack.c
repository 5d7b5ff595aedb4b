/* SPDX-License-Identifier: Apache-2.0 */
/* Ternary.Pack and Ternary.PackStream. */
#include <string.h>

#include "services/ternary/encoded_reply.h"
#include "services/ternary/tile_pack.h"

static int check_encodings(struct call *call, const struct wire_pack *wire)
{
    if (!encoding_layout((enum trit_encoding)wire->source_encoding))
        return fail_field(&call->failure, TRIT_INVALID_ARGUMENT,
                          "options.source_encoding", "%u is unknown",
                          (unsigned)wire->source_encoding);
    if (wire->encoding == TRIT_ENCODING_DENSE)
        return fail_field(&call->failure, TRIT_INVALID_ARGUMENT, "options.encoding",
                          "dense; Unpack makes a dense tensor");
    return 0;
}

static int pack_task(struct call *call, struct pipeline *pipeline,
                     const struct wire_pack *wire, const struct wire_tensor *tensor)
{
    bool packed = wire->source_encoding != TRIT_ENCODING_DENSE;
    struct task *task = &pipeline->task;
    struct plan_spec spec = {
        .dtype = packed ? TRIT_F32 : (enum trit_dtype)tensor->dtype,
        .rank = tensor->rank,
        .group_size = wire->group_size,
        .in = (enum trit_encoding)wire->source_encoding,
        .in_scales_dtype = (enum trit_dtype)wire->scales_dtype,
        .out = (enum trit_encoding)wire->encoding,
        .has_out = true,
        .regroups = true,
    };

    memcpy(spec.shape, tensor->shape, sizeof(spec.shape));
    if (encoded_reply_check_report(call, &wire->layer, wire->report) < 0 ||
        check_encodings(call, wire) < 0 ||
        tensor_call_layer(call, &wire->layer, wire->durability) < 0 ||
        tensor_call_plan(call, &spec, &task->plan) < 0 ||
        tile_pack_check_groups(&task->plan, "options.group_size", &call->failure) < 0)
        return -1;
    /* The dtype of a packed tensor does not describe its bytes; it is only for the
     * report. */
    if (packed && dtype_bytes((enum trit_dtype)tensor->dtype))
        task->plan.spec.dtype = (enum trit_dtype)tensor->dtype;
    task->op = TASK_PACK;
    task->kernels = services_of(call)->config.kernels;
    task->wants_codes = wire->report != TRIT_REPORT_NONE;
    task->wants_crc = pipeline->emits_chunks;
    task->allows_rounded = wire->allow_rounded_scales;
    return 0;
}

static int unary_task(struct call *call, struct pipeline *pipeline)
{
    struct wire_pack wire = {0};
    struct wire_tensor tensor = {0};
    char error[CODEC_ERROR_BYTES];

    if (decode_pack(&call->scan.parts[PART_ROOT], &wire, error) < 0)
        return decode_failed(call, "", error);
    if (tensor_call_header(call, "tensor.", &tensor) < 0)
        return -1;
    if (pack_task(call, pipeline, &wire, &tensor) < 0)
        return -1;
    return encoded_reply_check(call, "PackStream");
}

static int stream_task(struct call *call, struct pipeline *pipeline)
{
    struct wire_pack wire = {0};
    char error[CODEC_ERROR_BYTES];

    if (decode_pack_start(&call->scan.parts[PART_START], &wire, error) < 0)
        return decode_failed(call, "start.", error);
    return pack_task(call, pipeline, &wire, &wire.tensor);
}

/* The report is stored as that of a verification of the source. */
static const struct tensor_ops unary_ops = {
    .data_field = "tensor.data",
    .verifies = true,
    .task = unary_task,
    .complete = encoded_reply,
};

static const struct tensor_ops stream_ops = {
    .data_field = "chunk.data",
    .stream = true,
    .verifies = true,
    .task = stream_task,
    .complete = encoded_reply,
};

const struct method method_pack = {
    .path = "/trit.v1.Ternary/Pack",
    .scan = scan_pack,
    .ops = &unary_ops,
    TENSOR_METHOD,
};

const struct method method_pack_stream = {
    .path = "/trit.v1.Ternary/PackStream",
    .streaming = true,
    .scan = scan_pack_stream,
    .ops = &stream_ops,
    TENSOR_METHOD,
};
