/* SPDX-License-Identifier: Apache-2.0 */
#include "client/lib/page.h"
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

static int report_get(const struct call *call, const struct trit_report_key *key,
                      struct trit_report *report, struct failure *failure)
{
    struct wire_reports_get request = {.has_step = key->has_step,
                                       .step = key->has_step ? key->step : 0,
                                       .attempt = key->attempt,
                                       .replica = key->replica};
    struct unary unary = {.decode = got_decode, .result = report};
    uint8_t head[REQUEST_HEAD_BYTES_MAX];

    if (name_take("run", key->run, request.run, failure) < 0 ||
        name_take("layer", key->layer, request.layer, failure) < 0)
        return -1;
    outgoing_head(&unary.request, head, encode_reports_get(&request, head, sizeof(head)));
    reply_init(&unary.reply, scan_plain, call->client->message_bytes_max, NULL, NULL);
    return unary_run(&unary, "/trit.v1.Reports/Get", call, failure);
}

enum trit_status trit_report_get(struct trit_client *client, const char *run,
                                 const char *layer, const uint64_t *step,
                                 const struct trit_call_options *options,
                                 struct trit_report *report, struct trit_error *error)
{
    const struct trit_report_key key = {
        .run = run, .layer = layer, .has_step = step != NULL, .step = step ? *step : 0};
    struct failure failure = {.status = TRIT_OK};
    struct trit_report got;
    struct call call;

    if (client_check(client, error, &failure) == 0 &&
        sized_check(&sized_report, "report", report, &failure) == 0 &&
        call_init(&call, client, "options", options, 0, &failure) == 0 &&
        report_get(&call, &key, &got, &failure) == 0)
        sized_give(&sized_report, report, &got);
    return client_answer(&failure, error);
}

enum trit_status trit_reports_get(struct trit_client *client,
                                  const struct trit_report_key *key,
                                  const struct trit_call_options *options,
                                  struct trit_report *report, struct trit_error *error)
{
    struct failure failure = {.status = TRIT_OK};
    struct trit_report_key taken;
    struct trit_report got;
    struct call call;

    if (client_check(client, error, &failure) == 0 &&
        sized_take(&sized_report_key, "key", key, &taken, &failure) == 0 &&
        sized_check(&sized_report, "report", report, &failure) == 0 &&
        call_init(&call, client, "options", options, 0, &failure) == 0 &&
        report_get(&call, &taken, &got, &failure) == 0)
        sized_give(&sized_report, report, &got);
    return client_answer(&failure, error);
}

/* ---- many, page by page -------------------------------------------------------- */

enum { PAGE_REPORTS = 100 };

/* Where damaged reports are told. */
struct damaged_visit {
    trit_damaged damaged;
    void *arg;
};

static void damaged_visit(void *arg, const struct wire_damaged_reports *damaged)
{
    const struct damaged_visit *visit = arg;

    visit->damaged(visit->arg, damaged->run, damaged->layer, damaged->step,
                   damaged->attempt, damaged->replica);
}

/* Calls the caller's functions with what a page has. */
static int page_read(const struct page *page, struct wire_reports_list *request,
                     struct report_visit *visit, struct damaged_visit *damaged,
                     struct failure *failure)
{
    char why[CODEC_ERROR_BYTES];

    if (decode_reports_page(page->bytes, page->count, report_visit, visit,
                            request->page_token, why) != 0 ||
        (damaged->damaged && !visit->stopped &&
         decode_damaged_page(page->bytes, page->count, damaged_visit, damaged, why) != 0))
        return fail(failure, TRIT_INTERNAL, NULL, "malformed reply: %s", why);
    return 0;
}

static int report_list(struct wire_reports_list *request, const struct call *call,
                       struct report_visit *visit, struct damaged_visit *damaged,
                       struct failure *failure)
{
    uint8_t head[REQUEST_HEAD_BYTES_MAX];
    struct page page;
    int rc;

    page_init(&page, call->client);
    do {
        rc = page_fetch(&page, "/trit.v1.Reports/List", head,
                        encode_reports_list(request, head, sizeof(head)), call, failure);
        if (rc == 0)
            rc = page_read(&page, request, visit, damaged, failure);
    } while (rc == 0 && !visit->stopped && request->page_token[0] != '\0');
    page_fini(&page);
    return rc;
}

static int query_wire(const struct trit_report_query *query,
                      struct wire_reports_list *request, struct failure *failure)
{
    *request = (struct wire_reports_list){.has_from = query->has_from,
                                          .has_to = query->has_to,
                                          .step_from = query->step_from,
                                          .step_to = query->step_to,
                                          .latest_only = query->latest_only,
                                          .waiting = query->waiting != 0,
                                          .beside_damage = query->damaged != NULL,
                                          .page_size = PAGE_REPORTS,
                                          .attempt = query->attempt,
                                          .replica = query->replica};
    if (name_copy("run", query->run, request->run, failure) < 0 ||
        name_copy("layer", query->layer, request->layer, failure) < 0)
        return -1;
    return 0;
}

enum trit_status
trit_report_list(struct trit_client *client, const struct trit_report_query *query,
                 struct trit_report *report,
                 int (*visit)(void *arg, const struct trit_report *report), void *arg,
                 struct trit_error *error)
{
    struct failure failure = {.status = TRIT_OK};
    struct report_visit visiting = {.report = report, .visit = visit, .arg = arg};
    struct wire_reports_list request;
    struct trit_report_query q;
    struct call call;

    if (client_check(client, error, &failure) == 0 &&
        sized_take_optional(&sized_report_query, "query", query, &q, &failure) == 0 &&
        report_visit_check(&visiting, &failure) == 0 &&
        call_init(&call, client, "query.call", q.call, 0, &failure) == 0 &&
        query_wire(&q, &request, &failure) == 0)
        report_list(&request, &call, &visiting,
                    &(struct damaged_visit){.damaged = q.damaged, .arg = arg}, &failure);
    return client_answer(&failure, error);
}
