/* SPDX-License-Identifier: Apache-2.0 */
/* A server on the daemon's sockets, HTTP/2 and gRPC core, without the daemon:
 *
 *   interop         grpc.testing.TestService
 *   interop plain   answers every request with a body, for h2spec
 *
 * Prints "interop ready 127.0.0.1:PORT" and runs until a signal. */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <uv.h>

#include "async/loop.h"
#include "base/limits.h"
#include "grpc/grpc.h"
#include "net/listener.h"
#include "tests/interop/plain_service.h"
#include "tests/interop/test_service.h"

struct server {
    uv_loop_t loop;
    uv_signal_t stop;
    struct timers *timers;
    struct grpc *grpc;
    struct net *net;
};

static void idle(void *arg)
{
    struct server *server = arg;

    grpc_destroy(server->grpc);
    timers_close(server->timers);
    uv_close((uv_handle_t *)&server->stop, NULL);
}

static void drained(void *arg)
{
    struct server *server = arg;

    net_destroy(server->net);
    grpc_on_idle(server->grpc, idle, server);
}

static void stopped(uv_signal_t *handle, int number)
{
    struct server *server = handle->data;

    (void)number;
    grpc_drain(server->grpc);
    net_drain(server->net, drained, server);
}

static int start(struct server *server, const struct limits *limits, bool plain,
                 char bound[256], struct failure *failure)
{
    struct grpc_config grpc_config = {.limits = limits,
                                      .methods = test_service_methods,
                                      .method_count = TEST_SERVICE_METHODS};
    struct net_config net_config = {.loop = &server->loop, .limits = limits};

    uv_loop_init(&server->loop);
    uv_signal_init(&server->loop, &server->stop);
    server->stop.data = server;
    uv_signal_start(&server->stop, stopped, SIGTERM);
    if (timers_create(&server->timers, &server->loop, failure) < 0)
        return -1;
    grpc_config.timers = net_config.timers = server->timers;
    if (grpc_create(&server->grpc, &grpc_config, failure) < 0)
        return -1;
    net_config.events = plain ? &plain_events : grpc_events();
    net_config.events_owner = server->grpc;
    if (net_create(&server->net, &net_config, failure) < 0)
        return -1;
    return net_listen(server->net, "127.0.0.1:0", bound, 256, failure);
}

int main(int argc, char **argv)
{
    struct limits limits = limits_default();
    struct failure failure = {.status = TRIT_OK};
    struct server server;
    char bound[256];

    signal(SIGPIPE, SIG_IGN);
    if (start(&server, &limits, argc > 1 && strcmp(argv[1], "plain") == 0, bound,
              &failure) < 0) {
        fprintf(stderr, "interop: %s\n", failure.message);
        return 1;
    }
    printf("interop ready %s\n", bound);
    fflush(stdout);
    uv_run(&server.loop, UV_RUN_DEFAULT);
    uv_loop_close(&server.loop);
    return 0;
}
