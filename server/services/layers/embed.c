/* SPDX-License-Identifier: Apache-2.0 */
/* Layers.Embed: rows of an embedding by id. */
#include <inttypes.h>
#include <string.h>

#include "base/checked.h"
#include "obs/metrics.h"
#include "services/layers/call.h"
#include "services/layers/parallel.h"
#include "services/ternary/tensor_call.h"

/* An id is a varint of up to five bytes. */
enum { ID_BYTES_MAX = 5 };

struct embed {
    char name[TRIT_NAME_BYTES_MAX + 1];
    struct layer *layer;
    struct bulk ids; /* u32 each */
    uint64_t id;     /* the one being read */
    uint32_t id_bytes;
    struct result rows;
    struct parallel_for pieces;
    uint64_t ids_at_once;
};

static int blob_begin(struct call *call, uint32_t blob, uint64_t length)
{
    (void)call, (void)blob, (void)length; /* a packed field may come in several parts */
    return 0;
}

static int put_id(struct call *call, struct embed *embed)
{
    uint32_t id = (uint32_t)embed->id;

    if (embed->id > UINT32_MAX)
        return fail_field(&call->failure, TRIT_INVALID_ARGUMENT, "ids",
                          "%" PRIu64 " (at index %zu) is not a uint32", embed->id,
                          embed->ids.count / sizeof(id));
    embed->id = 0;
    embed->id_bytes = 0;
    return bulk_put(&embed->ids, call, (const uint8_t *)&id, sizeof(id));
}

static int blob_bytes(struct call *call, uint32_t blob, const uint8_t *bytes,
                      size_t count)
{
    struct embed *embed = call->method_state;

    (void)blob;
    for (size_t i = 0; i < count; i++) {
        if (embed->id_bytes == ID_BYTES_MAX)
            return fail_field(&call->failure, TRIT_INVALID_ARGUMENT, "ids",
                              "the varint at index %zu is not a uint32",
                              embed->ids.count / sizeof(uint32_t));
        embed->id |= (uint64_t)(bytes[i] & 0x7f) << (7 * embed->id_bytes++);
        if (!(bytes[i] & 0x80) && put_id(call, embed) < 0)
            return -1;
    }
    return 0;
}

static int blob_end(struct call *call, uint32_t blob)
{
    struct embed *embed = call->method_state;

    (void)blob;
    if (embed->id_bytes)
        return fail_field(&call->failure, TRIT_INVALID_ARGUMENT, "ids",
                          "the field ends inside an id");
    return 0;
}

static int message(struct call *call)
{
    struct embed *embed = call->method_state;
    char error[CODEC_ERROR_BYTES];

    if (decode_layer_name(&call->scan.parts[PART_ROOT], embed->name, error) < 0)
        return decode_failed(call, "", error);
    if (layer_loose_ids(&call->scan.parts[PART_ROOT]))
        return fail_field(&call->failure, TRIT_INVALID_ARGUMENT, "ids",
                          "must be packed, as proto3 does");
    return 0;
}

static int rows_run(struct call *call, uint64_t piece, struct worker *worker)
{
    struct embed *embed = call->method_state;
    uint64_t columns = embed->layer->spec.in_features;
    uint64_t count = embed->ids.count / sizeof(uint32_t);
    uint64_t first = piece * embed->ids_at_once;
    uint64_t end = first + piece_length(count, first, embed->ids_at_once);

    (void)worker;
    for (uint64_t i = first; i < end; i++) {
        uint32_t id;

        memcpy(&id, embed->ids.block.bytes + i * sizeof(id), sizeof(id));
        linear_rows(services_of(call)->config.kernels, &embed->layer->matrix, id, 1,
                    result_values(&embed->rows) + i * columns);
    }
    return 0;
}

static void done(struct call *call)
{
    struct embed *embed = call->method_state;
    struct result *results[] = {&embed->rows};

    metric_add(call->config->metrics, M_EMBEDDED_ROWS, embed->rows.tensor.shape[0]);
    if (call->state == CALL_WORKING)
        reply_tensors(call, NULL, results, 1, 1);
}

static int check_ids(struct call *call, const struct embed *embed)
{
    uint64_t count = embed->ids.count / sizeof(uint32_t);

    if (count == 0)
        return fail_field(&call->failure, TRIT_INVALID_ARGUMENT, "ids", "none");
    for (uint64_t i = 0; i < count; i++) {
        uint32_t id;

        memcpy(&id, embed->ids.block.bytes + i * sizeof(id), sizeof(id));
        if (id >= embed->layer->spec.out_features)
            return fail_field(&call->failure, TRIT_INVALID_ARGUMENT, "ids",
                              "%u (at index %" PRIu64
                              ") is out of range, the layer has %" PRIu64 " rows",
                              (unsigned)id, i, embed->layer->spec.out_features);
    }
    return 0;
}

static int request(struct call *call)
{
    struct embed *embed = call->method_state;
    struct parallel_for_spec pieces = {.run = rows_run, .done = done};
    uint64_t count, columns, elements, bytes;

    if (call_layer(call, embed->name, &embed->layer) < 0)
        return -1;
    if (embed->layer->spec.kind != LAYER_EMBEDDING)
        return fail_field(&call->failure, TRIT_FAILED_PRECONDITION, "name",
                          "\"%s\" is a linear layer", embed->name);
    if (check_ids(call, embed) < 0)
        return -1;
    count = embed->ids.count / sizeof(uint32_t);
    columns = embed->layer->spec.in_features;
    if (mul_overflows(count, columns, &elements) ||
        mul_overflows(elements, sizeof(float), &bytes))
        bytes = UINT64_MAX;
    if (check_reply_bytes(call, "ids", bytes) < 0 ||
        result_prepare(&embed->rows, call, elements) < 0)
        return -1;
    embed->rows.tensor =
        (struct wire_tensor){.dtype = TRIT_F32, .rank = 2, .shape = {count, columns}};
    embed->ids_at_once = tile_rows(count, columns);
    pieces.count = div_up(count, embed->ids_at_once);
    pieces.cost = elements;
    return parallel_for_start(&embed->pieces, call, &pieces);
}

static void fini(struct call *call)
{
    struct embed *embed = call->method_state;

    parallel_for_fini(&embed->pieces, call);
    bulk_fini(&embed->ids, call);
    result_fini(&embed->rows, call);
    layer_release(embed->layer);
}

const struct method method_layers_embed = {
    .path = "/trit.v1.Layers/Embed",
    .scan = scan_layer_ids,
    .state_bytes = sizeof(struct embed),
    .blob_begin = blob_begin,
    .blob_bytes = blob_bytes,
    .blob_end = blob_end,
    .message = message,
    .request = request,
    .fini = fini,
};
