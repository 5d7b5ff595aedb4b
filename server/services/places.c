/* SPDX-License-Identifier: Apache-2.0 */
#include "services/places.h"

#include "grpc/call.h"

void places_init(struct places *places)
{
    list_init(&places->list);
    places->count = 0;
}

/* Places of the call's connection. */
static size_t count_beside(const struct call *call, const struct places *places)
{
    const struct peer *peer = h2_stream_peer(call->stream);
    const struct list *node;
    size_t count = 0;

    for (node = places->list.next; node != &places->list; node = node->next) {
        const struct call *other = LIST_OWNER(node, struct place, link)->call;

        count += other->stream && h2_stream_peer(other->stream) == peer;
    }
    return count;
}

int place_take(struct place *place, struct call *call, struct places *places,
               struct places *first, const struct place_bound *bound)
{
    if (atomic_fetch_add(&first->count, 1) >= bound->all ||
        count_beside(call, places) >= bound->per_connection) {
        atomic_fetch_sub(&first->count, 1);
        metric_limit(call->config->metrics, bound->limit);
        return fail(&call->failure, TRIT_RESOURCE_EXHAUSTED, NULL,
                    "too many %s: %zu on a connection, %zu in all", bound->what,
                    bound->per_connection, bound->all);
    }
    *place = (struct place){.call = call, .first = first, .bound = bound};
    list_push(&places->list, &place->link);
    metric_up(call->config->metrics, bound->gauge);
    return 0;
}

void place_leave(struct place *place)
{
    if (!place->call)
        return;
    list_remove(&place->link);
    atomic_fetch_sub(&place->first->count, 1);
    metric_down(place->call->config->metrics, place->bound->gauge);
    place->call = NULL;
}
