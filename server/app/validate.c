/* SPDX-License-Identifier: Apache-2.0 */
#include "app/validate.h"

#include <inttypes.h>

/* With 0 of one of these no call is served, and 0 does not mean "no limit". */
static int check_positive(const struct limits *limits, struct failure *failure)
{
    const struct {
        const char *option;
        uint64_t value;
    } rows[] = {
        {"connections-max", limits->connections_max},
        {"handshake-ms", limits->handshake_ms_max},
        {"http-request-ms", limits->http_request_ms_max},
        {"idle-ms", limits->idle_ms_max},
        {"jobs-max", limits->jobs_max},
        {"message-max", limits->message_bytes_max},
        {"rate-ms", limits->rate_ms},
        {"streams-max", limits->streams_per_connection_max},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        if (rows[i].value == 0)
            return fail_field(failure, TRIT_INVALID_ARGUMENT, rows[i].option,
                              "0; must be at least 1");
    return 0;
}

int limits_validate(const struct limits *limits, struct failure *failure)
{
    if (limits->http_connections_max < 1 ||
        limits->http_connections_max > HTTP_CONNECTIONS_MAX)
        return fail_field(failure, TRIT_INVALID_ARGUMENT, "http-connections-max",
                          "%u; must be from 1 to %d",
                          (unsigned)limits->http_connections_max,
                          (int)HTTP_CONNECTIONS_MAX);
    if (check_positive(limits, failure) < 0)
        return -1;
    if (limits->streams_per_connection_max > STREAMS_MAX)
        return fail_field(failure, TRIT_INVALID_ARGUMENT, "streams-max",
                          "%u; must be from 1 to %d",
                          (unsigned)limits->streams_per_connection_max, (int)STREAMS_MAX);
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

int tls_validate(const char *cert, const char *key, const char *client_ca,
                 struct failure *failure)
{
    if (cert && !key)
        return fail_field(failure, TRIT_INVALID_ARGUMENT, "tls-cert",
                          "the key is missing: set --tls-key too");
    if (key && !cert)
        return fail_field(failure, TRIT_INVALID_ARGUMENT, "tls-key",
                          "the certificate is missing: set --tls-cert too");
    if (client_ca && !cert)
        return fail_field(failure, TRIT_INVALID_ARGUMENT, "tls-client-ca",
                          "clients' certificates need TLS: set --tls-cert and --tls-key "
                          "too");
    return 0;
}
