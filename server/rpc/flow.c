#include "rpc/flow_impl.h"

#include <stdlib.h>
#include <string.h>

#include "obs/metrics.h"

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
        flow->record.put.question.partial = plan->spec.partial;
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
    if (tile->unlike_group != UINT64_MAX)
        return fail(failure, TRIT_INVALID_ARGUMENT, flow->tensor.field,
                    "%s: the %s blocks of group %llu differ in scale, a group of %u has "
                    "one; each block alone is a group of %u",
                    flow->tensor.field, encoding_name(flow->task.plan.spec.in),
                    (unsigned long long)tile->unlike_group,
                    (unsigned)flow->task.plan.spec.group_size,
                    (unsigned)encoding_layout(flow->task.plan.spec.in)->block_elements);
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
        flow_tile_back(flow, tile);
        return -1;
    }
    if (has_report(flow))
        merge_tile(&flow->merge, &flow->task, tile);
    if (tile->codes)
        record_codes(&flow->record, tile->codes, (size_t)tile->span.code_bytes);
    tile_trim(tile, &flow->task, rpc->config.blocks);
    if (!flow->task.plan.spec.has_out || flow->merge.counts.non_finite)
        flow_tile_back(flow, tile);
    else if (flow->emits_chunks)
        flow_emit(flow, tile);
    else
        flow_hold(flow, tile);
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
        flow_tile_back(flow, tile);
    } else {
        merge_ready(flow);
    }
    call_release(call);
}

int flow_submit(struct flow *flow, struct tile *tile)
{
    struct call *call = flow->call;
    const struct rpc_config *config = &call->rpc->config;

    if (tile_prepare(tile, &flow->task, config->blocks) < 0)
        return memory_spent(call);
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
