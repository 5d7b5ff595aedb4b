/* SPDX-License-Identifier: Apache-2.0 */
/* Layers.Forward and Layers.AsLinear: x . Wt^T plus the bias.
 *
 *   x arrives -> widen, and quantize for int8, row by row -> multiply: some rows of Wt
 *   with some rows of x; where asked, compare with the product by f32 -> round to x's
 *   dtype -> reply
 *
 * Each step is computed in pieces. The bits do not depend on how it is cut.
 *
 * x and y of Forward may lie in the client's memory. x is copied as a whole before anything is
 * multiplied. y is computed in memory of the call, and copied to the client's piece by piece. */
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "base/checked.h"
#include "obs/metrics.h"
#include "proto/names.h"
#include "services/layers/call.h"
#include "services/layers/int8_error.h"
#include "services/layers/parallel.h"
#include "services/ternary/tensor_call.h"

enum {
    BATCH_ROWS = 64,        /* rows of x in a piece */
    F32_BATCH_ROWS = 8,     /* the same for f32 activations */
    F32_ROWS_WANTED = 1024, /* rows of Wt for which the kernel builds its tables once */
    F32_PIECES_A_THREAD = 4,
    QUANTIZED_A_PRODUCT = 4, /* elements that are quantized for the cost of a product */
    /* As in layers.proto. */
    FIELD_Y = 15,
    FIELD_LOGITS = 1,
};

struct forward {
    struct wire_layer_forward asked;
    struct layer *layer;
    struct operand x;
    struct result y;
    struct client_memory *memory; /* NULL: no tensor lies there */
    uint8_t *place;               /* for y, in the client's memory; or NULL */
    struct parallel_for pieces;
    uint64_t rows_at_once;    /* rows of Wt in a piece */
    uint64_t batches_at_once; /* rows of x in a piece */
    uint64_t batch_pieces; /* pieces with the same rows of Wt, which follow each other */
    /* INT8: each row of x as int8, the sums of its groups, and its largest magnitude */
    struct block quantized;
    uint64_t q_stride, groups;
    int8_t *q;
    int32_t *sums;
    float *absmax;
    struct product_error error; /* if report_error is set */
};

/* ---- the request's bytes --------------------------------------------------------- */

static int blob_begin(struct call *call, uint32_t blob, uint64_t length)
{
    struct forward *forward = call->method_state;

    (void)blob;
    return bulk_begin(&forward->x.data, call, "x.data", length);
}

static int blob_bytes(struct call *call, uint32_t blob, const uint8_t *bytes,
                      size_t count)
{
    struct forward *forward = call->method_state;

    (void)blob;
    return bulk_put(&forward->x.data, call, bytes, count);
}

/* ---- the computation --------------------------------------------------------------- */

static void narrow_done(struct call *call)
{
    struct forward *forward = call->method_state;
    struct result *results[] = {&forward->y};
    struct reply_fields fields = {0};

    if (call->state != CALL_WORKING)
        return;
    if (forward->asked.report_error)
        fields.count = encode_layer_errors(product_error_max(&forward->error),
                                           product_error_relative(&forward->error),
                                           fields.bytes, sizeof(fields.bytes));
    reply_tensors(call, &fields, results,
                  forward->layer->spec.kind == LAYER_LINEAR ? FIELD_Y : FIELD_LOGITS, 1);
}

/* Copies `count` runs of `bytes` bytes of y to the client's memory, the first one at `at` and the
 * others `stride` bytes apart. */
static void place(struct forward *forward, uint64_t at, uint64_t count, uint64_t bytes,
                  uint64_t stride)
{
    if (!client_memory_write_begin(forward->memory))
        return;
    for (; count > 0; count--, at += stride)
        memcpy(forward->place + at, forward->y.block.bytes + at, (size_t)bytes);
    client_memory_write_end(forward->memory);
}

static int narrow_run(struct call *call, uint64_t piece, struct worker *worker)
{
    struct forward *forward = call->method_state;

    (void)piece, (void)worker;
    result_narrow(&forward->y);
    if (forward->place)
        place(forward, 0, 1, result_bytes(&forward->y), result_bytes(&forward->y));
    return 0;
}

/* With f32 activations there is nothing to compare with, so the errors are 0. */
static bool compares(const struct forward *forward)
{
    return forward->asked.report_error &&
           forward->asked.activations == TRIT_ACTIVATIONS_INT8;
}

static void count_products(struct call *call)
{
    const struct forward *forward = call->method_state;
    const struct layer_spec *spec = &forward->layer->spec;
    struct metrics *metrics = call->config->metrics;
    uint64_t rows = forward->x.rows;
    uint64_t products = rows * spec->in_features * spec->out_features;

    if (forward->asked.activations == TRIT_ACTIVATIONS_INT8)
        metric_product(metrics, P_FORWARD_INT8, rows, products);
    if (forward->asked.activations == TRIT_ACTIVATIONS_F32 || compares(forward))
        metric_product(metrics, P_FORWARD_F32, rows, products);
}

static void multiply_done(struct call *call)
{
    struct forward *forward = call->method_state;
    const struct parallel_for_spec pieces = {
        .count = 1, .cost = forward->y.elements, .run = narrow_run, .done = narrow_done};

    if (call->state != CALL_WORKING)
        return;
    count_products(call);
    if (forward->y.tensor.dtype == TRIT_F32)
        narrow_done(call);
    else if (parallel_for_start(&forward->pieces, call, &pieces) < 0)
        call_end(call);
}

static int multiply_run(struct call *call, uint64_t piece, struct worker *worker)
{
    struct forward *forward = call->method_state;
    const struct kernels *kernels = services_of(call)->config.kernels;
    const struct layer *layer = forward->layer;
    uint64_t out = layer->spec.out_features, in = layer->spec.in_features;
    uint64_t first = piece / forward->batch_pieces * forward->rows_at_once;
    uint64_t batch = piece % forward->batch_pieces * forward->batches_at_once;
    uint64_t rows = piece_length(out, first, forward->rows_at_once);
    uint64_t batches = piece_length(forward->x.rows, batch, forward->batches_at_once);
    const float *x = forward->x.values + batch * in;
    float *y = result_values(&forward->y) + batch * out;
    struct product_part part = {&layer->matrix, x, batches, layer->bias, first, rows, y};

    if (forward->asked.activations == TRIT_ACTIVATIONS_INT8)
        linear_forward_int8(
            kernels, &layer->matrix, forward->q + batch * forward->q_stride,
            forward->sums + batch * forward->groups, forward->absmax + batch, batches,
            layer->bias, first, rows, y);
    else
        linear_forward(kernels, &layer->matrix, x, batches, layer->bias, first, rows, y);
    if (compares(forward))
        product_error_add(&forward->error, kernels, &part,
                          (float *)(void *)worker->scratch);
    if (forward->place && forward->y.tensor.dtype == TRIT_F32)
        place(forward, (batch * out + first) * sizeof(float), batches,
              rows * sizeof(float), out * sizeof(float));
    return 0;
}

/* The f32 kernel takes few rows of x at a time in any case, and builds tables of them for
 * many rows of Wt. So its pieces have as many rows of Wt as threads allow. */
static uint64_t f32_rows(struct call *call, uint64_t least_rows)
{
    const struct forward *forward = call->method_state;
    const uint64_t batches = div_up(forward->x.rows, F32_BATCH_ROWS),
                   pieces = (uint64_t)pool_threads(services_of(call)->config.pool) *
                            F32_PIECES_A_THREAD;
    uint64_t rows = F32_ROWS_WANTED;

    while (rows > least_rows &&
           div_up(forward->layer->spec.out_features, rows) * batches < pieces)
        rows /= 2;
    return rows > least_rows ? rows : least_rows;
}

static int multiply(struct call *call)
{
    struct forward *forward = call->method_state;
    const struct layer_spec *spec = &forward->layer->spec;
    const bool f32 = forward->asked.activations == TRIT_ACTIVATIONS_F32;
    uint64_t batches_max = f32 ? F32_BATCH_ROWS : BATCH_ROWS;
    uint64_t batches = piece_length(forward->x.rows, 0, batches_max);
    struct parallel_for_spec pieces = {
        .run = multiply_run, .done = multiply_done, .short_pieces = true, .near = true};

    forward->rows_at_once =
        piece_rows(call, spec->out_features, spec->in_features * batches);
    if (f32 && forward->x.rows > 1)
        forward->rows_at_once = f32_rows(call, forward->rows_at_once);
    forward->batches_at_once = batches_max;
    forward->batch_pieces = div_up(forward->x.rows, batches_max);
    pieces.count =
        div_up(spec->out_features, forward->rows_at_once) * forward->batch_pieces;
    pieces.cost = spec->out_features * spec->in_features * forward->x.rows;
    if (compares(forward))
        pieces.scratch_bytes = product_error_scratch_bytes(
            piece_length(spec->out_features, 0, forward->rows_at_once));
    return parallel_for_start(&forward->pieces, call, &pieces);
}

/* Copies and widens a row of x and, for int8 activations, quantizes it. */
static int prepare_run(struct call *call, uint64_t piece, struct worker *worker)
{
    struct forward *forward = call->method_state;
    uint64_t in = forward->layer->spec.in_features;

    operand_load(&forward->x, piece * in, in);
    if (forward->asked.activations != TRIT_ACTIVATIONS_INT8)
        return 0;
    linear_quantize(services_of(call)->config.kernels, &forward->layer->matrix,
                    forward->x.values + piece * in,
                    forward->q + piece * forward->q_stride,
                    forward->sums + piece * forward->groups, forward->absmax + piece);
    if (!isfinite(forward->absmax[piece]))
        return fail_field(&worker->failure, TRIT_INVALID_ARGUMENT, "x.data",
                          "row %" PRIu64
                          " has a NaN or infinity, which ACTIVATIONS_INT8 cannot hold",
                          piece);
    return 0;
}

static void prepare_done(struct call *call)
{
    if (call->state != CALL_WORKING)
        return;
    if (call->failure.status != TRIT_OK || multiply(call) < 0)
        call_end(call);
}

static int prepare(struct call *call)
{
    struct forward *forward = call->method_state;
    const bool f32 = forward->x.tensor.dtype == TRIT_F32;
    const struct parallel_for_spec pieces = {.count = forward->x.rows,
                                             .cost = operand_elements(&forward->x) /
                                                     (f32 ? QUANTIZED_A_PRODUCT : 1),
                                             .short_pieces = true,
                                             .run = prepare_run,
                                             .done = prepare_done};

    if (operand_prepare(&forward->x, call) < 0)
        return -1;
    if (forward->asked.activations == TRIT_ACTIVATIONS_F32 &&
        !operand_is_loaded(&forward->x))
        return multiply(call);
    return parallel_for_start(&forward->pieces, call, &pieces);
}

static int make_quantized(struct call *call)
{
    struct forward *forward = call->method_state;
    const struct layer_spec *spec = &forward->layer->spec;
    uint64_t rows = forward->x.rows;

    if (forward->asked.activations != TRIT_ACTIVATIONS_INT8)
        return 0;
    forward->q_stride = linear_quantized(spec->in_features);
    forward->groups = layer_groups_per_row(spec);
    if (call_block(call,
                   (size_t)(rows * (forward->q_stride +
                                    forward->groups * sizeof(int32_t) + sizeof(float))),
                   &forward->quantized) < 0)
        return memory_spent(call);
    forward->q = (int8_t *)forward->quantized.bytes;
    forward->sums =
        (int32_t *)(void *)(forward->quantized.bytes + rows * forward->q_stride);
    forward->absmax = (float *)(void *)(forward->sums + rows * forward->groups);
    return 0;
}

/* The memory of the client that a request names. */
static int find_memory(struct call *call, const struct wire_region *reply)
{
    struct forward *forward = call->method_state;

    if (!forward->x.region.present && !reply->present)
        return 0;
    forward->memory = client_memory_create(call);
    if (!forward->memory)
        return memory_spent(call);
    if (operand_map(&forward->x, call, forward->memory) < 0)
        return -1;
    return reply->present
               ? client_memory_map(forward->memory, reply, "reply", &forward->place)
               : 0;
}

/* Prepares y, in the client's memory if it fits there. */
static int prepare_y(struct call *call)
{
    struct forward *forward = call->method_state;
    const uint64_t out = forward->layer->spec.out_features;
    const uint64_t element = dtype_bytes((enum trit_dtype)forward->x.tensor.dtype);
    struct wire_region *region = &forward->y.tensor.region;
    uint64_t bytes;

    forward->y.tensor = forward->x.tensor;
    forward->y.tensor.shape[forward->x.tensor.rank - 1] = out;
    if (mul_overflows(forward->x.rows, out * 4, &bytes))
        bytes = UINT64_MAX;
    else
        bytes = forward->x.rows * out * element;
    if (forward->place && bytes <= forward->asked.reply.bytes) {
        *region = forward->asked.reply;
        region->bytes = bytes;
    } else {
        forward->place = NULL;
        if (check_reply_bytes(call, "x.shape", bytes) < 0)
            return -1;
    }
    return result_prepare(&forward->y, call, bytes / element);
}

static int start(struct call *call, enum layer_kind kind)
{
    struct forward *forward = call->method_state;
    const struct layer_spec *spec;

    if (call_layer(call, forward->asked.name, &forward->layer) < 0)
        return -1;
    spec = &forward->layer->spec;
    if (spec->kind != kind)
        return fail(&call->failure, TRIT_FAILED_PRECONDITION, "name",
                    kind == LAYER_LINEAR ? "name: \"%s\" is an embedding; use AsLinear"
                                         : "name: \"%s\" is a linear layer; use Forward",
                    spec->name);
    if (operand_check(&forward->x, call, spec->in_features) < 0)
        return -1;
    if (prepare_y(call) < 0 || make_quantized(call) < 0)
        return -1;
    return prepare(call);
}

/* ---- the methods ------------------------------------------------------------------- */

static int forward_message(struct call *call)
{
    struct forward *forward = call->method_state;
    char error[CODEC_ERROR_BYTES];

    if (decode_layer_forward(&call->scan.parts[PART_ROOT], &forward->asked, error) < 0)
        return decode_failed(call, "", error);
    if (check_enum(call, "activations", &activations_names, forward->asked.activations) <
        0)
        return -1;
    return operand_decode(&forward->x, call, "x.", &call->scan.parts[PART_TENSOR]);
}

static int forward_request(struct call *call)
{
    struct forward *forward = call->method_state;

    return find_memory(call, &forward->asked.reply) < 0 ? -1 : start(call, LAYER_LINEAR);
}

static void forward_cancel(struct call *call)
{
    struct forward *forward = call->method_state;

    client_memory_stop(forward->memory);
}

static int as_linear_message(struct call *call)
{
    struct forward *forward = call->method_state;
    char error[CODEC_ERROR_BYTES];

    if (decode_layer_name(&call->scan.parts[PART_ROOT], forward->asked.name, error) < 0)
        return decode_failed(call, "", error);
    return operand_decode(&forward->x, call, "x.", &call->scan.parts[PART_TENSOR]);
}

static int as_linear_request(struct call *call)
{
    return start(call, LAYER_EMBEDDING);
}

static void fini(struct call *call)
{
    struct forward *forward = call->method_state;

    parallel_for_fini(&forward->pieces, call);
    operand_fini(&forward->x, call);
    result_fini(&forward->y, call);
    blocks_put(services_of(call)->config.blocks, &forward->quantized);
    client_memory_destroy(forward->memory);
    layer_release(forward->layer);
}

const struct method method_layers_forward = {
    .path = "/trit.v1.Layers/Forward",
    .scan = scan_layer_tensor,
    .state_bytes = sizeof(struct forward),
    .blob_begin = blob_begin,
    .blob_bytes = blob_bytes,
    .blob_end = bulk_end,
    .message = forward_message,
    .request = forward_request,
    .cancel = forward_cancel,
    .fini = fini,
};

const struct method method_layers_as_linear = {
    .path = "/trit.v1.Layers/AsLinear",
    .scan = scan_layer_tensor,
    .state_bytes = sizeof(struct forward),
    .blob_begin = blob_begin,
    .blob_bytes = blob_bytes,
    .blob_end = bulk_end,
    .message = as_linear_message,
    .request = as_linear_request,
    .fini = fini,
};
