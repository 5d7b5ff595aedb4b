/* SPDX-License-Identifier: Apache-2.0 */
/* Unary calls against a server that does what it is told. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <trit.h>

#include "client/lib/pool.h"
#include "tests/lib/check.h"
#include "tests/lib/fake_reply.h"
#include "tests/lib/fake_server.h"

/* ---- fixture ---------------------------------------------------------------------- */

enum { ROWS = 4, COLUMNS = 128, ELEMENTS = ROWS * COLUMNS };
static const uint64_t shape[2] = {ROWS, COLUMNS};

struct fixture {
    struct fake_server *server;
    struct trit_client *client;
    struct trit_error error;
    float weights[ELEMENTS], expected[ELEMENTS];
    struct fake_reply reply;
};

static void fill(float *values, size_t count, uint64_t seed)
{
    for (size_t i = 0; i < count; i++)
        values[i] = (float)(check_random(&seed) % 1000) / 500.0f - 1.0f;
}

static void start(struct fixture *f, struct fake_act *acts, size_t count)
{
    const struct trit_report report = fake_report(ELEMENTS);
    struct trit_connect_options options = {.size = sizeof(options), .timeout_ms = 20000};

    memset(f, 0, sizeof(*f));
    f->error = (struct trit_error)TRIT_ERROR_INIT;
    fill(f->weights, ELEMENTS, 1);
    fill(f->expected, ELEMENTS, 2);
    fake_reply_projected(&f->reply, &report, TRIT_ENCODING_DENSE, shape, NULL, 0,
                         f->expected, sizeof(f->expected));
    for (size_t i = 0; i < count; i++) /* acts without a body answer properly */
        if (!acts[i].body) {
            acts[i].body = f->reply.bytes;
            acts[i].body_bytes = f->reply.count;
        }
    f->server = fake_start(acts, count);
    options.address = fake_address(f->server);
    CHECK_EQ(trit_connect(&f->client, &options, &f->error), TRIT_OK);
}

static void stop(struct fixture *f)
{
    trit_close(f->client);
    fake_stop(f->server);
    fake_reply_free(&f->reply);
}

static enum trit_status project(struct fixture *f,
                                const struct trit_project_options *options,
                                struct trit_projection *projection)
{
    const struct trit_tensor tensor = {.size = sizeof(tensor),
                                       .dtype = TRIT_F32,
                                       .rank = 2,
                                       .shape = {ROWS, COLUMNS},
                                       .data = f->weights,
                                       .bytes = sizeof(f->weights)};

    return trit_project(f->client, &tensor, options, projection, &f->error);
}

/* Projects and checks that all is as the server said. */
static void project_ok(struct fixture *f)
{
    struct trit_report report = TRIT_REPORT_INIT;
    struct trit_projection projection = {.size = sizeof(projection), .report = &report};

    if (project(f, NULL, &projection) != TRIT_OK)
        check_failed(__FILE__, __LINE__, "%s: %s", trit_status_name(f->error.status),
                     f->error.message);
    CHECK_EQ(projection.data_bytes, sizeof(f->expected));
    CHECK_MEM(projection.data, f->expected, sizeof(f->expected));
    CHECK_EQ(report.elements, ELEMENTS);
    CHECK_EQ(projection.dtype, TRIT_F32);
    CHECK(!projection.scales);
    trit_projection_free(&projection);
    CHECK(!projection.data && projection.report == &report);
}

/* Projects, expects `status`, and that nothing was given. */
static void project_fails(struct fixture *f, enum trit_status status)
{
    struct trit_projection projection = TRIT_PROJECTION_INIT;

    if (project(f, NULL, &projection) != status)
        check_failed(__FILE__, __LINE__, "%s instead of %s: %s",
                     trit_status_name(f->error.status), trit_status_name(status),
                     f->error.message);
    CHECK_EQ(f->error.status, status);
    CHECK(!projection.data);
}

static void once_fails(struct fake_act act, enum trit_status status, const char *message)
{
    struct fixture f;

    start(&f, &act, 1);
    project_fails(&f, status);
    if (!strstr(f.error.message, message))
        check_failed(__FILE__, __LINE__, "\"%s\" lacks \"%s\"", f.error.message, message);
    stop(&f);
}

/* ---- cases: answers ---------------------------------------------------------------- */

CASE(answers, "a call sends a valid gRPC request and returns the daemon's answer")
{
    struct fake_act act = {.deed = FAKE_ANSWER};
    struct fake_request request;
    struct fixture f;

    start(&f, &act, 1);
    project_ok(&f);
    CHECK(fake_request(f.server, 0, &request));
    CHECK_STR(request.path, "/trit.v1.Ternary/Project");
    CHECK_STR(request.te, "trailers");
    CHECK_STR(request.content_type, "application/grpc");
    CHECK_STR(request.authority, fake_address(f.server));
    CHECK(request.timeout[0] != '\0');
    CHECK(request.complete && !request.was_reset);
    stop(&f);
}

CASE(reuses, "consecutive calls share a connection")
{
    struct fake_act act = {.deed = FAKE_ANSWER};
    struct fixture f;

    start(&f, &act, 1);
    for (int i = 0; i < 10; i++)
        project_ok(&f);
    CHECK_EQ(fake_connections(f.server), 1);
    stop(&f);
}

CASE(dribbles, "a reply that arrives byte by byte gives the same result")
{
    struct fake_act act = {.deed = FAKE_ANSWER, .write_bytes_max = 1};
    struct fixture f;

    start(&f, &act, 1);
    project_ok(&f);
    stop(&f);
}

CASE(into_a_buffer_of_the_caller,
     "a result goes into the caller's buffer, if it is large enough")
{
    struct fake_act act = {.deed = FAKE_ANSWER};
    struct trit_projection projection = TRIT_PROJECTION_INIT;
    float buffer[ELEMENTS];
    struct trit_project_options options = {
        .size = sizeof(options), .out = buffer, .out_bytes = sizeof(buffer)};
    struct fixture f;

    start(&f, &act, 1);
    CHECK_EQ(project(&f, &options, &projection), TRIT_OK);
    CHECK(projection.data == buffer && !projection.data_owned);
    CHECK_MEM(buffer, f.expected, sizeof(buffer));
    trit_projection_free(&projection);
    options.out_bytes--;
    CHECK_EQ(project(&f, &options, &projection), TRIT_INVALID_ARGUMENT);
    CHECK_STR(f.error.field, "out");
    stop(&f);
}

/* ---- cases: errors of the daemon --------------------------------------------------- */

CASE(trailers_only, "a Trailers-Only error gives its status and decoded message")
{
    /* google.rpc.Status{3, "x", BadRequest{field "tensor.shape"}}, see test_codec */
    once_fails((struct fake_act){.deed = FAKE_FAIL,
                                 .status = "3",
                                 .message = "tensor.shape: 50%25 of \xc3\xa4%0A"},
               TRIT_INVALID_ARGUMENT, "tensor.shape: 50% of \xc3\xa4\n");
}

CASE(after_body, "an error after a complete body is an error")
{
    once_fails((struct fake_act){.deed = FAKE_ANSWER, .status = "15", .message = "bits"},
               TRIT_DATA_LOSS, "bits");
}

CASE(page, "an HTTP error page is mapped by its HTTP status")
{
    const uint8_t html[] = "<html>no such page</html>";

    once_fails((struct fake_act){.deed = FAKE_PAGE,
                                 .http_status = 404,
                                 .body = html,
                                 .body_bytes = sizeof(html)},
               TRIT_UNIMPLEMENTED, "404");
    once_fails((struct fake_act){.deed = FAKE_PAGE, .http_status = 503}, TRIT_UNAVAILABLE,
               "503");
    once_fails((struct fake_act){.deed = FAKE_PAGE, .http_status = 200}, TRIT_UNKNOWN,
               "text/html");
}

CASE(no_trailers, "a reply without a gRPC status is UNKNOWN")
{
    once_fails((struct fake_act){.deed = FAKE_NO_TRAILERS}, TRIT_UNKNOWN,
               "without a gRPC status");
}

CASE(resets, "a reset stream is mapped by its HTTP/2 code")
{
    static const struct {
        uint32_t code;
        enum trit_status status;
    } codes[] = {{0, TRIT_INTERNAL},
                 {2, TRIT_INTERNAL},
                 {8, TRIT_CANCELLED},
                 {11, TRIT_RESOURCE_EXHAUSTED},
                 {12, TRIT_PERMISSION_DENIED}};

    for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++)
        once_fails((struct fake_act){.deed = FAKE_RESET, .code = codes[i].code},
                   codes[i].status, "reset");
}

CASE(unknown_status, "a status outside the table is UNKNOWN")
{
    once_fails((struct fake_act){.deed = FAKE_FAIL, .status = "99"}, TRIT_UNKNOWN,
               "without a message");
}

/* ---- cases: malformed replies ------------------------------------------------------ */

CASE(cut_short, "a truncated reply is INTERNAL")
{
    struct fake_act act = {.deed = FAKE_ANSWER};
    struct fixture f;

    start(&f, &act, 1);
    act.body_bytes = f.reply.count - 1;
    project_fails(&f, TRIT_INTERNAL);
    CHECK_STR(f.error.message, "the reply ends inside a message");
    act.body_bytes = 0; /* the server reads its act anew for each request */
    project_fails(&f, TRIT_INTERNAL);
    CHECK_STR(f.error.message, "status OK, but the reply holds no message");
    stop(&f);
}

/* A reply whose data is `bytes` long. */
static void wrong_size(size_t bytes, enum trit_status status)
{
    const struct trit_report report = fake_report(ELEMENTS);
    struct fake_reply reply = {NULL, 0, 0};
    uint8_t *data = calloc(1, bytes);
    struct fake_act act = {.deed = FAKE_ANSWER};

    CHECK(data);
    fake_reply_projected(&reply, &report, TRIT_ENCODING_DENSE, shape, NULL, 0, data,
                         bytes);
    act.body = reply.bytes;
    act.body_bytes = reply.count;
    once_fails(act, status, "bytes of data");
    fake_reply_free(&reply);
    free(data);
}

CASE(wrong_sizes, "a result whose size differs from what the request implies is refused")
{
    wrong_size(ELEMENTS * 4 - 4, TRIT_DATA_LOSS);
    wrong_size(ELEMENTS * 4 + 1, TRIT_INTERNAL);
}

CASE(wrong_encoding, "a result in another encoding is refused")
{
    const struct trit_report report = fake_report(ELEMENTS);
    struct fake_reply reply = {NULL, 0, 0};
    float data[ELEMENTS] = {0};

    fake_reply_projected(&reply, &report, TRIT_ENCODING_INT8, shape, NULL, 0, data,
                         sizeof(data));
    once_fails((struct fake_act){.deed = FAKE_ANSWER,
                                 .body = reply.bytes,
                                 .body_bytes = reply.count},
               TRIT_INTERNAL, "encoding 1");
    fake_reply_free(&reply);
}

CASE(huge_length,
     "a message longer than message_bytes_max is refused from its length prefix")
{
    const uint8_t prefix[5] = {0, 0xff, 0xff, 0xff, 0xff};

    once_fails((struct fake_act){.deed = FAKE_ANSWER, .body = prefix, .body_bytes = 5},
               TRIT_RESOURCE_EXHAUSTED, "4294967295");
}

CASE(compressed, "a compressed message is refused")
{
    const uint8_t message[6] = {1, 0, 0, 0, 1, 0};

    once_fails((struct fake_act){.deed = FAKE_ANSWER, .body = message, .body_bytes = 6},
               TRIT_INTERNAL, "compressed");
}

CASE(garbage, "a malformed message is refused")
{
    const uint8_t message[8] = {0, 0, 0, 0, 3, 0xff, 0xff, 0xff};

    once_fails((struct fake_act){.deed = FAKE_ANSWER, .body = message, .body_bytes = 8},
               TRIT_INTERNAL, "malformed reply");
}

CASE(twice, "a second message in a unary reply is refused")
{
    struct fake_act act = {.deed = FAKE_ANSWER};
    struct fake_reply two = {NULL, 0, 0};
    struct fixture f;

    start(&f, &act, 1);
    fake_reply_raw(&two, f.reply.bytes, f.reply.count);
    fake_reply_raw(&two, f.reply.bytes, f.reply.count);
    act.body = two.bytes;
    act.body_bytes = two.count;
    project_fails(&f, TRIT_INTERNAL);
    CHECK_STR(f.error.message, "the reply holds more than one message");
    stop(&f);
    fake_reply_free(&two);
}

/* ---- cases: retry ------------------------------------------------------------------ */

static void retries(enum fake_deed deed)
{
    struct fake_act acts[2] = {{.deed = deed, .code = 7}, {.deed = FAKE_ANSWER}};
    struct fixture f;

    start(&f, acts, 2);
    project_ok(&f);
    CHECK_EQ(fake_connections(f.server), 2);
    stop(&f);
}

CASE(retries_refused, "a refused stream is retried on a new connection")
{
    retries(FAKE_RESET);
}

CASE(retries_goaway, "a stream excluded by GOAWAY is retried on a new connection")
{
    retries(FAKE_GOAWAY);
}

CASE(retries_end, "a stream that is refused each time fails after three attempts")
{
    struct fake_act act = {.deed = FAKE_RESET, .code = 7};
    struct fake_request request;
    struct fixture f;

    start(&f, &act, 1);
    project_fails(&f, TRIT_UNAVAILABLE);
    CHECK(fake_request(f.server, 2, &request));
    CHECK(!fake_request(f.server, 3, &request));
    stop(&f);
}

CASE(stale,
     "if a pooled connection breaks during a call, the call is retried once on a new one")
{
    struct fake_act acts[3] = {
        {.deed = FAKE_ANSWER}, {.deed = FAKE_HANGUP}, {.deed = FAKE_ANSWER}};
    struct fixture f;

    start(&f, acts, 3);
    project_ok(&f);
    project_ok(&f);
    CHECK_EQ(fake_connections(f.server), 2);
    stop(&f);
}

CASE(closed_while_idle, "a pooled connection that was closed while idle is not used")
{
    struct fake_act acts[2] = {{.deed = FAKE_ANSWER, .hang_up_after = true},
                               {.deed = FAKE_ANSWER}};
    struct fixture f;

    start(&f, acts, 2);
    project_ok(&f);
    project_ok(&f);
    CHECK_EQ(fake_connections(f.server), 2);
    stop(&f);
}

CASE(fresh_loss, "a new connection that breaks during a call is UNAVAILABLE")
{
    once_fails((struct fake_act){.deed = FAKE_HANGUP}, TRIT_UNAVAILABLE, "127.0.0.1:");
}

CASE(refused,
     "a daemon that cannot be reached is UNAVAILABLE, and the message has its address")
{
    struct trit_connect_options options = {.size = sizeof(options),
                                           .address = "127.0.0.1:1"};
    struct trit_client *client;
    struct trit_error error = TRIT_ERROR_INIT;
    bool serving = true;

    CHECK_EQ(trit_connect(&client, &options, &error), TRIT_OK);
    CHECK_EQ(trit_ping(client, NULL, NULL, &serving, &error), TRIT_UNAVAILABLE);
    CHECK_STR(error.message, "cannot connect to 127.0.0.1:1: Connection refused");
    CHECK(serving);
    trit_close(client);
    options.address = "unix:/nonexistent/socket";
    CHECK_EQ(trit_connect(&client, &options, &error), TRIT_OK);
    CHECK_EQ(trit_ping(client, NULL, NULL, &serving, &error), TRIT_UNAVAILABLE);
    CHECK(strstr(error.message, "unix:/nonexistent/socket"));
    trit_close(client);
}

/* ---- cases: giving up -------------------------------------------------------------- */

CASE(deadline, "a deadline cancels the stream and keeps the connection")
{
    struct fake_act acts[2] = {{.deed = FAKE_STALL}, {.deed = FAKE_ANSWER}};
    const struct trit_call_options call = {.size = sizeof(call), .timeout_ms = 50};
    struct trit_project_options options = {.size = sizeof(options), .call = &call};
    struct trit_projection projection = TRIT_PROJECTION_INIT;
    struct fake_request request;
    struct fixture f;

    start(&f, acts, 2);
    CHECK_EQ(project(&f, &options, &projection), TRIT_DEADLINE_EXCEEDED);
    CHECK_STR(f.error.message, "no complete reply within 50 ms");
    CHECK(!projection.data);
    CHECK(fake_await_reset(f.server, 0, &request));
    CHECK_EQ(request.reset_code, 8); /* CANCEL */
    project_ok(&f);                  /* on the same connection */
    CHECK_EQ(fake_connections(f.server), 1);
    stop(&f);
}

CASE(daemons_deadline, "a DEADLINE_EXCEEDED of the daemon is passed on")
{
    struct fake_act act = {.deed = FAKE_FAIL, .status = "4", .message = "too slow"};

    once_fails(act, TRIT_DEADLINE_EXCEEDED, "too slow");
}

static int stop_at_once(void *arg, uint64_t done, uint64_t total)
{
    uint64_t *calls = arg;

    CHECK(done <= total);
    CHECK_EQ(total, ELEMENTS * 4);
    return ++*calls == 2;
}

CASE(cancels, "a progress callback that returns stop cancels the stream")
{
    struct fake_act acts[2] = {{.deed = FAKE_STALL}, {.deed = FAKE_ANSWER}};
    uint64_t calls = 0;
    const struct trit_call_options call = {
        .size = sizeof(call), .progress = stop_at_once, .progress_arg = &calls};
    struct trit_project_options options = {.size = sizeof(options), .call = &call};
    struct trit_projection projection = TRIT_PROJECTION_INIT;
    struct fake_request request;
    struct fixture f;

    start(&f, acts, 2);
    CHECK_EQ(project(&f, &options, &projection), TRIT_CANCELLED);
    CHECK_EQ(calls, 2);
    CHECK(fake_await_reset(f.server, 0, &request));
    CHECK_EQ(request.reset_code, 8);
    project_ok(&f);
    stop(&f);
}

/* ---- cases: without a daemon ------------------------------------------------------- */

CASE(checks_locally, "errors that need no daemon are found without a connection")
{
    static const struct {
        struct trit_tensor tensor;
        const char *message;
    } bad[] = {
        {{.dtype = TRIT_F32, .rank = 0, .bytes = 4}, "rank 0"},
        {{.dtype = TRIT_F32, .rank = 9, .bytes = 4}, "rank 9"},
        {{.dtype = TRIT_F32, .rank = 2, .shape = {4, 0}, .bytes = 0}, "axis 1 is 0"},
        {{.dtype = TRIT_F32, .rank = 2, .shape = {1ull << 32, 1ull << 32}, .bytes = 0},
         "overflow"},
        {{.dtype = TRIT_F32, .rank = 1, .shape = {1ull << 62}, .bytes = 0}, "overflow"},
        {{.dtype = TRIT_F32, .rank = 1, .shape = {4}, .bytes = 15}, "15"},
        {{.dtype = TRIT_DTYPE_UNSPECIFIED, .rank = 1, .shape = {4}, .bytes = 16},
         "dtype"},
        {{.dtype = (enum trit_dtype)77, .rank = 1, .shape = {4}, .bytes = 16}, "77"},
    };
    struct trit_connect_options options = {.size = sizeof(options),
                                           .address = "127.0.0.1:1"};
    struct trit_projection projection = TRIT_PROJECTION_INIT;
    struct trit_project_options packed = {.size = sizeof(packed),
                                          .encoding = TRIT_ENCODING_PQ2_0};
    struct trit_client *client;
    struct trit_error error = TRIT_ERROR_INIT;

    CHECK_EQ(trit_connect(&client, &options, &error), TRIT_OK);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct trit_tensor tensor = bad[i].tensor;

        tensor.size = sizeof(tensor);
        tensor.data = "sixteen bytes...";
        CHECK_EQ(trit_project(client, &tensor, NULL, &projection, &error),
                 TRIT_INVALID_ARGUMENT);
        if (!strstr(error.message, bad[i].message))
            check_failed(__FILE__, __LINE__, "\"%s\" lacks \"%s\"", error.message,
                         bad[i].message);
    }
    CHECK_EQ(trit_project(client,
                          &(struct trit_tensor){.size = sizeof(struct trit_tensor),
                                                .dtype = TRIT_F32,
                                                .rank = 1,
                                                .shape = {130},
                                                .data = "",
                                                .bytes = 520},
                          &packed, &projection, &error),
             TRIT_INVALID_ARGUMENT);
    trit_close(client);
}

CASE(bad_addresses, "a malformed address is refused by name")
{
    static const char *const bad[] = {"",       ":1",    "host:", "unix:",        "[::1",
                                      "[::1]x", "::1:2", "a b:1", "http://host:1"};
    struct trit_client *client = NULL;
    struct trit_error error = TRIT_ERROR_INIT;

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct trit_connect_options options = {.size = sizeof(options),
                                               .address = bad[i]};

        CHECK_EQ(trit_connect(&client, &options, &error), TRIT_INVALID_ARGUMENT);
        CHECK_STR(error.field, "address");
        CHECK(!client);
    }
}
