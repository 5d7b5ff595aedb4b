/* SPDX-License-Identifier: Apache-2.0 */
/* The memory socket's packets without the socket, and the buffers that they make. */
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "async/loop.h"
#include "base/account.h"
#include "base/budget.h"
#include "base/limits.h"
#include "memory/map.h"
#include "memory/memory.h"
#include "proto/codec/memory.h"
#include "tests/lib/check.h"
#include "tests/lib/fault.h"
#include "tests/lib/loop.h"

enum { PAGE = 4096, USER = 1000, OTHER_USER = 1001 };

struct fixture {
    struct budget budget;
    struct limits limits;
    struct account *account;
    struct memory *memory;
    struct memory_client *client;
    struct wire_memory_reply reply; /* the last one */
    unsigned replies;
    uint64_t sequence;
};

static void take_reply(void *arg, const uint8_t *bytes, size_t count)
{
    struct fixture *f = arg;
    char why[CODEC_ERROR_BYTES];

    CHECK_EQ(decode_memory_reply(bytes, count, &f->reply, why), 0);
    f->replies++;
}

static void fixture_init(struct fixture *f)
{
    *f = (struct fixture){.limits = limits_default()};
    budget_init(&f->budget, 64 << 20);
    f->account = account_open(&f->budget, NULL);
    f->memory = memory_create(&f->limits, NULL);
    f->client = memory_client_open(f->memory, f->account, USER, take_reply, f);
    CHECK(f->account && f->memory && f->client);
}

static void fixture_fini(struct fixture *f)
{
    if (f->client)
        memory_client_close(f->client);
    account_close(f->account);
    CHECK_EQ(memory_buffer_count(f->memory), 0);
    CHECK_EQ(memory_bytes(f->memory), 0);
    memory_destroy(f->memory);
    CHECK_EQ(f->budget.bytes_used, 0);
}

static int sealed_file(size_t bytes)
{
    const int fd = memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING);

    CHECK(fd >= 0);
    CHECK_EQ(posix_fallocate(fd, 0, (off_t)bytes), 0);
    CHECK_EQ(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW), 0);
    return fd;
}

static void ask(struct fixture *f, struct wire_memory_request request, int fd)
{
    uint8_t packet[MEMORY_PACKET_BYTES_MAX];

    request.sequence = ++f->sequence;
    memory_client_request(f->client, packet,
                          encode_memory_request(&request, packet, sizeof(packet)), fd);
}

static void add(struct fixture *f, size_t bytes)
{
    ask(f, (struct wire_memory_request){.register_bytes = bytes}, sealed_file(bytes));
}

static void release_buffer(struct fixture *f, const uint8_t id[REGION_BUFFER_BYTES])
{
    struct wire_memory_request request = {.releases = true};

    memcpy(request.release, id, sizeof(request.release));
    ask(f, request, -1);
}

static struct wire_region region_of(const uint8_t id[REGION_BUFFER_BYTES],
                                    uint64_t offset, uint64_t bytes)
{
    struct wire_region region = {
        .present = true, .is_id = true, .offset = offset, .bytes = bytes};

    memcpy(region.buffer, id, sizeof(region.buffer));
    return region;
}

/* Holds a region; the status. */
static enum trit_status hold(struct fixture *f, uid_t user, struct wire_region region,
                             struct memory_buffer **buffer, uint8_t **bytes)
{
    struct failure failure = {.status = TRIT_OK};

    memory_region_hold(f->memory, user, &region, "tensor.region", buffer, bytes,
                       &failure);
    if (failure.status != TRIT_OK)
        CHECK(strncmp(failure.message, "tensor.region: ", 15) == 0);
    return failure.status;
}

CASE(maps, "a buffer is the client's file: what the client writes there is read here")
{
    struct fixture f;
    struct memory_buffer *buffer;
    uint8_t *bytes;
    const int fd = sealed_file(2 * PAGE), copy = dup(fd);

    fixture_init(&f);
    ask(&f, (struct wire_memory_request){.register_bytes = 2 * PAGE}, fd);
    CHECK_EQ(f.reply.status, TRIT_OK);
    CHECK_EQ(f.reply.sequence, 1);
    CHECK_EQ(memory_buffer_count(f.memory), 1);
    CHECK_EQ(memory_bytes(f.memory), 2 * PAGE);
    CHECK(fcntl(fd, F_GETFD) < 0); /* the module has closed it */
    CHECK_EQ(pwrite(copy, "abc", 3, PAGE + 1), 3);
    CHECK_EQ(hold(&f, USER, region_of(f.reply.buffer, PAGE + 1, 3), &buffer, &bytes), 0);
    CHECK(memcmp(bytes, "abc", 3) == 0);
    memory_buffer_drop(buffer);
    close(copy);
    fixture_fini(&f);
}

CASE(bounds_regions, "a region must lie within its buffer and be of the user's own")
{
    struct fixture f;
    struct memory_buffer *buffer;
    uint8_t *bytes;
    static const uint64_t wrong[][2] = {{0, 0},         {0, PAGE + 1}, {1, PAGE},
                                        {PAGE, 1},      {PAGE + 1, 1}, {UINT64_MAX, 2},
                                        {2, UINT64_MAX}};

    fixture_init(&f);
    add(&f, PAGE);
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        CHECK_EQ(hold(&f, USER, region_of(f.reply.buffer, wrong[i][0], wrong[i][1]),
                      &buffer, &bytes),
                 TRIT_INVALID_ARGUMENT);
    CHECK_EQ(hold(&f, OTHER_USER, region_of(f.reply.buffer, 0, PAGE), &buffer, &bytes),
             TRIT_FAILED_PRECONDITION);
    CHECK_EQ(hold(&f, USER, region_of((const uint8_t[16]){0}, 0, PAGE), &buffer, &bytes),
             TRIT_FAILED_PRECONDITION);
    CHECK_EQ(hold(&f, USER, region_of(f.reply.buffer, PAGE - 1, 1), &buffer, &bytes),
             TRIT_OK);
    memory_buffer_drop(buffer);
    fixture_fini(&f);
}

CASE(release_waits, "a release is answered when the last hold of the buffer ends")
{
    struct fixture f;
    struct memory_buffer *one, *two;
    uint8_t *bytes, id[REGION_BUFFER_BYTES];

    fixture_init(&f);
    add(&f, PAGE);
    memcpy(id, f.reply.buffer, sizeof(id));
    CHECK_EQ(hold(&f, USER, region_of(id, 0, PAGE), &one, &bytes), TRIT_OK);
    CHECK_EQ(hold(&f, USER, region_of(id, 0, PAGE), &two, &bytes), TRIT_OK);
    release_buffer(&f, id);
    CHECK_EQ(f.replies, 1);
    CHECK_EQ(hold(&f, USER, region_of(id, 0, PAGE), &two, &bytes),
             TRIT_FAILED_PRECONDITION);
    memory_buffer_drop(one);
    CHECK_EQ(f.replies, 1);
    bytes[0] = 1; /* it is still mapped */
    memory_buffer_drop(two);
    CHECK_EQ(f.replies, 2);
    CHECK_EQ(f.reply.sequence, 2);
    CHECK_EQ(f.reply.status, TRIT_OK);
    CHECK(memcmp(f.reply.buffer, id, sizeof(id)) == 0);
    CHECK_EQ(memory_bytes(f.memory), 0);
    release_buffer(&f, id);
    CHECK_EQ(f.reply.status, TRIT_NOT_FOUND);
    fixture_fini(&f);
}

/* ---- other loops ------------------------------------------------------------------ */

static void *drop(void *buffer)
{
    memory_buffer_drop(buffer);
    return NULL;
}

static bool is_unmapped(void *arg)
{
    struct fixture *f = arg;

    return memory_buffer_count(f->memory) == 0;
}

/* Holds the buffer, ends what its client has of it, and drops it on another thread. */
static void drop_elsewhere(struct fixture *f, struct uv_loop_s *loop, bool release)
{
    struct memory_buffer *buffer;
    pthread_t thread;
    unsigned replies;
    uint8_t *bytes;

    add(f, PAGE);
    replies = f->replies;
    CHECK_EQ(hold(f, USER, region_of(f->reply.buffer, 0, PAGE), &buffer, &bytes),
             TRIT_OK);
    if (release) {
        release_buffer(f, f->reply.buffer);
    } else {
        memory_client_close(f->client);
        f->client = NULL;
    }
    CHECK(pthread_create(&thread, NULL, drop, buffer) == 0);
    pthread_join(thread, NULL);
    CHECK_EQ(memory_bytes(f->memory), PAGE);
    CHECK_EQ(f->replies, replies);
    bytes[0] = 1; /* it is still mapped */
    loop_run_until(loop, is_unmapped, f);
}

CASE(dropped_elsewhere,
     "a buffer that another loop drops last is unmapped, and answered, on its client's")
{
    struct fixture f;
    struct uv_loop_s *loop = loop_create();
    struct mailbox *mailbox;

    CHECK(mailbox_create(&mailbox, loop, NULL) == 0);
    fixture_init(&f);
    memory_share(f.memory, mailbox);
    drop_elsewhere(&f, loop, true);
    CHECK_EQ(f.replies, 2);
    CHECK_EQ(f.reply.status, TRIT_OK);
    drop_elsewhere(&f, loop, false);
    fixture_fini(&f);
    mailbox_close(mailbox);
    loop_destroy(loop);
}

CASE(close_keeps_held, "a held buffer outlives its client, and its charge too")
{
    struct fixture f;
    struct memory_buffer *buffer;
    uint8_t *bytes;

    fixture_init(&f);
    add(&f, PAGE);
    add(&f, PAGE);
    CHECK_EQ(hold(&f, USER, region_of(f.reply.buffer, 0, PAGE), &buffer, &bytes), 0);
    memory_client_close(f.client);
    f.client = NULL;
    CHECK_EQ(memory_buffer_count(f.memory), 1);
    CHECK(f.budget.bytes_used >= PAGE);
    CHECK_EQ(hold(&f, USER, region_of(f.reply.buffer, 0, PAGE), &buffer, &bytes),
             TRIT_FAILED_PRECONDITION);
    bytes[PAGE - 1] = 1;
    memory_buffer_drop(buffer);
    fixture_fini(&f);
}

CASE(bounds_clients, "count, bytes and the budget bound what a client registers")
{
    struct fixture f;

    fixture_init(&f);
    f.limits.memory_buffers_max = 2;
    f.limits.memory_buffer_bytes_max = 3 * PAGE;
    add(&f, 4 * PAGE);
    CHECK_EQ(f.reply.status, TRIT_RESOURCE_EXHAUSTED);
    add(&f, 2 * PAGE);
    CHECK_EQ(f.reply.status, TRIT_OK);
    add(&f, 2 * PAGE);
    CHECK_EQ(f.reply.status, TRIT_RESOURCE_EXHAUSTED);
    add(&f, PAGE);
    CHECK_EQ(f.reply.status, TRIT_OK);
    add(&f, PAGE);
    CHECK_EQ(f.reply.status, TRIT_RESOURCE_EXHAUSTED);
    CHECK_EQ(memory_bytes(f.memory), 3 * PAGE);
    fixture_fini(&f);

    fixture_init(&f);
    add(&f, (size_t)63 << 20); /* more than this account's share of 64 MiB */
    CHECK_EQ(f.reply.status, TRIT_RESOURCE_EXHAUSTED);
    fixture_fini(&f);
}

CASE(checks_files, "a file must be sealed, allocated and large enough")
{
    struct fixture f;
    int fd = memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    const struct wire_memory_request request = {.register_bytes = 2 * PAGE};

    fixture_init(&f);
    CHECK_EQ(ftruncate(fd, 2 * PAGE), 0);
    ask(&f, request, dup(fd));
    CHECK(strstr(f.reply.message, "F_SEAL_SHRINK"));
    CHECK_EQ(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW), 0);
    ask(&f, request, dup(fd));
    CHECK(strstr(f.reply.message, "fallocate"));
    close(fd);
    ask(&f, request, sealed_file(PAGE));
    CHECK(strstr(f.reply.message, "the file has 4096 bytes"));
    ask(&f, request, open("/proc/self/exe", O_RDONLY | O_CLOEXEC));
    CHECK(strstr(f.reply.message, "memfd_create"));
    ask(&f, request, -1);
    CHECK(strstr(f.reply.message, "no descriptor"));
    CHECK_EQ(f.reply.status, TRIT_INVALID_ARGUMENT);
    fixture_fini(&f);
}

CASE(no_memory, "a client or buffer for which there is no memory changes nothing")
{
    struct fixture f;
    bool failed = true;

    fixture_init(&f);
    for (uint64_t n = 1; failed; n++) {
        const uint64_t used = f.budget.bytes_used;
        const int fd = sealed_file(PAGE);

        fault_arm(FAULT_MEMORY | FAULT_MAP, n, FAULT_ONCE);
        ask(&f, (struct wire_memory_request){.register_bytes = PAGE}, fd);
        failed = fault_disarm();
        CHECK_EQ(f.reply.status, failed ? TRIT_RESOURCE_EXHAUSTED : TRIT_OK);
        CHECK_EQ(memory_buffer_count(f.memory), failed ? 0 : 1);
        if (failed)
            CHECK_EQ(f.budget.bytes_used, used);
    }
    fault_arm(FAULT_MEMORY, 1, FAULT_ONCE);
    CHECK(!memory_client_open(f.memory, f.account, USER, take_reply, &f));
    fault_disarm();
    fault_arm(FAULT_MEMORY, 1, FAULT_ONCE);
    CHECK(!memory_create(&f.limits, NULL));
    fault_disarm();
    fixture_fini(&f);
}

CASE(strict_overcommit, "pages of a hole can run out under strict overcommit only")
{
    static const char *const modes[] = {"0\n", "1\n", "2\n", ""};
    char path[] = "/tmp/overcommit.XXXXXX";
    const int fd = mkstemp(path);

    CHECK(fd >= 0);
    for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
        CHECK(ftruncate(fd, 0) == 0);
        CHECK(pwrite(fd, modes[i], strlen(modes[i]), 0) == (ssize_t)strlen(modes[i]));
        CHECK_EQ(map_pages_can_run_out(path), i == 2);
    }
    close(fd);
    unlink(path);
    CHECK(!map_pages_can_run_out(path));
}
