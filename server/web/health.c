/* SPDX-License-Identifier: Apache-2.0 */
/* The handlers for probes and Prometheus. */
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "obs/metrics.h"
#include "web/accept.h"
#include "web/handlers.h"
#include "web/reply.h"

enum { WHY_BYTES = 256 };

int serve_livez(const struct web_config *web, const struct request *request,
                struct reply *reply, struct failure *failure)
{
    (void)web, (void)request, (void)failure;
    text_put(&reply->body, "ok\n");
    return 0;
}

static int not_ready(const struct web_config *web, char why[WHY_BYTES])
{
    why[0] = '\0';
    return web->ready ? web->ready(web->ready_arg, why, WHY_BYTES) : 0;
}

int serve_readyz(const struct web_config *web, const struct request *request,
                 struct reply *reply, struct failure *failure)
{
    char why[WHY_BYTES];

    (void)request, (void)failure;
    if (not_ready(web, why) == 0) {
        text_put(&reply->body, "ok\n");
        return 0;
    }
    reply->http_status = 503;
    text_format(&reply->body, "not ready: %s\n", why);
    return 0;
}

int serve_healthz(const struct web_config *web, const struct request *request,
                  struct reply *reply, struct failure *failure)
{
    char why[WHY_BYTES];
    int unready = not_ready(web, why);
    json_t *health = json_pack("{s:s, s:s}", "status", unready ? "unavailable" : "ok",
                               "version", web->version);

    (void)request;
    if (health && unready && json_object_set_new(health, "reason", json_string(why))) {
        json_decref(health);
        health = NULL;
    }
    reply->http_status = unready ? 503 : 200;
    return reply_json(reply, health, failure);
}

int serve_metrics(const struct web_config *web, const struct request *request,
                  struct reply *reply, struct failure *failure)
{
    bool openmetrics = accepts_openmetrics(request->accept);
    size_t bytes = 0;
    char *exposition;

    if (web->observe)
        web->observe(web->observe_arg);
    exposition = metrics_render(web->metrics, openmetrics, &bytes);
    if (!exposition)
        return fail(failure, TRIT_RESOURCE_EXHAUSTED, NULL, "out of memory");
    reply->type = openmetrics
                      ? "application/openmetrics-text; version=1.0.0; charset=utf-8"
                      : "text/plain; version=0.0.4; charset=utf-8";
    text_add(&reply->body, exposition, bytes);
    free(exposition);
    return 0;
}
