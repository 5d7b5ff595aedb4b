/* Layers.Load and LoadStream: latents in, a packed layer out, in memory that does not
 * grow with the weight: rows are projected as they come.
 *
 *   bytes -> a batch of rows -> pool: project, pack, write latents -> back
 *
 * At most BATCHES_MAX batches are filled or on the pool; above that the peer gets
 * no credit. When all are back the layer is saved (layers_make.h). */
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "base/clock.h"
#include "obs/metrics.h"
#include "rpc/layers_make.h"
#include "rpc/tensor_call.h"

enum { BATCHES_MAX = 16, BATCH_ELEMENTS = TILE_ELEMENTS_MAX };

struct load;

struct batch { /* of rows */
    struct job job;
    struct load *load;
    struct block in; /* latents, then scratch for codes */
    uint64_t first, rows;
    struct ternary_counts counts;
    struct failure failure;
};

struct load {
    struct making making; /* first */
    struct call *call;
    struct layer_spec spec;
    struct wire_tensor weight;
    bool weight_seen;
    struct bulk bias;
    struct batch *filling; /* NULL = none */
    size_t filled;
    uint64_t received, expected, next_row;
    uint32_t in_flight;      /* submitted and not yet back */
    bool complete;           /* the request is whole */
    struct wire_chunk chunk; /* of a stream: the one that comes */
    bool chunk_seen;         /* in this message */
    uint32_t crc;            /* of its data so far */
    uint64_t non_finite, first_non_finite;
};

/* ---- batches ----------------------------------------------------------------------- */

static uint64_t row_bytes(const struct load *load)
{
    return load->spec.in_features * dtype_bytes((enum trit_dtype)load->weight.dtype);
}

static uint64_t batch_rows(const struct load *load)
{
    uint64_t rows = BATCH_ELEMENTS / load->spec.in_features;
    uint64_t left = load->spec.out_features - load->next_row;

    rows = rows ? rows : 1;
    return rows < left ? rows : left;
}

static void batch_free(struct load *load, struct batch *batch)
{
    if (!batch)
        return;
    blocks_put(load->call->rpc->config.blocks, &batch->in);
    free(batch);
}

static uint64_t align_up(uint64_t bytes)
{
    return (bytes + 63) & ~(uint64_t)63;
}

static struct batch *batch_create(struct load *load)
{
    struct batch *batch = calloc(1, sizeof(*batch));
    uint64_t rows = batch_rows(load);

    if (!batch)
        return NULL;
    if (blocks_get(load->call->rpc->config.blocks,
                   (size_t)(align_up(rows * row_bytes(load)) +
                            making_code_bytes(&load->spec, rows)),
                   &batch->in) < 0) {
        free(batch);
        return NULL;
    }
    batch->load = load;
    batch->first = load->next_row;
    batch->rows = rows;
    load->next_row += rows;
    return batch;
}

static void batch_worked(struct job *job)
{
    struct batch *batch = LIST_OWNER(job, struct batch, job);
    struct load *load = batch->load;
    struct metrics *metrics = load->call->rpc->config.metrics;
    uint64_t bytes = batch->rows * row_bytes(load), begin_ns = clock_monotonic_ns();

    making_rows(load->call->rpc->config.kernels, load->making.layer,
                (enum trit_dtype)load->weight.dtype, batch->in.bytes, batch->first,
                batch->rows, batch->in.bytes + align_up(bytes), &batch->counts);
    if (load->making.latents.layers)
        (void)latents_write(&load->making.latents, batch->first * row_bytes(load),
                            batch->in.bytes, (size_t)bytes, &batch->failure);
    metric_add(metrics, M_ELEMENTS, batch->rows * load->spec.in_features);
    metric_add(metrics, M_LAYER_NS, clock_monotonic_ns() - begin_ns);
}

static int all_in(struct load *load)
{
    struct call *call = load->call;

    if (load->non_finite) {
        metric_add(call->rpc->config.metrics, M_NON_FINITE, 1);
        return fail(
            &call->failure, TRIT_INVALID_ARGUMENT, "weight.data",
            "weight.data: %llu values are NaN or infinite, the first at index %llu",
            (unsigned long long)load->non_finite,
            (unsigned long long)load->first_non_finite);
    }
    load->making.latents_bytes = load->expected;
    return making_save(&load->making, call);
}

static void count(struct load *load, const struct batch *batch)
{
    uint64_t first =
        batch->first * load->spec.in_features + batch->counts.first_non_finite;

    load->non_finite += batch->counts.non_finite;
    if (batch->counts.non_finite && first < load->first_non_finite)
        load->first_non_finite = first;
}

static void batch_worked_cb(struct job *job)
{
    struct batch *batch = LIST_OWNER(job, struct batch, job);
    struct load *load = batch->load;
    struct call *call = load->call;

    if (!job->skipped)
        count(load, batch);
    if (--load->in_flight < BATCHES_MAX)
        call_throttle(call, THROTTLE_TILES, false);
    if (call->state == CALL_RECEIVING || call->state == CALL_WORKING) {
        if (batch->failure.status != TRIT_OK) {
            call->failure = batch->failure;
            call_end(call);
        } else if (load->complete && load->in_flight == 0 && all_in(load) < 0) {
            call_end(call);
        }
    }
    batch_free(load, batch);
    call_release(call);
}

static void submit(struct load *load)
{
    struct batch *batch = load->filling;
    struct call *call = load->call;

    load->filling = NULL;
    load->filled = 0;
    if (++load->in_flight >= BATCHES_MAX)
        call_throttle(call, THROTTLE_TILES, true);
    call_hold(call);
    batch->job = (struct job){
        .run = batch_worked, .done = batch_worked_cb, .cancelled = &call->cancelled};
    pool_submit(call->rpc->config.pool, &batch->job);
}

static int feed(struct load *load, const uint8_t *bytes, size_t bytes_count)
{
    if (load->making.latents.layers)
        load->making.latents_crc = crc32c(load->making.latents_crc, bytes, bytes_count);
    metric_add(load->call->rpc->config.metrics, M_TENSOR_IN_BYTES, bytes_count);
    load->received += bytes_count;
    while (bytes_count > 0) {
        size_t part;

        if (!load->filling)
            load->filling = batch_create(load);
        if (!load->filling)
            return memory_spent(load->call);
        part = (size_t)(load->filling->rows * row_bytes(load)) - load->filled;
        part = part < bytes_count ? part : bytes_count;
        memcpy(load->filling->in.bytes + load->filled, bytes, part);
        load->filled += part;
        bytes += part;
        bytes_count -= part;
        if (load->filled == load->filling->rows * row_bytes(load))
            submit(load);
    }
    return 0;
}

/* ---- the request --------------------------------------------------------------------
 */

static void begin(struct call *call)
{
    struct load *load = call->method_state;

    load->call = call;
    load->first_non_finite = UINT64_MAX;
}

static int check_weight(struct call *call, const struct load *load)
{
    const struct wire_tensor *weight = &load->weight;

    if (check_dtype(call, "weight.dtype", weight->dtype) < 0)
        return -1;
    if (weight->rank != 2 || weight->shape[0] != load->spec.out_features ||
        weight->shape[1] != load->spec.in_features)
        return fail(&call->failure, TRIT_INVALID_ARGUMENT, "weight.shape",
                    "weight.shape: rank %u, [%llu, %llu], but the spec has [%llu, %llu]",
                    (unsigned)weight->rank,
                    (unsigned long long)(weight->rank > 0 ? weight->shape[0] : 0),
                    (unsigned long long)(weight->rank > 1 ? weight->shape[1] : 0),
                    (unsigned long long)load->spec.out_features,
                    (unsigned long long)load->spec.in_features);
    return 0;
}

/* The layer is made; where its latents are to be kept, they get a file. */
static int reserve(struct call *call, struct load *load)
{
    struct layers *layers = call->rpc->config.layers;

    if (load->spec.keep_latents && !layers_durable(layers))
        return fail(&call->failure, TRIT_FAILED_PRECONDITION, "spec.keep_latents",
                    "spec.keep_latents: needs a daemon with --data-dir");
    if (layers_reserve(layers, &load->spec, &load->making.layer, &call->failure) < 0)
        return -1;
    if (!load->spec.keep_latents)
        return 0;
    load->making.layer->latents = LATENTS_KEPT;
    load->making.layer->latents_dtype = (enum trit_dtype)load->weight.dtype;
    return latents_create(&load->making.latents, layers, &call->failure);
}

/* Spec and weight are known by name and shape, the weight's bytes have not come. */
static int start(struct call *call, struct load *load, const struct wire_layer_spec *wire)
{
    load->spec = spec_of_wire(wire);
    if (layer_spec_check(&load->spec, call->rpc->config.metrics, &call->failure) < 0 ||
        check_weight(call, load) < 0)
        return -1;
    load->expected = load->spec.out_features * row_bytes(load);
    return reserve(call, load);
}

static int weight_begin(struct call *call, uint64_t length)
{
    struct load *load = call->method_state;
    struct wire_layer_spec wire;
    char error[CODEC_ERROR_BYTES];

    if (load->weight_seen)
        return fail(&call->failure, TRIT_INVALID_ARGUMENT, "weight.data",
                    "weight.data: given twice");
    load->weight_seen = true;
    if (decode_layer_load(&call->scan.parts[PART_ROOT], &wire, error) < 0)
        return decode_failed(call, "", error);
    if (decode_tensor(&call->scan.parts[PART_TENSOR], &load->weight, error) < 0)
        return decode_failed(call, "weight.", error);
    if (start(call, load, &wire) < 0)
        return -1;
    if (length != load->expected)
        return fail(&call->failure, TRIT_INVALID_ARGUMENT, "weight.data",
                    "weight.data: %llu bytes, but the shape needs %llu",
                    (unsigned long long)length, (unsigned long long)load->expected);
    return 0;
}

static int blob_begin(struct call *call, uint32_t blob, uint64_t length)
{
    struct load *load = call->method_state;

    return blob == BLOB_DATA ? weight_begin(call, length)
                             : bulk_begin(&load->bias, call, "bias.data");
}

static int blob_bytes(struct call *call, uint32_t blob, const uint8_t *bytes,
                      size_t bytes_count)
{
    struct load *load = call->method_state;

    return blob == BLOB_DATA ? feed(load, bytes, bytes_count)
                             : bulk_put(&load->bias, call, bytes, bytes_count);
}

static int blob_end(struct call *call, uint32_t blob)
{
    (void)call, (void)blob;
    return 0;
}

static int take_bias(struct call *call, struct load *load)
{
    struct operand bias = {.data = load->bias};

    if (!load->spec.bias) {
        if (load->bias.seen || call->scan.parts[PART_REFERENCE].seen)
            return fail(&call->failure, TRIT_INVALID_ARGUMENT, "bias",
                        "bias: given, but spec.bias is not set");
        return 0;
    }
    if (!load->bias.seen)
        return fail(&call->failure, TRIT_INVALID_ARGUMENT, "bias",
                    "bias: missing, and spec.bias is set");
    if (operand_decode(&bias, call, "bias.", &call->scan.parts[PART_REFERENCE]) < 0 ||
        operand_check(&bias, call, load->spec.out_features) < 0)
        return -1;
    if (bias.tensor.rank != 1)
        return fail(&call->failure, TRIT_INVALID_ARGUMENT, "bias.shape",
                    "bias.shape: rank %u is not 1", (unsigned)bias.tensor.rank);
    widen((enum trit_dtype)bias.tensor.dtype, bias.data.bytes, load->spec.out_features,
          load->making.layer->bias);
    return 0;
}

static int message(struct call *call)
{
    struct load *load = call->method_state;

    if (!load->weight_seen && weight_begin(call, 0) < 0)
        return -1;
    return take_bias(call, load);
}

static int request(struct call *call)
{
    struct load *load = call->method_state;

    load->complete = true;
    return load->in_flight == 0 ? all_in(load) : 0;
}

static void fini(struct call *call)
{
    struct load *load = call->method_state;

    batch_free(load, load->filling);
    bulk_fini(&load->bias, call);
    making_fini(&load->making, call);
}

const struct method method_layers_load = {
    .path = "/trit.v1.Layers/Load",
    .scan = scan_layer_tensors,
    .state_bytes = sizeof(struct load),
    .begin = begin,
    .blob_begin = blob_begin,
    .blob_bytes = blob_bytes,
    .blob_end = blob_end,
    .message = message,
    .request = request,
    .cancel = making_cancel,
    .fini = fini,
};

/* ---- the same in a stream ---------------------------------------------------------- */

static int chunk_begin(struct call *call, uint64_t length)
{
    struct load *load = call->method_state;
    char error[CODEC_ERROR_BYTES];

    if (!load->making.layer)
        return fail(&call->failure, TRIT_INVALID_ARGUMENT, "start",
                    "start: must be the first message, before any chunk");
    if (load->chunk_seen)
        return fail(&call->failure, TRIT_INVALID_ARGUMENT, "chunk",
                    "chunk: given twice in a message");
    if (decode_chunk(&call->scan.parts[PART_CHUNK], &load->chunk, error) < 0)
        return decode_failed(call, "chunk.", error);
    load->chunk_seen = true;
    load->crc = 0;
    if (load->chunk.offset != load->received)
        return fail(&call->failure, TRIT_INVALID_ARGUMENT, "chunk.offset",
                    "chunk.offset: %llu, but the next byte is %llu",
                    (unsigned long long)load->chunk.offset,
                    (unsigned long long)load->received);
    if (length > CHUNK_BYTES_MAX) {
        metric_limit(call->rpc->config.metrics, L_CHUNK);
        return fail(&call->failure, TRIT_INVALID_ARGUMENT, "chunk.data",
                    "chunk.data: %llu bytes, the limit is %u", (unsigned long long)length,
                    (unsigned)CHUNK_BYTES_MAX);
    }
    if (length > load->expected - load->received)
        return fail(&call->failure, TRIT_INVALID_ARGUMENT, "chunk.data",
                    "chunk.data: %llu bytes at offset %llu go beyond the weight's %llu",
                    (unsigned long long)length, (unsigned long long)load->received,
                    (unsigned long long)load->expected);
    return 0;
}

static int stream_blob_begin(struct call *call, uint32_t blob, uint64_t length)
{
    struct load *load = call->method_state;

    return blob == BLOB_DATA ? chunk_begin(call, length)
                             : bulk_begin(&load->bias, call, "start.bias.data");
}

static int stream_blob_bytes(struct call *call, uint32_t blob, const uint8_t *bytes,
                             size_t bytes_count)
{
    struct load *load = call->method_state;

    if (blob == BLOB_DATA && load->chunk.has_crc32c)
        load->crc = crc32c(load->crc, bytes, bytes_count);
    return blob_bytes(call, blob, bytes, bytes_count);
}

static int stream_blob_end(struct call *call, uint32_t blob)
{
    struct load *load = call->method_state;

    if (blob != BLOB_DATA || !load->chunk.has_crc32c || load->chunk.crc32c == load->crc)
        return 0;
    return fail(&call->failure, TRIT_DATA_LOSS, "chunk.crc32c",
                "chunk.crc32c: 0x%08x, but the bytes at offset %llu have 0x%08x",
                (unsigned)load->chunk.crc32c, (unsigned long long)load->chunk.offset,
                (unsigned)load->crc);
}

static int stream_start(struct call *call)
{
    struct load *load = call->method_state;
    struct wire_layer_spec wire;
    char error[CODEC_ERROR_BYTES];
    uint32_t dtype;

    if (load->making.layer)
        return fail(&call->failure, TRIT_INVALID_ARGUMENT, "start", "start: sent twice");
    if (decode_layer_load_start(&call->scan.parts[PART_START], &wire, &dtype, error) < 0)
        return decode_failed(call, "start.", error);
    load->weight = (struct wire_tensor){
        .dtype = dtype, .rank = 2, .shape = {wire.out_features, wire.in_features}};
    if (start(call, load, &wire) < 0)
        return -1;
    return take_bias(call, load);
}

static int stream_message(struct call *call)
{
    struct load *load = call->method_state;
    const struct scan_part *parts = call->scan.parts;
    bool chunk_seen = load->chunk_seen;

    load->chunk_seen = false;
    if (parts[PART_START].seen && !chunk_seen)
        return stream_start(call);
    if (parts[PART_CHUNK].seen && !parts[PART_START].seen) {
        int result = chunk_seen ? 0 : chunk_begin(call, 0);

        load->chunk_seen = false;
        return result;
    }
    return fail(&call->failure, TRIT_INVALID_ARGUMENT, "message",
                "message: number %u is neither start nor chunk",
                (unsigned)call->messages);
}

static int stream_request(struct call *call)
{
    struct load *load = call->method_state;

    if (!load->making.layer)
        return fail(&call->failure, TRIT_INVALID_ARGUMENT, "start",
                    "start: the stream ended without it");
    if (load->received != load->expected)
        return fail(&call->failure, TRIT_INVALID_ARGUMENT, "chunk.data",
                    "chunk.data: the stream ended after %llu of %llu bytes",
                    (unsigned long long)load->received,
                    (unsigned long long)load->expected);
    return request(call);
}

const struct method method_layers_load_stream = {
    .path = "/trit.v1.Layers/LoadStream",
    .streaming = true,
    .scan = scan_layer_load_stream,
    .state_bytes = sizeof(struct load),
    .begin = begin,
    .blob_begin = stream_blob_begin,
    .blob_bytes = stream_blob_bytes,
    .blob_end = stream_blob_end,
    .message = stream_message,
    .request = stream_request,
    .cancel = making_cancel,
    .fini = fini,
};
