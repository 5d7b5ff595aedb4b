/* SPDX-License-Identifier: Apache-2.0 */
#include "services/ternary/record.h"

#include <string.h>

#include "proto/codec/codec.h"
#include "services/shared.h"

static const struct state_row rows[RECORD_STATES] = {
    [RECORD_NONE] = {"none", STATE_TO(RECORD_WANTED)},
    [RECORD_WANTED] = {"wanted", STATE_TO(RECORD_OPEN)},
    [RECORD_OPEN] = {"open", STATE_TO(RECORD_COMMITTING) | STATE_TO(RECORD_CLOSED)},
    [RECORD_COMMITTING] = {"committing", STATE_TO(RECORD_CLOSED)},
    [RECORD_CLOSED] = {"closed", 0},
};
const struct states record_states = STATES("record", rows);

/* Names are shown on terminals and pages and travel in URLs. */
static bool has_control(const char *name)
{
    for (; *name; name++)
        if ((unsigned char)*name < 0x20 || *name == 0x7f)
            return true;
    return false;
}

static int check_layer(const struct wire_layer_ref *layer, struct failure *failure)
{
    if (layer->run[0] == '\0')
        return fail(failure, TRIT_INVALID_ARGUMENT, "layer.run", "layer.run: empty");
    if (layer->layer[0] == '\0')
        return fail(failure, TRIT_INVALID_ARGUMENT, "layer.layer", "layer.layer: empty");
    if (has_control(layer->run) || has_control(layer->layer))
        return fail(failure, TRIT_INVALID_ARGUMENT,
                    has_control(layer->run) ? "layer.run" : "layer.layer",
                    "%s: has a control character",
                    has_control(layer->run) ? "layer.run" : "layer.layer");
    if (layer->step > INT64_MAX)
        return fail(failure, TRIT_INVALID_ARGUMENT, "layer.step",
                    "layer.step: %llu is above 2^63-1", (unsigned long long)layer->step);
    return 0;
}

int record_want(struct record *record, const struct wire_layer_ref *layer,
                struct failure *failure)
{
    struct trit_report *report = record->put.report;

    if (check_layer(layer, failure) < 0)
        return -1;
    memcpy(report->run, layer->run, sizeof(report->run));
    memcpy(report->layer, layer->layer, sizeof(report->layer));
    report->step = layer->step;
    state_move(&record_states, &record->state, RECORD_WANTED);
    return 0;
}

static void drained(struct store_put *put)
{
    struct record *record = LIST_OWNER(put, struct record, put);

    call_throttle(record->call, THROTTLE_STORE, false);
}

int record_open(struct record *record, struct call *call)
{
    record->call = call;
    if (store_begin(&record->put, services_of(call)->config.store, &call->failure) < 0)
        return -1;
    store_on_drained(&record->put, drained);
    state_move(&record_states, &record->state, RECORD_OPEN);
    return 0;
}

void record_codes(struct record *record, const void *bytes, size_t count)
{
    if (record->state != RECORD_OPEN)
        return;
    if (store_codes(&record->put, bytes, count) > STORE_CODES_PENDING_MAX)
        call_throttle(record->call, THROTTLE_STORE, true);
}

static void done(struct store_put *put)
{
    struct record *record = LIST_OWNER(put, struct record, put);
    struct call *call = record->call;

    state_move(&record_states, &record->state, RECORD_CLOSED);
    if (call->state == CALL_WORKING)
        record->filed(call);
    call_release(call);
}

void record_commit(struct record *record, void (*filed)(struct call *call))
{
    state_move(&record_states, &record->state, RECORD_COMMITTING);
    record->filed = filed;
    record->put.done = done;
    call_hold(record->call);
    store_commit(&record->put);
}

void record_drop(struct record *record)
{
    if (record->state != RECORD_OPEN)
        return;
    state_move(&record_states, &record->state, RECORD_CLOSED);
    store_abort(&record->put);
}
