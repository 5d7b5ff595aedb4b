/* SPDX-License-Identifier: Apache-2.0 */
/* Input: turns what nghttp2 finds in the bytes into events.
 *
 *   on_begin_headers  creates a stream; its owner does not know it yet
 *   on_header         keeps its fields, up to the limits
 *   on_frame          headers complete: request(), or malformed() where they break a
 *                     rule of HTTP, and the stream is reset; END_STREAM: end()
 *   on_invalid_frame  a frame breaks a rule: a glitch
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
    WHY_BYTES = 96, /* of the sentence about a malformed request */
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

/* Whether the owner still wants the request's body. */
static bool wants_body(const struct h2_stream *stream)
{
    return stream->state == STREAM_OPEN || stream->state == STREAM_RESPONDING;
}

/* The request breaks a rule of HTTP: an error of the stream (RFC 9113, 8.1.1). */
static void break_off(struct h2_stream *stream)
{
    session_glitch(stream->session);
    h2_reset(stream, NGHTTP2_PROTOCOL_ERROR);
}

/* Trailers are not kept: gRPC requests have none. */
static void on_trailer(struct h2_stream *stream, nghttp2_vec name, nghttp2_vec value)
{
    const struct h2_header field = {.name = (const char *)name.base,
                                    .name_len = name.len,
                                    .value = (const char *)value.base,
                                    .value_len = value.len};

    stream->fields_seen.count++;
    stream->fields_seen.bytes += name.len + value.len + HEADER_FIELD_OVERHEAD;
    if (stream->announced && wants_body(stream) && !rules_allow_trailer(&field))
        break_off(stream);
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
    on_trailer(stream, nghttp2_rcbuf_get_buf(name), nghttp2_rcbuf_get_buf(value));
    return callback_result(session);
}

static int shown_bytes(size_t count)
{
    enum { SHOWN_BYTES_MAX = 40 };

    return (int)(count < SHOWN_BYTES_MAX ? count : SHOWN_BYTES_MAX);
}

/* `found`: why the request is malformed. A value may be a secret, and is told only of `te`. */
static void tell_malformed(struct h2_stream *stream, const struct rules_result *found)
{
    struct h2_session *session = stream->session;
    const struct h2_header *fields = session->headers.fields,
                           *bad = &fields[found->field];
    char why[WHY_BYTES] = "a pseudo-header field is missing";
    size_t before = session->headers.count;

    if (found->fault == RULES_BAD_FIELD) {
        before = found->field;
        if (bad->name_len == 2 && memcmp(bad->name, "te", 2) == 0)
            snprintf(why, sizeof(why), "te: \"%.*s\" is not trailers",
                     shown_bytes(bad->value_len), bad->value);
        else
            snprintf(why, sizeof(why), "field \"%.*s\" is malformed or not allowed here",
                     shown_bytes(bad->name_len), bad->name);
    } else if (found->fault == RULES_KEPT) {
        snprintf(why, sizeof(why), "content-length is %lld, and there is no body",
                 (long long)found->content_length);
    }
    if (session->events->malformed)
        session->events->malformed(session->owner, stream, fields, before, why);
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
}

/* The headers are complete. `whole`: so is the request. */
static void open_stream(struct h2_stream *stream, bool whole)
{
    struct h2_session *session = stream->session;
    struct rules_result found = {RULES_KEPT, 0, -1};

    if (!stream->refused) /* else they are not kept */
        found = header_block_check(&session->headers);
    stream->content_length = found.content_length;
    if (found.fault == RULES_KEPT && (!whole || found.content_length <= 0)) {
        announce(stream);
    } else {
        tell_malformed(stream, &found);
        break_off(stream);
    }
    header_block_end(&session->headers, &session->recycler);
}

static void on_stream_frame(struct h2_session *session, const nghttp2_frame *frame)
{
    const bool last = (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0;
    struct h2_stream *stream = stream_find(session, frame->hd.stream_id);

    if (last)
        fates_set(&session->fates, (uint32_t)frame->hd.stream_id, FATE_PEER_ENDED);
    if (!stream)
        return;
    if (stream->state == STREAM_OPENING)
        open_stream(stream, last);
    else if (frame->hd.type == NGHTTP2_HEADERS && !last && wants_body(stream))
        break_off(stream); /* trailers end a request */
    if (!last)
        return;
    stream->peer_done = true;
    if (wants_body(stream) && stream->content_length >= 0 &&
        stream->body_bytes != stream->content_length)
        break_off(stream);
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
    if (!stream || !wants_body(stream))
        return callback_result(session);
    stream->body_bytes += (int64_t)count;
    if (stream->content_length >= 0 && stream->body_bytes > stream->content_length) {
        break_off(stream);
    } else {
        stream->last_data = (flags & NGHTTP2_FLAG_END_STREAM) != 0;
        session->events->data(stream, bytes, count);
    }
    return callback_result(session);
}

static int on_invalid_frame(nghttp2_session *ng, const nghttp2_frame *frame,
                            int nghttp2_code, void *user)
{
    struct h2_session *session = user;

    (void)ng, (void)frame, (void)nghttp2_code;
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
}
