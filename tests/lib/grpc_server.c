/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/lib/grpc_server.h"

#include <stdlib.h>
#include <string.h>

#include "grpc/method.h"
#include "tests/lib/check.h"

static void wake(void *waker)
{
    (void)waker; /* the test pumps */
}

void server_open_as(struct server *server, struct grpc_config config,
                    const struct peer *peer)
{
    struct failure failure = {.status = TRIT_OK};

    *server = (struct server){.limits = limits_default()};
    for (size_t i = 0; i < config.method_count; i++)
        server->labels[i] = config.methods[i]->path;
    server->metrics = metrics_create(server->labels, config.method_count, "0", "none");
    server->loop = loop_create();
    CHECK(timers_create(&server->timers, server->loop, &failure) == 0);
    config.limits = &server->limits;
    config.timers = server->timers;
    config.metrics = server->metrics;
    CHECK(grpc_create(&server->grpc, &config, &failure) == 0);
    server->session =
        h2_create(&server->limits, grpc_events(), server->grpc, peer, wake, NULL);
    CHECK(server->session);
    server->connection = connection_create(server->session, server->loop);
}

void server_open(struct server *server, const struct method *const *methods, size_t count,
                 void *service, void (*observe)(void *service))
{
    const struct grpc_config config = {.methods = methods,
                                       .method_count = count,
                                       .service = service,
                                       .observe = observe};

    server_open_as(server, config, NULL);
}

static void idle(void *arg)
{
    *(bool *)arg = true;
}

void server_close(struct server *server)
{
    if (server->session)
        h2_destroy(server->session);
    connection_destroy(server->connection);
    grpc_on_idle(server->grpc, idle, &server->idle);
    CHECK(server->idle);
    grpc_destroy(server->grpc);
    timers_close(server->timers);
    loop_destroy(server->loop);
    metrics_destroy(server->metrics);
}

struct request request_of(const char *const *texts, size_t count)
{
    struct request request = {0};

    for (size_t i = 0; i < count; i++)
        request_message(&request, texts[i], strlen(texts[i]), NULL, 0);
    return request;
}

void server_start(struct server *server, struct exchange *exchange, const char *path,
                  const char *text, const char *timeout)
{
    struct request request = request_of(&text, 1);

    exchange_begin(server->connection, exchange, path, &request, 0, false, timeout);
    exchange_upload(exchange);
    request_free(&request);
}

uint64_t server_metric(struct server *server, const char *line)
{
    size_t bytes, length = strlen(line);
    char *text = metrics_render(server->metrics, false, &bytes);
    uint64_t value = 0;

    CHECK(text);
    for (const char *at = text; at; at = strchr(at, '\n')) {
        at += *at == '\n';
        if (strncmp(at, line, length) == 0 && at[length] == ' ')
            value = strtoull(at + length, NULL, 10);
    }
    free(text);
    return value;
}
