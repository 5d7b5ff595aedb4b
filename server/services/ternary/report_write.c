/* SPDX-License-Identifier: Apache-2.0 */
#include "services/ternary/report_write.h"

#include <inttypes.h>
#include <string.h>

#include "proto/codec/codec.h"
#include "proto/utf8.h"
#include "services/health.h"
#include "services/shared.h"

static const struct state_row rows[REPORT_WRITE_STATES] = {
    [REPORT_WRITE_NONE] = {"none", STATE_TO(REPORT_WRITE_WANTED)},
    [REPORT_WRITE_WANTED] = {"wanted", STATE_TO(REPORT_WRITE_OPEN)},
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
    return 0;
}

int report_write_want(struct report_write *report_write,
                      const struct wire_layer_ref *layer, struct failure *failure)
{
    struct trit_report *report = report_write->put.report;

    if (check_layer(layer, failure) < 0)
        return -1;
    memcpy(report->run, layer->run, sizeof(report->run));
    memcpy(report->layer, layer->layer, sizeof(report->layer));
    report->step = layer->step;
    report->attempt = layer->attempt;
    report->replica = layer->replica;
    state_move(&report_write_states, &report_write->state, REPORT_WRITE_WANTED);
    return 0;
}

static void drained(struct store_put *put)
{
    struct report_write *report_write = LIST_OWNER(put, struct report_write, put);

    call_throttle(report_write->call, THROTTLE_STORE, false);
}

int report_write_open(struct report_write *report_write, struct call *call)
{
    report_write->call = call;
    if (store_begin(&report_write->put, services_of(call)->config.store, &call->failure) <
        0)
        return -1;
    store_on_drained(&report_write->put, drained);
    state_move(&report_write_states, &report_write->state, REPORT_WRITE_OPEN);
    return 0;
}

void report_write_codes(struct report_write *report_write, const void *bytes,
                        size_t count)
{
    if (report_write->state != REPORT_WRITE_OPEN)
        return;
    if (store_codes(&report_write->put, bytes, count) > STORE_CODES_PENDING_MAX)
        call_throttle(report_write->call, THROTTLE_STORE, true);
}

static void done(struct store_put *put)
{
    struct report_write *report_write = LIST_OWNER(put, struct report_write, put);
    struct call *call = report_write->call;

    state_move(&report_write_states, &report_write->state, REPORT_WRITE_CLOSED);
    health_store_ended(call, put->failure.status);
    if (call->state == CALL_WORKING)
        report_write->written(call);
    call_release(call);
}

void report_write_commit(struct report_write *report_write,
                         void (*written)(struct call *call))
{
    state_move(&report_write_states, &report_write->state, REPORT_WRITE_COMMITTING);
    report_write->written = written;
    report_write->put.done = done;
    call_hold(report_write->call);
    store_commit(&report_write->put);
}

void report_write_drop(struct report_write *report_write)
{
    if (report_write->state != REPORT_WRITE_OPEN)
        return;
    state_move(&report_write_states, &report_write->state, REPORT_WRITE_CLOSED);
    store_abort(&report_write->put);
}
