/* SPDX-License-Identifier: Apache-2.0 */
/* The server as a client sees it, over a real socket. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <jansson.h>

#include "health/health.h"
#include "obs/metrics.h"
#include "proto/codec/checkpoints.h"
#include "tests/lib/check.h"
#include "tests/lib/digits.h"
#include "tests/lib/fault.h"
#include "tests/lib/http.h"
#include "tests/lib/store_fixture.h"
#include "web/web.h"

struct fixture {
    struct store_fixture store;
    struct store_reader *reader;
    struct web *web;
    char address[64];
    int unready;
};

static int ready(void *arg, char *why, size_t bytes)
{
    struct fixture *fixture = arg;

    snprintf(why, bytes, "draining");
    return fixture->unready;
}

/* Three jobs, the newest first: one that runs, one that is done, one that failed. */
static int show_jobs(void *arg,
                     bool (*visit)(void *arg, const struct wire_job *job,
                                   const struct wire_progress *progress),
                     void *visit_arg, struct failure *failure)
{
    static const struct wire_job jobs[] = {
        {.job = "0c",
         .method = "Verify",
         .path = "<in>",
         .against = "\"latents\"",
         .state = "running",
         .created_unix_ns = 3,
         .bytes_done = 1500,
         .bytes_total = 3000,
         .tensors_total = 4},
        {.job = "0b",
         .method = "Project",
         .path = "in",
         .output = "out&",
         .state = "done",
         .verdict = "inconclusive",
         .created_unix_ns = 2},
        {.job = "0a",
         .method = "Plan",
         .path = "\xff",
         .state = "failed",
         .status = TRIT_NOT_FOUND,
         .message = "cut \xc3"},
    };
    static const struct wire_progress progress[] = {
        {.layer = "<l>", .bytes_per_second = 2500, .seconds_left = 90}, {0}, {0}};

    (void)arg, (void)failure;
    for (size_t i = 0; i < 3 && visit(visit_arg, &jobs[i], &progress[i]); i++)
        continue;
    return 0;
}

static uint64_t jobs_version(void *arg)
{
    (void)arg;
    return 1;
}

static void file(struct fixture *fixture, const char *run, const char *layer,
                 uint64_t step)
{
    static uint8_t codes[4];
    struct fixture_put put;
    struct trit_report report;

    fixture_report(&report, run, layer, step, (unsigned)step, 2, 8, 4);
    report.is_ternary = step != 13;
    codes[0] ^= 1;
    fixture_put(&fixture->store, &put, &report, codes, sizeof(codes));
    if (put.put.failure.status != TRIT_OK)
        check_failed(__FILE__, __LINE__, "%s", put.put.failure.message);
}

static void fixture_init(struct fixture *fixture)
{
    struct failure failure = {0};
    struct web_config config = {
        .address = "127.0.0.1:0",
        .ready = ready,
        .ready_arg = fixture,
        .jobs = show_jobs,
        .jobs_version = jobs_version,
        .version = "1.2.3",
    };

    *fixture = (struct fixture){0};
    /* Ages of stale layers would change from one reply to the next. */
    struct health_rules rules = health_rules_default();

    CHECK(health_rules_set(&rules, "stale.warning=off", NULL) == 0);
    store_fixture_init(&fixture->store, true);
    store_fixture_close_store(&fixture->store);
    fixture->store.rules = &rules;
    CHECK(store_fixture_open_store(&fixture->store, NULL) == 0);
    fixture->store.rules = NULL;
    CHECK(store_reader_open(&fixture->reader, fixture->store.store, &failure) == 0);
    config.reader = fixture->reader;
    config.metrics = fixture->store.metrics;
    if (web_start(&fixture->web, &config, fixture->address, sizeof(fixture->address),
                  &failure))
        check_failed(__FILE__, __LINE__, "web_start: %s", failure.message);
}

static void fixture_fini(struct fixture *fixture)
{
    web_stop(fixture->web);
    store_reader_close(fixture->reader);
    store_fixture_fini(&fixture->store);
}

/* GET that must give `status`; the caller frees. */
static struct http_reply get(struct fixture *fixture, const char *path, int status)
{
    struct http_reply reply;

    http_get(&reply, fixture->address, path, NULL);
    if (reply.status != status)
        check_failed(__FILE__, __LINE__, "GET %s gave %d: %.300s", path, reply.status,
                     reply.body);
    return reply;
}

/* GET whose body is JSON. */
static json_t *get_json(struct fixture *fixture, const char *path, int status)
{
    struct http_reply reply = get(fixture, path, status);
    json_t *json = json_loadb(reply.body, reply.body_bytes, 0, NULL);

    CHECK(json);
    CHECK(strcasestr(reply.head, "\r\nContent-Type: application/json"));
    http_free(&reply);
    return json;
}

static void check_error(struct fixture *fixture, const char *path, int status,
                        const char *name, const char *message)
{
    json_t *json = get_json(fixture, path, status);
    json_t *error = json_object_get(json, "error");

    CHECK_STR(json_string_value(json_object_get(error, "status")), name);
    CHECK_STR(json_string_value(json_object_get(error, "message")), message);
    json_decref(json);
}

static void check_contains(struct fixture *fixture, const char *path, const char *words)
{
    struct http_reply reply = get(fixture, path, 200);

    if (!strstr(reply.body, words))
        check_failed(__FILE__, __LINE__, "GET %s lacks \"%s\": %.3000s", path, words,
                     reply.body);
    http_free(&reply);
}

/* ---- cases ------------------------------------------------------------------ */

CASE(probes, "livez, readyz and healthz report life, readiness and the reason")
{
    struct fixture fixture;
    struct http_reply reply;
    json_t *health;

    fixture_init(&fixture);
    check_contains(&fixture, "/livez", "ok\n");
    check_contains(&fixture, "/readyz", "ok\n");
    health = get_json(&fixture, "/healthz", 200);
    CHECK_STR(json_string_value(json_object_get(health, "status")), "ok");
    CHECK_STR(json_string_value(json_object_get(health, "version")), "1.2.3");
    json_decref(health);
    fixture.unready = -1;
    check_contains(&fixture, "/livez", "ok\n");
    reply = get(&fixture, "/readyz", 503);
    CHECK_STR(reply.body, "not ready: draining\n");
    http_free(&reply);
    health = get_json(&fixture, "/healthz", 503);
    CHECK_STR(json_string_value(json_object_get(health, "reason")), "draining");
    json_decref(health);
    fixture_fini(&fixture);
}

CASE(metrics, "metrics are Prometheus text, or OpenMetrics if the client asks for it")
{
    struct fixture fixture;
    struct http_reply reply;

    fixture_init(&fixture);
    file(&fixture, "r", "l", 1);
    reply = get(&fixture, "/metrics", 200);
    CHECK(strstr(reply.head, "text/plain; version=0.0.4"));
    CHECK(strstr(reply.body, "tritd_reports_stored_total 1\n"));
    CHECK(!strstr(reply.body, "# EOF"));
    http_free(&reply);
    http_get(&reply, fixture.address, "/metrics",
             "Accept: application/openmetrics-text;version=1.0.0,text/plain;q=0.5\r\n");
    CHECK(strstr(reply.head, "application/openmetrics-text; version=1.0.0"));
    CHECK(strstr(reply.body, "# EOF\n"));
    http_free(&reply);
    http_get(&reply, fixture.address, "/metrics",
             "Accept: application/openmetrics-text;q=0, text/plain\r\n");
    CHECK(strstr(reply.head, "text/plain; version=0.0.4"));
    http_free(&reply);
    fixture_fini(&fixture);
}

CASE(json_lists, "runs and layers are listed as JSON under percent-encoded names")
{
    struct fixture fixture;
    json_t *json, *row;

    fixture_init(&fixture);
    json = get_json(&fixture, "/v1/runs", 200);
    CHECK_EQ(json_array_size(json_object_get(json, "runs")), 0);
    CHECK(json_is_null(json_object_get(json, "next")));
    json_decref(json);
    file(&fixture, "run a/b", "model.0/w%", 1);
    file(&fixture, "run a/b", "model.0/w%", 3);
    file(&fixture, "run a/b", "z", 2);
    json = get_json(&fixture, "/v1/runs", 200);
    row = json_array_get(json_object_get(json, "runs"), 0);
    CHECK_STR(json_string_value(json_object_get(row, "run")), "run a/b");
    CHECK_EQ(json_digits(json_object_get(row, "layers")), 2);
    CHECK_EQ(json_digits(json_object_get(row, "reports")), 3);
    CHECK_EQ(json_digits(json_object_get(row, "step_max")), 3);
    json_decref(json);
    json = get_json(&fixture, "/v1/runs/run%20a%2Fb/layers", 200);
    CHECK_EQ(json_array_size(json_object_get(json, "layers")), 2);
    row = json_array_get(json_object_get(json, "layers"), 0);
    CHECK_STR(json_string_value(json_object_get(row, "layer")), "model.0/w%");
    CHECK_EQ(json_digits(json_object_get(row, "step")), 3);
    json_decref(json);
    fixture_fini(&fixture);
}

CASE(json_layer,
     "a layer's path returns its latest report, one step, or a range of steps")
{
    struct fixture fixture;
    json_t *json;

    fixture_init(&fixture);
    for (uint64_t step = 1; step <= 5; step++)
        file(&fixture, "run", "a/b", step * 10);
    json = get_json(&fixture, "/v1/runs/run/layers/a%2Fb", 200);
    CHECK_EQ(json_digits(json_object_get(json, "step")), 50);
    CHECK_EQ(json_digits(json_object_get(json, "flips")), 1);
    CHECK_EQ(json_digits(json_object_get(json, "previous_step")), 40);
    CHECK(json_object_get(json, "zero_fraction"));
    json_decref(json);
    json = get_json(&fixture, "/v1/runs/run/layers/a%2Fb?step=20", 200);
    CHECK_EQ(json_digits(json_object_get(json, "step")), 20);
    json_decref(json);
    json = get_json(&fixture, "/v1/runs/run/layers/a%2Fb?from=20&to=40", 200);
    CHECK_EQ(json_array_size(json_object_get(json, "reports")), 3);
    json_decref(json);
    json = get_json(&fixture, "/v1/runs/run/layers/a%2Fb?from=51", 200);
    CHECK_EQ(json_array_size(json_object_get(json, "reports")), 0);
    json_decref(json);
    fixture_fini(&fixture);
}

/* 450 steps: pages of 200, 200 and 50 that follow each other's `next`. */
CASE(pages_follow, "a long history is split into pages that link to the next")
{
    enum { STEPS = 450 };
    struct fixture fixture;
    char path[256] = "/v1/runs/run/layers/l?from=0&to=449";
    uint64_t step = 0;
    unsigned pages = 0;

    fixture_init(&fixture);
    for (uint64_t i = 0; i < STEPS; i++)
        file(&fixture, "run", "l", i);
    while (path[0] && pages < 10) {
        json_t *json = get_json(&fixture, path, 200);
        json_t *reports = json_object_get(json, "reports"), *report;
        const char *next = json_string_value(json_object_get(json, "next"));
        size_t i;

        json_array_foreach(reports, i, report)
            CHECK_EQ(json_digits(json_object_get(report, "step")), step++);
        snprintf(path, sizeof(path), "%s", next ? next : "");
        pages++;
        json_decref(json);
    }
    CHECK_EQ(step, STEPS);
    CHECK_EQ(pages, 3);
    check_contains(&fixture, "/runs/run/layers/l", "?to=399\">Older</a>");
    check_contains(&fixture, "/runs/run/layers/l?to=249", "?step=249");
    fixture_fini(&fixture);
}

static void check_invalid(struct fixture *fixture, const char *path, const char *words)
{
    check_error(fixture, path, 400, "INVALID_ARGUMENT", words);
}

CASE(errors, "errors are JSON with the status, the name and the value")
{
    struct fixture fixture;

    fixture_init(&fixture);
    file(&fixture, "r", "l", 1);
    check_error(&fixture, "/nowhere", 404, "NOT_FOUND", "no such path: /nowhere");
    check_error(&fixture, "/v1/runs/", 404, "NOT_FOUND", "no such path: /v1/runs/");
    check_error(&fixture, "/v1/runs/x/layers", 404, "NOT_FOUND", "no run \"x\"");
    check_error(&fixture, "/v1/runs/x/layers/y", 404, "NOT_FOUND", "no run \"x\"");
    check_error(&fixture, "/v1/runs/r/layers/y?from=1", 404, "NOT_FOUND",
                "no layer \"y\" in run \"r\"");
    check_error(&fixture, "/runs/x", 404, "NOT_FOUND", "no run \"x\"");
    check_error(&fixture, "/v1/runs/r/layers/l?step=2", 404, "NOT_FOUND",
                "no report at step 2 of layer \"l\" in run \"r\"");
    check_invalid(&fixture, "/v1/runs/r/layers/l?step=-1",
                  "step: \"-1\" is not a number from 0 to 9223372036854775807");
    check_invalid(&fixture, "/v1/runs/r/layers/l?from=9223372036854775808",
                  "from: \"9223372036854775808\" is not a number from 0 to "
                  "9223372036854775807");
    check_invalid(&fixture, "/v1/runs/r/layers/l?to=",
                  "to: \"\" is not a number from 0 to 9223372036854775807");
    check_invalid(&fixture, "/v1/runs/r/layers/l?limit=-1",
                  "limit: \"-1\" is not a number from 1 to 2000");
    check_invalid(&fixture, "/v1/runs/r/layers/l?limit=0",
                  "limit: \"0\" is not a number from 1 to 2000");
    check_invalid(&fixture, "/v1/runs/r/layers/l?limit=2001",
                  "limit: \"2001\" is not a number from 1 to 2000");
    check_invalid(&fixture, "/v1/runs/r/layers/l?attempt=4294967296",
                  "attempt: \"4294967296\" is not a number from 0 to 4294967295");
    check_invalid(&fixture, "/v1/runs/r/layers/l?replica=x",
                  "replica: \"x\" is not a number from 0 to 4294967295");
    /* page * 100 would be 84 modulo 2^64. */
    check_invalid(&fixture, "/?page=184467440737095517",
                  "page: \"184467440737095517\" is not a number from 0 to 4294967295");
    check_invalid(&fixture, "/v1/runs/r/layers/l?from=3&to=2",
                  "from: 3 is greater than to: 2");
    check_invalid(&fixture, "/v1/runs/r/layers/l?step=3&to=4",
                  "step: 3 cannot be combined with from or to");
    check_invalid(&fixture, "/v1/runs/r/layers/l?step=3&step=4", "step: given twice");
    check_invalid(
        &fixture, "/v1/runs/r/layers/l?stepp=3",
        "no such parameter: \"stepp\"; this path takes: step from to limit attempt replica");
    check_invalid(&fixture, "/v1/runs/%zz/layers",
                  "path: \"%zz\" is not a percent-encoded name of at most 255 bytes "
                  "without control characters");
    check_invalid(&fixture, "/v1/runs/a%1bb/layers",
                  "path: \"a%1bb\" is not a percent-encoded name of at most 255 bytes "
                  "without control characters");
    check_invalid(&fixture, "/v1/runs/a%C2%9bb/layers",
                  "path: \"a%C2%9bb\" is not a percent-encoded name of at most 255 bytes "
                  "without control characters");
    fixture_fini(&fixture);
}

static void send_raw(struct fixture *fixture, const char *request, int status,
                     const char *words)
{
    struct http_reply reply;

    http_send(&reply, fixture->address, request);
    if (reply.status != status || !strstr(reply.body, words))
        check_failed(__FILE__, __LINE__, "%s gave %d %s", request, reply.status,
                     reply.body);
    http_free(&reply);
}

CASE(methods, "only GET and HEAD are served, and no bodies are accepted")
{
    struct fixture fixture;
    struct http_reply reply;

    fixture_init(&fixture);
    send_raw(&fixture,
             "POST /livez HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
             "Content-Length: 0\r\n\r\n",
             405, "only GET and HEAD");
    send_raw(&fixture,
             "DELETE / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", 405,
             "UNIMPLEMENTED");
    send_raw(&fixture,
             "GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
             "Content-Length: 5\r\n\r\n12345",
             413, "must not have a body");
    http_send(&reply, fixture.address,
              "HEAD /livez HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    CHECK_EQ(reply.status, 200);
    CHECK_EQ(reply.body_bytes, 0);
    CHECK(strstr(reply.head, "Content-Length: 3"));
    http_free(&reply);
    fixture_fini(&fixture);
}

/* Checks that tritd_http_requests_total has a sample with these labels and value. */
static void check_counted(struct fixture *fixture, const char *labels_and_value)
{
    size_t bytes;
    char *text = metrics_render(fixture->store.metrics, false, &bytes);
    char sample[200];

    snprintf(sample, sizeof(sample), "\ntritd_http_requests_total{%s", labels_and_value);
    CHECK(text && strstr(text, sample));
    free(text);
}

/* Three requests in one write; the second is wrong. */
CASE(keep_alive, "one connection serves several requests")
{
    struct fixture fixture;
    struct http_reply reply;
    const char *at;
    unsigned good = 0;

    fixture_init(&fixture);
    http_send(&reply, fixture.address,
              "GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n"
              "GET /nowhere HTTP/1.1\r\nHost: localhost\r\n\r\n"
              "GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    CHECK_EQ(reply.status, 200);
    for (at = reply.body; (at = strstr(at, "ok\n")); at++)
        good++;
    CHECK_EQ(good, 2);
    CHECK(strstr(reply.body, "HTTP/1.1 404"));
    http_free(&reply);
    check_counted(&fixture, "path=\"/livez\",code=\"200\"} 1\n");
    check_counted(&fixture, "path=\"/readyz\",code=\"200\"} 1\n");
    check_counted(&fixture, "path=\"other\",code=\"404\"} 1\n");
    fixture_fini(&fixture);
}

CASE(rebinding, "a request under a foreign host name is refused")
{
    struct fixture fixture;

    fixture_init(&fixture);
    send_raw(&fixture,
             "GET /v1/runs HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n",
             403, "PERMISSION_DENIED");
    send_raw(&fixture,
             "GET /v1/runs HTTP/1.1\r\nHost: localhost:1\r\nConnection: close\r\n\r\n",
             200, "runs");
    fixture_fini(&fixture);
}

CASE(headers,
     "every reply carries the policy against foreign and inline scripts, framing "
     "and sniffing")
{
    struct fixture fixture;
    struct http_reply reply;

    fixture_init(&fixture);
    for (int i = 0; i < 2; i++) {
        reply = get(&fixture, i ? "/nowhere" : "/", i ? 404 : 200);
        CHECK(strstr(reply.head, "Content-Security-Policy: default-src 'none'; "
                                 "style-src 'self'; img-src 'self'; "
                                 "script-src 'self'; connect-src 'self';"));
        CHECK(strstr(reply.head, "X-Content-Type-Options: nosniff"));
        CHECK(!strcasestr(reply.head, "Access-Control"));
        http_free(&reply);
    }
    fixture_fini(&fixture);
}

CASE(html_pages, "pages show runs, layers and verdicts, with everything escaped")
{
    struct fixture fixture;
    const char *run = "<script>alert(1)</script>", *layer = "a/b \"&' \xc3\xb6";

    fixture_init(&fixture);
    check_contains(&fixture, "/", "Nothing here yet");
    file(&fixture, run, layer, 12);
    file(&fixture, run, layer, 13);
    check_contains(&fixture, "/", "&lt;script&gt;alert(1)&lt;/script&gt;</a>");
    check_contains(&fixture, "/",
                   "href=\"/runs/%3Cscript%3Ealert%281%29%3C%2Fscript%3E\"");
    check_contains(&fixture, "/", "1 failing");
    check_contains(&fixture, "/runs/%3Cscript%3Ealert%281%29%3C%2Fscript%3E",
                   "not ternary");
    check_contains(&fixture, "/runs/%3Cscript%3Ealert%281%29%3C%2Fscript%3E",
                   "layers/a%2Fb%20%22%26%27%20%C3%B6\"");
    check_contains(&fixture,
                   "/runs/%3Cscript%3Ealert%281%29%3C%2Fscript%3E/layers/"
                   "a%2Fb%20%22%26%27%20%C3%B6",
                   "<h1>a/b &quot;&amp;&#39; \xc3\xb6</h1>");
    check_contains(&fixture,
                   "/runs/%3Cscript%3Ealert%281%29%3C%2Fscript%3E/layers/"
                   "a%2Fb%20%22%26%27%20%C3%B6?step=12",
                   "step 12, <time");
    check_contains(&fixture, "/style.css", "color-scheme");
    check_contains(&fixture, "/icon.svg", "<svg");
    fixture_fini(&fixture);
}

/* Garbage, giant headers, a client that says nothing: the others are served. */
CASE(jobs, "jobs are shown, with everything escaped; lists go on behind a job")
{
    struct fixture fixture;
    json_t *json;

    fixture_init(&fixture);
    check_contains(&fixture, "/", "<a href=\"/jobs\">Jobs</a>");
    check_contains(&fixture, "/jobs",
                   "&lt;in&gt; <span class=\"soft\">against</span> &quot;latents&quot;");
    check_contains(&fixture, "/jobs", "in \xe2\x86\x92 out&amp;");
    check_contains(&fixture, "/jobs", "2.5\xe2\x80\xafkB/s");
    check_contains(&fixture, "/jobs", "1.5\xe2\x80\xafmin");
    check_contains(&fixture, "/jobs/0c", "<div><dt>Tensor</dt><dd>&lt;l&gt;</dd></div>");
    check_contains(&fixture, "/jobs/0c", "50.00\xe2\x80\xaf%");
    check_contains(&fixture, "/jobs/0a", "NOT_FOUND: cut \\xc3");
    json = get_json(&fixture, "/v1/jobs?limit=2", 200);
    CHECK_EQ(json_array_size(json_object_get(json, "jobs")), 2);
    CHECK_STR(json_string_value(json_object_get(json, "next")),
              "/v1/jobs?after=0b&limit=2");
    json_decref(json);
    json = get_json(&fixture, "/v1/jobs?after=0b", 200);
    CHECK_EQ(json_array_size(json_object_get(json, "jobs")), 1);
    CHECK(json_is_null(json_object_get(json, "next")));
    json_decref(json);
    json = get_json(&fixture, "/v1/jobs/0a", 200);
    CHECK_STR(json_string_value(json_object_get(json, "path")), "(cannot be shown)");
    json_decref(json);
    check_error(&fixture, "/v1/jobs/0d", 404, "NOT_FOUND",
                "no job is called \"0d\", or it ended and is no longer kept");
    fixture_fini(&fixture);
}

CASE(rude_clients, "clients that break the protocol do not disturb the others")
{
    struct fixture fixture;
    struct http_reply reply;
    char *giant = malloc(64 << 10);
    int silent[8];

    CHECK(giant);
    fixture_init(&fixture);
    for (int i = 0; i < 8; i++)
        silent[i] = http_connect(fixture.address);
    memset(giant, 'a', 64 << 10);
    memcpy(giant, "GET /livez HTTP/1.1\r\nX: ", 24);
    memcpy(giant + (40 << 10), "\r\n\r\n", 5);
    http_send(&reply, fixture.address, giant);
    CHECK(reply.status >= 400 && reply.status < 500);
    http_free(&reply);
    check_contains(&fixture, "/livez", "ok\n");
    for (int i = 0; i < 8; i++)
        close(silent[i]);
    free(giant);
    fixture_fini(&fixture);
}

static void check_honest(const struct http_reply *reply, const struct http_reply *whole,
                         const char *path, uint64_t nth)
{
    bool same = reply->status == whole->status;

    if (same && strcmp(path, "/metrics") != 0 && !strstr(reply->body, "memory") &&
        !strstr(reply->body, "cannot be shown"))
        same = strcmp(reply->body, whole->body) == 0;
    if (!same && reply->status != 0 &&
        !(reply->status == 503 && strstr(reply->body, "RESOURCE_EXHAUSTED")))
        check_failed(__FILE__, __LINE__, "GET %s, allocation %" PRIu64 ": %d %s", path,
                     nth, reply->status, reply->body);
}

/* Each allocation of ours and of jansson in turn, while pages are asked for: a
 * reply that says so, or a closed connection; never half a page. */
CASE(memory, "whichever allocation fails, a reply is complete, an error, or absent")
{
    static const char *const paths[] = {"/",
                                        "/runs/r",
                                        "/compare?a=r&b=r",
                                        "/v1/runs/r",
                                        "/v1/runs/r/history",
                                        "/runs/r/layers/l",
                                        "/v1/runs",
                                        "/v1/runs/r/layers",
                                        "/v1/runs/r/layers/l?from=0",
                                        "/jobs",
                                        "/jobs/0a",
                                        "/v1/jobs",
                                        "/v1/jobs/0c",
                                        "/nowhere",
                                        "/metrics",
                                        "/healthz"};
    struct fixture fixture;

    json_set_alloc_funcs(fault_malloc, free);
    fixture_init(&fixture);
    for (uint64_t step = 0; step < 20; step++)
        file(&fixture, "r", "l", step);
    for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
        struct http_reply whole = {0}, reply;
        bool fired = true;

        http_get(&whole, fixture.address, paths[i], NULL);
        for (uint64_t nth = 1; fired; nth += 1 + nth / 8) {
            char request[256];
            int fd = http_connect(fixture.address);

            snprintf(request, sizeof(request),
                     "GET %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
                     paths[i]);
            fault_arm(FAULT_MEMORY, nth, FAULT_ONCE);
            http_exchange(&reply, fd, request);
            fired = fault_disarm();
            check_honest(&reply, &whole, paths[i], nth);
            http_free(&reply);
        }
        http_free(&whole);
    }
    json_set_alloc_funcs(malloc, free);
    fixture_fini(&fixture);
}

CASE(start_fails, "a server whose start runs out of memory reports it")
{
    struct fixture fixture;
    struct web_config config = {.address = "127.0.0.1:0"};
    struct failure failure = {0};
    struct web *web = NULL;
    char bound[64];

    fixture_init(&fixture);
    fault_arm(FAULT_MEMORY, 1, FAULT_ONCE);
    CHECK(web_start(&web, &config, bound, sizeof(bound), &failure) == -1);
    CHECK(fault_disarm());
    CHECK_EQ(failure.status, TRIT_RESOURCE_EXHAUSTED);
    CHECK(!web);
    fixture_fini(&fixture);
}

CASE(addresses, "a start with an invalid or used address names the address")
{
    struct fixture fixture;
    struct web_config config = {.address = "127.0.0.1:0"};
    struct web *web = NULL;
    struct failure failure = {0};
    char bound[64] = "untouched";

    fixture_init(&fixture);
    config.address = fixture.address;
    CHECK(web_start(&web, &config, bound, sizeof(bound), &failure) == -1);
    CHECK_EQ(failure.status, TRIT_UNAVAILABLE);
    CHECK(strstr(failure.message, fixture.address));
    CHECK_STR(bound, "untouched");
    for (int i = 0; i < 5; i++) {
        static const char *const wrong[] = {"", "localhost", "127.0.0.1:x",
                                            "127.0.0.1:123456", "no.such.invalid:1"};

        failure = (struct failure){0};
        config.address = wrong[i];
        CHECK(web_start(&web, &config, bound, sizeof(bound), &failure) == -1);
        CHECK_EQ(failure.status, TRIT_INVALID_ARGUMENT);
    }
    web_stop(NULL);
    fixture_fini(&fixture);
}
