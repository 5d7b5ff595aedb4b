/* SPDX-License-Identifier: Apache-2.0 */
/* A unary call: channel_begin submits the request; channel_step writes HEADERS and
 * DATA, reads HEADERS, DATA and trailers, and gives them to the exchange; nghttp2
 * closes the stream; channel_release has nothing to do.
 *
 * nghttp2 never copies DATA: read_request_cb returns how many bytes the next frame has, and
 * send_data_cb puts the frame's head and the exchange's slices into the send queue. While the
 * queue is full send_data_cb returns WOULDBLOCK, and nghttp2 calls it again later.
 *
 * Failures. The peer resets the stream, or its GOAWAY excludes it: the exchange gets the code.
 * The peer ends the reply before the request is complete: the exchange is DONE, and
 * channel_release resets the stream. The peer breaks HTTP/2 or sends no SETTINGS, or the socket
 * fails: the channel is LOST, and the exchange is aborted. The exchange fails by itself (bad
 * reply, deadline): channel_release resets the stream. */
#include "client/lib/channel.h"

#include <assert.h>
#include <errno.h>
#include <nghttp2/nghttp2.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "base/states.h"
#include "client/lib/request.h"
#include "client/lib/sendq.h"
#include "client/lib/transport.h"

enum {
    STREAM_WINDOW_BYTES = 4 << 20,
    CONNECTION_WINDOW_BYTES = 16 << 20,
    HEADER_LIST_BYTES_MAX = 16 << 10,
    STEP_ROUNDS_MAX = 8, /* writes and reads of a step; then other channels go on */
};
_Static_assert(CONNECT_MS_MAX == 20 * 1000, "channel_step's message names the time");

enum channel_state {
    CHANNEL_CONNECTING,
    CHANNEL_OPEN,
    CHANNEL_LEAVING, /* GOAWAY came: the exchange may end, no other may begin */
    CHANNEL_LOST,
};

static const struct state_row rows[] = {
    [CHANNEL_CONNECTING] = {"connecting", STATE_TO(CHANNEL_OPEN)},
    [CHANNEL_OPEN] = {"open", STATE_TO(CHANNEL_LEAVING) | STATE_TO(CHANNEL_LOST)},
    [CHANNEL_LEAVING] = {"leaving", STATE_TO(CHANNEL_LOST)},
    [CHANNEL_LOST] = {"lost", 0},
};
static const struct states channel_states = STATES("channel", rows);

struct channel {
    enum channel_state state;
    nghttp2_session *session;
    bool settled;              /* the daemon's SETTINGS have come */
    struct exchange *exchange; /* borrowed from begin to release */
    int32_t stream;            /* its id while it is open; 0: none */
    const struct address *address;
    struct sendq queue;
    struct transport transport;
};

/* The connection is lost: its exchange fails. */
static void channel_fail(struct channel *channel, enum trit_status status,
                         const char *why)
{
    struct failure failure = {.status = TRIT_OK};

    if (!state_try(&channel_states, &channel->state, CHANNEL_LOST) || !channel->exchange)
        return;
    fail(&failure, status, NULL, "connection to %s lost: %s", channel->address->text,
         why);
    exchange_abort(channel->exchange, &failure);
}

/* ---- nghttp2's callbacks, in the order they fire -------------------------------- */

static bool is_ours(const struct channel *channel, int32_t stream)
{
    return channel->stream == stream && channel->exchange;
}

static ssize_t read_request_cb(nghttp2_session *session, int32_t stream, uint8_t *buf,
                               size_t length, uint32_t *flags,
                               nghttp2_data_source *source, void *user)
{
    struct channel *channel = user;
    bool last = false;
    size_t count;

    (void)session, (void)buf, (void)source;
    if (!is_ours(channel, stream))
        return NGHTTP2_ERR_DEFERRED;
    count = exchange_available(channel->exchange, length, &last);
    if (count == 0 && !last)
        return NGHTTP2_ERR_DEFERRED; /* it failed: channel_release resets; or it waits */
    *flags |= NGHTTP2_DATA_FLAG_NO_COPY | (last ? (uint32_t)NGHTTP2_DATA_FLAG_EOF : 0);
    return (ssize_t)count;
}

/* As large as the peer and its windows allow; without this, nghttp2 uses 16 KiB. */
static ssize_t frame_bytes_cb(nghttp2_session *session, uint8_t frame_type,
                              int32_t stream, int32_t connection_window,
                              int32_t stream_window, uint32_t peer_frame_bytes_max,
                              void *user)
{
    int32_t bytes = connection_window < stream_window ? connection_window : stream_window;

    (void)session, (void)frame_type, (void)stream, (void)user;
    if (bytes > CHANNEL_FRAME_BYTES_MAX)
        bytes = CHANNEL_FRAME_BYTES_MAX;
    return (uint32_t)bytes < peer_frame_bytes_max ? bytes : (int32_t)peer_frame_bytes_max;
}

static int send_data_cb(nghttp2_session *session, nghttp2_frame *frame,
                        const uint8_t *head, size_t length, nghttp2_data_source *source,
                        void *user)
{
    enum { HEAD_BYTES = 9 };
    struct channel *channel = user;
    bool queued;

    (void)session, (void)source;
    assert(
        is_ours(channel, frame->hd.stream_id)); /* nghttp2 drops DATA of closed streams */
    if (!sendq_has_room(&channel->queue))
        return NGHTTP2_ERR_WOULDBLOCK;
    queued = sendq_copy(&channel->queue, head, HEAD_BYTES);
    while (queued && length > 0) {
        struct iovec slice = exchange_take(channel->exchange, length);

        queued = sendq_borrow(&channel->queue, slice);
        length -= slice.iov_len;
    }
    return queued ? 0 : NGHTTP2_ERR_CALLBACK_FAILURE;
}

static int header_cb(nghttp2_session *session, const nghttp2_frame *frame,
                     const uint8_t *name, size_t name_len, const uint8_t *value,
                     size_t value_len, uint8_t flags, void *user)
{
    struct channel *channel = user;

    (void)session, (void)name_len, (void)flags;
    if (frame->hd.type == NGHTTP2_HEADERS && is_ours(channel, frame->hd.stream_id))
        exchange_header(channel->exchange, (const char *)name, (const char *)value,
                        value_len, (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0);
    return 0;
}

static int data_cb(nghttp2_session *session, uint8_t flags, int32_t stream,
                   const uint8_t *bytes, size_t count, void *user)
{
    struct channel *channel = user;

    (void)flags;
    if (!is_ours(channel, stream))
        return 0;
    exchange_data(channel->exchange, bytes, count);
    if (channel->exchange->paused)
        nghttp2_session_resume_data(session, stream); /* it may have a message now */
    return 0;
}

static int frame_cb(nghttp2_session *session, const nghttp2_frame *frame, void *user)
{
    struct channel *channel = user;

    (void)session;
    if (frame->hd.type == NGHTTP2_SETTINGS)
        channel->settled = true;
    if (frame->hd.type == NGHTTP2_GOAWAY && channel->state == CHANNEL_OPEN)
        state_move(&channel_states, &channel->state, CHANNEL_LEAVING);
    if ((frame->hd.type == NGHTTP2_HEADERS || frame->hd.type == NGHTTP2_DATA) &&
        (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) &&
        is_ours(channel, frame->hd.stream_id))
        exchange_ended(channel->exchange);
    return 0;
}

static int unsent_cb(nghttp2_session *session, const nghttp2_frame *frame, int error,
                     void *user)
{
    struct channel *channel = user;

    (void)session, (void)error;
    if (frame->hd.type == NGHTTP2_HEADERS && is_ours(channel, frame->hd.stream_id))
        exchange_reset(channel->exchange, NGHTTP2_REFUSED_STREAM);
    return 0;
}

static int closed_cb(nghttp2_session *session, int32_t stream, uint32_t code, void *user)
{
    struct channel *channel = user;

    (void)session;
    if (is_ours(channel, stream)) {
        exchange_reset(channel->exchange, code); /* does nothing when it is DONE */
        channel->stream = 0;
    }
    return 0;
}

/* ---- opening and closing -------------------------------------------------------- */

static nghttp2_session *session_new(struct channel *channel)
{
    const nghttp2_settings_entry settings[] = {
        {NGHTTP2_SETTINGS_ENABLE_PUSH, 0},
        {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, STREAM_WINDOW_BYTES},
        {NGHTTP2_SETTINGS_MAX_FRAME_SIZE, CHANNEL_FRAME_BYTES_MAX},
        {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, HEADER_LIST_BYTES_MAX},
    };
    nghttp2_session_callbacks *callbacks;
    nghttp2_session *session = NULL;

    if (nghttp2_session_callbacks_new(&callbacks) != 0)
        return NULL;
    nghttp2_session_callbacks_set_data_source_read_length_callback(callbacks,
                                                                   frame_bytes_cb);
    nghttp2_session_callbacks_set_send_data_callback(callbacks, send_data_cb);
    nghttp2_session_callbacks_set_on_header_callback(callbacks, header_cb);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, data_cb);
    nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, frame_cb);
    nghttp2_session_callbacks_set_on_frame_not_send_callback(callbacks, unsent_cb);
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, closed_cb);
    if (nghttp2_session_client_new(&session, callbacks, channel) == 0 &&
        (nghttp2_submit_settings(session, NGHTTP2_FLAG_NONE, settings,
                                 sizeof(settings) / sizeof(settings[0])) != 0 ||
         nghttp2_session_set_local_window_size(session, NGHTTP2_FLAG_NONE, 0,
                                               CONNECTION_WINDOW_BYTES) != 0)) {
        nghttp2_session_del(session);
        session = NULL;
    }
    nghttp2_session_callbacks_del(callbacks);
    return session;
}

struct channel *channel_open(const struct address *address, const struct secure *secure,
                             uint64_t deadline_ns, struct failure *failure)
{
    struct channel *channel = malloc(sizeof(*channel));
    nghttp2_session *session = channel ? session_new(channel) : NULL;
    if (!session) {
        free(channel);
        fail(failure, TRIT_RESOURCE_EXHAUSTED, NULL, "out of memory for a connection");
        return NULL;
    }
    channel->state = CHANNEL_CONNECTING;
    channel->session = session;
    channel->settled = false;
    channel->exchange = NULL;
    channel->stream = 0;
    sendq_init(&channel->queue);
    channel->address = address;
    if (transport_begin(&channel->transport, address, secure, deadline_ns, failure) == 0)
        return channel;
    nghttp2_session_del(session);
    free(channel);
    return NULL;
}

int channel_connect(struct channel *channel, struct failure *failure)
{
    const int result = channel->state == CHANNEL_CONNECTING
                           ? transport_step(&channel->transport, failure)
                           : 1;
    if (result > 0)
        state_try(&channel_states, &channel->state, CHANNEL_OPEN);
    return result;
}

void channel_abandon(struct channel *channel)
{
    if (!channel)
        return;
    transport_abandon(&channel->transport);
    nghttp2_session_del(channel->session);
    free(channel);
}

/* ---- moving bytes --------------------------------------------------------------- */

/* Fills the queue with the session's output. */
static int produce(struct channel *channel)
{
    const uint8_t *bytes;
    ssize_t count;

    while (sendq_has_room(&channel->queue)) {
        count = nghttp2_session_mem_send(channel->session, &bytes);
        if (count == 0)
            return 0;
        if (count < 0 || !sendq_copy(&channel->queue, bytes, (size_t)count))
            return -1;
    }
    return 0;
}

enum written { WROTE_ALL, WROTE_SOME, WRITE_BROKEN };

static enum written write_out(struct channel *channel)
{
    for (int round = 0; round < STEP_ROUNDS_MAX; round++) {
        if (produce(channel) != 0) {
            channel_fail(channel, TRIT_INTERNAL, "its HTTP/2 session failed");
            return WRITE_BROKEN;
        }
        if (sendq_empty(&channel->queue) && transport_pending(&channel->transport) == 0)
            return WROTE_ALL;
        switch (transport_flush(&channel->transport, &channel->queue)) {
        case SENDQ_EMPTIED:
            break;
        case SENDQ_BLOCKED:
            return WROTE_SOME;
        case SENDQ_FAILED:
            return WRITE_BROKEN;
        }
    }
    return WROTE_SOME;
}

/* True: the daemon's first bytes refuse this connection. */
static bool is_refused(struct channel *channel, const uint8_t *bytes, size_t count)
{
    char why[TLS_WORDS_BYTES];
    const bool refused = transport_refusal(&channel->transport, bytes, count, why);
    if (refused)
        channel_fail(channel, TRIT_UNAVAILABLE, why);
    return refused;
}

static bool reading_is_over(const struct channel *channel)
{
    return channel->state == CHANNEL_LOST ||
           (channel->exchange && channel->exchange->state == EXCHANGE_DONE);
}

/* Gives the session what was received. */
static void digest(struct channel *channel)
{
    const uint8_t *bytes;
    size_t count;
    while (!reading_is_over(channel) &&
           (count = transport_take(&channel->transport, &bytes)) > 0 &&
           !is_refused(channel, bytes, count)) {
        ssize_t used = nghttp2_session_mem_recv(channel->session, bytes, count);
        if (used < 0)
            channel_fail(channel, TRIT_INTERNAL, nghttp2_strerror((int)used));
    }
}

/* Reads until the socket is empty, the exchange is DONE, or the rounds are used up. What
 * an earlier call has left comes first. */
static void read_in(struct channel *channel)
{
    digest(channel);
    for (int round = 0; round < STEP_ROUNDS_MAX && !reading_is_over(channel); round++) {
        const char *ended = transport_ended(&channel->transport);
        ssize_t got;

        if (ended) {
            channel_fail(channel, TRIT_UNAVAILABLE, ended);
            return;
        }
        got = transport_receive(&channel->transport);
        if (got > 0)
            digest(channel);
        else if (got == 0)
            channel_fail(channel, TRIT_UNAVAILABLE, "closed by the daemon");
        else if (errno == EAGAIN || errno == EWOULDBLOCK)
            return;
        else if (errno != EINTR)
            channel_fail(channel, TRIT_UNAVAILABLE, strerror(errno));
    }
}

static bool session_over(const struct channel *channel)
{
    return !nghttp2_session_want_read(channel->session) &&
           !nghttp2_session_want_write(channel->session) && sendq_empty(&channel->queue);
}

void channel_step(struct channel *channel)
{
    enum written written = write_out(channel);
    int error = errno;

    if (channel->state != CHANNEL_LOST)
        read_in(channel); /* also after a failed write: the peer may have said why */
    if (channel->state == CHANNEL_LOST || channel->exchange->state == EXCHANGE_DONE)
        return;
    if (written == WRITE_BROKEN)
        channel_fail(channel, TRIT_UNAVAILABLE, strerror(error));
    else if (session_over(channel))
        channel_fail(channel, TRIT_UNAVAILABLE, "the HTTP/2 session has ended");
    else if (channel_is_silent(channel))
        channel_fail(channel, TRIT_UNAVAILABLE, "no HTTP/2 settings came within 20 s");
}

bool channel_is_settled(const struct channel *channel)
{
    return channel->settled;
}

bool channel_is_silent(const struct channel *channel)
{
    return !channel->settled && transport_is_late(&channel->transport);
}

size_t channel_polls(const struct channel *channel, struct pollfd *polls)
{
    const size_t count = transport_polls(&channel->transport, polls);

    if (channel->state != CHANNEL_CONNECTING &&
        (!sendq_empty(&channel->queue) || nghttp2_session_want_write(channel->session)))
        polls[0].events |= POLLOUT;
    return count;
}

uint64_t channel_wake_ns(const struct channel *channel)
{
    return channel->settled ? UINT64_MAX : transport_wake_ns(&channel->transport);
}

uint64_t channel_queued_bytes(const struct channel *channel)
{
    return channel->queue.bytes + transport_pending(&channel->transport);
}

/* ---- beginning and releasing an exchange --------------------------------------------- */

void channel_begin(struct channel *channel, struct exchange *exchange,
                   uint64_t deadline_ns, const char *authorization)
{
    nghttp2_data_provider body = {.read_callback = read_request_cb};
    struct request request = {.scheme = channel->transport.tls ? "https" : "http",
                              .path = exchange->path,
                              .authority = channel->address->authority,
                              .previous_attempts = exchange->previous_attempts,
                              .authorization = authorization};
    struct failure failure = {.status = TRIT_OK};
    int32_t stream;

    assert(!channel->exchange && channel->state == CHANNEL_OPEN);
    request_headers(&request, deadline_ns);

    channel->exchange = exchange;
    exchange_start(exchange);
    if (*authorization && transport_check_private(&channel->transport, &failure) < 0) {
        exchange_abort(exchange, &failure);
        return;
    }
    stream = nghttp2_submit_request(channel->session, NULL, request.headers,
                                    request.count, &body, channel);
    if (stream < 0)
        channel_fail(channel, TRIT_UNAVAILABLE, nghttp2_strerror(stream));
    else
        channel->stream = stream;
}

bool channel_release(struct channel *channel)
{
    const struct exchange *exchange = channel->exchange;
    bool clean = true;

    if (channel->state != CHANNEL_LOST && channel->stream != 0) {
        uint32_t code = exchange->failure.status == TRIT_OK || exchange->has_status
                            ? NGHTTP2_NO_ERROR
                            : NGHTTP2_CANCEL;

        nghttp2_submit_rst_stream(channel->session, NGHTTP2_FLAG_NONE, channel->stream,
                                  code);
    }
    if (channel->state != CHANNEL_LOST)
        clean = write_out(channel) == WROTE_ALL;
    channel->exchange = NULL;
    channel->stream = 0;
    return clean && channel->state == CHANNEL_OPEN;
}

bool channel_usable(struct channel *channel)
{
    read_in(channel);
    return channel->state == CHANNEL_OPEN && write_out(channel) == WROTE_ALL &&
           nghttp2_session_check_request_allowed(channel->session);
}

void channel_close(struct channel *channel)
{
    if (!channel)
        return;
    if (channel->state == CHANNEL_OPEN && sendq_empty(&channel->queue) &&
        nghttp2_session_terminate_session(channel->session, NGHTTP2_NO_ERROR) == 0)
        write_out(channel);
    (channel->state == CHANNEL_CONNECTING ? transport_abandon
                                          : transport_close)(&channel->transport);
    nghttp2_session_del(channel->session);
    free(channel);
}
