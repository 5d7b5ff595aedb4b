/* SPDX-License-Identifier: Apache-2.0 */
#include "client/lib/unary.h"

static int unary_next(void *owner, struct outgoing *message, struct failure *failure)
{
    struct unary *unary = owner;

    unary->begun = true;
    if (unary->next)
        return unary->next(unary->source, message, failure);
    *message = unary->request;
    message->last = true;
    return 0;
}

static int unary_message(void *owner, uint32_t length, struct failure *failure)
{
    struct unary *unary = owner;

    if (unary->reply.messages > 0)
        return fail(failure, TRIT_INTERNAL, NULL,
                    "the reply holds more than one message");
    return reply_message(&unary->reply, length, failure);
}

static int unary_bytes(void *owner, const uint8_t *bytes, size_t count,
                       struct failure *failure)
{
    struct unary *unary = owner;

    return reply_bytes(&unary->reply, bytes, count, failure);
}

static int unary_end(void *owner, struct failure *failure)
{
    struct unary *unary = owner;

    int result = reply_end(&unary->reply, failure);

    if (result == 0 && unary->interim)
        result = unary->interim(unary->source, &unary->reply.scan, failure);
    unary->reply.messages -= result > 0;
    return result < 0 ? -1 : 0;
}

static int piece_whole(const struct piece *piece, struct failure *failure)
{
    return piece->sink ? sink_whole(piece->sink, failure) : 0;
}

static int unary_finish(void *owner, struct failure *failure)
{
    struct unary *unary = owner;
    const struct reply *reply = &unary->reply;

    if (reply->messages == 0)
        return fail(failure, TRIT_INTERNAL, NULL,
                    "status OK, but the reply holds no message");
    if (piece_whole(&reply->data, failure) < 0 ||
        piece_whole(&reply->scales, failure) < 0 ||
        piece_whole(&reply->reference, failure) < 0)
        return -1;
    return unary->decode(unary->result, &reply->scan, failure);
}

static void unary_rewind(void *owner)
{
    struct unary *unary = owner;

    if (unary->rewind)
        unary->rewind(unary->source);
    reply_rewind(&unary->reply);
}

static bool piece_may_rewind(const struct piece *piece, const struct outgoing *request)
{
    for (size_t i = 0; piece->sink && i < request->count; i++)
        if (!sink_may_rewind(piece->sink, request->slices[i].iov_base,
                             request->slices[i].iov_len))
            return false;
    return true;
}

/* Streams write no tensors. */
static bool unary_may_rewind(const void *owner)
{
    const struct unary *unary = owner;
    const struct reply *reply = &unary->reply;

    return piece_may_rewind(&reply->data, &unary->request) &&
           piece_may_rewind(&reply->scales, &unary->request) &&
           piece_may_rewind(&reply->reference, &unary->request);
}

void unary_init(struct unary *unary, const char *path, struct exchange *exchange)
{
    static const struct exchange_ops ops = {
        .next = unary_next,
        .message = unary_message,
        .bytes = unary_bytes,
        .end = unary_end,
        .finish = unary_finish,
        .rewind = unary_rewind,
        .may_rewind = unary_may_rewind,
    };

    exchange_init(exchange, path, &ops, unary);
}

int unary_run(struct unary *unary, const char *path, const struct call *call,
              struct failure *failure)
{
    struct exchange exchange, *exchanges[] = {&exchange};
    int rc;

    unary_init(unary, path, &exchange);
    rc = call_run(call, exchanges, 1, failure);
    unary->settled =
        !unary->begun || (exchange.has_status && exchange.previous_attempts == 0);
    reply_fini(&unary->reply);
    return rc;
}
