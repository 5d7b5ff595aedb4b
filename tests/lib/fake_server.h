/* SPDX-License-Identifier: Apache-2.0 */
/* A gRPC server that does what a script says, for tests of the client: one
 * thread, one port of loopback, nothing understood. The n-th request that
 * arrives, on whatever connection, gets the n-th act; the last act repeats. */
#ifndef TESTS_FAKE_SERVER_H
#define TESTS_FAKE_SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum fake_deed {
    FAKE_ANSWER,        /* headers, body, trailers, once the request is complete */
    FAKE_ANSWER_DUPLEX, /* headers and body immediately, reading nothing until the
                           body is written; trailers once the request is complete */
    FAKE_ANSWER_EARLY,  /* all of it at the first byte of the request, then
                           RST_STREAM(NO_ERROR) */
    FAKE_FAIL,          /* Trailers-Only */
    FAKE_PAGE,          /* an HTTP page: http_status, text/html, body */
    FAKE_NO_TRAILERS,   /* as ANSWER, but END_STREAM comes with the body */
    FAKE_RESET,         /* RST_STREAM(code) */
    FAKE_GOAWAY,        /* GOAWAY that excludes the stream */
    FAKE_HANGUP,        /* the connection closes */
    FAKE_STALL,         /* reads the request and says nothing */
    FAKE_STALL_DEAF,    /* reads nothing and says nothing */
};

struct fake_act {
    enum fake_deed deed;
    const char *status, *message, *details; /* of the trailers; status NULL = "0" */
    const char *pushback;                   /* grpc-retry-pushback-ms, or NULL */
    const char *cursor;                     /* trit-cursor of the headers, or NULL */
    int http_status;
    uint32_t code;
    const uint8_t *body; /* whole gRPC messages; borrowed */
    size_t body_bytes;
    size_t write_bytes_max; /* 0 = as many as fit */
    size_t cut_at;      /* not 0: close the connection after so many bytes of the body */
    bool hang_up_after; /* close the connection when the answer is out */
};

struct fake_server;

/* The acts are borrowed until fake_stop. Never fails: it leaves the test. */
struct fake_server *fake_start(const struct fake_act *acts, size_t count);
/* The same at the address of a server that was stopped. */
struct fake_server *fake_start_at(const char *address, const struct fake_act *acts,
                                  size_t count);
void fake_stop(struct fake_server *server);

const char *fake_address(const struct fake_server *server); /* "127.0.0.1:port" */

enum { FAKE_REQUEST_BYTES_MAX = 4096, FAKE_REQUESTS_MAX = 16 };
struct fake_request {
    char path[128], authority[64], te[32], content_type[32], timeout[16];
    char previous_attempts[16];
    uint8_t body[FAKE_REQUEST_BYTES_MAX]; /* the first bytes */
    uint64_t body_bytes;                  /* all of them */
    bool complete;
    bool was_reset; /* by the client, with: */
    uint32_t reset_code;
    int connection; /* 0 for the first that was accepted */
};
/* What is known by now of the n-th request. False: it has not come. */
bool fake_request(struct fake_server *server, size_t n, struct fake_request *request);
/* Waits (bounded) until the n-th request was reset by the client. */
bool fake_await_reset(struct fake_server *server, size_t n, struct fake_request *request);
int fake_connections(struct fake_server *server); /* accepted so far */

#endif
