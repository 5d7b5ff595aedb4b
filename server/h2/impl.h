/* SPDX-License-Identifier: Apache-2.0 */
/* The inside of h2, for the files of this module: the structs, and what each file
 * gives to those above it. A file uses those that stand before it here. */
#ifndef H2_IMPL_H
#define H2_IMPL_H

#include <nghttp2/nghttp2.h>

#include "base/account.h"
#include "base/states.h"
#include "h2/batch.h"
#include "h2/fates.h"
#include "h2/fields.h"
#include "h2/meter.h"
#include "h2/recycler.h"
#include "h2/session.h"

enum {
    /* nghttp2 ends the connection of a peer that opens more streams than it was
     * told. RFC 9113, 5.1.2, wants only the stream refused. So nghttp2 is told a
     * limit that is higher by this much than the peer's, and on_begin_headers
     * refuses the streams in between. */
    STREAMS_SLACK = 1000,
};

enum session_state {
    SESSION_OPEN,
    SESSION_DRAINING, /* GOAWAY(2^31-1) is submitted */
    SESSION_DRAINED,  /* the final GOAWAY is submitted */
    SESSION_FAILED,   /* the peer broke the rules; only a GOAWAY is still sent */
    SESSION_BROKEN,   /* memory ran out; nothing can be sent */
    SESSION_STATES
};

/* Where the received bytes stand between frames. */
struct frame_walk {
    uint32_t skip; /* bytes until the next frame header */
    uint32_t head_bytes;
    uint8_t head[FRAME_HEADER_BYTES];
};

struct h2_session {
    nghttp2_session *ng;
    const struct h2_events *events;
    void *owner;
    const struct peer *peer;
    struct account *account; /* the peer's */
    struct recycler recycler;
    void (*wake)(void *waker);
    void *waker;
    enum session_state state;
    bool preface_received;   /* only ever set */
    bool block_open;         /* the header block of a request has begun and not ended */
    bool in_io;              /* within receive or produce: the caller looks for output */
    bool output_notified;    /* wake() was called, h2_produce not yet */
    bool goaway_due;         /* DRAINED: the final GOAWAY is not submitted yet */
    int32_t final_id;        /* DRAINED: of the last stream that it covers */
    const char *fail_reason; /* in state FAILED */
    struct list streams;
    struct list dead; /* closed streams that wait for the batch with their bytes */
    struct h2_stream
        *latest; /* whose frames came last, as nghttp2 would find it; or NULL */
    size_t stream_count, streams_max;
    size_t stops_due; /* streams that h2_stop_uploads resets */
    size_t consumed;  /* DATA bytes whose credit the connection gets after h2_receive */
    struct header_block headers; /* of the request that arrives */
    struct batch batch;
    struct frame_walk walk;
    struct fates fates;
    struct meter glitches;       /* protocol errors: a correct peer makes none */
    struct meter control_frames; /* control frames without HEADERS or DATA between them */
    struct h2_counters counters;
};

/* The state of the response. `peer_done` is the state of the request. */
enum stream_state {
    STREAM_OPENING,    /* headers arrive; the owner does not know the stream */
    STREAM_OPEN,       /* request() was delivered */
    STREAM_RESPONDING, /* response headers are submitted */
    STREAM_FINISHING,  /* h2_finish was called; trailers wait for the slices */
    STREAM_ENDING,     /* trailers are submitted */
    STREAM_ENDED,      /* trailers are in a batch */
    STREAM_RESET,      /* h2_reset was called */
    STREAM_CLOSED,     /* nghttp2 has closed the stream */
    STREAM_STATES
};

/* The response is complete, and the peer still sends: RST_STREAM is due. */
enum stop_state { STOP_NONE, STOP_DUE, STOP_OVERDUE };

struct h2_stream {
    struct list link;
    struct h2_session *session;
    void *user;
    int32_t id;
    enum stream_state state;
    bool announced; /* request() was delivered, so closed() must follow */
    bool peer_done; /* END_STREAM was received */
    bool refused;   /* there was no memory for it: request_too_large() */
    bool last_data; /* the DATA frame with END_STREAM comes: the peer needs no credit */
    bool deferred;  /* nghttp2 waits for h2_write or h2_finish */
    enum stop_state stop;
    uint32_t close_code;
    struct fields_seen fields_seen;
    int64_t content_length;                 /* that the request declares; -1: none */
    int64_t body_bytes;                     /* of it, received so far */
    struct fields *trailers;                /* in state FINISHING, or: */
    const struct h2_header *fixed_trailers; /* constants */
    size_t fixed_count;
    struct list queue;     /* slices */
    size_t queued;         /* bytes in `queue` */
    uint64_t taken;        /* bytes that have left it */
    uint64_t batch_serial; /* of the last batch with bytes of this stream */
};

/* ---- state.c ---- */

extern const struct states stream_states;

/* Tells the carrier that there is output, unless it knows. */
void session_wake(struct h2_session *session);
/* Memory ran out inside nghttp2. Harmless on a broken session. */
void session_break(struct h2_session *session);
/* Ends a batch of the account. A session without streams keeps less memory for them. */
void session_batch_end(struct h2_session *session);
/* Handles the return code of nghttp2_submit_* and similar functions. NOMEM breaks the
 * session. Any other error is ignored: it means that the stream is already closed. */
void session_check(struct h2_session *session, int nghttp2_code);
/* Queues GOAWAY(`code`) and takes no more input. `reason` is a literal. */
void session_fail(struct h2_session *session, uint32_t code, const char *reason);
/* Counts a protocol error; too many fail the session. */
void session_glitch(struct h2_session *session);
/* A frame was received or sent: HEADERS, and DATA with enough bytes, allow more
 * control frames. */
/* Submits the final GOAWAY, if it is due: when the session is about to send, so that it
 * covers the requests that have come behind the PING's answer. */
void session_submit_goaway(struct h2_session *session);

/* False: the final GOAWAY tells the peer that this new stream is not processed. */
bool session_covers(const struct h2_session *session, int32_t id);

void session_useful(struct h2_session *session, uint8_t frame_type, size_t bytes);
/* False: the session is failed or broken. */
bool session_takes_input(const struct h2_session *session);

/* The PING that follows the first GOAWAY. When the peer answers it, the peer has
 * read the GOAWAY. */
extern const uint8_t session_drain_ping[8];

/* ---- feed.c ---- */

void frame_walk_init(struct frame_walk *walk);
/* Gives received bytes to nghttp2. Returns 0 or nghttp2's error code. */
int feed(struct h2_session *session, const uint8_t *bytes, size_t count);
/* DATA or HEADERS came: a stream that the peer has closed or skipped is an error. */
void check_closed_stream(struct h2_session *session, uint32_t id);

/* ---- stream.c ---- */

struct h2_stream *stream_create(struct h2_session *session, int32_t id);
/* NULL: nghttp2 has closed it, or there is none. */
struct h2_stream *stream_find(struct h2_session *session, int32_t id);
/* Moves to CLOSED and notes the code for closed(). */
void stream_close(struct h2_stream *stream, uint32_t code);
/* nghttp2 has closed the stream: ends it now, or after the batch with its bytes. */
void stream_retire(struct h2_stream *stream, uint32_t code);
/* Releases the slices, delivers closed(), frees. */
void stream_end(struct h2_stream *stream);

/* ---- input.c, output.c: nghttp2's callbacks ---- */

void input_callbacks(nghttp2_session_callbacks *callbacks);
void output_callbacks(nghttp2_session_callbacks *callbacks);
/* Gives nghttp2 the slices of a stream. */
nghttp2_data_provider output_of(struct h2_stream *stream);

#endif
