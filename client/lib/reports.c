#include <stdlib.h>
#include <string.h>

#include "client/lib/tensor.h"
#include "client/lib/unary.h"

/* ---- one report ------------------------------------------------------------------- */

static int got_decode(void *result, const struct scan *reply, struct failure *failure)
{
    char why[CODEC_ERROR_BYTES];

    if (decode_report_got(&reply->parts[PART_ROOT], result, why) != 0)
        return fail(failure, TRIT_INTERNAL, NULL, "malformed reply: %s", why);
    return 0;
}

static int report_get(const struct call *call, const char *run, const char *layer,
                      const uint64_t *step, struct trit_report *report,
                      struct failure *failure)
{
    struct wire_reports_get request = {.has_step = step != NULL,
                                       .step = step ? *step : 0};
    struct unary unary = {.decode = got_decode, .result = report};
    uint8_t head[REQUEST_HEAD_BYTES_MAX];

    if (name_copy("run", run, request.run, failure) != 0 ||
        name_copy("layer", layer, request.layer, failure) != 0)
        return -1;
    outgoing_head(&unary.request, head, encode_reports_get(&request, head, sizeof head));
    reply_init(&unary.reply, scan_plain, call->client->message_bytes_max, NULL, NULL);
    return unary_run(&unary, "/trit.v1.Reports/Get", call, failure);
}

enum trit_status trit_report_get(struct trit_client *client, const char *run,
                                 const char *layer, const uint64_t *step,
                                 const struct trit_call_options *options,
                                 struct trit_report *report, struct trit_error *error)
{
    struct failure failure = {.status = TRIT_OK};
    struct trit_report got;
    struct call call;

    call_init(&call, client, options, 0);
    if (report_get(&call, run, layer, step, &got, &failure) == 0)
        *report = got;
    return client_answer(&failure, error);
}

/* ---- many, page by page -------------------------------------------------------------
 */

enum { PAGE_REPORTS = 100, PAGE_BYTES_FIRST = 4096 };

/* A page is kept whole until its last byte is there: decode_reports_page reads
 * reports of a message in one piece. */
struct page {
    uint8_t *bytes;
    size_t count, capacity;
    size_t bytes_max;
    uint32_t messages;
    struct wire_reports_list request;
    uint8_t head[REQUEST_HEAD_BYTES_MAX];
};

static int page_next(void *owner, struct outgoing *message, struct failure *failure)
{
    struct page *page = owner;

    (void)failure;
    outgoing_head(message, page->head,
                  encode_reports_list(&page->request, page->head, sizeof page->head));
    message->last = true;
    return 0;
}

static int page_message(void *owner, uint32_t length, struct failure *failure)
{
    struct page *page = owner;

    if (page->messages++ > 0)
        return fail(failure, TRIT_INTERNAL, NULL,
                    "the reply holds more than one message");
    if (length > page->bytes_max)
        return fail(failure, TRIT_RESOURCE_EXHAUSTED, NULL,
                    "a page of reports of %u bytes is above %zu", length,
                    page->bytes_max);
    return 0;
}

static int page_bytes(void *owner, const uint8_t *bytes, size_t count,
                      struct failure *failure)
{
    struct page *page = owner;
    size_t capacity = page->capacity ? page->capacity : PAGE_BYTES_FIRST;
    uint8_t *grown;

    while (capacity - page->count < count)
        capacity *= 2;
    if (capacity > page->capacity) {
        grown = realloc(page->bytes, capacity);
        if (!grown)
            return fail(failure, TRIT_RESOURCE_EXHAUSTED, NULL,
                        "no memory for a page of reports");
        page->bytes = grown;
        page->capacity = capacity;
    }
    memcpy(page->bytes + page->count, bytes, count);
    page->count += count;
    return 0;
}

static int page_end(void *owner, struct failure *failure)
{
    (void)owner, (void)failure;
    return 0;
}

static int page_finish(void *owner, struct failure *failure)
{
    const struct page *page = owner;

    if (page->messages == 0)
        return fail(failure, TRIT_INTERNAL, NULL,
                    "status OK, but the reply holds no message");
    return 0;
}

static void page_rewind(void *owner)
{
    struct page *page = owner;

    page->count = 0;
    page->messages = 0;
}

static int page_fetch(struct page *page, const struct call *call, struct failure *failure)
{
    static const struct exchange_ops ops = {
        .next = page_next,
        .message = page_message,
        .bytes = page_bytes,
        .end = page_end,
        .finish = page_finish,
        .rewind = page_rewind,
    };
    struct exchange exchange, *exchanges[] = {&exchange};

    page_rewind(page);
    exchange_init(&exchange, "/trit.v1.Reports/List", &ops, page);
    return call_run(call, exchanges, 1, failure);
}

/* Stops asking the visitor once it said stop. */
struct visiting {
    int (*visit)(void *arg, const struct trit_report *report);
    void *arg;
    bool stopped;
};

static void visit_report(void *arg, const struct trit_report *report)
{
    struct visiting *visiting = arg;

    if (!visiting->stopped)
        visiting->stopped = visiting->visit(visiting->arg, report) != 0;
}

static int report_list(struct page *page, const struct call *call,
                       struct visiting *visiting, struct failure *failure)
{
    char why[CODEC_ERROR_BYTES];

    do {
        if (page_fetch(page, call, failure) != 0)
            return -1;
        if (decode_reports_page(page->bytes, page->count, visit_report, visiting,
                                page->request.page_token, why) != 0)
            return fail(failure, TRIT_INTERNAL, NULL, "malformed reply: %s", why);
    } while (!visiting->stopped && page->request.page_token[0] != '\0');
    return 0;
}

enum trit_status
trit_report_list(struct trit_client *client, const struct trit_report_query *query,
                 int (*visit)(void *arg, const struct trit_report *report), void *arg,
                 struct trit_error *error)
{
    static const struct trit_report_query everything = {.run = NULL};
    const struct trit_report_query *q = query ? query : &everything;
    struct failure failure = {.status = TRIT_OK};
    struct visiting visiting = {.visit = visit, .arg = arg};
    struct page page = {
        .bytes_max = (size_t)client->message_bytes_max,
        .request = {.has_from = q->has_from,
                    .has_to = q->has_to,
                    .step_from = q->step_from,
                    .step_to = q->step_to,
                    .latest_only = q->latest_only,
                    .page_size = PAGE_REPORTS},
    };
    struct call call;

    call_init(&call, client, &q->call, 0);
    if (name_copy("run", q->run, page.request.run, &failure) == 0 &&
        name_copy("layer", q->layer, page.request.layer, &failure) == 0)
        report_list(&page, &call, &visiting, &failure);
    free(page.bytes);
    return client_answer(&failure, error);
}
