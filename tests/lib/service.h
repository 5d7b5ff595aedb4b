/* The rpc service with all it stands on, and a client joined to it by memory:
 * what the daemon is, without sockets and processes. */
#ifndef TESTS_SERVICE_H
#define TESTS_SERVICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/limits.h"
#include "trit/types.h"

struct service;

struct service_options {
    const char *isa;
    unsigned threads;
    struct limits limits;
    const char *data_dir; /* of its layers; NULL: none */
};

struct service_options service_defaults(void);
struct service *service_open(const struct service_options *options);

/* Checks that no byte of the budget is left in use. */
void service_close(struct service *service);

/* Turns the loop until every byte of the budget is free again. */
void service_settle(struct service *service);

/* The connection failed as a whole. */
bool service_broken(const struct service *service);

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

struct exchange {
    struct service *service;
    int32_t id;
    const uint8_t *bytes; /* of the request */
    size_t left, cut;     /* bytes a DATA frame carries at most; 0 = no matter */
    bool keep_open;       /* no END_STREAM after the last byte */
    char http[4];
    int status;         /* grpc-status; -1 = none came */
    char message[2048]; /* grpc-message, decoded */
    uint8_t *body;
    size_t body_count;
    bool closed;
};

/* Starts a call; `timeout` NULL = none. The exchange must stay where it is. */
void exchange_start(struct service *service, struct exchange *exchange, const char *path,
                    const struct request *request, size_t cut, bool keep_open,
                    const char *timeout);
void exchange_reset(struct exchange *exchange);
/* Turns the loop until the stream is closed. */
void exchange_finish(struct exchange *exchange);
/* Turns the loop until the client has nothing left to send. */
void exchange_upload(struct exchange *exchange);
/* Turns the loop until the reply's `index`th message is there. */
void exchange_await(struct exchange *exchange, size_t index);
void exchange_free(struct exchange *exchange);

/* The `index`th message of the reply; NULL when there are fewer. */
const uint8_t *exchange_message(const struct exchange *exchange, size_t index,
                                size_t *count);

#endif
