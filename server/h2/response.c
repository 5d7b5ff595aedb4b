/* SPDX-License-Identifier: Apache-2.0 */
/* What an owner does to a stream: respond, write, finish, reset, credit. Each
 * function queues a request with nghttp2, and the next h2_produce carries it out;
 * none of them calls the owner back. On a stream that is reset or closed they do
 * nothing: the owner gets closed() in any case. */
#include <assert.h>

#include "h2/impl.h"

/* Sends :status and the fields; `body` NULL: nothing follows. */
static int submit_response(struct h2_stream *stream, int http_status,
                           const struct h2_header *fields, size_t count, bool fixed,
                           const nghttp2_data_provider *body)
{
    static const struct h2_header ok = {":status", "200", 7, 3};
    struct h2_session *session = stream->session;
    nghttp2_nv nv[RESPONSE_FIELDS_MAX + 1];
    const char digits[] = {(char)('0' + http_status / 100),
                           (char)('0' + http_status / 10 % 10),
                           (char)('0' + http_status % 10), '\0'};
    const struct h2_header other = {":status", digits, 7, 3};
    int code;

    assert(http_status >= 100 && http_status <= 999);
    fields_point(nv, http_status == 200 ? &ok : &other, 1, http_status == 200);
    fields_point(nv + 1, fields, count, fixed);
    code = nghttp2_submit_response(session->ng, stream->id, nv, count + 1, body);
    session_check(session, code);
    session_wake(session);
    return nghttp2_is_fatal(code) ? -1 : 0;
}

static int respond(struct h2_stream *stream, int http_status,
                   const struct h2_header *fields, size_t count, bool fixed)
{
    const nghttp2_data_provider body = output_of(stream);

    assert(stream->state != STREAM_RESPONDING && stream->state != STREAM_FINISHING);
    if (!state_try(&stream_states, &stream->state, STREAM_RESPONDING))
        return 0;
    return submit_response(stream, http_status, fields, count, fixed, &body);
}

int h2_respond(struct h2_stream *stream, int http_status, const struct h2_header *fields,
               size_t count)
{
    return respond(stream, http_status, fields, count, false);
}

int h2_respond_fixed(struct h2_stream *stream, int http_status,
                     const struct h2_header *fields, size_t count)
{
    return respond(stream, http_status, fields, count, true);
}

/* nghttp2 defers a stream that has no bytes; this continues it. */
static void resume_output(struct h2_stream *stream)
{
    if (stream->deferred)
        session_check(stream->session,
                      nghttp2_session_resume_data(stream->session->ng, stream->id));
    stream->deferred = false;
    session_wake(stream->session);
}

void h2_write(struct h2_stream *stream, struct h2_slice *slice)
{
    assert(stream->state != STREAM_OPEN && stream->state != STREAM_FINISHING);
    slice->sent = 0;
    list_push(&stream->queue, &slice->link);
    stream->queued += slice->count;
    if (stream->state == STREAM_RESPONDING)
        resume_output(stream);
}

/* Keeps the trailers until the slices have left. */
static int keep_trailers(struct h2_stream *stream, const struct h2_header *fields,
                         size_t count, bool fixed)
{
    if (fixed) {
        stream->fixed_trailers = fields;
        stream->fixed_count = count;
        return 0;
    }
    stream->trailers = fields_copy(fields, count, &stream->session->recycler);
    if (stream->trailers)
        return 0;
    session_check(stream->session, NGHTTP2_ERR_NOMEM);
    return -1;
}

static int finish(struct h2_stream *stream, const struct h2_header *fields, size_t count,
                  bool fixed)
{
    assert(stream->state != STREAM_FINISHING);
    if (stream->state == STREAM_OPEN) {
        state_move(&stream_states, &stream->state, STREAM_ENDING);
        return submit_response(stream, 200, fields, count, fixed, NULL);
    }
    if (stream->state != STREAM_RESPONDING)
        return 0;
    if (keep_trailers(stream, fields, count, fixed) < 0)
        return -1;
    state_move(&stream_states, &stream->state, STREAM_FINISHING);
    resume_output(stream);
    return 0;
}

int h2_finish(struct h2_stream *stream, const struct h2_header *fields, size_t count)
{
    return finish(stream, fields, count, false);
}

int h2_finish_fixed(struct h2_stream *stream, const struct h2_header *fields,
                    size_t count)
{
    assert(count > 0);
    return finish(stream, fields, count, true);
}

void h2_reset(struct h2_stream *stream, uint32_t error_code)
{
    struct h2_session *session = stream->session;

    if (!state_try(&stream_states, &stream->state, STREAM_RESET))
        return;
    session_check(session, nghttp2_submit_rst_stream(session->ng, NGHTTP2_FLAG_NONE,
                                                     stream->id, error_code));
    session_wake(session);
}

void h2_credit(struct h2_stream *stream, size_t bytes)
{
    struct h2_session *session = stream->session;

    if (stream->state == STREAM_CLOSED || stream->last_data || bytes == 0)
        return;
    session_check(session,
                  nghttp2_session_consume_stream(session->ng, stream->id, bytes));
    if (!session->in_io && nghttp2_session_want_write(session->ng))
        session_wake(session);
}

bool h2_has_uploads_to_stop(const struct h2_session *session)
{
    return session->stops_due > 0;
}

void h2_stop_uploads(struct h2_session *session)
{
    for (struct list *node = session->streams.next; node != &session->streams;
         node = node->next) {
        struct h2_stream *stream = LIST_OWNER(node, struct h2_stream, link);

        if (stream->stop == STOP_DUE) {
            stream->stop = STOP_OVERDUE;
        } else if (stream->stop == STOP_OVERDUE) {
            stream->stop = STOP_NONE;
            session->stops_due--;
            session_check(session,
                          nghttp2_submit_rst_stream(session->ng, NGHTTP2_FLAG_NONE,
                                                    stream->id, NGHTTP2_NO_ERROR));
        }
    }
    session_wake(session);
}
