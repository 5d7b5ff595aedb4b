/* SPDX-License-Identifier: Apache-2.0 */
/* The HTTP port's listening socket and its connections, on one thread. It bounds them,
 * in all and for each address. A newcomer replaces a connection that has not sent a whole
 * request; where all are busy, a few more are accepted for probes
 * and metrics alone. */
#ifndef WEB_FRONT_H
#define WEB_FRONT_H

#include "base/status.h"
#include "web/http_conn.h"

enum {
    HTTP_RESERVED_MAX = 4, /* for probes and metrics, beyond http_connections_max */
    HTTP_SPARES_MAX = 12,  /* descriptors kept for them */
};

struct front;
struct reply;

struct front_config {
    int listen_fd;             /* borrowed */
    int stop_fd;               /* readable: front_run returns; borrowed */
    int done_fd;               /* readable: engine_run has something to do; borrowed */
    struct http_shared shared; /* but `front` and `need_descriptors` */
    const struct network *proxies; /* not bounded by address; borrowed */
    size_t proxy_count;
    /* The engine: readable when it has something to do; how many milliseconds it can
     * wait at most, -1 for any time; lets it work. */
    int engine_fd;
    int (*engine_wait_ms)(void *engine);
    void (*engine_run)(void *engine);
    struct http_versions (*engine_versions)(void *engine);
};

/* RESOURCE_EXHAUSTED. */
int front_create(struct front **front, const struct front_config *config,
                 struct failure *failure);

/* Serves until stop_fd is readable. */
void front_run(struct front *front);

/* Closes all connections. */
void front_destroy(struct front *front);

/* Answers a request with a stream of events that begins with the reply's body, or with
 * 503 where there are too many. The engine's end of the connection is to be closed. */
void front_stream(struct front *front, struct http_conn *conn, const struct reply *reply);

/* The connection whose engine's end is this descriptor. NULL: it has gone. */
struct http_conn *front_find(struct front *front, int engine_fd);

#endif
