/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "client/lib/unary.h"

static int health_decode(void *result, const struct scan *reply, struct failure *failure)
{
    enum health_status *status = result;
    char why[CODEC_ERROR_BYTES];

    if (decode_health(&reply->parts[PART_ROOT], status, why) != 0)
        return fail(failure, TRIT_INTERNAL, NULL, "malformed reply: %s", why);
    return 0;
}

static int health_run(const struct call *call, const char *service,
                      enum health_status *status, struct failure *failure)
{
    struct unary unary = {.decode = health_decode, .result = status};
    uint8_t head[REQUEST_HEAD_BYTES_MAX];

    if (strlen(service) > HEALTH_SERVICE_BYTES_MAX)
        return fail_field(failure, TRIT_INVALID_ARGUMENT, "service",
                          "%zu bytes are more than %d", strlen(service),
                          (int)HEALTH_SERVICE_BYTES_MAX);
    outgoing_head(&unary.request, head, encode_health_check(service, head, sizeof(head)));
    reply_init(&unary.reply, scan_plain, call->client->message_bytes_max, NULL, NULL);
    return unary_run(&unary, "/grpc.health.v1.Health/Check", call, failure);
}

enum trit_status trit_ping(struct trit_client *client, const char *service,
                           const struct trit_call_options *options, bool *serving,
                           struct trit_error *error)
{
    struct failure failure = {.status = TRIT_OK};
    enum health_status status = HEALTH_UNKNOWN;
    struct call call;

    if (client_check(client, error, &failure) == 0 &&
        (serving || fail_null(&failure, "serving") == 0) &&
        call_init(&call, client, "options", options, 0, &failure) == 0 &&
        health_run(&call, service ? service : "", &status, &failure) == 0)
        *serving = status == HEALTH_SERVING;
    return client_answer(&failure, error);
}
