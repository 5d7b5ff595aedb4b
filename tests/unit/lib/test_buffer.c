/* SPDX-License-Identifier: Apache-2.0 */
/* Buffers of the caller: where their bytes are named by a region, and what happens to them if
 * the daemon restarts, refuses them, or may still write to them. */
#include "client/lib/buffer.h"

#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "client/lib/client.h"
#include "tests/lib/check.h"
#include "tests/lib/fault.h"
#include "tests/lib/memory_server.h"

enum { SIZE = 100000 };

static struct trit_buffer *make(struct trit_client *client, uint64_t bytes)
{
    struct trit_buffer *buffer = NULL;

    CHECK_EQ(trit_buffer_create(client, bytes, &buffer, NULL), TRIT_OK);
    CHECK(buffer && trit_buffer_data(buffer));
    return buffer;
}

static void client_start(struct trit_client *client, const struct memory_server *server)
{
    memset(client, 0, sizeof(*client));
    buffers_init(&client->buffers, &server->address);
    client->buffers.wait_ms = 1;
}

static bool names(struct trit_client *client, const void *bytes, uint64_t count,
                  struct wire_region *region)
{
    struct buffer_use use;

    buffer_use_init(&use, &client->buffers);
    CHECK_EQ(buffer_use_request(&use, "tensor", bytes, count, region, NULL), 0);
    CHECK_EQ(use.bytes, region->present ? count : 0);
    return region->present;
}

CASE(region, "bytes that lie in one buffer are named by a region of it; others are not")
{
    struct memory_server server;
    struct trit_client client;
    struct wire_region region;

    memory_server_start(&server, TRIT_OK);
    client_start(&client, &server);
    struct trit_buffer *first = make(&client, SIZE), *second = make(&client, SIZE);
    uint8_t *bytes = trit_buffer_data(second);

    CHECK(trit_buffer_is_shared(first) && trit_buffer_is_shared(second));
    CHECK_EQ(bytes[0] | bytes[SIZE - 1], 0);
    CHECK(names(&client, bytes + 7, SIZE - 7, &region));
    CHECK_EQ(region.buffer[0], 2);
    CHECK_EQ(region.offset, 7);
    CHECK_EQ(region.bytes, SIZE - 7);
    CHECK(!names(&client, bytes - 1, 2, &region));
    CHECK(!names(&client, bytes, UINT64_MAX, &region));
    CHECK(!names(&client, &server, 1, &region));
    CHECK(buffers_hold(&client.buffers, bytes, SIZE));
    CHECK(!buffers_hold(&client.buffers, NULL, 0));
    trit_buffer_free(second);
    CHECK(!buffers_hold(&client.buffers, bytes, 1));
    buffers_fini(&client.buffers);
    CHECK(!trit_buffer_is_shared(first));
    memset(trit_buffer_data(first), 1, SIZE); /* it outlives the client */
    trit_buffer_free(first);
    memory_server_stop(&server);
    CHECK_EQ(server.released, 1);
}

CASE(refused, "a buffer that the daemon does not take is ordinary memory")
{
    struct memory_server server;
    struct trit_client client;
    struct wire_region region;

    memory_server_start(&server, TRIT_RESOURCE_EXHAUSTED);
    client_start(&client, &server);
    struct trit_buffer *buffer = make(&client, SIZE);

    CHECK(!trit_buffer_is_shared(buffer));
    CHECK(!names(&client, trit_buffer_data(buffer), 1, &region));
    trit_buffer_free(buffer);
    buffers_fini(&client.buffers);
    server.address.kind = ADDRESS_TCP;
    client_start(&client, &server);
    buffer = make(&client, SIZE);
    memset(trit_buffer_data(buffer), 1, SIZE);
    CHECK(!names(&client, trit_buffer_data(buffer), 1, &region));
    trit_buffer_free(buffer);
    trit_buffer_free(NULL);
    CHECK(!trit_buffer_data(NULL) && !trit_buffer_is_shared(NULL));
    buffers_fini(&client.buffers);
    memory_server_stop(&server);
    CHECK_EQ(server.registered, 1); /* it is asked once */
}

CASE(arguments,
     "0 bytes, no place for the buffer, and sizes that do not exist are refused")
{
    struct trit_error error = TRIT_ERROR_INIT;
    struct address address = {.kind = ADDRESS_TCP};
    struct trit_buffer *buffer = NULL;
    struct trit_client client;

    memset(&client, 0, sizeof(client));
    buffers_init(&client.buffers, &address);
    CHECK_EQ(trit_buffer_create(&client, 0, &buffer, &error), TRIT_INVALID_ARGUMENT);
    CHECK_STR(error.field, "bytes");
    CHECK_EQ(trit_buffer_create(&client, 1, NULL, &error), TRIT_INVALID_ARGUMENT);
    CHECK_STR(error.field, "buffer");
    CHECK_EQ(trit_buffer_create(&client, UINT64_MAX, &buffer, &error),
             TRIT_RESOURCE_EXHAUSTED);
    fault_arm(FAULT_MEMORY, 1, FAULT_ONCE);
    CHECK_EQ(trit_buffer_create(&client, 1, &buffer, &error), TRIT_RESOURCE_EXHAUSTED);
    CHECK(fault_disarm());
    CHECK(!buffer);
    buffers_fini(&client.buffers);
}

CASE(too_large,
     "a buffer larger than the machine's memory is refused before any of it is taken")
{
    struct memory_server server;
    struct trit_client client;
    struct trit_buffer *buffer = NULL;
    struct trit_error error = TRIT_ERROR_INIT;

    memory_server_start(&server, TRIT_OK);
    client_start(&client, &server);
    for (uint32_t bits = 44; bits < 64; bits++) {
        CHECK_EQ(trit_buffer_create(&client, UINT64_C(1) << bits, &buffer, &error),
                 TRIT_RESOURCE_EXHAUSTED);
        CHECK(!buffer && strstr(error.message, "out of memory for a buffer of"));
    }
    buffers_fini(&client.buffers);
    memory_server_stop(&server);
}

CASE(restarted,
     "after a restart of the daemon a buffer is registered again when it is used")
{
    struct failure failure = {.status = TRIT_OK};
    struct memory_server server;
    struct trit_client client;
    struct wire_region region;
    struct buffer_use use;

    memory_server_start(&server, TRIT_OK);
    client_start(&client, &server);
    struct trit_buffer *buffer = make(&client, SIZE);

    shutdown(client.buffers.socket.fd, SHUT_WR); /* the thread sees the end, and closes */
    memory_server_stop(&server);
    memory_server_start(&server, TRIT_OK);
    CHECK(names(&client, trit_buffer_data(buffer), 1, &region));
    CHECK_EQ(server.registered, 1);

    /* The daemon says that it does not know the memory. */
    buffer_use_init(&use, &client.buffers);
    CHECK_EQ(buffer_use_reply(&use, "options.out", trit_buffer_data(buffer), 1, &region,
                              &failure),
             0);
    fail_field(&failure, TRIT_FAILED_PRECONDITION, "options.reply", "no such buffer");
    CHECK(buffer_use_end(&use, true, &failure));
    CHECK(!trit_buffer_is_shared(buffer));
    CHECK(names(&client, trit_buffer_data(buffer), 1, &region));
    CHECK_EQ(region.buffer[0], 2);
    trit_buffer_free(buffer);
    buffers_fini(&client.buffers);
    memory_server_stop(&server);
}

/* A call that the client ended writes to the buffer. */
static bool end_early(struct trit_client *client, struct trit_buffer *buffer)
{
    struct failure failure = {.status = TRIT_DEADLINE_EXCEEDED};
    struct wire_region region;
    struct buffer_use use;

    buffer_use_init(&use, &client->buffers);
    CHECK_EQ(
        buffer_use_reply(&use, "options.out", trit_buffer_data(buffer), 1, &region, NULL),
        0);
    CHECK(region.present);
    return buffer_use_end(&use, false, &failure);
}

CASE(in_doubt,
     "a buffer to which the daemon may still write serves no call until it says so")
{
    struct failure failure = {.status = TRIT_OK};
    struct memory_server server;
    struct trit_client client;
    struct wire_region region;
    struct buffer_use use;

    memory_server_start(&server, TRIT_OK);
    client_start(&client, &server);
    client.buffers.wait_ms = MEMORY_SOCKET_WAIT_MS;
    struct trit_buffer *buffer = make(&client, SIZE), *other;

    CHECK(!end_early(&client, buffer)); /* the daemon answers */
    CHECK(names(&client, trit_buffer_data(buffer), 1, &region));
    CHECK_EQ(region.buffer[0], 2);

    server.keeps = true;
    client.buffers.wait_ms = 1;
    CHECK(!end_early(&client, buffer));
    buffer_use_init(&use, &client.buffers);
    CHECK_EQ(buffer_use_request(&use, "tensor", trit_buffer_data(buffer), 1, &region,
                                &failure),
             -1);
    CHECK_EQ(failure.status, TRIT_UNAVAILABLE);
    CHECK_STR(failure.field, "tensor");
    other = make(&client, SIZE); /* with it comes the daemon's answer */
    CHECK(names(&client, trit_buffer_data(buffer), 1, &region));
    trit_buffer_free(other);

    server.keeps = true; /* a daemon that ends writes no more */
    CHECK(!end_early(&client, buffer));
    shutdown(client.buffers.socket.fd, SHUT_WR);
    memory_server_stop(&server);
    CHECK(!names(&client, trit_buffer_data(buffer), 1, &region));
    trit_buffer_free(buffer);
    buffers_fini(&client.buffers);
}

CASE(not_begun, "a call that got no connection does not give its buffer up")
{
    struct trit_connect_options options = TRIT_CONNECT_OPTIONS_INIT;
    struct trit_project_options how = TRIT_PROJECT_OPTIONS_INIT;
    struct trit_projection projection = TRIT_PROJECTION_INIT;
    struct trit_error error = TRIT_ERROR_INIT;
    struct trit_client *client;
    struct memory_server server;
    struct trit_tensor tensor = {
        .size = sizeof(tensor), .dtype = TRIT_F32, .rank = 1, .shape = {4}, .bytes = 16};
    char address[ADDRESS_TEXT_BYTES_MAX + 8];

    memory_server_start(&server, TRIT_OK); /* nobody listens for calls beside it */
    snprintf(address, sizeof(address), "unix:%s", server.address.host);
    options.address = address;
    CHECK_EQ(trit_connect(&client, &options, &error), TRIT_OK);
    struct trit_buffer *buffer = make(client, SIZE);

    tensor.data = trit_buffer_data(buffer);
    how.out = (uint8_t *)trit_buffer_data(buffer) + 64;
    how.out_bytes = 64;
    CHECK_EQ(trit_project(client, &tensor, &how, &projection, &error), TRIT_UNAVAILABLE);
    trit_buffer_free(make(client, SIZE)); /* the server has read what came before it */
    CHECK_EQ(server.registered, 2);
    CHECK(trit_buffer_is_shared(buffer));
    trit_buffer_free(buffer);
    trit_close(client);
    memory_server_stop(&server);
}

static int counted(void *call, struct failure *failure)
{
    int *calls = call;

    fail(failure, TRIT_FAILED_PRECONDITION, NULL, "attempt %d", ++*calls);
    return *calls < 3 ? 1 : 0;
}

CASE(attempts, "a call is made again once if the daemon did not know a buffer")
{
    struct failure failure = {.status = TRIT_OK};
    int calls = 0;

    CHECK_EQ(buffer_attempts(counted, &calls, &failure), -1);
    CHECK_EQ(calls, 2);
    CHECK_STR(failure.message, "attempt 2");
    failure = (struct failure){.status = TRIT_OK};
    CHECK_EQ(buffer_attempts(counted, &calls, &failure), 0);
    CHECK_EQ(calls, 3);
}
