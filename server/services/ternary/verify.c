/* SPDX-License-Identifier: Apache-2.0 */
/* Ternary.Verify and Ternary.VerifyStream. */
#include <math.h>
#include <string.h>

#include "proto/names.h"
#include "services/ternary/tensor_call.h"

static const float tolerance_default = 1e-5F;

static int check_options(struct call *call, const struct wire_verify *wire,
                         bool has_reference)
{
    if (check_enum(call, "options.mode", &verify_mode_names, wire->mode) < 0 ||
        check_enum(call, "options.partial_group", &partial_group_names,
                   wire->partial_group) < 0)
        return -1;
    if (wire->has_tolerance && !(wire->tolerance >= 0 && wire->tolerance < 0.5F))
        return fail_field(&call->failure, TRIT_INVALID_ARGUMENT, "options.tolerance",
                          "%g; must be at least 0 and less than 0.5",
                          (double)wire->tolerance);
    if (wire->group_size == 1 && wire->mode == TRIT_VERIFY_TERNARY && !has_reference)
        return fail_field(&call->failure, TRIT_INVALID_ARGUMENT, "options.group_size",
                          "1; a group of 1 weight is always ternary, so nothing would be "
                          "verified; use groups of 2 or more, or send its latents as "
                          "reference");
    if (wire->mode == TRIT_VERIFY_LATENT && wire->encoding != TRIT_ENCODING_DENSE)
        return fail_field(&call->failure, TRIT_INVALID_ARGUMENT, "options.encoding",
                          "%u, but VERIFY_LATENT needs dense latents",
                          (unsigned)wire->encoding);
    if (wire->mode == TRIT_VERIFY_LATENT && has_reference)
        return fail_field(&call->failure, TRIT_INVALID_ARGUMENT, "reference",
                          "not allowed with VERIFY_LATENT; the tensor is the latents");
    return 0;
}

/* Makes the plan of `tensor`. The dtype of a packed tensor does not describe its bytes;
 * it is only for the report. */
static int make_plan(struct call *call, const struct wire_verify *wire,
                     const struct wire_tensor *tensor, bool has_reference,
                     struct plan *plan)
{
    bool packed = wire->encoding != TRIT_ENCODING_DENSE;
    struct plan_spec spec = {
        .dtype = packed ? TRIT_F32 : (enum trit_dtype)tensor->dtype,
        .rank = tensor->rank,
        .group_size = wire->group_size,
        .partial = (enum trit_partial_group)wire->partial_group,
        .in = (enum trit_encoding)wire->encoding,
        .in_scales_dtype = (enum trit_dtype)wire->scales_dtype,
        .out = TRIT_ENCODING_DENSE,
        .wide_tiles = !has_reference,
    };

    memcpy(spec.shape, tensor->shape, sizeof(spec.shape));
    if (tensor_call_plan(call, &spec, plan) < 0)
        return -1;
    if (packed && dtype_bytes((enum trit_dtype)tensor->dtype))
        plan->spec.dtype = (enum trit_dtype)tensor->dtype;
    return 0;
}

static int check_reference(struct call *call, const struct wire_tensor *reference)
{
    switch (reference->dtype) {
    case TRIT_F32:
    case TRIT_F16:
    case TRIT_BF16:
        return 0;
    }
    return fail_field(&call->failure, TRIT_INVALID_ARGUMENT, "reference.dtype",
                      "%u; must be F32 (1), F16 (2) or BF16 (3)",
                      (unsigned)reference->dtype);
}

static void make_task(struct call *call, struct pipeline *pipeline,
                      const struct wire_verify *wire)
{
    struct task *task = &pipeline->task;

    task->op = wire->mode == TRIT_VERIFY_LATENT ? TASK_TERNARIZE : TASK_VERIFY;
    task->kernels = services_of(call)->config.kernels;
    task->tolerance = wire->has_tolerance ? wire->tolerance : tolerance_default;
    task->wants_codes = true;
    task->wants_sums = wire->mode == TRIT_VERIFY_LATENT || task->has_reference;
}

static int decode_unary(struct call *call, struct wire_verify *wire)
{
    struct scan_part *parts = call->scan.parts;
    char error[CODEC_ERROR_BYTES];

    if (decode_verify(&parts[PART_ROOT], &parts[PART_OPTIONS], wire, error) < 0)
        return decode_failed(call, "", error);
    return 0;
}

static int reference_header(struct call *call, struct wire_tensor *reference)
{
    const struct scan_part *part = &call->scan.parts[PART_REFERENCE];
    char error[CODEC_ERROR_BYTES];

    return decode_tensor(part, reference, error) < 0
               ? decode_failed(call, "reference.", error)
               : 0;
}

/* The reference comes first. The plan has its shape; the tensor's must be equal. */
static int unary_reference_task(struct call *call, struct pipeline *pipeline)
{
    struct wire_verify wire = {0};
    struct wire_tensor reference = {0};

    if (decode_unary(call, &wire) < 0 || reference_header(call, &reference) < 0 ||
        check_options(call, &wire, true) < 0 || check_reference(call, &reference) < 0 ||
        tensor_call_layer(call, &wire.layer, wire.durability) < 0 ||
        make_plan(call, &wire, &reference, true, &pipeline->task.plan) < 0)
        return -1;
    pipeline->task.has_reference = true;
    pipeline->task.reference_dtype = (enum trit_dtype)reference.dtype;
    make_task(call, pipeline, &wire);
    return 0;
}

static bool same_shape(const struct plan_spec *a, const struct plan_spec *b)
{
    return a->rank == b->rank &&
           memcmp(a->shape, b->shape, a->rank * sizeof(a->shape[0])) == 0;
}

static int unary_task(struct call *call, struct pipeline *pipeline)
{
    struct scan_part *parts = call->scan.parts;
    bool has_reference = pipeline->task.has_reference;
    struct wire_verify wire = {0};
    struct wire_tensor tensor = {0};
    struct plan plan;

    if (parts[PART_REFERENCE].seen && !has_reference)
        return fail_field(&call->failure, TRIT_INVALID_ARGUMENT, "reference.data",
                          "missing, or after tensor.data; send it before");
    if (decode_unary(call, &wire) < 0 ||
        tensor_call_header(call, "tensor.", &tensor) < 0 ||
        check_options(call, &wire, has_reference) < 0 ||
        (!has_reference && tensor_call_layer(call, &wire.layer, wire.durability) < 0) ||
        make_plan(call, &wire, &tensor, has_reference, &plan) < 0)
        return -1;
    if (has_reference) {
        if (!same_shape(&plan.spec, &pipeline->task.plan.spec))
            return fail_field(&call->failure, TRIT_INVALID_ARGUMENT, "reference.shape",
                              "must equal tensor.shape");
        pipeline_replan(pipeline, &plan);
        return 0;
    }
    pipeline->task.plan = plan;
    make_task(call, pipeline, &wire);
    return 0;
}

static int stream_task(struct call *call, struct pipeline *pipeline)
{
    struct scan_part *parts = call->scan.parts;
    struct wire_verify wire = {0};
    struct wire_tensor reference;
    char error[CODEC_ERROR_BYTES];

    if (decode_verify_start(&parts[PART_START], &parts[PART_OPTIONS], &wire, error) < 0)
        return decode_failed(call, "start.", error);
    reference = (struct wire_tensor){.dtype = wire.reference_dtype};
    if (check_options(call, &wire, wire.reference_dtype != 0) < 0 ||
        (wire.reference_dtype && check_reference(call, &reference) < 0) ||
        tensor_call_layer(call, &wire.layer, wire.durability) < 0 ||
        make_plan(call, &wire, &wire.tensor, wire.reference_dtype != 0,
                  &pipeline->task.plan) < 0)
        return -1;
    pipeline->task.has_reference = wire.reference_dtype != 0;
    pipeline->task.reference_dtype = (enum trit_dtype)wire.reference_dtype;
    make_task(call, pipeline, &wire);
    return 0;
}

static void reply(struct call *call)
{
    uint8_t report[REPORT_BYTES_MAX + 16];

    call_write_message(
        call, report,
        encode_verified(tensor_call_report_of(call), report, sizeof(report)));
    call_end(call);
}

static void complete(struct call *call)
{
    tensor_call_report(call, reply);
}

static const struct tensor_ops unary_ops = {
    .data_field = "tensor.data",
    .verifies = true,
    .task = unary_task,
    .reference_task = unary_reference_task,
    .complete = complete,
};

static const struct tensor_ops stream_ops = {
    .data_field = "chunk.data",
    .stream = true,
    .verifies = true,
    .task = stream_task,
    .complete = complete,
};

const struct method method_verify = {
    .path = "/trit.v1.Ternary/Verify",
    .scan = scan_verify,
    .ops = &unary_ops,
    TENSOR_METHOD,
};

const struct method method_verify_stream = {
    .path = "/trit.v1.Ternary/VerifyStream",
    .streaming = true,
    .scan = scan_verify_stream,
    .ops = &stream_ops,
    TENSOR_METHOD,
};
