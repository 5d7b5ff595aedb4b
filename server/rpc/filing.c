#include "rpc/filing.h"

#include "proto/codec/codec.h"
#include "rpc/call.h"

int filing_check(const struct wire_layer_ref *layer, struct failure *failure)
{
    if (layer->run[0] == '\0')
        return fail(failure, TRIT_INVALID_ARGUMENT, "layer.run", "layer.run: empty");
    if (layer->layer[0] == '\0')
        return fail(failure, TRIT_INVALID_ARGUMENT, "layer.layer", "layer.layer: empty");
    if (layer->step > INT64_MAX)
        return fail(failure, TRIT_INVALID_ARGUMENT, "layer.step",
                    "layer.step: %llu is above 2^63-1", (unsigned long long)layer->step);
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
    if (store_begin(&filing->put, call->rpc->config.store, &call->failure) < 0)
        return -1;
    store_on_drained(&filing->put, drained);
    filing->state = FILING_OPEN;
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

    filing->state = FILING_NONE;
    if (call->state == CALL_WORKING)
        filing->filed(call);
    call_release(call);
}

void filing_commit(struct filing *filing, void (*filed)(struct call *call))
{
    filing->state = FILING_COMMITTING;
    filing->filed = filed;
    filing->put.done = done;
    call_hold(filing->call);
    store_commit(&filing->put);
}

void filing_drop(struct filing *filing)
{
    if (filing->state != FILING_OPEN)
        return;
    filing->state = FILING_NONE;
    store_abort(&filing->put);
}
