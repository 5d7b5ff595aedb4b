/* SPDX-License-Identifier: Apache-2.0 */
/* One request, on the web's thread:
 *   1. the headers are complete: method, Host and length of the body are checked,
 *      before a body is read;
 *   2. the request is complete: the route is found, its parameters are decoded, its
 *      handler writes the body;
 *   3. the reply is queued; microhttpd sends it and frees the body.
 * Any failure becomes a JSON error. microhttpd enforces the bounds below. */
#include "web/web.h"

#include <errno.h>
#include <microhttpd.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "obs/log.h"
#include "obs/metrics.h"
#include "web/listen.h"
#include "web/reply.h"
#include "web/routes.h"

enum {
    CONNECTIONS_MAX = 64,
    CONNECTIONS_PER_IP_MAX = 8,
    CONNECTIONS_LOOPBACK_MAX = 48, /* every client there has the same address */
    IDLE_SECONDS = 10,
    REQUEST_BYTES_MAX = 16 << 10, /* request line and headers */
    PARAMETERS_MAX = 16,
};

struct web {
    struct web_config config;
    struct MHD_Daemon *daemon;
    char name[LISTEN_NAME_BYTES]; /* host part of the bound address */
};

/* ---- replies ----------------------------------------------------------------- */

static const struct {
    const char *name, *value;
} reply_headers[] = {
    {"X-Content-Type-Options", "nosniff"},
    {"Content-Security-Policy",
     "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; "
     "form-action 'none'; frame-ancestors 'none'"},
    {"Referrer-Policy", "no-referrer"},
    {"Cross-Origin-Resource-Policy", "same-origin"},
};

static int add_headers(struct MHD_Response *response, const struct reply *reply)
{
    int good = MHD_add_response_header(response, "Content-Type", reply->type) == MHD_YES;

    for (size_t i = 0; i < sizeof(reply_headers) / sizeof(reply_headers[0]); i++)
        good &= MHD_add_response_header(response, reply_headers[i].name,
                                        reply_headers[i].value) == MHD_YES;
    good &= MHD_add_response_header(response, "Cache-Control",
                                    reply->cacheable ? "max-age=3600" : "no-store") ==
            MHD_YES;
    if (reply->http_status == 405)
        good &= MHD_add_response_header(response, "Allow", "GET, HEAD") == MHD_YES;
    return good ? 0 : -1;
}

/* Takes the body. MHD_NO closes the connection. */
static enum MHD_Result send_reply(struct web *web, struct MHD_Connection *connection,
                                  struct reply *reply)
{
    struct MHD_Response *response;
    enum MHD_Result sent = MHD_NO;

    response = MHD_create_response_from_buffer(reply->body.count, reply->body.bytes,
                                               MHD_RESPMEM_MUST_FREE);
    if (!response) {
        text_fini(&reply->body);
        return MHD_NO;
    }
    if (add_headers(response, reply) == 0)
        sent = MHD_queue_response(connection, reply->http_status, response);
    MHD_destroy_response(response);
    metric_add(web->config.metrics, M_HTTP_REQUESTS, 1);
    return sent;
}

static enum MHD_Result send_failure(struct web *web, struct MHD_Connection *connection,
                                    const struct failure *failure)
{
    struct reply reply = {0};

    reply_error(&reply, failure);
    return send_reply(web, connection, &reply);
}

/* ---- requests ---------------------------------------------------------------- */

static const char *header(struct MHD_Connection *connection, const char *name)
{
    return MHD_lookup_connection_value(connection, MHD_HEADER_KIND, name);
}

/* The checks that come before a body is read. */
static int admit(const struct web *web, struct MHD_Connection *connection,
                 const char *method, struct failure *failure)
{
    const char *host = header(connection, "Host");
    const char *length = header(connection, "Content-Length");

    if (strcmp(method, "GET") != 0 && strcmp(method, "HEAD") != 0)
        return fail(failure, TRIT_UNIMPLEMENTED, NULL,
                    "method %.32s: only GET and HEAD are served", method);
    if (header(connection, "Transfer-Encoding") || (length && strcmp(length, "0") != 0))
        return fail(failure, TRIT_INVALID_ARGUMENT, NULL,
                    "a request must not have a body");
    if (!host_allowed(host, web->name))
        return fail(failure, TRIT_PERMISSION_DENIED, NULL,
                    "host %.100s: not a name of this server; use its IP address", host);
    return 0;
}

/* What visit_parameter needs for each parameter. */
struct parameters {
    struct request *request;
    const struct route *route;
    struct failure *failure;
    unsigned seen;
};

static enum MHD_Result visit_parameter(void *arg, enum MHD_ValueKind kind,
                                       const char *key, const char *value)
{
    struct parameters *parameters = arg;

    (void)kind;
    if (++parameters->seen > PARAMETERS_MAX)
        fail(parameters->failure, TRIT_INVALID_ARGUMENT, NULL, "more than %d parameters",
             PARAMETERS_MAX);
    else
        request_parameter(parameters->request, parameters->route, key, value,
                          parameters->failure);
    return parameters->failure->status == TRIT_OK ? MHD_YES : MHD_NO;
}

static int handle(const struct web *web, struct MHD_Connection *connection,
                  const char *path, struct reply *reply, struct failure *failure)
{
    struct request request = {0};
    const char *accept = header(connection, "Accept");
    const struct route *route = route_find(routes, path, &request, failure);
    struct parameters parameters = {&request, route, failure, 0};

    if (!route)
        return -1;
    request.accept = accept ? accept : "";
    MHD_get_connection_values(connection, MHD_GET_ARGUMENT_KIND, visit_parameter,
                              &parameters);
    if (failure->status != TRIT_OK || request_check(&request, failure) < 0)
        return -1;
    if (route->handler(&web->config, &request, reply, failure) < 0)
        return -1;
    if (reply->body.failed)
        return fail(failure, TRIT_RESOURCE_EXHAUSTED, NULL, "out of memory");
    return 0;
}

/* microhttpd calls this twice: when the headers are complete, and when the request
 * is complete. `*seen` is NULL at the first call. */
static enum MHD_Result answer(void *arg, struct MHD_Connection *connection,
                              const char *path, const char *method, const char *version,
                              const char *upload, size_t *upload_bytes, void **seen)
{
    struct web *web = arg;
    struct failure failure = {0};
    struct reply reply = {.http_status = 200, .type = "text/plain; charset=utf-8"};

    (void)version;
    (void)upload;
    (void)upload_bytes;
    if (!*seen) {
        *seen = web;
        return admit(web, connection, method, &failure)
                   ? send_failure(web, connection, &failure)
                   : MHD_YES;
    }
    if (handle(web, connection, path, &reply, &failure) < 0) {
        text_fini(&reply.body);
        return send_failure(web, connection, &failure);
    }
    return send_reply(web, connection, &reply);
}

/* Keeps paths and parameters percent-encoded: the routes decode names, once. */
static size_t keep_escapes(void *arg, struct MHD_Connection *connection, char *words)
{
    (void)arg;
    (void)connection;
    return strlen(words);
}

/* Logs microhttpd's messages, mostly about peers that break off. */
static void log_words(void *arg, const char *format, va_list arguments)
    __attribute__((format(printf, 2, 0)));
static void log_words(void *arg, const char *format, va_list arguments)
{
    struct web *web = arg;
    char words[256];
    size_t length;

    vsnprintf(words, sizeof(words), format, arguments);
    length = strcspn(words, "\n");
    words[length] = '\0';
    log_event(web->config.log, LOG_DEBUG, "http_note",
              LOG_FIELDS(LOG_STR("text", words)));
}

/* ---- start and stop ----------------------------------------------------------- */

static struct MHD_Daemon *start_daemon(struct web *web, const struct listening *listening)
{
    unsigned per_ip =
        listening->loopback ? CONNECTIONS_LOOPBACK_MAX : CONNECTIONS_PER_IP_MAX;
    unsigned flags = MHD_USE_EPOLL_INTERNAL_THREAD | MHD_USE_ERROR_LOG;

    if (listening->ipv6)
        flags |= MHD_USE_IPv6;
    return MHD_start_daemon(flags, 0, NULL, NULL, answer, web,
                            /* first, because the options that follow may log */
                            MHD_OPTION_EXTERNAL_LOGGER, log_words, web, /**/
                            MHD_OPTION_LISTEN_SOCKET, listening->fd,    /**/
                            MHD_OPTION_CONNECTION_LIMIT, (unsigned)CONNECTIONS_MAX,
                            MHD_OPTION_PER_IP_CONNECTION_LIMIT, per_ip, /**/
                            MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)IDLE_SECONDS,
                            MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)REQUEST_BYTES_MAX,
                            MHD_OPTION_STRICT_FOR_CLIENT, 1, /**/
                            MHD_OPTION_UNESCAPE_CALLBACK, keep_escapes, web,
                            MHD_OPTION_END);
}

int web_start(struct web **web, const struct web_config *config, char *bound,
              size_t bound_bytes, struct failure *failure)
{
    struct listening listening;
    struct web *w;

    if (listen_on(&listening, config->address, bound, bound_bytes, failure) < 0)
        return -1;
    w = calloc(1, sizeof(*w));
    if (!w) {
        fail(failure, TRIT_RESOURCE_EXHAUSTED, NULL, "http: out of memory");
        goto close_socket;
    }
    w->config = *config;
    memcpy(w->name, listening.name, sizeof(w->name));
    w->daemon = start_daemon(w, &listening);
    if (!w->daemon) {
        fail_field(failure, TRIT_UNAVAILABLE, "http", "%s: cannot start the server: %s",
                   config->address, strerror(errno));
        goto free_web;
    }
    *web = w;
    return 0;

free_web:
    free(w);
close_socket:
    close(listening.fd);
    return -1;
}

void web_stop(struct web *web)
{
    if (!web)
        return;
    MHD_stop_daemon(web->daemon); /* closes the socket too */
    free(web);
}
