/* SPDX-License-Identifier: Apache-2.0 */
/* Output. h2_produce asks nghttp2 for frame after frame until the batch is full
 * or there is nothing to send:
 *
 *   control frames   mem_send returns their bytes, which are copied to staging;
 *   DATA frames      mem_send does not return them. nghttp2 asks read_body how
 *                    many bytes there are and gives send_body the frame header;
 *                    header and slices go straight into the batch.
 *
 * read_body and send_body run one after the other within one mem_send, so the
 * bytes that read_body promised still fit when send_body adds them. When the
 * batch is full, send_body returns PAUSE, and mem_send ends after the frame.
 *
 * The end of a response: in state FINISHING, with no byte left, read_body
 * submits the trailers and reports EOF without END_STREAM. If the peer is still
 * sending when the trailers' HEADERS are in a batch, h2_stop_uploads will ask it to stop
 * with RST_STREAM(NO_ERROR) (gRPC and RFC 9113, 8.1). nghttp2 then closes the stream, possibly in
 * the middle of h2_produce; stream_retire keeps the stream until the batch that
 * points to its slices has been written.
 *
 * Failures: mem_send fails only when memory runs out. The session is then
 * broken, and h2_destroy releases the slices of the batch and of the streams. */
#include <assert.h>
#include <stdlib.h>

#include "base/number.h"
#include "h2/impl.h"

enum {
    /* nghttp2 makes its frame buffer as large as the longest DATA frame, even
     * though it copies nothing there: this bounds that buffer. */
    DATA_FRAME_BYTES_MAX = 256 << 10,
    FRAME_BYTES_DEFAULT = 16 << 10, /* for which the buffer is made */
};

static ssize_t frame_length_max(nghttp2_session *ng, uint8_t frame_type,
                                int32_t stream_id, int32_t connection_window,
                                int32_t stream_window, uint32_t peer_frame_bytes_max,
                                void *user)
{
    const struct h2_stream *stream;
    size_t bytes = u64_min(peer_frame_bytes_max, DATA_FRAME_BYTES_MAX);

    (void)frame_type, (void)user;
    assert(connection_window > 0 && stream_window > 0); /* or nghttp2 would not ask */
    bytes = u64_min(bytes, (size_t)connection_window);
    bytes = u64_min(bytes, (size_t)stream_window);
    if (bytes <= FRAME_BYTES_DEFAULT)
        return (ssize_t)bytes;
    /* The buffer stays as large, so a connection of small replies keeps a small one. */
    stream = nghttp2_session_get_stream_user_data(ng, stream_id);
    if (stream && stream->queued < bytes)
        bytes =
            stream->queued > FRAME_BYTES_DEFAULT ? stream->queued : FRAME_BYTES_DEFAULT;
    return (ssize_t)bytes;
}

/* Ends the body. Trailers follow; without trailers the last DATA frame has
 * END_STREAM. */
static int end_body(struct h2_stream *stream, uint32_t *flags)
{
    struct fields *trailers = stream->trailers;
    const size_t count = trailers ? trailers->count : stream->fixed_count;
    nghttp2_nv fixed[RESPONSE_FIELDS_MAX];
    int code = 0;

    if (!trailers)
        fields_point(fixed, stream->fixed_trailers, count, true);
    *flags |= NGHTTP2_DATA_FLAG_EOF;
    if (count > 0) {
        *flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
        code = nghttp2_submit_trailer(stream->session->ng, stream->id,
                                      trailers ? trailers->nv : fixed, count);
    }
    recycler_free(&stream->session->recycler, trailers);
    stream->trailers = NULL;
    state_move(&stream_states, &stream->state, STREAM_ENDING);
    return code;
}

static ssize_t read_body(nghttp2_session *ng, int32_t stream_id, uint8_t *buffer,
                         size_t bytes_max, uint32_t *flags, nghttp2_data_source *source,
                         void *user)
{
    struct h2_stream *stream = source->ptr;
    struct h2_session *session = user;
    size_t bytes = batch_fits(&session->batch, &stream->queue, bytes_max);

    (void)ng, (void)stream_id, (void)buffer;
    *flags |= NGHTTP2_DATA_FLAG_NO_COPY;
    if (bytes == stream->queued && stream->state == STREAM_FINISHING) {
        if (end_body(stream, flags) != 0)
            return NGHTTP2_ERR_CALLBACK_FAILURE;
    } else if (bytes == 0) {
        stream->deferred = true;
        return NGHTTP2_ERR_DEFERRED;
    }
    return (ssize_t)bytes;
}

nghttp2_data_provider output_of(struct h2_stream *stream)
{
    return (nghttp2_data_provider){.source.ptr = stream, .read_callback = read_body};
}

static int send_body(nghttp2_session *ng, nghttp2_frame *frame, const uint8_t *header,
                     size_t bytes, nghttp2_data_source *source, void *user)
{
    struct h2_stream *stream = source->ptr;
    struct h2_session *session = user;
    bool copied = batch_copy(&session->batch, header, FRAME_HEADER_BYTES);

    (void)ng, (void)frame; /* no padding: we set no select_padding callback */
    assert(copied);
    (void)copied;
    batch_take(&session->batch, &stream->queue, bytes);
    stream->queued -= bytes;
    stream->taken += bytes;
    session->counters.bytes_sent += bytes;
    stream->batch_serial = session->batch.serial;
    return batch_full(&session->batch) ? NGHTTP2_ERR_PAUSE : 0;
}

/* A frame with END_STREAM is in the batch: the response is complete. */
static void ended(struct h2_stream *stream)
{
    struct h2_session *session = stream->session;

    if (!state_try(&stream_states, &stream->state, STREAM_ENDED))
        return; /* h2_reset came first, and its RST_STREAM follows */
    if (!stream->peer_done) {
        stream->stop = STOP_DUE;
        session->stops_due++;
    }
}

static void count_reset(struct h2_session *session, uint32_t code)
{
    session->counters.resets_sent++;
    if (code == NGHTTP2_REFUSED_STREAM)
        session->counters.refused_streams++;
    /* We send NO_ERROR by ourselves, after an early finish. A peer can provoke
     * every other code as often as it likes, and each one frees its stream's
     * place: they count like the resets that we receive. */
    if (code != NGHTTP2_NO_ERROR)
        session_glitch(session);
}

static int on_frame_sent(nghttp2_session *ng, const nghttp2_frame *frame, void *user)
{
    struct h2_session *session = user;
    struct h2_stream *stream;

    if (frame->hd.type == NGHTTP2_RST_STREAM)
        count_reset(session, frame->rst_stream.error_code);
    /* nghttp2 ends the session of a peer that resets too many streams by itself. */
    if (frame->hd.type == NGHTTP2_GOAWAY && session_takes_input(session) &&
        frame->goaway.error_code != NGHTTP2_NO_ERROR)
        session->counters.floods++;
    if (frame->hd.type != NGHTTP2_HEADERS && frame->hd.type != NGHTTP2_DATA)
        return 0;
    session_useful(session, frame->hd.type, frame->hd.length);
    if (!(frame->hd.flags & NGHTTP2_FLAG_END_STREAM))
        return 0;
    stream = nghttp2_session_get_stream_user_data(ng, frame->hd.stream_id);
    if (stream)
        ended(stream);
    return 0;
}

void output_callbacks(nghttp2_session_callbacks *callbacks)
{
    nghttp2_session_callbacks_set_send_data_callback(callbacks, send_body);
    nghttp2_session_callbacks_set_data_source_read_length_callback(callbacks,
                                                                   frame_length_max);
    nghttp2_session_callbacks_set_on_frame_send_callback(callbacks, on_frame_sent);
}

/* Writes the real limit into our one SETTINGS frame, without STREAMS_SLACK. */
static void subtract_slack(const struct h2_session *session, uint8_t *frame, size_t bytes)
{
    const uint32_t max = (uint32_t)session->streams_max;

    for (size_t at = FRAME_HEADER_BYTES; at + 6 <= bytes; at += 6) {
        uint8_t *entry = frame + at;

        if ((entry[0] << 8 | entry[1]) != NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS)
            continue;
        entry[2] = (uint8_t)(max >> 24);
        entry[3] = (uint8_t)(max >> 16);
        entry[4] = (uint8_t)(max >> 8);
        entry[5] = (uint8_t)max;
    }
}

static int fill(struct h2_session *session)
{
    struct batch *batch = &session->batch;

    while (!batch_full(batch)) {
        const uint8_t *bytes;
        ssize_t count = nghttp2_session_mem_send(session->ng, &bytes);

        if (count <= 0)
            return (int)count;
        if (!batch_copy(batch, bytes, (size_t)count)) {
            batch_point(batch, bytes, (size_t)count);
            return 0; /* nghttp2 keeps it until the next mem_send */
        }
        if (bytes[3] == NGHTTP2_SETTINGS)
            subtract_slack(session, batch->staging + batch->staged - count,
                           (size_t)count);
    }
    return 0;
}

int h2_produce(struct h2_session *session, struct iovec *iov, size_t *count,
               struct failure *failure)
{
    session->output_notified = false;
    if (session->state == SESSION_BROKEN)
        return fail(failure, TRIT_UNAVAILABLE, NULL, "connection: out of memory");
    batch_open(&session->batch, iov, *count);
    session->in_io = true;
    account_batch_begin(session->account);
    session_submit_goaway(session);
    int code = fill(session);
    session_batch_end(session);
    session->in_io = false;
    if (code < 0) {
        session_break(session);
        return fail(failure, TRIT_UNAVAILABLE, NULL, "connection: cannot send: %s",
                    nghttp2_strerror(code));
    }
    *count = session->batch.used;
    if (session->batch.used)
        session->batch.state = BATCH_OUT;
    else
        batch_close(&session->batch);
    return 0;
}

void h2_produced(struct h2_session *session)
{
    struct list *node = &session->dead;

    assert(session->batch.state == BATCH_OUT);
    batch_close(&session->batch);
    if (list_empty(node))
        return;
    account_batch_begin(session->account);
    while (node->next != node)
        stream_end(LIST_OWNER(node->next, struct h2_stream, link));
    session_batch_end(session);
}

bool h2_has_output(const struct h2_session *session)
{
    return session->state == SESSION_BROKEN || session->goaway_due ||
           nghttp2_session_want_write(session->ng);
}
