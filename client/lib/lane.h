/* SPDX-License-Identifier: Apache-2.0 */
/* One exchange of a call: its channel, and when it begins again. Part of call.c. */
#ifndef LIB_LANE_H
#define LIB_LANE_H

#include "client/lib/call_terms.h"
#include "client/lib/exchange.h"

/* At most so long between two progress callbacks, and between two looks whether the client
 * closes. */
enum { PROGRESS_MS = 100 };

struct lane {
    struct exchange *exchange;
    struct channel *channel; /* NULL: not begun, ended, or `again` */
    bool connecting;         /* the channel: the exchange begins when it is open */
    bool reused;
    bool again;         /* the exchange is to begin again: */
    uint64_t resume_ns; /* not before this time */
    uint32_t
        attempts; /* that have failed or are running, without those that were refused */
    uint32_t refused;   /* by a daemon that said that it did nothing */
    uint32_t pauses;    /* since the daemon last said when to try again */
    uint32_t unreached; /* pauses that waited for the daemon */
};

struct run {
    const struct call *call;
    struct lane lanes[CONNECTIONS_MAX];
    size_t count, live;
    bool waited; /* for a place in the pool, in this turn */
    struct failure *failure;
    struct failure last; /* of an attempt that is repeated */
    bool authorized;     /* `authorization` is filled: "" where there is no token */
    char authorization[AUTHORIZATION_BYTES];
};

bool run_is_late(const struct run *run); /* the deadline has passed */
/* Fails with DEADLINE_EXCEEDED; the message says how an earlier attempt failed. */
int run_late(const struct run *run, struct failure *failure);

/* Whether it connects, waits for the daemon's HTTP/2 settings, or pauses before it begins
 * again. */
bool lane_is_unconnected(const struct lane *lane);

/* Each returns 0, or -1 with run->failure: the call fails. Otherwise the lane may have ended,
 * or waits to begin again. */

/* Takes a channel if one is free. */
int lane_begin(struct run *run, struct lane *lane);
/* Goes on with connecting; begins the exchange when the channel is open. */
int lane_connect(struct run *run, struct lane *lane);
/* The exchange is DONE: repeats it, or ends the lane. */
int lane_done(struct run *run, struct lane *lane);

/* Gives the channel back, whatever it was doing. The exchange of an open one is DONE. */
void lane_end(struct run *run, struct lane *lane);

#endif
