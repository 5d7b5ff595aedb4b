/* SPDX-License-Identifier: Apache-2.0 */
/* grpc.health.v1.Health.Check. */
#include <string.h>

#include "proto/codec/codec.h"
#include "services/shared.h"

struct check_state {
    char service[HEALTH_SERVICE_BYTES_MAX + 1];
};

static int message(struct call *call)
{
    struct check_state *state = call->method_state;
    char error[CODEC_ERROR_BYTES];

    if (decode_health_check(&call->scan.parts[PART_ROOT], state->service, error) < 0)
        return fail(&call->failure, TRIT_INVALID_ARGUMENT, "service", "%s", error);
    return 0;
}

static bool known(const char *service)
{
    static const char *const services[] = {"", "trit.v1.Ternary", "trit.v1.Reports",
                                           "trit.v1.Layers", "grpc.health.v1.Health"};

    for (size_t i = 0; i < sizeof(services) / sizeof(services[0]); i++)
        if (strcmp(services[i], service) == 0)
            return true;
    return false;
}

static int request(struct call *call)
{
    struct check_state *state = call->method_state;
    uint8_t reply[16];

    if (!known(state->service))
        return fail_field(&call->failure, TRIT_NOT_FOUND, "service", "\"%s\" is unknown",
                          state->service);
    call_write_message(
        call, reply,
        encode_health(grpc_draining(call->grpc) ? HEALTH_NOT_SERVING : HEALTH_SERVING,
                      reply, sizeof(reply)));
    call_end(call);
    return 0;
}

const struct method method_health_check = {
    .path = "/grpc.health.v1.Health/Check",
    .scan = scan_plain,
    .state_bytes = sizeof(struct check_state),
    .message = message,
    .request = request,
};
