/* SPDX-License-Identifier: Apache-2.0 */
/* Received bytes on their way to nghttp2. nghttp2 forgets a stream when it closes, and
 * ignores DATA and HEADERS on it from then on. RFC 9113, 5.1, calls them errors if the
 * peer closed the stream. on_begin_frame tells of HEADERS, but of ignored DATA nghttp2
 * tells nothing. So this file reads the frame headers too: before DATA on a stream that
 * may be closed, nghttp2 gets everything up to that frame, and then the stream's fate
 * decides. */
#include "h2/impl.h"

enum { PREFACE_BYTES = 24, PENDING_ENDS_MAX = 16 };

struct frame_head {
    uint8_t type, flags;
    uint32_t stream_id;
};

/* Takes bytes up to the end of the next frame header. False: there is none; all bytes
 * are taken. */
static bool next_head(struct frame_walk *walk, const uint8_t *bytes, size_t count,
                      size_t *at, struct frame_head *found)
{
    const size_t skipped = count - *at < walk->skip ? count - *at : walk->skip;
    const uint8_t *head = walk->head;

    walk->skip -= (uint32_t)skipped;
    *at += skipped;
    if (walk->head_bytes == 0 && count - *at >= FRAME_HEADER_BYTES) {
        head = bytes + *at;
        *at += FRAME_HEADER_BYTES;
    } else {
        while (*at < count && walk->head_bytes < FRAME_HEADER_BYTES)
            walk->head[walk->head_bytes++] = bytes[(*at)++];
        if (walk->head_bytes < FRAME_HEADER_BYTES)
            return false;
        walk->head_bytes = 0;
    }
    walk->skip = (uint32_t)head[0] << 16 | (uint32_t)head[1] << 8 | head[2];
    *found = (struct frame_head){
        .type = head[3],
        .flags = head[4],
        .stream_id = (uint32_t)(head[5] & 0x7f) << 24 | (uint32_t)head[6] << 16 |
                     (uint32_t)head[7] << 8 | head[8],
    };
    return true;
}

void frame_walk_init(struct frame_walk *walk)
{
    *walk = (struct frame_walk){.skip = PREFACE_BYTES};
}

static bool is_open(const struct h2_session *session, uint32_t id)
{
    return nghttp2_session_get_stream_remote_close(session->ng, (int32_t)id) >= 0;
}

void check_closed_stream(struct h2_session *session, uint32_t id)
{
    if (is_open(session, id))
        return; /* nghttp2 checks it */
    switch (fates_get(&session->fates, id)) {
    case FATE_NEVER_OPENED:
        session_fail(session, NGHTTP2_PROTOCOL_ERROR, "a stream id went backwards");
        break;
    case FATE_PEER_ENDED:
        session_fail(session, NGHTTP2_STREAM_CLOSED, "a frame on a closed stream");
        break;
    case FATE_PEER_RESET: /* an error of the stream; each one counts as a glitch */
        session_check(session,
                      nghttp2_submit_rst_stream(session->ng, NGHTTP2_FLAG_NONE,
                                                (int32_t)id, NGHTTP2_STREAM_CLOSED));
        break;
    case FATE_OPENED:
    case FATE_UNKNOWN:
        break;
    }
}

/* Gives nghttp2 the bytes up to `end`. Returns 0 or its error code. */
static int give(struct h2_session *session, const uint8_t *bytes, size_t *given,
                size_t end)
{
    ssize_t taken =
        end > *given ? nghttp2_session_mem_recv(session->ng, bytes + *given, end - *given)
                     : 0;

    *given = end;
    return taken < 0 ? (int)taken : 0;
}

/* What the frames do that nghttp2 does not have yet. Pipelined calls open and end many
 * streams in one read, and all of it goes to nghttp2 at once. */
struct pending {
    uint32_t opened_from;            /* the first stream that they open; 0: none */
    uint32_t ends[PENDING_ENDS_MAX]; /* streams that they end */
    size_t end_count;                /* above the maximum: any stream may be */
};

static void pending_add(struct pending *pending, const struct h2_session *session,
                        const struct frame_head *head)
{
    if (head->type == NGHTTP2_HEADERS && pending->opened_from == 0 &&
        head->stream_id > session->fates.newest)
        pending->opened_from = head->stream_id;
    if (head->type != NGHTTP2_RST_STREAM &&
        (head->type > NGHTTP2_HEADERS || !(head->flags & NGHTTP2_FLAG_END_STREAM)))
        return;
    if (pending->end_count < PENDING_ENDS_MAX)
        pending->ends[pending->end_count] = head->stream_id;
    pending->end_count++;
}

/* Whether DATA may be on a stream that is closed by now. */
static bool may_be_closed(const struct pending *pending, const struct h2_session *session,
                          uint32_t id)
{
    if (pending->end_count > PENDING_ENDS_MAX)
        return true;
    for (size_t i = 0; i < pending->end_count; i++)
        if (pending->ends[i] == id)
            return true;
    return (pending->opened_from == 0 || id < pending->opened_from) &&
           !is_open(session, id);
}

int feed(struct h2_session *session, const uint8_t *bytes, size_t count)
{
    size_t at = 0, given = 0;
    struct pending pending = {.end_count = 0};
    struct frame_head head;

    while (next_head(&session->walk, bytes, count, &at, &head)) {
        if (head.type == NGHTTP2_DATA &&
            may_be_closed(&pending, session, head.stream_id)) {
            size_t begun = at < FRAME_HEADER_BYTES ? 0 : at - FRAME_HEADER_BYTES;
            int code = give(session, bytes, &given, begun > given ? begun : given);

            if (code < 0 || !session_takes_input(session))
                return code;
            pending = (struct pending){.end_count = 0};
            check_closed_stream(session, head.stream_id);
            if (!session_takes_input(session))
                return 0;
        }
        pending_add(&pending, session, &head);
    }
    return give(session, bytes, &given, count);
}
