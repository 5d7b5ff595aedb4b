/* SPDX-License-Identifier: Apache-2.0 */
#include "memory/memory.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <unistd.h>

#include "async/loop.h"
#include "base/account.h"
#include "base/limits.h"
#include "base/list.h"
#include "memory/map.h"
#include "obs/metrics.h"
#include "proto/codec/memory.h"

enum { BUCKETS = 256 }; /* by the first byte of the id */

struct memory {
    const struct limits *limits;
    struct metrics *metrics;
    struct mailbox *mailbox; /* of the clients' loop; NULL: there is no other loop */
    pthread_mutex_t lock; /* guards the buckets, and each buffer's `named` and `holds` */
    struct list buckets[BUCKETS]; /* buffers that can be named */
    size_t buffers;               /* mapped */
    uint64_t bytes;
};

struct memory_client {
    struct memory *memory;
    struct account *account;
    uid_t uid;
    memory_send send;
    void *arg;
    struct list buffers; /* also those that wait for their release */
    uint32_t count;      /* of them */
    uint64_t bytes;
};

struct memory_buffer {
    struct list named; /* in its bucket; in no list: it cannot be named any more */
    struct list owned; /* in its client's list; in no list: the client is closed */
    struct memory *memory;
    struct memory_client *client; /* NULL: closed */
    struct account *account;      /* that it is charged to */
    uid_t uid;
    uint8_t id[REGION_BUFFER_BYTES];
    uint8_t *bytes;
    uint64_t size;
    uint32_t holds;
    struct mailbox_message dropped; /* to the client's loop: it is to be freed */
    bool releasing;                 /* the client waits for the reply to its release */
    uint64_t release_sequence;
};

struct memory *memory_create(const struct limits *limits, struct metrics *metrics)
{
    struct memory *memory = calloc(1, sizeof(*memory));

    if (!memory)
        return NULL;
    memory->limits = limits;
    memory->metrics = metrics;
    pthread_mutex_init(&memory->lock, NULL);
    for (size_t i = 0; i < BUCKETS; i++)
        list_init(&memory->buckets[i]);
    return memory;
}

void memory_destroy(struct memory *memory)
{
    if (memory)
        pthread_mutex_destroy(&memory->lock);
    free(memory);
}

void memory_share(struct memory *memory, struct mailbox *mailbox)
{
    memory->mailbox = mailbox;
}

size_t memory_buffer_count(const struct memory *memory)
{
    return memory->buffers;
}

uint64_t memory_bytes(const struct memory *memory)
{
    return memory->bytes;
}

/* ---- replies ----------------------------------------------------------------------- */

static void reply(const struct memory_client *client, struct wire_memory_reply *answer)
{
    uint8_t packet[MEMORY_PACKET_BYTES_MAX];

    client->send(client->arg, packet,
                 encode_memory_reply(answer, packet, sizeof(packet)));
}

static void reply_failure(const struct memory_client *client, uint64_t sequence,
                          const struct failure *failure)
{
    struct wire_memory_reply answer = {.sequence = sequence,
                                       .status = (uint32_t)failure->status};

    snprintf(answer.message, sizeof(answer.message), "%s", failure->message);
    reply(client, &answer);
}

static void reply_buffer(const struct memory_client *client, uint64_t sequence,
                         const struct memory_buffer *buffer)
{
    struct wire_memory_reply answer = {.sequence = sequence, .status = TRIT_OK};

    memcpy(answer.buffer, buffer->id, sizeof(answer.buffer));
    reply(client, &answer);
}

/* ---- buffers ------------------------------------------------------------------------ */

static void show(const struct memory *memory)
{
    metric_set(memory->metrics, M_MEMORY_BUFFERS, memory->buffers);
    metric_set(memory->metrics, M_MEMORY_BUFFER_BYTES, memory->bytes);
}

static void buffer_free(struct memory_buffer *buffer)
{
    struct memory *memory = buffer->memory;
    struct memory_client *client = buffer->client;

    munmap(buffer->bytes, (size_t)buffer->size);
    account_release(buffer->account, buffer->size);
    memory->buffers--;
    memory->bytes -= buffer->size;
    show(memory);
    list_remove(&buffer->owned);
    if (client) {
        client->count--;
        client->bytes -= buffer->size;
        if (buffer->releasing)
            reply_buffer(client, buffer->release_sequence, buffer);
    }
    account_free(buffer->account, buffer);
}

static void buffer_forget(struct memory_buffer *buffer)
{
    struct memory *memory = buffer->memory;
    bool unused;

    pthread_mutex_lock(&memory->lock);
    list_remove(&buffer->named);
    unused = buffer->holds == 0;
    pthread_mutex_unlock(&memory->lock);
    if (unused)
        buffer_free(buffer);
}

static void deliver_dropped(struct mailbox_message *message)
{
    buffer_free(LIST_OWNER(message, struct memory_buffer, dropped));
}

void memory_buffer_drop(struct memory_buffer *buffer)
{
    struct memory *memory = buffer->memory;
    bool last;

    pthread_mutex_lock(&memory->lock);
    last = --buffer->holds == 0 && list_empty(&buffer->named);
    pthread_mutex_unlock(&memory->lock);
    if (!last)
        return;
    buffer->dropped.deliver = deliver_dropped;
    if (memory->mailbox)
        mailbox_post(memory->mailbox, &buffer->dropped);
    else
        buffer_free(buffer);
}

/* Under the lock, or on the clients' loop, which alone changes the buckets. */
static struct memory_buffer *find(const struct memory *memory,
                                  const uint8_t id[REGION_BUFFER_BYTES])
{
    const struct list *bucket = &memory->buckets[id[0]];

    for (struct list *node = bucket->next; node != bucket; node = node->next) {
        struct memory_buffer *buffer = LIST_OWNER(node, struct memory_buffer, named);

        if (memcmp(buffer->id, id, REGION_BUFFER_BYTES) == 0)
            return buffer;
    }
    return NULL;
}

/* ---- clients ------------------------------------------------------------------------ */

struct memory_client *memory_client_open(struct memory *memory, struct account *account,
                                         uid_t uid, memory_send send, void *arg)
{
    struct memory_client *client = account_calloc(account, 1, sizeof(*client));

    if (!client)
        return NULL;
    client->memory = memory;
    client->account = account;
    client->uid = uid;
    client->send = send;
    client->arg = arg;
    list_init(&client->buffers);
    return client;
}

void memory_client_close(struct memory_client *client)
{
    struct list *node;

    while ((node = list_pop(&client->buffers))) {
        struct memory_buffer *buffer = LIST_OWNER(node, struct memory_buffer, owned);

        buffer->client = NULL;
        if (!list_empty(&buffer->named))
            buffer_forget(buffer);
    }
    account_free(client->account, client);
}

/* ---- register ----------------------------------------------------------------------- */

static int refuse(const struct memory *memory, enum limit_id limit,
                  struct failure *failure, const char *option, uint64_t wanted,
                  uint64_t bound)
{
    metric_limit(memory->metrics, limit);
    return fail_field(failure, TRIT_RESOURCE_EXHAUSTED, "register_bytes",
                      "this connection would have %" PRIu64 ", but %s is %" PRIu64,
                      wanted, option, bound);
}

static int check_bounds(const struct memory_client *client, uint64_t bytes,
                        struct failure *failure)
{
    const struct memory *memory = client->memory;
    const struct limits *limits = memory->limits;

    if (client->count >= limits->memory_buffers_max)
        return refuse(memory, L_MEMORY_BUFFERS, failure, "memory_buffers_max",
                      (uint64_t)client->count + 1, limits->memory_buffers_max);
    if (bytes > limits->memory_buffer_bytes_max ||
        client->bytes > limits->memory_buffer_bytes_max - bytes)
        return refuse(memory, L_MEMORY_BUFFER_BYTES, failure, "memory_buffer_bytes_max",
                      bytes + client->bytes, limits->memory_buffer_bytes_max);
    return 0;
}

static int make_id(const struct memory *memory, uint8_t id[REGION_BUFFER_BYTES],
                   struct failure *failure)
{
    do {
        if (getrandom(id, REGION_BUFFER_BYTES, 0) != REGION_BUFFER_BYTES)
            return fail(failure, TRIT_INTERNAL, NULL, "getrandom: %s", strerror(errno));
    } while (find(memory, id));
    return 0;
}

static int no_room(const struct memory *memory, uint64_t bytes, struct failure *failure)
{
    metric_limit(memory->metrics, L_MEMORY);
    return fail_field(failure, TRIT_RESOURCE_EXHAUSTED, "register_bytes",
                      "%" PRIu64 " bytes do not fit into what memory_bytes_max leaves to "
                      "this connection",
                      bytes);
}

/* Takes over the charge of `bytes` to the client's account, unless it fails. */
static int map_buffer(struct memory_client *client, uint64_t bytes, int fd,
                      struct memory_buffer *buffer, struct failure *failure)
{
    if (make_id(client->memory, buffer->id, failure) < 0 ||
        map_file(fd, bytes, &buffer->bytes, failure) < 0)
        return -1;
    buffer->memory = client->memory;
    buffer->client = client;
    buffer->account = client->account;
    buffer->uid = client->uid;
    buffer->size = bytes;
    return 0;
}

static int register_buffer(struct memory_client *client, uint64_t bytes, int fd,
                           struct memory_buffer **out, struct failure *failure)
{
    struct memory *memory = client->memory;
    struct memory_buffer *buffer;

    if (fd < 0)
        return fail_field(failure, TRIT_INVALID_ARGUMENT, "register_bytes",
                          "the packet carries no descriptor, or several");
    if (check_bounds(client, bytes, failure) < 0)
        return -1;
    if (!account_reserve(client->account, bytes))
        return no_room(memory, bytes, failure);
    buffer = account_calloc(client->account, 1, sizeof(*buffer));
    if (!buffer) {
        account_release(client->account, bytes);
        return no_room(memory, bytes, failure);
    }
    if (map_buffer(client, bytes, fd, buffer, failure) < 0) {
        account_free(client->account, buffer);
        account_release(client->account, bytes);
        return -1;
    }
    pthread_mutex_lock(&memory->lock);
    list_push(&memory->buckets[buffer->id[0]], &buffer->named);
    pthread_mutex_unlock(&memory->lock);
    list_push(&client->buffers, &buffer->owned);
    client->count++;
    client->bytes += bytes;
    memory->buffers++;
    memory->bytes += bytes;
    show(memory);
    *out = buffer;
    return 0;
}

/* ---- requests ----------------------------------------------------------------------- */

static int release_buffer(struct memory_client *client,
                          const struct wire_memory_request *request,
                          struct failure *failure)
{
    struct memory_buffer *buffer = find(client->memory, request->release);

    if (!buffer || buffer->client != client)
        return fail_field(failure, TRIT_NOT_FOUND, "release",
                          "this connection has no such buffer");
    buffer->releasing = true;
    buffer->release_sequence = request->sequence;
    buffer_forget(buffer);
    return 0;
}

static int do_request(struct memory_client *client,
                      const struct wire_memory_request *request, int fd,
                      struct failure *failure)
{
    struct memory_buffer *buffer = NULL;

    if (request->releases == (request->register_bytes > 0))
        return fail(failure, TRIT_INVALID_ARGUMENT, NULL,
                    "set either register_bytes or release");
    if (request->releases)
        return release_buffer(client, request, failure);
    if (register_buffer(client, request->register_bytes, fd, &buffer, failure) < 0)
        return -1;
    reply_buffer(client, request->sequence, buffer);
    return 0;
}

void memory_client_request(struct memory_client *client, const uint8_t *bytes,
                           size_t count, int fd)
{
    struct wire_memory_request request = {0};
    struct failure failure = {.status = TRIT_OK};
    char why[CODEC_ERROR_BYTES];
    int result = decode_memory_request(bytes, count, &request, why);

    if (result < 0)
        fail(&failure, TRIT_INVALID_ARGUMENT, NULL, "%s", why);
    else
        result = do_request(client, &request, fd, &failure);
    if (fd >= 0)
        close(fd); /* the mapping stays */
    if (result < 0)
        reply_failure(client, request.sequence, &failure);
}

/* ---- regions ------------------------------------------------------------------------ */

static struct memory_buffer *buffer_of(const struct memory *memory, uid_t uid,
                                       const struct wire_region *region)
{
    struct memory_buffer *buffer = region->is_id ? find(memory, region->buffer) : NULL;

    return buffer && buffer->uid == uid ? buffer : NULL;
}

static int region_hold(struct memory *memory, uid_t uid, const struct wire_region *region,
                       const char *field, struct memory_buffer **out, uint8_t **bytes,
                       struct failure *failure)
{
    struct memory_buffer *buffer = buffer_of(memory, uid, region);

    if (!buffer)
        return fail_field(failure, TRIT_FAILED_PRECONDITION, field,
                          "buffer %02x%02x%02x%02x... is not registered by a process of "
                          "user %u; register it at the memory socket",
                          region->buffer[0], region->buffer[1], region->buffer[2],
                          region->buffer[3], (unsigned)uid);
    if (region->bytes == 0 || region->offset > buffer->size ||
        region->bytes > buffer->size - region->offset)
        return fail_field(failure, TRIT_INVALID_ARGUMENT, field,
                          "%" PRIu64 " bytes at offset %" PRIu64
                          " are not within the buffer's %" PRIu64 " bytes",
                          region->bytes, region->offset, buffer->size);
    buffer->holds++;
    *out = buffer;
    *bytes = buffer->bytes + region->offset;
    return 0;
}

int memory_region_hold(struct memory *memory, uid_t uid, const struct wire_region *region,
                       const char *field, struct memory_buffer **out, uint8_t **bytes,
                       struct failure *failure)
{
    int result;

    pthread_mutex_lock(&memory->lock);
    result = region_hold(memory, uid, region, field, out, bytes, failure);
    pthread_mutex_unlock(&memory->lock);
    return result;
}
