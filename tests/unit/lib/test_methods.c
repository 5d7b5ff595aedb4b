/* SPDX-License-Identifier: Apache-2.0 */
/* The methods that are not project or verify; threads; lack of memory; forks. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <trit.h>

#include "client/lib/client.h"
#include "proto/codec/codec.h"
#include "tests/lib/check.h"
#include "tests/lib/fake_reply.h"
#include "tests/lib/fake_server.h"
#include "tests/lib/fault.h"

/* ---- fixture ---------------------------------------------------------------------- */

struct fixture {
    struct fake_reply replies[2];
    struct fake_act acts[2];
    struct fake_server *server;
    struct trit_client *client;
    struct trit_error error;
};

/* Every reply that was put into f->replies is answered in its turn. */
static void start(struct fixture *f)
{
    struct trit_connect_options options = {.size = sizeof(options), .timeout_ms = 20000};
    size_t count = 0;

    f->error = (struct trit_error)TRIT_ERROR_INIT;
    while (count < 2 && (count == 0 || f->replies[count].count > 0)) {
        f->acts[count].body = f->replies[count].bytes;
        f->acts[count].body_bytes = f->replies[count].count;
        count++;
    }
    f->server = fake_start(f->acts, count);
    options.address = fake_address(f->server);
    CHECK_EQ(trit_connect(&f->client, &options, &f->error), TRIT_OK);
}

static void stop(struct fixture *f)
{
    trit_close(f->client);
    fake_stop(f->server);
    fake_reply_free(&f->replies[0]);
    fake_reply_free(&f->replies[1]);
}

static void reply_small(struct fake_reply *reply, const uint8_t *bytes, size_t count)
{
    fake_reply_message(reply, bytes, count, NULL, 0);
}

/* ---- cases: health ----------------------------------------------------------------- */

CASE(pings, "ping tells whether the daemon serves")
{
    static const enum health_status statuses[2] = {HEALTH_SERVING, HEALTH_NOT_SERVING};
    uint8_t bytes[64];
    struct fixture f = {.client = NULL};
    bool serving = false;

    for (size_t i = 0; i < 2; i++)
        reply_small(&f.replies[i], bytes,
                    encode_health(statuses[i], bytes, sizeof(bytes)));
    start(&f);
    CHECK_EQ(trit_ping(f.client, NULL, NULL, &serving, &f.error), TRIT_OK);
    CHECK(serving);
    CHECK_EQ(trit_ping(f.client, "trit.v1.Ternary", NULL, &serving, NULL), TRIT_OK);
    CHECK(!serving);
    stop(&f);
}

/* ---- cases: reports ---------------------------------------------------------------- */

static void page(struct fake_reply *reply, const uint64_t steps[2], const char *token)
{
    uint8_t bytes[4 * REPORT_BYTES_MAX];
    size_t at = 0;

    for (size_t i = 0; i < 2; i++) {
        struct trit_report report = fake_report(128);

        report.step = steps[i];
        at += encode_report_entry(&report, bytes + at, sizeof(bytes) - at);
    }
    if (token)
        at += encode_page_token(token, bytes + at, sizeof(bytes) - at);
    reply_small(reply, bytes, at);
}

struct visits {
    uint64_t steps[8];
    size_t count, stop_at;
};

static int visit(void *arg, const struct trit_report *report)
{
    struct visits *visits = arg;

    CHECK(visits->count < 8);
    visits->steps[visits->count++] = report->step;
    return visits->count == visits->stop_at;
}

CASE(lists, "list reads page after page in order")
{
    struct fixture f = {.client = NULL};
    struct visits visits = {.stop_at = 0};
    struct trit_report report = TRIT_REPORT_INIT;
    struct fake_request request;

    page(&f.replies[0], (uint64_t[]){1, 2}, "next");
    page(&f.replies[1], (uint64_t[]){3, 4}, NULL);
    start(&f);
    CHECK_EQ(trit_report_list(f.client, NULL, &report, visit, &visits, &f.error),
             TRIT_OK);
    CHECK_EQ(visits.count, 4);
    for (size_t i = 0; i < 4; i++)
        CHECK_EQ(visits.steps[i], i + 1);
    CHECK(fake_request(f.server, 1, &request));
    CHECK(memmem(request.body, request.body_bytes, "next", 4));
    stop(&f);
}

CASE(list_stops, "list requests no more pages after the visitor stops")
{
    struct fixture f = {.client = NULL};
    struct visits visits = {.stop_at = 1};
    struct trit_report report = TRIT_REPORT_INIT;
    struct fake_request request;

    page(&f.replies[0], (uint64_t[]){1, 2}, "next");
    start(&f);
    CHECK_EQ(trit_report_list(f.client, NULL, &report, visit, &visits, &f.error),
             TRIT_OK);
    CHECK_EQ(visits.count, 1);
    CHECK(!fake_request(f.server, 1, &request));
    stop(&f);
}

CASE(gets, "get returns one report and refuses names that are too long")
{
    struct trit_report report = fake_report(256), got = TRIT_REPORT_INIT;
    const uint64_t step = 9;
    char long_name[300];
    struct fixture f = {.client = NULL};
    uint8_t bytes[REPLY_HEAD_BYTES_MAX];

    report.step = step;
    reply_small(&f.replies[0], bytes, encode_report_got(&report, bytes, sizeof(bytes)));
    start(&f);
    CHECK_EQ(trit_report_get(f.client, "run", "layer", &step, NULL, &got, &f.error),
             TRIT_OK);
    CHECK_EQ(got.step, step);
    CHECK_EQ(got.elements, 256);
    memset(long_name, 'x', sizeof(long_name) - 1);
    long_name[sizeof(long_name) - 1] = '\0';
    CHECK_EQ(trit_report_get(f.client, long_name, "layer", NULL, NULL, &got, &f.error),
             TRIT_INVALID_ARGUMENT);
    CHECK_STR(f.error.field, "run");
    stop(&f);
}

/* ---- cases: unpack and backward ---------------------------------------------------- */

CASE(unpacks, "unpack returns the dense tensor in the requested type")
{
    const struct wire_tensor dense = {.dtype = TRIT_F32, .rank = 1, .shape = {128}};
    const struct trit_tensor packed = {.size = sizeof(packed),
                                       .rank = 1,
                                       .shape = {128},
                                       .data = "0123456789012345678901234567890123",
                                       .bytes = 34};
    struct trit_unpack_options options = {
        .size = sizeof(options), .encoding = TRIT_ENCODING_PQ2_0, .dtype = TRIT_F32};
    struct fixture f = {.client = NULL};
    uint8_t head[REPLY_HEAD_BYTES_MAX];
    float values[128];
    uint64_t bytes = 0;
    void *data = NULL;

    for (int i = 0; i < 128; i++)
        values[i] = (float)i;
    fake_reply_message(&f.replies[0], head,
                       encode_tensor(&dense, sizeof(values), head, sizeof(head)), values,
                       sizeof(values));
    start(&f);
    CHECK_EQ(trit_unpack(f.client, &packed, &options, &data, &bytes, &f.error), TRIT_OK);
    CHECK_EQ(bytes, sizeof(values));
    CHECK_MEM(data, values, sizeof(values));
    trit_free(data);
    options.dtype = TRIT_BF16; /* the server still says f32: twice the bytes */
    data = NULL;
    CHECK_EQ(trit_unpack(f.client, &packed, &options, &data, &bytes, &f.error),
             TRIT_INTERNAL);
    CHECK(!data);
    options.scales = values;
    options.scale_bytes = 4;
    CHECK_EQ(trit_unpack(f.client, &packed, &options, &data, &bytes, &f.error),
             TRIT_INVALID_ARGUMENT);
    CHECK_STR(f.error.field, "scales");
    stop(&f);
}

CASE(goes_backward, "backward returns the gradient")
{
    const struct wire_tensor wire = {.dtype = TRIT_F32, .rank = 1, .shape = {4}};
    const float gradient[4] = {1, -2, 3, -4};
    const struct trit_tensor tensor = {.size = sizeof(tensor),
                                       .dtype = TRIT_F32,
                                       .rank = 1,
                                       .shape = {4},
                                       .data = gradient,
                                       .bytes = 16};
    struct fixture f = {.client = NULL};
    uint8_t head[REPLY_HEAD_BYTES_MAX];
    float latent[4];

    fake_reply_message(&f.replies[0], head,
                       encode_backward(&wire, sizeof(gradient), head, sizeof(head)),
                       gradient, sizeof(gradient));
    start(&f);
    CHECK_EQ(trit_backward(f.client, &tensor, NULL, latent, &f.error), TRIT_OK);
    CHECK_MEM(latent, gradient, sizeof(gradient));
    stop(&f);
}

/* ---- cases: details ---------------------------------------------------------------- */

CASE(backward_overlap,
     "a gradient may be replaced, but not by one that lies elsewhere over it")
{
    struct trit_connect_options options = {.size = sizeof(options), .address = "host"};
    struct trit_error error = TRIT_ERROR_INIT;
    struct trit_client *client;
    float values[16] = {0};
    const struct trit_tensor gradient = {.size = sizeof(gradient),
                                         .dtype = TRIT_F32,
                                         .rank = 1,
                                         .shape = {8},
                                         .data = values + 4,
                                         .bytes = 32};

    CHECK_EQ(trit_connect(&client, &options, &error), TRIT_OK);
    for (size_t at = 3; at <= 5; at += 2) {
        CHECK_EQ(trit_backward(client, &gradient, NULL, values + at, &error),
                 TRIT_INVALID_ARGUMENT);
        CHECK_STR(error.field, "grad_latent");
        CHECK(strstr(error.message, "overlap the 32 bytes of grad_ternary.data"));
    }
    trit_close(client);
}

CASE(names_the_field, "an error's details name the field at fault")
{
    char text[FAKE_DETAILS_BYTES];
    struct fixture f = {.client = NULL};
    bool serving;

    fake_details(TRIT_INVALID_ARGUMENT, "tensor.shape", text);
    f.acts[0] = (struct fake_act){
        .deed = FAKE_FAIL, .status = "3", .message = "no", .details = text};
    start(&f);
    CHECK_EQ(trit_ping(f.client, NULL, NULL, &serving, &f.error), TRIT_INVALID_ARGUMENT);
    CHECK_STR(f.error.field, "tensor.shape");
    CHECK_STR(f.error.message, "no");
    stop(&f);
}

/* ---- cases: threads, memory, forks ------------------------------------------------- */

enum { THREADS = 8, CALLS = 50 };

static void *ping_often(void *arg)
{
    struct trit_client *client = arg;
    uintptr_t failures = 0;
    bool serving = false;

    for (int i = 0; i < CALLS; i++)
        failures += trit_ping(client, NULL, NULL, &serving, NULL) != TRIT_OK || !serving;
    return (void *)failures;
}

static void serving_reply(struct fixture *f)
{
    uint8_t bytes[64];

    reply_small(&f->replies[0], bytes,
                encode_health(HEALTH_SERVING, bytes, sizeof(bytes)));
}

CASE(shares, "threads can share a client")
{
    struct fixture f = {.client = NULL};
    pthread_t threads[THREADS];
    void *failures;

    serving_reply(&f);
    start(&f);
    for (int i = 0; i < THREADS; i++)
        CHECK(pthread_create(&threads[i], NULL, ping_often, f.client) == 0);
    for (int i = 0; i < THREADS; i++) {
        CHECK(pthread_join(threads[i], &failures) == 0);
        CHECK(!failures);
    }
    CHECK(fake_connections(f.server) <= THREADS);
    stop(&f);
}

/* The nth allocation of a whole session fails, for every n that there is. */
CASE(lacks_memory, "whichever allocation fails, the call fails cleanly")
{
    struct fixture f = {.client = NULL};
    struct trit_connect_options options = {.size = sizeof(options), .timeout_ms = 20000};
    struct trit_client *client;
    struct trit_error error = TRIT_ERROR_INIT;
    enum trit_status status;
    bool faulted = true, serving;

    serving_reply(&f);
    start(&f);
    options.address = fake_address(f.server);
    for (uint64_t n = 1; faulted; n++) {
        CHECK(n < 1000);
        client = NULL;
        serving = false;
        fault_arm(FAULT_MEMORY, n, FAULT_ONCE);
        status = trit_connect(&client, &options, &error);
        if (status == TRIT_OK)
            status = trit_ping(client, NULL, NULL, &serving, &error);
        trit_close(client);
        faulted = fault_disarm();
        CHECK_EQ(error.status, status);
        CHECK(serving == (status == TRIT_OK));
        CHECK(faulted || status == TRIT_OK);
    }
    stop(&f);
}

CASE(forks, "a forked child must connect anew, and the parent continues")
{
    struct fixture f = {.client = NULL};
    struct trit_error error = TRIT_ERROR_INIT;
    bool serving = false;
    int status = -1;
    pid_t child;

    serving_reply(&f);
    start(&f);
    CHECK_EQ(trit_ping(f.client, NULL, NULL, &serving, NULL), TRIT_OK);
    child = fork();
    if (child == 0)
        _exit(trit_ping(f.client, NULL, NULL, &serving, &error) ==
                      TRIT_FAILED_PRECONDITION
                  ? 0
                  : 1);
    CHECK(waitpid(child, &status, 0) == child);
    CHECK_EQ(status, 0);
    CHECK_EQ(trit_ping(f.client, NULL, NULL, &serving, NULL), TRIT_OK);
    CHECK_EQ(fake_connections(f.server), 1);
    stop(&f);
}

/* ---- cases: the pool --------------------------------------------------------------- */

/* Waits until a channel of the pool has connected. */
static void await_connected(struct channel *channel)
{
    struct failure failure = {.status = TRIT_OK};
    struct pollfd polls[CHANNEL_POLLS_MAX];
    int connected;

    while ((connected = channel_connect(channel, &failure)) == 0)
        poll(polls, channel_polls(channel, polls), 100);
    CHECK_EQ(connected, 1);
}

/* Is trit_progress: ends the call when the count has come down to 0. */
static int cancel_at_0(void *arg, uint64_t done, uint64_t total)
{
    int *turns = arg;

    (void)done, (void)total;
    return --*turns == 0;
}

CASE(
    bounds,
    "connections are bounded; a call waits for one until its deadline or its callback ends it")
{
    struct fixture f = {.client = NULL};
    struct channel *taken[CHANNELS_MAX], *more;
    const struct trit_call_options brief = {.size = sizeof(brief), .timeout_ms = 1};
    int turns = 3;
    const struct trit_call_options endless = {
        .size = sizeof(endless), .progress = cancel_at_0, .progress_arg = &turns};
    struct failure failure = {.status = TRIT_OK};
    struct trit_error error = TRIT_ERROR_INIT;
    struct pool *pool;
    bool reused, serving;

    serving_reply(&f);
    start(&f);
    pool = &f.client->pool;
    for (int i = 0; i < CHANNELS_MAX; i++) {
        CHECK(pool_take(pool, 0, 0, &taken[i], &reused, &failure) == 0);
        CHECK(taken[i] && !reused);
        await_connected(taken[i]);
    }
    CHECK(pool_take(pool, 1, 0, &more, &reused, &failure) == 0);
    CHECK(!more);
    CHECK_EQ(trit_ping(f.client, NULL, &brief, &serving, &error), TRIT_DEADLINE_EXCEEDED);
    CHECK_STR(error.message, "deadline exceeded: all 64 connections are busy");
    CHECK_EQ(trit_ping(f.client, NULL, &endless, &serving, &error), TRIT_CANCELLED);
    CHECK_EQ(turns, 0);
    for (int i = 0; i < CHANNELS_MAX; i++)
        pool_put(pool, taken[i], true);
    CHECK_EQ(pool->idle_count, IDLE_CHANNELS_MAX);
    CHECK_EQ(pool->out, 0);
    stop(&f);
}
