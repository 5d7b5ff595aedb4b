/* SPDX-License-Identifier: Apache-2.0 */
/* Layers.Load, and the parts that LoadStream (load_stream.c) shares with it. Latents
 * come in; they become a packed layer. */
#include "services/layers/load.h"

#include <inttypes.h>

#include "services/ternary/tensor_call.h"

/* ---- the request ------------------------------------------------------------------- */

static int check_weight(struct call *call, const struct load *load)
{
    const struct wire_tensor *weight = &load->weight;

    if (check_dtype(call, "weight.dtype", weight->dtype) < 0)
        return -1;
    if (weight->rank != 2 || weight->shape[0] != load->spec.out_features ||
        weight->shape[1] != load->spec.in_features)
        return fail_field(&call->failure, TRIT_INVALID_ARGUMENT, "weight.shape",
                          "rank %u, [%" PRIu64 ", %" PRIu64
                          "], but the spec has [%" PRIu64 ", %" PRIu64 "]",
                          (unsigned)weight->rank, weight->rank > 0 ? weight->shape[0] : 0,
                          weight->rank > 1 ? weight->shape[1] : 0,
                          load->spec.out_features, load->spec.in_features);
    return 0;
}

/* Reserves the layer, and creates a file for the latents where they are to be kept. */
static int reserve(struct call *call, struct load *load)
{
    struct layers *layers = services_of(call)->config.layers;

    call_label(call, "layer", load->spec.name);
    if (load->spec.keep_latents && !layers_durable(layers))
        return fail_field(&call->failure, TRIT_FAILED_PRECONDITION, "spec.keep_latents",
                          "needs a daemon with --data-dir");
    if (layers_reserve(layers, &load->spec, &load->build.layer, &call->failure) < 0)
        return -1;
    if (!load->spec.keep_latents)
        return 0;
    load->build.layer->latents = LATENTS_KEPT;
    load->build.layer->latents_dtype = (enum trit_dtype)load->weight.dtype;
    return latents_create(&load->build.latents, layers, &call->failure);
}

int load_start(struct call *call, struct load *load, const struct wire_layer_spec *wire)
{
    load->spec = spec_of_wire(wire);
    if (layer_spec_check(&load->spec, call->config->metrics, &call->failure) < 0 ||
        check_weight(call, load) < 0 || reserve(call, load) < 0)
        return -1;
    rows_init(&load->rows, call, &load->build, (enum trit_dtype)load->weight.dtype);
    return 0;
}

static int weight_begin(struct call *call, uint64_t length)
{
    struct load *load = call->method_state;
    struct wire_layer_spec wire;
    char error[CODEC_ERROR_BYTES];

    if (load->weight_seen)
        return fail_field(&call->failure, TRIT_INVALID_ARGUMENT, "weight.data",
                          "given twice");
    load->weight_seen = true;
    if (decode_layer_load(&call->scan.parts[PART_ROOT], &wire, error) < 0)
        return decode_failed(call, "", error);
    if (decode_tensor(&call->scan.parts[PART_TENSOR], &load->weight, error) < 0)
        return decode_failed(call, "weight.", error);
    if (load_start(call, load, &wire) < 0)
        return -1;
    if (length != load->rows.expected)
        return fail_field(&call->failure, TRIT_INVALID_ARGUMENT, "weight.data",
                          "%" PRIu64 " bytes, but the shape needs %" PRIu64, length,
                          load->rows.expected);
    return 0;
}

static int blob_begin(struct call *call, uint32_t blob, uint64_t length)
{
    struct load *load = call->method_state;

    return blob == BLOB_DATA ? weight_begin(call, length)
                             : bulk_begin(&load->bias, call, "bias.data", length);
}

int load_blob_bytes(struct call *call, uint32_t blob, const uint8_t *bytes, size_t count)
{
    struct load *load = call->method_state;

    if (blob == BLOB_DATA)
        chunk_bytes(&load->chunk, bytes, count);
    return blob == BLOB_DATA ? rows_feed(&load->rows, bytes, count)
                             : bulk_put(&load->bias, call, bytes, count);
}

int load_take_bias(struct call *call, struct load *load)
{
    struct operand bias = {.data = load->bias};

    if (!load->spec.bias) {
        if (load->bias.seen || call->scan.parts[PART_REFERENCE].seen)
            return fail_field(&call->failure, TRIT_INVALID_ARGUMENT, "bias",
                              "given, but spec.bias is not set");
        return 0;
    }
    if (!load->bias.seen)
        return fail_field(&call->failure, TRIT_INVALID_ARGUMENT, "bias",
                          "missing, and spec.bias is set");
    if (operand_decode(&bias, call, "bias.", &call->scan.parts[PART_REFERENCE]) < 0 ||
        operand_check(&bias, call, load->spec.out_features) < 0)
        return -1;
    if (bias.tensor.rank != 1)
        return fail_field(&call->failure, TRIT_INVALID_ARGUMENT, "bias.shape",
                          "rank %u is not 1", (unsigned)bias.tensor.rank);
    widen((enum trit_dtype)bias.tensor.dtype, bias.data.block.bytes,
          load->spec.out_features, load->build.layer->bias);
    return 0;
}

static int message(struct call *call)
{
    struct load *load = call->method_state;

    if (!load->weight_seen && weight_begin(call, 0) < 0)
        return -1;
    return load_take_bias(call, load);
}

static int request(struct call *call)
{
    struct load *load = call->method_state;

    return rows_complete(&load->rows);
}

void load_fini(struct call *call)
{
    struct load *load = call->method_state;

    rows_fini(&load->rows);
    bulk_fini(&load->bias, call);
    layer_build_fini(&load->build, call);
}

const struct method method_layers_load = {
    .path = "/trit.v1.Layers/Load",
    .scan = scan_layer_tensors,
    .state_bytes = sizeof(struct load),
    .blob_begin = blob_begin,
    .blob_bytes = load_blob_bytes,
    .blob_end = bulk_end,
    .message = message,
    .request = request,
    .cancel = layer_build_cancel,
    .fini = load_fini,
};
