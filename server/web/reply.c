/* SPDX-License-Identifier: Apache-2.0 */
#include "web/reply.h"

#include <jansson.h>
#include <stdlib.h>

#include "json_value.h"
#include "json/json.h"

const struct reply_header reply_headers[] = {
    {"X-Content-Type-Options", "nosniff"},
    {"Content-Security-Policy",
     "default-src 'none'; style-src 'self'; img-src 'self'; script-src 'self'; "
     "connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"},
    {"Referrer-Policy", "no-referrer"},
    {"Cross-Origin-Resource-Policy", "same-origin"},
    {NULL, NULL},
};

static int out_of_memory(struct failure *failure)
{
    return fail(failure, TRIT_RESOURCE_EXHAUSTED, NULL, "out of memory");
}

void reply_begin(struct reply *reply)
{
    *reply = (struct reply){.http_status = 200, .type = "text/plain; charset=utf-8"};
}

int reply_json(struct reply *reply, json_t *value, struct failure *failure)
{
    size_t bytes;
    char *text = json_print(value, JSON_PRINT_INDENTED | JSON_PRINT_NEWLINE, &bytes);

    json_decref(value);
    if (text)
        text_json(&reply->body, text, bytes);
    free(text);
    if (!text || reply->body.failed)
        return out_of_memory(failure);
    reply->type = "application/json";
    return 0;
}

/* What has a tag may be kept, but is asked for again each time. */
static const char *caching(const struct reply *reply)
{
    if (reply->cacheable)
        return "max-age=3600";
    return reply->tag[0] ? "private, no-cache" : "no-store";
}

size_t reply_fields(const struct reply *reply, bool last,
                    struct reply_header fields[REPLY_HEADERS_MAX])
{
    size_t count = 0;

    fields[count++] = (struct reply_header){"Content-Type", reply->type};
    for (const struct reply_header *header = reply_headers; header->name; header++)
        fields[count++] = *header;
    fields[count++] = (struct reply_header){"Cache-Control", caching(reply)};
    if (reply->tag[0]) {
        fields[count++] = (struct reply_header){"ETag", reply->tag};
        fields[count++] = (struct reply_header){"Vary", "Accept-Encoding"};
    }
    if (reply->gzip)
        fields[count++] = (struct reply_header){"Content-Encoding", "gzip"};
    if (reply->http_status == 405)
        fields[count++] = (struct reply_header){"Allow", "GET, HEAD"};
    if (reply->http_status == 401)
        fields[count++] =
            (struct reply_header){"WWW-Authenticate", "Bearer realm=\"tritd\""};
    if (reply->http_status == 401 && reply->prompt)
        fields[count++] =
            (struct reply_header){"WWW-Authenticate", "Basic realm=\"tritd token\""};
    if (last)
        fields[count++] = (struct reply_header){"Connection", "close"};
    return count;
}

unsigned http_status_of(enum trit_status status)
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

void reply_error(struct reply *reply, unsigned http_status, const struct failure *failure)
{
    json_t *message = json_string(failure->message);
    /* json_string fails on a message with a name that was cut within a character,
     * and when memory is short. The status is shown in any case. */
    json_t *error =
        json_pack("{s:{s:s, s:o}}", "error", "status", status_name(failure->status),
                  "message", message ? message : json_string("(cannot be shown)"));

    text_fini(&reply->body);
    reply->http_status = http_status ? http_status : http_status_of(failure->status);
    reply->type = "application/json";
    if (reply_json(reply, error, NULL) == 0)
        return;
    text_fini(&reply->body);
    text_put(&reply->body, "{\"error\":{\"status\":\"RESOURCE_EXHAUSTED\","
                           "\"message\":\"out of memory\"}}\n");
}

static const char *reason_of(unsigned http_status)
{
    switch (http_status) {
    case 400:
        return "Bad Request";
    case 408:
        return "Request Timeout";
    case 413:
        return "Content Too Large";
    case 414:
        return "URI Too Long";
    case 431:
        return "Request Header Fields Too Large";
    case 503:
        return "Service Unavailable";
    case 505:
        return "HTTP Version Not Supported";
    default:
        return "Error";
    }
}

void reply_document(struct text *out, unsigned http_status, bool body,
                    const struct failure *failure)
{
    struct reply reply = {0};

    reply_error(&reply, http_status, failure);
    text_format(out, "HTTP/1.1 %u %s\r\n", reply.http_status,
                reason_of(reply.http_status));
    for (const struct reply_header *header = reply_headers; header->name; header++)
        text_format(out, "%s: %s\r\n", header->name, header->value);
    text_format(out,
                "Content-Type: %s\r\nContent-Length: %zu\r\nCache-Control: no-store\r\n"
                "Connection: close\r\n\r\n",
                reply.type, reply.body.count);
    if (body)
        text_add(out, reply.body.bytes, reply.body.count);
    out->failed |= reply.body.failed;
    text_fini(&reply.body);
}

struct json_t *json_step(bool has_steps, uint64_t step)
{
    return has_steps ? json_uint64(step) : json_null();
}
