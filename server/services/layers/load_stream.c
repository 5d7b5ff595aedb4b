/* SPDX-License-Identifier: Apache-2.0 */
/* Layers.LoadStream: start, then chunks of the weight. */
#include "base/limits.h"
#include "obs/metrics.h"
#include "services/layers/load.h"
#include "services/ternary/tensor_call.h"

static int chunk_begin(struct call *call, uint64_t length)
{
    struct load *load = call->method_state;
    char error[CODEC_ERROR_BYTES];

    if (!load->build.layer)
        return fail_field(&call->failure, TRIT_INVALID_ARGUMENT, "start",
                          "must be the first message, before any chunk");
    if (load->chunk_seen)
        return fail_field(&call->failure, TRIT_INVALID_ARGUMENT, "chunk",
                          "given twice in a message");
    if (decode_chunk(&call->scan.parts[PART_CHUNK], &load->chunk, error) < 0)
        return decode_failed(call, "chunk.", error);
    load->chunk_seen = true;
    load->crc = 0;
    if (load->chunk.offset != load->rows.received)
        return fail_field(&call->failure, TRIT_INVALID_ARGUMENT, "chunk.offset",
                          "%llu, but the next byte is %llu",
                          (unsigned long long)load->chunk.offset,
                          (unsigned long long)load->rows.received);
    if (length > CHUNK_BYTES_MAX) {
        metric_limit(call->config->metrics, L_CHUNK);
        return fail_field(&call->failure, TRIT_INVALID_ARGUMENT, "chunk.data",
                          "%llu bytes, the limit is %u", (unsigned long long)length,
                          (unsigned)CHUNK_BYTES_MAX);
    }
    if (length > load->rows.expected - load->rows.received)
        return fail_field(&call->failure, TRIT_INVALID_ARGUMENT, "chunk.data",
                          "%llu bytes at offset %llu go beyond the weight's %llu",
                          (unsigned long long)length,
                          (unsigned long long)load->rows.received,
                          (unsigned long long)load->rows.expected);
    return 0;
}

static int blob_begin(struct call *call, uint32_t blob, uint64_t length)
{
    struct load *load = call->method_state;

    return blob == BLOB_DATA ? chunk_begin(call, length)
                             : bulk_begin(&load->bias, call, "start.bias.data");
}

static int blob_end(struct call *call, uint32_t blob)
{
    struct load *load = call->method_state;

    if (blob != BLOB_DATA || !load->chunk.has_crc32c || load->chunk.crc32c == load->crc)
        return 0;
    return fail_field(&call->failure, TRIT_DATA_LOSS, "chunk.crc32c",
                      "0x%08x, but the bytes at offset %llu have 0x%08x",
                      (unsigned)load->chunk.crc32c,
                      (unsigned long long)load->chunk.offset, (unsigned)load->crc);
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
    bool chunk_seen = load->chunk_seen;

    load->chunk_seen = false;
    if (parts[PART_START].seen && !chunk_seen)
        return start(call);
    if (parts[PART_CHUNK].seen && !parts[PART_START].seen) {
        int result = chunk_seen ? 0 : chunk_begin(call, 0);

        load->chunk_seen = false;
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
                          "the stream ended after %llu of %llu bytes",
                          (unsigned long long)load->rows.received,
                          (unsigned long long)load->rows.expected);
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
