/* SPDX-License-Identifier: Apache-2.0 */
/* What is asked before a handler runs: is the host's name one of ours, is a place kept
 * for probes and metrics left free, and may this caller read? A refusal is counted and logged. */
#ifndef WEB_GATE_H
#define WEB_GATE_H

#include "web/config.h"
#include "web/http_conn.h"
#include "web/request.h"

struct gate {
    const struct web_config *config;
    const char *bound_name;
    struct network proxies[WEB_PROXIES_MAX];
    size_t proxy_count;
};

struct gate_request { /* each text may be NULL */
    const char *path, *host, *accept, *authorization, *forwarded, *x_forwarded_for;
    const struct route *route; /* NULL: the path is unknown */
    struct http_conn *conn;
};

/* Borrows config and name. INVALID_ARGUMENT: a proxy is not an address or a network, or a
 * host is not a name. */
int gate_init(struct gate *gate, const struct web_config *config, const char *bound_name,
              struct failure *failure);

/* -1: *failure says why. Where reply->finished is set, the reply is a page for a browser
 * that says how to send a token. */
int gate_check(struct gate *gate, const struct gate_request *asked, struct reply *reply,
               struct failure *failure);

#endif
