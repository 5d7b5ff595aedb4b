/* SPDX-License-Identifier: Apache-2.0 */
#include "app/validate.h"

#include <inttypes.h>

int limits_validate(const struct limits *limits, struct failure *failure)
{
    if (limits->http_connections_max < 1 ||
        limits->http_connections_max > HTTP_CONNECTIONS_MAX)
        return fail_field(failure, TRIT_INVALID_ARGUMENT, "http-connections-max",
                          "%u; must be from 1 to %d",
                          (unsigned)limits->http_connections_max,
                          (int)HTTP_CONNECTIONS_MAX);
    if (limits->http_request_ms_max < 1)
        return fail_field(failure, TRIT_INVALID_ARGUMENT, "http-request-ms",
                          "0; must be at least 1");
    if (limits->layers_percent_max > 100)
        return fail_field(failure, TRIT_INVALID_ARGUMENT, "layers-percent-max",
                          "%u; must be at most 100",
                          (unsigned)limits->layers_percent_max);
    if (limits->memory_bytes_max < MEMORY_BYTES_MIN)
        return fail_field(failure, TRIT_INVALID_ARGUMENT, "memory-max",
                          "%" PRIu64 " bytes; must be at least 16M",
                          limits->memory_bytes_max);
    if (limits->message_bytes_max > UINT32_MAX - 65536)
        return fail_field(failure, TRIT_INVALID_ARGUMENT, "message-max",
                          "%" PRIu64 " bytes; must be at most 4294901759",
                          limits->message_bytes_max);
    return 0;
}
