/* SPDX-License-Identifier: Apache-2.0 */
/* Reports.Rewind, Fork and Delete: the store makes the change, and the reply says what
 * became of it. A change goes on when its call is cancelled. */
#include <inttypes.h>
#include <string.h>

#include "proto/codec/history.h"
#include "proto/utf8.h"
#include "services/health.h"
#include "services/shared.h"
#include "store/store.h"

struct change {
    struct store_change change;
    struct call *call;
    size_t (*encode)(const struct store_change *change, uint8_t *out, size_t capacity);
};

static int check_name(struct call *call, const char *field, const char *name,
                      bool required)
{
    if (required && name[0] == '\0')
        return fail_field(&call->failure, TRIT_INVALID_ARGUMENT, field,
                          "must not be empty");
    if (!utf8_is_name(name))
        return fail_field(&call->failure, TRIT_INVALID_ARGUMENT, field,
                          "contains a control character");
    return 0;
}

static int check_step(struct call *call, const char *field, uint64_t step)
{
    if (step <= INT64_MAX)
        return 0;
    return fail_field(&call->failure, TRIT_INVALID_ARGUMENT, field,
                      "%" PRIu64 " is above 2^63-1", step);
}

static int malformed(struct call *call, const char *error)
{
    return fail(&call->failure, TRIT_INVALID_ARGUMENT, NULL, "%s", error);
}

static void done(struct store_change *store_change)
{
    enum { REPLY_BYTES_MAX = 32 };
    struct change *change = LIST_OWNER(store_change, struct change, change);
    struct call *call = change->call;
    struct services *services = services_of(call);
    const bool changed = store_change->failure.status == TRIT_OK;
    uint8_t reply[REPLY_BYTES_MAX];

    health_store_ended(call, store_change->failure.status, true);
    if (call->state == CALL_WORKING) {
        call->failure = store_change->failure;
        if (call->failure.status == TRIT_OK)
            call_write_message(call, reply,
                               change->encode(store_change, reply, sizeof(reply)));
        call_end(call);
    }
    call_release(call);
    if (changed)
        services_tell(services, SERVICES_FILED);
}

/* Queues the change. The call lives until done(). */
static int submit(struct call *call,
                  int (*queue)(struct store_change *change, struct store *store,
                               struct failure *failure),
                  size_t (*encode)(const struct store_change *change, uint8_t *out,
                                   size_t capacity))
{
    struct change *change = call->method_state;

    change->call = call;
    change->encode = encode;
    change->change.done = done;
    change->change.mailbox = call->config->mailbox;
    call_hold(call);
    if (queue(&change->change, services_of(call)->config.store, &call->failure) == 0)
        return 0;
    call_release(call);
    return -1;
}

static size_t encode_reports(const struct store_change *change, uint8_t *out,
                             size_t capacity)
{
    return encode_reports_changed(change->reports, out, capacity);
}

/* ---- Rewind ----------------------------------------------------------------------- */

static int rewind_message(struct call *call)
{
    struct store_change *change = &((struct change *)call->method_state)->change;
    struct wire_reports_rewind wire;
    char error[CODEC_ERROR_BYTES];

    if (decode_reports_rewind(&call->scan.parts[PART_ROOT], &wire, error) < 0)
        return malformed(call, error);
    if (check_name(call, "run", wire.run, true) < 0 ||
        check_step(call, "step", wire.step) < 0)
        return -1;
    if (wire.step == INT64_MAX)
        return fail_field(&call->failure, TRIT_INVALID_ARGUMENT, "step",
                          "%" PRIu64 " is the last one that there can be: the attempt "
                          "would have none",
                          wire.step);
    memcpy(change->run, wire.run, sizeof(wire.run));
    change->step = wire.step;
    return 0;
}

static size_t encode_attempt(const struct store_change *change, uint8_t *out,
                             size_t capacity)
{
    return encode_rewound(change->attempt, out, capacity);
}

static int rewind_request(struct call *call)
{
    return submit(call, store_rewind, encode_attempt);
}

const struct method method_reports_rewind = {
    .path = "/trit.v1.Reports/Rewind",
    .scan = scan_plain,
    .state_bytes = sizeof(struct change),
    .message = rewind_message,
    .request = rewind_request,
};

/* ---- Fork ------------------------------------------------------------------------- */

static int fork_message(struct call *call)
{
    struct store_change *change = &((struct change *)call->method_state)->change;
    struct wire_reports_fork wire;
    char error[CODEC_ERROR_BYTES];

    if (decode_reports_fork(&call->scan.parts[PART_ROOT], &wire, error) < 0)
        return malformed(call, error);
    if (check_name(call, "run", wire.run, true) < 0 ||
        check_name(call, "new_run", wire.new_run, true) < 0 ||
        check_step(call, "step", wire.step) < 0)
        return -1;
    memcpy(change->run, wire.run, sizeof(wire.run));
    memcpy(change->new_run, wire.new_run, sizeof(wire.new_run));
    change->step = wire.step;
    return 0;
}

static int fork_request(struct call *call)
{
    return submit(call, store_fork, encode_reports);
}

const struct method method_reports_fork = {
    .path = "/trit.v1.Reports/Fork",
    .scan = scan_plain,
    .state_bytes = sizeof(struct change),
    .message = fork_message,
    .request = fork_request,
};

/* ---- Delete ----------------------------------------------------------------------- */

static int delete_message(struct call *call)
{
    struct store_change *change = &((struct change *)call->method_state)->change;
    struct wire_reports_delete wire;
    char error[CODEC_ERROR_BYTES];

    if (decode_reports_delete(&call->scan.parts[PART_ROOT], &wire, error) < 0)
        return malformed(call, error);
    if (check_name(call, "run", wire.run, true) < 0 ||
        check_name(call, "layer", wire.layer, false) < 0)
        return -1;
    change->step_from = wire.has_from ? wire.step_from : 0;
    change->step_to = wire.has_to ? wire.step_to : UINT64_MAX;
    if (change->step_from > change->step_to)
        return fail_field(&call->failure, TRIT_INVALID_ARGUMENT, "step_from",
                          "%" PRIu64 " is above step_to: %" PRIu64, change->step_from,
                          change->step_to);
    memcpy(change->run, wire.run, sizeof(wire.run));
    memcpy(change->layer, wire.layer, sizeof(wire.layer));
    return 0;
}

static int delete_request(struct call *call)
{
    return submit(call, store_delete, encode_reports);
}

const struct method method_reports_delete = {
    .path = "/trit.v1.Reports/Delete",
    .scan = scan_plain,
    .state_bytes = sizeof(struct change),
    .message = delete_message,
    .request = delete_request,
};
