/* SPDX-License-Identifier: Apache-2.0 */
/* The gRPC core with one connection of a client, in memory. */
#ifndef TESTS_GRPC_SERVER_H
#define TESTS_GRPC_SERVER_H

#include "async/loop.h"
#include "base/limits.h"
#include "grpc/grpc.h"
#include "h2/session.h"
#include "obs/metrics.h"
#include "tests/lib/exchange.h"
#include "tests/lib/loop.h"

struct server {
    struct limits limits;
    struct uv_loop_s *loop;
    struct timers *timers;
    struct metrics *metrics;
    const char *labels[64]; /* of methods */
    struct grpc *grpc;
    struct h2_session *session;
    struct connection *connection;
    bool idle;
};

/* `config` says which methods, service and callbacks; limits, timers and metrics are the
 * server's. Borrows what it points to, and the peer, which may be NULL. */
void server_open_as(struct server *server, struct grpc_config config,
                    const struct peer *peer);

/* The same without other callbacks and without a peer. `observe` may be NULL. */
void server_open(struct server *server, const struct method *const *methods, size_t count,
                 void *service, void (*observe)(void *service));

/* Checks that no call is left. */
void server_close(struct server *server);

/* Messages of a request, each with its text. */
struct request request_of(const char *const *texts, size_t count);

/* A call with one message, whose bytes are sent. */
void server_start(struct server *server, struct exchange *exchange, const char *path,
                  const char *text, const char *timeout);

/* The value of a line of the metrics, "name{labels}"; 0: there is no such line. */
uint64_t server_metric(struct server *server, const char *line);

#endif
