/* SPDX-License-Identifier: Apache-2.0 */
#include "client/lib/client.h"

#include <stdio.h>
#include <stdlib.h>

static const char address_default[] = "127.0.0.1:6561";

enum trit_status client_answer(const struct failure *failure, struct trit_error *error)
{
    if (error) {
        error->status = failure->status;
        snprintf(error->field, sizeof(error->field), "%s", failure->field);
        snprintf(error->message, sizeof(error->message), "%s", failure->message);
    }
    return failure->status;
}

static const char *address_text(const struct trit_connect_options *options)
{
    const char *environment = getenv("TRITD_ADDRESS");

    if (options && options->address)
        return options->address;
    return environment && *environment ? environment : address_default;
}

static int client_init(struct trit_client *client,
                       const struct trit_connect_options *options,
                       struct failure *failure)
{
    static const struct trit_connect_options defaults = {.address = NULL};
    const struct trit_connect_options *o = options ? options : &defaults;
    struct address address;

    client->timeout_ms = o->timeout_ms;
    client->connections = o->connections ? o->connections : CONNECTIONS_DEFAULT;
    if (client->connections > CONNECTIONS_MAX)
        client->connections = CONNECTIONS_MAX;
    client->stream_bytes_min =
        o->stream_bytes_min ? o->stream_bytes_min : STREAM_BYTES_MIN_DEFAULT;
    if (client->stream_bytes_min > UNARY_BYTES_MAX)
        client->stream_bytes_min = UNARY_BYTES_MAX;
    client->message_bytes_max =
        o->message_bytes_max ? o->message_bytes_max : MESSAGE_BYTES_MAX_DEFAULT;
    if (address_parse(address_text(options), &address, failure) < 0)
        return -1;
    return pool_init(&client->pool, &address, failure);
}

enum trit_status trit_connect(struct trit_client **client,
                              const struct trit_connect_options *options,
                              struct trit_error *error)
{
    struct failure failure = {.status = TRIT_OK};
    struct trit_client *made = malloc(sizeof(*made));

    if (!made) {
        fail(&failure, TRIT_RESOURCE_EXHAUSTED, NULL, "out of memory for a client");
    } else if (client_init(made, options, &failure) < 0) {
        free(made);
    } else {
        *client = made;
    }
    return client_answer(&failure, error);
}

void trit_close(struct trit_client *client)
{
    if (!client)
        return;
    pool_fini(&client->pool);
    free(client);
}

void trit_free(void *memory)
{
    free(memory);
}
