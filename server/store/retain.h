/* SPDX-License-Identifier: Apache-2.0 */
/* Deletes reports by the rules of retention, in steps of bounded work. A pass looks at
 * every layer once, then at the size of the store. */
#ifndef STORE_RETAIN_H
#define STORE_RETAIN_H

#include "store/row.h"
#include "store/store.h"

enum {
    RETAIN_ROWS_MAX = 512,     /* looked at or deleted by one step */
    RETAIN_PAUSE_SECONDS = 10, /* from the start of a pass to the next, if there are new
                                  reports; else six times that */
};

struct retain {
    struct store_retention rules;
    bool running;        /* a pass */
    bool filed;          /* there are new reports since the pass began */
    uint64_t begun_ns;   /* monotonic; 0: none has begun yet */
    struct layer_key at; /* the layer to go on with; past all: the size is next */
    bool layers_done;
    int64_t step;     /* thinning: its step to go on with */
    uint64_t deleted; /* by the last step */
    /* The last step, to be done again where a layer is damaged: */
    struct layer_key begun_at;
    int64_t begun_step;
    unsigned layers;       /* that it came to */
    bool stops;            /* the next step ends before this layer: */
    struct layer_key stop; /* it failed, and what came before it was undone */
};

/* Whether a step is to be done now. */
bool retain_due(const struct retain *retain, uint64_t now_ns);

/* One step in the caller's transaction. `sequence`: of the newest report. 1: more are to
 * follow. */
int retain_step(struct db *db, struct retain *retain, int64_t sequence,
                struct failure *failure);

/* A step failed, and was undone. If a layer is damaged, the pass goes on without it: 1. The step
 * is done again up to that layer, and the next one begins behind it. 0: the pass ends. */
int retain_failed(struct retain *retain, const struct failure *failure);

#endif
