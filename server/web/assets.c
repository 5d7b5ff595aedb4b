/* SPDX-License-Identifier: Apache-2.0 */
/* The handlers of the files in assets/. The pages' security policy forbids inline style
 * and script, so these are files of their own. */
#include "web/assets.h"

#include "web/handlers.h"

static int serve(struct reply *reply, const char *type, const struct asset *asset)
{
    reply->type = type;
    reply->cacheable = true;
    text_add(&reply->body, asset->bytes, asset->count);
    return 0;
}

/* The reply's own events follow (http_stream.h). */
int serve_events(const struct web_config *web, const struct request *request,
                 struct reply *reply, struct failure *failure)
{
    (void)web, (void)request, (void)failure;
    reply->type = "text/event-stream";
    reply->stream = true;
    text_put(&reply->body, "retry: 3000\n\n");
    return 0;
}

#define SERVE(name, type, asset)                                                         \
    int serve_##name(const struct web_config *web, const struct request *request,        \
                     struct reply *reply, struct failure *failure)                       \
    {                                                                                    \
        (void)web, (void)request, (void)failure;                                         \
        return serve(reply, type, &asset);                                               \
    }
SERVE(style, "text/css; charset=utf-8", asset_style_css)
SERVE(script, "text/javascript; charset=utf-8", asset_live_js)
SERVE(icon, "image/svg+xml", asset_icon_svg)
SERVE(openapi, "application/json", asset_openapi_json)
