/* SPDX-License-Identifier: Apache-2.0 */
/* Rings of shared memory: taken, used again, given up; and what happens where the daemon
 * shares none. A thread plays the memory socket. */
#include "base/clock.h"
#include "client/lib/slots.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "tests/lib/check.h"
#include "tests/lib/fault.h"
#include "tests/lib/memory_server.h"

CASE(reuses, "a ring that comes back clean is the next call's; another is given up")
{
    struct memory_server server;
    struct shared shared;
    struct ring *one, *two;

    memory_server_start(&server, TRIT_OK);
    shared_init(&shared, &server.address);
    one = shared_take(&shared, 0);
    CHECK(one && one->id[0] == 1);
    memset(one->bytes, 7, RING_BYTES);
    shared_put(&shared, one, true);
    CHECK(shared_take(&shared, 0) == one);
    two = shared_take(&shared, 0);
    CHECK(two && two->id[0] == 2);
    shared_put(&shared, two, false);
    two = shared_take(&shared, 0); /* the reply to the release is not that to this one */
    CHECK(two && two->id[0] == 3);
    shared_put(&shared, two, true);
    shared_put(&shared, one, true);
    shared_fini(&shared);
    memory_server_stop(&server);
    CHECK_EQ(server.connections, 1);
    CHECK_EQ(server.released, 1);
}

CASE(reconnects, "after a restart of the daemon rings are new, and old ones are dropped")
{
    struct memory_server server;
    struct shared shared;
    struct ring *held, *idle;

    memory_server_start(&server, TRIT_OK);
    shared_init(&shared, &server.address);
    held = shared_take(&shared, 0);
    idle = shared_take(&shared, 0);
    CHECK(held && idle);
    shared_put(&shared, idle, true);
    shutdown(shared.socket.fd, SHUT_WR); /* the thread sees the end, and closes */
    memory_server_stop(&server);
    memory_server_start(&server, TRIT_OK);
    idle = shared_take(&shared, 0);
    CHECK(idle && idle->connection == 2);
    shared_put(&shared, held, true); /* of the connection before */
    CHECK_EQ(shared.idle_count, 0);
    shared_put(&shared, idle, true);
    CHECK_EQ(shared.idle_count, 1);
    shared_fini(&shared);
    memory_server_stop(&server);
    CHECK_EQ(server.released, 0);
}

CASE(without,
     "if there is no memory socket, or it refuses, calls have no ring for some time")
{
    struct address address = {.kind = ADDRESS_UNIX, .host = "/tmp/no-such-trit"};
    struct memory_server server;
    struct shared shared;

    shared_init(&shared, &address);
    CHECK(!shared_take(&shared, 0));
    CHECK(shared.socket.retry_ns > 0);
    shared_fini(&shared);

    memory_server_start(&server, TRIT_RESOURCE_EXHAUSTED);
    shared_init(&shared, &server.address);
    CHECK(!shared_take(&shared, 0));
    CHECK(!shared_take(&shared, 0));
    shared_fini(&shared);
    memory_server_stop(&server);
    CHECK_EQ(server.registered, 1);

    address.kind = ADDRESS_TCP;
    shared_init(&shared, &address);
    CHECK(!shared.socket.possible && !shared_take(&shared, 0));
    shared_fini(&shared);
    setenv("TRIT_SHARED_MEMORY", "off", 1);
    address.kind = ADDRESS_UNIX;
    shared_init(&shared, &address);
    CHECK(!shared.socket.possible);
    shared_fini(&shared);
    unsetenv("TRIT_SHARED_MEMORY");
}

CASE(silent, "a daemon that does not answer keeps a call no longer than its deadline")
{
    const uint64_t begun = clock_monotonic_ns();
    struct memory_server server;
    struct shared shared;

    memory_server_start(&server, TRIT_OK);
    server.silent = true;
    shared_init(&shared, &server.address);
    CHECK(!shared_take(&shared, begun + 1000000));
    CHECK(shared.socket.retry_ns > 0);
    CHECK(clock_monotonic_ns() - begun < MEMORY_SOCKET_REGISTER_MS * 1000000ull);
    shared_fini(&shared);
    memory_server_stop(&server);
}

CASE(no_memory, "a ring for which there is no memory is none")
{
    struct memory_server server;
    struct shared shared;

    memory_server_start(&server, TRIT_OK);
    shared_init(&shared, &server.address);
    fault_arm(FAULT_MEMORY, 1, FAULT_ONCE);
    struct ring *ring = shared_take(&shared, 0);
    CHECK(fault_disarm());
    CHECK(!ring);
    shared.socket.retry_ns = 0;
    ring = shared_take(&shared, 0);
    CHECK(ring);
    shared_put(&shared, ring, true);
    shared_fini(&shared);
    memory_server_stop(&server);
}

static struct scan_part done_message(uint64_t count, uint8_t bytes[16])
{
    return (struct scan_part){.bytes = bytes,
                              .count = encode_chunks_done(count, bytes, 16)};
}

CASE(slots, "slots are used in turn, and counted free by the daemon's replies")
{
    struct ring ring = {.bytes = (uint8_t *)(uintptr_t)4096, .id = {9}};
    struct slots all = {.ring = &ring};
    struct failure failure = {.status = TRIT_OK};
    uint8_t bytes[16];
    struct scan_part part;

    for (unsigned i = 0; i < SLOTS; i++) {
        CHECK(!slots_full(&all));
        CHECK(slots_next(&all) == ring.bytes + (size_t)i * SLOT_BYTES);
        const struct wire_region region = slots_send(&all, 5);
        CHECK_EQ(region.offset, i * SLOT_BYTES);
        CHECK_EQ(region.buffer[0], 9);
    }
    CHECK(slots_full(&all));
    part = done_message(2, bytes);
    CHECK_EQ(slots_reply(&all, &part, &failure), 0);
    CHECK(!slots_full(&all));
    CHECK(slots_next(&all) == ring.bytes);
    part = done_message(1, bytes); /* fewer than before */
    CHECK_EQ(slots_reply(&all, &part, &failure), -1);
    CHECK_EQ(failure.status, TRIT_INTERNAL);
    part = done_message(SLOTS + 1, bytes); /* more than were sent */
    CHECK_EQ(slots_reply(&all, &part, &failure), -1);
    part = (struct scan_part){.count = 0};
    CHECK_EQ(slots_reply(&all, &part, &failure), 0);
}

CASE(regions, "a reply may name only memory of the call's ring")
{
    struct ring ring = {.bytes = (uint8_t *)(uintptr_t)4096, .id = {9}};
    struct slots all = {.ring = &ring};
    struct wire_region region = {
        .present = true, .is_id = true, .buffer = {9}, .offset = 64, .bytes = 10};

    CHECK(slots_bytes(&all, &region, NULL) == ring.bytes + 64);
    region.offset = RING_BYTES - 9;
    CHECK(!slots_bytes(&all, &region, NULL));
    region.offset = UINT64_MAX;
    CHECK(!slots_bytes(&all, &region, NULL));
    region.offset = 0;
    region.bytes = UINT64_MAX;
    CHECK(!slots_bytes(&all, &region, NULL));
    region.bytes = RING_BYTES;
    CHECK(slots_bytes(&all, &region, NULL));
    region.buffer[0] = 8;
    CHECK(!slots_bytes(&all, &region, NULL));
}
