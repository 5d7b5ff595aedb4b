/* SPDX-License-Identifier: Apache-2.0 */
/* HTTP/2, server side. The *carrier* (net) passes received bytes to the session and
 * writes the bytes that the session produces. The *owner* (grpc) gets the events of
 * streams and responds with slices. The session knows no sockets and no gRPC. It belongs
 * to one thread.
 *
 * Words. *Session*: one connection's protocol state. *Stream*: one request and its
 * response. *Slice*: response bytes that the owner lends until release(). *Credit*:
 * receive window given back to the peer.
 *
 * The events of a stream: request() -> data()* -> end() -> closed(). closed() comes
 * exactly once, also when the session ends. Before it, all slices of the stream are
 * released; after it, the stream is freed. It waits while a batch holds bytes of the
 * stream. After h2_finish or h2_reset only closed() comes. h2_respond, h2_write,
 * h2_finish and h2_reset deliver no events. h2_receive delivers all of them; h2_produce,
 * h2_produced and h2_destroy deliver only closed(). None of these four may be called from
 * an event. */
#ifndef H2_SESSION_H
#define H2_SESSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "base/list.h"
#include "base/status.h"

struct limits;
struct peer;
struct h2_session;
struct h2_stream;

struct h2_header {
    const char *name, *value; /* NUL-terminated */
    size_t name_len, value_len;
};

struct h2_slice {
    struct list link;  /* do not touch while lent */
    const void *bytes; /* borrowed */
    size_t count;
    size_t sent; /* do not touch */
    void (*release)(
        struct h2_slice *slice); /* all bytes are written, or the stream is closed */
};

/* What the owner does with streams; `owner` is the argument of h2_create. */
struct h2_events {
    /* The headers are complete, within HEADER_FIELDS_MAX and HEADER_BYTES_MAX.
     * The owner borrows array and fields until it returns.
     * h2_stream_set_user stores the owner's object. */
    void (*request)(void *owner, struct h2_stream *stream,
                    const struct h2_header *headers, size_t count);
    /* The headers exceed these limits, or the peer's share of the memory budget is used
     * up (h2_stream_no_memory). The owner responds as its protocol requires. */
    void (*request_too_large)(void *owner, struct h2_stream *stream);
    void (*data)(struct h2_stream *stream, const uint8_t *bytes, size_t count);
    void (*end)(struct h2_stream *stream); /* the peer half-closed */
    /* error_code 0: the whole response, with its trailers, was given to the
     * carrier. Else the HTTP/2 code of the reset (CANCEL when the peer reset with
     * 0), or CONNECT_ERROR when the connection ended. */
    void (*closed)(struct h2_stream *stream, uint32_t error_code);
    /* The headers break a rule of HTTP/2, and the session has reset the stream with
     * PROTOCOL_ERROR: no other event comes. `why` says what is wrong; `headers` are those
     * before it. Only for the log and metrics. NULL: not wanted. */
    void (*malformed)(void *owner, struct h2_stream *stream,
                      const struct h2_header *headers, size_t count, const char *why);
};

struct h2_counters { /* monotone; for metrics and abuse scoring */
    uint64_t streams_opened, resets_received, resets_sent;
    uint64_t pings_received, glitches, refused_streams;
    uint64_t bytes_received, bytes_sent; /* of DATA */
    uint64_t floods; /* 1: the session failed with ENHANCE_YOUR_CALM */
};

/* Reads `limits` during the call; borrows `events` and `peer`, which may be NULL. The session calls wake(waker) when
 * it has output outside of h2_receive: call h2_produce soon, but not from wake(). It
 * calls wake() only once before the next h2_produce. The first h2_produce gives SETTINGS.
 * NULL: out of memory. */
struct h2_session *h2_create(const struct limits *limits, const struct h2_events *events,
                             void *owner, const struct peer *peer,
                             void (*wake)(void *waker), void *waker);

/* Closes every stream with closed(), frees the session. NULL is harmless. */
void h2_destroy(struct h2_session *session);

/* Takes bytes that the socket gave. -1: the connection must end; h2_produce may
 * still yield a GOAWAY. */
int h2_receive(struct h2_session *session, const uint8_t *bytes, size_t count,
               struct failure *failure);

/* Fills up to *count iovecs (at least 3; some tens are sensible) with bytes to
 * write, which stay valid until h2_produced. Only small slices are copied. *count = 0:
 * there is nothing to write now. -1: the connection must end. One batch at a time. */
int h2_produce(struct h2_session *session, struct iovec *iov, size_t *count,
               struct failure *failure);

/* The whole batch has been written: releases its slices. */
void h2_produced(struct h2_session *session);

/* False: the next h2_produce would give nothing. */
bool h2_has_output(const struct h2_session *session);

bool h2_over(
    const struct h2_session *session); /* there is nothing left to read or write */
bool h2_preface_received(const struct h2_session *session); /* and SETTINGS */
size_t h2_streams(const struct h2_session *session);        /* open now */
/* The peer has begun the header fields of a request, and not finished them. */
bool h2_headers_unfinished(const struct h2_session *session);
/* The peer waits for an answer to a request that it has finished. */
bool h2_owes_answer(const struct h2_session *session);
const struct h2_counters *h2_counters(const struct h2_session *session);

/* Ends the session gracefully: sends GOAWAY(2^31-1) and a PING. The final GOAWAY follows
 * when the peer answers the PING or when h2_drain_finish is called. */
void h2_drain(struct h2_session *session);
void h2_drain_finish(struct h2_session *session);

/* Whether peers still send requests whose response is complete. While it is true, call
 * h2_stop_uploads in even intervals: it resets the streams that were so at the previous
 * call. The peer has the interval to read the response first. A proxy that reads both
 * together would report the reset instead. */
bool h2_has_uploads_to_stop(const struct h2_session *session);
void h2_stop_uploads(struct h2_session *session);

/* The peer given to h2_create. */
const struct peer *h2_stream_peer(const struct h2_stream *stream);

/* In request_too_large(): the fields were not kept for lack of memory. */
bool h2_stream_no_memory(const struct h2_stream *stream);

void *h2_stream_user(const struct h2_stream *stream);
void h2_stream_set_user(struct h2_stream *stream, void *user);

/* On a stream that was reset, or that is closed while closed() has not come yet,
 * the functions below do nothing and return success. -1: out of memory; the
 * connection then ends by itself. At most 64 fields. */

/* Sends response headers, once. Copies `fields`; :status is `http_status`. */
int h2_respond(struct h2_stream *stream, int http_status, const struct h2_header *fields,
               size_t count);

/* The same for fields that are constants of the program, names in lower case: it copies none. */
int h2_respond_fixed(struct h2_stream *stream, int http_status,
                     const struct h2_header *fields, size_t count);

/* Lends a slice, which follows all earlier ones. Only after h2_respond and before
 * h2_finish. Never fails: the slice of a stream that is reset or closed is
 * released before closed(). */
void h2_write(struct h2_stream *stream, struct h2_slice *slice);

/* Ends the response with trailers, which it copies; without any, the last DATA has
 * END_STREAM. Without an earlier h2_respond the response is Trailers-Only: one
 * HEADERS with :status 200 and the fields. If the peer has not half-closed by
 * then, h2_stop_uploads sends RST_STREAM(NO_ERROR). */
int h2_finish(struct h2_stream *stream, const struct h2_header *fields, size_t count);

/* The same for at least one field, array and text of which are constants of the program. */
int h2_finish_fixed(struct h2_stream *stream, const struct h2_header *fields,
                    size_t count);

void h2_reset(struct h2_stream *stream, uint32_t error_code);

/* Gives the stream's receive window back for bytes taken from data(). The session
 * itself gives the connection's window back when bytes arrive. */
void h2_credit(struct h2_stream *stream, size_t bytes);

/* Bytes that are lent and that h2_produce has not taken yet. */
size_t h2_stream_queued(const struct h2_stream *stream);

/* Bytes that h2_produce has taken so far, and what the peer lets the stream send now. */
uint64_t h2_stream_taken(const struct h2_stream *stream);
int32_t h2_stream_window(const struct h2_stream *stream);

/* The counters of the stream's session. */
const struct h2_counters *h2_stream_counters(const struct h2_stream *stream);

#endif
