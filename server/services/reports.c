/* SPDX-License-Identifier: Apache-2.0 */
/* Reports.Get and Reports.List. A job on the pool reads the reports and encodes the
 * reply; the loop sends it. One job at a time uses the reader. */
#include <gnutls/gnutls.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "base/array.h"
#include "base/clock.h"
#include "proto/codec/codec.h"
#include "proto/utf8.h"
#include "services/admission.h"
#include "services/call_job.h"
#include "services/shared.h"
#include "store/store.h"

enum {
    PAGE_DEFAULT = 100,
    QUERY_UNITS = 1, /* what a query costs is learned as a whole */
};

struct query {
    struct call_job job;
    struct failure failure;
    struct wire_reports_get get;
    struct wire_reports_list list;
    struct store_key after; /* the last report of the page before */
    uint32_t limit, seen;
    struct store_key last; /* the last report of this page */
    uint8_t *reply;        /* grown */
    size_t count, capacity;
};

/* ---- both methods --------------------------------------------------------------- */

static uint8_t *reply_space(struct query *query, size_t bytes)
{
    uint8_t *grown = array_grow(query->reply, &query->capacity, query->count + bytes, 1);

    if (!grown) {
        fail(&query->failure, TRIT_RESOURCE_EXHAUSTED, NULL, "no memory for the reply");
        return NULL;
    }
    query->reply = grown;
    return query->reply + query->count;
}

static void answer(struct call_job *job)
{
    struct query *query = LIST_OWNER(job, struct query, job);
    struct call *call = job->call;

    if (call->state != CALL_WORKING)
        return;
    call->failure = query->failure;
    if (call->failure.status == TRIT_OK)
        call_write_message(call, query->reply, query->count);
    call_end(call);
}

static int submit(struct call *call, void (*run)(struct call_job *job))
{
    struct query *query = call->method_state;

    query->job = (struct call_job){.call = call, .run = run, .done = answer};
    if (call_admit(call, QUERY_UNITS) < 0)
        return -1;
    call_submit(&query->job, services_of(call)->config.pool, QUERY_UNITS);
    return 0;
}

static void fini(struct call *call)
{
    struct query *query = call->method_state;

    free(query->reply);
}

/* A report cannot have such a name: filing refuses it, and so does HTTP. */
static int check_names(struct call *call, const char *run, const char *layer)
{
    if (utf8_is_name(run) && utf8_is_name(layer))
        return 0;
    return fail_field(&call->failure, TRIT_INVALID_ARGUMENT,
                      utf8_is_name(run) ? "layer" : "run",
                      "contains a control character");
}

/* ---- Get ----------------------------------------------------------------------- */

static int get_message(struct call *call)
{
    struct query *query = call->method_state;
    char error[CODEC_ERROR_BYTES];

    if (decode_reports_get(&call->scan.parts[PART_ROOT], &query->get, error) < 0)
        return fail(&call->failure, TRIT_INVALID_ARGUMENT, NULL, "%s", error);
    if (check_names(call, query->get.run, query->get.layer) < 0)
        return -1;
    if (query->get.run[0] == '\0')
        return fail_field(&call->failure, TRIT_INVALID_ARGUMENT, "run",
                          "must not be empty");
    if (query->get.layer[0] == '\0')
        return fail_field(&call->failure, TRIT_INVALID_ARGUMENT, "layer",
                          "must not be empty");
    return 0;
}

static void get_run(struct call_job *job)
{
    struct query *query = LIST_OWNER(job, struct query, job);
    struct services *services = services_of(job->call);
    const struct wire_reports_get *get = &query->get;
    struct trit_report report;
    uint8_t *space;
    int result;

    pthread_mutex_lock(&services_first(services)->reader_lock);
    result = store_read_report(services->config.reader,
                               &(const struct store_get){.run = get->run,
                                                         .layer = get->layer,
                                                         .attempt = get->attempt,
                                                         .replica = get->replica,
                                                         .has_step = get->has_step,
                                                         .step = get->step,
                                                         .now_unix_ns = clock_unix_ns()},
                               &report, &query->failure);
    pthread_mutex_unlock(&services_first(services)->reader_lock);
    if (result < 0)
        return;
    space = reply_space(query, REPORT_BYTES_MAX + 16);
    if (space)
        query->count = encode_report_got(&report, space, REPORT_BYTES_MAX + 16);
}

static int get_request(struct call *call)
{
    return submit(call, get_run);
}

const struct method method_reports_get = {
    .path = "/trit.v1.Reports/Get",
    .scan = scan_plain,
    .state_bytes = sizeof(struct query),
    .message = get_message,
    .request = get_request,
    .fini = fini,
};

/* ---- List ---------------------------------------------------------------------- */

/* A hash of what a list asks for, whatever the page. Names have no control characters. */
static uint64_t question_of(const struct wire_reports_list *list)
{
    char text[2 * TRIT_NAME_BYTES_MAX + 128];
    const int length = snprintf(
        text, sizeof(text),
        "%s\n%s\n%d %" PRIu64 " %d %" PRIu64 " %d %d %" PRIu32 " %" PRIu32, list->run,
        list->layer, list->has_from, list->step_from, list->has_to, list->step_to,
        list->latest_only, list->waiting, list->attempt, list->replica);

    return XXH3_64bits(text, (size_t)length);
}

/* A page token is base64 of "run NUL layer NUL step attempt replica question NUL": of the
 * page's last report, and the question that the page answers. */
static int token_parse(const char *token, struct store_key *after, uint64_t *question)
{
    gnutls_datum_t text = {.data = (unsigned char *)(uintptr_t)token,
                           .size = (unsigned)strlen(token)},
                   raw;
    const char *run, *layer, *step, *end;
    int result = -1;

    if (gnutls_base64_decode2(&text, &raw) < 0)
        return -1;
    run = (const char *)raw.data;
    end = run + raw.size;
    layer = memchr(run, '\0', raw.size);
    step = layer ? memchr(layer + 1, '\0', (size_t)(end - layer - 1)) : NULL;
    if (step && raw.size > 0 && end[-1] == '\0' && layer - run <= TRIT_NAME_BYTES_MAX &&
        step - layer - 1 <= TRIT_NAME_BYTES_MAX && step + 1 < end) {
        snprintf(after->run, sizeof(after->run), "%s", run);
        snprintf(after->layer, sizeof(after->layer), "%s", layer + 1);
        if (sscanf(step + 1, "%" SCNu64 " %" SCNu32 " %" SCNu32 " %" SCNx64, &after->step,
                   &after->attempt, &after->replica, question) == 4)
            result = 0;
    }
    gnutls_free(raw.data);
    return result;
}

static int token_format(const struct store_key *last, uint64_t question,
                        char out[PAGE_TOKEN_BYTES_MAX + 1])
{
    enum { NUMBERS = 64 };
    char bytes[2 * (TRIT_NAME_BYTES_MAX + 1) + NUMBERS];
    size_t run = strlen(last->run) + 1, layer = strlen(last->layer) + 1;
    gnutls_datum_t raw = {.data = (unsigned char *)bytes}, text;

    memcpy(bytes, last->run, run);
    memcpy(bytes + run, last->layer, layer);
    raw.size = (unsigned)(run + layer) + 1 +
               (unsigned)snprintf(bytes + run + layer, NUMBERS,
                                  "%" PRIu64 " %" PRIu32 " %" PRIu32 " %" PRIx64,
                                  last->step, last->attempt, last->replica, question);
    if (gnutls_base64_encode2(&raw, &text) < 0)
        return -1;
    snprintf(out, PAGE_TOKEN_BYTES_MAX + 1, "%.*s", (int)text.size,
             (const char *)text.data);
    gnutls_free(text.data);
    return 0;
}

static int list_check(struct call *call)
{
    struct query *query = call->method_state;
    const struct wire_reports_list *list = &query->list;
    uint64_t question;

    if (list->has_from && list->has_to && list->step_from > list->step_to)
        return fail_field(&call->failure, TRIT_INVALID_ARGUMENT, "step_from",
                          "%" PRIu64 " is above step_to: %" PRIu64, list->step_from,
                          list->step_to);
    if (!list->page_token[0])
        return 0;
    if (token_parse(list->page_token, &query->after, &question) < 0)
        return fail_field(&call->failure, TRIT_INVALID_ARGUMENT, "page_token",
                          "not valid; use a next_page_token of this service");
    if (question != question_of(list))
        return fail_field(&call->failure, TRIT_INVALID_ARGUMENT, "page_token",
                          "of another question; a page goes on with the fields of the "
                          "first one, all but page_size");
    return 0;
}

static int list_message(struct call *call)
{
    struct query *query = call->method_state;
    char error[CODEC_ERROR_BYTES];

    if (decode_reports_list(&call->scan.parts[PART_ROOT], &query->list, error) < 0)
        return fail(&call->failure, TRIT_INVALID_ARGUMENT, NULL, "%s", error);
    if (check_names(call, query->list.run, query->list.layer) < 0 || list_check(call) < 0)
        return -1;
    if (!query->list.waiting) {
        query->after.attempt = query->list.attempt;
        query->after.replica = query->list.replica;
    }
    query->limit = query->list.page_size ? query->list.page_size : PAGE_DEFAULT;
    query->limit = query->limit < LIST_PAGE_MAX ? query->limit : LIST_PAGE_MAX;
    return 0;
}

/* An entry of the page has this key. False: it is one more than requested, so that there is
 * a next page. */
static bool list_begin(struct query *query, const char *run, const char *layer,
                       uint64_t step, uint32_t attempt, uint32_t replica)
{
    if (query->seen++ == query->limit)
        return false;
    strcpy(query->last.run, run);
    strcpy(query->last.layer, layer);
    query->last.step = step;
    query->last.attempt = attempt;
    query->last.replica = replica;
    return true;
}

static bool list_damaged(void *arg, const struct store_key *key)
{
    struct query *query = arg;
    struct wire_damaged_reports damaged = {
        .step = key->step, .attempt = key->attempt, .replica = key->replica};
    uint8_t *space;

    if (!list_begin(query, key->run, key->layer, key->step, key->attempt, key->replica))
        return false;
    space = reply_space(query, DAMAGED_BYTES_MAX);
    if (!space)
        return false;
    strcpy(damaged.run, key->run);
    strcpy(damaged.layer, key->layer);
    query->count += encode_damaged_entry(&damaged, space, DAMAGED_BYTES_MAX);
    return true;
}

static bool list_visit(void *arg, const struct trit_report *report)
{
    struct query *query = arg;
    uint8_t *space;

    if (!list_begin(query, report->run, report->layer, report->step, report->attempt,
                    report->replica))
        return false;
    space = reply_space(query, REPORT_BYTES_MAX + 16);
    if (!space)
        return false;
    query->count += encode_report_entry(report, space, REPORT_BYTES_MAX + 16);
    return true;
}

static void list_run(struct call_job *job)
{
    struct query *query = LIST_OWNER(job, struct query, job);
    const struct wire_reports_list *list = &query->list;
    struct services *services = services_of(job->call);
    struct store_query store_query = {
        .run = list->run,
        .layer = list->layer,
        .attempt = list->attempt,
        .replica = list->replica,
        .step_from = list->has_from ? list->step_from : 0,
        .step_to = list->has_to ? list->step_to : UINT64_MAX,
        .latest_only = list->latest_only,
        .limit = query->limit + 1,
        .after = list->page_token[0] ? &query->after : NULL,
        .now_unix_ns = clock_unix_ns(),
        .passed = list->beside_damage ? list_damaged : NULL,
    };
    char token[PAGE_TOKEN_BYTES_MAX + 1];
    uint8_t *space;
    int result;

    pthread_mutex_lock(&services_first(services)->reader_lock);
    result = (list->waiting ? store_read_waiting : store_read_reports)(
        services->config.reader, &store_query, list_visit, query, &query->failure);
    if (result == 0 && query->seen == 0 && !store_query.after && !list->waiting)
        result =
            store_check_listed(services->config.reader, &store_query, &query->failure);
    pthread_mutex_unlock(&services_first(services)->reader_lock);
    if (result < 0 || query->seen <= query->limit)
        return;
    space = reply_space(query, sizeof(token) + 16);
    if (space && token_format(&query->last, question_of(list), token) == 0)
        query->count += encode_page_token(token, space, sizeof(token) + 16);
}

static int list_request(struct call *call)
{
    return submit(call, list_run);
}

const struct method method_reports_list = {
    .path = "/trit.v1.Reports/List",
    .scan = scan_plain,
    .state_bytes = sizeof(struct query),
    .message = list_message,
    .request = list_request,
    .fini = fini,
};
