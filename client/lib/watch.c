/* SPDX-License-Identifier: Apache-2.0 */
/* Reports.Watch: a stream of reports that ends when the caller wants no more. */
#include "proto/codec/history.h"

#include <string.h>

#include "client/lib/call.h"
#include "client/lib/reply.h"
#include "client/lib/tensor.h"

struct watching {
    struct reply reply;
    struct wire_reports_watch request;
    uint8_t head[REQUEST_HEAD_BYTES_MAX];
    size_t head_bytes;
    struct trit_report *report; /* the caller's */
    int (*visit)(void *arg, const struct trit_report *report, const char *cursor);
    void *arg;
    struct call *call;
    bool stopped;
};

static int next(void *owner, struct outgoing *message, struct failure *failure)
{
    struct watching *watching = owner;

    (void)failure;
    watching->head_bytes =
        encode_reports_watch(&watching->request, watching->head, sizeof(watching->head));
    outgoing_head(message, watching->head, watching->head_bytes);
    message->last = true;
    return 0;
}

static int message(void *owner, uint32_t length, struct failure *failure)
{
    struct watching *watching = owner;

    return reply_message(&watching->reply, length, failure);
}

static int bytes(void *owner, const uint8_t *bytes, size_t count, struct failure *failure)
{
    struct watching *watching = owner;

    return reply_bytes(&watching->reply, bytes, count, failure);
}

/* There is a daemon, and a cursor to go on with: if the daemon restarts or drains, the watch
 * waits for it, however long that takes. */
static void go_on(struct call *call)
{
    if (call->no_retry)
        return;
    call->wait_for_ready = true;
    if (call->retry.attempts_max > 1)
        return;
    call->retry = retry_connect;
    call->retry.attempts_max = UINT32_MAX;
}

/* -1 ends the exchange: also when the caller wants no more. */
static int end(void *owner, struct failure *failure)
{
    struct watching *watching = owner;
    char cursor[WATCH_CURSOR_BYTES_MAX + 1], why[CODEC_ERROR_BYTES];
    struct trit_report report;

    if (reply_end(&watching->reply, failure) < 0)
        return -1;
    if (decode_watched(&watching->reply.scan.parts[PART_ROOT], &report, cursor, why) != 0)
        return fail(failure, TRIT_INTERNAL, NULL, "malformed reply: %s", why);
    sized_give(&sized_report, watching->report, &report);
    memcpy(watching->request.cursor, cursor, sizeof(cursor));
    go_on(watching->call);
    if (watching->visit(watching->arg, watching->report, cursor) == 0)
        return 0;
    watching->stopped = true;
    return fail(failure, TRIT_CANCELLED, NULL, "the watch was stopped");
}

/* Where the stream begins: with it, a watch that is lost before its first report goes on
 * there, not with what is filed after the loss. */
static void header(void *owner, const char *name, const char *value, size_t value_len)
{
    struct watching *watching = owner;

    if (strcmp(name, "trit-cursor") != 0 || value_len == 0 ||
        value_len > WATCH_CURSOR_BYTES_MAX)
        return;
    memcpy(watching->request.cursor, value, value_len + 1);
    go_on(watching->call);
}

static int finish(void *owner, struct failure *failure)
{
    (void)owner, (void)failure;
    return 0;
}

/* Another watch goes on after the last report. */
static void rewind_watch(void *owner)
{
    struct watching *watching = owner;

    reply_rewind(&watching->reply);
}

static int watch(struct watching *watching, const struct call *call,
                 struct failure *failure)
{
    static const struct exchange_ops ops = {
        .next = next,
        .message = message,
        .bytes = bytes,
        .end = end,
        .header = header,
        .finish = finish,
        .rewind = rewind_watch,
        .resumes = true,
    };
    struct exchange exchange;
    int result;

    reply_init(&watching->reply, scan_plain, call->client->message_bytes_max, NULL, NULL);
    exchange_init(&exchange, "/trit.v1.Reports/Watch", &ops, watching);
    result = call_run_stream(call, &exchange, failure);
    reply_fini(&watching->reply);
    if (!watching->stopped)
        return result;
    *failure = (struct failure){.status = TRIT_OK};
    return 0;
}

static int cursor_take(const char *given, struct wire_reports_watch *request,
                       struct failure *failure)
{
    const size_t length = given ? strlen(given) : 0;

    if (length > WATCH_CURSOR_BYTES_MAX)
        return fail_field(failure, TRIT_INVALID_ARGUMENT, "options.cursor",
                          "%zu bytes; a cursor of the daemon has at most %d", length,
                          (int)WATCH_CURSOR_BYTES_MAX);
    memcpy(request->cursor, given ? given : "", length + 1);
    return 0;
}

enum trit_status trit_reports_watch(
    struct trit_client *client, const struct trit_watch_options *options,
    struct trit_report *report,
    int (*visit)(void *arg, const struct trit_report *report, const char *cursor),
    void *arg, struct trit_error *error)
{
    struct failure failure = {.status = TRIT_OK};
    struct watching watching = {.report = report, .visit = visit, .arg = arg};
    struct trit_watch_options o;
    struct call call;

    watching.call = &call;
    if (client_check(client, error, &failure) < 0 ||
        sized_take_optional(&sized_watch_options, "options", options, &o, &failure) < 0 ||
        sized_check(&sized_report, "report", report, &failure) < 0 ||
        (!visit && fail_null(&failure, "visit") < 0) ||
        call_init(&call, client, "options.call", o.call, 0, &failure) < 0 ||
        name_copy("options.run", o.run, watching.request.run, &failure) < 0 ||
        cursor_take(o.cursor, &watching.request, &failure) < 0)
        return client_answer(&failure, error);
    watch(&watching, &call, &failure);
    return client_answer(&failure, error);
}
