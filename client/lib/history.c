/* SPDX-License-Identifier: Apache-2.0 */
/* What the daemon does with the reports of a run: Rewind, Fork, Delete, Compare. */
#include "proto/codec/history.h"

#include "client/lib/tensor.h"
#include "client/lib/unary.h"

static int malformed(struct failure *failure, const char *why)
{
    return fail(failure, TRIT_INTERNAL, NULL, "malformed reply: %s", why);
}

/* `count` bytes of `head` are the request. */
static int ask(const char *path, const uint8_t *head, size_t count, unary_decode decode,
               void *result, const struct call *call, struct failure *failure)
{
    struct unary unary = {.decode = decode, .result = result};

    outgoing_head(&unary.request, head, count);
    reply_init(&unary.reply, scan_plain, call->client->message_bytes_max, NULL, NULL);
    return unary_run(&unary, path, call, failure);
}

/* The checks with which each call begins. */
static int begin(struct call *call, struct trit_client *client,
                 const struct trit_call_options *options, const struct trit_error *error,
                 struct failure *failure)
{
    if (client_check(client, error, failure) < 0 ||
        call_init(call, client, "options", options, 0, failure) < 0)
        return -1;
    return 0;
}

/* The same for a change. It must not be made twice: a repeated rewind starts another
 * attempt. */
static int begin_change(struct call *call, struct trit_client *client,
                        const struct trit_call_options *options,
                        const struct trit_error *error, struct failure *failure)
{
    if (begin(call, client, options, error, failure) < 0)
        return -1;
    call->not_retriable = true;
    return 0;
}

/* ---- Rewind ----------------------------------------------------------------------- */

static int rewound(void *result, const struct scan *reply, struct failure *failure)
{
    char why[CODEC_ERROR_BYTES];

    return decode_rewound(&reply->parts[PART_ROOT], result, why) == 0
               ? 0
               : malformed(failure, why);
}

enum trit_status trit_reports_rewind(struct trit_client *client, const char *run,
                                     uint64_t step,
                                     const struct trit_call_options *options,
                                     uint32_t *attempt, struct trit_error *error)
{
    struct failure failure = {.status = TRIT_OK};
    struct wire_reports_rewind request = {.step = step};
    uint8_t head[REQUEST_HEAD_BYTES_MAX];
    uint32_t started = 0;
    struct call call;

    if (begin_change(&call, client, options, error, &failure) == 0 &&
        name_take("run", run, request.run, &failure) == 0 &&
        ask("/trit.v1.Reports/Rewind", head,
            encode_reports_rewind(&request, head, sizeof(head)), rewound, &started, &call,
            &failure) == 0 &&
        attempt)
        *attempt = started;
    return client_answer(&failure, error);
}

/* ---- Fork and Delete -------------------------------------------------------------- */

static int changed(void *result, const struct scan *reply, struct failure *failure)
{
    char why[CODEC_ERROR_BYTES];

    return decode_reports_changed(&reply->parts[PART_ROOT], result, why) == 0
               ? 0
               : malformed(failure, why);
}

enum trit_status trit_reports_fork(struct trit_client *client, const char *run,
                                   uint64_t step, const char *new_run,
                                   const struct trit_call_options *options,
                                   uint64_t *reports, struct trit_error *error)
{
    struct failure failure = {.status = TRIT_OK};
    struct wire_reports_fork request = {.step = step};
    uint8_t head[REQUEST_HEAD_BYTES_MAX];
    uint64_t copied = 0;
    struct call call;

    if (begin_change(&call, client, options, error, &failure) == 0 &&
        name_take("run", run, request.run, &failure) == 0 &&
        name_take("new_run", new_run, request.new_run, &failure) == 0 &&
        ask("/trit.v1.Reports/Fork", head,
            encode_reports_fork(&request, head, sizeof(head)), changed, &copied, &call,
            &failure) == 0 &&
        reports)
        *reports = copied;
    return client_answer(&failure, error);
}

static int range_wire(const struct trit_report_range *given,
                      struct wire_reports_delete *request, struct failure *failure)
{
    struct trit_report_range range;

    if (sized_take(&sized_report_range, "range", given, &range, failure) < 0 ||
        name_take("range.run", range.run, request->run, failure) < 0 ||
        name_copy("range.layer", range.layer, request->layer, failure) < 0)
        return -1;
    request->has_from = range.has_from;
    request->has_to = range.has_to;
    request->step_from = range.step_from;
    request->step_to = range.step_to;
    return 0;
}

enum trit_status trit_reports_delete(struct trit_client *client,
                                     const struct trit_report_range *range,
                                     const struct trit_call_options *options,
                                     uint64_t *reports, struct trit_error *error)
{
    struct failure failure = {.status = TRIT_OK};
    struct wire_reports_delete request;
    uint8_t head[REQUEST_HEAD_BYTES_MAX];
    uint64_t deleted = 0;
    struct call call;

    if (begin_change(&call, client, options, error, &failure) == 0 &&
        range_wire(range, &request, &failure) == 0 &&
        ask("/trit.v1.Reports/Delete", head,
            encode_reports_delete(&request, head, sizeof(head)), changed, &deleted, &call,
            &failure) == 0 &&
        reports)
        *reports = deleted;
    return client_answer(&failure, error);
}

/* ---- Compare ---------------------------------------------------------------------- */

static int compared(void *result, const struct scan *reply, struct failure *failure)
{
    struct trit_comparison *comparison = result;
    struct wire_compared wire;
    char why[CODEC_ERROR_BYTES];

    if (decode_compared(&reply->parts[PART_ROOT], &wire, why) != 0)
        return malformed(failure, why);
    *comparison = (struct trit_comparison){
        .size = sizeof(*comparison),
        .equal = wire.equal,
        .has_first_group = wire.has_first_group,
        .elements = wire.elements,
        .codes_differing = wire.codes_differing,
        .scale_ratio_max = wire.scale_ratio_max,
        .first_group = wire.first_group,
    };
    return 0;
}

static int side_wire(const char *field, const struct trit_layer_ref *given,
                     struct wire_layer_ref *side, struct failure *failure)
{
    if (!given)
        return fail_null(failure, field);
    return layer_wire(field, given, side, failure);
}

enum trit_status trit_reports_compare(struct trit_client *client,
                                      const struct trit_layer_ref *a,
                                      const struct trit_layer_ref *b,
                                      const struct trit_call_options *options,
                                      struct trit_comparison *comparison,
                                      struct trit_error *error)
{
    struct failure failure = {.status = TRIT_OK};
    struct wire_reports_compare request;
    uint8_t head[REQUEST_HEAD_BYTES_MAX];
    struct trit_comparison found;
    struct call call;

    if (begin(&call, client, options, error, &failure) == 0 &&
        side_wire("a", a, &request.a, &failure) == 0 &&
        side_wire("b", b, &request.b, &failure) == 0 &&
        sized_check(&sized_comparison, "comparison", comparison, &failure) == 0 &&
        ask("/trit.v1.Reports/Compare", head,
            encode_reports_compare(&request, head, sizeof(head)), compared, &found, &call,
            &failure) == 0)
        sized_give(&sized_comparison, comparison, &found);
    return client_answer(&failure, error);
}
