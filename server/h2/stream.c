/* SPDX-License-Identifier: Apache-2.0 */
/* A stream's memory: its creation, and its end, which waits until no batch points
 * to its slices. */
#include <stdlib.h>

#include "h2/impl.h"

struct h2_stream *stream_create(struct h2_session *session, int32_t id)
{
    struct h2_stream *stream = recycler_calloc(&session->recycler, 1, sizeof(*stream));

    if (!stream)
        return NULL;
    stream->session = session;
    stream->id = id;
    stream->state = STREAM_OPENING;
    list_init(&stream->queue);
    list_push(&session->streams, &stream->link);
    session->stream_count++;
    return stream;
}

/* A request's frames mostly come one after another. */
struct h2_stream *stream_find(struct h2_session *session, int32_t id)
{
    if (!session->latest || session->latest->id != id)
        session->latest = nghttp2_session_get_stream_user_data(session->ng, id);
    return session->latest;
}

void stream_end(struct h2_stream *stream)
{
    struct h2_session *session = stream->session;
    struct list *node;

    list_remove(&stream->link);
    session->stream_count--;
    while ((node = list_pop(&stream->queue))) {
        struct h2_slice *slice = LIST_OWNER(node, struct h2_slice, link);

        slice->release(slice);
    }
    if (stream->announced)
        session->events->closed(stream, stream->close_code);
    recycler_free(&session->recycler, stream->trailers);
    recycler_free(&session->recycler, stream);
}

static bool stream_in_batch(const struct h2_stream *stream)
{
    const struct batch *batch = &stream->session->batch;

    return batch->state != BATCH_NONE && stream->batch_serial == batch->serial;
}

void stream_close(struct h2_stream *stream, uint32_t code)
{
    if (stream->session->latest == stream)
        stream->session->latest = NULL;
    /* The owner reads code 0 as: the whole response left. A peer can reset with 0. */
    if (stream->state == STREAM_ENDED)
        code = NGHTTP2_NO_ERROR;
    else if (code == NGHTTP2_NO_ERROR)
        code = NGHTTP2_CANCEL;
    if (stream->stop != STOP_NONE)
        stream->session->stops_due--;
    stream->stop = STOP_NONE;
    if (state_try(&stream_states, &stream->state, STREAM_CLOSED))
        stream->close_code = code;
}

void stream_retire(struct h2_stream *stream, uint32_t code)
{
    stream_close(stream, code);
    if (stream_in_batch(stream)) {
        list_remove(&stream->link);
        list_push(&stream->session->dead, &stream->link);
    } else {
        stream_end(stream);
    }
}

const struct peer *h2_stream_peer(const struct h2_stream *stream)
{
    return stream->session->peer;
}

bool h2_stream_no_memory(const struct h2_stream *stream)
{
    return stream->refused;
}

void *h2_stream_user(const struct h2_stream *stream)
{
    return stream->user;
}

void h2_stream_set_user(struct h2_stream *stream, void *user)
{
    stream->user = user;
}

size_t h2_stream_queued(const struct h2_stream *stream)
{
    return stream->queued;
}

uint64_t h2_stream_taken(const struct h2_stream *stream)
{
    return stream->taken;
}

int32_t h2_stream_window(const struct h2_stream *stream)
{
    return nghttp2_session_get_stream_remote_window_size(stream->session->ng, stream->id);
}

const struct h2_counters *h2_stream_counters(const struct h2_stream *stream)
{
    return &stream->session->counters;
}
