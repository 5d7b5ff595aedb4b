/* SPDX-License-Identifier: Apache-2.0 */
#include "web/encode.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <xxhash.h>
#include <zlib.h>

enum { GZIP_WINDOW_BITS = 15 + 16 }; /* the largest window, with gzip's head */

/* Weak, as the same tag stands for the body with and without gzip. */
static void set_tag(struct reply *reply)
{
    snprintf(reply->tag, sizeof(reply->tag), "W/\"%016" PRIx64 "\"",
             (uint64_t)XXH3_64bits(reply->body.bytes, reply->body.count));
}

/* Weak comparison of RFC 9110: without the prefix W/. */
static bool has_tag(const char *if_none_match, const char *tag)
{
    return if_none_match &&
           (strcmp(if_none_match, "*") == 0 || strstr(if_none_match, tag + 2));
}

/* Whether the parameters of a coding, as ";q=0.0", refuse it. */
static bool is_zero(const char *parameters, size_t length)
{
    const char *q = memchr(parameters, '=', length);

    return q && strspn(q + 1, "0. ") >= (size_t)(parameters + length - q - 1);
}

bool accepts_gzip(const char *accept_encoding)
{
    bool any = false;

    for (const char *at = accept_encoding; at && *at;) {
        size_t length, name;

        at += strspn(at, " \t,");
        length = strcspn(at, ",");
        name = strcspn(at, " \t,;");
        if (name == 4 && strncasecmp(at, "gzip", 4) == 0)
            return !is_zero(at + name, length - name);
        if (name == 1 && *at == '*')
            any = !is_zero(at + name, length - name);
        at += length;
    }
    return any;
}

/* The body as one gzip member. False: no memory, or it is not shorter. */
static bool compress_body(struct text *body)
{
    struct text packed = {.capacity = body->count};
    z_stream stream = {.next_in = (Bytef *)body->bytes, .avail_in = (uInt)body->count};

    packed.bytes = malloc(packed.capacity);
    if (!packed.bytes)
        return false;
    stream.next_out = (Bytef *)packed.bytes;
    stream.avail_out = (uInt)packed.capacity;
    if (deflateInit2(&stream, Z_BEST_SPEED, Z_DEFLATED, GZIP_WINDOW_BITS, MAX_MEM_LEVEL,
                     Z_DEFAULT_STRATEGY) != Z_OK) {
        free(packed.bytes);
        return false;
    }
    int result = deflate(&stream, Z_FINISH);

    packed.count = stream.total_out;
    deflateEnd(&stream);
    if (result != Z_STREAM_END) {
        free(packed.bytes);
        return false;
    }
    text_fini(body);
    *body = packed;
    return true;
}

void reply_encode(struct reply *reply, const struct route *route,
                  const struct request *request)
{
    if (route->kind != ROUTE_PAGE || reply->http_status != 200 || reply->stream)
        return;
    set_tag(reply);
    if (has_tag(request->if_none_match, reply->tag)) {
        text_fini(&reply->body);
        reply->http_status = 304;
    } else if (reply->body.count >= GZIP_BYTES_MIN &&
               accepts_gzip(request->accept_encoding)) {
        reply->gzip = compress_body(&reply->body);
    }
}
