/* SPDX-License-Identifier: Apache-2.0 */
/* Layers.LoadStream: a start message, then chunks of the weight. */
#include "services/layers/load.h"

#include "services/ternary/tensor_call.h"
#include <inttypes.h>

static int weight_begin(struct call *call, uint64_t length)
{
    struct load *load = call->method_state;
    const struct chunk_target target = {"chunk", &call->scan.parts[PART_CHUNK],
                                        load->rows.received, load->rows.expected};

    if (!load->build.layer)
        return fail_field(&call->failure, TRIT_INVALID_ARGUMENT, "start",
                          "must be the first message, before any chunk");
    return chunk_begin(&load->chunk, call, &target, length);
}

static int blob_begin(struct call *call, uint32_t blob, uint64_t length)
{
    struct load *load = call->method_state;

    return blob == BLOB_DATA ? weight_begin(call, length)
                             : bulk_begin(&load->bias, call, "start.bias.data", length);
}

static int blob_end(struct call *call, uint32_t blob)
{
    struct load *load = call->method_state;

    return blob == BLOB_DATA ? chunk_end(&load->chunk, call) : 0;
}

static int start(struct call *call)
{
    struct load *load = call->method_state;
    struct wire_layer_spec wire;
    char error[CODEC_ERROR_BYTES];
    uint32_t dtype;

    if (load->build.layer)
        return fail_field(&call->failure, TRIT_INVALID_ARGUMENT, "start", "sent twice");
    if (decode_layer_load_start(&call->scan.parts[PART_START], &wire, &dtype, error) < 0)
        return decode_failed(call, "start.", error);
    load->weight = (struct wire_tensor){
        .dtype = dtype, .rank = 2, .shape = {wire.out_features, wire.in_features}};
    if (load_start(call, load, &wire) < 0)
        return -1;
    return load_take_bias(call, load);
}

static int message(struct call *call)
{
    struct load *load = call->method_state;
    const struct scan_part *parts = call->scan.parts;
    bool chunk_seen = load->chunk.seen;

    load->chunk.seen = false;
    if (parts[PART_START].seen && !chunk_seen)
        return start(call);
    if (parts[PART_CHUNK].seen && !parts[PART_START].seen) {
        int result =
            chunk_seen ? chunk_check_order(&load->chunk, call) : weight_begin(call, 0);

        load->chunk.seen = false;
        return result;
    }
    return fail_field(&call->failure, TRIT_INVALID_ARGUMENT, "message",
                      "number %u is neither start nor chunk", (unsigned)call->messages);
}

static int request(struct call *call)
{
    struct load *load = call->method_state;

    if (!load->build.layer)
        return fail_field(&call->failure, TRIT_INVALID_ARGUMENT, "start",
                          "the stream ended without it");
    if (load->rows.received != load->rows.expected)
        return fail_field(&call->failure, TRIT_INVALID_ARGUMENT, "chunk.data",
                          "the stream ended after %" PRIu64 " of %" PRIu64 " bytes",
                          load->rows.received, load->rows.expected);
    return rows_complete(&load->rows);
}

const struct method method_layers_load_stream = {
    .path = "/trit.v1.Layers/LoadStream",
    .streaming = true,
    .scan = scan_layer_load_stream,
    .state_bytes = sizeof(struct load),
    .blob_begin = blob_begin,
    .blob_bytes = load_blob_bytes,
    .blob_end = blob_end,
    .message = message,
    .request = request,
    .cancel = layer_build_cancel,
    .fini = load_fini,
};
