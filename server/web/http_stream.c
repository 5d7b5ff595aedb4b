/* SPDX-License-Identifier: Apache-2.0 */
#include "web/http_stream.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "web/reply.h"

static uint64_t after_ms(uint64_t now_ns, uint64_t ms)
{
    return now_ns + ms * 1000000;
}

size_t http_streams_max(size_t connections)
{
    return connections / HTTP_STREAM_SHARE ? connections / HTTP_STREAM_SHARE : 1;
}

int http_stream_begin(struct http_conn *conn, const struct reply *reply,
                      struct http_versions versions, uint64_t now_ns)
{
    struct text head = {0};

    text_put(&head, "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
                    "Cache-Control: no-store\r\nConnection: close\r\n");
    for (const struct reply_header *header = reply_headers; header->name; header++)
        text_format(&head, "%s: %s\r\n", header->name, header->value);
    text_put(&head, "\r\n");
    text_add(&head, reply->body.bytes, reply->body.count);
    if (head.failed || head.count > sizeof(conn->out)) {
        text_fini(&head);
        return -1;
    }
    memcpy(conn->out, head.bytes, head.count);
    conn->out_at = 0;
    conn->out_count = head.count;
    text_fini(&head);
    conn->streams = conn->last = true;
    conn->versions = versions;
    conn->beat_ns = after_ms(now_ns, HTTP_STREAM_BEAT_MS);
    conn->deadline_ns = after_ms(now_ns, HTTP_STREAM_MS_MAX);
    return 0;
}

/* The events of what has changed; empty: nothing has. */
static size_t write_events(const struct http_conn *conn, struct http_versions versions,
                           char *out, size_t bytes)
{
    int count = 0;

    if (versions.reports != conn->versions.reports)
        count = snprintf(out, bytes, "event: reports\nid: %" PRIu64 "\ndata: {}\n\n",
                         versions.reports);
    if (versions.jobs != conn->versions.jobs)
        count +=
            snprintf(out + count, bytes - (size_t)count, "event: jobs\ndata: {}\n\n");
    return (size_t)count;
}

void http_stream_tell(struct http_conn *conn, struct http_versions versions,
                      uint64_t now_ns)
{
    static const char beat[] = ":\n\n";
    size_t count;

    if (conn->out_at < conn->out_count)
        return;
    count = write_events(conn, versions, conn->out, sizeof(conn->out));
    if (count == 0 && now_ns < conn->beat_ns)
        return;
    if (count == 0) {
        count = sizeof(beat) - 1;
        memcpy(conn->out, beat, count);
    }
    conn->versions = versions;
    conn->beat_ns = after_ms(now_ns, HTTP_STREAM_BEAT_MS);
    conn->out_at = 0;
    conn->out_count = count;
}
