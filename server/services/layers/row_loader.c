/* SPDX-License-Identifier: Apache-2.0 */
#include "services/layers/row_loader.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/number.h"
#include "obs/metrics.h"
#include "services/admission.h"
#include "services/call_job.h"
#include "services/ternary/tensor_call.h"

enum {
    BATCHES_MAX = 16,
    ROWS_UNITS_FIRST = TILE_ELEMENTS_MAX, /* a batch, about */
};

struct batch { /* of rows */
    struct call_job job;
    struct rows *rows;
    struct block in; /* latents, then scratch for codes */
    uint64_t first, count;
    struct ternary_counts counts;
    struct failure failure;
};

static const struct layer_spec *spec_of(const struct rows *rows)
{
    return &rows->build->layer->spec;
}

static uint64_t row_bytes(const struct rows *rows)
{
    return spec_of(rows)->in_features * dtype_bytes(rows->dtype);
}

/* ---- batches ----------------------------------------------------------------------- */

static void batch_free(struct rows *rows, struct batch *batch)
{
    if (!batch)
        return;
    blocks_put(services_of(rows->call)->config.blocks, &batch->in);
    free(batch);
}

static struct batch *batch_create(struct rows *rows)
{
    struct batch *batch = calloc(1, sizeof(*batch));
    uint64_t count = tile_rows(spec_of(rows)->out_features - rows->next_row,
                               spec_of(rows)->in_features);

    if (!batch)
        return NULL;
    if (call_block(rows->call,
                   (size_t)(scratch_align((size_t)(count * row_bytes(rows))) +
                            layer_code_bytes(spec_of(rows), count)),
                   &batch->in) < 0) {
        free(batch);
        return NULL;
    }
    batch->rows = rows;
    batch->first = rows->next_row;
    batch->count = count;
    rows->next_row += count;
    return batch;
}

static void batch_worked(struct call_job *job)
{
    struct batch *batch = LIST_OWNER(job, struct batch, job);
    struct rows *rows = batch->rows;
    struct layer_build *build = rows->build;
    struct metrics *metrics = rows->call->config->metrics;
    uint64_t bytes = batch->count * row_bytes(rows), begin_ns = clock_monotonic_ns();

    layer_build_rows(services_of(rows->call)->config.kernels, build->layer, rows->dtype,
                     batch->in.bytes, batch->first, batch->count,
                     batch->in.bytes + scratch_align((size_t)bytes), &batch->counts);
    if (build->latents.layers)
        (void)latents_write(&build->latents, batch->first * row_bytes(rows),
                            batch->in.bytes, (size_t)bytes, &batch->failure);
    metric_add(metrics, M_ELEMENTS, batch->count * spec_of(rows)->in_features);
    metric_add(metrics, M_LAYER_NS, clock_monotonic_ns() - begin_ns);
}

/* ---- batches come back ------------------------------------------------------------- */

static int all_in(struct rows *rows)
{
    struct call *call = rows->call;

    if (rows->non_finite) {
        metric_add(call->config->metrics, M_NON_FINITE, 1);
        return fail_field(&call->failure, TRIT_INVALID_ARGUMENT, "weight.data",
                          "%" PRIu64
                          " values are NaN or infinite, the first at index %" PRIu64,
                          rows->non_finite, rows->first_non_finite);
    }
    rows->build->latents_bytes = rows->expected;
    return layer_build_save(rows->build, call);
}

static void count(struct rows *rows, const struct batch *batch)
{
    uint64_t first =
        batch->first * spec_of(rows)->in_features + batch->counts.first_non_finite;

    rows->non_finite += batch->counts.non_finite;
    if (batch->counts.non_finite && first < rows->first_non_finite)
        rows->first_non_finite = first;
}

static void batch_worked_cb(struct call_job *job)
{
    struct batch *batch = LIST_OWNER(job, struct batch, job);
    struct rows *rows = batch->rows;
    struct call *call = rows->call;

    if (!job->job.skipped)
        count(rows, batch);
    if (--rows->in_flight < BATCHES_MAX)
        call_throttle(call, THROTTLE_TILES, false);
    if (call->state == CALL_RECEIVING || call->state == CALL_WORKING) {
        if (batch->failure.status != TRIT_OK) {
            call->failure = batch->failure;
            call_end(call);
        } else if (rows->complete && rows->in_flight == 0 && all_in(rows) < 0) {
            call_end(call);
        }
    }
    batch_free(rows, batch);
}

static void submit(struct rows *rows)
{
    struct batch *batch = rows->filling;
    struct call *call = rows->call;

    rows->filling = NULL;
    rows->filled = 0;
    if (++rows->in_flight >= BATCHES_MAX)
        call_throttle(call, THROTTLE_TILES, true);
    batch->job =
        (struct call_job){.call = call, .run = batch_worked, .done = batch_worked_cb};
    call_submit(&batch->job, services_of(call)->config.pool,
                batch->count * spec_of(rows)->in_features);
}

/* ---- bytes come -------------------------------------------------------------------- */

void rows_init(struct rows *rows, struct call *call, struct layer_build *build,
               enum trit_dtype dtype)
{
    *rows = (struct rows){
        .call = call, .build = build, .dtype = dtype, .first_non_finite = UINT64_MAX};
    rows->expected = spec_of(rows)->out_features * row_bytes(rows);
}

int rows_feed(struct rows *rows, const uint8_t *bytes, size_t bytes_count)
{
    struct layer_build *build = rows->build;

    if (build->latents.layers)
        build->latents_crc = crc32c(build->latents_crc, bytes, bytes_count);
    metric_add(rows->call->config->metrics, M_TENSOR_IN_BYTES, bytes_count);
    rows->received += bytes_count;
    while (bytes_count > 0) {
        size_t part;

        if (!rows->filling && call_admit(rows->call, ROWS_UNITS_FIRST) < 0)
            return -1;
        if (!rows->filling)
            rows->filling = batch_create(rows);
        if (!rows->filling)
            return memory_spent(rows->call);
        part = (size_t)(rows->filling->count * row_bytes(rows)) - rows->filled;
        part = part < bytes_count ? part : bytes_count;
        memcpy(rows->filling->in.bytes + rows->filled, bytes, part);
        rows->filled += part;
        bytes += part;
        bytes_count -= part;
        if (rows->filled == rows->filling->count * row_bytes(rows))
            submit(rows);
    }
    return 0;
}

int rows_complete(struct rows *rows)
{
    rows->complete = true;
    return rows->in_flight == 0 ? all_in(rows) : 0;
}

void rows_fini(struct rows *rows)
{
    batch_free(rows, rows->filling);
    rows->filling = NULL;
}
