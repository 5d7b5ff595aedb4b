/* SPDX-License-Identifier: Apache-2.0 */
/* A server session (h2) and a client session (nghttp2) that exchange bytes in
 * memory. The server's owner keeps one `struct call` a request, the client one
 * `struct reply` a stream; both are in the order of the requests. */
#ifndef TESTS_LIB_H2_PAIR_H
#define TESTS_LIB_H2_PAIR_H

#include <nghttp2/nghttp2.h>

#include "base/limits.h"
#include "h2/session.h"

enum { CALLS_MAX = 256, NEVER = -1 };

struct pair;

/* The server's side of a request. */
struct call {
    struct pair *pair;
    struct h2_stream *stream;
    char path[64];
    size_t header_count;
    size_t body_bytes;
    bool too_large, responded, finished, ended;
    unsigned closed;
    uint32_t close_code;
};

/* The client's side. */
struct reply {
    int32_t id;
    char status[4], grpc_status[8];
    uint8_t *body;
    size_t body_bytes;
    size_t data_frames;
    size_t upload_left; /* bytes the client still wants to send */
    bool upload_open;   /* no END_STREAM yet, whatever is left */
    bool closed;
    uint32_t close_code;
    int64_t reset_code; /* of a RST_STREAM frame; NEVER */
};

struct pair {
    struct h2_session *server;
    nghttp2_session *client;
    struct h2_events events;
    struct limits limits;
    struct call calls[CALLS_MAX];
    struct reply replies[CALLS_MAX];
    size_t call_count, reply_count;
    size_t lent, released; /* slices */
    bool credit;           /* data() gives it */
    bool hold;             /* the client reads nothing */
    unsigned wakes;
    size_t step; /* bytes per h2_receive; 0 = all that there are */
    size_t iovecs;
    int64_t goaway_code;
    int32_t goaway_last;
    unsigned goaways;
    void (*on_request)(struct call *call);
    void (*on_closed)(struct call *call);
    struct failure failure;
    int receive_result;
};

/* Writes `count` bytes of `fill` as one slice of exactly that size, so that a
 * sanitizer sees a byte read after its release. */
void pair_call_write(struct call *call, size_t count, uint8_t fill);
void pair_call_respond(struct call *call);
void pair_call_finish(struct call *call);

/* `manual`: the client gives window only when the test says so. */
struct pair *pair_create_with(const struct limits *limits, bool manual);
struct pair *pair_create(void);

/* The client's streams begin with a window of `bytes`, and get no more by
 * themselves. */
struct pair *pair_create_windowed(uint32_t bytes);

/* Checks that every request was closed once and every slice released once. */
void pair_destroy(struct pair *pair);

/* One step in one direction. False: there was nothing to send. */
bool pair_client_to_server(struct pair *pair);
bool pair_server_to_client(struct pair *pair);

/* Steps until neither side has anything to send. */
void pair_pump(struct pair *pair);

#define NV(n, v)                                                                         \
    {                                                                                    \
        (uint8_t *)(uintptr_t)(n), (uint8_t *)(uintptr_t)(v), sizeof(n) - 1,             \
            sizeof(v) - 1, 0                                                             \
    }

/* A request with `upload` bytes; `open`: END_STREAM waits for pair_half_close. */
struct reply *pair_request(struct pair *pair, const char *path, size_t upload, bool open);
void pair_half_close(struct pair *pair, struct reply *reply);

/* A pair with one request delivered: 1000 bytes, half-closed unless `open`. */
struct call *pair_one_call(struct pair *pair, bool open);

#endif
