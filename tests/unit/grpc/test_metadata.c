/* SPDX-License-Identifier: Apache-2.0 */
/* Metadata of requests and replies, and what refused requests get. */
#include <stdio.h>
#include <string.h>

#include "grpc/call.h"
#include "tests/lib/check.h"
#include "tests/lib/grpc_server.h"

/* ---- a service that echoes metadata ------------------------------------------------ */

struct seen {
    bool has_text;
    char text[64];
    ptrdiff_t binary_count;
    uint8_t binary[64];
    size_t add; /* fields of this many bytes, until one is refused */
    size_t added;
    bool refuse;
};

static void echo_begin(struct call *call)
{
    struct seen *seen = call->service;
    const char *text = metadata_text(&call->headers, "x-text");

    seen->has_text = text;
    if (text)
        snprintf(seen->text, sizeof(seen->text), "%s", text);
    seen->binary_count =
        metadata_binary(&call->headers, "x-data-bin", seen->binary, sizeof(seen->binary));
    if (text)
        call_add_metadata(call, METADATA_HEADERS, "x-text", text, strlen(text));
    if (seen->binary_count >= 0)
        call_add_metadata(call, METADATA_TRAILERS, "x-data-bin", seen->binary,
                          (size_t)seen->binary_count);
}

static int echo_request(struct call *call)
{
    static const char filler[METADATA_BYTES_MAX + 1];
    struct seen *seen = call->service;

    while (seen->add && call_add_metadata(call, METADATA_TRAILERS, "x-more-bin", filler,
                                          seen->add) == 0)
        seen->added++;
    if (seen->refuse)
        return fail_field(&call->failure, TRIT_INVALID_ARGUMENT, "text",
                          "is \xc3\xa4\n%%");
    if (call->failure.status == TRIT_OK)
        call_write_message(call, "x", 1);
    call_end(call);
    return 0;
}

static const struct scan_field no_blobs[] = {{0}};
static const struct method echo_method = {
    .path = "/demo.Meta/Echo",
    .scan = no_blobs,
    .begin = echo_begin,
    .request = echo_request,
};
static const struct method *const methods[] = {&echo_method};

static const char hello[] = "\x0a\x05hello";

static void call_with(struct seen *seen, struct exchange *exchange,
                      const struct request_field *fields, size_t count)
{
    struct server server;

    server_open(&server, methods, 1, seen, NULL);
    connection_fields(server.connection, fields, count);
    server_start(&server, exchange, "/demo.Meta/Echo", hello, NULL);
    exchange_finish(exchange);
    exchange_free(exchange);
    server_close(&server);
}

/* ---- cases -------------------------------------------------------------------------- */

CASE(echoed, "text and binary metadata are read, and come back in headers and trailers")
{
    static const struct request_field fields[] = {{"x-text", "some text"},
                                                  {"x-data-bin", "q6ur"}};
    struct seen seen = {0};
    struct exchange exchange;

    call_with(&seen, &exchange, fields, 2);
    CHECK_EQ(exchange.status, TRIT_OK);
    CHECK_STR(seen.text, "some text");
    CHECK_EQ(seen.binary_count, 3);
    CHECK_MEM(seen.binary, "\xab\xab\xab", 3);
    CHECK(exchange_has(&exchange, "x-text: some text"));
    CHECK(exchange_has(&exchange, "x-data-bin: q6ur"));
    CHECK(strstr(exchange.fields, "x-text") < strstr(exchange.fields, "grpc-status"));
    CHECK(strstr(exchange.fields, "x-data-bin") > strstr(exchange.fields, "grpc-status"));
}

CASE(padding, "binary metadata are read with padding, without, and joined by commas")
{
    static const char *const values[] = {"qw", "qw==", "qw==,q6s=", "qw,q6s"};

    for (size_t i = 0; i < 4; i++) {
        const struct request_field field = {"x-data-bin", values[i]};
        struct seen seen = {0};
        struct exchange exchange;

        call_with(&seen, &exchange, &field, 1);
        CHECK_EQ(seen.binary_count, 1);
        CHECK_EQ(seen.binary[0], 0xab);
        CHECK(exchange_has(&exchange, "x-data-bin: qw"));
    }
}

CASE(invalid, "invalid metadata are as if absent, and cost no call")
{
    static const struct request_field fields[] = {{"x-text", "caf\xc3\xa9"},
                                                  {"x-data-bin", "not base64!"}};
    struct seen seen = {0};
    struct exchange exchange;

    call_with(&seen, &exchange, fields, 2);
    CHECK_EQ(exchange.status, TRIT_OK);
    CHECK(!seen.has_text);
    CHECK_EQ(seen.binary_count, -1);
}

CASE(bounded_bytes, "metadata of a reply are bounded in bytes")
{
    struct seen seen = {.add = 300};
    struct exchange exchange;

    call_with(&seen, &exchange, NULL, 0);
    CHECK_EQ(exchange.status, TRIT_RESOURCE_EXHAUSTED);
    CHECK_EQ(seen.added, METADATA_BYTES_MAX / (10 + 400 + 32));
}

CASE(bounded_fields, "metadata of a reply are bounded in number")
{
    struct seen seen = {.add = 1};
    struct exchange exchange;

    call_with(&seen, &exchange, NULL, 0);
    CHECK_EQ(exchange.status, TRIT_RESOURCE_EXHAUSTED);
    CHECK_EQ(seen.added, METADATA_FIELDS_MAX);
}

CASE(status_text, "a status message is percent-encoded, and google.rpc details follow")
{
    static const struct request_field field = {"x-text", "kept"};
    struct seen seen = {.refuse = true};
    struct exchange exchange;

    call_with(&seen, &exchange, &field, 1);
    CHECK_EQ(exchange.status, TRIT_INVALID_ARGUMENT);
    CHECK_STR(exchange.message, "text: is \xc3\xa4\n%");
    CHECK(exchange_has(&exchange, "grpc-message: text: is %C3%A4%0A%25"));
    CHECK(exchange_has(&exchange, "x-text: kept")); /* also in a Trailers-Only response */
    CHECK(strstr(exchange.fields, "grpc-status-details-bin: CAMSDXRleHQ6IGlzIMOkCiU"));
}

/* ---- refusals ------------------------------------------------------------------------ */

static void refused(const struct request_field *field, const char *path, int status,
                    const char *method_label, const char *code)
{
    struct seen seen = {0};
    struct exchange exchange;
    struct server server;
    char line[128];

    server_open(&server, methods, 1, &seen, NULL);
    connection_fields(server.connection, field, field ? 1 : 0);
    server_start(&server, &exchange, path, hello, NULL);
    exchange_finish(&exchange);
    CHECK_EQ(exchange.status, status);
    snprintf(line, sizeof(line), "tritd_rpc_handled_total{method=\"%s\",code=\"%s\"}",
             method_label, code);
    CHECK_EQ(server_metric(&server, line), 1);
    if (status == TRIT_UNIMPLEMENTED)
        CHECK(exchange_has(&exchange, "grpc-accept-encoding: identity,gzip,deflate"));
    exchange_free(&exchange);
    server_close(&server);
}

CASE(counted, "refused calls are counted, those that no method has as unknown")
{
    static const struct request_field brotli = {"grpc-encoding", "br"};
    static const struct request_field timeout = {"grpc-timeout", "soon"};

    refused(NULL, "/demo.Meta/Other", TRIT_UNIMPLEMENTED, "unknown", "UNIMPLEMENTED");
    refused(NULL, "/demo.Meta/Echo\xff", TRIT_UNIMPLEMENTED, "unknown", "UNIMPLEMENTED");
    refused(&brotli, "/demo.Meta/Echo", TRIT_UNIMPLEMENTED, "/demo.Meta/Echo",
            "UNIMPLEMENTED");
    refused(&timeout, "/demo.Meta/Echo", TRIT_INVALID_ARGUMENT, "/demo.Meta/Echo",
            "INVALID_ARGUMENT");
}
