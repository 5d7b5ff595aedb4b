/* SPDX-License-Identifier: Apache-2.0 */
/* One request, on the web's thread:
 *   1. front has its whole head and gives it to microhttpd over a socket pair;
 *   2. the method and the absence of a body are checked (admit);
 *   3. the route is found, then the host's name and the caller are checked (gate), its
 *      parameters are decoded;
 *   4. its handler writes the body. If it reads the store, this happens on the thread of
 *      queries, and microhttpd suspends the connection until then;
 *   5. the reply is queued; microhttpd writes it to the socket pair, front passes it on.
 * Any failure becomes a JSON error, or a page for a browser without a token. */
#include "web/web.h"

#include <errno.h>
#include <microhttpd.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/limits.h"
#include "obs/log.h"
#include "obs/metrics.h"
#include "web/front.h"
#include "web/gate.h"
#include "web/listen.h"
#include "web/queries.h"
#include "web/received.h"
#include "web/reply.h"
#include "web/routes.h"

enum {
    /* Of a request in microhttpd: a head of HTTP_HEAD_BYTES_MAX, what is parsed of it, and
     * the head of the reply always fit. */
    POOL_BYTES = 64 << 10,
};

struct web {
    struct web_config config;
    struct limits limits;
    struct MHD_Daemon *daemon;
    struct front *front;
    struct gate gate;
    struct listening listening;
    struct queries *queries;
    pthread_t thread;
    int stop_fd, done_fd;
};

/* ---- replies ----------------------------------------------------------------- */

static int add_headers(struct MHD_Response *response, const struct reply *reply,
                       bool last)
{
    struct reply_header fields[REPLY_HEADERS_MAX];
    size_t count = reply_fields(reply, last, fields);

    for (size_t i = 0; i < count; i++)
        if (MHD_add_response_header(response, fields[i].name, fields[i].value) != MHD_YES)
            return -1;
    return 0;
}

/* Takes the body. MHD_NO closes the connection. */
static enum MHD_Result send_reply(struct web *web, struct MHD_Connection *connection,
                                  struct http_conn *conn, struct reply *reply)
{
    struct MHD_Response *response;
    enum MHD_Result sent = MHD_NO;

    if (reply->stream && !conn->bodiless) {
        front_stream(web->front, conn, reply);
        text_fini(&reply->body);
        return MHD_NO; /* the library has done its part */
    }

    response = MHD_create_response_from_buffer(reply->body.count, reply->body.bytes,
                                               MHD_RESPMEM_MUST_FREE);
    if (!response) {
        text_fini(&reply->body);
        return MHD_NO;
    }
    if (add_headers(response, reply, conn->last) == 0)
        sent = MHD_queue_response(connection, reply->http_status, response);
    MHD_destroy_response(response);
    conn->replied = sent == MHD_YES;
    metric_http(web->config.metrics, conn->route, reply->http_status);
    return sent;
}

/* ---- requests ---------------------------------------------------------------- */

/* The checks that come before a body is read. A refusal closes the connection: what
 * follows would be read as a request of its own. */
static int admit(struct MHD_Connection *connection, struct http_conn *conn,
                 const char *method, unsigned *http_status, struct failure *failure)
{
    const char *length = received_field(connection, "Content-Length");

    conn->last = true;
    conn->route = SIZE_MAX;
    if (strcmp(method, "GET") != 0 && strcmp(method, "HEAD") != 0)
        return fail(failure, TRIT_UNIMPLEMENTED, NULL,
                    "method %.32s: only GET and HEAD are served", method);
    *http_status = 413;
    if (received_field(connection, "Transfer-Encoding") ||
        (length && strcmp(length, "0") != 0))
        return fail(failure, TRIT_INVALID_ARGUMENT, NULL,
                    "a request must not have a body");
    conn->last = false;
    return 0;
}

/* What microhttpd keeps for a request: NULL before its head is admitted, then the web,
 * and its query once there is one. */
static int begin_query(struct web *web, struct MHD_Connection *connection,
                       const struct http_conn *conn, const struct route *route,
                       struct request *request, void **seen, struct failure *failure)
{
    struct query *query = query_create(route, request);

    if (!query)
        return fail(failure, TRIT_RESOURCE_EXHAUSTED, NULL, "out of memory");
    query->fd = conn->theirs;
    query->connection = connection;
    *seen = query;
    MHD_suspend_connection(connection);
    queries_add(web->queries, query);
    return 0;
}

static void read_fields(struct MHD_Connection *connection, struct http_conn *conn,
                        struct request *request, struct gate_request *asked)
{
    const char *accept = received_list(connection, "Accept", request);

    request->accept = asked->accept = accept ? accept : "";
    request->accept_encoding = received_list(connection, "Accept-Encoding", request);
    request->if_match = received_list(connection, "If-Match", request);
    request->if_none_match = received_list(connection, "If-None-Match", request);
    asked->host = conn->head.authority[0] ? conn->head.authority
                                          : received_field(connection, "Host");
    asked->forwarded = received_list(connection, "Forwarded", request);
    asked->x_forwarded_for = received_list(connection, "X-Forwarded-For", request);
}

/* 0 without a query in `seen`: the reply is there. */
static int handle(struct web *web, struct MHD_Connection *connection,
                  struct http_conn *conn, const char *path, struct request *request,
                  struct reply *reply, void **seen, struct failure *failure)
{
    struct gate_request asked = {.path = path, .conn = conn};
    const struct route *route = route_find(routes, path, request, failure);
    struct failure unfound = *failure;
    char own[1024];

    *failure = (struct failure){.status = TRIT_OK};
    conn->route = route ? (size_t)(route - routes) : SIZE_MAX;
    asked.route = route;
    read_fields(connection, conn, request, &asked);
    asked.authorization = received_authorization(connection, own, sizeof(own));
    if (gate_check(&web->gate, &asked, reply, failure) < 0)
        return -1;
    *failure = unfound;
    if (!route)
        return -1;
    if (received_parameters(connection, request, route, failure) < 0 ||
        request_check(request, failure) < 0)
        return -1;
    if (route_reads_store(route))
        return begin_query(web, connection, conn, route, request, seen, failure);
    return route_answer(route, &web->config, request, reply, failure);
}

static struct http_conn *conn_of(struct web *web, struct MHD_Connection *connection)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);

    return info && web->front ? front_find(web->front, info->connect_fd) : NULL;
}

static enum MHD_Result finish(struct web *web, struct MHD_Connection *connection,
                              struct http_conn *conn, struct reply *reply, int result,
                              unsigned http_status, const struct failure *failure)
{
    if (result < 0 && !reply->finished) {
        text_fini(&reply->body);
        reply_error(reply, http_status, failure);
    }
    return send_reply(web, connection, conn, reply);
}

/* The request's query is done. */
static enum MHD_Result answer_query(struct web *web, struct MHD_Connection *connection,
                                    struct http_conn *conn, void **seen)
{
    struct query *query = *seen;
    struct reply reply = query->reply;
    struct failure failure = query->failure;
    int result = query->result;

    query->reply.body = (struct text){0};
    query_destroy(query);
    *seen = web;
    return finish(web, connection, conn, &reply, result, 0, &failure);
}

/* microhttpd calls this when the head is complete, when the request is complete, and when
 * its query is done. */
static enum MHD_Result answer(void *arg, struct MHD_Connection *connection,
                              const char *path, const char *method, const char *version,
                              const char *upload, size_t *upload_bytes, void **seen)
{
    struct web *web = arg;
    struct http_conn *conn = conn_of(web, connection);
    struct failure failure = {0};
    unsigned http_status = 0;
    struct request request = {0};
    struct reply reply;
    int result;

    (void)version, (void)upload, (void)upload_bytes;
    if (!conn)
        return MHD_NO;
    if (*seen && *seen != web)
        return answer_query(web, connection, conn, seen);
    reply_begin(&reply);
    if (!*seen) {
        *seen = web;
        result = admit(connection, conn, method, &http_status, &failure);
        if (result == 0)
            return MHD_YES;
    } else {
        result = handle(web, connection, conn, path, &request, &reply, seen, &failure);
        request_fini(&request);
        if (*seen != web)
            return MHD_YES;
    }
    return finish(web, connection, conn, &reply, result, http_status, &failure);
}

/* The reply has been written, or the request was broken off. */
static void completed(void *arg, struct MHD_Connection *connection, void **seen,
                      enum MHD_RequestTerminationCode how)
{
    struct http_conn *conn = conn_of(arg, connection);

    (void)how;
    if (*seen != arg)
        query_destroy(*seen); /* done, but nobody waits for it any more */
    *seen = NULL;
    if (conn)
        conn->ended = true;
}

/* Keeps paths and parameters percent-encoded: the routes decode names, once. */
static size_t keep_escapes(void *arg, struct MHD_Connection *connection, char *words)
{
    (void)arg, (void)connection;
    return strlen(words);
}

/* Logs microhttpd's messages, mostly about peers that break off. */
static void log_words(void *arg, const char *format, va_list arguments)
    __attribute__((format(printf, 2, 0)));
static void log_words(void *arg, const char *format, va_list arguments)
{
    struct web *web = arg;
    char words[256];

    vsnprintf(words, sizeof(words), format, arguments);
    words[strcspn(words, "\n")] = '\0';
    log_event(web->config.log, LOG_DEBUG, "http_note",
              LOG_FIELDS(LOG_STR("text", words)));
}

/* ---- the engine of front -------------------------------------------------------- */

/* microhttpd counts nothing by address: front has done so. */
static int engine_give(void *arg, int fd)
{
    static const struct sockaddr nobody = {.sa_family = AF_UNIX};
    struct web *web = arg;
    bool added = MHD_add_connection(web->daemon, fd, &nobody, sizeof(nobody)) == MHD_YES;

    return added ? 0 : -1;
}

static int engine_wait_ms(void *arg)
{
    struct web *web = arg;
    MHD_UNSIGNED_LONG_LONG ms;

    if (MHD_get_timeout(web->daemon, &ms) != MHD_YES)
        return -1;
    return ms < 1000 ? (int)ms : 1000;
}

/* Their connections go on: microhttpd calls answer() again. */
static void resume_queries(struct web *web)
{
    struct query *query;

    while (web->queries && (query = queries_done(web->queries)))
        MHD_resume_connection(query->connection);
}

/* The pages' events follow them: something was stored, or a layer became stale; a job has
 * something new to show. */
static struct http_versions engine_versions(void *arg)
{
    const struct web *web = arg;
    const struct web_config *config = &web->config;

    return (struct http_versions){
        .reports = metric_get(config->metrics, M_STORE_TRANSACTIONS) +
                   metric_get(config->metrics, M_STALE),
        .jobs = config->jobs ? config->jobs_version(config->jobs_arg) : 0};
}

static void engine_run(void *arg)
{
    struct web *web = arg;
    eventfd_t count;

    eventfd_read(web->done_fd, &count);
    resume_queries(web);
    MHD_run(web->daemon);
}

static struct MHD_Daemon *start_daemon(struct web *web)
{
    unsigned flags = MHD_USE_EPOLL | MHD_USE_NO_LISTEN_SOCKET | MHD_USE_ERROR_LOG |
                     MHD_ALLOW_SUSPEND_RESUME;

    return MHD_start_daemon(flags, 0, NULL, NULL, answer, web,
                            /* first, because the options that follow may log */
                            MHD_OPTION_EXTERNAL_LOGGER, log_words, web, /**/
                            MHD_OPTION_CONNECTION_LIMIT,
                            2 * (web->limits.http_connections_max + HTTP_RESERVED_MAX),
                            MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)POOL_BYTES,
                            MHD_OPTION_NOTIFY_COMPLETED, completed, web, /**/
                            MHD_OPTION_STRICT_FOR_CLIENT, 1,             /**/
                            MHD_OPTION_UNESCAPE_CALLBACK, keep_escapes, web,
                            MHD_OPTION_END);
}

static int start_front(struct web *web, struct failure *failure)
{
    const union MHD_DaemonInfo *epoll =
        MHD_get_daemon_info(web->daemon, MHD_DAEMON_INFO_EPOLL_FD);
    const struct front_config config = {
        .listen_fd = web->listening.fd,
        .stop_fd = web->stop_fd,
        .done_fd = web->done_fd,
        .shared =
            {
                .limits = &web->limits,
                .metrics = web->config.metrics,
                .log = web->config.log,
                .tls = web->config.tls,
                .give = engine_give,
                .engine = web,
            },
        .proxies = web->gate.proxies,
        .proxy_count = web->gate.proxy_count,
        .engine_fd = epoll ? epoll->epoll_fd : -1,
        .engine_wait_ms = engine_wait_ms,
        .engine_run = engine_run,
        .engine_versions = engine_versions,
    };

    return front_create(&web->front, &config, failure);
}

/* ---- start and stop ----------------------------------------------------------- */

static void *run(void *arg)
{
    struct web *web = arg;

    front_run(web->front);
    return NULL;
}

/* microhttpd stops only when no connection is suspended. */
static void web_free(struct web *web)
{
    front_destroy(web->front);
    web->front = NULL; /* microhttpd still tells of its connections */
    queries_stop(web->queries);
    resume_queries(web);
    if (web->daemon)
        MHD_stop_daemon(web->daemon);
    queries_destroy(web->queries);
    if (web->stop_fd >= 0)
        close(web->stop_fd);
    if (web->done_fd >= 0)
        close(web->done_fd);
    close(web->listening.fd);
    free(web);
}

static int start(struct web *web, struct failure *failure)
{
    const struct web_config *config = &web->config;
    int error;

    web->limits = config->limits ? *config->limits : limits_default();
    if (gate_init(&web->gate, config, web->listening.name, failure) < 0)
        return -1;
    web->stop_fd = eventfd(0, EFD_CLOEXEC);
    web->done_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    web->daemon = start_daemon(web);
    if (web->stop_fd < 0 || web->done_fd < 0 || !web->daemon)
        return fail_field(failure, TRIT_UNAVAILABLE, "http",
                          "%s: cannot start the server: %s", config->address,
                          strerror(errno));
    if (start_front(web, failure) < 0 ||
        queries_start(&web->queries, config, web->done_fd, failure) < 0)
        return -1;
    error = pthread_create(&web->thread, NULL, run, web);
    return error ? fail_field(failure, TRIT_UNAVAILABLE, "http",
                              "%s: cannot start a thread: %s", config->address,
                              strerror(error))
                 : 0;
}

int web_start(struct web **web, const struct web_config *config, char *bound,
              size_t bound_bytes, struct failure *failure)
{
    struct listening listening;
    char own[LISTEN_NAME_BYTES + 16];
    struct web *w;

    if (listen_on(&listening, config->address, own, sizeof(own), failure) < 0)
        return -1;
    w = calloc(1, sizeof(*w));
    if (!w) {
        close(listening.fd);
        return fail(failure, TRIT_RESOURCE_EXHAUSTED, NULL, "http: out of memory");
    }
    w->config = *config;
    metrics_set_http_paths(config->metrics, route_patterns, route_count);
    w->listening = listening;
    w->stop_fd = w->done_fd = -1;
    if (start(w, failure) < 0) {
        web_free(w);
        return -1;
    }
    snprintf(bound, bound_bytes, "%s", own);
    *web = w;
    return 0;
}

void web_stop(struct web *web)
{
    if (!web)
        return;
    eventfd_write(web->stop_fd, 1);
    pthread_join(web->thread, NULL);
    web_free(web);
}
