/* SPDX-License-Identifier: Apache-2.0 */
#include "web/encode.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <xxhash.h>
#include <zlib.h>

#include "web/accept.h"
#include "web/reply.h"

enum { GZIP_WINDOW_BITS = 15 + 16 }; /* the largest window, with gzip's head */

/* Weak, as the same tag stands for the body with and without gzip. */
static void set_tag(struct reply *reply)
{
    snprintf(reply->tag, sizeof(reply->tag), "W/\"%016" PRIx64 "\"",
             (uint64_t)XXH3_64bits(reply->body.bytes, reply->body.count));
}

/* Whether a condition is "*": any representation. */
static bool is_any(const char *list)
{
    list += strspn(list, " \t");
    return *list == '*' && list[1 + strspn(list + 1, " \t")] == '\0';
}

/* Weak comparison of RFC 9110, 8.8.3.2: without the prefix W/. A list ends where it is
 * malformed. */
static bool has_tag(const char *list, const char *tag)
{
    const char *opaque = tag + 2, *end;

    if (!list)
        return false;
    if (is_any(list))
        return true;
    for (;; list = end + 1) {
        list += strspn(list, " \t,");
        if (strncmp(list, "W/", 2) == 0)
            list += 2;
        end = *list == '"' ? strchr(list + 1, '"') : NULL;
        if (!end)
            return false;
        if (strncmp(list, opaque, strlen(opaque)) == 0)
            return true;
    }
}

/* If-Match compares strongly, and no tag of ours is strong: only "*" holds. */
int reply_check(struct reply *reply, const struct request *request,
                struct failure *failure)
{
    if (reply->http_status != 200 || !request->if_match || is_any(request->if_match))
        return 0;
    fail(failure, TRIT_FAILED_PRECONDITION, NULL,
         "If-Match: %.100s: the tags here are weak, and only * matches; use "
         "If-None-Match",
         request->if_match);
    reply->stream = reply->cacheable = false;
    reply->finished = true;
    reply_error(reply, 412, failure);
    return -1;
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
