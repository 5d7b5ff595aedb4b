/* SPDX-License-Identifier: Apache-2.0 */
#include "services/client_memory.h"

#include <pthread.h>

#include "base/account.h"
#include "base/peer.h"
#include "memory/memory.h"
#include "obs/metrics.h"
#include "services/shared.h"

struct client_memory {
    struct call *call;
    struct memory_buffer *buffers[CALL_BUFFERS_MAX]; /* held */
    size_t count;
    pthread_rwlock_t writes; /* held for reading while a thread writes */
    bool stopped;            /* under `writes` */
};

struct client_memory *client_memory_create(struct call *call)
{
    struct client_memory *memory = account_calloc(call->account, 1, sizeof(*memory));

    if (!memory)
        return NULL;
    if (pthread_rwlock_init(&memory->writes, NULL) != 0) {
        account_free(call->account, memory);
        return NULL;
    }
    memory->call = call;
    return memory;
}

void client_memory_destroy(struct client_memory *memory)
{
    if (!memory)
        return;
    for (size_t i = 0; i < memory->count; i++)
        memory_buffer_drop(memory->buffers[i]);
    pthread_rwlock_destroy(&memory->writes);
    account_free(memory->call->account, memory);
}

/* One hold of a buffer is enough, however often the call names it. */
static int keep(struct client_memory *memory, struct memory_buffer *buffer,
                const char *field)
{
    for (size_t i = 0; i < memory->count; i++)
        if (memory->buffers[i] == buffer) {
            memory_buffer_drop(buffer);
            return 0;
        }
    if (memory->count == CALL_BUFFERS_MAX) {
        memory_buffer_drop(buffer);
        metric_limit(memory->call->config->metrics, L_CALL_BUFFERS);
        return fail_field(&memory->call->failure, TRIT_INVALID_ARGUMENT, field,
                          "names another buffer, but a call may use at most %d",
                          (int)CALL_BUFFERS_MAX);
    }
    memory->buffers[memory->count++] = buffer;
    return 0;
}

int client_memory_map(struct client_memory *memory, const struct wire_region *region,
                      const char *field, uint8_t **bytes)
{
    struct call *call = memory->call;
    struct memory *known = services_of(call)->config.memory;
    const struct peer *peer = h2_stream_peer(call->stream);
    struct memory_buffer *buffer;

    if (!known)
        return fail_field(&call->failure, TRIT_FAILED_PRECONDITION, field,
                          "this daemon takes no shared memory (memory_buffers_max is 0); "
                          "send the bytes");
    if (!peer || !peer->unix_socket)
        return fail_field(&call->failure, TRIT_FAILED_PRECONDITION, field,
                          "this call came over TCP, but memory can be shared only over a "
                          "Unix socket; send the bytes");
    if (memory_region_hold(known, peer->uid, region, field, &buffer, bytes,
                           &call->failure) < 0)
        return -1;
    return keep(memory, buffer, field);
}

bool client_memory_write_begin(struct client_memory *memory)
{
    pthread_rwlock_rdlock(&memory->writes);
    if (!memory->stopped)
        return true;
    pthread_rwlock_unlock(&memory->writes);
    return false;
}

void client_memory_write_end(struct client_memory *memory)
{
    pthread_rwlock_unlock(&memory->writes);
}

void client_memory_stop(struct client_memory *memory)
{
    if (!memory)
        return;
    pthread_rwlock_wrlock(&memory->writes);
    memory->stopped = true;
    pthread_rwlock_unlock(&memory->writes);
}
