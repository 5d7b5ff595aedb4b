/* SPDX-License-Identifier: Apache-2.0 */
#include "grpc/request_input.h"

#include <string.h>

#include "base/account.h"
#include "grpc/call.h"
#include "grpc/request_reader.h"

static void hold(struct call *call, const uint8_t *bytes, size_t count)
{
    struct held *held = &call->held;
    uint8_t *grown =
        account_grow(call->account, held->bytes, &held->capacity, held->count + count, 1);

    if (!grown) {
        fail(&call->failure, TRIT_RESOURCE_EXHAUSTED, NULL,
             "no memory for the bytes of the request");
        call_end(call);
        return;
    }
    held->bytes = grown;
    memcpy(held->bytes + held->count, bytes, count);
    held->count += count;
}

/* Returns false if the call has ended. Leaves in *bytes what was not read. */
static bool read_bytes(struct call *call, const uint8_t **bytes, size_t *count)
{
    int result = request_reader_feed(call, bytes, count);

    if (result < 0)
        call_end(call);
    call->held.stopped = result == READER_STOPPED;
    return call->state == CALL_RECEIVING;
}

void input_take(struct call *call, const uint8_t *bytes, size_t count)
{
    call->credit_owed += count;
    if (!call->held.stopped && !read_bytes(call, &bytes, &count))
        return;
    if (count > 0)
        hold(call, bytes, count);
    call_give_credit(call);
}

static void end(struct call *call)
{
    if (!deframer_idle(&call->deframer)) { /* a message counts from its whole prefix on */
        fail(&call->failure, TRIT_INTERNAL, NULL, "the request ended inside message %u",
             (unsigned)call->messages + !call->deframer.in_message);
    } else if (call->messages == 0 && !call->method->streaming) {
        fail(&call->failure, TRIT_UNIMPLEMENTED, NULL,
             "a unary request without a message");
    } else {
        state_move(&call_states, &call->state, CALL_WORKING);
        if (call->method->request(call) == 0)
            return;
    }
    call_end(call);
}

void input_end(struct call *call)
{
    call->held.ended = true;
    if (!call->held.stopped)
        end(call);
}

void input_resume(struct call *call)
{
    struct held *held = &call->held;

    if (call->state != CALL_RECEIVING || !held->stopped)
        return;
    const uint8_t *bytes = held->bytes + held->at;
    size_t count = held->count - held->at;

    if (!read_bytes(call, &bytes, &count))
        return;
    held->at = held->count - count;
    if (held->stopped)
        return;
    input_fini(call);
    call_give_credit(call);
    if (held->ended)
        end(call);
}

void input_fini(struct call *call)
{
    struct held *held = &call->held;

    account_free(call->account, held->bytes);
    held->bytes = NULL;
    held->at = held->count = held->capacity = 0;
}
