/* SPDX-License-Identifier: Apache-2.0 */
/* Calls that are tried again by a policy, and calls that wait for the daemon. */
#include "client/lib/retry.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <trit.h>

#include "tests/lib/check.h"
#include "tests/lib/fake_reply.h"
#include "tests/lib/fake_server.h"

/* ---- fixture ---------------------------------------------------------------------- */

enum { ROWS = 4, COLUMNS = 128, ELEMENTS = ROWS * COLUMNS, BYTES = ELEMENTS * 4 };
static const uint64_t shape[2] = {ROWS, COLUMNS};

/* Short pauses, and enough time on a slow machine. */
static const struct trit_retry_policy quick = {.size = sizeof(quick),
                                               .max_attempts = 4,
                                               .initial_backoff_ms = 1,
                                               .max_backoff_ms = 2};
enum { LONG_MS = 120 * 1000 };

struct fixture {
    float weights[ELEMENTS], expected[ELEMENTS], given[ELEMENTS];
    struct fake_reply reply;
    struct fake_act *acts;
    size_t count;
    char address[64];
    struct fake_server *server;
    struct trit_client *client;
    struct trit_error error;
};

static void start(struct fixture *f, struct fake_act *acts, size_t count,
                  const struct trit_connect_options *more)
{
    const struct trit_report report = fake_report(ELEMENTS);
    struct trit_connect_options options = *more;

    memset(f, 0, sizeof(*f));
    f->error = (struct trit_error)TRIT_ERROR_INIT;
    for (size_t i = 0; i < ELEMENTS; i++) {
        f->weights[i] = (float)i;
        f->expected[i] = (float)i / 2;
    }
    fake_reply_projected(&f->reply, &report, TRIT_ENCODING_DENSE, shape, NULL, 0,
                         f->expected, BYTES);
    for (size_t i = 0; i < count; i++) {
        acts[i].body = f->reply.bytes;
        acts[i].body_bytes = f->reply.count;
    }
    f->acts = acts;
    f->count = count;
    f->server = fake_start(acts, count);
    snprintf(f->address, sizeof(f->address), "%s", fake_address(f->server));
    options.address = f->address;
    CHECK_EQ(trit_connect(&f->client, &options, &f->error), TRIT_OK);
}

static void start_quick(struct fixture *f, struct fake_act *acts, size_t count)
{
    start(f, acts, count,
          &(struct trit_connect_options){.size = sizeof(struct trit_connect_options),
                                         .timeout_ms = LONG_MS,
                                         .retry = &quick});
}

static void stop(struct fixture *f)
{
    trit_close(f->client);
    if (f->server)
        fake_stop(f->server);
    fake_reply_free(&f->reply);
}

static enum trit_status project_into(struct fixture *f, void *out,
                                     const struct trit_call_options *call)
{
    const struct trit_tensor tensor = {.size = sizeof(tensor),
                                       .dtype = TRIT_F32,
                                       .rank = 2,
                                       .shape = {ROWS, COLUMNS},
                                       .data = f->weights,
                                       .bytes = BYTES};
    const struct trit_project_options options = {
        .size = sizeof(options), .out = out, .out_bytes = BYTES, .call = call};
    struct trit_projection projection = TRIT_PROJECTION_INIT;

    return trit_project(f->client, &tensor, &options, &projection, &f->error);
}

static enum trit_status project(struct fixture *f)
{
    return project_into(f, f->given, NULL);
}

static void project_ok(struct fixture *f)
{
    if (project(f) != TRIT_OK)
        check_failed(__FILE__, __LINE__, "%s", f->error.message);
    CHECK_MEM(f->given, f->expected, BYTES);
}

static size_t requests(struct fixture *f)
{
    struct fake_request request;
    size_t count = 0;

    while (fake_request(f->server, count, &request))
        count++;
    return count;
}

/* ---- cases: the policy --------------------------------------------------------------- */

CASE(pauses, "pauses grow by the multiplier up to their bound, and jitter changes them")
{
    struct trit_retry_policy given = {.size = sizeof(given),
                                      .initial_backoff_ms = 100,
                                      .max_backoff_ms = 1000,
                                      .multiplier = 3,
                                      .has_jitter = true};
    struct retry_policy policy;

    CHECK(retry_policy_take("retry", &given, &policy, NULL) == 0);
    CHECK_EQ(policy.attempts_max, 5);
    CHECK_EQ(retry_pause_ns(&policy, 1, 0.5), 100000000);
    CHECK_EQ(retry_pause_ns(&policy, 2, 0.1), 300000000);
    CHECK_EQ(retry_pause_ns(&policy, 3, 0.9), 900000000);
    CHECK_EQ(retry_pause_ns(&policy, 4, 0.9), 1000000000);
    CHECK_EQ(retry_pause_ns(&policy, 1000, 0.9), 1000000000);
    given.jitter = 0.5;
    CHECK(retry_policy_take("retry", &given, &policy, NULL) == 0);
    CHECK_EQ(retry_pause_ns(&policy, 1, 0), 50000000);
    CHECK_EQ(retry_pause_ns(&policy, 1, 0.5), 100000000);
    CHECK_EQ(retry_pause_ns(&policy, 9, 0.75), 1250000000);
    for (int i = 0; i < 1000; i++)
        CHECK(retry_random() >= 0 && retry_random() < 1);
}

CASE(defaults, "a policy of zeros has the documented defaults; no policy is one attempt")
{
    const struct trit_retry_policy given = TRIT_RETRY_POLICY_INIT;
    struct retry_policy policy;

    CHECK(retry_policy_take("retry", &given, &policy, NULL) == 0);
    CHECK(policy.attempts_max == 5 && policy.initial_ms == 100 && policy.max_ms == 10000);
    CHECK(policy.multiplier == 2 && policy.jitter == 0.2);
    CHECK(retry_policy_take("retry", NULL, &policy, NULL) == 0);
    CHECK_EQ(policy.attempts_max, 1);
}

CASE(refuses_policies, "a policy out of its bounds is refused by name and value")
{
    static const struct {
        struct trit_retry_policy policy;
        const char *message;
    } bad[] = {
        {{.max_attempts = 1}, "options.retry.max_attempts: 1 is not in 2 to 1000"},
        {{.max_attempts = 1001}, "options.retry.max_attempts: 1001 is not in 2 to 1000"},
        {{.initial_backoff_ms = 86400001}, "options.retry.initial_backoff_ms: "},
        {{.max_backoff_ms = 86400001}, "options.retry.max_backoff_ms: "},
        {{.multiplier = -1}, "options.retry.multiplier: -1 is not a finite number"},
        {{.multiplier = NAN}, "options.retry.multiplier: "},
        {{.multiplier = INFINITY}, "options.retry.multiplier: inf"},
        {{.has_jitter = true, .jitter = 1.5}, "options.retry.jitter: 1.5 is not in 0 to"},
        {{.has_jitter = true, .jitter = -0.1}, "options.retry.jitter: -0.1"},
        {{.has_jitter = true, .jitter = NAN}, "options.retry.jitter: "},
    };
    struct trit_client *client = NULL;

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct trit_retry_policy policy = bad[i].policy;
        struct trit_connect_options options = {.size = sizeof(options), .retry = &policy};
        struct trit_error error = TRIT_ERROR_INIT;

        policy.size = sizeof(policy);
        CHECK_EQ(trit_connect(&client, &options, &error), TRIT_INVALID_ARGUMENT);
        if (strncmp(error.message, bad[i].message, strlen(bad[i].message)) != 0)
            check_failed(__FILE__, __LINE__, "%s", error.message);
        CHECK(!client);
    }
}

CASE(tokens, "failures take tokens, successes give some back, half of them must be left")
{
    struct trit_retry_policy given = {.size = sizeof(given), .max_tokens = 4};
    struct retry_policy policy;
    struct throttle throttle;

    CHECK(retry_policy_take("retry", &given, &policy, NULL) == 0);
    throttle_init(&throttle, &policy);
    CHECK(throttle_failed(&throttle)); /* 3 are left */
    CHECK(!throttle_failed(&throttle));
    for (int i = 0; i < 10; i++)
        throttle_succeeded(&throttle); /* 0.1 each */
    CHECK(!throttle_failed(&throttle));
    for (int i = 0; i < 100; i++)
        throttle_succeeded(&throttle);
    CHECK(throttle_failed(&throttle)); /* never more than 4 */
    for (int i = 0; i < 10; i++)
        CHECK(!throttle_failed(&throttle));
    throttle_init(&throttle, &retry_none);
    for (int i = 0; i < 10; i++)
        CHECK(throttle_failed(&throttle));
}

CASE(refuses_waits, "a value that is not in the enum of waiting is refused")
{
    struct trit_connect_options options = {.size = sizeof(options),
                                           .wait_for_ready = (enum trit_wait)7};
    const struct trit_call_options call = {.size = sizeof(call),
                                           .wait_for_ready = (enum trit_wait)7};
    struct trit_error error = TRIT_ERROR_INIT;
    struct trit_client *client = NULL;
    bool serving;

    CHECK_EQ(trit_connect(&client, &options, &error), TRIT_INVALID_ARGUMENT);
    CHECK_STR(error.field, "options.wait_for_ready");
    options.wait_for_ready = TRIT_WAIT_OFF;
    CHECK_EQ(trit_connect(&client, &options, &error), TRIT_OK);
    CHECK_EQ(trit_ping(client, NULL, &call, &serving, &error), TRIT_INVALID_ARGUMENT);
    CHECK_STR(error.field, "call.wait_for_ready");
    trit_close(client);
}

/* ---- cases: retries ------------------------------------------------------------------ */

CASE(lost,
     "a connection that breaks before or within the reply costs an attempt, not the call")
{
    struct fake_act acts[4] = {{.deed = FAKE_HANGUP},
                               {.deed = FAKE_ANSWER, .cut_at = 700},
                               {.deed = FAKE_ANSWER, .cut_at = 1},
                               {.deed = FAKE_ANSWER}};
    const char *const previous[4] = {"", "1", "2", "3"};
    struct fake_request request;
    struct fixture f;

    start_quick(&f, acts, 4);
    project_ok(&f);
    for (size_t i = 0; i < 4; i++) {
        CHECK(fake_request(f.server, i, &request));
        CHECK_STR(request.previous_attempts, previous[i]);
    }
    stop(&f);
}

CASE(unavailable,
     "an answer UNAVAILABLE is tried again; the last attempt's failure counts")
{
    struct fake_act acts[4] = {{.deed = FAKE_FAIL, .status = "14", .message = "one"},
                               {.deed = FAKE_PAGE, .http_status = 503},
                               {.deed = FAKE_FAIL, .status = "14", .message = "three"},
                               {.deed = FAKE_FAIL, .status = "14", .message = "four"}};
    struct fixture f;

    start_quick(&f, acts, 4);
    CHECK_EQ(project(&f), TRIT_UNAVAILABLE);
    CHECK_STR(f.error.message, "four (attempt 4 of 4)");
    CHECK_EQ(requests(&f), 4);
    acts[3] = (struct fake_act){
        .deed = FAKE_ANSWER, .body = f.reply.bytes, .body_bytes = f.reply.count};
    project_ok(&f);
    stop(&f);
}

/* One attempt, whatever the policy. */
static void tried_once(struct fake_act act, enum trit_status status)
{
    struct fixture f;

    start_quick(&f, &act, 1);
    CHECK_EQ(project(&f), status);
    CHECK_EQ(requests(&f), 1);
    CHECK(!strstr(f.error.message, "attempt"));
    stop(&f);
}

CASE(others, "other statuses, and RESOURCE_EXHAUSTED without a time, are not tried again")
{
    static const char *const statuses[] = {"1", "2", "3",  "4",  "5", "6",
                                           "9", "8", "13", "15", "16"};

    for (size_t i = 0; i < sizeof(statuses) / sizeof(statuses[0]); i++)
        tried_once((struct fake_act){.deed = FAKE_FAIL, .status = statuses[i]},
                   (enum trit_status)atoi(statuses[i]));
}

CASE(throttled, "calls share tokens: without them a failure is not tried again")
{
    struct fake_act acts[] = {{.deed = FAKE_FAIL, .status = "14", .message = "later"}};
    struct trit_retry_policy policy = quick;
    struct fixture f;

    policy.max_tokens = 4;
    start(&f, acts, 1,
          &(struct trit_connect_options){.size = sizeof(struct trit_connect_options),
                                         .timeout_ms = LONG_MS,
                                         .retry = &policy});
    CHECK_EQ(project(&f), TRIT_UNAVAILABLE);
    CHECK(strstr(f.error.message, "(attempt 2 of 4; retries are throttled)"));
    CHECK_EQ(requests(&f), 2);
    CHECK_EQ(project(&f), TRIT_UNAVAILABLE);
    CHECK_EQ(requests(&f), 3);
    stop(&f);
}

CASE(pushback, "RESOURCE_EXHAUSTED is tried again when the daemon said so")
{
    struct fake_act acts[3] = {{.deed = FAKE_FAIL, .status = "8", .pushback = "3"},
                               {.deed = FAKE_FAIL, .status = "14", .pushback = "0"},
                               {.deed = FAKE_ANSWER}};
    struct fixture f;

    start_quick(&f, acts, 3);
    project_ok(&f);
    CHECK_EQ(requests(&f), 3);
    stop(&f);
}

CASE(pushback_never, "a negative or unreadable time of the daemon ends the attempts")
{
    static const char *const never[] = {"-1", "soon", "", "1.5", "99999999999"};

    for (size_t i = 0; i < sizeof(never) / sizeof(never[0]); i++)
        tried_once(
            (struct fake_act){.deed = FAKE_FAIL, .status = "14", .pushback = never[i]},
            TRIT_UNAVAILABLE);
}

CASE(deadline,
     "a pause ends with the call's deadline, and the message names the last failure")
{
    struct fake_act act = {
        .deed = FAKE_FAIL, .status = "14", .message = "busy", .pushback = "3600000"};
    const struct trit_call_options call = {.size = sizeof(call), .timeout_ms = 100};
    struct fixture f;

    start_quick(&f, &act, 1);
    CHECK_EQ(project_into(&f, f.given, &call), TRIT_DEADLINE_EXCEEDED);
    if (requests(&f) == 1) /* else the deadline came first */
        CHECK(strstr(f.error.message, "no complete reply within 100 ms"));
    stop(&f);
}

static int cancel_second(void *arg, uint64_t done, uint64_t total)
{
    int *calls = arg;

    (void)done, (void)total;
    return ++*calls > 2;
}

CASE(cancelled, "a progress callback can cancel a call that pauses")
{
    struct fake_act act = {.deed = FAKE_FAIL, .status = "14", .pushback = "3600000"};
    int calls = 0;
    const struct trit_call_options call = {
        .size = sizeof(call), .progress = cancel_second, .progress_arg = &calls};
    struct fixture f;

    start_quick(&f, &act, 1);
    CHECK_EQ(project_into(&f, f.given, &call), TRIT_CANCELLED);
    stop(&f);
}

CASE(not_repeated, "a call that makes or deletes a layer is not tried again")
{
    struct fake_act act = {.deed = FAKE_HANGUP};
    const struct trit_layer_spec spec = {.size = sizeof(spec),
                                         .name = "fc",
                                         .kind = TRIT_LAYER_LINEAR,
                                         .in_features = 8,
                                         .out_features = 8};
    struct fixture f;

    start_quick(&f, &act, 1);
    CHECK_EQ(trit_layer_create(f.client, &spec, 1, NULL, NULL, &f.error),
             TRIT_UNAVAILABLE);
    CHECK_EQ(trit_layer_delete(f.client, "fc", NULL, &f.error), TRIT_UNAVAILABLE);
    CHECK_EQ(trit_reports_rewind(f.client, "run", 1, NULL, NULL, &f.error),
             TRIT_UNAVAILABLE);
    CHECK_EQ(requests(&f), 3);
    stop(&f);
}

CASE(refused_create,
     "a call that makes a layer is tried again if the daemon did not begin it")
{
    struct fake_act acts[5] = {{.deed = FAKE_RESET, .code = 7},
                               {.deed = FAKE_GOAWAY},
                               {.deed = FAKE_RESET, .code = 7},
                               {.deed = FAKE_RESET, .code = 7},
                               {.deed = FAKE_FAIL, .status = "6"}};
    const struct trit_layer_spec spec = {.size = sizeof(spec),
                                         .name = "fc",
                                         .kind = TRIT_LAYER_LINEAR,
                                         .in_features = 8,
                                         .out_features = 8};
    struct fixture f;

    start_quick(&f, acts, 5);
    CHECK_EQ(trit_layer_create(f.client, &spec, 1, NULL, NULL, &f.error),
             TRIT_ALREADY_EXISTS);
    CHECK_EQ(requests(&f), 5);
    stop(&f);
}

CASE(over_the_tensor, "a result that has begun to replace its tensor is not tried again")
{
    struct fake_act acts[3] = {
        {.deed = FAKE_ANSWER, .cut_at = 0}, {.deed = FAKE_ANSWER}, {.deed = FAKE_ANSWER}};
    struct fixture f;

    acts[0].deed = FAKE_HANGUP;
    start_quick(&f, acts, 3);
    acts[1].cut_at = f.reply.count - 1;
    CHECK_EQ(project_into(&f, f.weights, NULL), TRIT_UNAVAILABLE);
    CHECK_EQ(requests(&f), 2); /* the first attempt had no reply */
    stop(&f);
}

/* ---- cases: waiting for the daemon --------------------------------------------------- */

struct awaited {
    struct fixture *f;
    int calls;
};

/* Starts the daemon while the call waits. */
static int start_daemon(void *arg, uint64_t done, uint64_t total)
{
    struct awaited *awaited = arg;
    struct fixture *f = awaited->f;

    (void)done, (void)total;
    if (++awaited->calls == 3)
        f->server = fake_start_at(f->address, f->acts, f->count);
    return 0;
}

static enum trit_status project_later(struct fixture *f)
{
    struct awaited awaited = {.f = f};
    const struct trit_call_options call = {.size = sizeof(call),
                                           .wait_for_ready = TRIT_WAIT_ON,
                                           .progress = start_daemon,
                                           .progress_arg = &awaited};

    fake_stop(f->server);
    f->server = NULL;
    return project_into(f, f->given, &call);
}

CASE(waits, "a call that waits for the daemon succeeds when it is there")
{
    struct fake_act act = {.deed = FAKE_ANSWER};
    struct fixture f;

    start(&f, &act, 1,
          &(struct trit_connect_options){.size = sizeof(struct trit_connect_options),
                                         .timeout_ms = LONG_MS});
    project_ok(&f); /* the pool has a connection, which will be dead */
    CHECK_EQ(project_later(&f), TRIT_OK);
    CHECK_MEM(f.given, f.expected, BYTES);
    stop(&f);
}

CASE(waits_for_deadline,
     "a call that waits for the daemon ends at its deadline, and the message says "
     "what it waited for")
{
    const struct trit_connect_options options = {.size = sizeof(options),
                                                 .address = "unix:/nonexistent/socket",
                                                 .timeout_ms = 60,
                                                 .wait_for_ready = TRIT_WAIT_ON};
    const struct trit_call_options now = {.size = sizeof(now),
                                          .wait_for_ready = TRIT_WAIT_OFF};
    struct trit_error error = TRIT_ERROR_INIT;
    struct trit_client *client = NULL;
    bool serving;

    CHECK_EQ(trit_connect(&client, &options, &error), TRIT_OK);
    CHECK_EQ(trit_ping(client, NULL, NULL, &serving, &error), TRIT_DEADLINE_EXCEEDED);
    /* On a slow machine the deadline may come before the first attempt. */
    if (!strstr(error.message, "deadline exceeded while connecting to"))
        CHECK_STR(error.message,
                  "no complete reply within 60 ms; the last attempt failed: "
                  "cannot connect to unix:/nonexistent/socket: No such "
                  "file or directory");
    CHECK_EQ(trit_ping(client, NULL, &now, &serving, &error), TRIT_UNAVAILABLE);
    trit_close(client);
}

CASE(unreached,
     "without waiting, a daemon that cannot be reached costs an attempt each time")
{
    const struct trit_connect_options options = {.size = sizeof(options),
                                                 .address = "unix:/nonexistent/socket",
                                                 .timeout_ms = LONG_MS,
                                                 .retry = &quick};
    struct trit_error error = TRIT_ERROR_INIT;
    struct trit_client *client = NULL;
    bool serving;

    CHECK_EQ(trit_connect(&client, &options, &error), TRIT_OK);
    CHECK_EQ(trit_ping(client, NULL, NULL, &serving, &error), TRIT_UNAVAILABLE);
    CHECK_STR(error.message,
              "cannot connect to unix:/nonexistent/socket: No such file or "
              "directory (attempt 4 of 4)");
    trit_close(client);
}
