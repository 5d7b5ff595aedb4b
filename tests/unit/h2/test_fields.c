/* SPDX-License-Identifier: Apache-2.0 */
#include <nghttp2/nghttp2.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "h2/session.h"
#include "tests/lib/check.h"

enum { TEXT_BYTES = 4096, FIELDS_MAX = 40 };

/* "name: value\n" of each field of the last request. */
struct seen {
    char text[TEXT_BYTES];
    unsigned requests;
};

static void append(char *text, const char *more)
{
    const size_t used = strlen(text), bytes = strlen(more);

    CHECK(used + bytes < TEXT_BYTES);
    memcpy(text + used, more, bytes + 1);
}

static void append_field(char *text, const char *name, const char *value)
{
    append(text, name);
    append(text, ": ");
    append(text, value);
    append(text, "\n");
}

static void on_request(void *owner, struct h2_stream *stream,
                       const struct h2_header *headers, size_t count)
{
    struct seen *seen = owner;

    (void)stream;
    seen->requests++;
    seen->text[0] = '\0';
    for (size_t i = 0; i < count; i++) {
        CHECK_EQ(strlen(headers[i].name), headers[i].name_len);
        CHECK_EQ(strlen(headers[i].value), headers[i].value_len);
        append_field(seen->text, headers[i].name, headers[i].value);
    }
}

static void on_end(struct h2_stream *stream)
{
    (void)stream;
}

static void on_closed(struct h2_stream *stream, uint32_t code)
{
    (void)stream, (void)code;
}

static void wake(void *waker)
{
    (void)waker;
}

static const struct h2_events events = {
    .request = on_request, .end = on_end, .closed = on_closed};

struct client {
    struct h2_session *session;
    nghttp2_hd_deflater *deflater;
    struct seen seen;
    struct failure failure;
    uint32_t id;
};

static void receive(struct client *client, const void *bytes, size_t count)
{
    CHECK_EQ(h2_receive(client->session, bytes, count, &client->failure), 0);
}

static void open_client(struct client *client)
{
    static const char start[] = NGHTTP2_CLIENT_MAGIC "\0\0\0\4\0\0\0\0\0";
    const struct limits limits = limits_default();

    *client = (struct client){.id = 1};
    client->session = h2_create(&limits, &events, &client->seen, NULL, wake, NULL);
    CHECK(client->session);
    CHECK_EQ(nghttp2_hd_deflate_new(&client->deflater, 4096), 0);
    receive(client, start, sizeof(start) - 1);
}

static void close_client(struct client *client)
{
    nghttp2_hd_deflate_del(client->deflater);
    h2_destroy(client->session);
}

/* Sends a request with these names and values, which alternate up to NULL, and checks that it
 * arrives so. */
static void request(struct client *client, const char *const *fields)
{
    uint8_t frame[TEXT_BYTES] = {0, 0, 0, NGHTTP2_HEADERS, 0x5, 0, 0, 0, 0};
    nghttp2_nv nv[FIELDS_MAX];
    char wanted[TEXT_BYTES] = "";
    const unsigned before = client->seen.requests;
    size_t count = 0;
    ssize_t bytes;

    for (; fields[2 * count]; count++) {
        const char *name = fields[2 * count], *value = fields[2 * count + 1];

        CHECK(count < FIELDS_MAX);
        append_field(wanted, name, value);
        nv[count] = (nghttp2_nv){.name = (uint8_t *)(uintptr_t)name,
                                 .namelen = strlen(name),
                                 .value = (uint8_t *)(uintptr_t)value,
                                 .valuelen = strlen(value)};
    }
    bytes =
        nghttp2_hd_deflate_hd(client->deflater, frame + 9, sizeof(frame) - 9, nv, count);
    CHECK(bytes > 0);
    frame[1] = (uint8_t)(bytes >> 8);
    frame[2] = (uint8_t)bytes;
    frame[7] = (uint8_t)(client->id >> 8);
    frame[8] = (uint8_t)client->id;
    client->id += 2;
    receive(client, frame, 9 + (size_t)bytes);
    CHECK_EQ(client->seen.requests, before + 1);
    CHECK_STR(client->seen.text, wanted);
}

#define START ":method", "POST", ":scheme", "http", ":authority", "x"

CASE(repeated,
     "a request has its own fields, whatever the connection's request before had")
{
    static const char *const one[] = {START, ":path", "/a", "te", "trailers", NULL};
    static const char *const path[] = {START, ":path", "/b", "te", "trailers", NULL};
    static const char *const more[] = {START,      ":path", "/b", "te",
                                       "trailers", "x-a",   "1",  NULL};
    static const char *const fewer[] = {START, ":path", "/b", NULL};
    static const char *const order[] = {":path", "/b", START, "x-a", "1", NULL};
    static const char *const value[] = {":path", "/b", START, "x-a", "2", NULL};
    static const char *const longer[] = {":path", "/b", START, "x-a", "23", NULL};
    const char *const *requests[] = {one,    one,   path,  path,  more,
                                     more,   fewer, more,  order, value,
                                     longer, order, fewer, one,   one};
    struct client client;

    open_client(&client);
    for (size_t i = 0; i < sizeof(requests) / sizeof(requests[0]); i++)
        request(&client, requests[i]);
    close_client(&client);
}

CASE(large, "the fields of a large request do not stay, and those after it are their own")
{
    static const char *const small[] = {START, ":path", "/a", NULL};
    const char *many[2 * FIELDS_MAX] = {START, ":path", "/a"};
    char value[1200];
    const char *const longest[] = {START, ":path", "/a", "x-a", value, NULL};
    struct client client;

    for (size_t i = 4; i < FIELDS_MAX - 1; i++) {
        many[2 * i] = i % 2 ? "x-a" : "x-b";
        many[2 * i + 1] = "1";
    }
    memset(value, 'v', sizeof(value) - 1);
    value[sizeof(value) - 1] = '\0';
    open_client(&client);
    for (size_t i = 0; i < 3; i++) {
        request(&client, small);
        request(&client, many);
        request(&client, longest);
    }
    close_client(&client);
}
