/* SPDX-License-Identifier: Apache-2.0 */
/* Layers.Backward: the gradients of y = x . Wt^T + bias. The gradient of the latents is
 * that of the ternary weights (straight-through estimator).
 *
 *   x and grad_output arrive -> widen -> grad_input by columns, grad_weight by rows,
 *   grad_bias -> round -> reply */
#include <inttypes.h>
#include <string.h>

#include "base/checked.h"
#include "obs/metrics.h"
#include "services/layers/call.h"
#include "services/layers/parallel.h"
#include "services/ternary/tensor_call.h"

enum {
    RESULTS = 3,
    WIDEN_ELEMENTS = TILE_ELEMENTS_MAX,
    BATCH_ROWS =
        512, /* rows of grad_output, after which a piece asks whether it goes on */
};
enum { GRAD_INPUT, GRAD_WEIGHT, GRAD_BIAS };

struct backward {
    char name[TRIT_NAME_BYTES_MAX + 1];
    struct layer *layer;
    struct operand x, grad_output;
    struct result results[RESULTS];
    uint32_t result_count;
    struct parallel_for pieces;
    uint64_t columns_at_once, column_pieces; /* of grad_input */
    uint64_t rows_at_once, row_pieces;       /* of grad_weight */
};

static struct operand *operand_of(struct call *call, uint32_t blob)
{
    struct backward *backward = call->method_state;

    return blob == BLOB_DATA ? &backward->grad_output : &backward->x;
}

static int blob_begin(struct call *call, uint32_t blob, uint64_t length)
{
    return bulk_begin(&operand_of(call, blob)->data, call,
                      blob == BLOB_DATA ? "grad_output.data" : "x.data", length);
}

static int blob_bytes(struct call *call, uint32_t blob, const uint8_t *bytes,
                      size_t count)
{
    return bulk_put(&operand_of(call, blob)->data, call, bytes, count);
}

static int message(struct call *call)
{
    struct backward *backward = call->method_state;
    char error[CODEC_ERROR_BYTES];

    if (decode_layer_name(&call->scan.parts[PART_ROOT], backward->name, error) < 0)
        return decode_failed(call, "", error);
    if (operand_decode(&backward->x, call, "x.", &call->scan.parts[PART_REFERENCE]) < 0)
        return -1;
    return operand_decode(&backward->grad_output, call, "grad_output.",
                          &call->scan.parts[PART_TENSOR]);
}

/* ---- the computation --------------------------------------------------------------- */

static void narrow_done(struct call *call)
{
    struct backward *backward = call->method_state;
    struct result *results[RESULTS];

    if (call->state != CALL_WORKING)
        return;
    for (uint32_t i = 0; i < backward->result_count; i++)
        results[i] = &backward->results[i];
    reply_tensors(call, NULL, results, 1, backward->result_count);
}

static int narrow_run(struct call *call, uint64_t piece, struct worker *worker)
{
    struct backward *backward = call->method_state;

    (void)worker;
    result_narrow(&backward->results[piece]);
    return 0;
}

static void multiply_done(struct call *call)
{
    struct backward *backward = call->method_state;
    const struct layer_spec *spec = &backward->layer->spec;
    const struct parallel_for_spec pieces = {
        .count = backward->result_count,
        .cost = (backward->x.rows + spec->out_features) * spec->in_features,
        .run = narrow_run,
        .done = narrow_done};
    struct metrics *metrics = call->config->metrics;
    uint64_t products = backward->x.rows * spec->in_features * spec->out_features;

    if (call->state != CALL_WORKING)
        return;
    metric_product(metrics, P_GRAD_INPUT, backward->x.rows, products);
    metric_product(metrics, P_GRAD_WEIGHT, backward->x.rows, products);
    if (parallel_for_start(&backward->pieces, call, &pieces) < 0)
        call_end(call);
}

static void grad_bias(const struct backward *backward, float *out)
{
    uint64_t rows = backward->x.rows, count = backward->layer->spec.out_features;

    memset(out, 0, count * sizeof(*out));
    for (uint64_t row = 0; row < rows; row++)
        for (uint64_t i = 0; i < count; i++)
            out[i] += backward->grad_output.values[row * count + i];
}

static void grad_input(struct call *call, uint64_t first, uint64_t columns)
{
    struct backward *backward = call->method_state;
    const struct layer *layer = backward->layer;
    const uint64_t in = layer->spec.in_features, out = layer->spec.out_features;
    float *result = result_values(&backward->results[GRAD_INPUT]);

    for (uint64_t row = 0;
         row < backward->x.rows && !parallel_for_cancelled(&backward->pieces);
         row += BATCH_ROWS)
        linear_grad_input(services_of(call)->config.kernels, &layer->matrix,
                          backward->grad_output.values + row * out,
                          piece_length(backward->x.rows, row, BATCH_ROWS), first, columns,
                          result + row * in);
}

/* The pieces of grad_input come first, then those of grad_weight, then grad_bias. */
static int multiply_run(struct call *call, uint64_t piece, struct worker *worker)
{
    struct backward *backward = call->method_state;
    const struct kernels *kernels = services_of(call)->config.kernels;
    const struct layer *layer = backward->layer;
    uint64_t in = layer->spec.in_features, out = layer->spec.out_features, first;

    (void)worker;
    if (piece < backward->column_pieces) {
        first = piece * backward->columns_at_once;
        grad_input(call, first, piece_length(in, first, backward->columns_at_once));
    } else if (piece < backward->column_pieces + backward->row_pieces) {
        first = (piece - backward->column_pieces) * backward->rows_at_once;
        linear_grad_weight(kernels, backward->grad_output.values, backward->x.values,
                           backward->x.rows, out, in, first,
                           piece_length(out, first, backward->rows_at_once),
                           result_values(&backward->results[GRAD_WEIGHT]));
    } else {
        grad_bias(backward, result_values(&backward->results[GRAD_BIAS]));
    }
    return 0;
}

static void widen_done(struct call *call)
{
    struct backward *backward = call->method_state;
    const struct layer_spec *spec = &backward->layer->spec;
    struct parallel_for_spec pieces = {.cost = backward->x.rows * spec->in_features *
                                               spec->out_features * 4,
                                       .run = multiply_run,
                                       .done = multiply_done};

    if (call->state != CALL_WORKING)
        return;
    backward->columns_at_once =
        piece_rows(call, spec->in_features, spec->out_features * backward->x.rows);
    backward->columns_at_once =
        div_up(backward->columns_at_once, spec->group_size) * spec->group_size;
    backward->column_pieces = div_up(spec->in_features, backward->columns_at_once);
    backward->rows_at_once =
        piece_rows(call, spec->out_features, spec->in_features * backward->x.rows);
    backward->row_pieces = div_up(spec->out_features, backward->rows_at_once);
    pieces.count = backward->column_pieces + backward->row_pieces + (spec->bias ? 1 : 0);
    if (parallel_for_start(&backward->pieces, call, &pieces) < 0)
        call_end(call);
}

static void widen_run_of(struct operand *operand, uint64_t piece)
{
    uint64_t first = piece * WIDEN_ELEMENTS, elements = operand_elements(operand);

    if (first < elements)
        operand_load(operand, first, piece_length(elements, first, WIDEN_ELEMENTS));
}

static int widen_run(struct call *call, uint64_t piece, struct worker *worker)
{
    struct backward *backward = call->method_state;

    (void)worker;
    widen_run_of(&backward->x, piece);
    widen_run_of(&backward->grad_output, piece);
    return 0;
}

static int widen_operands(struct call *call, struct backward *backward)
{
    uint64_t x = operand_elements(&backward->x);
    uint64_t grad_output = operand_elements(&backward->grad_output);
    uint64_t elements = x > grad_output ? x : grad_output;
    const struct parallel_for_spec pieces = {.count = div_up(elements, WIDEN_ELEMENTS),
                                             .cost = elements,
                                             .run = widen_run,
                                             .done = widen_done};

    if (operand_prepare(&backward->x, call) < 0 ||
        operand_prepare(&backward->grad_output, call) < 0)
        return -1;
    return parallel_for_start(&backward->pieces, call, &pieces);
}

/* ---- the request ------------------------------------------------------------------- */

static int check_shapes(struct call *call, const struct backward *backward)
{
    const struct wire_tensor *x = &backward->x.tensor;
    const struct wire_tensor *grad = &backward->grad_output.tensor;

    if (x->rank == grad->rank &&
        memcmp(x->shape, grad->shape, (x->rank - 1) * sizeof(x->shape[0])) == 0)
        return 0;
    return fail_field(&call->failure, TRIT_INVALID_ARGUMENT, "grad_output.shape",
                      "all axes but the last must be those of x: rank %u and "
                      "%" PRIu64 " rows, x has rank %u and %" PRIu64 " rows",
                      (unsigned)grad->rank, backward->grad_output.rows, (unsigned)x->rank,
                      backward->x.rows);
}

static int make_results(struct call *call, struct backward *backward)
{
    const struct layer_spec *spec = &backward->layer->spec;
    struct result *results = backward->results;
    uint32_t dtype = backward->grad_output.tensor.dtype;
    uint64_t elements[RESULTS] = {operand_elements(&backward->x),
                                  spec->in_features * spec->out_features,
                                  spec->out_features};
    uint64_t bytes = 0;

    backward->result_count = spec->bias ? RESULTS : RESULTS - 1;
    results[GRAD_INPUT].tensor = backward->x.tensor;
    results[GRAD_WEIGHT].tensor = (struct wire_tensor){
        .dtype = dtype, .rank = 2, .shape = {spec->out_features, spec->in_features}};
    results[GRAD_BIAS].tensor =
        (struct wire_tensor){.dtype = dtype, .rank = 1, .shape = {spec->out_features}};
    for (uint32_t i = 0; i < backward->result_count; i++)
        bytes += elements[i] *
                 dtype_bytes((enum trit_dtype)results[i].tensor.dtype); /* < 2^52 */
    if (check_reply_bytes(call, "x.shape", bytes) < 0)
        return -1;
    for (uint32_t i = 0; i < backward->result_count; i++)
        if (result_prepare(&results[i], call, elements[i]) < 0)
            return -1;
    return 0;
}

static int request(struct call *call)
{
    struct backward *backward = call->method_state;
    const struct layer_spec *spec;

    if (call_layer(call, backward->name, &backward->layer) < 0)
        return -1;
    spec = &backward->layer->spec;
    if (operand_check(&backward->x, call, spec->in_features) < 0 ||
        operand_check(&backward->grad_output, call, spec->out_features) < 0 ||
        check_shapes(call, backward) < 0 || make_results(call, backward) < 0)
        return -1;
    return widen_operands(call, backward);
}

static void fini(struct call *call)
{
    struct backward *backward = call->method_state;

    parallel_for_fini(&backward->pieces, call);
    operand_fini(&backward->x, call);
    operand_fini(&backward->grad_output, call);
    for (uint32_t i = 0; i < RESULTS; i++)
        result_fini(&backward->results[i], call);
    layer_release(backward->layer);
}

const struct method method_layers_backward = {
    .path = "/trit.v1.Layers/Backward",
    .scan = scan_layer_tensors,
    .state_bytes = sizeof(struct backward),
    .blob_begin = blob_begin,
    .blob_bytes = blob_bytes,
    .blob_end = bulk_end,
    .message = message,
    .request = request,
    .fini = fini,
};
