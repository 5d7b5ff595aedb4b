/* SPDX-License-Identifier: Apache-2.0 */
#include "services/admission.h"
#include "services/ternary/pipeline_impl.h"
#include "services/ternary/tile_compute.h"
#include "services/ternary/tile_exact.h"
#include "services/ternary/tile_refuse.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/account.h"
#include "obs/metrics.h"
#include "proto/names.h"

/* pipeline_feed fills a tile and submits it. compute_tiles runs on a worker; then
 * tiles_computed, on the loop, marks the tile DONE and takes every tile whose turn has
 * come. The workers merge tiles (order.h). A merged tile is sent as chunks, held for the
 * reply, or recycled.
 *
 * Failures. No memory for a tile: RESOURCE_EXHAUSTED. The merge refuses a tile's result:
 * INVALID_ARGUMENT. If the call is cancelled, tiles that come back are recycled and
 * nothing more is merged. */

static const struct state_row rows[PIPELINE_STATES] = {
    [PIPELINE_PLANNING] = {"planning", STATE_TO(PIPELINE_FILLING)},
    [PIPELINE_FILLING] = {"filling", STATE_TO(PIPELINE_MERGING)},
    [PIPELINE_MERGING] = {"merging", STATE_TO(PIPELINE_COMPLETE)},
    [PIPELINE_COMPLETE] = {"complete", 0},
};
const struct states pipeline_states = STATES("pipeline", rows);

void pipeline_init(struct pipeline *pipeline, struct call *call,
                   void (*complete)(struct call *call))
{
    pipeline->call = call;
    pipeline->complete = complete;
    list_init(&pipeline->tiles);
    list_init(&pipeline->held);
}

static void on_drained(struct report_write *report_write);

/* ---- before the data ------------------------------------------------------- */

int pipeline_take_scales(struct pipeline *pipeline, const uint8_t *bytes, size_t count)
{
    size_t needed = pipeline->in_scales_count + count;
    uint8_t *grown = account_grow(pipeline->call->account, pipeline->in_scales,
                                  &pipeline->in_scales_capacity, needed, 1);

    if (!grown)
        return memory_spent(pipeline->call);
    pipeline->in_scales = grown;
    memcpy(pipeline->in_scales + pipeline->in_scales_count, bytes, count);
    pipeline->in_scales_count = needed;
    return 0;
}

/* A tensor with one scale, of which not everything is in memory. */
static bool computes_pieces(const struct pipeline *pipeline)
{
    const struct task *task = &pipeline->task;

    if (!task->plan.whole)
        return false;
    return pipeline->emits_chunks || (task->op == TASK_VERIFY && !task->has_reference);
}

/* The latents are still there when their tile is merged: the workers hash them. */
static bool latents_stay(const struct pipeline *pipeline)
{
    return !pipeline->task.in_pieces &&
           (pipeline_latents(pipeline) != &pipeline->tensor ||
            !task_in_place(&pipeline->task));
}

static uint32_t tiles_in_flight(const struct pipeline *pipeline)
{
    const uint32_t wanted =
        TILES_IN_FLIGHT_BASE + TILES_IN_FLIGHT_PER_THREAD *
                                   pool_threads(services_of(pipeline->call)->config.pool);

    return !pipeline->emits_chunks && wanted < TILES_IN_FLIGHT_MAX ? wanted
                                                                   : TILES_IN_FLIGHT_MAX;
}

/* The report is to be filed. */
static int open_report(struct pipeline *pipeline)
{
    struct call *call = pipeline->call;

    if (pipeline_latents(pipeline) && !pipeline->fingerprint &&
        !(pipeline->fingerprint = fingerprint_create()))
        return fail(&call->failure, TRIT_RESOURCE_EXHAUSTED, NULL,
                    "no memory for a hash of the latents");
    if (latents_stay(pipeline))
        pipeline->merge.latents = pipeline->fingerprint;
    pipeline->report_write.drained = on_drained;
    return report_write_open(&pipeline->report_write, &pipeline->task.plan, call);
}

int pipeline_start(struct pipeline *pipeline)
{
    struct call *call = pipeline->call;
    const struct plan *plan = &pipeline->task.plan;

    if (pipeline->in_scales_count != plan->in_scale_bytes)
        return fail_field(&call->failure, TRIT_INVALID_ARGUMENT, "scales",
                          "%zu bytes, but %" PRIu64 " groups need %" PRIu64 " bytes",
                          pipeline->in_scales_count, plan->groups, plan->in_scale_bytes);
    if (merge_init(&pipeline->merge, pipeline->task.wants_codes, &call->failure) < 0)
        return -1;
    order_init(&pipeline->order, plan->tiles);
    pipeline->in_flight_max = tiles_in_flight(pipeline);
    pipeline->task.in_scales = pipeline->in_scales;
    pipeline->task.cancelled = &call->cancelled;
    pipeline->task.in_pieces = computes_pieces(pipeline);
    pipeline->tensor.expected = plan->in_bytes;
    pipeline->reference.expected =
        pipeline->task.has_reference
            ? plan->elements * dtype_bytes(pipeline->task.reference_dtype)
            : 0;
    if (pipeline->report_write.state == REPORT_WRITE_WANTED && open_report(pipeline) < 0)
        return -1;
    state_move(&pipeline_states, &pipeline->state, PIPELINE_FILLING);
    return 0;
}

void pipeline_replan(struct pipeline *pipeline, const struct plan *plan)
{
    pipeline->task.plan = *plan;
    pipeline->tensor.expected = plan->in_bytes;
    for (struct list *node = pipeline->tiles.next; node != &pipeline->tiles;
         node = node->next) {
        struct tile *tile = LIST_OWNER(node, struct tile, link);

        plan_tile(plan, tile->span.index, &tile->span);
    }
}

/* ---- tiles come back from the pool ----------------------------------------------- */

static bool has_report(const struct pipeline *pipeline)
{
    return pipeline->task.op == TASK_TERNARIZE || pipeline->task.op == TASK_VERIFY ||
           pipeline->task.op == TASK_PACK;
}

enum { FILED_BYTES = 1 << 20, FILED_SCALES = 1024 }; /* given to the store at a time */

/* Of a tile that has as much as a whole tensor. */
static bool store_is_behind(const struct pipeline *pipeline, const struct tile *tile)
{
    return pipeline->report_write.waits && tile->filed_bytes > 0;
}

/* Gives codes and scales to the store, if the report is to be filed. False: the store has
 * too much to write; goes on when it has less. */
static bool store_tile(struct pipeline *pipeline, struct tile *tile)
{
    struct report_write *report_write = &pipeline->report_write;
    float held[FILED_SCALES];

    if (!tile->codes || report_write->state != REPORT_WRITE_OPEN)
        return true;
    while (tile->filed_bytes < tile->span.code_bytes) {
        const uint64_t left = tile->span.code_bytes - tile->filed_bytes;
        const size_t count = left < FILED_BYTES ? (size_t)left : FILED_BYTES;

        if (store_is_behind(pipeline, tile))
            return false;
        report_write_codes(report_write, tile->codes + tile->filed_bytes, count);
        tile->filed_bytes += count;
    }
    if (report_write->shard) {
        report_write_groups(report_write, &pipeline->task, tile);
        return true;
    }
    while (tile->filed_groups < tile->span.groups) {
        const size_t count = tile_scales_held(tile, &pipeline->task, tile->filed_groups,
                                              held, FILED_SCALES);

        if (tile->span.code_bytes > FILED_BYTES && store_is_behind(pipeline, tile))
            return false;
        report_write_scales(report_write, held, count);
        tile->filed_groups += count;
    }
    return true;
}

/* The next tile, which is computed, merged and stored. */
static void take_next(struct pipeline *pipeline, struct tile *tile)
{
    struct metrics *metrics = pipeline->call->config->metrics;

    metric_add(metrics, M_TILES, 1);
    metric_add(metrics, M_ELEMENTS, tile->span.elements);
    metric_add(metrics, M_KERNEL_NS, tile->kernel_ns);
    list_remove(&tile->link);
    pipeline->taken++;
    pipeline->non_finite |= tile->counts.non_finite > 0;
    if (pipeline->regions)
        regions_merged(pipeline->regions, tile);
    tile_trim(tile, &pipeline->task, services_of(pipeline->call)->config.blocks);
    if (!pipeline->task.plan.spec.has_out || pipeline->non_finite)
        pipeline_recycle(pipeline, tile);
    else if (pipeline->emits_chunks)
        pipeline_emit(pipeline, tile);
    else
        pipeline_hold(pipeline, tile);
}

/* If a worker is still merging it, that worker's job comes back later and asks again. */
static bool is_ready(const struct pipeline *pipeline, const struct tile *tile)
{
    return tile->state == TILE_DONE &&
           (!has_report(pipeline) ||
            atomic_load_explicit(&tile->merged, memory_order_acquire));
}

static void take_ready(struct pipeline *pipeline)
{
    while (!list_empty(&pipeline->tiles)) {
        struct tile *tile = LIST_OWNER(pipeline->tiles.next, struct tile, link);

        if (!is_ready(pipeline, tile))
            return;
        if (tile_refuse(tile, &pipeline->task, pipeline->tensor.field,
                        &pipeline->call->failure) < 0) {
            list_remove(&tile->link);
            pipeline_recycle(pipeline, tile);
            call_end(pipeline->call);
            return;
        }
        if (!store_tile(pipeline, tile))
            return;
        take_next(pipeline, tile);
    }
    if (pipeline->state != PIPELINE_MERGING ||
        pipeline->taken < pipeline->task.plan.tiles)
        return;
    state_move(&pipeline_states, &pipeline->state, PIPELINE_COMPLETE);
    pipeline->complete(pipeline->call);
}

/* The store takes codes again. */
static void on_drained(struct report_write *report_write)
{
    struct pipeline *pipeline = LIST_OWNER(report_write, struct pipeline, report_write);

    if (!atomic_load(&pipeline->call->cancelled))
        take_ready(pipeline);
}

static void lend_scratch(struct tile *tile, const struct task *task, uint8_t *scratch)
{
    if (tile->borrows_in)
        tile->in.bytes = scratch;
    if (tile->borrows_reference)
        tile->reference.bytes = scratch + SCRATCH_PART_BYTES;
    if (tile->borrows_out)
        tile->out.bytes = scratch + 2 * SCRATCH_PART_BYTES;
    tile_place_out(tile, task);
}

static void take_scratch(struct tile *tile)
{
    if (tile->borrows_in)
        tile->in.bytes = NULL;
    if (tile->borrows_reference)
        tile->reference.bytes = NULL;
    if (tile->borrows_out)
        tile->out.bytes = NULL;
    if (tile->place) /* else the reply needs it */
        tile->out_bytes = NULL;
}

static void compute_tile(struct tile *tile, uint8_t *scratch)
{
    struct pipeline *pipeline = tile->pipeline;

    lend_scratch(tile, &pipeline->task, scratch);
    regions_read(tile);
    tile_compute(tile, &pipeline->task);
    if (tile->place && !task_cancelled(&pipeline->task))
        regions_write(pipeline->regions, tile);
    take_scratch(tile);
    if (has_report(pipeline) && !task_cancelled(&pipeline->task))
        order_take(&pipeline->order, &pipeline->merge, &pipeline->task, tile);
}

static void compute_tiles(struct call_job *job)
{
    const struct task *task = &LIST_OWNER(job, struct tile, job)->pipeline->task;

    for (struct tile *tile = LIST_OWNER(job, struct tile, job); tile; tile = tile->behind)
        if (!task_cancelled(task))
            compute_tile(tile, job->job.scratch);
}

/* Of a cancelled call: all tiles but those that a worker uses, which it has as its job or
 * merges. Their jobs come back to tiles_computed. */
static void recycle_idle(struct pipeline *pipeline)
{
    struct services *services = services_of(pipeline->call);
    const struct tile *current = order_current(&pipeline->order);
    struct list *node = pipeline->tiles.next, *next;

    for (; node != &pipeline->tiles; node = next) {
        struct tile *tile = LIST_OWNER(node, struct tile, link);

        next = node->next;
        if (tile->state == TILE_RUNNING || tile == current)
            continue;
        list_remove(node);
        if (tile->state == TILE_DONE)
            pipeline->in_flight--;
        tiles_put(&services->tiles, tile, services->config.blocks);
    }
}

static void tiles_computed(struct call_job *job)
{
    struct pipeline *pipeline = LIST_OWNER(job, struct tile, job)->pipeline;
    struct call *call = pipeline->call;
    uint64_t count = 0;

    for (struct tile *tile = LIST_OWNER(job, struct tile, job); tile;
         tile = tile->behind, count++)
        state_move(&tile_states, &tile->state, TILE_DONE);
    if (atomic_load(&call->cancelled)) {
        metric_add(call->config->metrics, M_TILES_CANCELLED,
                   job->job.skipped ? count : 0);
        recycle_idle(pipeline);
    } else {
        take_ready(pipeline);
        if (pipeline->room)
            pipeline->room(pipeline);
        if (pipeline->more)
            pipeline->more(pipeline);
    }
}

/* What it takes says little about the cost of an element. */
bool pipeline_is_tiny(const struct pipeline *pipeline)
{
    return pipeline->task.op == TASK_PASS ||
           pipeline->task.plan.in_bytes <= INLINE_TINY_BYTES_MAX;
}

bool pipeline_computes_directly(const struct pipeline *pipeline, uint64_t elements)
{
    const struct call *call = pipeline->call;
    const struct services_config *config = &services_of(call)->config;

    return config->inline_bytes_max > 0 &&
           turns_cost_ns(pool_turns(config->pool), call->method_id, elements) <=
               INLINE_TILE_NS_MAX;
}

/* Too little work for the pool: the tile is in the cache of the loop's core, and to wake a
 * worker and be woken by it takes about as long as the work. */
bool pipeline_computes_here(const struct pipeline *pipeline, uint64_t elements)
{
    const struct services_config *config = &services_of(pipeline->call)->config;

    return pipeline_is_tiny(pipeline) ||
           (pipeline->task.plan.in_bytes <= config->inline_bytes_max &&
            pipeline_computes_directly(pipeline, elements));
}

/* The output of a unary call has its place in the region of the reply. */
static void place_reply(const struct regions *regions, struct tile *tile)
{
    if (regions && regions->has_reply)
        tile->place = regions->reply_bytes + tile->span.out_offset;
}

/* How many tiles a job has: fewer where each thread would not have several jobs. */
static uint64_t bundle_tiles(const struct pipeline *pipeline)
{
    const uint64_t threads = pool_threads(services_of(pipeline->call)->config.pool),
                   by_tensor = pipeline->task.plan.tiles / threads / 8,
                   by_flight = pipeline->in_flight_max / threads / 2;
    const uint64_t count = by_tensor < by_flight ? by_tensor : by_flight;

    return count < BUNDLE_TILES_MAX ? count : BUNDLE_TILES_MAX;
}

void pipeline_submit_bundle(struct pipeline *pipeline)
{
    struct tile *first = pipeline->bundle;
    uint64_t elements = 0;

    pipeline->bundle = pipeline->bundle_end = NULL;
    pipeline->bundle_count = 0;
    for (struct tile *tile = first; tile; tile = tile->behind) {
        state_move(&tile_states, &tile->state, TILE_RUNNING);
        elements += tile->span.elements;
    }
    if (first)
        call_submit(&first->job, services_of(pipeline->call)->config.pool, elements);
}

static void bundle_add(struct pipeline *pipeline, struct tile *tile)
{
    if (pipeline->bundle_end)
        pipeline->bundle_end->behind = tile;
    else
        pipeline->bundle = tile;
    pipeline->bundle_end = tile;
    if (++pipeline->bundle_count >= bundle_tiles(pipeline))
        pipeline_submit_bundle(pipeline);
}

int pipeline_submit(struct pipeline *pipeline, struct tile *tile)
{
    struct call *call = pipeline->call;
    const struct services_config *config = &services_of(call)->config;
    const bool here =
        tile->direct || pipeline_computes_here(pipeline, tile->span.elements);

    if (!here && call_admit(call, tile->span.elements) < 0)
        return -1;
    place_reply(pipeline->regions, tile);
    if (!here && !tile->prepared)
        pipeline_plan_scratch(pipeline, tile);
    if (!tile->prepared &&
        (pipeline_prepare_copies(pipeline, tile) < 0 ||
         (!tile_share(tile, &pipeline->task) &&
          tile_prepare(tile, &pipeline->task, config->blocks, call->account) < 0)))
        return memory_spent(call);
    pipeline->in_flight++;
    pipeline_keep_credit(pipeline);
    if (pipeline->in_flight >= pipeline->in_flight_max)
        call_throttle(call, THROTTLE_TILES, true);
    tile->behind = NULL;
    tile->job = (struct call_job){.call = call,
                                  .run = compute_tiles,
                                  .done = tiles_computed,
                                  .spent_ns = tile->direct_ns};
    if (!here && tile->in_source && pipeline->regions->taking) {
        bundle_add(pipeline, tile);
        return 0;
    }
    state_move(&tile_states, &tile->state, TILE_RUNNING);
    if (here)
        call_submit_inline(&tile->job, config->pool,
                           pipeline_is_tiny(pipeline) ? 0 : tile->span.elements);
    else
        call_submit(&tile->job, config->pool, tile->span.elements);
    return 0;
}

void pipeline_request_done(struct pipeline *pipeline)
{
    state_move(&pipeline_states, &pipeline->state, PIPELINE_MERGING);
    take_ready(pipeline);
}

/* ---- the end ------------------------------------------------------------------- */

void pipeline_cancel(struct pipeline *pipeline)
{
    struct services *services = services_of(pipeline->call);
    struct list *node;

    order_stop(&pipeline->order);
    recycle_idle(pipeline);
    while ((node = list_pop(&pipeline->held)))
        tiles_put(&services->tiles, LIST_OWNER(node, struct tile, link),
                  services->config.blocks);
    pipeline->tensor.tile = pipeline->reference.tile = NULL;
    pipeline->bundle = pipeline->bundle_end = NULL;
    if (pipeline->regions)
        regions_stop(pipeline->regions);
    if (pipeline->more)
        timer_disarm(pipeline->call->config->timers, &pipeline->more_soon);
    report_write_drop(&pipeline->report_write);
}

void pipeline_fini(struct pipeline *pipeline)
{
    pipeline_cancel(pipeline);
    report_write_fini(&pipeline->report_write);
    regions_destroy(pipeline->regions);
    pipeline->regions = NULL;
    merge_fini(&pipeline->merge);
    order_fini(&pipeline->order);
    fingerprint_destroy(pipeline->fingerprint);
    account_free(pipeline->call->account, pipeline->in_scales);
}
