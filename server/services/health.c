/* SPDX-License-Identifier: Apache-2.0 */
/* grpc.health.v1.Health. The services are those of the table of methods; "" is the
 * whole server. All of them have the same status. */
#include "services/health.h"

#include <inttypes.h>
#include <string.h>

#include "base/clock.h"
#include "base/limits.h"
#include "obs/metrics.h"
#include "proto/codec/codec.h"
#include "services/methods.h"
#include "services/service_names.h"
#include "services/shared.h"

/* ---- the status ------------------------------------------------------------------- */

bool health_store_fails(const struct health *health)
{
    const uint64_t failed_ns = atomic_load(&health->store_failed_ns);

    return failed_ns &&
           clock_monotonic_ns() - failed_ns < (uint64_t)HEALTH_STORE_FAILED_MS * 1000000u;
}

static enum health_status status_of(const struct call *call)
{
    const struct services *first = services_first(services_of(call));
    const struct services_config *config = &first->config;

    if (grpc_draining(call->grpc) || health_store_fails(&first->health))
        return HEALTH_NOT_SERVING;
    return config->ready && !config->ready(config->ready_arg) ? HEALTH_NOT_SERVING
                                                              : HEALTH_SERVING;
}

static void recheck(struct timer *timer)
{
    struct health *health = LIST_OWNER(timer, struct health, recheck);

    services_tell(LIST_OWNER(health, struct services, health), SERVICES_STATUS);
}

void health_init(struct health *health)
{
    places_init(&health->watches);
    timer_init(&health->recheck, recheck);
}

void health_fini(struct health *health)
{
    if (health->timers)
        timer_disarm(health->timers, &health->recheck);
}

void health_store_ended(const struct call *call, enum trit_status status, bool wrote)
{
    struct services *services = services_of(call);
    struct health *health = &services->health;
    struct health *shared = &services_first(services)->health;
    /* Any other failure is about the report, a bound for example, and shows nothing of the
     * disk; nor does a report that was there already. */
    const bool failed = status == TRIT_UNAVAILABLE || status == TRIT_INTERNAL;
    const bool works = status == TRIT_OK && wrote;

    if (!failed && !(works && shared->store_failed_ns))
        return;
    health->timers = call->config->timers;
    health->grpc = call->grpc;
    if (failed) {
        uint64_t now = clock_monotonic_ns();

        shared->store_failed_ns = now;
        timer_arm(health->timers, &health->recheck,
                  now + (uint64_t)HEALTH_STORE_FAILED_MS * 1000000u);
    } else {
        shared->store_failed_ns = 0;
        timer_disarm(health->timers, &health->recheck);
    }
    services_tell(services, SERVICES_STATUS);
}

/* ---- services ----------------------------------------------------------------------- */

static bool is_of_service(const char *path, const char *service)
{
    size_t length = service_length(path);

    return strlen(service) == length && memcmp(path + 1, service, length) == 0;
}

static bool is_known(const struct call *call, const char *service)
{
    const struct grpc_config *config = call->config;

    if (!*service)
        return true;
    for (size_t i = 0; i < config->method_count; i++)
        if (is_of_service(config->methods[i]->path, service))
            return true;
    return false;
}

/* ---- Check and List ---------------------------------------------------------------- */

struct health_state {
    struct place place; /* in health.watches */
    enum health_status told;
    char service[HEALTH_SERVICE_BYTES_MAX + 1];
};

static int message(struct call *call)
{
    struct health_state *state = call->method_state;
    char error[CODEC_ERROR_BYTES];

    if (decode_health_check(&call->scan.parts[PART_ROOT], state->service, error) < 0)
        return fail(&call->failure, TRIT_INVALID_ARGUMENT, "service", "%s", error);
    return 0;
}

static int write_status(struct call *call, enum health_status status)
{
    uint8_t reply[16];

    return call_write_message(call, reply, encode_health(status, reply, sizeof(reply)));
}

static int check_request(struct call *call)
{
    struct health_state *state = call->method_state;

    if (!is_known(call, state->service))
        return fail_field(&call->failure, TRIT_NOT_FOUND, "service", "\"%s\" is unknown",
                          state->service);
    if (write_status(call, status_of(call)) < 0)
        return -1;
    call_end(call);
    return 0;
}

static int list_request(struct call *call)
{
    enum { REPLY_BYTES_MAX = 4096 };
    const struct grpc_config *config = call->config;
    enum health_status status = status_of(call);
    uint8_t reply[REPLY_BYTES_MAX];
    size_t used = encode_health_entry("", 0, status, reply, sizeof(reply));

    for (size_t i = 0; i < config->method_count; i++) {
        const char *path = config->methods[i]->path;

        if (!service_is_repeated(config, i))
            used += encode_health_entry(path + 1, service_length(path), status,
                                        reply + used, sizeof(reply) - used);
    }
    if (call_write_message(call, reply, used) < 0)
        return -1;
    call_end(call);
    return 0;
}

/* ---- Watch --------------------------------------------------------------------------- */

/* Tells a status that is new, and ends the watch when the daemon drains: it would keep
 * its connection open. */
static int watch_tell(struct call *call)
{
    struct health_state *state = call->method_state;
    enum health_status status =
        is_known(call, state->service) ? status_of(call) : HEALTH_SERVICE_UNKNOWN;

    if (status != state->told) {
        state->told = status;
        if (write_status(call, status) < 0)
            return -1;
    }
    if (grpc_finishing(call->grpc))
        return fail(&call->failure, TRIT_UNAVAILABLE, NULL, "the daemon is draining");
    return 0;
}

static const struct place_bound bound = {
    .what = "watches of health",
    .per_connection = HEALTH_WATCHES_PER_CONNECTION_MAX,
    .all = HEALTH_WATCHES_MAX,
    .limit = L_HEALTH_WATCHES,
    .gauge = M_HEALTH_WATCHES,
};

static int watch_request(struct call *call)
{
    struct services *services = services_of(call);
    struct health_state *state = call->method_state;

    if (place_take(&state->place, call, &services->health.watches,
                   &services_first(services)->health.watches, &bound) < 0)
        return -1;
    state->told = HEALTH_UNKNOWN;
    return watch_tell(call);
}

static void watch_notice(struct call *call)
{
    const struct health_state *state = call->method_state;

    if (state->place.call && call->state == CALL_WORKING && watch_tell(call) < 0)
        call_end(call);
}

static void watch_fini(struct call *call)
{
    struct health_state *state = call->method_state;

    place_leave(&state->place);
}

const struct method method_health_check = {
    .path = "/grpc.health.v1.Health/Check",
    .scan = scan_plain,
    .state_bytes = sizeof(struct health_state),
    .message = message,
    .request = check_request,
};

const struct method method_health_list = {
    .path = "/grpc.health.v1.Health/List",
    .scan = scan_plain,
    .request = list_request,
};

const struct method method_health_watch = {
    .path = "/grpc.health.v1.Health/Watch",
    .scan = scan_plain,
    .state_bytes = sizeof(struct health_state),
    .message = message,
    .request = watch_request,
    .notice = watch_notice,
    .fini = watch_fini,
};
