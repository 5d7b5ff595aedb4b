/* SPDX-License-Identifier: Apache-2.0 */
#include "services/ternary/regions.h"

#include "obs/metrics.h"

#include <string.h>

#include "base/account.h"
#include "base/clock.h"
#include "base/peer.h"
#include "memory/memory.h"
#include "services/ternary/tile.h"

struct regions *regions_create(struct call *call, void (*again)(struct timer *timer))
{
    struct regions *regions = account_calloc(call->account, 1, sizeof(*regions));

    if (!regions)
        return NULL;
    if (pthread_rwlock_init(&regions->writes, NULL) != 0) {
        account_free(call->account, regions);
        return NULL;
    }
    regions->call = call;
    timer_init(&regions->again, again);
    return regions;
}

void regions_destroy(struct regions *regions)
{
    if (!regions)
        return;
    timer_disarm(regions->call->config->timers, &regions->again);
    for (size_t i = 0; i < regions->buffer_count; i++)
        memory_buffer_drop(regions->buffers[i]);
    pthread_rwlock_destroy(&regions->writes);
    account_free(regions->call->account, regions);
}

/* One hold of a buffer is enough, however often the call names it. */
static int keep(struct regions *regions, struct memory_buffer *buffer, const char *field)
{
    for (size_t i = 0; i < regions->buffer_count; i++)
        if (regions->buffers[i] == buffer) {
            memory_buffer_drop(buffer);
            return 0;
        }
    if (regions->buffer_count == CALL_BUFFERS_MAX) {
        memory_buffer_drop(buffer);
        metric_limit(regions->call->config->metrics, L_CALL_BUFFERS);
        return fail_field(&regions->call->failure, TRIT_INVALID_ARGUMENT, field,
                          "names another buffer, but a call may use at most %d",
                          (int)CALL_BUFFERS_MAX);
    }
    regions->buffers[regions->buffer_count++] = buffer;
    return 0;
}

int regions_map(struct regions *regions, const struct wire_region *region,
                const char *field, uint8_t **bytes)
{
    struct call *call = regions->call;
    struct memory *memory = services_of(call)->config.memory;
    const struct peer *peer = h2_stream_peer(call->stream);
    struct memory_buffer *buffer;

    if (!memory)
        return fail_field(&call->failure, TRIT_FAILED_PRECONDITION, field,
                          "this daemon takes no shared memory (memory_buffers_max is 0); "
                          "send the bytes");
    if (!peer || !peer->unix_socket)
        return fail_field(&call->failure, TRIT_FAILED_PRECONDITION, field,
                          "this call came over TCP, but memory can be shared only over a "
                          "Unix socket; send the bytes");
    if (memory_region_hold(memory, peer->uid, region, field, &buffer, bytes,
                           &call->failure) < 0)
        return -1;
    return keep(regions, buffer, field);
}

void regions_stop(struct regions *regions)
{
    regions->count = 0;
    regions->last = NULL;
    timer_disarm(regions->call->config->timers, &regions->again);
    pthread_rwlock_wrlock(&regions->writes);
    regions->stopped = true;
    pthread_rwlock_unlock(&regions->writes);
}

void regions_wake(struct regions *regions)
{
    if (regions->count > 0)
        timer_arm(regions->call->config->timers, &regions->again, clock_monotonic_ns());
}

void regions_merged(struct regions *regions, struct tile *tile)
{
    regions->done += tile->chunks;
    if (regions->last == tile)
        regions->last = NULL;
}

void regions_read(struct tile *tile)
{
    if (tile->in_source)
        memcpy(tile->in.bytes, tile->in_source, (size_t)tile->span.in_bytes);
    if (tile->reference_source)
        memcpy(tile->reference.bytes, tile->reference_source, tile->reference_filled);
}

void regions_write(struct regions *regions, struct tile *tile)
{
    pthread_rwlock_rdlock(&regions->writes);
    if (!regions->stopped)
        memcpy(tile->place, tile->out_bytes, (size_t)tile->span.out_bytes);
    pthread_rwlock_unlock(&regions->writes);
}
