/* SPDX-License-Identifier: Apache-2.0 */
#include "services/ternary/filing.h"

#include <inttypes.h>
#include <string.h>

#include "proto/codec/codec.h"
#include "proto/utf8.h"
#include "services/shared.h"

static const struct state_row rows[FILING_STATES] = {
    [FILING_NONE] = {"none", STATE_TO(FILING_WANTED)},
    [FILING_WANTED] = {"wanted", STATE_TO(FILING_OPEN)},
    [FILING_OPEN] = {"open", STATE_TO(FILING_COMMITTING) | STATE_TO(FILING_CLOSED)},
    [FILING_COMMITTING] = {"committing", STATE_TO(FILING_CLOSED)},
    [FILING_CLOSED] = {"closed", 0},
};
const struct states filing_states = STATES("filing", rows);

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

int filing_want(struct filing *filing, const struct wire_layer_ref *layer,
                struct failure *failure)
{
    struct trit_report *report = filing->put.report;

    if (check_layer(layer, failure) < 0)
        return -1;
    memcpy(report->run, layer->run, sizeof(report->run));
    memcpy(report->layer, layer->layer, sizeof(report->layer));
    report->step = layer->step;
    state_move(&filing_states, &filing->state, FILING_WANTED);
    return 0;
}

static void drained(struct store_put *put)
{
    struct filing *filing = LIST_OWNER(put, struct filing, put);

    call_throttle(filing->call, THROTTLE_STORE, false);
}

int filing_open(struct filing *filing, struct call *call)
{
    filing->call = call;
    if (store_begin(&filing->put, services_of(call)->config.store, &call->failure) < 0)
        return -1;
    store_on_drained(&filing->put, drained);
    state_move(&filing_states, &filing->state, FILING_OPEN);
    return 0;
}

void filing_codes(struct filing *filing, const void *bytes, size_t count)
{
    if (filing->state != FILING_OPEN)
        return;
    if (store_codes(&filing->put, bytes, count) > STORE_CODES_PENDING_MAX)
        call_throttle(filing->call, THROTTLE_STORE, true);
}

static void done(struct store_put *put)
{
    struct filing *filing = LIST_OWNER(put, struct filing, put);
    struct call *call = filing->call;

    state_move(&filing_states, &filing->state, FILING_CLOSED);
    if (call->state == CALL_WORKING)
        filing->filed(call);
    call_release(call);
}

void filing_commit(struct filing *filing, void (*filed)(struct call *call))
{
    state_move(&filing_states, &filing->state, FILING_COMMITTING);
    filing->filed = filed;
    filing->put.done = done;
    call_hold(filing->call);
    store_commit(&filing->put);
}

void filing_drop(struct filing *filing)
{
    if (filing->state != FILING_OPEN)
        return;
    state_move(&filing_states, &filing->state, FILING_CLOSED);
    store_abort(&filing->put);
}
