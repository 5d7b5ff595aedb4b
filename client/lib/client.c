/* SPDX-License-Identifier: Apache-2.0 */
#include "client/lib/client.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"

static const char address_default[] = "127.0.0.1:6561";

enum trit_status client_answer(const struct failure *failure, struct trit_error *error)
{
    struct trit_error full = {.status = failure->status};

    if (error && error_check(error, NULL) == 0) {
        snprintf(full.field, sizeof(full.field), "%s", failure->field);
        snprintf(full.message, sizeof(full.message), "%s", failure->message);
        sized_give(&sized_error, error, &full);
    }
    return failure->status;
}

int error_check(const struct trit_error *error, struct failure *failure)
{
    return error ? sized_check(&sized_error, "error", error, failure) : 0;
}

int client_check(const struct trit_client *client, const struct trit_error *error,
                 struct failure *failure)
{
    if (error_check(error, failure) < 0)
        return -1;
    return client ? 0 : fail_null(failure, "client");
}

static const char *address_text(const struct trit_connect_options *options)
{
    const char *environment = getenv("TRITD_ADDRESS");

    if (options->address)
        return options->address;
    return environment && *environment ? environment : address_default;
}

int wait_check(const char *field, enum trit_wait wait, struct failure *failure)
{
    switch (wait) {
    case TRIT_WAIT_DEFAULT:
    case TRIT_WAIT_ON:
    case TRIT_WAIT_OFF:
        return 0;
    }
    return fail_field(failure, TRIT_INVALID_ARGUMENT, field,
                      "%u is no trit_wait; use TRIT_WAIT_ON or TRIT_WAIT_OFF",
                      (unsigned)wait);
}

static int client_init(struct trit_client *client, const struct trit_connect_options *o,
                       struct failure *failure)
{
    struct address address;
    struct secure secure;

    client->timeout_ms = o->timeout_ms;
    client->wait_for_ready = o->wait_for_ready == TRIT_WAIT_ON;
    client->connections = o->connections ? o->connections : CONNECTIONS_DEFAULT;
    client->stream_bytes_min =
        o->stream_bytes_min ? o->stream_bytes_min : STREAM_BYTES_MIN_DEFAULT;
    if (client->stream_bytes_min > UNARY_BYTES_MAX)
        client->stream_bytes_min = UNARY_BYTES_MAX;
    client->message_bytes_max =
        o->message_bytes_max ? o->message_bytes_max : MESSAGE_BYTES_MAX_DEFAULT;
    if (client->connections > CONNECTIONS_MAX)
        return fail_field(failure, TRIT_INVALID_ARGUMENT, "options.connections",
                          "%" PRIu32 " is not in 1 to %d; 0 is the default",
                          o->connections, (int)CONNECTIONS_MAX);
    if (wait_check("options.wait_for_ready", o->wait_for_ready, failure) < 0 ||
        retry_policy_take("options.retry", o->retry, &client->retry, failure) < 0 ||
        address_parse(address_text(o), &address, failure) < 0 ||
        token_init(&client->token, o->token, o->token_file, failure) < 0)
        return -1;
    if (secure_init(&secure, o, &address, failure) == 0 &&
        pool_init(&client->pool, &address, &secure, failure) == 0) {
        throttle_init(&client->throttle, &client->retry);
        shared_init(&client->shared, &address);
        buffers_init(&client->buffers, &address);
        return 0;
    }
    token_fini(&client->token);
    return -1;
}

enum trit_status trit_connect(struct trit_client **client,
                              const struct trit_connect_options *options,
                              struct trit_error *error)
{
    struct failure failure = {.status = TRIT_OK};
    struct trit_connect_options o;
    struct trit_client *made;

    if (error_check(error, &failure) < 0 ||
        (!client && fail_null(&failure, "client") < 0) ||
        sized_take_optional(&sized_connect_options, "options", options, &o, &failure) < 0)
        return client_answer(&failure, error);
    made = calloc(1, sizeof(*made));
    if (!made) {
        fail(&failure, TRIT_RESOURCE_EXHAUSTED, NULL, "out of memory for a client");
    } else if (client_init(made, &o, &failure) < 0) {
        free(made);
    } else {
        *client = made;
    }
    return client_answer(&failure, error);
}

void trit_close_begin(struct trit_client *client)
{
    if (client)
        atomic_store(&client->closing_ns, clock_monotonic_ns() + CLOSE_MS * 1000000u);
}

void trit_close(struct trit_client *client)
{
    if (!client)
        return;
    shared_fini(&client->shared);
    buffers_fini(&client->buffers);
    pool_fini(&client->pool);
    token_fini(&client->token);
    free(client);
}

void trit_free(void *memory)
{
    free(memory);
}
