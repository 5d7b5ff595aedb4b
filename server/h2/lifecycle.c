/* SPDX-License-Identifier: Apache-2.0 */
/* The life of a session: create, receive, destroy. nghttp2's callbacks stand in
 * input.c and output.c, the states in state.c. */
#include "h2/impl.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "base/peer.h"

enum {
    /* Frames that a peer provoked and does not read. nghttp2 1.52 limits only
     * acknowledgements; this is the default of later versions. */
    QUEUED_FRAMES_MAX = 5000,
};

/* nghttp2 allocates through the peer's account. Its memory is charged, and a test which
 * makes our allocations fail makes nghttp2's fail too. A failure ends the connection, so
 * nghttp2 may use the last part of the budget; streams are refused before it is needed. */
static void *mem_malloc(size_t bytes, void *recycler)
{
    return recycler_alloc(recycler, bytes);
}

static void mem_free(void *memory, void *recycler)
{
    recycler_free(recycler, memory);
}

static void *mem_calloc(size_t count, size_t bytes, void *recycler)
{
    return recycler_calloc(recycler, count, bytes);
}

static void *mem_realloc(void *memory, size_t bytes, void *recycler)
{
    return recycler_realloc(recycler, memory, bytes);
}

static int create_ng(struct h2_session *session)
{
    nghttp2_mem mem = {&session->recycler, mem_malloc, mem_free, mem_calloc, mem_realloc};
    nghttp2_session_callbacks *callbacks;
    nghttp2_option *option;
    int code = NGHTTP2_ERR_NOMEM;

    if (nghttp2_session_callbacks_new(&callbacks) != 0)
        return code;
    if (nghttp2_option_new(&option) != 0)
        goto del_callbacks;
    input_callbacks(callbacks);
    output_callbacks(callbacks);
    nghttp2_option_set_no_auto_window_update(option, 1);
    nghttp2_option_set_no_http_messaging(option, 1); /* `h2/rules` does it */
    nghttp2_option_set_no_closed_streams(option, 1); /* only priorities need them */
    code = nghttp2_session_server_new3(&session->ng, callbacks, session, option, &mem);
    nghttp2_option_del(option);
del_callbacks:
    nghttp2_session_callbacks_del(callbacks);
    return code;
}

/* Queues SETTINGS, which leave with the first batch: gRPC clients wait for them.
 * output.c then subtracts STREAMS_SLACK in the frame. The connection's window is
 * not a setting: a WINDOW_UPDATE opens it. */
static int submit_settings(struct h2_session *session, const struct limits *limits)
{
    const nghttp2_settings_entry settings[] = {
        {NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS,
         limits->streams_per_connection_max + STREAMS_SLACK},
        {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, (uint32_t)limits->stream_window_bytes},
        {NGHTTP2_SETTINGS_MAX_FRAME_SIZE, (uint32_t)limits->frame_bytes_max},
        {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, HEADER_BYTES_MAX},
    };
    int code = nghttp2_submit_settings(session->ng, NGHTTP2_FLAG_NONE, settings,
                                       sizeof(settings) / sizeof(settings[0]));

    if (code != 0)
        return code;
    return nghttp2_session_set_local_window_size(
        session->ng, NGHTTP2_FLAG_NONE, 0, (int32_t)limits->connection_window_bytes);
}

struct h2_session *h2_create(const struct limits *limits, const struct h2_events *events,
                             void *owner, const struct peer *peer,
                             void (*wake)(void *waker), void *waker)
{
    struct account *account = peer ? peer->account : NULL;
    struct h2_session *session = account_calloc(account, 1, sizeof(*session));

    if (!session)
        return NULL;
    session->account = account;
    session->recycler.account = account;
    session->events = events;
    session->owner = owner;
    session->peer = peer;
    session->wake = wake;
    session->waker = waker;
    session->state = SESSION_OPEN;
    session->streams_max = limits->streams_per_connection_max;
    list_init(&session->streams);
    list_init(&session->dead);
    batch_init(&session->batch);
    frame_walk_init(&session->walk);
    meter_init(&session->glitches);
    meter_init(&session->control_frames);
    if (create_ng(session) != 0)
        goto free_session;
    if (submit_settings(session, limits) != 0)
        goto del_ng;
    return session;

del_ng:
    nghttp2_session_del(session->ng);
free_session:
    recycler_trim(&session->recycler, 0);
    account_free(account, session);
    return NULL;
}

static void end_all(struct list *streams)
{
    while (!list_empty(streams)) {
        struct h2_stream *stream = LIST_OWNER(streams->next, struct h2_stream, link);

        stream_close(stream, NGHTTP2_CONNECT_ERROR);
        stream_end(stream);
    }
}

void h2_destroy(struct h2_session *session)
{
    if (!session)
        return;
    session->in_io = true; /* no h2_produce follows */
    batch_close(&session->batch);
    end_all(&session->dead);
    end_all(&session->streams);
    header_block_fini(&session->headers, &session->recycler);
    nghttp2_session_del(session->ng);
    recycler_trim(&session->recycler, 0);
    account_free(session->account, session);
}

static int receive_failed(struct h2_session *session, int code, struct failure *failure)
{
    if (code == NGHTTP2_ERR_NOMEM)
        session_break(session);
    else
        session_fail(session,
                     code == NGHTTP2_ERR_FLOODED ? NGHTTP2_ENHANCE_YOUR_CALM
                                                 : NGHTTP2_PROTOCOL_ERROR,
                     nghttp2_strerror(code));
    return fail(failure, TRIT_UNAVAILABLE, NULL, "connection: %s",
                session->fail_reason ? session->fail_reason : nghttp2_strerror(code));
}

int h2_receive(struct h2_session *session, const uint8_t *bytes, size_t count,
               struct failure *failure)
{
    if (!session_takes_input(session))
        return receive_failed(session, NGHTTP2_ERR_CALLBACK_FAILURE, failure);
    session->in_io = true;
    account_batch_begin(session->account);
    int code = feed(session, bytes, count);
    session_check(session,
                  nghttp2_session_consume_connection(session->ng, session->consumed));
    session->consumed = 0;
    session_batch_end(session);
    if (nghttp2_session_get_outbound_queue_size(session->ng) > QUEUED_FRAMES_MAX)
        session_fail(session, NGHTTP2_ENHANCE_YOUR_CALM, "too many frames unsent");
    session->in_io = false;
    if (code < 0)
        return receive_failed(session, code, failure);
    if (!session_takes_input(session))
        return receive_failed(session, NGHTTP2_ERR_CALLBACK_FAILURE, failure);
    return 0;
}

bool h2_over(const struct h2_session *session)
{
    if (session->batch.state != BATCH_NONE)
        return false;
    if (session->state == SESSION_BROKEN)
        return true;
    return !session->goaway_due && !nghttp2_session_want_write(session->ng) &&
           (session->state == SESSION_FAILED || !nghttp2_session_want_read(session->ng));
}

bool h2_preface_received(const struct h2_session *session)
{
    return session->preface_received;
}

bool h2_headers_unfinished(const struct h2_session *session)
{
    return session->block_open;
}

/* The request is finished, and the answer does not wait for the peer to read it. */
static bool stream_owes_answer(const struct h2_stream *stream)
{
    return stream->peer_done && stream->queued == 0;
}

bool h2_owes_answer(const struct h2_session *session)
{
    for (const struct list *node = session->streams.next; node != &session->streams;
         node = node->next)
        if (stream_owes_answer(LIST_OWNER(node, struct h2_stream, link)))
            return true;
    return false;
}

size_t h2_streams(const struct h2_session *session)
{
    return session->stream_count;
}

const struct h2_counters *h2_counters(const struct h2_session *session)
{
    return &session->counters;
}
