/* SPDX-License-Identifier: Apache-2.0 */
/* Input: turns what nghttp2 finds in the bytes into events.
 *
 *   on_begin_headers  creates a stream; its owner does not know it yet
 *   on_header         keeps its fields, up to the limits
 *   on_frame          headers complete: request(); END_STREAM: end()
 *   on_invalid_frame  headers break a rule, and nghttp2 resets the stream: malformed()
 *   on_data           counts the bytes. h2_receive gives their credit on the connection
 *                     back when it ends, so that a slow call cannot stall the others.
 *                     The owner gives back the stream's credit (h2_credit)
 *   on_stream_close   closed(), now or after the batch with its bytes
 *
 * All of this happens within h2_receive; on_stream_close also happens within
 * h2_produce. An owner may call anything from an event except h2_receive,
 * h2_produce, h2_produced and h2_destroy.
 *
 * nghttp2 1.52 does not limit everything that a peer can do, so this file counts
 * the rest: a control frame costs a token of `control_frames`, and a useful frame
 * gives tokens back; a protocol error costs a token of `glitches`. When a meter
 * is empty, when a request has too many header fields, or when the peer fills the
 * queue faster than it reads, the session fails: the callback returns
 * CALLBACK_FAILURE, h2_receive returns -1, and GOAWAY(ENHANCE_YOUR_CALM) waits
 * for h2_produce. */
#include "h2/impl.h"

#include <stdio.h>
#include <string.h>

#include "base/limits.h"

enum {
    /* What a request and its call take before its bytes, seldom exceeded. */
    STREAM_BYTES = 12 << 10,
};

/* What a callback returns: 0, or the code that makes nghttp2 stop. */
static int callback_result(const struct h2_session *session)
{
    return session_takes_input(session) ? 0 : NGHTTP2_ERR_CALLBACK_FAILURE;
}

static int on_begin_frame(nghttp2_session *ng, const nghttp2_frame_hd *hd, void *user)
{
    struct h2_session *session = user;

    (void)ng;
    session->block_open = hd->type == NGHTTP2_HEADERS || hd->type == NGHTTP2_CONTINUATION;
    switch (hd->type) {
    case NGHTTP2_HEADERS:
        check_closed_stream(session, (uint32_t)hd->stream_id);
        fates_open(&session->fates, (uint32_t)hd->stream_id);
        session_useful(session, hd->type, hd->length);
        break;
    case NGHTTP2_CONTINUATION: /* nghttp2 limits these */
        session_useful(session, hd->type, hd->length);
        break;
    case NGHTTP2_DATA:
        session_useful(session, hd->type, hd->length);
        if (hd->length == 0 && !(hd->flags & NGHTTP2_FLAG_END_STREAM))
            session_glitch(session);
        break;
    default: /* any other type, known to us or not, is a control frame */
        if (!meter_take(&session->control_frames))
            session_fail(session, NGHTTP2_ENHANCE_YOUR_CALM, "too many control frames");
    }
    return callback_result(session);
}

static int refuse(struct h2_session *session, int32_t id)
{
    session_check(session, nghttp2_submit_rst_stream(session->ng, NGHTTP2_FLAG_NONE, id,
                                                     NGHTTP2_REFUSED_STREAM));
    return callback_result(session);
}

static int on_begin_headers(nghttp2_session *ng, const nghttp2_frame *frame, void *user)
{
    struct h2_session *session = user;
    struct h2_stream *stream;
    bool no_memory;

    if (frame->headers.cat != NGHTTP2_HCAT_REQUEST)
        return 0;
    if (session->stream_count >= session->streams_max ||
        !session_covers(session, frame->hd.stream_id))
        return refuse(session, frame->hd.stream_id);
    no_memory = !account_has_room(session->account, STREAM_BYTES);
    if (no_memory && account_is_last_short(session->account))
        return refuse(session, frame->hd.stream_id);
    stream = stream_create(session, frame->hd.stream_id);
    if (!stream)
        return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE; /* RST_STREAM(INTERNAL_ERROR) */
    stream->refused = no_memory;
    header_block_begin(&session->headers);
    nghttp2_session_set_stream_user_data(ng, stream->id, stream);
    return 0;
}

static int on_header(nghttp2_session *ng, const nghttp2_frame *frame, nghttp2_rcbuf *name,
                     nghttp2_rcbuf *value, uint8_t flags, void *user)
{
    struct h2_session *session = user;
    struct h2_stream *stream = stream_find(session, frame->hd.stream_id);

    (void)ng, (void)flags;
    if (!stream)
        return 0;
    if (stream->fields_seen.count >= HEADER_FIELDS_HARD_MAX ||
        stream->fields_seen.bytes >= HEADER_BYTES_HARD_MAX) {
        session_fail(session, NGHTTP2_ENHANCE_YOUR_CALM, "too many header fields");
        return callback_result(session);
    }
    if (stream->state == STREAM_OPENING && !stream->refused)
        return header_block_add(&session->headers, &session->recycler,
                                &stream->fields_seen, name, value) == 0
                   ? 0
                   : NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    /* trailers, which are not kept: gRPC requests have none */
    stream->fields_seen.count++;
    stream->fields_seen.bytes += nghttp2_rcbuf_get_buf(name).len +
                                 nghttp2_rcbuf_get_buf(value).len + HEADER_FIELD_OVERHEAD;
    return 0;
}

static void announce(struct h2_stream *stream)
{
    struct h2_session *session = stream->session;

    state_move(&stream_states, &stream->state, STREAM_OPEN);
    stream->announced = true;
    session->counters.streams_opened++;
    if (stream->refused || fields_too_large(&stream->fields_seen))
        session->events->request_too_large(session->owner, stream);
    else
        session->events->request(session->owner, stream, session->headers.fields,
                                 session->headers.count);
    header_block_end(&session->headers, &session->recycler);
}

/* Whether the owner still wants the request's body. */
static bool wants_body(const struct h2_stream *stream)
{
    return stream->state == STREAM_OPEN || stream->state == STREAM_RESPONDING;
}

static void on_stream_frame(struct h2_session *session, const nghttp2_frame *frame)
{
    struct h2_stream *stream = stream_find(session, frame->hd.stream_id);

    if (frame->hd.flags & NGHTTP2_FLAG_END_STREAM)
        fates_set(&session->fates, (uint32_t)frame->hd.stream_id, FATE_PEER_ENDED);
    if (!stream)
        return;
    if (stream->state == STREAM_OPENING)
        announce(stream);
    if (!(frame->hd.flags & NGHTTP2_FLAG_END_STREAM))
        return;
    stream->peer_done = true;
    if (wants_body(stream))
        session->events->end(stream);
}

static void on_ping(struct h2_session *session, const nghttp2_ping *ping)
{
    if (!(ping->hd.flags & NGHTTP2_FLAG_ACK))
        session->counters.pings_received++;
    else if (session->state == SESSION_DRAINING &&
             memcmp(ping->opaque_data, session_drain_ping, sizeof(session_drain_ping)) ==
                 0)
        h2_drain_finish(session);
}

static int on_frame(nghttp2_session *ng, const nghttp2_frame *frame, void *user)
{
    struct h2_session *session = user;

    (void)ng;
    if (frame->hd.type == NGHTTP2_HEADERS)
        session->block_open = false;
    switch (frame->hd.type) {
    case NGHTTP2_HEADERS:
    case NGHTTP2_DATA:
        on_stream_frame(session, frame);
        break;
    case NGHTTP2_SETTINGS:
        if (!(frame->hd.flags & NGHTTP2_FLAG_ACK))
            session->preface_received = true;
        break;
    case NGHTTP2_RST_STREAM:
        fates_set(&session->fates, (uint32_t)frame->hd.stream_id, FATE_PEER_RESET);
        session->counters.resets_received++;
        break;
    case NGHTTP2_PING:
        on_ping(session, &frame->ping);
        break;
    default: /* nghttp2 handles the others */
        break;
    }
    return callback_result(session);
}

static int on_data(nghttp2_session *ng, uint8_t flags, int32_t stream_id,
                   const uint8_t *bytes, size_t count, void *user)
{
    struct h2_session *session = user;
    struct h2_stream *stream = stream_find(session, stream_id);

    (void)ng;
    session->counters.bytes_received += count;
    session->consumed += count;
    if (stream && wants_body(stream)) {
        stream->last_data = (flags & NGHTTP2_FLAG_END_STREAM) != 0;
        session->events->data(stream, bytes, count);
    }
    return callback_result(session);
}

static int shown_bytes(const char *begin, const char *end)
{
    enum { SHOWN_BYTES_MAX = 40 };

    return end - begin < SHOWN_BYTES_MAX ? (int)(end - begin) : SHOWN_BYTES_MAX;
}

/* nghttp2 says which field breaks a rule in words only. The value may be a secret, and is
 * kept only of `te`. */
static int on_error(nghttp2_session *ng, int nghttp2_code, const char *words,
                    size_t count, void *user)
{
    static const char before[] = "name: [", between[] = "], value: [";
    struct h2_session *session = user;
    const char *name = nghttp2_code == NGHTTP2_ERR_HTTP_HEADER
                           ? memmem(words, count, before, sizeof(before) - 1)
                           : NULL;
    const char *stop, *value;

    (void)ng;
    session->invalid_field[0] = '\0';
    if (!name)
        return 0;
    name += sizeof(before) - 1;
    stop = memmem(name, count - (size_t)(name - words), between, sizeof(between) - 1);
    if (!stop)
        return 0;
    value = stop + sizeof(between) - 1;
    if (stop - name == 2 && memcmp(name, "te", 2) == 0) /* the value ends in ']' */
        snprintf(session->invalid_field, sizeof(session->invalid_field),
                 "te: \"%.*s\" is not trailers", shown_bytes(value, words + count - 1),
                 value);
    else
        snprintf(session->invalid_field, sizeof(session->invalid_field),
                 "field \"%.*s\" is malformed or not allowed here",
                 shown_bytes(name, stop), name);
    return 0;
}

static void tell_malformed(struct h2_session *session, struct h2_stream *stream,
                           int nghttp2_code)
{
    const char *why = "a pseudo-header field is missing";

    if (nghttp2_code == NGHTTP2_ERR_HTTP_HEADER)
        why = session->invalid_field[0] ? session->invalid_field
                                        : "a header field is malformed";
    else if (nghttp2_code != NGHTTP2_ERR_HTTP_MESSAGING)
        return;
    session->events->malformed(session->owner, stream, session->headers.fields,
                               session->headers.count, why);
}

static int on_invalid_frame(nghttp2_session *ng, const nghttp2_frame *frame,
                            int nghttp2_code, void *user)
{
    struct h2_session *session = user;
    struct h2_stream *stream =
        nghttp2_session_get_stream_user_data(ng, frame->hd.stream_id);

    if (stream && stream->state == STREAM_OPENING && session->events->malformed)
        tell_malformed(session, stream, nghttp2_code);
    session->block_open = false;
    session_glitch(session);
    return callback_result(session);
}

static int on_stream_close(nghttp2_session *ng, int32_t stream_id, uint32_t code,
                           void *user)
{
    struct h2_stream *stream = nghttp2_session_get_stream_user_data(ng, stream_id);

    (void)user;
    if (!stream)
        return 0;
    nghttp2_session_set_stream_user_data(ng, stream_id, NULL);
    stream_retire(stream, code);
    return 0;
}

void input_callbacks(nghttp2_session_callbacks *callbacks)
{
    nghttp2_session_callbacks_set_on_begin_frame_callback(callbacks, on_begin_frame);
    nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks, on_begin_headers);
    nghttp2_session_callbacks_set_on_header_callback2(callbacks, on_header);
    nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data);
    nghttp2_session_callbacks_set_on_invalid_frame_recv_callback(callbacks,
                                                                 on_invalid_frame);
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_stream_close);
    nghttp2_session_callbacks_set_error_callback2(callbacks, on_error);
}
