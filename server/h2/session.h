/* HTTP/2, server side: bytes in, stream events out; slices in, bytes out. No
 * sockets, no gRPC. One thread.
 *
 * Words. *Session*: one connection's protocol state. *Stream*: one request and
 * its response. *Slice*: response bytes that the owner lends until release().
 * *Credit*: receive window given back to the peer.
 *
 * A stream's life: request() -> data()* -> end() -> closed(). closed() comes
 * exactly once, also when the session dies; after it the pointer is gone and
 * all its slices have been released. It waits while a batch holds bytes of the
 * stream. After h2_finish or h2_reset nothing but closed() comes. Events are
 * never delivered from within h2_respond, h2_write, h2_finish or h2_reset; they
 * come from h2_receive and, closed() only, from h2_produce, h2_produced and
 * h2_destroy, none of which may be called from an event. */
#ifndef H2_SESSION_H
#define H2_SESSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "base/list.h"
#include "base/status.h"

struct limits;
struct h2_session;
struct h2_stream;

struct h2_header {
    const char *name, *value; /* NUL-terminated */
    size_t name_len, value_len;
};

struct h2_slice {
    struct list link;  /* hands off while lent */
    const void *bytes; /* borrowed */
    size_t count;
    size_t sent;                             /* hands off */
    void (*release)(struct h2_slice *slice); /* all bytes left, or stream gone */
};

/* What a server does with streams; `owner` is h2_create's. */
struct h2_events {
    /* Headers are complete (bounded by limits: HEADER_FIELDS_MAX,
     * HEADER_BYTES_MAX). The array is borrowed until closed(). Store the
     * call with h2_stream_set_user. */
    void (*request)(void *owner, struct h2_stream *stream,
                    const struct h2_header *headers, size_t count);
    /* Too many or too large headers; respond as your protocol does. */
    void (*request_too_large)(void *owner, struct h2_stream *stream);
    void (*data)(struct h2_stream *stream, const uint8_t *bytes, size_t count);
    void (*end)(struct h2_stream *stream); /* the peer half-closed */
    /* error_code 0: finished in order, trailers handed out; else the HTTP/2
     * code of the reset (CANCEL when the peer reset with 0), or CONNECT_ERROR
     * when the connection ended. */
    void (*closed)(struct h2_stream *stream, uint32_t error_code);
};

struct h2_counters { /* monotone; for metrics and abuse scoring */
    uint64_t streams_opened, resets_received, resets_sent;
    uint64_t pings_received, glitches, refused_streams;
};

/* `limits` are read now, `events` borrowed. `wake(waker)`: output became pending
 * outside h2_receive; call h2_produce soon, but not from there. It comes once
 * until the next h2_produce. Settings go out with the first h2_produce. NULL on
 * lack of memory. */
struct h2_session *h2_create(const struct limits *limits, const struct h2_events *events,
                             void *owner, void (*wake)(void *waker), void *waker);

/* Closes every stream (closed() events), frees. NULL is harmless. */
void h2_destroy(struct h2_session *session);

/* Feeds what the socket gave. -1: the connection is beyond repair; a GOAWAY may
 * still be pending for h2_produce. */
int h2_receive(struct h2_session *session, const uint8_t *bytes, size_t count,
               struct failure *failure);

/* Fills up to *count iovecs (3 at least; some tens are sensible) with bytes to
 * write, which stay valid until h2_produced. Slices are pointed to, not copied. *count =
 * 0: nothing to write now. -1: fatal. One batch at a time. */
int h2_produce(struct h2_session *session, struct iovec *iov, size_t *count,
               struct failure *failure);

/* The batch has been written whole: releases its slices. */
void h2_produced(struct h2_session *session);

bool h2_over(const struct h2_session *session);      /* nothing more to read or write */
bool h2_greeted(const struct h2_session *session);   /* preface and SETTINGS seen */
size_t h2_streams(const struct h2_session *session); /* open now */
const struct h2_counters *h2_counters(const struct h2_session *session);

/* Graceful end: GOAWAY(2^31-1) and a PING now; the final GOAWAY when the PING is
 * answered, or at h2_drain_finish if that comes first. */
void h2_drain(struct h2_session *session);
void h2_drain_finish(struct h2_session *session);

void *h2_stream_user(const struct h2_stream *stream);
void h2_stream_set_user(struct h2_stream *stream, void *user);

/* What follows does nothing, and succeeds, on a stream that was reset or that
 * nghttp2 has closed while closed() is still due. -1 is lack of memory; the
 * connection then ends by itself. At most 64 fields. */

/* Response headers, once; `fields` are copied. :status is `http_status`. */
int h2_respond(struct h2_stream *stream, int http_status, const struct h2_header *fields,
               size_t count);

/* Lends a slice; it follows all earlier ones. Only after h2_respond and before
 * h2_finish. Never fails: on a dead stream it is released by closed(). */
void h2_write(struct h2_stream *stream, struct h2_slice *slice);

/* Ends the response with trailers (copied; none: END_STREAM on the last DATA). Without an
 * earlier h2_respond this is Trailers-Only: one HEADERS with :status 200 and the fields.
 * If the peer has not half-closed by then, RST_STREAM(NO_ERROR) follows the trailers. */
int h2_finish(struct h2_stream *stream, const struct h2_header *fields, size_t count);

void h2_reset(struct h2_stream *stream, uint32_t error_code);

/* Gives back receive window of the stream for bytes taken from data(). The
 * connection's window is given back by the session itself on arrival. */
void h2_credit(struct h2_stream *stream, size_t bytes);

/* Bytes lent and not yet handed to h2_produce. */
size_t h2_stream_queued(const struct h2_stream *stream);

#endif
