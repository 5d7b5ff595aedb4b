/* SPDX-License-Identifier: Apache-2.0 */
#include "web/reply.h"

#include <jansson.h>

static int out_of_memory(struct failure *failure)
{
    return fail(failure, TRIT_RESOURCE_EXHAUSTED, NULL, "out of memory");
}

static int write_json(const char *bytes, size_t count, void *arg)
{
    struct text *body = arg;

    text_json(body, bytes, count);
    return body->failed ? -1 : 0;
}

/* Writes through our own callback: json_dumps drops text when memory is short. */
int reply_json(struct reply *reply, json_t *value, struct failure *failure)
{
    bool written =
        value && json_dump_callback(value, write_json, &reply->body, JSON_INDENT(2)) == 0;

    json_decref(value);
    text_put(&reply->body, "\n");
    if (!written || reply->body.failed)
        return out_of_memory(failure);
    reply->type = "application/json";
    return 0;
}

static unsigned http_status_of(enum trit_status status)
{
    switch (status) {
    case TRIT_OK:
        return 200;
    case TRIT_INVALID_ARGUMENT:
    case TRIT_OUT_OF_RANGE:
    case TRIT_FAILED_PRECONDITION:
        return 400;
    case TRIT_UNAUTHENTICATED:
        return 401;
    case TRIT_PERMISSION_DENIED:
        return 403;
    case TRIT_NOT_FOUND:
        return 404;
    case TRIT_UNIMPLEMENTED:
        return 405;
    case TRIT_ALREADY_EXISTS:
    case TRIT_ABORTED:
        return 409;
    case TRIT_RESOURCE_EXHAUSTED:
    case TRIT_UNAVAILABLE:
    case TRIT_CANCELLED:
    case TRIT_DEADLINE_EXCEEDED:
        return 503;
    case TRIT_UNKNOWN:
    case TRIT_INTERNAL:
    case TRIT_DATA_LOSS:
        break;
    }
    return 500;
}

void reply_error(struct reply *reply, const struct failure *failure)
{
    json_t *message = json_string(failure->message);
    /* json_string fails on a message with a name that was cut within a character,
     * and when memory is short. The status is shown in any case. */
    json_t *error =
        json_pack("{s:{s:s, s:o}}", "error", "status", status_name(failure->status),
                  "message", message ? message : json_string("(cannot be shown)"));

    text_fini(&reply->body);
    reply->http_status = http_status_of(failure->status);
    reply->type = "application/json";
    if (reply_json(reply, error, NULL) == 0)
        return;
    text_fini(&reply->body);
    text_put(&reply->body, "{\"error\":{\"status\":\"RESOURCE_EXHAUSTED\","
                           "\"message\":\"out of memory\"}}\n");
}
