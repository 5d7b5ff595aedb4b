/* SPDX-License-Identifier: Apache-2.0 */
/* A stream of server-sent events: "reports" tells that reports were filed, "jobs" that jobs
 * over checkpoints went on, so that a page is read again. The HTTP library only begins it; then the connection is the front's
 * alone. A stream keeps nothing that waits: while its client does not read, what happens
 * is told by one event later. */
#ifndef WEB_HTTP_STREAM_H
#define WEB_HTTP_STREAM_H

#include "web/http_conn.h"
#include "web/request.h"

enum {
    HTTP_STREAM_SHARE = 4,           /* one in so many connections may be a stream; 503 */
    HTTP_STREAM_CHECK_MS = 1000,     /* between two looks for what is new */
    HTTP_STREAM_BEAT_MS = 15000,     /* without an event, a comment is sent */
    HTTP_STREAM_MS_MAX = 10 * 60000, /* then it closes, and the client opens another */
};

/* How many streams a bound of connections allows. */
size_t http_streams_max(size_t connections);

/* Turns the connection of a request into a stream once its engine's end closes. Writes
 * the head of the reply. -1: it does not fit. */
int http_stream_begin(struct http_conn *conn, const struct reply *reply,
                      struct http_versions versions, uint64_t now_ns);

/* Tells a stream what has changed. */
void http_stream_tell(struct http_conn *conn, struct http_versions versions,
                      uint64_t now_ns);

#endif
