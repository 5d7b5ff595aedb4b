/* SPDX-License-Identifier: Apache-2.0 */
/* gRPC calls over an h2 session of ours and a client session of nghttp2's, joined by
 * memory. */
#ifndef TESTS_EXCHANGE_H
#define TESTS_EXCHANGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct connection;
struct h2_session;
struct uv_loop_s;

/* Borrows server and loop; sends the client's SETTINGS at the first turn. */
struct connection *connection_create(struct h2_session *server, struct uv_loop_s *loop);
void connection_destroy(struct connection *connection); /* after the server's session */

/* Moves bytes both ways until neither side has any. */
void connection_pump(struct connection *connection);

/* The connection failed as a whole. */
bool connection_broken(const struct connection *connection);

/* Bytes of a request, grown as they are put. */
struct request {
    uint8_t *bytes;
    size_t count, capacity;
};
void request_put(struct request *request, const void *bytes, size_t count);
/* A message: prefix, head, data. */
void request_message(struct request *request, const void *head, size_t head_count,
                     const void *data, size_t data_count);
void request_free(struct request *request);

/* Fields of the requests that begin from now on, after the usual ones; at most 16.
 * Borrowed. */
struct request_field {
    const char *name, *value;
};
void connection_fields(struct connection *connection, const struct request_field *fields,
                       size_t count);

/* While it holds, the client reads nothing. */
void connection_hold(struct connection *connection, bool hold);

struct exchange {
    struct connection *connection;
    int32_t id;
    const uint8_t *bytes; /* of the request */
    size_t left, cut;     /* bytes a DATA frame carries at most; 0 = no matter */
    bool keep_open;       /* no END_STREAM after the last byte */
    char http[4];
    int status;         /* grpc-status; -1 = none came */
    char message[2048]; /* grpc-message, decoded */
    char fields[8192];  /* of the response, in order: "name: value\n" */
    uint8_t *body;
    size_t body_count;
    bool closed;
};

/* Starts a call; `timeout` NULL = none. The exchange must stay where it is. */
void exchange_begin(struct connection *connection, struct exchange *exchange,
                    const char *path, const struct request *request, size_t cut,
                    bool keep_open, const char *timeout);
void exchange_cancel(struct exchange *exchange);
/* Turns the loop until the stream is closed. */
void exchange_finish(struct exchange *exchange);
/* Turns the loop until the client has nothing left to send. */
void exchange_upload(struct exchange *exchange);
/* Turns the loop until the reply's `index`th message is there. */
void exchange_await(struct exchange *exchange, size_t index);
void exchange_free(struct exchange *exchange);

/* Whether the response has this field, "name: value". */
bool exchange_has(const struct exchange *exchange, const char *field);

/* The flag in the prefix of the `index`th message. */
bool exchange_compressed(const struct exchange *exchange, size_t index);

/* The `index`th message of the reply; NULL when there are fewer. */
const uint8_t *exchange_message(const struct exchange *exchange, size_t index,
                                size_t *count);

#endif
