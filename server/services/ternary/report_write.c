/* SPDX-License-Identifier: Apache-2.0 */
#include "services/ternary/report_write.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "obs/log.h"
#include "obs/metrics.h"
#include "proto/codec/codec.h"
#include "proto/names.h"
#include "proto/utf8.h"
#include "services/health.h"
#include "services/shared.h"
#include "services/ternary/report.h"

static const struct state_row rows[REPORT_WRITE_STATES] = {
    [REPORT_WRITE_NONE] = {"none", STATE_TO(REPORT_WRITE_WANTED)},
    [REPORT_WRITE_WANTED] = {"wanted",
                             STATE_TO(REPORT_WRITE_OPEN) | STATE_TO(REPORT_WRITE_CLOSED)},
    [REPORT_WRITE_OPEN] = {"open", STATE_TO(REPORT_WRITE_COMMITTING) |
                                       STATE_TO(REPORT_WRITE_CLOSED)},
    [REPORT_WRITE_COMMITTING] = {"committing", STATE_TO(REPORT_WRITE_CLOSED)},
    [REPORT_WRITE_CLOSED] = {"closed", 0},
};
const struct states report_write_states = STATES("report_write", rows);

static int check_layer(const struct wire_layer_ref *layer, struct failure *failure)
{
    if (layer->run[0] == '\0')
        return fail_field(failure, TRIT_INVALID_ARGUMENT, "layer.run",
                          "must not be empty");
    if (layer->layer[0] == '\0')
        return fail_field(failure, TRIT_INVALID_ARGUMENT, "layer.layer",
                          "must not be empty");
    if (!utf8_is_name(layer->run) || !utf8_is_name(layer->layer))
        return fail_field(failure, TRIT_INVALID_ARGUMENT,
                          utf8_is_name(layer->run) ? "layer.layer" : "layer.run",
                          "contains a control character");
    if (layer->step > INT64_MAX)
        return fail_field(failure, TRIT_INVALID_ARGUMENT, "layer.step",
                          "%" PRIu64 " is above 2^63-1", layer->step);
    if (layer->has_shard && layer->global_rank != layer->offset_rank)
        return fail_field(failure, TRIT_INVALID_ARGUMENT, "layer.shard.offset",
                          "%u numbers, but global_shape has %u; there must be one for "
                          "each axis",
                          layer->offset_rank, layer->global_rank);
    if (layer->has_shard && layer->global_rank == 0)
        return fail_field(failure, TRIT_INVALID_ARGUMENT, "layer.shard.global_shape",
                          "must not be empty; leave the shard out for a whole layer");
    return 0;
}

void report_write_init(struct report_write *report_write, struct trit_report *answer)
{
    report_write->answer = answer;
    report_write->put.report = answer;
}

void report_write_fini(struct report_write *report_write)
{
    report_write_drop(report_write);
    free(report_write->filed);
    free(report_write->shard);
}

int report_write_want(struct report_write *report_write,
                      const struct wire_layer_ref *layer, bool best_effort,
                      struct failure *failure)
{
    struct trit_report *report = report_write->answer;

    if (check_layer(layer, failure) < 0)
        return -1;
    memcpy(report->run, layer->run, sizeof(report->run));
    memcpy(report->layer, layer->layer, sizeof(report->layer));
    report->step = layer->step;
    report->attempt = layer->attempt;
    report->replica = layer->replica;
    if (layer->has_shard) {
        report->shard_rank = (uint8_t)layer->global_rank;
        memcpy(report->shard_global_shape, layer->global_shape,
               sizeof(report->shard_global_shape));
        memcpy(report->shard_offset, layer->offset, sizeof(report->shard_offset));
    }
    report_write->best_effort = best_effort;
    state_move(&report_write_states, &report_write->state, REPORT_WRITE_WANTED);
    return 0;
}

/* ---- best effort ------------------------------------------------------------------ */

/* Also the store's first answer to a write that it does not take. */
static void not_stored(struct report_write *report_write, const struct failure *failure)
{
    const struct call *call = report_write->call;

    metric_add(call->config->metrics, M_REPORTS_LOST, 1);
    log_event(call->config->log, LOG_WARN, "report_not_stored",
              LOG_FIELDS(LOG_STR("run", report_write->answer->run),
                         LOG_STR("layer", report_write->answer->layer),
                         LOG_U64("step", report_write->answer->step),
                         LOG_STR("why", failure->message)));
}

static int begin(struct report_write *report_write, struct failure *failure)
{
    struct store *store = services_of(report_write->call)->config.store;

    report_write->put.mailbox = report_write->call->config->mailbox;
    report_write->put.shard = report_write->shard ? &report_write->shard->store : NULL;
    return store_begin(&report_write->put, store, failure);
}

/* Without memory, or without a place in the store's queue, there is no write. */
static void open_best_effort(struct report_write *report_write)
{
    struct failure failure = {.status = TRIT_OK};

    report_write->filed = malloc(sizeof(*report_write->filed));
    if (report_write->filed) {
        *report_write->filed = *report_write->answer;
        report_write->put.report = report_write->filed;
        if (begin(report_write, &failure) == 0) {
            state_move(&report_write_states, &report_write->state, REPORT_WRITE_OPEN);
            return;
        }
    } else {
        fail(&failure, TRIT_RESOURCE_EXHAUSTED, NULL, "no memory for the report");
    }
    state_move(&report_write_states, &report_write->state, REPORT_WRITE_CLOSED);
    not_stored(report_write, &failure);
}

/* The store has too many codes to write: this report goes on without. */
static void drop_codes(struct report_write *report_write)
{
    struct failure failure = {.status = TRIT_OK};

    store_abort(&report_write->put);
    report_write->without_codes = true;
    if (report_write->shard)
        fail(&failure, TRIT_RESOURCE_EXHAUSTED, NULL,
             "the store has too much to write to take a shard");
    else if (begin(report_write, &failure) == 0)
        return;
    state_move(&report_write_states, &report_write->state, REPORT_WRITE_CLOSED);
    not_stored(report_write, &failure);
}

static void answer(struct report_write *report_write)
{
    report_write->answered = true;
    report_write->written(report_write->call);
}

/* The answer goes before the report is known to be on disk. */
static void answer_early(struct report_write *report_write)
{
    services_first(services_of(report_write->call))->reports_late++;
    report_write->answer->stored = false;
    answer(report_write);
}

static void lose_patience(struct timer *timer)
{
    struct report_write *report_write = LIST_OWNER(timer, struct report_write, patience);

    if (report_write->call->state == CALL_WORKING)
        answer_early(report_write);
}

static void commit_best_effort(struct report_write *report_write)
{
    struct call *call = report_write->call;
    const uint64_t patience = call->config->limits->best_effort_ms;

    *report_write->filed = *report_write->answer;
    report_write->answer->has_stored = true;
    timer_init(&report_write->patience, lose_patience);
    store_commit(&report_write->put);
    if (patience == 0 || services_first(services_of(call))->reports_late > 0)
        answer_early(report_write);
    else
        timer_arm(call->config->timers, &report_write->patience,
                  clock_monotonic_ns() + patience * 1000000u);
}

static void done_best_effort(struct report_write *report_write)
{
    struct call *call = report_write->call;
    struct failure *failure = &report_write->put.failure;

    timer_disarm(call->config->timers, &report_write->patience);
    if (report_write->answered)
        services_first(services_of(call))->reports_late--;
    if (failure->status != TRIT_OK)
        not_stored(report_write, failure);
    else if (!report_write->answered)
        *report_write->answer = *report_write->filed;
    report_write->answer->has_stored = true;
    report_write->answer->stored = failure->status == TRIT_OK;
    *failure = (struct failure){.status = TRIT_OK};
}

/* ---- all writes ------------------------------------------------------------------- */

static void drained(struct store_put *put)
{
    struct report_write *report_write = LIST_OWNER(put, struct report_write, put);

    report_write->waits = false;
    call_throttle(report_write->call, THROTTLE_STORE, false);
    if (report_write->drained)
        report_write->drained(report_write);
}

int report_write_open(struct report_write *report_write, const struct plan *plan,
                      struct call *call)
{
    report_write->call = call;
    report_identify(report_write->answer, plan);
    report_write->put.question.partial = plan->spec.partial;
    report_write->put.counts_early = true;
    if (report_write->best_effort) {
        open_best_effort(report_write);
        return 0;
    }
    if (begin(report_write, &call->failure) < 0)
        return -1;
    store_on_drained(&report_write->put, drained);
    state_move(&report_write_states, &report_write->state, REPORT_WRITE_OPEN);
    return 0;
}

/* The store has so many bytes that wait. */
static void check_pending(struct report_write *report_write, size_t pending)
{
    if (pending <= STORE_CODES_PENDING_MAX)
        return;
    if (report_write->best_effort) {
        drop_codes(report_write);
        return;
    }
    report_write->waits = true;
    call_throttle(report_write->call, THROTTLE_STORE, true);
}

static bool takes_codes(const struct report_write *report_write)
{
    return report_write->state == REPORT_WRITE_OPEN && !report_write->without_codes;
}

void report_write_codes(struct report_write *report_write, const void *bytes,
                        size_t count)
{
    if (takes_codes(report_write))
        check_pending(report_write, store_codes(&report_write->put, bytes, count));
}

void report_write_scales(struct report_write *report_write, const float *scales,
                         size_t count)
{
    if (takes_codes(report_write))
        check_pending(report_write, store_scales(&report_write->put, scales, count));
}

void report_write_groups(struct report_write *report_write, const struct task *task,
                         const struct tile *tile)
{
    uint8_t bytes[64 * SHARD_GROUP_BYTES_MAX];
    uint64_t inexact = 0;
    size_t count = 0;

    for (uint64_t group = 0; group < tile->span.groups; group++) {
        count += shard_report_group(task, tile, group, &inexact, bytes + count);
        if (count <= sizeof(bytes) - SHARD_GROUP_BYTES_MAX &&
            group + 1 < tile->span.groups)
            continue;
        if (takes_codes(report_write))
            check_pending(report_write, store_groups(&report_write->put, bytes, count));
        count = 0;
    }
}

static void done(struct store_put *put)
{
    struct report_write *report_write = LIST_OWNER(put, struct report_write, put);
    struct call *call = report_write->call;

    state_move(&report_write_states, &report_write->state, REPORT_WRITE_CLOSED);
    health_store_ended(call, put->failure.status, !put->existed);
    if (report_write->best_effort)
        done_best_effort(report_write);
    else
        report_write->answer->has_stored = report_write->answer->stored =
            put->failure.status == TRIT_OK;
    if (call->state == CALL_WORKING && !report_write->answered)
        answer(report_write);
    call_release(call);
}

void report_write_commit(struct report_write *report_write,
                         void (*written)(struct call *call))
{
    report_write->written = written;
    if (report_write->state == REPORT_WRITE_CLOSED) {
        report_write->answer->has_stored = true;
        answer(report_write);
        return;
    }
    state_move(&report_write_states, &report_write->state, REPORT_WRITE_COMMITTING);
    report_write->put.done = done;
    call_hold(report_write->call);
    if (report_write->best_effort)
        commit_best_effort(report_write);
    else
        store_commit(&report_write->put);
}

void report_write_drop(struct report_write *report_write)
{
    if (report_write->state != REPORT_WRITE_OPEN)
        return;
    state_move(&report_write_states, &report_write->state, REPORT_WRITE_CLOSED);
    store_abort(&report_write->put);
}
