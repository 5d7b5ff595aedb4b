/* SPDX-License-Identifier: Apache-2.0 */
/* A watch of reports that loses its daemon: no report is lost, and none comes twice. */
#include <stdio.h>
#include <string.h>

#include <trit.h>

#include "client/lib/client.h"
#include "proto/codec/history.h"
#include "proto/scan.h"
#include "tests/lib/check.h"
#include "tests/lib/fake_reply.h"
#include "tests/lib/fake_server.h"

enum { LONG_MS = 120 * 1000, WANTED = 2 };

struct fixture {
    struct fake_reply replies[WANTED]; /* reports of steps 1 and 2, cursors 8 and 9 */
    struct fake_server *server;
    struct trit_client *client;
    struct trit_error error;
    char seen[64]; /* "STEP@CURSOR " */
    unsigned wanted;
};

static void reply_watched(struct fake_reply *reply, uint64_t step, const char *cursor)
{
    struct trit_report report = fake_report(128);
    uint8_t bytes[4096];

    report.step = step;
    fake_reply_message(reply, bytes,
                       encode_watched(&report, cursor, bytes, sizeof(bytes)), NULL, 0);
}

static void start(struct fixture *f, struct fake_act *acts, size_t count)
{
    struct trit_connect_options options = {.size = sizeof(options),
                                           .timeout_ms = LONG_MS};

    for (size_t i = 0; i < count; i++) {
        const char *cursor = acts[i].message; /* of the report that it sends */

        acts[i].message = NULL;
        if (!cursor)
            continue;
        acts[i].body = f->replies[cursor[0] - '8'].bytes;
        acts[i].body_bytes = f->replies[cursor[0] - '8'].count;
    }
    f->server = fake_start(acts, count);
    options.address = fake_address(f->server);
    CHECK_EQ(trit_connect(&f->client, &options, &f->error), TRIT_OK);
}

static void init(struct fixture *f)
{
    *f = (struct fixture){.error = TRIT_ERROR_INIT, .wanted = WANTED};
    reply_watched(&f->replies[0], 1, "8");
    reply_watched(&f->replies[1], 2, "9");
}

static void fini(struct fixture *f)
{
    trit_close(f->client);
    fake_stop(f->server);
    for (size_t i = 0; i < WANTED; i++)
        fake_reply_free(&f->replies[i]);
}

static int visit(void *arg, const struct trit_report *report, const char *cursor)
{
    struct fixture *f = arg;
    const size_t length = strlen(f->seen);

    snprintf(f->seen + length, sizeof(f->seen) - length, "%d@%s ", (int)report->step,
             cursor);
    return --f->wanted == 0;
}

static enum trit_status watch(struct fixture *f, const char *cursor)
{
    const struct trit_watch_options options = {
        .size = sizeof(options), .run = "run", .cursor = cursor};
    struct trit_report report = TRIT_REPORT_INIT;

    return trit_reports_watch(f->client, &options, &report, visit, f, &f->error);
}

/* The cursor of the n-th request; "?": there was none. */
static const char *asked(struct fixture *f, size_t n)
{
    static struct wire_reports_watch wire;
    char error[CODEC_ERROR_BYTES];
    struct fake_request request;
    enum { PREFIX = 5 };

    if (!fake_request(f->server, n, &request))
        return "?";
    const struct scan_part part = {.bytes = request.body + PREFIX,
                                   .count = (size_t)request.body_bytes - PREFIX};

    CHECK_EQ(decode_reports_watch(&part, &wire, error), 0);
    return wire.cursor;
}

CASE(before_the_first,
     "a watch that is lost before its first report goes on where it began")
{
    struct fake_act acts[] = {
        {.deed = FAKE_ANSWER, .status = "14", .cursor = "7"},
        {.deed = FAKE_HANGUP},
        {.deed = FAKE_ANSWER, .status = "14", .cursor = "7", .message = "8"},
        {.deed = FAKE_ANSWER, .cursor = "8", .message = "9"},
    };
    struct fixture f;

    init(&f);
    start(&f, acts, sizeof(acts) / sizeof(acts[0]));
    if (watch(&f, NULL) != TRIT_OK)
        check_failed(__FILE__, __LINE__, "%s", f.error.message);
    CHECK_STR(f.seen, "1@8 2@9 ");
    CHECK_STR(asked(&f, 0), "");
    CHECK_STR(asked(&f, 1), "7");
    CHECK_STR(asked(&f, 2), "7");
    CHECK_STR(asked(&f, 3), "8");
    fini(&f);
}

CASE(too_many, "watches leave connections of their client to other calls")
{
    struct fake_act acts[] = {{.deed = FAKE_ANSWER, .message = "8"}};
    struct fixture f;

    init(&f);
    start(&f, acts, 1);
    atomic_store(&f.client->streams, CLIENT_STREAMS_MAX);
    CHECK_EQ(watch(&f, NULL), TRIT_RESOURCE_EXHAUSTED);
    atomic_store(&f.client->streams, CLIENT_STREAMS_MAX - 1);
    for (size_t i = 0; i < 2; i++) {
        f.wanted = 1;
        CHECK_EQ(watch(&f, NULL), TRIT_OK);
    }
    CHECK_EQ(atomic_load(&f.client->streams), CLIENT_STREAMS_MAX - 1);
    CHECK_STR(f.seen, "1@8 1@8 ");
    fini(&f);
}

CASE(where_it_began, "the daemon may begin elsewhere than the watch asked for")
{
    struct fake_act acts[] = {
        {.deed = FAKE_ANSWER, .status = "14", .cursor = "5@123"},
        {.deed = FAKE_ANSWER, .message = "8"},
    };
    struct fixture f;

    init(&f);
    f.wanted = 1;
    start(&f, acts, sizeof(acts) / sizeof(acts[0]));
    CHECK_EQ(watch(&f, "9"), TRIT_OK);
    CHECK_STR(asked(&f, 0), "9");
    CHECK_STR(asked(&f, 1), "5@123");
    fini(&f);
}

CASE(unknown, "a watch that does not know where it began ends with its connection")
{
    struct fake_act acts[] = {{.deed = FAKE_ANSWER, .status = "14"}};
    struct fixture f;

    init(&f);
    start(&f, acts, 1);
    CHECK_EQ(watch(&f, NULL), TRIT_UNAVAILABLE);
    CHECK_STR(f.seen, "");
    CHECK_STR(asked(&f, 1), "?");
    fini(&f);
}

CASE(too_long, "a cursor that is longer than any cursor of a daemon is not taken")
{
    struct fake_act acts[] = {
        {.deed = FAKE_ANSWER,
         .status = "14",
         .cursor = "1234567890123456789012345678901234567890123456789012345678901234"}};
    struct fixture f;

    init(&f);
    start(&f, acts, 1);
    CHECK_EQ(watch(&f, NULL), TRIT_UNAVAILABLE);
    fini(&f);
}

int main(int argc, char **argv)
{
    return check_main(argc, argv);
}
