/* SPDX-License-Identifier: Apache-2.0 */
#include "web/gate.h"

#include <stdio.h>
#include <string.h>

#include "access/access.h"
#include "access/policies.h"
#include "obs/log.h"
#include "obs/metrics.h"
#include "web/accept.h"
#include "web/host.h"
#include "web/html.h"
#include "web/reply.h"

static int add_proxy(struct gate *gate, const char *text, struct failure *failure)
{
    if (gate->proxy_count == WEB_PROXIES_MAX)
        return fail_field(failure, TRIT_INVALID_ARGUMENT, "http-trusted-proxy",
                          "more than %d addresses", (int)WEB_PROXIES_MAX);
    if (!network_parse(text, &gate->proxies[gate->proxy_count]))
        return fail_field(failure, TRIT_INVALID_ARGUMENT, "http-trusted-proxy",
                          "\"%.100s\" is not an IP address or ADDRESS/BITS", text);
    gate->proxy_count++;
    return 0;
}

int gate_init(struct gate *gate, const struct web_config *config, const char *bound_name,
              struct failure *failure)
{
    *gate = (struct gate){.config = config, .bound_name = bound_name};
    if (host_names_check(config->hosts, config->host_count, failure) < 0)
        return -1;
    for (size_t i = 0; i < config->proxy_count; i++) {
        for (const char *at = config->proxies[i]; *at; at += strspn(at, ",")) {
            size_t bytes = strcspn(at, ",");
            char text[IP_TEXT_BYTES];

            snprintf(text, sizeof(text), "%.*s", (int)bytes, at);
            if (add_proxy(gate, text, failure) < 0)
                return -1;
            at += bytes;
        }
    }
    return 0;
}

/* Whose request it is: the peer, or the client that a trusted proxy names. */
static const char *client_of(const struct gate *gate, const struct gate_request *asked,
                             char text[IP_TEXT_BYTES])
{
    if (network_has(gate->proxies, gate->proxy_count, &asked->conn->ip) &&
        forwarded_client(gate->proxies, gate->proxy_count, asked->forwarded,
                         asked->x_forwarded_for, text))
        return text;
    return asked->conn->peer.address;
}

/* A name that points here but is not ours may be a page's of another site. */
static int check_host(const struct gate *gate, const struct gate_request *asked,
                      struct failure *failure)
{
    const struct web_config *config = gate->config;

    if (asked->route && asked->route->kind != ROUTE_PAGE)
        return 0;
    if (host_allowed(asked->host, gate->bound_name, config->hosts, config->host_count))
        return 0;
    return fail(failure, TRIT_PERMISSION_DENIED, NULL,
                "host %.100s: not a name of this server; use its IP address, or start "
                "tritd with --http-host %.100s",
                asked->host, asked->host);
}

static enum policy policy_of(const struct gate_request *asked)
{
    return asked->route ? asked->route->policy : POLICY_READ;
}

static int check_caller(const struct gate *gate, const struct gate_request *asked,
                        struct failure *failure)
{
    const struct web_config *config = gate->config;

    if (!config->access ||
        (asked->route && asked->route->kind == ROUTE_METRICS && !config->auth))
        return 0;
    return access_allows(config->access, policy_of(asked), asked->path,
                         &asked->conn->peer, asked->authorization, NULL, failure);
}

/* Tells a person with a browser what to do. */
static void write_page(const struct gate *gate, const struct gate_request *asked,
                       const struct failure *failure, struct reply *reply)
{
    struct text *text = &reply->body;

    reply->http_status = http_status_of(failure->status);
    reply->prompt = reply->finished = true;
    html_begin_still(reply, gate->config, "Access");
    text_put(text, "<h1>This daemon asks who you are</h1>\n<p>");
    text_html(text, failure->message);
    text_put(
        text,
        "</p>\n<p>With curl:<br><code>curl -H \"Authorization: Bearer $TOKEN\" "
        "...</code></p>\n<p>In a browser: reload the page, and give your token as the "
        "password, under any user name.</p>\n<p>Whoever runs the daemon makes a "
        "token:<br><code>trit token NAME ");
    text_put(text, policy_name(policy_of(asked)));
    text_put(text, "</code></p>\n");
    html_end(reply);
}

static void log_refusal(const struct gate *gate, const struct gate_request *asked,
                        const struct failure *failure)
{
    char client[IP_TEXT_BYTES];

    metric_add(gate->config->metrics, M_HTTP_REFUSED, 1);
    log_event(gate->config->log, LOG_INFO, "http_refused",
              LOG_FIELDS(LOG_STR("peer", asked->conn->peer.address),
                         LOG_STR("client", client_of(gate, asked, client)),
                         LOG_U64("status", http_status_of(failure->status)),
                         LOG_STR("path", asked->path),
                         LOG_STR("message", failure->message)));
}

int gate_check(struct gate *gate, const struct gate_request *asked, struct reply *reply,
               struct failure *failure)
{
    bool browser = quality_of(asked->accept, "text/html") > 0;

    if (asked->conn->reserved)
        asked->conn->last = true; /* a place of the reserve is for one request */
    if (asked->conn->reserved && !(asked->route && asked->route->kind != ROUTE_PAGE)) {
        metric_limit(gate->config->metrics, L_HTTP_CONNECTIONS);
        return fail(failure, TRIT_RESOURCE_EXHAUSTED, NULL,
                    "every connection is in use, and the last ones are kept for probes "
                    "and metrics; try again later");
    }
    if (check_host(gate, asked, failure) < 0) {
        log_refusal(gate, asked, failure);
        return -1;
    }
    if (check_caller(gate, asked, failure) < 0) {
        log_refusal(gate, asked, failure);
        if (browser)
            write_page(gate, asked, failure, reply);
        return -1;
    }
    return 0;
}
