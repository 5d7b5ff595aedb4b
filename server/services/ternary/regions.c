/* SPDX-License-Identifier: Apache-2.0 */
#include "services/ternary/regions.h"

#include <string.h>

#include "base/account.h"
#include "base/clock.h"
#include "services/ternary/tile.h"

struct regions *regions_create(struct call *call, void (*again)(struct timer *timer))
{
    struct regions *regions = account_calloc(call->account, 1, sizeof(*regions));

    if (!regions)
        return NULL;
    regions->memory = client_memory_create(call);
    if (!regions->memory) {
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
    client_memory_destroy(regions->memory);
    account_free(regions->call->account, regions);
}

void regions_stop(struct regions *regions)
{
    regions->count = 0;
    regions->last = NULL;
    timer_disarm(regions->call->config->timers, &regions->again);
    client_memory_stop(regions->memory);
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
    if (!client_memory_write_begin(regions->memory))
        return;
    memcpy(tile->place, tile->out_bytes, (size_t)tile->span.out_bytes);
    client_memory_write_end(regions->memory);
}
