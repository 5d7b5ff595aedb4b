/* SPDX-License-Identifier: Apache-2.0 */
#include "services/shared.h"

#include <inttypes.h>
#include <string.h>

#include "obs/metrics.h"
#include "work/blocks.h"

enum { BLOCK_FIRST_BYTES = 256 << 10 }; /* of a block that grows */

int memory_spent(struct call *call)
{
    metric_limit(call->config->metrics, L_MEMORY);
    if (call->failure.status == TRIT_OK)
        call->failure.retry_ms = MEMORY_RETRY_MS;
    return fail(&call->failure, TRIT_RESOURCE_EXHAUSTED, NULL,
                "the memory budget memory_bytes_max = %" PRIu64
                ", or this connection's share of it, is used up; try again later",
                call->config->limits->memory_bytes_max);
}

int call_block(struct call *call, size_t size, struct block *block)
{
    return blocks_get_for(services_of(call)->config.blocks, call->account, size, block);
}

int call_block_grow(struct call *call, struct block *block, size_t used, size_t more,
                    size_t most)
{
    size_t size = block->bytes ? block->size * 2 : BLOCK_FIRST_BYTES;
    struct block grown;

    if (block->bytes && used + more <= block->size)
        return 0;
    while (size < used + more)
        size *= 2;
    if (!block->bytes)
        return call_block(call, size < most ? size : most, block);
    if (call_block(call, size < most ? size : most, &grown) < 0)
        return -1;
    memcpy(grown.bytes, block->bytes, used);
    blocks_put(services_of(call)->config.blocks, block);
    *block = grown;
    return 0;
}

void services_tell(struct services *services, unsigned news)
{
    if (services->config.tell)
        services->config.tell(services->config.tell_arg, news);
    else if (news & SERVICES_STATUS) /* tests make services of parts */
        grpc_notify(services->health.grpc);
}

size_t small_bytes(const struct scan *scan)
{
    size_t total = 0;

    for (size_t i = 0; i < SCAN_PARTS_MAX; i++)
        total += scan->parts[i].count;
    return total;
}

int late_fields(struct call *call, const char *field)
{
    return fail_field(&call->failure, TRIT_INVALID_ARGUMENT, field,
                      "must come after all other fields");
}
