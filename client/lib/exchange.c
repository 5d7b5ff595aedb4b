/* SPDX-License-Identifier: Apache-2.0 */
#include "client/lib/exchange.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/number.h"
#include "base/states.h"
#include "proto/base64.h"
#include "proto/codec/codec.h"

enum { HTTP_OK = 200 };

static const struct state_row rows[] = {
    [EXCHANGE_IDLE] = {"idle", STATE_TO(EXCHANGE_OPEN) | STATE_TO(EXCHANGE_DONE)},
    [EXCHANGE_OPEN] = {"open", STATE_TO(EXCHANGE_DONE)},
    [EXCHANGE_DONE] = {"done", 0},
};
static const struct states exchange_states = STATES("exchange", rows);

void exchange_init(struct exchange *exchange, const char *path,
                   const struct exchange_ops *ops, void *owner)
{
    *exchange = (struct exchange){.path = path, .ops = ops, .owner = owner};
    deframer_init(&exchange->deframer);
}

bool exchange_may_rewind(const struct exchange *exchange)
{
    return !exchange->ops->may_rewind || exchange->ops->may_rewind(exchange->owner);
}

void exchange_rewind(struct exchange *exchange)
{
    exchange->ops->rewind(exchange->owner);
    exchange_init(exchange, exchange->path, exchange->ops, exchange->owner);
}

void exchange_start(struct exchange *exchange)
{
    state_move(&exchange_states, &exchange->state, EXCHANGE_OPEN);
}

static void done(struct exchange *exchange)
{
    state_move(&exchange_states, &exchange->state, EXCHANGE_DONE);
}

/* ---- request ------------------------------------------------------------------ */

static void outgoing_add(struct outgoing *message, const void *bytes, size_t count)
{
    assert(message->count < MESSAGE_SLICES_MAX);
    message->slices[message->count++] = (struct iovec){(void *)(uintptr_t)bytes, count};
}

void outgoing_head(struct outgoing *message, const uint8_t *bytes, size_t count)
{
    assert(count < EXCHANGE_COPY_BYTES_MAX);
    outgoing_add(message, bytes, count);
}

void outgoing_payload(struct outgoing *message, const void *bytes, uint64_t count)
{
    message->payload |= 1u << message->count;
    outgoing_add(message, bytes, count);
}

static int next_message(struct exchange *exchange)
{
    struct outgoing *message = &exchange->message;
    uint64_t length = 0;

    *message = (struct outgoing){.count = 0};
    const int result = exchange->ops->next(exchange->owner, message, &exchange->failure);
    exchange->paused = result == EXCHANGE_PAUSED;
    if (result != 0)
        return result;
    exchange->payload_bytes += message->shared;
    for (size_t i = 0; i < message->count; i++)
        length += message->slices[i].iov_len;
    if (length > UINT32_MAX)
        return fail(&exchange->failure, TRIT_RESOURCE_EXHAUSTED, NULL,
                    "the request's %" PRIu64
                    " bytes do not fit one gRPC message (4 GiB - 1)",
                    length);
    frame_prefix(exchange->prefix, (uint32_t)length);
    exchange->message_left = GRPC_PREFIX_BYTES + length;
    exchange->slice = exchange->slice_at = 0;
    exchange->asked_all = message->last;
    return 0;
}

size_t exchange_available(struct exchange *exchange, size_t max, bool *last)
{
    size_t count;

    *last = false;
    if (exchange->state != EXCHANGE_OPEN)
        return 0;
    if (exchange->message_left == 0 && next_message(exchange) != 0) {
        if (!exchange->paused)
            done(exchange);
        return 0;
    }
    count = exchange->message_left < max ? (size_t)exchange->message_left : max;
    *last = exchange->asked_all && count == exchange->message_left;
    return count;
}

static struct iovec current_slice(struct exchange *exchange)
{
    if (exchange->slice == 0)
        return (struct iovec){exchange->prefix, GRPC_PREFIX_BYTES};
    return exchange->message.slices[exchange->slice - 1];
}

struct iovec exchange_take(struct exchange *exchange, size_t max)
{
    struct iovec taken = current_slice(exchange);

    while (exchange->slice_at == taken.iov_len) { /* skips empty slices */
        exchange->slice++;
        exchange->slice_at = 0;
        assert(exchange->slice <= exchange->message.count);
        taken = current_slice(exchange);
    }
    taken.iov_base = (uint8_t *)taken.iov_base + exchange->slice_at;
    taken.iov_len -= exchange->slice_at;
    if (taken.iov_len > max)
        taken.iov_len = max;
    exchange->slice_at += taken.iov_len;
    exchange->message_left -= taken.iov_len;
    if (exchange->slice > 0 && (exchange->message.payload >> (exchange->slice - 1) & 1))
        exchange->payload_bytes += taken.iov_len;
    return taken;
}

/* ---- response ----------------------------------------------------------------- */

static int number(const char *text, size_t len)
{
    uint64_t value;

    return len > 0 && len <= 3 && parse_digits(text, len, &value) == len ? (int)value
                                                                         : -1;
}

/* A pause that cannot be read means that the call must not be tried again (gRFC A6). */
static int64_t pushback(const char *text, size_t len)
{
    uint64_t ms;

    return len > 0 && len <= 10 && parse_digits(text, len, &ms) == len ? (int64_t)ms : -1;
}

/* A NUL follows the value, but the value may contain other NULs. */
static void keep_text(char *out, size_t bytes, const char *value, size_t value_len)
{
    size_t len = value_len < bytes - 1 ? value_len : bytes - 1;

    memcpy(out, value, len);
    out[len] = '\0';
}

void exchange_header(struct exchange *exchange, const char *name, const char *value,
                     size_t value_len, bool final)
{
    static const char grpc_type[] = "application/grpc";

    if (exchange->state != EXCHANGE_OPEN)
        return;
    exchange->response_started = true;
    if (strcmp(name, ":status") == 0) {
        exchange->http_status = number(value, value_len);
    } else if (strcmp(name, "content-type") == 0) {
        keep_text(exchange->content_type, sizeof(exchange->content_type), value,
                  value_len);
        exchange->is_grpc =
            strncasecmp(exchange->content_type, grpc_type, sizeof(grpc_type) - 1) == 0;
    } else if (!final) {
        if (exchange->ops->header)
            exchange->ops->header(exchange->owner, name, value, value_len);
    } else if (strcmp(name, "grpc-status") == 0) {
        int status = number(value, value_len);

        exchange->has_status = true;
        exchange->grpc_status = status >= 0 && status <= TRIT_UNAUTHENTICATED
                                    ? (uint32_t)status
                                    : TRIT_UNKNOWN;
    } else if (strcmp(name, "grpc-message") == 0) {
        message_unescape(value, exchange->text, sizeof(exchange->text));
    } else if (strcmp(name, "grpc-retry-pushback-ms") == 0) {
        exchange->has_pushback = true;
        exchange->pushback_ms = pushback(value, value_len);
    } else if (strcmp(name, "grpc-status-details-bin") == 0) {
        if (value_len <= DETAILS_TEXT_BYTES_MAX)
            keep_text(exchange->details, sizeof(exchange->details), value, value_len);
    }
}

static int take_reply(struct exchange *exchange, const struct deframed *frame,
                      enum deframe_event event)
{
    const struct exchange_ops *ops = exchange->ops;

    switch (event) {
    case DEFRAME_MORE:
        return 0;
    case DEFRAME_MESSAGE:
        if (frame->compressed)
            return fail(
                &exchange->failure, TRIT_INTERNAL, NULL,
                "the reply is compressed, but the request did not offer compression");
        return ops->message(exchange->owner, frame->length, &exchange->failure);
    case DEFRAME_BYTES:
        return ops->bytes(exchange->owner, frame->bytes, frame->count,
                          &exchange->failure);
    case DEFRAME_END:
        return ops->end(exchange->owner, &exchange->failure);
    }
    return -1;
}

void exchange_data(struct exchange *exchange, const uint8_t *bytes, size_t count)
{
    enum deframe_event event;
    struct deframed frame;

    if (exchange->state != EXCHANGE_OPEN)
        return;
    exchange->response_started = true;
    if (!exchange->is_grpc)
        return; /* a proxy's page: its HTTP status gives the failure */
    do {
        event = deframe(&exchange->deframer, &bytes, &count, &frame);
        if (take_reply(exchange, &frame, event) != 0) {
            done(exchange);
            return;
        }
    } while (event != DEFRAME_MORE);
}

/* Reads the field at fault from the google.rpc details, if the reply has any. */
static void details_field(const struct exchange *exchange, char field[64])
{
    uint8_t bytes[DETAILS_TEXT_BYTES_MAX];
    ptrdiff_t count =
        base64_decode(exchange->details, strlen(exchange->details), bytes, sizeof(bytes));

    if (count > 0)
        decode_status_details(bytes, (size_t)count, field);
}

static void ended_with_status(struct exchange *exchange)
{
    char field[64] = "";

    if (exchange->grpc_status != TRIT_OK) {
        details_field(exchange, field);
        fail(&exchange->failure, (enum trit_status)exchange->grpc_status, field, "%s",
             exchange->text[0] ? exchange->text
                               : "the daemon failed the call without a message");
    } else if (!deframer_idle(&exchange->deframer)) {
        fail(&exchange->failure, TRIT_INTERNAL, NULL, "the reply ends inside a message");
    } else {
        exchange->ops->finish(exchange->owner, &exchange->failure);
    }
}

void exchange_ended(struct exchange *exchange)
{
    if (exchange->state != EXCHANGE_OPEN)
        return;
    if (exchange->has_status)
        ended_with_status(exchange);
    else if (exchange->http_status != HTTP_OK)
        fail(&exchange->failure, status_from_http(exchange->http_status), NULL,
             "HTTP status %d without a gRPC status", exchange->http_status);
    else if (!exchange->is_grpc)
        fail(&exchange->failure, TRIT_UNKNOWN, NULL,
             "the reply is not gRPC: its content-type is \"%s\"", exchange->content_type);
    else
        fail(&exchange->failure, status_from_http(HTTP_OK), NULL,
             "the reply ended without a gRPC status");
    done(exchange);
}

void exchange_reset(struct exchange *exchange, uint32_t h2_code)
{
    if (exchange->state != EXCHANGE_OPEN)
        return;
    exchange->unprocessed =
        h2_code == HTTP2_REFUSED_STREAM && !exchange->response_started;
    fail(&exchange->failure, status_from_h2(h2_code), NULL,
         h2_code == HTTP2_REFUSED_STREAM
             ? "the daemon refused the stream (HTTP/2 code %u)"
             : "the daemon reset the stream with HTTP/2 code %u",
         h2_code);
    done(exchange);
}

void exchange_abort(struct exchange *exchange, const struct failure *failure)
{
    if (exchange->state == EXCHANGE_DONE)
        return;
    exchange->failure = *failure;
    done(exchange);
}
