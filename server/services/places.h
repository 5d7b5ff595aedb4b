/* SPDX-License-Identifier: Apache-2.0 */
/* Places for calls that may never end: watches, and streams of jobs. A connection has some of
 * them, and so has the daemon. */
#ifndef SERVICES_PLACES_H
#define SERVICES_PLACES_H

#include <stdatomic.h>
#include <stddef.h>

#include "base/list.h"
#include "obs/metrics.h"

struct call;

/* What a kind of calls has. */
struct place_bound {
    const char *what;           /* "watches of reports" */
    size_t per_connection, all; /* RESOURCE_EXHAUSTED beyond either */
    enum limit_id limit;        /* counts the refusals */
    enum metric_id gauge;       /* calls that have a place */
};

/* The calls of one loop, whose thread uses the list. */
struct places {
    struct list list;     /* of places */
    _Atomic size_t count; /* of all loops; the first services' counts */
};

/* A member of a call's state. Zeroed: none. */
struct place {
    struct list link;
    struct call *call;
    struct places *first;
    const struct place_bound *bound;
};

void places_init(struct places *places);

/* Takes a place for the call; `first` is that of the first services. -1: call->failure. */
int place_take(struct place *place, struct call *call, struct places *places,
               struct places *first, const struct place_bound *bound);

/* Harmless without a place. */
void place_leave(struct place *place);

#endif
