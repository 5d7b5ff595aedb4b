/* The inside of a session, for the files of this room: session.c (life and
 * input), output.c (batches), stream.c (what an owner does to a stream). */
#ifndef H2_IMPL_H
#define H2_IMPL_H

#include <nghttp2/nghttp2.h>

#include "h2/batch.h"
#include "h2/fields.h"
#include "h2/meter.h"
#include "h2/session.h"

enum {
    /* nghttp2 ends the connection of a peer that opens more streams than it was
     * told; RFC 9113, 5.1.2, wants the stream refused. So nghttp2 counts up to
     * this many more than the peer is told, and on_begin_headers refuses. */
    STREAMS_SLACK = 1000,
};

enum session_state {
    SESSION_OPEN,
    SESSION_DRAINING,  /* GOAWAY(2^31-1) submitted */
    SESSION_DRAINED,   /* and the final GOAWAY */
    SESSION_CONDEMNED, /* the peer broke the rules: a GOAWAY is all it still gets */
    SESSION_BROKEN,    /* out of memory in the middle: nothing can be said any more */
    SESSION_STATES
};

struct h2_session {
    nghttp2_session *ng;
    const struct h2_events *events;
    void *owner;
    void (*wake)(void *waker);
    void *waker;
    enum session_state state;
    bool greeted;      /* only ever set */
    bool attended;     /* within receive or produce: the caller looks for output itself */
    bool woken;        /* wake() was called and h2_produce not yet */
    const char *blame; /* why it is condemned */
    struct list streams, dead; /* the dead wait for the batch that has their bytes */
    size_t stream_count, streams_max;
    struct batch batch;
    struct meter glitches; /* what no honest peer does */
    struct meter chatter;  /* frames that carry nothing, beside those that do */
    struct h2_counters counters;
};

/* The response's side. What the peer still sends is `peer_done`'s. */
enum stream_state {
    STREAM_OPENING,    /* headers arrive; the owner does not know it */
    STREAM_OPEN,       /* request() was delivered */
    STREAM_RESPONDING, /* response headers submitted */
    STREAM_FINISHING,  /* h2_finish; trailers wait for the slices before them */
    STREAM_ENDING,     /* trailers submitted */
    STREAM_ENDED,      /* trailers are in a batch */
    STREAM_RESET,      /* h2_reset */
    STREAM_CLOSED,     /* nghttp2 forgot it */
    STREAM_STATES
};

struct h2_stream {
    struct list link;
    struct h2_session *session;
    void *user;
    int32_t id;
    enum stream_state state;
    bool announced; /* request() was delivered, so closed() is due */
    bool peer_done; /* END_STREAM was received */
    uint32_t close_code;
    struct header_block headers;
    struct fields *trailers; /* while FINISHING */
    struct list queue;       /* slices */
    size_t queued;           /* bytes */
    uint64_t batch_serial;   /* the last batch that took bytes of it */
};

/* session.c */
bool session_moves(struct h2_session *session, enum session_state to);
void session_wake(struct h2_session *session);
/* Queues GOAWAY(`code`); a callback then stops the input. */
void session_condemn(struct h2_session *session, uint32_t code, const char *blame);
/* nghttp2 refuses a wish for lack of memory, which breaks the session, or
 * because the stream is gone, which is no error here. */
void session_heed(struct h2_session *session, int nghttp2_code);

/* The PING that follows the first GOAWAY: its answer says that the peer knows. */
extern const uint8_t session_drain_ping[8];

/* input.c: callbacks, and what they hold against a peer */
void input_callbacks(nghttp2_session_callbacks *callbacks);
void session_glitch(struct h2_session *session);
void session_useful(struct h2_session *session, uint8_t frame_type, size_t bytes);

/* stream.c */
struct h2_stream *stream_create(struct h2_session *session, int32_t id);
bool stream_moves(struct h2_stream *stream, enum stream_state to);
/* Notes what closed() will say. */
void stream_close(struct h2_stream *stream, uint32_t code);
/* nghttp2 closed it: ends it now or when its bytes have left. */
void stream_retire(struct h2_stream *stream, uint32_t code);
/* Releases its slices, delivers closed(), frees. */
void stream_end(struct h2_stream *stream);

/* output.c: callbacks */
void output_callbacks(nghttp2_session_callbacks *callbacks);
nghttp2_data_provider output_of(struct h2_stream *stream);

#endif
