#include "rpc/flow.h"

#include <stdlib.h>
#include <string.h>

#include "obs/metrics.h"
#include "proto/codec/codec.h"

/* The happy path: flow_feed fills a tile and submits it; tile_worked runs it on
 * a worker; tile_worked_cb marks it DONE on the loop and merges every tile whose
 * turn has come; a merged tile is emitted as chunks or held for the reply; the
 * release of its last slice gives it back.
 *
 * Failures. No memory for a tile: RESOURCE_EXHAUSTED. A tile's result that the
 * method refuses: INVALID_ARGUMENT, from the merge. A cancelled call: tiles that
 * come back are given back, nothing is merged any more. */

void flow_init(struct flow *flow, struct call *call, void (*complete)(struct call *call))
{
    flow->call = call;
    flow->complete = complete;
    list_init(&flow->tiles);
    list_init(&flow->held);
}

/* ---- before the data ------------------------------------------------------- */

int flow_scales(struct flow *flow, const uint8_t *bytes, size_t count)
{
    size_t needed = flow->in_scales_count + count;

    if (needed > flow->in_scales_capacity) {
        size_t capacity = needed < 4096 ? 4096 : needed * 2;
        uint8_t *grown = realloc(flow->in_scales, capacity);

        if (!grown)
            return fail(&flow->call->failure, TRIT_RESOURCE_EXHAUSTED, "scales",
                        "scales: no memory for %zu bytes", needed);
        flow->in_scales = grown;
        flow->in_scales_capacity = capacity;
    }
    memcpy(flow->in_scales + flow->in_scales_count, bytes, count);
    flow->in_scales_count = needed;
    return 0;
}

static void identify(struct trit_report *report, const struct plan *plan)
{
    report->dtype = plan->spec.dtype;
    report->rank = plan->spec.rank;
    memcpy(report->shape, plan->spec.shape, sizeof(report->shape));
    report->group_size = plan->spec.group_size;
    report->groups = plan->groups;
    report->elements = plan->elements;
}

int flow_start(struct flow *flow)
{
    struct call *call = flow->call;
    const struct plan *plan = &flow->task.plan;

    if (flow->in_scales_count != plan->in_scale_bytes)
        return fail(&call->failure, TRIT_INVALID_ARGUMENT, "scales",
                    "scales: %zu bytes, but %llu groups need %llu", flow->in_scales_count,
                    (unsigned long long)plan->groups,
                    (unsigned long long)plan->in_scale_bytes);
    if (merge_init(&flow->merge, flow->task.wants_codes, &call->failure) < 0)
        return -1;
    flow->task.in_scales = flow->in_scales;
    flow->tensor.expected = plan->in_bytes;
    flow->reference.expected =
        flow->task.has_reference
            ? plan->elements * dtype_bytes(flow->task.reference_dtype)
            : 0;
    if (flow->record.put.report.run[0]) {
        identify(&flow->record.put.report, plan);
        flow->record.put.partial = plan->spec.partial;
        if (record_open(&flow->record, call) < 0)
            return -1;
    }
    flow->started = true;
    return 0;
}

void flow_replan(struct flow *flow, const struct plan *plan)
{
    flow->task.plan = *plan;
    flow->tensor.expected = plan->in_bytes;
    identify(&flow->record.put.report, plan);
    for (struct list *node = flow->tiles.next; node != &flow->tiles; node = node->next) {
        struct tile *tile = LIST_OWNER(node, struct tile, link);

        plan_tile(plan, tile->span.index, &tile->span);
    }
}

/* ---- merged tiles leave ------------------------------------------------------- */

static void tile_back(struct flow *flow, struct tile *tile)
{
    rpc_tile_put(flow->call->rpc, tile);
    if (--flow->in_flight < TILES_IN_FLIGHT_MAX)
        call_throttle(flow->call, THROTTLE_TILES, false);
}

static void tile_unlent(struct tile *tile)
{
    if (--tile->lent == 0)
        tile_back(tile->flow, tile);
}

static void head_released(struct h2_slice *slice)
{
    tile_unlent(LIST_OWNER(slice, struct tile, head_slice));
}

static void out_released(struct h2_slice *slice)
{
    tile_unlent(LIST_OWNER(slice, struct tile, out_slice));
}

static void scale_head_released(struct h2_slice *slice)
{
    tile_unlent(LIST_OWNER(slice, struct tile, scale_head_slice));
}

static void scale_released(struct h2_slice *slice)
{
    tile_unlent(LIST_OWNER(slice, struct tile, scale_slice));
}

static void lend(struct tile *tile, struct h2_slice *slice, const void *bytes,
                 size_t count, void (*release)(struct h2_slice *slice))
{
    *slice = (struct h2_slice){.bytes = bytes, .count = count, .release = release};
    call_write(tile->flow->call, slice);
}

/* A stream reply: [scales as one message][the output as one message]. */
static void emit(struct flow *flow, struct tile *tile)
{
    size_t head;

    tile->state = TILE_SENDING;
    tile->lent = tile->scales_out ? 4 : 2;
    if (tile->scales_out) {
        head = encode_stream_chunk(
            true,
            tile->span.first_group * (tile->scale_out_bytes / (size_t)tile->span.groups),
            tile->scales_crc, tile->scale_out_bytes, tile->scale_head + GRPC_PREFIX_BYTES,
            sizeof(tile->scale_head) - GRPC_PREFIX_BYTES);
        frame_prefix(tile->scale_head, (uint32_t)(head + tile->scale_out_bytes));
        lend(tile, &tile->scale_head_slice, tile->scale_head, head + GRPC_PREFIX_BYTES,
             scale_head_released);
        lend(tile, &tile->scale_slice, tile->scales_out, tile->scale_out_bytes,
             scale_released);
    }
    head = encode_stream_chunk(false, tile->span.out_offset, tile->out_crc,
                               tile->span.out_bytes, tile->head + GRPC_PREFIX_BYTES,
                               sizeof(tile->head) - GRPC_PREFIX_BYTES);
    frame_prefix(tile->head, (uint32_t)(head + tile->span.out_bytes));
    lend(tile, &tile->head_slice, tile->head, head + GRPC_PREFIX_BYTES, head_released);
    lend(tile, &tile->out_slice, tile->out_bytes, (size_t)tile->span.out_bytes,
         out_released);
    metric_add(flow->call->rpc->config.metrics, M_TENSOR_OUT_BYTES, tile->span.out_bytes);
}

/* Held tiles no longer count as in flight: a unary reply needs them all. */
static void hold(struct flow *flow, struct tile *tile)
{
    tile->state = TILE_HELD;
    list_push(&flow->held, &tile->link);
    if (--flow->in_flight < TILES_IN_FLIGHT_MAX)
        call_throttle(flow->call, THROTTLE_TILES, false);
}

void flow_lend_scales(struct flow *flow)
{
    for (struct list *node = flow->held.next; node != &flow->held; node = node->next) {
        struct tile *tile = LIST_OWNER(node, struct tile, link);

        tile->lent = 2; /* scales now, output soon */
        lend(tile, &tile->scale_slice, tile->scales_out, tile->scale_out_bytes,
             scale_released);
    }
}

void flow_lend_outputs(struct flow *flow)
{
    struct list *node;

    while ((node = list_pop(&flow->held))) {
        struct tile *tile = LIST_OWNER(node, struct tile, link);

        tile->state = TILE_SENDING;
        flow->in_flight++;
        tile->lent += tile->scales_out ? 0 : 1;
        metric_add(flow->call->rpc->config.metrics, M_TENSOR_OUT_BYTES,
                   tile->span.out_bytes);
        lend(tile, &tile->out_slice, tile->out_bytes, (size_t)tile->span.out_bytes,
             out_released);
    }
}

/* ---- tiles come back from the pool ----------------------------------------------- */

static bool loses_scales(const struct task *task)
{
    enum scale_place place;

    if (task->op != TASK_TERNARIZE || !task->plan.spec.has_out)
        return false;
    place = encoding_layout(task->plan.spec.out)->scales;
    return place == SCALES_F16 || place == SCALES_IN_BLOCK;
}

/* -1 when the tile's result fails the call. */
static int judge(struct flow *flow, const struct tile *tile)
{
    const struct ternary_counts *counts = &tile->counts;
    struct failure *failure = &flow->call->failure;

    if (tile->bad_element != UINT64_MAX)
        return fail(failure, TRIT_INVALID_ARGUMENT, flow->tensor.field,
                    "%s: element %llu holds a code that is not ternary",
                    flow->tensor.field, (unsigned long long)tile->bad_element);
    if (loses_scales(&flow->task) && counts->non_finite == 0 && counts->scales_lost)
        return fail(
            failure, TRIT_INVALID_ARGUMENT, flow->tensor.field,
            "%s: the scale %g of group %llu is lost in f16", flow->tensor.field,
            (double)tile->scales[counts->first_scale_lost],
            (unsigned long long)(tile->span.first_group + counts->first_scale_lost));
    return 0;
}

static bool has_report(const struct flow *flow)
{
    return flow->task.op == TASK_TERNARIZE || flow->task.op == TASK_VERIFY;
}

static int merge_next(struct flow *flow, struct tile *tile)
{
    struct rpc *rpc = flow->call->rpc;

    metric_add(rpc->config.metrics, M_TILES, 1);
    metric_add(rpc->config.metrics, M_ELEMENTS, tile->span.elements);
    metric_add(rpc->config.metrics, M_KERNEL_NS, tile->kernel_ns);
    list_remove(&tile->link);
    flow->merged++;
    if (judge(flow, tile) < 0) {
        tile_back(flow, tile);
        return -1;
    }
    if (has_report(flow))
        merge_tile(&flow->merge, &flow->task, tile);
    if (tile->codes)
        record_codes(&flow->record, tile->codes, (size_t)tile->span.code_bytes);
    tile_trim(tile, &flow->task, rpc->config.blocks);
    if (!flow->task.plan.spec.has_out || flow->merge.counts.non_finite)
        tile_back(flow, tile);
    else if (flow->emits_chunks)
        emit(flow, tile);
    else
        hold(flow, tile);
    return 0;
}

static void merge_ready(struct flow *flow)
{
    while (!list_empty(&flow->tiles)) {
        struct tile *tile = LIST_OWNER(flow->tiles.next, struct tile, link);

        if (tile->state != TILE_DONE)
            return;
        if (merge_next(flow, tile) < 0) {
            call_end(flow->call);
            return;
        }
    }
    if (flow->request_done && flow->merged == flow->task.plan.tiles)
        flow->complete(flow->call);
}

static void tile_worked(struct job *job)
{
    struct tile *tile = LIST_OWNER(job, struct tile, job);

    tile_run(tile, &tile->flow->task);
}

static void tile_worked_cb(struct job *job)
{
    struct tile *tile = LIST_OWNER(job, struct tile, job);
    struct flow *flow = tile->flow;
    struct call *call = flow->call;

    tile->state = TILE_DONE;
    if (atomic_load(&call->cancelled)) {
        metric_add(call->rpc->config.metrics, M_TILES_CANCELLED, job->skipped ? 1 : 0);
        list_remove(&tile->link);
        tile_back(flow, tile);
    } else {
        merge_ready(flow);
    }
    call_release(call);
}

/* ---- tiles fill ----------------------------------------------------------------------
 */

static int submit(struct flow *flow, struct tile *tile)
{
    struct call *call = flow->call;
    const struct rpc_config *config = &call->rpc->config;

    if (tile_prepare(tile, &flow->task, config->blocks) < 0) {
        metric_limit(config->metrics, L_MEMORY);
        return fail(&call->failure, TRIT_RESOURCE_EXHAUSTED, NULL,
                    "the memory budget memory_bytes_max = %llu is spent; try again later",
                    (unsigned long long)config->limits->memory_bytes_max);
    }
    if (++flow->in_flight >= TILES_IN_FLIGHT_MAX)
        call_throttle(call, THROTTLE_TILES, true);
    tile->state = TILE_RUNNING;
    call_hold(call);
    tile->job = (struct job){
        .run = tile_worked, .done = tile_worked_cb, .cancelled = &call->cancelled};
    if (flow->task.op == TASK_PASS ||
        (flow->task.plan.tiles == 1 && tile->span.in_bytes <= INLINE_BYTES_MAX)) {
        struct kernels_env env;

        kernels_enter(&env);
        tile_worked(&tile->job);
        kernels_leave(&env);
        tile_worked_cb(&tile->job);
    } else {
        pool_submit(config->pool, &tile->job);
    }
    return 0;
}

/* The tile at `index`, if the other feed has made it. */
static struct tile *made_tile(struct flow *flow, uint64_t index)
{
    for (struct list *node = flow->tiles.next; node != &flow->tiles; node = node->next) {
        struct tile *tile = LIST_OWNER(node, struct tile, link);

        if (tile->span.index == index)
            return tile;
    }
    return NULL;
}

static struct tile *next_tile(struct flow *flow, struct feed *feed)
{
    struct tile *tile;

    if (!feed->tile && flow->task.has_reference)
        feed->tile = made_tile(flow, feed->next);
    if (feed->tile)
        return feed->tile;
    tile = rpc_tile_get(flow->call->rpc);
    if (!tile)
        return NULL;
    tile->flow = flow;
    plan_tile(&flow->task.plan, feed->next, &tile->span);
    list_push(&flow->tiles, &tile->link);
    feed->tile = tile;
    return tile;
}

struct vessel { /* the part of a tile that a feed fills */
    struct block *block;
    size_t *filled;
    size_t bytes;
};

static struct vessel vessel_of(struct flow *flow, const struct feed *feed,
                               struct tile *tile)
{
    if (feed == &flow->tensor)
        return (struct vessel){&tile->in, &tile->in_filled, (size_t)tile->span.in_bytes};
    return (struct vessel){&tile->reference, &tile->reference_filled,
                           (size_t)tile->span.elements *
                               dtype_bytes(flow->task.reference_dtype)};
}

static bool tile_full(struct flow *flow, struct tile *tile)
{
    struct vessel tensor = vessel_of(flow, &flow->tensor, tile);
    struct vessel reference = vessel_of(flow, &flow->reference, tile);

    return *tensor.filled == tensor.bytes &&
           (!flow->task.has_reference || *reference.filled == reference.bytes);
}

/* The feed goes on with the tile that the other feed has made already, if any. */
static void advance(struct flow *flow, struct feed *feed)
{
    struct list *next = feed->tile->link.next;

    feed->next++;
    feed->tile = next == &flow->tiles ? NULL : LIST_OWNER(next, struct tile, link);
}

int flow_feed(struct flow *flow, struct feed *feed, const uint8_t *bytes, size_t count)
{
    struct call *call = flow->call;

    metric_add(call->rpc->config.metrics, M_TENSOR_IN_BYTES, count);
    feed->received += count;
    while (count > 0) {
        struct tile *tile = next_tile(flow, feed);
        struct vessel vessel = {0};
        size_t part;

        if (tile)
            vessel = vessel_of(flow, feed, tile);
        if (!tile ||
            (!vessel.block->bytes &&
             blocks_get(call->rpc->config.blocks, vessel.bytes, vessel.block) < 0)) {
            metric_limit(call->rpc->config.metrics, L_MEMORY);
            return fail(
                &call->failure, TRIT_RESOURCE_EXHAUSTED, NULL,
                "the memory budget memory_bytes_max = %llu is spent; try again later",
                (unsigned long long)call->rpc->config.limits->memory_bytes_max);
        }
        part = vessel.bytes - *vessel.filled;
        part = part < count ? part : count;
        memcpy(vessel.block->bytes + *vessel.filled, bytes, part);
        *vessel.filled += part;
        bytes += part;
        count -= part;
        if (*vessel.filled == vessel.bytes) {
            advance(flow, feed);
            if (tile_full(flow, tile) && submit(flow, tile) < 0)
                return -1;
            if (call->state == CALL_ENDED || call->state == CALL_CLOSED)
                return 0;
        }
    }
    return 0;
}

void flow_request_done(struct flow *flow)
{
    flow->request_done = true;
    merge_ready(flow);
}

/* ---- the end
 * ----------------------------------------------------------------------------- */

/* Tiles that run come back by themselves; all others are given back now. */
void flow_cancel(struct flow *flow)
{
    struct list *node = flow->tiles.next, *next;

    for (; node != &flow->tiles; node = next) {
        struct tile *tile = LIST_OWNER(node, struct tile, link);

        next = node->next;
        if (tile->state == TILE_RUNNING)
            continue;
        list_remove(node);
        if (tile->state == TILE_DONE)
            flow->in_flight--;
        rpc_tile_put(flow->call->rpc, tile);
    }
    while ((node = list_pop(&flow->held)))
        rpc_tile_put(flow->call->rpc, LIST_OWNER(node, struct tile, link));
    flow->tensor.tile = flow->reference.tile = NULL;
    record_drop(&flow->record);
}

void flow_fini(struct flow *flow)
{
    flow_cancel(flow);
    merge_fini(&flow->merge);
    free(flow->in_scales);
}
