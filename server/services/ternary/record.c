/* SPDX-License-Identifier: Apache-2.0 */
#include "services/ternary/record.h"

#include "proto/codec/codec.h"
#include "proto/utf8.h"
#include "services/shared.h"

int record_check(const struct wire_layer_ref *layer, struct failure *failure)
{
    if (layer->run[0] == '\0')
        return fail_field(failure, TRIT_INVALID_ARGUMENT, "layer.run", "empty");
    if (layer->layer[0] == '\0')
        return fail_field(failure, TRIT_INVALID_ARGUMENT, "layer.layer", "empty");
    if (!utf8_is_name(layer->run) || !utf8_is_name(layer->layer))
        return fail_field(failure, TRIT_INVALID_ARGUMENT,
                          utf8_is_name(layer->run) ? "layer.layer" : "layer.run",
                          "has a control character");
    if (layer->step > INT64_MAX)
        return fail_field(failure, TRIT_INVALID_ARGUMENT, "layer.step",
                          "%llu is above 2^63-1", (unsigned long long)layer->step);
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
    record->state = RECORD_OPEN;
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

    record->state = RECORD_NONE;
    if (call->state == CALL_WORKING)
        record->filed(call);
    call_release(call);
}

void record_commit(struct record *record, void (*filed)(struct call *call))
{
    record->state = RECORD_COMMITTING;
    record->filed = filed;
    record->put.done = done;
    call_hold(record->call);
    store_commit(&record->put);
}

void record_drop(struct record *record)
{
    if (record->state != RECORD_OPEN)
        return;
    record->state = RECORD_NONE;
    store_abort(&record->put);
}
