/* SPDX-License-Identifier: Apache-2.0 */
/* Layers.Verify: checks that the layers in memory are ternary. Its report of a layer says
 * what Ternary.Verify would say of the layer's ternary weights, with the same digest. A
 * piece is a layer; its rows are unpacked and verified some at a time, in order. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/account.h"
#include "base/clock.h"
#include "base/number.h"
#include "obs/metrics.h"
#include "services/layers/build.h"
#include "services/layers/call.h"
#include "services/ternary/report.h"
#include "services/ternary/tensor_call.h"
#include "services/ternary/tile_compute.h"

static const float tolerance_default = 1e-5F;

struct verified {
    struct layer *layer; /* held */
    struct task task;
    uint64_t rows; /* verified at a time */
    size_t report_bytes;
    uint8_t report[REPORT_BYTES_MAX + 16]; /* an entry of the reply */
};

struct verification {
    struct wire_layer_verify wire;
    struct parallel_for pieces;
    struct block block;
    struct verified *layers; /* in the block */
    uint64_t count;
};

static int message(struct call *call)
{
    struct verification *state = call->method_state;
    struct wire_layer_verify *wire = &state->wire;
    char error[CODEC_ERROR_BYTES];

    if (decode_layer_verify(&call->scan.parts[PART_ROOT], wire, error) < 0)
        return decode_failed(call, "", error);
    if (wire->has_tolerance && !(wire->tolerance >= 0 && wire->tolerance < 0.5F))
        return fail_field(&call->failure, TRIT_INVALID_ARGUMENT, "tolerance",
                          "%g is not in [0, 0.5)", (double)wire->tolerance);
    return 0;
}

/* ---- a layer ----------------------------------------------------------------------- */

/* The scratch memory holds dense rows, their scales, a flag and a hash for each group
 * that is not exact, and their codes. */
static size_t scratch_bytes(const struct verified *verified)
{
    const struct plan *plan = &verified->task.plan;
    size_t rows = (size_t)verified->rows, groups = rows * (size_t)plan->groups_per_row;

    return scratch_align(rows * (size_t)plan->row_len * sizeof(float)) +
           scratch_align(groups * sizeof(float)) + scratch_align(groups) +
           scratch_align(groups * TILE_HASH_BYTES) +
           (size_t)layer_code_bytes(&verified->layer->spec, rows);
}

/* Rows [first, first + rows) as a tile. It need not be a tile of the plan. */
static void rows_tile(const struct verified *verified, uint64_t first, uint64_t rows,
                      uint8_t *scratch, struct tile *tile)
{
    const struct plan *plan = &verified->task.plan;
    size_t dense =
        scratch_align((size_t)(verified->rows * plan->row_len) * sizeof(float));
    size_t groups = (size_t)(verified->rows * plan->groups_per_row);
    uint8_t *scales = scratch + dense;
    uint8_t *inexact = scales + scratch_align(groups * sizeof(float));
    uint8_t *hashes = inexact + scratch_align(groups);

    *tile = (struct tile){
        .span = {.first_group = first * plan->groups_per_row,
                 .groups = rows * plan->groups_per_row,
                 .first_element = first * plan->row_len,
                 .elements = rows * plan->row_len,
                 .code_bytes = layer_code_bytes(&verified->layer->spec, rows)},
        .in = {.bytes = scratch},
        .scales = (float *)(void *)scales,
        .codes = hashes + scratch_align(groups * TILE_HASH_BYTES),
        .inexact = inexact,
        .inexact_hashes = (uint8_t(*)[TILE_HASH_BYTES])hashes,
    };
    tile_results_init(tile);
}

static void keep_report(struct call *call, struct verified *verified, struct merge *merge)
{
    struct trit_report report = {.time_unix_ns = clock_unix_ns()};

    report_of_merge(&report, merge, &verified->task);
    memcpy(report.layer, verified->layer->spec.name, sizeof(report.layer));
    snprintf(report.version, sizeof(report.version), "%s",
             services_of(call)->config.version);
    if (!report.is_ternary)
        metric_add(call->config->metrics, M_NOT_TERNARY, 1);
    verified->report_bytes =
        encode_report_entry(&report, verified->report, sizeof(verified->report));
}

static int verify_run(struct call *call, uint64_t piece, struct worker *worker)
{
    struct verification *state = call->method_state;
    struct verified *verified = &state->layers[piece];
    const struct plan *plan = &verified->task.plan;
    struct merge merge;
    struct tile tile;

    if (merge_init(&merge, true, &worker->failure) < 0)
        return -1;
    for (uint64_t first = 0; first < plan->rows; first += verified->rows) {
        uint64_t rows = piece_length(plan->rows, first, verified->rows);

        if (atomic_load_explicit(&call->cancelled, memory_order_relaxed))
            break;
        rows_tile(verified, first, rows, worker->scratch, &tile);
        linear_rows(verified->task.kernels, &verified->layer->matrix, first, rows,
                    (float *)(void *)worker->scratch);
        tile_compute(&tile, &verified->task);
        if (tile.hash_failed) {
            merge_fini(&merge);
            return fail(&worker->failure, TRIT_RESOURCE_EXHAUSTED, NULL,
                        "no memory for a digest");
        }
        metric_add(call->config->metrics, M_ELEMENTS, tile.span.elements);
        merge_tile(&merge, &verified->task, &tile);
    }
    if (merge.groups == plan->groups)
        keep_report(call, verified, &merge);
    merge_fini(&merge);
    return 0;
}

/* ---- the call ---------------------------------------------------------------------- */

static void reply(struct call *call, struct verification *state)
{
    size_t total = 0, at = 0;
    uint8_t *bytes;

    for (uint64_t i = 0; i < state->count; i++)
        total += state->layers[i].report_bytes;
    if (check_reply_bytes(call, "prefix", total) < 0)
        return;
    bytes = account_alloc(call->account, total ? total : 1);
    if (!bytes) {
        memory_spent(call);
        return;
    }
    for (uint64_t i = 0; i < state->count; i++) {
        memcpy(bytes + at, state->layers[i].report, state->layers[i].report_bytes);
        at += state->layers[i].report_bytes;
    }
    call_write_message(call, bytes, total);
    account_free(call->account, bytes);
}

static void done(struct call *call)
{
    struct verification *state = call->method_state;

    if (call->state != CALL_WORKING)
        return;
    if (call->failure.status == TRIT_OK)
        reply(call, state);
    call_end(call);
}

/* Takes over the reference to the layer. */
static int take_layer(struct call *call, struct verified *verified, struct layer *layer)
{
    struct verification *state = call->method_state;
    const struct plan_spec spec = {
        .dtype = TRIT_F32,
        .rank = 2,
        .shape = {layer->spec.out_features, layer->spec.in_features},
        .group_size = layer->spec.group_size,
        .in = TRIT_ENCODING_DENSE,
        .out = TRIT_ENCODING_DENSE,
    };

    verified->layer = layer;
    verified->task = (struct task){
        .op = TASK_VERIFY,
        .kernels = services_of(call)->config.kernels,
        .wants_codes = true,
        .tolerance =
            state->wire.has_tolerance ? state->wire.tolerance : tolerance_default,
    };
    verified->report_bytes = 0;
    verified->rows = tile_rows(layer->spec.out_features, layer->spec.in_features);
    return plan_init(&verified->task.plan, &spec, &call->failure);
}

static uint64_t count_layers(struct layers *layers, const char *prefix)
{
    struct layer *layer = NULL, *before;
    uint64_t count = 0;

    do {
        before = layer;
        layer = layers_next(layers, prefix, before ? before->spec.name : NULL);
        layer_release(before);
        count += layer != NULL;
    } while (layer);
    return count;
}

static int request(struct call *call)
{
    struct verification *state = call->method_state;
    struct layers *layers = services_of(call)->config.layers;
    struct parallel_for_spec pieces = {.run = verify_run, .done = done};
    const uint64_t count = count_layers(layers, state->wire.prefix);
    struct layer *layer = NULL;

    if (call_block(call, (size_t)(count ? count : 1) * sizeof(*state->layers),
                   &state->block) < 0)
        return memory_spent(call);
    state->layers = (struct verified *)(void *)state->block.bytes;
    /* Another loop may add layers meanwhile. */
    while (state->count < count &&
           (layer = layers_next(layers, state->wire.prefix,
                                layer ? layer->spec.name : NULL))) {
        struct verified *verified = &state->layers[state->count++];
        size_t scratch;

        if (take_layer(call, verified, layer) < 0)
            return -1;
        scratch = scratch_bytes(verified);
        pieces.scratch_bytes =
            scratch > pieces.scratch_bytes ? scratch : pieces.scratch_bytes;
        pieces.cost += layer->spec.in_features * layer->spec.out_features * 8;
    }
    pieces.count = state->count;
    return parallel_for_start(&state->pieces, call, &pieces);
}

static void fini(struct call *call)
{
    struct verification *state = call->method_state;

    parallel_for_fini(&state->pieces, call);
    for (uint64_t i = 0; i < state->count; i++)
        layer_release(state->layers[i].layer);
    blocks_put(services_of(call)->config.blocks, &state->block);
}

const struct method method_layers_verify = {
    .path = "/trit.v1.Layers/Verify",
    .scan = scan_plain,
    .state_bytes = sizeof(struct verification),
    .message = message,
    .request = request,
    .fini = fini,
};
