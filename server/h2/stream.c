/* A stream, seen from its owner: respond, write, finish, reset, credit. Each is
 * a wish laid down with nghttp2, carried out by the next h2_produce; none of
 * them calls back. A stream that is reset or closed takes no more wishes, and
 * says so to nobody: its owner hears closed() in any case. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "h2/impl.h"

#define BIT(state) (1u << (state))

static const unsigned moves[STREAM_STATES] = {
    [STREAM_OPENING] = BIT(STREAM_OPEN) | BIT(STREAM_CLOSED),
    [STREAM_OPEN] = BIT(STREAM_RESPONDING) | BIT(STREAM_ENDING) | BIT(STREAM_RESET) |
                    BIT(STREAM_CLOSED),
    [STREAM_RESPONDING] = BIT(STREAM_FINISHING) | BIT(STREAM_RESET) | BIT(STREAM_CLOSED),
    [STREAM_FINISHING] = BIT(STREAM_ENDING) | BIT(STREAM_RESET) | BIT(STREAM_CLOSED),
    [STREAM_ENDING] = BIT(STREAM_ENDED) | BIT(STREAM_RESET) | BIT(STREAM_CLOSED),
    [STREAM_ENDED] = BIT(STREAM_CLOSED),
    [STREAM_RESET] = BIT(STREAM_CLOSED),
};

bool stream_moves(struct h2_stream *stream, enum stream_state to)
{
    if (!(moves[stream->state] & BIT(to)))
        return false;
    stream->state = to;
    return true;
}

#undef BIT

struct h2_stream *stream_create(struct h2_session *session, int32_t id)
{
    struct h2_stream *stream = calloc(1, sizeof(*stream));

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
    header_block_fini(&stream->headers);
    free(stream->trailers);
    free(stream);
}

static bool stream_in_batch(const struct h2_stream *stream)
{
    const struct batch *batch = &stream->session->batch;

    return batch->state != BATCH_NONE && stream->batch_serial == batch->serial;
}

void stream_close(struct h2_stream *stream, uint32_t code)
{
    /* Code 0 is a promise that all was said. A peer may reset with it too. */
    if (stream->state == STREAM_ENDED)
        code = NGHTTP2_NO_ERROR;
    else if (code == NGHTTP2_NO_ERROR)
        code = NGHTTP2_CANCEL;
    if (stream_moves(stream, STREAM_CLOSED))
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

/* :status and the fields, with a body to come or none. */
static int submit_response(struct h2_stream *stream, int http_status,
                           const struct h2_header *fields, size_t count,
                           const nghttp2_data_provider *body)
{
    struct h2_session *session = stream->session;
    nghttp2_nv nv[RESPONSE_FIELDS_MAX + 1];
    struct h2_header status = {.name = ":status", .name_len = 7};
    char digits[4];
    int code;

    assert(http_status >= 100 && http_status <= 999);
    snprintf(digits, sizeof(digits), "%d", http_status);
    status.value = digits;
    status.value_len = 3;
    fields_point(nv, &status, 1);
    fields_point(nv + 1, fields, count);
    code = nghttp2_submit_response(session->ng, stream->id, nv, count + 1, body);
    session_heed(session, code);
    session_wake(session);
    return nghttp2_is_fatal(code) ? -1 : 0;
}

int h2_respond(struct h2_stream *stream, int http_status, const struct h2_header *fields,
               size_t count)
{
    const nghttp2_data_provider body = output_of(stream);

    assert(stream->state != STREAM_RESPONDING && stream->state != STREAM_FINISHING);
    if (!stream_moves(stream, STREAM_RESPONDING))
        return 0;
    return submit_response(stream, http_status, fields, count, &body);
}

/* nghttp2 lets a stream that has nothing to say sleep; this wakes it. It is an
 * error, and harmless, when it was awake. */
static void stream_resume(struct h2_stream *stream)
{
    int code = nghttp2_session_resume_data(stream->session->ng, stream->id);

    session_heed(stream->session, code);
    session_wake(stream->session);
}

void h2_write(struct h2_stream *stream, struct h2_slice *slice)
{
    assert(stream->state != STREAM_OPEN && stream->state != STREAM_FINISHING);
    slice->sent = 0;
    list_push(&stream->queue, &slice->link);
    stream->queued += slice->count;
    if (stream->state == STREAM_RESPONDING)
        stream_resume(stream);
}

int h2_finish(struct h2_stream *stream, const struct h2_header *fields, size_t count)
{
    struct fields *trailers;

    assert(stream->state != STREAM_FINISHING);
    if (stream->state == STREAM_OPEN) {
        stream_moves(stream, STREAM_ENDING);
        return submit_response(stream, 200, fields, count, NULL);
    }
    if (stream->state != STREAM_RESPONDING)
        return 0;
    trailers = fields_copy(fields, count);
    if (!trailers) {
        session_heed(stream->session, NGHTTP2_ERR_NOMEM);
        return -1;
    }
    stream->trailers = trailers;
    stream_moves(stream, STREAM_FINISHING);
    stream_resume(stream);
    return 0;
}

void h2_reset(struct h2_stream *stream, uint32_t error_code)
{
    struct h2_session *session = stream->session;

    if (!stream_moves(stream, STREAM_RESET))
        return;
    session_heed(session, nghttp2_submit_rst_stream(session->ng, NGHTTP2_FLAG_NONE,
                                                    stream->id, error_code));
    session_wake(session);
}

void h2_credit(struct h2_stream *stream, size_t bytes)
{
    struct h2_session *session = stream->session;

    if (stream->state == STREAM_CLOSED || bytes == 0)
        return;
    session_heed(session, nghttp2_session_consume_stream(session->ng, stream->id, bytes));
    if (nghttp2_session_want_write(session->ng))
        session_wake(session);
}
